# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Sourced after cpu.bash by the benches of memory: works that run in the group "work".
#
#	work_lacks NAME		what this machine lacks for it, nothing if it has all
#	work_prepare NAME	once, before the first run
#	work_begin NAME		in the group, until all is loaded: its load phase
#	work_run NAME SECONDS	sets work_rate (of $work_unit per second) and work_p99, work_worst (ms; -: no requests)
#	work_end NAME		nothing is left but files below bench_tmp
#
# hotcold    $mib MiB of which $hot permille are touched all the time, 10 pages per second of the others
# redis      about $mib MiB of values; of a thousand requests 999 go to $hot permille of the keys, in order of making
# compile    make -j2 of the C files of $source, again and again
# nginx      files of 64 KiB, $mib MiB in all, in bench_tmp (in memory where that is tmpfs); as redis
# postgres   pgbench over about $mib MiB of tables, two clients; only reads, of the accounts that $draw draws (uniform),
#            and so many thousandths of $mib MiB of shared buffers as $buffers says (250); $asks in a second (as
#            many as there can be)
# reader     $mib MiB of which all are touched at random, as fast as one thread can
# huge       as reader, by huge pages
# sysbench   sysbench memory, blocks of 64 MiB
#
# hotcold, reader, huge and the client of redis rest between batches, so that they work $duty percent of the time; the longer
# a batch took the longer, so that the rate is still in proportion to the speed.
# p99 is the median of the p99 of each second (redis, hotcold) or of all requests (nginx), worst the longest one.

mib=200 hot=200 duty=100 source=src/core pipeline=1 buffers=250 asks='' draw='random(1, 100000 * :scale)'
work_unit='' work_rate='' work_p99='' work_worst=''
PATH=$PWD/tools/bin:$PATH:/usr/sbin
work_postgres=$(find /usr/lib/postgresql -path '*/bin/postgres' 2>/dev/null | sort -V | tail -n 1)
work_postgres=${work_postgres%/*}
work_port=$((10000 + $$ % 20000))

as_nobody() { setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups "$@"; }

# must_come WHAT CONDITION...: within five minutes, because an emulated guest is slow
must_come() {
	local what=$1 left
	shift
	for ((left = 1200; left > 0; left--)); do
		! "$@" >/dev/null 2>&1 || return 0
		sleep 0.25
	done
	die "$what did not come up: $(tail -n 3 "$bench_tmp/work.log")"
}

lacks() { # FILE or PROGRAM...
	local name
	for name; do
		[[ $name == */* && -e $name ]] || command -v "$name" >/dev/null || { echo "$name"; return; }
	done
}

work_lacks() {
	case $1 in
	hotcold | reader | huge) lacks "$build/tools/bench/hotcold" ;;
	redis) lacks redis-server redis-cli redis-benchmark ;;
	compile) lacks make cc ;;
	nginx) lacks nginx wrk ;;
	postgres) if [ -n "$work_postgres" ]; then lacks "$work_postgres/pgbench"; else echo postgres; fi ;;
	sysbench) lacks sysbench ;;
	*) die "$1: no such work; there are: hotcold redis compile nginx postgres reader huge sysbench" ;;
	esac
}

work_prepare() { if declare -F "prepare_$1" >/dev/null; then "prepare_$1"; fi; }
work_begin() { "begin_$1"; }
work_run() { work_p99=- work_worst=-; "run_$1" "$2"; }
work_end() { if declare -F "end_$1" >/dev/null; then "end_$1"; fi; }

# lasts FILE COLUMN: the median of a column, and the largest of the next
lasts() {
	sort -g -k"$2","$2" "$1" | awk -v c="$2" '{ v[NR] = $c; if ($(c + 1) > most) most = $(c + 1) }
		END { if (NR) print v[int((NR + 1) / 2)], most; else print "-", "-" }'
}

# --- hotcold, reader, huge ------------------------------------------------------------------------------

begin_hotcold() { # HOT [huge]
	launch work "$build/tools/bench/hotcold" "$mib" "${1:-$hot}" 10 "$duty" "${@:2}"
	must_come hotcold grep -q ready "$bench_tmp/work.log"
}
begin_reader() { begin_hotcold 1000; }
begin_huge() { begin_hotcold 1000 huge; }

# The lines that came meanwhile: the first and the last of them tell how fast it was.
run_hotcold() {
	local lines
	work_unit='thousand touches'
	lines=$(wc -l <"$bench_tmp/work.log")
	sleep "$1"
	tail -n +$((lines + 1)) "$bench_tmp/work.log" | awk 'NF == 4 { print $1, $2, $3 / 1000, $4 / 1000 }' >"$bench_tmp/seconds"
	work_rate=$(awk 'NR == 1 { t = $1; n = $2 } { to = $1; m = $2 } END { if (to > t) printf "%.2f", (m - n) * 1.024 / (to - t) * 1e9; else print "-" }' \
		"$bench_tmp/seconds")
	read -r work_p99 work_worst < <(lasts "$bench_tmp/seconds" 3)
}
run_reader() { run_hotcold "$1"; }
run_huge() { run_hotcold "$1"; }

# --- redis ----------------------------------------------------------------------------------------

redis_keys() { echo $((mib << 20 >> 12)); } # 3,500 bytes each, and what the allocator adds

# Half of each value compresses.
begin_redis() {
	launch work redis-server --port 0 --unixsocket "$bench_tmp/redis.sock" --save '' --appendonly no \
		--busy-reply-threshold 600000
	must_come redis redis-cli -s "$bench_tmp/redis.sock" ping
	redis-cli -s "$bench_tmp/redis.sock" eval '
		local pool = ARGV[2]
		local rest = string.rep("x", 1750)
		for i = 0, ARGV[1] - 1 do
			local at = math.random(1, 63000)
			redis.call("SET", string.format("key:%012d", i), string.sub(pool, at, at + 1749) .. rest)
		end' 0 "$(redis_keys)" "$(head -c 49152 /dev/urandom | base64 -w 0)" >"$bench_tmp/redis.out" 2>&1 || die "redis was not filled: $(<"$bench_tmp/redis.out")"
}

# ask_redis REQUESTS KEYS: "requests per second, …, p99, longest"
ask_redis() {
	redis-benchmark -s "$bench_tmp/redis.sock" -c 4 -P "$pipeline" -n "$1" -r "$2" --csv GET key:__rand_int__ | tail -n 1 | tr -d '"'
}
redis_asked() { redis-cli -s "$bench_tmp/redis.sock" info stats | awk -F: '$1 == "total_commands_processed" { print $2 + 0 }'; }

# As many requests at a time as are its share of about a second: with rests of half a minute it would be another work.
run_redis() {
	local until from to before after each=100 row last now cold=0
	work_unit=requests
	: >"$bench_tmp/seconds"
	before=$(redis_asked) from=${EPOCHREALTIME/./} until=$((from + $1 * 1000000))
	while [ "${EPOCHREALTIME/./}" -lt $until ]; do
		last=${EPOCHREALTIME/./}
		IFS=, read -r -a row < <(ask_redis "$each" $(($(redis_keys) * hot / 1000)))
		echo "${row[-2]} ${row[-1]}" >>"$bench_tmp/seconds"
		cold=$((cold + each))
		[ $cold -lt 1000 ] || { ask_redis $((cold / 1000)) "$(redis_keys)" >/dev/null; cold=$((cold % 1000)); }
		each=$((${row[1]%.*} * duty / 100)) each=$((each > 100 ? each : 100)) now=${EPOCHREALTIME/./}
		sleep "$(((now - last) * (100 - duty) / duty / 1000))e-3"
	done
	after=$(redis_asked) to=${EPOCHREALTIME/./}
	work_rate=$(awk -v n=$((after - before)) -v us=$((to - from)) 'BEGIN { printf "%.1f", n / us * 1e6 }')
	read -r work_p99 work_worst < <(lasts "$bench_tmp/seconds" 1)
}

# --- compile --------------------------------------------------------------------------------------

prepare_compile() {
	mkdir -p "$bench_tmp/compile"
	cat >"$bench_tmp/compile/Makefile" <<-MAKE
		SHELL = /bin/bash
		.RECIPEPREFIX = >
		sources := \$(wildcard $PWD/$source/*.c)
		all: \$(notdir \$(sources:.c=.o))
		%.o: $PWD/$source/%.c
		> @cc -O2 -pipe -I$PWD/include -I$PWD/src -c \$< -o \$@ && stat -c "\$\${EPOCHREALTIME/./} %s" \$<
	MAKE
	# The first group that reads the compiler would pay for its page cache.
	echo 'int first;' | cc -O2 -pipe -x c -c - -o "$bench_tmp/compile/first.o"
}

begin_compile() {
	# shellcheck disable=SC2016
	launch work bash -c 'cd "$1" && while rm -f *.o && make -s -j2; do :; done' - "$bench_tmp/compile"
	must_come 'the first object' grep -q . "$bench_tmp/work.log"
}

# From the end of a file to that of another, so that no part of one is counted; files differ, so their length counts.
run_compile() {
	local lines
	work_unit='KiB of source'
	lines=$(wc -l <"$bench_tmp/work.log")
	sleep "$1"
	kill -0 "$launched" 2>/dev/null || die "the compile failed: $(tail -n 3 "$bench_tmp/work.log")"
	work_rate=$(tail -n +"$lines" "$bench_tmp/work.log" | awk 'NF == 2 && /^[0-9 ]+$/ { if (n++) bytes += $2; else from = $1; to = $1 }
		END { if (n > 1 && to > from) printf "%.2f", bytes / 1024 / (to - from) * 1e6; else print "-" }')
}

# --- nginx ----------------------------------------------------------------------------------------

prepare_nginx() {
	local i
	mkdir -p "$bench_tmp/www"
	for ((i = 0; i < 16; i++)); do
		head -c 2048 /dev/urandom
		head -c 2048 /dev/zero
	done >"$bench_tmp/page"
	cat >"$bench_tmp/nginx.conf" <<-CONF
		daemon off;
		worker_processes 1;
		user root; # the files here are nobody else's
		pid $bench_tmp/nginx.pid;
		events { worker_connections 64; }
		http {
			access_log off;
			sendfile on;
			keepalive_requests 1000000000;
			client_body_temp_path $bench_tmp/body;
			proxy_temp_path $bench_tmp/proxy;
			fastcgi_temp_path $bench_tmp/fastcgi;
			uwsgi_temp_path $bench_tmp/uwsgi;
			scgi_temp_path $bench_tmp/scgi;
			server { listen 127.0.0.1:$work_port; root $bench_tmp/www; }
		}
	CONF
	cat >"$bench_tmp/wrk.lua" <<-LUA
		local files, hot, n = $((mib * 16)), $((mib * 16 * hot / 1000)), 0
		function request()
			n = n + 1
			return wrk.format("GET", "/" .. math.random(0, (n % 1000 == 0 and files or hot) - 1))
		end
		function done(summary, latency, requests)
			local e = summary.errors
			io.write(string.format("figures %.1f %.3f %.3f %d\n", summary.requests / summary.duration * 1e6,
				latency:percentile(99) / 1000, latency.max / 1000, e.connect + e.read + e.write + e.status + e.timeout))
		end
	LUA
}

# The files are the group's: written in it.
begin_nginx() {
	rm -f "$bench_tmp/nginx.pid"
	# shellcheck disable=SC2016
	launch work bash -c 'cd "$1/www" && seq 0 $(($2 - 1)) | xargs -n 500 sh -c '\''tee "$@" <../page >../tee.out'\'' - &&
		exec nginx -p "$1" -e "$1/nginx.log" -c "$1/nginx.conf"' - "$bench_tmp" $((mib * 16))
	must_come nginx test -s "$bench_tmp/nginx.pid"
}

run_nginx() {
	local errors
	work_unit=requests
	wrk -t1 -c4 -d"$1"s --timeout 20s -s "$bench_tmp/wrk.lua" "http://127.0.0.1:$work_port/" >"$bench_tmp/wrk.out" 2>&1 || true
	read -r work_rate work_p99 work_worst errors < <(awk '$1 == "figures" { print $2, $3, $4, $5 }' "$bench_tmp/wrk.out") ||
		die "wrk gave no figures: $(tail -n 3 "$bench_tmp/wrk.out")"
	[ "$errors" = 0 ] || echo "NOTE: $errors requests failed" >&2
}
end_nginx() { rm -rf "$bench_tmp/www"; mkdir "$bench_tmp/www"; }

# --- postgres -------------------------------------------------------------------------------------

# It refuses to run as root.
prepare_postgres() {
	chmod 711 "$bench_tmp"
	install -d -o nobody "$bench_tmp/postgres"
	(cd "$bench_tmp/postgres" && as_nobody "$work_postgres/initdb" -D data -U bench -A trust --no-sync) \
		>"$bench_tmp/initdb.log" 2>&1 || die "initdb failed: $(tail -n 3 "$bench_tmp/initdb.log")"
	printf '%s\n' "\set aid $draw" 'SELECT abalance FROM pgbench_accounts WHERE aid = :aid;' >"$bench_tmp/postgres/ask.sql"
}
in_postgres() { (cd "$bench_tmp/postgres" && as_nobody "$work_postgres/$1" -h "$bench_tmp/postgres" -U bench "${@:2}" postgres); }

# A branch is 15 MiB of tables. What it does by itself is made rare.
begin_postgres() {
	rm -rf "$bench_tmp/postgres/now"
	cp -a "$bench_tmp/postgres/data" "$bench_tmp/postgres/now"
	launch work setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups "$work_postgres/postgres" \
		-D "$bench_tmp/postgres/now" -k "$bench_tmp/postgres" -c listen_addresses= -c fsync=off -c autovacuum=off \
		-c jit=off -c "shared_buffers=$((mib * buffers / 1000))MB" -c checkpoint_timeout=1h -c max_wal_size=1GB
	must_come PostgreSQL in_postgres psql -XAtqc 'select 1'
	in_postgres pgbench -i -q -s $((mib / 15 + 1)) >"$bench_tmp/pgbench.log" 2>&1 || die "pgbench -i failed: $(tail -n 3 "$bench_tmp/pgbench.log")"
}

run_postgres() {
	work_unit=transactions
	in_postgres pgbench -n -f "$bench_tmp/postgres/ask.sql" -s $((mib / 15 + 1)) ${asks:+-R "$asks"} -c 2 -T "$1" >"$bench_tmp/pgbench.log" 2>&1 || die "pgbench failed: $(tail -n 3 "$bench_tmp/pgbench.log")"
	work_rate=$(awk '/^tps/ { print $3 }' "$bench_tmp/pgbench.log")
}

# --- sysbench -------------------------------------------------------------------------------------

begin_sysbench() {
	launch work stdbuf -oL sysbench memory --memory-block-size=64M --memory-total-size=1P --time=0 --report-interval=1 run
	must_come sysbench grep -q 'MiB/sec' "$bench_tmp/work.log"
}

# The mean of the seconds that lie in the window as a whole.
run_sysbench() {
	local lines
	work_unit=MiB
	lines=$(wc -l <"$bench_tmp/work.log")
	sleep "$1"
	work_rate=$(tail -n +$((lines + 2)) "$bench_tmp/work.log" |
		awk '$(NF) == "MiB/sec" { sum += $(NF - 1); n++ } END { if (n) printf "%.1f", sum / n; else print "-" }')
}
