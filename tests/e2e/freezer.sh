#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The guarded freezer: servers are frozen whenever they fall idle, and their clients, who check every
# byte, never notice: no answer lost, none wrong, no connection reset. tools/bench/freezer is the same
# for long enough to mean something.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

can_freeze || skip "there is no cgroup v2 tree, so no cgroup.freeze"
seconds=$(fast 25 30)
idle_ms=$(fast 100 300)
least_freezes=$(fast 10 3) # of each group; a tenth of what the pauses of its clients allow
patience=$(fast 10 60)	   # s, after which a client calls an answer lost
port=$((10000 + $$ % 20000)) # below those that the kernel gives to clients
groups=()  # names, in the order of the summary
clients=() # pids and names, by turns
names=()

next_port() { port=$((port + 1)); }

# client NAME MODE ARGUMENT...: the client NAME, from its first request to its last. A file with the
# command is left for others to ask again.
client() {
	local name=$1
	shift
	printf '%q ' "$@" >"$tmp/$name.client"
	names+=("$name")
}

# ask NAME OPTION...: runs that client
ask() {
	local name=$1 command
	shift
	eval "command=($(<"$tmp/$name.client"))"
	"$bin/verify" "${command[@]}" --patience "$patience" "$@"
}

# serve NAME COMMAND...: a server in the group NAME
serve() {
	local name=$1
	shift
	new_group "$name"
	groups+=("$name")
	spawn "$name" "$@"
}

# our_server KIND WAY [ADDRESS...]: one of ours, ready
our_server() {
	local kind=$1 way=$2 name=$1-$2
	shift 2
	serve "$name" "$bin/verify" "serve-$kind" --wait "$way" --ready "$tmp/$name.ready" "$@"
	must_come "$patience" "the server $name" [ -e "$tmp/$name.ready" ]
}

# Some servers have one client only: a second one could wake them where the first one failed to.
tcp_server() { # WAY [--fresh]
	next_port
	our_server tcp "$1" "127.0.0.1:$port"
	client "tcp-$1" echo-tcp "127.0.0.1:$port"
	[ $# = 1 ] || client "tcp-$1-new" echo-tcp --fresh "127.0.0.1:$port"
}

unix_server() { # WAY [--fresh]
	our_server unix "$1" "$tmp/$1.sock"
	client "unix-$1" echo-unix "$tmp/$1.sock"
	[ $# = 1 ] || client "unix-$1-new" echo-unix --fresh "$tmp/$1.sock"
}

udp_server() { # WAY
	next_port
	our_server udp "$1" "127.0.0.1:$port"
	client "udp-$1" echo-udp "127.0.0.1:$port"
}

pipe_server() { # WAY
	our_server pipe "$1" "$tmp/$1.requests" "$tmp/$1.answers"
	client "pipe-$1" pipe "$tmp/$1.requests" "$tmp/$1.answers"
}

eventfd_server() { # WAY
	our_server eventfd "$1"
	client "eventfd-$1" eventfd "$spawned"
}

redis_server() {
	next_port
	serve redis redis-server --port $port --bind 127.0.0.1 --unixsocket "$tmp/redis.sock" --dir "$tmp" \
		--save '' --appendonly no --hz 1 --dynamic-hz no --daemonize no >"$tmp/redis.log"
	must_come "$patience" "redis" [ -S "$tmp/redis.sock" ]
	client redis-tcp redis "127.0.0.1:$port"
	client redis-unix redis "$tmp/redis.sock"
}

nginx_conf() {
	mkdir "$tmp/www"
	head -c 20000 /dev/urandom >"$tmp/www/file"
	cat >"$tmp/nginx.conf" <<-END
		daemon off;
		worker_processes 1;
		user root; # the files here are nobody else's
		pid $tmp/nginx.pid;
		events { worker_connections 64; }
		http {
			access_log off;
			keepalive_timeout 1h;
			keepalive_requests 1000000;
			client_body_temp_path $tmp/nginx-body;
			proxy_temp_path $tmp/nginx-proxy;
			fastcgi_temp_path $tmp/nginx-fastcgi;
			uwsgi_temp_path $tmp/nginx-uwsgi;
			scgi_temp_path $tmp/nginx-scgi;
			server { listen 127.0.0.1:$port; root $tmp/www; }
		}
	END
}

nginx_server() {
	next_port
	nginx_conf
	serve nginx nginx -p "$tmp" -e "$tmp/nginx.log" -c "$tmp/nginx.conf"
	client nginx http --file "$tmp/www/file" "127.0.0.1:$port" /file
	client nginx-new http --fresh --file "$tmp/www/file" "127.0.0.1:$port" /file
	must_come "$patience" "nginx" [ -s "$tmp/nginx.pid" ]
}

say "servers, each in its own group"
tcp_server epoll-et --fresh
unix_server epoll --fresh
udp_server epoll
pipe_server block
eventfd_server block
if thorough "the other ways to wait"; then
	tcp_server block
	tcp_server select
	unix_server poll
	udp_server block
	pipe_server poll
	eventfd_server poll
fi
for server in redis nginx; do
	if command -v $server >/dev/null || command -v $server-server >/dev/null; then
		${server}_server
	else
		say "(left out: $server is not installed)"
	fi
done

cat >"$tmp/guarded.yaml" <<END
policy: fusebox
interval: $(fast 100ms 300ms)
groups:
  - match: "*"
    ram: { mode: observe }
    freeze: guarded
    idle: ${idle_ms}ms
    probe: 50ms
    deadline: 10m
END

say "all clients are served before anything is frozen"
for name in "${names[@]}"; do
	ask "$name" --requests 3 >"$tmp/$name.json" 2>"$tmp/err" || fail "$name is not served: $(<"$tmp/$name.json")"
done

paths=()
for name in "${groups[@]}"; do paths+=("$(group "$name")"); done
start_daemon -c "$tmp/guarded.yaml" --summary "$tmp/s.json" "${paths[@]}"

say "${#names[@]} clients of ${#groups[@]} servers for $seconds s"
seed=0
for name in "${names[@]}"; do
	seed=$((seed + 1))
	ask "$name" --for "$seconds" --seed $seed --pause-us $((idle_ms * 200))-$((idle_ms * 4000)) \
		>"$tmp/$name.json" 2>"$tmp/$name.err" &
	clients+=("$!")
	pids+=("$!")
done

# figures NAME: one line for whoever reads the log
figures() {
	local key line=$1
	for key in requests lost wrong reset p50_us p99_us max_us; do
		line+=" $key $(json "$tmp/$1.json" $key)"
	done
	say "  $line"
}

failed=0
for i in "${!names[@]}"; do
	wait "${clients[i]}" || failed=$((failed + 1))
	figures "${names[i]}"
	show_file "$tmp/${names[i]}.err"
done
expect "clients that noticed something" 0 "$failed"
for name in "${names[@]}"; do
	for key in lost wrong reset; do expect "$key of $name" 0 "$(json "$tmp/$name.json" $key)"; done
	expect_that "requests of $name" [ "$(json "$tmp/$name.json" verified)" -ge 3 ]
done

say "left alone, every server is frozen; asked again, it answers"
for name in "${groups[@]}"; do
	must_come "$(fast 15 60)" "freeze of $name" is_frozen "$name"
done
for name in "${names[@]}"; do
	ask "$name" --requests 3 >"$tmp/again.json" 2>"$tmp/err" || fail "$name, out of its freeze: $(<"$tmp/again.json")"
done

say "after the run all are thawed, and serve"
stop_daemon
for name in "${groups[@]}"; do expect_that "$name runs" not is_frozen "$name"; done
for name in "${names[@]}"; do
	ask "$name" --requests 3 >"$tmp/again.json" 2>"$tmp/err" || fail "$name, after the run: $(<"$tmp/again.json")"
done

say "every group was frozen many times"
for i in "${!groups[@]}"; do
	expect "group $i of the summary" "$(group "${groups[i]}")" "$(json "$tmp/s.json" groups "$i" name)"
	freezes=$(json "$tmp/s.json" groups "$i" decisions stopped)
	say "  ${groups[i]}: $freezes"
	expect_that "freezes of ${groups[i]}" [ "$freezes" -ge "$least_freezes" ]
done
# On a machine with more work than CPUs a group may not get to run, so as to freeze, in time: then it is
# let run, and tried again. Nothing else may fail.
expect_no_line <(grep -v 'Connection timed out' "$tmp/out") ' failed '
say "ok"
