#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The daemon is killed with 100 groups, half of them stopped and half limited: the keeper continues and
# restores all of them; without the keeper, `pfuse-bpf restore` or the next run does.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

MiB=1048576
within_ms=$(fast 1000 10000)
enable_memory "$memory"

# Groups KIND0…, each with a limit and a process in it; their pids in ${sleepers[@]}
sleepers=()
make_groups() { # KIND COUNT
	local i
	for ((i = 0; i < $2; i++)); do
		new_group "$1$i"
		set_limit "$1$i" $((256 * MiB))
		(enter "$1$i" && exec sleep 1000) &
		sleepers+=($!)
		pids+=($!)
	done
}

# Half of them (stop…) are stopped when idle, the others (low…) only limited.
config() {
	cat >"$tmp/kill9.yaml" <<-END
		policy: fusebox
		interval: $(fast 200ms 1s)
		stop: $1
		groups:
		  - match: "*$prefix-stop*"
		    freeze: isolated
		    idle: $quick_idle
		    window: $quick_idle
		    deadline: 600s
		  - match: "*"
		    freeze: off
	END
}

# All controls of all groups, and the state of all processes, in a few processes.
limits() {
	cat "$memory/$prefix-low"*/memory.{limit_in_bytes,max,high} 2>/dev/null
}
snapshot() {
	grep -H . "$memory/$prefix"-*/memory.{limit_in_bytes,memsw.limit_in_bytes,max,high} 2>/dev/null
	grep -H oom_kill_disable "$memory/$prefix"-*/memory.oom_control 2>/dev/null
	if [ -n "$v2" ]; then grep -H . "$v2/$prefix"-*/cgroup.freeze; fi
	awk '{ sub(/.*\) /, ""); print FILENAME, $1 == "T" ? "stopped" : "runs" }' "${sleepers[@]/%//stat}"
}
snapshot_here() { (cd /proc && snapshot) || true; }

frozen_count() { cat "$v2/$prefix-stop"*/cgroup.events | grep -c 'frozen 1'; }
signalled_count() { (cd /proc && awk '{ sub(/.*\) /, ""); if ($1 == "T") n++ } END { print n + 0 }' "${sleepers[@]/%//stat}"); }
all_done() { # MODE COUNT: stopped, and every limit lowered
	local stopped
	if [ "$1" = freeze ]; then stopped=$(frozen_count); else stopped=$(signalled_count); fi
	[ "$stopped" = "$2" ] && ! limits | grep -qx $((256 * MiB))
}

# begin MODE COUNT: groups as before, a daemon, all groups stopped or limited
begin() {
	local names=() i
	config "$1"
	for ((i = 0; i < $2; i++)); do names+=("$prefix-stop$i" "$prefix-low$i"); done
	snapshot_here >"$tmp/before"
	start_daemon -c "$tmp/kill9.yaml" "${names[@]}"
	must_come "$(fast 20 100)" "$2 groups stopped by $1 and $2 limited" all_done "$1" "$2"
}

as_before() {
	snapshot_here >"$tmp/after"
	diff "$tmp/before" "$tmp/after" >"$tmp/diff" ||
		fail "$1: not as before (< before, > after): $(head -5 "$tmp/diff")"
}

kill_and_keep() { # MODE COUNT
	local keeper began took
	begin "$1" "$2"
	keeper=$(keeper_of "$daemon")
	began=$(now_ms)
	kill -KILL "$daemon"
	must_come "$(fast 10 60)" "end of the keeper" not alive "$keeper"
	took=$(($(now_ms) - began))
	wait "$daemon" 2>/dev/null || true
	as_before "kill -9 of the daemon, stopped by $1"
	[ ! -e "$ledger" ] || fail "the ledger is left"
	expect_line "$tmp/err" "pfuse-keeper: pfuse-bpf died; restored [1-9][0-9]*,.* failed 0, damaged 0"
	say "   $((2 * $2)) groups restored in $took ms"
	expect_that "ms until all is restored" [ "$took" -le "$within_ms" ]
}

count=$(fast 50 5)
make_groups stop "$count"
make_groups low "$count"

if can_freeze; then
	say "kill -9 of the daemon, $((2 * count)) groups, half of them frozen"
	kill_and_keep freeze "$count"
else
	say "(no cgroup v2 here: nothing can be frozen)"
fi
if ! can_freeze || thorough "the same, half of them stopped by SIGSTOP"; then
	kill_and_keep signal "$count"
fi

mode=signal # in a slow guest each way of stopping has one turn
[ -n "$slow" ] || ! can_freeze || mode=freeze
few=$(fast 50 3)
say "kill -9 of the keeper, then of the daemon; somebody changes a limit; then restore"
begin $mode "$few"
double_kill
expect_that "everything is as the daemon left it" all_done $mode "$few"
set_limit low1 $((200 * MiB))
began=$(now_ms)
"$pfuse" restore --ledger "$ledger" >"$tmp/out" 2>"$tmp/err" || fail "restore: exit status $?"
took=$(($(now_ms) - began))
say "   restored in $took ms"
expect_that "ms that restore took" [ "$took" -le "$within_ms" ]
expect "the limit that somebody else set" $((200 * MiB)) "$(limit_of low1)"
expect_line "$tmp/out" "^memory.(limit_in_bytes|max) of $prefix-low1 in .*: somebody else changed it to $((200 * MiB)); left alone, it was $((256 * MiB)) before"
expect_line "$tmp/out" '^restored .*changed by others and left alone 1'
[ ! -e "$ledger" ] || fail "the ledger is left"
# Of the group that somebody else changed, the rest is back too: only its limit differs.
snapshot_here >"$tmp/after"
diff "$tmp/before" "$tmp/after" | grep '^[<>]' | grep -vE "low1/memory.(limit_in_bytes|max):" >"$tmp/diff" || true
[ ! -s "$tmp/diff" ] || fail "restore: not as before: $(head -5 "$tmp/diff")"
set_limit low1 $((256 * MiB))
as_before "restore"

if thorough "the same, while the keeper restores"; then
	begin $mode "$few"
	set_limit low1 $((200 * MiB))
	keeper=$(keeper_of "$daemon")
	kill -KILL "$daemon"
	must_come "$(fast 10 60)" "end of the keeper" not alive "$keeper"
	wait "$daemon" 2>/dev/null || true
	expect "the limit that somebody else set" $((200 * MiB)) "$(limit_of low1)"
	expect_line "$tmp/err" "of $prefix-low1 in .*: somebody else changed it to $((200 * MiB)); left alone"
	set_limit low1 $((256 * MiB))
	as_before "keeper beside a foreign limit"
fi

say "a second run restores first, and says so"
begin $mode "$few"
double_kill
"$pfuse" run -q --ledger "$ledger" -c "$tmp/kill9.yaml" --for 1ms "$prefix-low0" >"$tmp/out" 2>"$tmp/err" ||
	fail "the second run: exit status $?"
expect_line "$tmp/err" 'an earlier run was killed; restoring'
as_before "second run"

if thorough "a keeper that is killed is replaced"; then
	begin $mode "$few"
	keeper=$(keeper_of "$daemon")
	kill -KILL "$keeper"
	must_come "$(fast 5 30)" "a line about it" grep -q 'the keeper was killed; started another' "$tmp/err"
	keeper=$(keeper_of "$daemon")
	kill -KILL "$daemon"
	must_come "$(fast 10 60)" "end of the second keeper" not alive "$keeper"
	wait "$daemon" 2>/dev/null || true
	as_before "the second keeper"
fi

say "COMMAND goes on where it came from"
start_daemon -- sleep 1000
command=$(grep -vx "$(keeper_of "$daemon")" <(tr ' ' '\n' <"/proc/$daemon/task/$daemon/children") | grep . | head -1)
must_come "$(fast 5 30)" "COMMAND" grep -qx sleep "/proc/$command/comm"
pids+=("$command")
expect_that "COMMAND is in its group" grep -q "/pfuse/run-$daemon$" "/proc/$command/cgroup"
keeper=$(keeper_of "$daemon")
kill -KILL "$daemon"
must_come "$(fast 10 60)" "end of the keeper" not alive "$keeper"
expect "cgroups of COMMAND" "$(cgroups_of $$)" "$(cgroups_of "$command")"
[ ! -e "$memory/pfuse/run-$daemon" ] || fail "the group of COMMAND is left"
say "ok"
