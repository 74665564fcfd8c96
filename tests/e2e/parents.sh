#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Parents: who looks after his child sees it stopped by a signal, and continues or kills it; of a
# freeze he is told nothing.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

patience=$(fast 10 60)
hold=$(fast 1 3) # s for which a stop lasts that nobody ends
declare -A supervisors children # by the name of the group

# into_groups: a command that enters the groups it is given, then sleeps: the parent stays outside
# shellcheck disable=SC2016
into_groups='for dir; do echo $$ >"$dir/cgroup.procs"; done; exec sleep 1000'

# supervise NAME MODE: a supervisor outside, its child in the group NAME
supervise() {
	local name=$1 dirs supervisor child
	new_group "$name"
	dirs=("$memory/$(group "$name")")
	[ -z "$twin" ] || dirs+=("$twin/$(group "$name")")
	"$bin/supervisor" "$2" "$tmp/$name.pid" bash -c "$into_groups" - "${dirs[@]}" >"$tmp/$name.json" 2>"$tmp/err" &
	supervisor=$!
	pids+=("$supervisor")
	must_come "$patience" "a child" [ -s "$tmp/$name.pid" ]
	child=$(<"$tmp/$name.pid")
	pids+=("$child")
	supervisors[$name]=$supervisor children[$name]=$child
	must_come "$patience" "the child in its group" sleeps_inside "$name"
}
sleeps_inside() { is_inside "$1" "${children[$1]}" && [ "$(<"/proc/${children[$1]}/comm")" = sleep ]; }

# seen NAME KEY: what its supervisor noticed, once it has ended
seen() { json "$tmp/$1.json" "$2"; }
end_supervisor() { # NAME
	local supervisor=${supervisors[$1]}
	kill -TERM "$supervisor" 2>/dev/null || true
	must_come "$patience" "end of the supervisor of $1" is_dead "$supervisor"
	wait "$supervisor" || fail "the supervisor of $1 failed"
}
stops() { grep -cE "  $prefix-$1  stop  running -> stopped .* done in " "$tmp/out" || true; }
has_stopped() { [ "$(stops "$1")" -ge "$2" ]; }

if can_freeze; then
	say "--stop freeze: parents that would continue or kill their child notice nothing"
	for mode in continue kill; do supervise "freeze-$mode" $mode; done
	start_daemon --stop freeze -c "$(quick_config)" "$(group freeze-continue)" "$(group freeze-kill)"
	for name in freeze-continue freeze-kill; do must_come "$patience" "freeze of $name" is_frozen $name; done
	nap "$hold"
	for name in freeze-continue freeze-kill; do
		expect_that "$name is frozen" is_frozen $name
		expect_that "the child of $name lives" not is_dead "${children[$name]}"
	done
	stop_daemon
	for name in freeze-continue freeze-kill; do
		expect_that "$name runs" not is_frozen $name
		end_supervisor $name
		expect "stops that the parent of $name saw" 0 "$(seen $name stopped)"
		expect "continues that the parent of $name saw" 0 "$(seen $name continued)"
		expect "stops of $name by the daemon" 1 "$(stops $name)"
	done
fi

say "--stop signal: a parent that only watches, one that continues its child, one that kills it"
for mode in watch continue kill; do supervise $mode $mode; done
start_daemon --stop signal -c "$(quick_config)" "$(group watch)" "$(group continue)" "$(group kill)"
must_come "$patience" "stop" is_signalled "${children[watch]}"
must_come "$patience" "stop" has_stopped continue 1
must_come "$patience" "SIGCONT by the parent" not is_signalled "${children[continue]}"
minds='  the parent of pid [0-9]+ minds that it was stopped: no signals any more'
must_come "$patience" "a line that says so" grep -qE "$prefix-continue$minds" "$tmp/out"
must_come "$patience" "a refusal" grep -q "$prefix-continue  .*left alone: a parent in it minds signals; said once" "$tmp/out"
must_come "$patience" "death of the child" is_dead "${children[kill]}"
nap "$hold"
expect_that "who is only watched is stopped" is_signalled "${children[watch]}"
expect "stops by the daemon of who is continued" 1 "$(stops continue)"
expect "lines that say so" 1 "$(grep -cE "$prefix-continue$minds" "$tmp/out")"
expect_that "who is continued runs" not is_signalled "${children[continue]}"
stop_daemon
for name in watch continue kill; do end_supervisor $name; done
expect "stops that the watching parent saw" 1 "$(seen watch stopped)"
expect "continues that the watching parent saw" 1 "$(seen watch continued)"
expect_that "stops that the continuing parent saw" [ "$(seen continue stopped)" -ge 1 ]
expect_that "continues that the continuing parent saw" [ "$(seen continue continued)" -ge 1 ]
expect "stops that the killing parent saw" 1 "$(seen kill stopped)"
expect "the signal that ended the child" 9 "$(seen kill ended_by)"
say "ok"
