#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Parents: who looks after his child sees it stopped by a signal, and continues or kills it; of a
# freeze he is told nothing.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

patience=$(fast 10 60)
hold=$(fast 1 3) # s for which a stop lasts that nobody ends
supervisor=''
child=''

# into_groups: a command that enters the groups it is given, then sleeps: the parent stays outside
# shellcheck disable=SC2016
into_groups='for dir; do echo $$ >"$dir/cgroup.procs"; done; exec sleep 1000'

# supervise NAME MODE: a supervisor outside, its child in the group NAME
supervise() {
	local name=$1 dirs
	new_group "$name"
	dirs=("$memory/$(group "$name")")
	[ -z "$twin" ] || dirs+=("$twin/$(group "$name")")
	"$bin/supervisor" "$2" "$tmp/$name.pid" bash -c "$into_groups" - "${dirs[@]}" >"$tmp/$name.json" 2>"$tmp/err" &
	supervisor=$!
	pids+=("$supervisor")
	must_come "$patience" "a child" [ -s "$tmp/$name.pid" ]
	child=$(<"$tmp/$name.pid")
	pids+=("$child")
	must_come "$patience" "the child in its group" sleeps_inside "$name"
}
sleeps_inside() { is_inside "$1" "$child" && [ "$(<"/proc/$child/comm")" = sleep ]; }

# seen NAME KEY: what its supervisor noticed, once it has ended
seen() { json "$tmp/$1.json" "$2"; }
end_supervisor() {
	kill -TERM "$supervisor" 2>/dev/null || true
	must_come "$patience" "end of the supervisor" is_dead "$supervisor"
	wait "$supervisor" || fail "the supervisor failed"
}
stops() { grep -cE '  stop  running -> stopped .* done in ' "$tmp/out" || true; }
has_stopped() { [ "$(stops)" -ge "$1" ]; }

if can_freeze; then
	for mode in continue kill; do
		say "--stop freeze: a parent that would $mode its child notices nothing"
		supervise "freeze-$mode" $mode
		start_daemon --stop freeze -c "$(quick_config)" "$(group "freeze-$mode")"
		must_come "$patience" "freeze" is_frozen "freeze-$mode"
		nap "$hold"
		expect_that "the group is frozen" is_frozen "freeze-$mode"
		expect_that "the child lives" not is_dead "$child"
		stop_daemon
		expect_that "the group runs" not is_frozen "freeze-$mode"
		end_supervisor
		expect "stops that the parent saw" 0 "$(seen "freeze-$mode" stopped)"
		expect "continues that the parent saw" 0 "$(seen "freeze-$mode" continued)"
		expect "stops by the daemon" 1 "$(stops)"
	done
fi

say "--stop signal: a parent that only watches sees both the stop and the continue"
supervise watch watch
start_daemon --stop signal -c "$(quick_config)" "$(group watch)"
must_come "$patience" "stop" is_signalled "$child"
nap "$hold"
expect_that "the child is stopped" is_signalled "$child"
stop_daemon
end_supervisor
expect "stops that the parent saw" 1 "$(seen watch stopped)"
expect "continues that the parent saw" 1 "$(seen watch continued)"

say "--stop signal: a parent that continues its child"
supervise continue continue
start_daemon --stop signal -c "$(quick_config)" "$(group continue)"
must_come "$patience" "stop" has_stopped 1
must_come "$patience" "SIGCONT by the parent" not is_signalled "$child"
minds='  the parent of pid [0-9]+ minds that it was stopped: no signals any more'
must_come "$patience" "a line that says so" grep -qE "$minds" "$tmp/out"
must_come "$patience" "a refusal" grep -q 'left alone: a parent in it minds signals; said once' "$tmp/out"
nap "$hold"
expect "stops by the daemon" 1 "$(stops)"
expect "lines that say so" 1 "$(grep -cE "$minds" "$tmp/out")"
expect_that "the child runs" not is_signalled "$child"
stop_daemon
end_supervisor
expect_that "stops that the parent saw" [ "$(seen continue stopped)" -ge 1 ]
expect_that "continues that the parent saw" [ "$(seen continue continued)" -ge 1 ]

say "--stop signal: a parent that kills its child"
supervise kill kill
start_daemon --stop signal -c "$(quick_config)" "$(group kill)"
must_come "$patience" "death of the child" is_dead "$child"
stop_daemon
end_supervisor
expect "stops that the parent saw" 1 "$(seen kill stopped)"
expect "the signal that ended the child" 9 "$(seen kill ended_by)"
say "ok"
