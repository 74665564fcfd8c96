#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# `pfuse-bpf trace` in each format on one workload, beside a daemon: the switches of a thread are as many as
# the kernel says; a trace ends as it is told to, and leaves a file that can be read however it ended.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
command -v protoc >/dev/null || skip "no protoc (package protobuf-compiler)"
proto=$PFUSE_SOURCE/src/export/pftrace.proto

switches() { awk '/ctxt_switches/ { sum += $2 } END { print sum }' "/proc/$1/status"; }
is_waiting() { # in a read, and has been switched out: its count stands still
	local before
	before=$(switches "$1")
	nap 0.05
	state_of "$1" && [ "$state" = S ] && [ "$before" = "$(switches "$1")" ]
}

# What is traced: stands still until a line comes, naps often, and stands still again. Its name is unkind.
mkfifo "$tmp/go"
exec {go}<>"$tmp/go"
naps=$(fast 300 100)
# shellcheck disable=SC2016
work='printf "na\tps" >/proc/self/comm
while read -r count; do for ((; count > 0; count--)); do read -rt 0.002 -u "$0"; done; done'
new_group it
spawn it bash -c "$work" "$silence" <"$tmp/go"
worker=$spawned
must_come "$(fast 10 60)" "the workload waits" is_waiting "$worker"

# trace NAME ARGUMENT...: in the background, ready; its pid is ${traces[NAME]}
declare -A traces
is_tracing() { grep -q '^pfuse-bpf: tracing' "$tmp/$1.err" || is_dead "${traces[$1]}"; }
trace() {
	local name=$1
	shift
	"$pfuse" trace "$@" >"$tmp/$name" 2>"$tmp/$name.err" </dev/null &
	traces[$name]=$!
	pids+=("$!")
	must_come "$(fast 20 100)" "$name: start" is_tracing "$name"
	! is_dead "${traces[$name]}" || { cat "$tmp/$name.err"; fail "$name: it ended at once"; }
}
end_trace() { # NAME SIGNAL STATUS
	local status=0
	kill "-$2" "${traces[$1]}"
	must_come "$(fast 20 100)" "$1: end" is_dead "${traces[$1]}"
	wait "${traces[$1]}" || status=$?
	expect "$1: exit status" "$3" "$status"
}

say "text, JSON and Perfetto at once, beside a daemon"
start_daemon --dry-run "$(group it)"
trace text "$(group it)"
trace json --format json "$(group it)"
trace perfetto -o "$tmp/x.pftrace" "pid:$worker"
before=$(switches "$worker") looks=$(switches "${traces[text]}") began=$(now_ms)
echo "$naps" >&"$go"
nap 0.2
must_come "$(fast 20 100)" "the workload is done" is_waiting "$worker"
made=$(($(switches "$worker") - before)) looks=$(($(switches "${traces[text]}") - looks)) took=$(($(now_ms) - began))
end_trace text INT 0
end_trace json TERM 0
end_trace perfetto TERM 0
stop_daemon
expect_that "switches of the workload" [ "$made" -ge $((naps / 2)) ]
say "   in $took ms $made switches of the workload; $looks of who looks at them, ten times per second"
expect_that "the reader sleeps meanwhile" [ $((looks * 50)) -le $((took + 1000)) ]
expect_line "$tmp/text.err" '^pfuse-bpf: traced for [0-9.]+ s: [0-9]+ events \([0-9]+ switch.*\), lost 0, [0-9.]+ [KM]iB$'

no_control_bytes "$tmp/text"
no_control_bytes "$tmp/json"
expect "text: switches" "$made" "$(grep -cE "^[0-9:.]+  $(group it) +\[[0-9]+\] na.x09ps-$worker +switch  " "$tmp/text")"
expect "JSON: switches" "$made" "$(grep -c "\"event\":\"switch\",\"group\":\"$(group it)\",\"pid\":$worker," "$tmp/json")"
expect_line "$tmp/json" '"comm":"na..x09ps"'
expect_line "$tmp/text" "na.x09ps-$worker +wake    by "

protoc --decode pftrace.Trace -I "${proto%/*}" "$proto" <"$tmp/x.pftrace" >"$tmp/x.txt" || fail "protoc cannot decode the trace"
expect "Perfetto: switches" "$made" "$(grep -c "prev_pid: $worker\$" "$tmp/x.txt")"
expect_line "$tmp/x.txt" 'sched_waking {'
expect_line "$tmp/x.txt" 'clock_snapshot {'
expect "Perfetto: the thread is named" 1 "$(awk -v tid="$worker" '/threads \{/ { thread = 1 } thread && $1 == "tid:" && $2 == tid { n++ } /}/ { thread = 0 } END { print n + 0 }' "$tmp/x.txt")"
expect_line "$tmp/x.txt" "name: \"pid:$worker\""

say "order of time, CPU by CPU"
awk -F'[][]' '{ split($1, at, " "); if (at[1] < last[$2]) { print "after " last[$2] ": " $0; exit 1 } last[$2] = at[1] }' \
	"$tmp/text" || fail "text: times of a CPU go back"

only_some() {
	"$pfuse" trace --for 500ms --events "$@" "$(group it)" >"$tmp/out" 2>"$tmp/err" &
	spawned=$!
	pids+=("$spawned")
	must_come 20 "start" grep -q tracing "$tmp/err"
	echo 20 >&"$go"
	wait "$spawned" || fail "--events $*: exit status $?"
}
if thorough "only what was asked for; --min-duration leaves out short slices"; then
	only_some wake
	expect_line "$tmp/out" "na.x09ps-$worker +wake"
	expect_no_line "$tmp/out" ' switch '
	only_some switch --min-duration 1h
	expect "lines" 0 "$(wc -l <"$tmp/out")"
fi

say "nobody reads any more: a quiet end"
{ "$pfuse" trace --quiet --for 60s 2>"$tmp/err" || echo $? >"$tmp/status"; } | head -n 3 >"$tmp/out"
expect "lines" 3 "$(wc -l <"$tmp/out")"
expect "errors" "" "$(cat "$tmp/err")"
expect_that "exit status" [ ! -e "$tmp/status" ]

say "a full disk is told, and what is in the file can be read"
unshare -m true 2>/dev/null || skip "no mount namespaces here"
for format in $(fast "text json perfetto" perfetto); do
	status=0
	# shellcheck disable=SC2016
	unshare -m sh -c 'mkdir -p "$0/disk" && mount -t tmpfs -o size=64k none "$0/disk" && { "$@" -o "$0/disk/x"; status=$?; cp "$0/disk/x" "$0/full"; exit $status; }' \
		"$tmp" "$pfuse" trace --format "$format" --for 30s >"$tmp/out" 2>"$tmp/err" || status=$?
	expect "$format: exit status" 1 "$status"
	expect_line "$tmp/err" '^pfuse-bpf trace: the output ends early: No space left on device$'
	expect_that "$format: something is written" [ -s "$tmp/full" ]
	[ "$format" = perfetto ] || expect "$format: the last byte" '\n' "$(tail -c 1 "$tmp/full" | od -An -c | tr -d ' ')"
	[ "$format" != perfetto ] || protoc --decode pftrace.Trace -I "${proto%/*}" "$proto" <"$tmp/full" >/dev/null ||
		fail "protoc cannot decode what is on the full disk"
done

say "killed: the file is whole up to its last packet"
trace killed -o "$tmp/killed.pftrace" --all "$(group it)"
echo 100 >&"$go"
nap "$(fast 0.5 2)"
end_trace killed KILL 137
protoc --decode pftrace.Trace -I "${proto%/*}" "$proto" <"$tmp/killed.pftrace" >"$tmp/x.txt" || fail "protoc cannot decode the trace of a killed run"
expect_line "$tmp/x.txt" "prev_pid: $worker\$"

say "what cannot be traced"
refused() { # STATUS LINE ARGUMENT...
	local status=0 line=$2 wanted=$1
	shift 2
	"$pfuse" trace "$@" >"$tmp/out" 2>"$tmp/err" || status=$?
	expect "exit status of trace $*" "$wanted" "$status"
	one_line "$tmp/err"
	expect_line "$tmp/err" "$line"
}
refused 1 'no such' "$(group nothing)"
refused 1 'same group' "$(group it)" "$memory/$(group it)"
refused 1 'not a process id' pid:x
refused 1 'cannot write' -o "$tmp/no/such/x" "$(group it)"
refused 2 'is unknown' --events nothing
say ok
