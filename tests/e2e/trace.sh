#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# `pfuse-bpf trace` in each format on one workload, beside a daemon: the switches of a thread are as many as
# the kernel says; a trace ends as it is told to, and leaves a file that can be read however it ended.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
command -v protoc >/dev/null || skip "no protoc (package protobuf-compiler)"
proto=$PFUSE_SOURCE/src/export/pftrace.proto

switches() { awk '/ctxt_switches/ { sum += $2 } END { print sum }' "/proc/$1/status"; }
is_waiting() { # in a read, and has been switched out: its count stands still
	local before
	before=$(switches "$1")
	nap 0.05
	state_of "$1" && [ "$state" = S ] && [ "$before" = "$(switches "$1")" ]
}

# What is traced: stands still until a line comes, naps often, and stands still again. Its name is unkind.
mkfifo "$tmp/go"
exec {go}<>"$tmp/go"
naps=$(fast 300 100)
# shellcheck disable=SC2016
work='printf "na\tps" >/proc/self/comm
while read -r count; do for ((; count > 0; count--)); do read -rt 0.002 -u "$0"; done; done'
new_group it
spawn it bash -c "$work" "$silence" <"$tmp/go"
worker=$spawned
must_come "$(fast 10 60)" "the workload waits" is_waiting "$worker"

# trace NAME ARGUMENT...: in the background, ready; its pid is ${traces[NAME]}
declare -A traces
is_tracing() { grep -q '^pfuse-bpf: tracing' "$tmp/$1.err" || is_dead "${traces[$1]}"; }
trace() {
	local name=$1
	shift
	"$pfuse" trace "$@" >"$tmp/$name" 2>"$tmp/$name.err" </dev/null &
	traces[$name]=$!
	pids+=("$!")
	must_come "$(fast 20 100)" "$name: start" is_tracing "$name"
	! is_dead "${traces[$name]}" || { cat "$tmp/$name.err"; fail "$name: it ended at once"; }
}
end_trace() { # NAME SIGNAL STATUS
	local status=0
	kill "-$2" "${traces[$1]}"
	must_come "$(fast 20 100)" "$1: end" is_dead "${traces[$1]}"
	wait "${traces[$1]}" || status=$?
	expect "$1: exit status" "$3" "$status"
}

# perf records the same at the same time, where it is installed and the kernel lets it. It begins disabled, so that
# its answer says when it has begun.
perf=''
start_perf() {
	mkfifo "$tmp/control" "$tmp/answer"
	exec {control}<>"$tmp/control" {answer}<>"$tmp/answer"
	perf record -q -a -D -1 --control "fifo:$tmp/control,$tmp/answer" -e sched:sched_switch -o "$tmp/perf" >"$tmp/perf.out" 2>&1 &
	perf=$!
	pids+=("$perf")
	echo enable >&"$control"
	until read -rt 0.1 -u "$answer" _; do
		! is_dead "$perf" || { perf='' && say "   (not compared with perf: $(head -c 80 "$tmp/perf.out" | head -n 1))" && break; }
	done
}

say "text, JSON and Perfetto at once, beside a daemon"
start_daemon --dry-run "$(group it)"
trace text "$(group it)"
trace json --format json "$(group it)"
trace perfetto -o "$tmp/x.pftrace" "pid:$worker"
start_perf
before=$(switches "$worker") looks=$(switches "${traces[text]}") began=$(now_ms)
echo "$naps" >&"$go"
nap 0.2
must_come "$(fast 20 100)" "the workload is done" is_waiting "$worker"
made=$(($(switches "$worker") - before)) looks=$(($(switches "${traces[text]}") - looks)) took=$(($(now_ms) - began))
end_trace text INT 0
end_trace json TERM 0
end_trace perfetto TERM 0
stop_daemon
expect_that "switches of the workload" [ "$made" -ge $((naps / 2)) ]
say "   in $took ms $made switches of the workload; $looks of who looks at them, ten times per second"
expect_that "the reader sleeps meanwhile" [ $((looks * 50)) -le $((took + 1000)) ]
expect_line "$tmp/text.err" '^pfuse-bpf: traced for [0-9.]+ s: [0-9]+ events \([0-9]+ switch.*\), lost 0, [0-9.]+ [KM]iB$'

no_control_bytes "$tmp/text"
no_control_bytes "$tmp/json"
expect "text: switches" "$made" "$(grep -cE "^[0-9:.]+  $(group it) +\[[0-9]+\] na.x09ps-$worker +switch  " "$tmp/text")"
expect "JSON: switches" "$made" "$(grep -c "\"event\":\"switch\",\"group\":\"$(group it)\",\"pid\":$worker," "$tmp/json")"
expect_line "$tmp/json" '"comm":"na..x09ps"'
expect_line "$tmp/text" "na.x09ps-$worker +wake    by "
# Each of its switches tells where its virtual clock stands, and the clock does not stand still.
grep -oE "\"event\":\"switch\",\"group\":\"$(group it)\",\"pid\":$worker,.*\"vruntime_ns\":-?[0-9]+" "$tmp/json" | sed 's/.*://' >"$tmp/clock"
expect "JSON: virtual run times" "$made" "$(wc -l <"$tmp/clock")"
expect_that "values of the virtual clock" [ "$(sort -u "$tmp/clock" | wc -l)" -gt 1 ]
expect_line "$tmp/text" "na.x09ps-$worker +switch  .*, vruntime -?[0-9.]+ ms"

protoc --decode pftrace.Trace -I "${proto%/*}" "$proto" <"$tmp/x.pftrace" >"$tmp/x.txt" || fail "protoc cannot decode the trace"
expect "Perfetto: switches" "$made" "$(grep -c "prev_pid: $worker\$" "$tmp/x.txt")"
expect_line "$tmp/x.txt" 'sched_waking {'
expect_line "$tmp/x.txt" 'clock_snapshot {'
if [ -n "$perf" ]; then
	kill -INT "$perf"
	wait "$perf" || true
	expect "perf: switches" "$made" "$(perf script -i "$tmp/perf" 2>/dev/null | grep -c "sched_switch:.* prev_pid=$worker ")"
fi
expect "Perfetto: the thread is named" 1 "$(awk -v tid="$worker" '/threads \{/ { thread = 1 } thread && $1 == "tid:" && $2 == tid { n++ } /}/ { thread = 0 } END { print n + 0 }' "$tmp/x.txt")"
expect_line "$tmp/x.txt" "name: \"pid:$worker\""
expect_line "$tmp/x.txt" "name: \".*-$worker vruntime\""

say "order of time, CPU by CPU"
awk -F'[][]' '{ split($1, at, " "); if (at[1] < last[$2]) { print "after " last[$2] ": " $0; exit 1 } last[$2] = at[1] }' \
	"$tmp/text" || fail "text: times of a CPU go back"

only_some() {
	"$pfuse" trace --for 500ms --events "$@" "$(group it)" >"$tmp/out" 2>"$tmp/err" &
	spawned=$!
	pids+=("$spawned")
	must_come 20 "start" grep -q tracing "$tmp/err"
	echo 20 >&"$go"
	wait "$spawned" || fail "--events $*: exit status $?"
}
if thorough "only what was asked for; --min-duration leaves out short slices"; then
	only_some wake
	expect_line "$tmp/out" "na.x09ps-$worker +wake"
	expect_no_line "$tmp/out" ' switch '
	only_some switch --min-duration 1h
	expect "lines" 0 "$(wc -l <"$tmp/out")"
fi

say "nobody reads any more: a quiet end"
{ "$pfuse" trace --quiet --for 60s 2>"$tmp/err" || echo $? >"$tmp/status"; } | head -n 3 >"$tmp/out"
expect "lines" 3 "$(wc -l <"$tmp/out")"
expect "errors" "" "$(cat "$tmp/err")"
expect_that "exit status" [ ! -e "$tmp/status" ]

say "a full disk is told, and what is in the file can be read"
unshare -m true 2>/dev/null || skip "no mount namespaces here"
for format in $(fast "text json perfetto" perfetto); do
	status=0
	# shellcheck disable=SC2016
	unshare -m sh -c 'mkdir -p "$0/disk" && mount -t tmpfs -o size=64k none "$0/disk" && { "$@" -o "$0/disk/x"; status=$?; cp "$0/disk/x" "$0/full"; exit $status; }' \
		"$tmp" "$pfuse" trace --format "$format" --for "$(fast 60s 300s)" >"$tmp/out" 2>"$tmp/err" || status=$?
	expect "$format: exit status" 1 "$status"
	expect_line "$tmp/err" '^pfuse-bpf trace: the output ends early: No space left on device$'
	expect_that "$format: something is written" [ -s "$tmp/full" ]
	[ "$format" = perfetto ] || expect "$format: the last byte" '\n' "$(tail -c 1 "$tmp/full" | od -An -c | tr -d ' ')"
	[ "$format" != perfetto ] || protoc --decode pftrace.Trace -I "${proto%/*}" "$proto" <"$tmp/full" >/dev/null ||
		fail "protoc cannot decode what is on the full disk"
done

say "a run that records onto a disk that fills up: said once, goes on, and what is there replays"
cat >"$tmp/often.yaml" <<-END
	interval: 5ms
	groups:
	  - { match: "*", ram: { mode: observe }, freeze: off }
END
spawn it sh -c 'while :; do :; done'
busy=$spawned
# shellcheck disable=SC2016
unshare -m sh -c 'mount -t tmpfs -o size=64k none "$0/disk" && exec "$@"' "$tmp" \
	"$pfuse" run --ledger "$ledger" -c "$tmp/often.yaml" --trace "$tmp/disk/x.pftrace" "$(group it)" >"$tmp/out" 2>"$tmp/err" </dev/null &
daemon=$!
pids+=("$daemon")
must_come "$(fast 40 200)" "a full disk" grep -q 'the trace ends here' "$tmp/err"
nap 0.2
expect_that "the run goes on" alive "$daemon"
cp "/proc/$daemon/root$tmp/disk/x.pftrace" "$tmp/full.pftrace"
kill -TERM "$daemon"
wait_daemon
expect "exit status of the run" 0 "$status"
kill -KILL "$busy"
wait "$busy" 2>/dev/null || true
expect_line "$tmp/err" 'x.pftrace: cannot be written .No space left on device.; the trace ends here, going on without'
expect_line "$tmp/err" '^pfuse-bpf: [0-9]+ packets are not in the trace$'
expect "lines of complaint" 2 "$(wc -l <"$tmp/err")"
expect_that "bytes on the disk" [ "$(stat -c %s "$tmp/full.pftrace")" -gt 50000 ]
"$pfuse" replay -q "$tmp/full.pftrace" >"$tmp/replayed" 2>&1 || fail "it does not replay: $(cat "$tmp/replayed")"
expect_line "$tmp/replayed" '^identical: '
protoc --decode pftrace.Trace -I "${proto%/*}" "$proto" <"$tmp/full.pftrace" >/dev/null ||
	fail "protoc cannot decode what the run left on the full disk"

say "at its limit a file is begun anew, and each is whole by itself"
# Two that hand a line to and fro: nothing but switches and wakes.
mkfifo "$tmp/talk"
exec {talk}<>"$tmp/talk"
# shellcheck disable=SC2016
spawn it bash -c 'coproc cat; while read -r count; do for ((; count > 0; count--)); do
	echo x >&"${COPROC[1]}"; read -r _ <&"${COPROC[0]}"; done; echo done >"$0"; done' "$tmp/talked" <"$tmp/talk"
talker=$spawned
for format in perfetto $(fast json ""); do
	lines=$([ "$format" = json ] && echo 2000 || fast 8000 1500)
	end=${format/perfetto/pftrace}
	trace "turns-$format" --format "$format" --limit "$(fast 256K 64K)" --keep 2 -o "$tmp/turns.$end" "$(group it)"
	rm -f "$tmp/talked"
	echo "$lines" >&"$talk"
	must_come "$(fast 30 300)" "the end of the talk" test -e "$tmp/talked"
	end_trace "turns-$format" INT 0
	for file in "$tmp/turns.2.$end" "$tmp/turns.1.$end" "$tmp/turns.$end"; do
		expect_that "$file" [ -s "$file" ]
		expect_that "the limit of $file" [ "$(stat -c %s "$file")" -lt "$(fast 1000000 250000)" ]
		if [ "$format" = json ]; then
			expect "JSON: what it begins with" '{"trace":"pfuse-bpf"' "$(head -c 20 "$file")"
			# The newest may have been begun at the end of the talk.
			[ "$file" = "$tmp/turns.$end" ] || expect_that "JSON: a switch of the talker" grep -q "\"pid\":$talker," "$file"
			continue
		fi
		protoc --decode pftrace.Trace -I "${proto%/*}" "$proto" <"$file" >"$tmp/x.txt" || fail "protoc cannot decode ${file##*/}"
		expect "packets that clear the state in ${file##*/}" 1 "$(grep -c 'sequence_flags: 1$' "$tmp/x.txt")"
		expect_line "$tmp/x.txt" 'clock_snapshot {'
		expect_line "$tmp/x.txt" "name: \"$(group it)\""
		expect_line "$tmp/x.txt" "tid: $talker\$"
		[ "$file" = "$tmp/turns.$end" ] || expect_line "$tmp/x.txt" "prev_pid: $talker\$"
	done
	expect_that "no third older file" [ ! -e "$tmp/turns.3.$end" ]
done
kill -KILL "$talker"

say "killed: the file is whole up to its last packet"
trace killed -o "$tmp/killed.pftrace" --all "$(group it)"
echo 100 >&"$go"
nap "$(fast 0.5 2)"
end_trace killed KILL 137
protoc --decode pftrace.Trace -I "${proto%/*}" "$proto" <"$tmp/killed.pftrace" >"$tmp/x.txt" || fail "protoc cannot decode the trace of a killed run"
expect_line "$tmp/x.txt" "prev_pid: $worker\$"

say "what cannot be traced"
refused() { # STATUS LINE ARGUMENT...
	local status=0 line=$2 wanted=$1
	shift 2
	"$pfuse" trace "$@" >"$tmp/out" 2>"$tmp/err" || status=$?
	expect "exit status of trace $*" "$wanted" "$status"
	one_line "$tmp/err"
	expect_line "$tmp/err" "$line"
}
refused 1 'no such' "$(group nothing)"
refused 1 'same group' "$(group it)" "$memory/$(group it)"
refused 1 'not a process id' pid:x
refused 1 'cannot write' -o "$tmp/no/such/x" "$(group it)"
refused 2 'is unknown' --events nothing
refused 1 'is no regular file' --limit 5M -o /dev/null "$(group it)"
refused 1 'is no regular file' --limit 5M --format perfetto -o /dev/null "$(group it)"
[ -c /dev/null ] || fail '/dev/null is no more'
say ok
