#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The Signal Flag: who is idle and talks with nobody outside is stopped, and continues the moment that
# somebody talks to it; who talks or works is never stopped; what others stopped is not ours.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

for program in redis-server redis-cli; do
	command -v $program >/dev/null || skip "$program is not installed"
done
patience=$(fast 10 60)

# redis NAME: a server in the group NAME, at $tmp/NAME.sock and at $port
port=$((20000 + $$ % 20000))
redis() {
	new_group "$1"
	port=$((port + 1))
	spawn "$1" redis-server --port $port --bind 127.0.0.1 --unixsocket "$tmp/$1.sock" --dir "$tmp" \
		--save '' --appendonly no --hz 1 --dynamic-hz no --daemonize no >"$tmp/$1.log"
	must_come "$patience" "redis in $1" answers "$1"
}
answers() { [ "$(timeout "$patience" redis-cli -s "$tmp/$1.sock" ping 2>/dev/null)" = PONG ]; }
ask() { timeout "$(fast 15 60)" redis-cli "$@" || echo "no answer (status $?)"; }

# line NAME PATTERN: so many decisions of the group
lines() { grep -cE "  $prefix-$1  stop  .*$2" "$tmp/out" || true; }
more_lines() { [ "$(lines "$1" "$2")" -gt "$3" ]; }
day_ms=86400000
ms_of() { # PATTERN: time of day of the first such line
	local h m s ms
	IFS=:. read -r h m s ms _ < <(grep -m1 -E "$1" "$tmp/out" | cut -c1-12)
	echo $((((10#$h * 60 + 10#$m) * 60 + 10#$s) * 1000 + 10#$ms))
}
ms_now() { # the same of now
	local us=$EPOCHREALTIME h m s
	IFS=: read -r h m s < <(printf '%(%H:%M:%S)T\n' "${us%[.,]*}")
	us=${us#*[.,]}
	echo $((((10#$h * 60 + 10#$m) * 60 + 10#$s) * 1000 + 10#${us::3}))
}
is_stopped() { # PID GROUP
	case $mode in
	freeze) is_frozen "$2" ;;
	*) is_signalled "$1" ;;
	esac
}

cat >"$tmp/flag.yaml" <<END
policy: fusebox
interval: $(fast 100ms 2s)
groups:
  - match: "*-talker"
    idle: $(fast 1s 4s)
    window: $(fast 1s 4s)
  - match: "*-among-*" # their messages come more often than the window is long
    idle: $(fast 300ms 4s)
    window: $(fast 300ms 4s)
    deadline: 10m
  - match: "*"
    idle: $quick_idle
    window: $quick_idle
    deadline: 10m
END

redis server
server=$spawned server_port=$port
redis talker
mkfifo "$tmp/never"
new_group busy
# shellcheck disable=SC2016
spawn busy bash -c 'while :; do for ((i = 0; i < 20000; i++)); do :; done; read -rt 0.05 _ <>"$0" || :; done' "$tmp/never"
among=()
for kind in unix tcp; do
	new_group "among-$kind"
	spawn "among-$kind" "$bin/chat" "$kind" "$(fast 100 2000)"
	among+=("$spawned")
done
(exec redis-cli -s "$tmp/talker.sock" -r -1 -i 0.1 ping >/dev/null 2>&1) &
pids+=($!)

# In a slow guest one way to stop is enough: parents.sh stops by signals there.
modes=(signal)
! can_freeze || modes=(freeze)
! can_freeze || ! thorough "both ways to stop" || modes=(freeze signal)
for mode in "${modes[@]}"; do
	say "--stop $mode: an idle server is stopped, so are those who talk among themselves"
	launched=$(ms_now)
	start_daemon --stop "$mode" -c "$tmp/flag.yaml" --summary "$tmp/s.json" "$(group server)" \
		"$(group talker)" "$(group busy)" "$(group among-unix)" "$(group among-tcp)"
	must_come "$patience" "stop of the server" is_stopped "$server" server
	must_come "$patience" "stop of two that talk over UNIX sockets" is_stopped "${among[0]}" among-unix
	must_come "$patience" "stop of two that talk over TCP" is_stopped "${among[1]}" among-tcp

	# It is watched from before the line that says so, which may come late: so since its launch.
	say "--stop $mode: nobody is stopped before it was watched for a whole window"
	for name in server among-unix among-tcp; do
		expect_that "ms from the launch to the stop of $name" \
			[ $((($(ms_of "$prefix-$name  stop  running") + day_ms - launched) % day_ms)) -ge "$(fast 300 1000)" ]
	done

	say "--stop $mode: asked over a UNIX socket, it answers"
	n=$(lines server 'stopped -> running  talks .*a UNIX socket')
	expect "answer over a UNIX socket" OK "$(ask -s "$tmp/server.sock" set "key-$mode" 1)"
	must_come "$patience" "a line that says why" more_lines server 'stopped -> running  talks .*a UNIX socket' "$n"
	must_come "$patience" "stop, again" is_stopped "$server" server

	say "--stop $mode: asked over loopback TCP, it answers"
	n=$(lines server 'stopped -> running  talks .*TCP')
	expect "answer over TCP" 1 "$(ask -h 127.0.0.1 -p "$server_port" get "key-$mode")"
	must_come "$patience" "a line that says why" more_lines server 'stopped -> running  talks .*TCP' "$n"
	must_come "$patience" "stop, again" is_stopped "$server" server

	say "--stop $mode: SIGUSR1 continues all"
	kill -USR1 "$daemon"
	for name in server among-unix among-tcp; do
		must_come "$patience" "continue of $name on request" more_lines "$name" 'stopped -> running  on request' 0
	done
	stop_daemon
	expect_that "the server runs" not is_stopped "$server" server
	answers server || fail "the server does not answer after the run"
	for name in talker busy; do
		expect "times that $name was stopped" 0 "$(lines "$name" 'running -> stopped')"
	done
	# On a machine with more work than CPUs a group may not get to run, so as to freeze, in time:
	# then it is let run, and tried again. Nothing else may fail.
	expect_no_line <(grep -v 'Connection timed out' "$tmp/out") ' failed '
	expect_that "wakes by talk" [ "$(json "$tmp/s.json" groups 0 wakes talk)" -ge 2 ]
	expect_that "measured wakes" [ "$(json "$tmp/s.json" groups 0 wake_latency count)" -ge 2 ]
	expect "wakes by request" 1 "$(json "$tmp/s.json" groups 0 wakes request)"
	say "   wake p50 $(json "$tmp/s.json" groups 0 wake_latency p50_us) us, p99 $(json "$tmp/s.json" groups 0 wake_latency p99_us) us"

	[ "$mode" = "${modes[0]}" ] || thorough "--stop $mode: the deadline" || continue
	say "--stop $mode: at the deadline it continues by itself"
	quick_deadline=1s
	start_daemon --stop "$mode" -c "$(quick_config)" --summary "$tmp/s.json" "$(group server)"
	must_come "$patience" "continue at the deadline" more_lines server 'stopped -> running  stopped for as long as the deadline allows' 1
	stop_daemon
	expect_that "wakes by deadline" [ "$(json "$tmp/s.json" groups 0 wakes deadline)" -ge 2 ]
	quick_deadline=60s
done

say "a process that somebody else had stopped stays stopped"
new_group mixed
spawn mixed sleep 1000
foreign=$spawned
spawn mixed sleep 1000
ours=$spawned
kill -STOP "$foreign"
must_come "$patience" "SIGSTOP" is_signalled "$foreign"
start_daemon --stop signal -c "$(quick_config)" "$(group mixed)"
must_come "$patience" "stop of the group" is_signalled "$ours"
stop_daemon
expect_that "our process runs" not is_signalled "$ours"
expect_that "theirs is still stopped" is_signalled "$foreign"

if can_freeze; then
	say "a group that somebody else had frozen stays frozen"
	new_group frozen
	spawn frozen sleep 1000
	echo 1 >"$v2/$(group frozen)/cgroup.freeze"
	must_come "$patience" "freeze" is_frozen frozen
	start_daemon --stop freeze -c "$(quick_config)" "$(group frozen)"
	must_come "$patience" "a line that leaves it alone" more_lines frozen 'left alone' 0
	stop_daemon
	expect_that "the group is still frozen" is_frozen frozen
fi
say "ok"
