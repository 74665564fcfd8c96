#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# What `run --trace` records, `replay` decides again: growth, stops, a reread configuration and the end.
# A killed run, a full disk, a size limit and the flight recorder leave traces that replay as well.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

MiB=1048576
trace=$tmp/t.pftrace
config=$tmp/quick.yaml
cat >"$config" <<-END
	policy: fusebox
	interval: $(fast 100ms 500ms)
	groups:
	  - match: "*-hog"
	    freeze: off
	  - match: "*"
	    idle: $quick_idle
	    window: $quick_idle
END

# replays FILE [ARGUMENT...]: identically; the transcript is in $tmp/transcript, its last line in $result
result=''
replays() {
	local code=0
	"$pfuse" replay "$@" >"$tmp/transcript" 2>"$tmp/replay.err" || code=$?
	result=$(tail -n1 "$tmp/transcript")
	[ $code = 0 ] && [[ $result = "identical: "*" verdicts" ]] ||
		fail "replay $*: status $code, $result, $(head -c 2000 "$tmp/replay.err"), $(grep -m4 -E '^re(corded|played)' "$tmp/transcript")"
}
verdicts() { local words; read -ra words <<<"$result"; echo "${words[1]}"; }

new_group hog
set_limit hog $((64 * MiB))
mkfifo "$tmp/go"
spawn hog "$bin/hog" --on-line 10 "$(fast 200 80)" <>"$tmp/go" >"$tmp/hog.out"
hog=$spawned
new_group 'sleeper <b>"'
spawn 'sleeper <b>"' sleep 1000
sleeper=$spawned

say "growth, a stop, and the end"
start_daemon -c "$config" --trace "$trace" --summary "$tmp/s.json" "$(group hog)" "$(group 'sleeper <b>"')"
must_come "$(fast 10 60)" "a stop" grep -qE '  stop  running -> stopped' "$tmp/out"
echo go >"$tmp/go"
must_come "$(fast 10 60)" "a growth" grep -qE '  ram  .* -> .*usage crossed the high-water mark' "$tmp/out"
must_come "$(fast 20 100)" "end of hog" is_dead "$hog" # else more would be in use than the limit of before
kill -HUP "$daemon"
nap "$(fast 0.5 2)"
stop_daemon
replays "$trace"
expect_that "verdicts replayed" [ "$(verdicts)" -ge 4 ]
expect "lines of the transcript" "$(($(verdicts) + 1))" "$(wc -l <"$tmp/transcript")"
expect_line "$tmp/transcript" "  $prefix-hog  ram  [0-9]+ -> [0-9]+  high-water  "
expect_line "$tmp/transcript" '  stop  0 -> 1  idle  '
expect_line "$tmp/transcript" '  stop  1 -> 0  exit  '
no_control_bytes "$tmp/transcript"
expect_line "$tmp/replay.err" 'records of 2 groups, .* times as fast$'
[ "$(stat -c %a "$trace")" = 600 ] || fail "others may read the trace: mode $(stat -c %a "$trace")"
expect_line "$tmp/out" 'pfuse-bpf  trace  [0-9]+ packets, .*, in .*/t.pftrace'
say "   $result; $(tail -n1 "$tmp/replay.err")"
cp "$tmp/transcript" "$tmp/first"
replays "$trace"
cmp "$tmp/first" "$tmp/transcript" || fail "two replays differ"
replays --policy fusebox --quiet "$trace"

say "what another configuration would have decided"
cat >"$tmp/other.yaml" <<-END
	groups:
	  - match: "*hog"
	    ram: { floor: 300M }
	    freeze: off
	  - match: "*"
	    ram: { mode: observe }
	    freeze: off
END
"$pfuse" replay -c "$tmp/other.yaml" "$trace" >"$tmp/other" 2>"$tmp/replay.err" || fail "replay -c: status $?"
expect_line "$tmp/other" "^- .*  stop  0 -> 1  idle"
expect_no_line "$tmp/other" "^\+ .*  stop  0 -> 1"
expect_line "$tmp/other" "^\+ .*  $prefix-hog  ram  .* clamped"
expect_line "$tmp/other" '^ +projected +[0-9]+ +[0-9]+ '
expect_line "$tmp/other" '^A replay cannot know'
no_control_bytes "$tmp/other"

say "a trace that was cut is read to its last packet; one that is damaged is said to be"
head -c $(($(stat -c %s "$trace") - 3)) "$trace" >"$tmp/cut"
replays "$tmp/cut"
expect_line "$tmp/replay.err" 'ends inside a packet; read up to byte [0-9]+'
code=0
{ cat "$trace"; printf 'garbage'; } >"$tmp/damaged"
"$pfuse" replay --quiet "$tmp/damaged" >"$tmp/transcript" 2>"$tmp/replay.err" || code=$?
expect "status for a damaged trace" 1 $code
expect_line "$tmp/replay.err" 'damaged at byte [0-9]+: bytes that are no packet; read up to there'
for file in /dev/null /proc/self/status "$tmp/none"; do
	code=0
	"$pfuse" replay "$file" >"$tmp/transcript" 2>"$tmp/replay.err" || code=$?
	expect "status for $file" 1 $code
	one_line "$tmp/replay.err"
done

if thorough "killed: what was flushed is there"; then
	start_daemon -c "$config" --trace "$trace" "$(group hog)"
	nap "$(fast 1 4)"
	double_kill
	"$pfuse" restore --ledger "$ledger" >/dev/null
	replays "$trace"
	expect_that "verdicts before the kill" [ "$(verdicts)" -ge 1 ]
fi

if thorough "a full disk: said once, and the run goes on"; then
	start_daemon -c "$config" --trace /dev/full "$(group hog)"
	must_come "$(fast 5 30)" "the message" grep -q 'the trace ends here, going on without' "$tmp/err"
	nap "$(fast 0.5 2)"
	stop_daemon
	expect "messages" 2 "$(wc -l <"$tmp/err")"
	expect_line "$tmp/err" '/dev/full: cannot be written \(No space left on device\)'
	expect_line "$tmp/err" '[0-9]+ packets are not in the trace'
fi

say "the flight recorder: nothing before it is asked for, then the last moments"
rm -f "$trace"
start_daemon -c "$config" --trace "$trace" --flight 1s "$(group hog)" "$(group 'sleeper <b>"')"
nap "$(fast 3 6)" # so that the recorder has begun anew, with the states of then
[ ! -e "$trace" ] || fail "the flight recorder wrote at once"
kill -USR2 "$daemon"
must_come "$(fast 5 30)" "the file" [ -s "$trace" ]
must_come "$(fast 5 30)" "the note" grep -q 'asked for: the last moments are in the trace' "$tmp/out"
replays "$trace"
if thorough "a process that is killed for want of memory has it written, too"; then
	rm "$trace"
	new_group victim
	set_limit victim $((32 * MiB))
	echo 0 >"$(file_of victim memory.swappiness memory.swap.max)" 2>/dev/null || true # what has swap needs no kill
	stop_daemon
	printf 'policy: fusebox\ngroups:\n  - match: "*"\n    ram: { mode: observe }\n    freeze: off\n' >"$tmp/observe.yaml"
	start_daemon -c "$tmp/observe.yaml" --trace "$trace" --flight 1s "$(group victim)"
	in_group victim "$bin/hog" 10 200 >/dev/null 2>&1 && fail "nobody was killed"
	must_come 5 "the file" [ -s "$trace" ]
	expect_line "$tmp/out" 'a process was killed: out of memory: the last moments are in the trace'
	"$pfuse" replay -q "$trace" >/dev/null || fail "it does not replay"
	grep -qaF 'oom-victim' "$trace" || fail "the kill is not in it"
fi
stop_daemon
! is_dead "$sleeper" || fail "the sleeper died"
say "ok"
