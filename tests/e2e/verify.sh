#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The verifying clients themselves: each finds a healthy server healthy, whichever way that waits, and
# each names what a server does wrong. What is proved with them would else prove nothing.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

seconds=$(fast 0.2 1)
port=$((10000 + $$ % 20000)) # below those that the kernel gives to clients
verify=$bin/verify
server=''

# serve KIND [OPTION]...: a server in the background, ready; its address is in $at
serve() {
	local kind=$1
	shift
	rm -f "$tmp/ready" "$tmp/q" "$tmp/a" "$tmp/sock"
	port=$((port + 1))
	case $kind in
	tcp | udp) at=("127.0.0.1:$port") ;;
	unix) at=("$tmp/sock") ;;
	pipe) at=("$tmp/q" "$tmp/a") ;;
	eventfd) at=() ;;
	esac
	"$verify" "serve-$kind" --ready "$tmp/ready" "$@" "${at[@]}" &
	server=$!
	pids+=("$server")
	must_come "$(fast 5 30)" "a server for $kind" [ -e "$tmp/ready" ]
	[ "$kind" != eventfd ] || at=("$server")
}

unserve() {
	kill -KILL "$server"
	wait "$server" 2>/dev/null || true
}

# client KIND [OPTION]...: its report is $tmp/report, its exit status in $status
client() {
	local kind=$1
	shift
	case $kind in tcp | unix | udp) kind=echo-$kind ;; esac
	status=0
	"$verify" "$kind" --for "$seconds" "$@" "${at[@]}" >"$tmp/report" 2>"$tmp/err" || status=$?
}
count() { json "$tmp/report" "$1"; }

is_healthy() { # WHAT
	expect "exit status of $1" 0 "$status"
	expect "what $1 verified" "$(count requests)" "$(count verified)"
	expect_that "requests of $1" [ "$(count requests)" -gt 1 ]
}

read -ra ways <<<"$(fast "epoll epoll-et poll select block" "epoll-et")"
for how in "${ways[@]}"; do
	say "healthy servers that wait by $how"
	for kind in tcp unix udp pipe eventfd; do
		serve $kind --wait "$how"
		client $kind --pause-us 0-200
		is_healthy "$kind by $how"
		case $kind in
		tcp | unix)
			client $kind --fresh --pause-us 0-200
			is_healthy "$kind by $how, on new connections"
			;;
		esac
		unserve
	done
done

# notices KIND SPOIL OUTCOME: of ten requests the last is answered badly, and nothing else is said
notices() {
	serve "$1" --spoil "$2:10"
	client "$1" --requests 10 --for 60 --patience "$(fast 1 5)" --size 16
	unserve
	expect "exit status of $1, $2" 1 "$status"
	expect "$3 of $1, $2" 1 "$(count "$3")"
	expect_line "$tmp/err" ": $3: "
}

say "a wrong byte, a missing answer, a lost connection, a second answer"
for kind in tcp unix pipe eventfd; do
	# Pieces are read as they come: the 8th request is two answers, and the 9th the tenth.
	notices $kind wrong wrong
	notices $kind drop lost
done
# Where there is no end of file, nobody can tell how long a second answer may take.
notices tcp twice wrong
notices unix twice wrong
notices udp wrong wrong
notices udp drop lost
notices tcp close reset
notices unix close reset

say "no server at all"
at=("127.0.0.1:1")
client tcp --requests 1
expect "reset without a server" 1 "$(count reset)"
expect "exit status without a server" 1 "$status"

if command -v redis-server >/dev/null; then
	say "redis: healthy, and a count that somebody else raised"
	redis-server --port 0 --unixsocket "$tmp/redis.sock" --dir "$tmp" --save '' --daemonize no >"$tmp/redis.log" &
	pids+=($!)
	must_come "$(fast 10 60)" "redis" [ -S "$tmp/redis.sock" ]
	at=("$tmp/redis.sock")
	client redis --pause-us 0-200
	is_healthy redis
	"$verify" redis --for "$(fast 2 10)" --pause-us 1000-2000 "${at[@]}" >"$tmp/report" 2>"$tmp/err" &
	victim=$!
	pids+=("$victim")
	counts() { redis-cli -s "$tmp/redis.sock" exists "verify:$victim:1:count:0" | grep -qx 1; }
	must_come "$(fast 5 30)" "the first count of that client" counts
	redis-cli -s "$tmp/redis.sock" incr "verify:$victim:1:count:0" >/dev/null
	status=0
	wait "$victim" || status=$?
	expect "exit status beside a meddler" 1 "$status"
	expect_that "wrong beside a meddler" [ "$(count wrong)" -ge 1 ]
fi
say "ok"
