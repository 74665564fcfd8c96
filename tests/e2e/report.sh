#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# A run is recorded, a page is made of it, and a browser shows it. What is no trace is refused.
# On a machine with a browser only: no guest runs it (label "host").
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

MiB=1048576
here=$(dirname "$0")

# data PAGE KEY...: of what the page carries
data() {
	sed -n 's/^.*<script id="data" type="application\/json">//; /^{"schema"/,/<\/script>/{s/<\/script>.*//; p}' "$1" >"$tmp/data.json"
	shift
	json "$tmp/data.json" "$@"
}

report() { "$pfuse" report "$@" >"$tmp/out" 2>"$tmp/err" </dev/null; }

# refused WHAT ARGUMENT...: exit status 1, one line that says WHAT, and no page
refused() {
	local what=$1 status=0
	shift
	report "$@" || status=$?
	expect "exit status of report $*" 1 "$status"
	one_line "$tmp/err"
	expect_line "$tmp/err" "^pfuse-bpf report: .*$what"
	[ ! -e "$tmp/never.html" ] || fail "report $*: refused, and left a page"
}

say "a run is recorded"
cat >"$tmp/run.yaml" <<-END
	policy: fusebox
	interval: 100ms
	groups:
	  - match: "*idle"
	    ram: { mode: observe }
	    idle: 300ms
	    window: 300ms
	    deadline: 1s
	  - match: "*"
	    freeze: off
END
new_group grows
set_limit grows $((64 * MiB))
mkfifo "$tmp/go"
spawn grows "$bin/hog" --on-line 10 200 <>"$tmp/go" >"$tmp/hog"
must_come 10 "start of hog" grep -q '^at' "$tmp/hog"
new_group idle
spawn idle sleep 1000
start_daemon -c "$tmp/run.yaml" --trace "$tmp/run.pftrace" --summary "$tmp/s.json" "$(group grows)" "$(group idle)"
nap 0.5
echo go >"$tmp/go"
must_come 10 "growth" grep -q '^at 200' "$tmp/hog"
nap 2
stop_daemon

say "its page says what the summary says"
report "$tmp/run.pftrace" -o "$tmp/run.html" || fail "report: exit status $?"
one_line "$tmp/out"
expect "errors" "" "$(cat "$tmp/err")"
for i in 0 1; do
	expect "name of group $i" "$(json "$tmp/s.json" groups $i name)" "$(data "$tmp/run.html" groups $i name)"
	for pair in 'decisions grown:grown' 'decisions shrunk:shrunk' 'decisions stopped:stops' 'decisions continued:wakes' 'oom_kills:oom_kills'; do
		# shellcheck disable=SC2086 # a path of keys
		expect "${pair%:*} of group $i" "$(json "$tmp/s.json" groups $i ${pair%:*})" "$(data "$tmp/run.html" groups $i summary "${pair#*:}")"
	done
	# The summary is drawn up a moment after the last record.
	for pair in usage_mib_s limit_mib_s stopped_seconds; do
		awk -v a="$(json "$tmp/s.json" groups $i $pair)" -v b="$(data "$tmp/run.html" groups $i summary $pair)" \
			'BEGIN { d = a - b; exit !(d * d <= (0.05 * a + 0.05) ^ 2) }' ||
			fail "$pair of group $i: summary $(json "$tmp/s.json" groups $i $pair), report $(data "$tmp/run.html" groups $i summary $pair)"
	done
done
expect_that "growths of the group that grows" [ "$(data "$tmp/run.html" groups 0 summary grown)" -ge 1 ]
expect_that "stops of the group that idles" [ "$(data "$tmp/run.html" groups 1 summary stops)" -ge 1 ]
expect_that "spans of these stops" [ "$(data "$tmp/run.html" groups 1 stops)" = "$(data "$tmp/run.html" groups 1 summary stops)" ]

say "the same page through standard output"
report "$tmp/run.pftrace" -o - || fail "report -o -: exit status $?"
cmp "$tmp/out" "$tmp/run.html" || fail "the page on standard output is another one"

say "refusals"
refused 'No such file' "$tmp/none.pftrace" -o "$tmp/never.html"
printf 'this is no trace at all, but a sentence\n' >"$tmp/text"
refused 'no trace' "$tmp/text" -o "$tmp/never.html"
: >"$tmp/empty"
refused 'empty|no trace' "$tmp/empty" -o "$tmp/never.html"
refused 'read twice' - -o "$tmp/never.html"
refused 'is the trace itself' "$tmp/run.pftrace" -o "$tmp/run.pftrace"
refused 'create its directory' "$tmp/run.pftrace" -o "$tmp/no/never.html"
refused 'regular file' "$tmp/run.pftrace" -o /dev/null
status=0
"$pfuse" report "$tmp/run.pftrace" -o - >/dev/full 2>"$tmp/err" || status=$?
expect "exit status with a full disk" 1 "$status"
expect_line "$tmp/err" 'cannot write the page to standard output: No space left'
status=0
report "$tmp/run.pftrace" || status=$?
expect "exit status without -o" 2 "$status"

say "a trace that was cut is read as far as it goes, with a note"
size=$(stat -c %s "$tmp/run.pftrace")
head -c $((size - 3)) "$tmp/run.pftrace" >"$tmp/cut.pftrace" # elsewhere a packet might end
report "$tmp/cut.pftrace" -o "$tmp/cut.html" || fail "report of a cut trace: exit status $?"
one_line "$tmp/err"
expect_line "$tmp/err" 'note: The trace ends inside a packet'
expect_that "samples of a cut trace" [ "$(data "$tmp/cut.html" reduction read)" -ge 5 ]
expect "notes on the page" 1 "$(data "$tmp/cut.html" notes)"

say "40,000 samples are thinned out, and the one that is a peak is there"
"$bin/make_trace" "$tmp/long.pftrace" long
report "$tmp/long.pftrace" -o "$tmp/long.html" || fail "report: exit status $?"
expect_that "samples read" [ "$(data "$tmp/long.html" reduction read)" -ge 40000 ]
expect_that "samples kept" [ "$(data "$tmp/long.html" reduction kept)" -le 5000 ]
expect "peak in MiB" 200.0 "$(data "$tmp/long.html" groups 0 summary peak_mib | sed 's/^200$/200.0/')"
highest=$(data "$tmp/long.html" groups 0 series ram_usage >/dev/null && grep -o '"ram_usage":\[[^]]*' "$tmp/data.json" | tr ',[' '[\n*]' | sort -g | tail -1)
expect_that "highest usage in the chart, KiB" [ "${highest%.*}" -ge $((199 * 1024)) ]

say "hit-ratio curves"
awk 'BEGIN { printf "{\"source\":\"pages\",\"knee_bytes\":104857600,\"knee_below_resolution\":false,\"resolution_bytes\":2097152," \
	"\"sampled_share\":0.0625,\"error\":0.004,\"need_bytes\":{\"p90\":90000000,\"p95\":120000000,\"p99\":180000000},\"curve\":["
	for (i = 0; i < 64; i++) printf "%s{\"size_bytes\":%d,\"hit_ratio\":%.4f}", i ? "," : "", i * 4194304, 1 - exp(-i / 12)
	print "]}" }' >"$tmp/curve.json"
"$bin/make_trace" "$tmp/ordinary.pftrace" ordinary
refused 'no group of the trace has this name' "$tmp/ordinary.pftrace" "shop=$tmp/curve.json" -o "$tmp/never.html"
refused 'this is no curve' "$tmp/ordinary.pftrace" "getty=$tmp/text" -o "$tmp/never.html"
refused 'cannot read the curve: No such file' "$tmp/ordinary.pftrace" "getty=$tmp/none" -o "$tmp/never.html"
report "$tmp/ordinary.pftrace" "docker:shop=$tmp/curve.json" -o "$tmp/ordinary.html" || fail "report with a curve: exit status $?"
expect "points of the curve" 64 "$(data "$tmp/ordinary.html" groups 0 curve points)"

say "in a browser"
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || skip "no chromium; tools/deps test installs it"
command -v python3 >/dev/null || skip "no python3; tools/deps test installs it"
for kind in hostile 'many 10000'; do
	# shellcheck disable=SC2086 # kind and number
	"$bin/make_trace" "$tmp/${kind% *}.pftrace" $kind
	report "$tmp/${kind% *}.pftrace" -o "$tmp/${kind% *}.html" || fail "report of $kind: exit status $?"
	say "   $(cat "$tmp/out")"
done
mkdir -p "$PFUSE_BUILD/screenshots"
PYTHONDONTWRITEBYTECODE=1 python3 "$here/report_page.py" "$chromium" "$tmp/ordinary.html" "$tmp/hostile.html" \
	"$tmp/many.html" "$tmp" "$PFUSE_BUILD/screenshots" || fail "the page, in $chromium"
say "   screenshots: $PFUSE_BUILD/screenshots"
say "ok"
