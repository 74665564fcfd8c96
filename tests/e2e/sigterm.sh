#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Signals to the daemon, and what it tells a service manager.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

MiB=1048576
new_group idle
set_limit idle $((256 * MiB))
spawn idle sleep 1000
controls_of "$(group idle)" >"$tmp/before"

is_stopped() { grep -q 'running -> stopped' "$tmp/out"; }
stopped_and_limited() { is_stopped && [ "$(limit_of idle)" != $((256 * MiB)) ]; }
as_before() {
	expect "controls after $1" "$(cat "$tmp/before")" "$(controls_of "$(group idle)")"
	expect_that "the process runs" not is_signalled "$spawned"
	[ ! -e "$ledger" ] || fail "the ledger is left after $1"
}

for signal in $(fast 'TERM INT' INT); do
	say "SIG$signal: everything is restored, the summary is printed, exit 0"
	rm -f "$tmp/s.json"
	start_daemon -c "$(quick_config)" --summary "$tmp/s.json" "$(group idle)"
	must_come "$(fast 10 60)" "stop and limit of the idle group" stopped_and_limited
	is_signalled "$spawned" || is_frozen idle || fail "the group is said to be stopped, but runs"
	kill -"$signal" "$daemon"
	wait_daemon
	expect "exit status after SIG$signal" 0 "$status"
	as_before "SIG$signal"
	expect_line "$tmp/out" 'stopped -> running  we leave'
	expect_line "$tmp/out" '^GROUP|^group'
	expect "wakes by exit" 1 "$(json "$tmp/s.json" groups 0 wakes exit)"
done

say "sd_notify: READY when it watches, STOPPING before it undoes; the watchdog is fed"
"$bin/notified" "$tmp/notify" >"$tmp/notified" &
pids+=($!)
must_come "$(fast 5 30)" "listener" grep -q listening "$tmp/notified"
export NOTIFY_SOCKET=$tmp/notify WATCHDOG_USEC=2000000
start_daemon -c "$(quick_config)" "$(group idle)"
must_come "$(fast 5 30)" "READY" grep -q '^READY=1' "$tmp/notified"
must_come "$(fast 5 30)" "a sign of life" grep -q '^WATCHDOG=1' "$tmp/notified"
expect_no_line "$tmp/notified" STOPPING
stop_daemon
must_come "$(fast 5 30)" "STOPPING" grep -q '^STOPPING=1' "$tmp/notified"
unset NOTIFY_SOCKET WATCHDOG_USEC
as_before "notifications"

config() { # IDLE
	cat >"$tmp/live.yaml" <<-END
		policy: fusebox
		interval: $(fast 100ms 500ms)
		groups:
		  - match: "*"
		    idle: $1
		    window: $quick_idle
		    deadline: 10m
	END
}
say "SIGHUP: a bad configuration is refused, the old one holds"
config 1h
start_daemon -c "$tmp/live.yaml" "$(group idle)"
printf 'policy: fusebox\ninterval: 100ms\ngroups:\n  - match: "*"\n    idle: soon\n' >"$tmp/live.yaml"
kill -HUP "$daemon"
must_come "$(fast 5 30)" "a line about it" grep -q holds "$tmp/err"
one_line "$tmp/err"
expect_line "$tmp/err" 'live.yaml:5: idle: "soon" is not allowed.*the old configuration holds'
sleep "$(fast 1 5)"
expect_no_line "$tmp/out" 'running -> stopped'
say "SIGHUP: a good one is applied"
config "$quick_idle"
kill -HUP "$daemon"
must_come "$(fast 10 60)" "stop by the new configuration" is_stopped
say "SIGHUP: what the new one does not allow any more ends"
printf 'policy: fusebox\ngroups:\n  - match: "*"\n    freeze: off\n' >"$tmp/live.yaml"
kill -HUP "$daemon"
must_come "$(fast 10 60)" "continue by the new configuration" grep -q 'stopped -> running' "$tmp/out"
one_line "$tmp/err"
say "SIGHUP: another way to stop"
printf 'stop: signal\n' | cat - <(config "$quick_idle"; cat "$tmp/live.yaml") >"$tmp/new.yaml"
mv "$tmp/new.yaml" "$tmp/live.yaml"
kill -HUP "$daemon"
must_come "$(fast 10 60)" "stop by signal" is_signalled "$spawned"
one_line "$tmp/err"
stop_daemon
as_before "SIGHUP"
say "ok"
