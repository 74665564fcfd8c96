#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Growth by 400 MiB in one step under a limit of 64 MiB: nobody is killed, because the limit follows
# the event, and because a net holds for as long as the daemon is late.
#
# The interval is longer than the test: no sample can be what raised a limit.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

MiB=1048576
cat >"$tmp/slow.yaml" <<'END'
policy: fusebox
interval: 60s
groups:
  - match: "*"
    freeze: off
END

# start_hog GROUP ARGUMENT...: waits for a line through $tmp/GROUP.go; its words in $tmp/GROUP.hog
start_hog() {
	local name=$1
	shift
	new_group "$name"
	set_limit "$name" $((64 * MiB))
	controls_of "$(group "$name")" >"$tmp/$name.before"
	mkfifo "$tmp/$name.go"
	spawn "$name" "$bin/hog" --on-line "$@" <>"$tmp/$name.go" >"$tmp/$name.hog"
	echo "$spawned" >"$tmp/$name.pid"
	must_come "$(fast 10 60)" "start of hog" grep -q '^at' "$tmp/$name.hog"
}
go() { echo go >"$tmp/$1.go"; }

# hog_lived GROUP TO
hog_lived() {
	local pid code=0
	pid=$(<"$tmp/$1.pid")
	wait_for "$(fast 20 100)" is_dead "$pid" ||
		fail "hog in $1: did not finish; it uses $(($(usage_of "$1") / MiB)) of $(limit_of "$1")"
	wait "$pid" || code=$?
	expect "exit status of hog in $1" 0 "$code"
	grep -q "^at $2," "$tmp/$1.hog" || fail "hog in $1: expected to reach $2 MiB, saw $(cat "$tmp/$1.hog")"
	expect "OOM kills in $1" 0 "$(oom_kills_of "$1")"
}

as_before() { expect "controls of $1 after the run" "$(cat "$tmp/$1.before")" "$(controls_of "$(group "$1")")"; }

# by_event INDEX LEAST: growths that were measured from an event
by_event() {
	local count
	count=$(json "$tmp/s.json" groups "$1" limit_latency count)
	expect_that "limits raised by an event (no sample was taken)" [ "$count" -ge "$2" ]
	say "   $count limits by event: p50 $(json "$tmp/s.json" groups "$1" limit_latency p50_us) us, p99 $(json "$tmp/s.json" groups "$1" limit_latency p99_us) us"
}

start() { start_daemon -c "$tmp/slow.yaml" --summary "$tmp/s.json" "$@"; }

say "10 -> 410 MiB in one step"
start_hog step 10 410
start "$(group step)"
go step
hog_lived step 410
stop_daemon
as_before step
by_event 0 3
peak=$(json "$tmp/s.json" groups 0 usage_peak_mib)
expect_that "peak usage in MiB, which only events saw" [ "${peak%.*}" -ge 200 ]
expect_line "$tmp/out" 'usage crossed the high-water mark'
say "   $(tail -1 "$tmp/step.hog")"

say "the same without faults of user mode (MAP_POPULATE)"
to=$(fast 410 110)
start_hog populate --populate 10 "$to"
start "$(group populate)"
go populate
hog_lived populate "$to"
stop_daemon
as_before populate
by_event 0 1

say "the daemon sleeps for 2 s while it grows: the net holds"
to=$(fast 410 130)
start_hog late 10 "$to"
start "$(group late)"
kill -STOP "$daemon"
go late
sleep 2
# With swap, the brake makes it swap: then it may even have got to the end.
! grep -q '^SwapTotal: *0 kB' /proc/meminfo || expect_that "hog lives" not is_dead "$(<"$tmp/late.pid")"
expect "OOM kills while the daemon sleeps" 0 "$(oom_kills_of late)"
expect_that "usage while the daemon sleeps" [ "$(usage_of late)" -lt $((160 * MiB)) ]
say "   after 2 s it uses $(($(usage_of late) / MiB)) MiB"
kill -CONT "$daemon"
hog_lived late "$to"
stop_daemon
as_before late

if thorough "it still uses more than its old limit when we leave: said, kept in the ledger, restored later"; then
	start_hog large 10 200 0 0 1000
	start "$(group large)"
	go large
	must_come "$(fast 20 100)" "growth to 200 MiB" grep -q '^at 200' "$tmp/large.hog"
	swap=$(wc -l </proc/swaps)
	kill -TERM "$daemon"
	wait_daemon
	expect_that "hog lives" not is_dead "$(<"$tmp/large.pid")"
	expect "OOM kills" 0 "$(oom_kills_of large)"
	if is_v1 && [ "$swap" -gt 1 ] && [ "$status" = 0 ]; then
		say "   (with swap, this kernel took the old limit back at once)"
	else
		expect "exit status" 1 "$status"
		one_line "$tmp/err"
		expect_line "$tmp/err" "of $prefix-large in .*: the group uses more than the 67108864 of before; left as it is|which would kill; left as it"
		[ -e "$ledger" ] || fail "the ledger is gone, although something is to be restored"
	fi
	kill "$(<"$tmp/large.pid")"
	must_come "$(fast 5 30)" "end of hog" is_dead "$(<"$tmp/large.pid")"
	[ "$status" = 0 ] || "$pfuse" restore --ledger "$ledger" >"$tmp/out" 2>"$tmp/err" || fail "restore: exit status $?"
	as_before large
	[ ! -e "$ledger" ] || fail "the ledger is left"
fi

many=$(fast 6 2) to=$(fast 300 120) names=() groups=()
say "$many at once, 10 -> $to MiB each"
for ((i = 0; i < many; i++)); do
	start_hog "many$i" 10 "$to"
	names+=("many$i") groups+=("$(group "many$i")")
done
start "${groups[@]}"
for name in "${names[@]}"; do go "$name"; done
for ((i = 0; i < many; i++)); do hog_lived "many$i" "$to"; done
stop_daemon
for ((i = 0; i < many; i++)); do
	as_before "many$i"
	by_event "$i" 2
done

if [ -z "$slow" ]; then
	say "1 GiB/s for a second"
	start_hog fast 10 1034 1024
	start "$(group fast)"
	go fast
	hog_lived fast 1034
	stop_daemon
	as_before fast
	by_event 0 5
	say "   $(tail -1 "$tmp/fast.hog")"
fi
say "ok"
