#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The guarded freezer: what wakes a group apart from data (tests/e2e/freezer.sh), and what is refused.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
can_freeze || skip "there is no cgroup v2 tree, so no cgroup.freeze"

patience=$(fast 10 60)
cat >"$tmp/guarded.yaml" <<END
policy: fusebox
interval: $(fast 50ms 500ms)
groups:
  - match: "*pulse"
    ram: { mode: off }
    freeze: guarded
    idle: $(fast 300ms 1s)
    probe: 100ms
    deadline: 2s
  - match: "*"
    ram: { mode: off }
    freeze: guarded
    idle: $(fast 300ms 1s)
    deadline: 10m
END
# lines NAME PATTERN: so many lines of the group's stop control
lines() { grep -cE "  $prefix-$1  stop  .*$2" "$tmp/out" || true; }
more_lines() { [ "$(lines "$1" "$2")" -gt "$3" ]; }
begin_with() { start_daemon -c "$tmp/guarded.yaml" --summary "$tmp/s.json" "$@"; }

say "a handled signal wakes its target, and the handler runs"
new_group handler
# shellcheck disable=SC2016
spawn handler bash -c 'trap "echo handled >$0" TERM; while :; do read -rt 1000 _ <>"$1"; done' "$tmp/handled" <(:)
handler=$spawned
begin_with "$(group handler)"
must_come "$patience" "freeze" is_frozen handler
kill -TERM "$handler"
must_come "$patience" "the handler's work" [ -s "$tmp/handled" ]
must_come "$patience" "a line that says why" more_lines handler 'stopped -> running  a signal came for it' 0
must_come "$patience" "freeze, again" more_lines handler 'running -> stopped' 1

say "a process that enters is not caught for long"
(enter handler && echo entered >"$tmp/entered") &
pids+=($!)
must_come "$patience" "its work" [ -s "$tmp/entered" ]
must_come "$patience" "a line that says why" more_lines handler 'stopped -> running  a process entered it' 0
must_come "$patience" "freeze, again" more_lines handler 'running -> stopped' 2
say "a fatal signal ends it at once"
kill -KILL "$handler"
must_come "$patience" "death" is_dead "$handler"
stop_daemon
expect "errors" "" "$(cat "$tmp/err")"
expect_that "wakes by signal" [ "$(json "$tmp/s.json" groups 0 wakes signal)" -ge 2 ]

say "a pulse at the deadline, and frozen again right after it"
new_group pulse
spawn pulse sleep 1000
begin_with "$(group pulse)"
must_come "$patience" "two pulses" more_lines pulse 'stopped -> running  stopped for as long as the deadline' 1
must_come "$patience" "freeze after them" more_lines pulse 'running -> stopped' 2
stop_daemon
expect_that "wakes by deadline" [ "$(json "$tmp/s.json" groups 0 wakes deadline)" -ge 2 ]

say "kill -9 of the daemon: what it froze runs again"
start_daemon -c "$tmp/guarded.yaml" "$(group handler)" "$(group pulse)"
spawn handler sleep 1000
sleeper=$spawned
must_come "$patience" "freeze" is_frozen handler
keeper=$(keeper_of "$daemon")
kill -KILL "$daemon"
must_come "$patience" "end of the keeper" not alive "$keeper"
wait "$daemon" 2>/dev/null || true
expect_that "frozen no more" not is_frozen handler
expect "cgroup.freeze" 0 "$(cat "$v2/$(group handler)/cgroup.freeze")"

say "a frozen group whose processes die, and that is removed, is let go"
start_daemon -c "$tmp/guarded.yaml" "$(group handler)" "$(group pulse)"
must_come "$patience" "freeze" is_frozen handler
kill -KILL "$sleeper"
must_come "$patience" "death" is_dead "$sleeper"
for root in $(roots); do
	must_come "$patience" "removal" rmdir "$root/$(group handler)"
done
must_come "$patience" "a line about it" grep -q "$prefix-handler  *the group was removed" "$tmp/out"
must_come "$patience" "freeze of the other" is_frozen pulse
stop_daemon
expect "errors" "" "$(cat "$tmp/err")"

say "shared memory with an outsider is refused, once, with both names"
new_group sharer
: >"$tmp/shared"
"$bin/chat" share "$tmp/shared" &
outsider=$!
pids+=("$outsider")
spawn sharer "$bin/chat" share "$tmp/shared"
begin_with "$(group sharer)"
refused="left alone: pid $spawned shares memory .* with pid $outsider outside"
must_come "$patience" "a refusal" more_lines sharer "$refused" 0
nap "$(fast 1 3)"
expect "refusals said" 1 "$(lines sharer "$refused")"
stop_daemon
expect "stops" 0 "$(json "$tmp/s.json" groups 0 decisions stopped)"
expect_that "refusals counted" [ "$(json "$tmp/s.json" groups 0 decisions refused)" -ge 1 ]
for pid in "$spawned" "$outsider"; do kill -KILL "$pid"; done
say "ok"
