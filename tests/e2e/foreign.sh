#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Somebody else writes the limits that the daemon has set: what is set again, what is let go, and what
# comes back at the end.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

MiB=1048576
patience=$(fast 20 100)
cat >"$tmp/foreign.yaml" <<END
policy: fusebox
interval: $(fast 100ms 500ms)
groups:
  - match: "*reapply"
    freeze: off
    foreign: reapply
  - match: "*letgo"
    freeze: off
    foreign: let_go
  - match: "*"
    freeze: off
END
for name in auto letgo reapply reset; do
	new_group $name
	set_limit $name $((256 * MiB))
	# It does a little all the time: a group that does nothing is not looked at.
	# shellcheck disable=SC2016
	spawn $name bash -c 'while :; do read -rt 0.1 _ <>"$0"; done' <(:)
done

# The limit in force: of v2, memory.high is the lower one while it is ours.
limit_file() { if is_v1; then echo memory.limit_in_bytes; else echo memory.high; fi; }
in_force() { cat "$memory/$(group "$1")/$(limit_file)"; }
# The lowest that the daemon goes: what is left to the floor is less than 1 % of the limit, which it does
# not write any more (core/arbiter.c: is_noise).
at_floor() {
	local limit
	limit=$(in_force "$1")
	[ "$limit" != max ] && [ "$limit" -ge $((16 * MiB)) ] && [ $((limit - 16 * MiB)) -lt $((limit / 100)) ]
}
changes() { grep -cE "^[^ ]+  $(group "$1")  ram" "$tmp/out" || true; }
changed() { [ "$(changes "$1")" -gt "$2" ]; }
before=$(in_force auto)

start_daemon -c "$tmp/foreign.yaml" "$(group auto)" "$(group letgo)" "$(group reapply)" "$(group reset)"
for name in auto letgo reapply reset; do
	must_come "$patience" "the lowest limit for $name" at_floor $name
done

say "another value: theirs from then on, and said; with reapply, ours again"
for name in auto letgo reapply; do echo $((100 * MiB)) >"$memory/$(group $name)/$(limit_file)"; done
must_come "$patience" "a line about letgo" \
	grep -qE "$(group letgo)  (its memory limit was changed by|ram .*left alone:) somebody else" "$tmp/out"
# Growth is what makes the daemon write, whatever the score says of an idle group.
for name in auto reapply; do
	in_group $name "$bin/hog" 1 96 0 0 600 >/dev/null 2>&1 &
	pids+=($!)
done
must_come "$patience" "a line about auto" \
	grep -qE "$(group auto)  ram .*left alone: somebody else changed it" "$tmp/out"
must_come "$patience" "a line about reapply" \
	grep -qE "$(group reapply)  ram .*over what somebody else had set" "$tmp/out"
expect "the limit of auto" $((100 * MiB)) "$(in_force auto)"
expect "the limit of letgo" $((100 * MiB)) "$(in_force letgo)"

say "the value from before us: set again after a pause"
told=$(changes reset)
echo "$before" >"$memory/$(group reset)/$(limit_file)"
must_come "$(fast 30 120)" "a limit of ours, again" changed reset "$told"
must_come "$patience" "the lowest limit, again" at_floor reset

say "at the end theirs stand, or come back"
stop_daemon
expect "the limit of auto" $((100 * MiB)) "$(in_force auto)"
expect "the limit of letgo" $((100 * MiB)) "$(in_force letgo)"
expect "the limit of reapply" $((100 * MiB)) "$(in_force reapply)"
expect "the limit of reset" "$before" "$(in_force reset)"
[ ! -e "$ledger" ] || fail "the ledger is left"
say "ok"
