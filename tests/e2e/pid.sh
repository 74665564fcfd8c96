#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Whose processes are managed. pid:N: into a group of its own and back, in place where it is alone, and whom we
# refuse; and who enters a group while the daemon starts.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

enable_memory "$memory"
new_group busy
new_group alone

cgroups() { cgroups_of "$1"; }
in_pfuse() { grep -q "/pfuse/pid-$1$" "/proc/$1/cgroup"; }

refused() { # STATUS SENTENCE GROUP
	status=0
	"$pfuse" run --ledger "$ledger" --for 1s "$3" >"$tmp/out" 2>"$tmp/err" </dev/null || status=$?
	expect "exit status for $3" "$1" "$status"
	one_line "$tmp/err"
	expect_line "$tmp/err" "$2"
	expect "output for $3" 0 "$(wc -c <"$tmp/out")"
	[ ! -e "$ledger" ] || fail "$3: a ledger is left"
}

say "a process beside others: moved with its children, and moved back; one alone in its group: in place"
spawn busy sleep 1000
other=$spawned
spawn busy bash -c 'sleep 1001 & sleep 1002 & wait'
subject=$spawned
children() { cat "/proc/$subject/task/$subject/children" 2>/dev/null; }
has_two() { [ "$(children | wc -w)" = 2 ]; }
must_come "$(fast 5 30)" "two children" has_two
read -r first second < <(children) || true # no newline at its end
before=$(cgroups "$subject")
spawn alone sleep 1000
alone=$spawned
alone_before=$(cgroups "$alone")
start_daemon -c "$(quick_config)" "pid:$subject" "pid:$alone"
for pid in "$subject" "$first" "$second"; do
	expect_that "pid $pid is in pfuse/pid-$subject" grep -q "/pfuse/pid-$subject$" "/proc/$pid/cgroup"
done
expect "cgroups of the neighbour" "$before" "$(cgroups "$other")"
expect "cgroups of who is alone, while it is managed" "$alone_before" "$(cgroups "$alone")"
for pid in "$subject" "$alone"; do
	must_come "$(fast 10 60)" "stop of the idle process $pid" grep -q "pid:$pid  stop  running -> stopped" "$tmp/out"
done
stop_daemon
expect "cgroups of who is alone, afterwards" "$alone_before" "$(cgroups "$alone")"
for pid in "$subject" "$first" "$second"; do
	expect "cgroups of pid $pid afterwards" "$before" "$(cgroups "$pid")"
	expect_that "pid $pid runs" not is_signalled "$pid"
done
[ ! -e "$memory/pfuse/pid-$subject" ] || fail "the group is left"
[ ! -e "$ledger" ] || fail "a ledger is left"

say "a process that enters while the daemon starts, after its first look at the group"
new_group late
(
	until [ -s "$ledger" ]; do :; done # old values are recorded before any program is loaded
	enter late
	exec sleep 1000
) <&0 &
late=$!
pids+=("$late")
start_daemon -c "$(quick_config)" "$(group late)"
must_come "$(fast 10 60)" "stop of the late process" grep -q "$(group late)  stop  running -> stopped" "$tmp/out"
stop_daemon
expect_that "the late process runs" not is_signalled "$late"
kill "$late"
must_come "$(fast 5 30)" "its end" is_dead "$late"

say "a process that ends meanwhile"
spawn busy sleep 1000
start_daemon "pid:$spawned"
kill "$spawned"
must_come "$(fast 5 30)" "its end" is_dead "$spawned"
stop_daemon
[ ! -e "$memory/pfuse/pid-$spawned" ] || fail "the group is left"

say "whom we refuse"
kthread=''
for stat in /proc/[0-9]*/stat; do # PF_KTHREAD is 0x200000
	read -r line <"$stat" 2>/dev/null || continue
	pid=${line%% *}
	read -r _ _ _ _ _ _ flags _ <<<"${line##*) }"
	if [ $((flags & 0x200000)) != 0 ]; then kthread=$pid; break; fi
done
refused 3 'pid:1 is never managed' pid:1
refused 3 'ancestor' "pid:$$"
if [ -n "$kthread" ]; then
	refused 3 'kernel thread' "pid:$kthread"
else
	say "(no kernel thread can be seen here)"
fi
refused 1 'no such process' pid:4194999
no_ids() {
	refused 1 'not a process id' pid:x
	refused 1 'not a process id' pid:-5
	refused 1 'not a process id' pid:0
	refused 1 'not a process id' "pid:${subject}x"
	refused 1 '.' pid:99999999999999999999
	refused 1 '.' "pid:$((subject + 4294967296))"
}
! thorough "what is no process id" || no_ids
say "ok"
