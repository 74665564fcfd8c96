#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# A group that does nothing costs nothing: once it is settled, the daemon does not wake up at all.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

switches() { awk '/^voluntary_ctxt_switches/ { print $2 }' "/proc/$daemon/status"; }

# is_settled: no switch in 1.5 s, that is in seven intervals or more
is_settled() {
	local before
	before=$(switches)
	sleep "$(fast 1.5 4)"
	[ "$(switches)" = "$before" ]
}

quiet() { # WHAT
	local before woken
	must_come "$(fast 15 60)" "settling: $1" is_settled
	before=$(switches)
	sleep 5
	woken=$(($(switches) - before))
	say "   $1: $woken wake-ups in 5 s"
	expect_that "wake-ups in 5 s, $1" [ "$woken" -le 1 ]
}

config() { # FREEZE
	cat >"$tmp/quiet.yaml" <<-END
		policy: fusebox
		interval: $(fast 200ms 500ms)
		groups:
		  - match: "*"
		    freeze: $1
		    idle: $quick_idle
		    window: $quick_idle
		    deadline: 1h
	END
	echo "$tmp/quiet.yaml"
}

names=()
last=$(fast 4 1)
for ((i = 0; i <= last; i++)); do
	new_group "g$i"
	set_limit "g$i" 268435456
	spawn "g$i" sleep 1000
	names+=("$(group "g$i")")
done

start_daemon -c "$(config off)" --summary "$tmp/s.json" "${names[@]}"
quiet "idle groups that may not be stopped"
in_group g1 true # something happens: it is seen
must_come "$(fast 5 30)" "settling again" is_settled
stop_daemon
wakeups=$(json "$tmp/s.json" daemon wakeups) seconds=$(json "$tmp/s.json" daemon seconds)
say "   $wakeups wake-ups in $seconds s, $(json "$tmp/s.json" daemon events) events"
expect_that "it woke up while there was something to do" [ "$wakeups" -gt 3 ]

start_daemon -c "$(config isolated)" --summary "$tmp/s.json" "${names[@]}"
quiet "stopped groups"
stop_daemon
for ((i = 0; i <= last; i++)); do
	expect "times that g$i was stopped" 1 "$(json "$tmp/s.json" groups $i decisions stopped)"
done
say "ok"
