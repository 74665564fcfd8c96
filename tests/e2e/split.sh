#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# CPUs by workload type: a service that sleeps and a hog with two processes get CPUs of their own. Weights
# by priority table: two hogs on one CPU share it by the table's ratio. Everything comes back.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

need_controllers cpu cpuset
online=$(</sys/devices/system/cpu/online)
[ "$online" != 0 ] || skip "one CPU only: there is nothing to split"

dir_of() { # CONTROLLER of v1, NAME
	if is_v1; then echo "$(mount_of "$1")/$(group "$2")"; else echo "$v2/$(group "$2")"; fi
}
for name in web batch; do
	new_group "$name"
	dir=$(dir_of cpuset "$name")
	! is_v1 || for file in cpuset.cpus cpuset.mems; do cat "$dir/../$file" >"$dir/$file"; done
done
# All of them is an empty list on v2, until there was another: the kernel takes no empty one back then.
cpus_of() { # NAME
	local cpus=''
	read -r cpus <"$(dir_of cpuset "$1")/cpuset.cpus" || true
	[ "$cpus" != "$online" ] || cpus=''
	echo "${cpus:-all}"
}
weight_of() {
	if is_v1; then cat "$(dir_of cpu "$1")/cpu.shares"; else cat "$(dir_of cpu "$1")/cpu.weight"; fi
}
# CPU time of both in us, into $ret: at one moment, so without a process for each look
if is_v1; then usage_file=cpuacct/cpuacct.usage; else usage_file=cpu/cpu.stat; fi
web_usage=$(dir_of ${usage_file%/*} web)/${usage_file#*/}
batch_usage=$(dir_of ${usage_file%/*} batch)/${usage_file#*/}
ret=()
usages() {
	local a b
	read -r a <"$web_usage" && read -r b <"$batch_usage"
	if is_v1; then ret=($((a / 1000)) $((b / 1000))); else ret=("${a#usage_usec }" "${b#usage_usec }"); fi
}
settings() { for name in web batch; do echo "$name $(cpus_of $name) $(weight_of $name)"; done; }
# each CPU of a list, in a line of its own
expand() { tr , '\n' <<<"$1" | while IFS=- read -r first last; do seq "$first" "${last:-$first}"; done; }
settings >"$tmp/before"
as_before() { # WHAT
	settings >"$tmp/after"
	diff "$tmp/before" "$tmp/after" >"$tmp/diff" ||
		fail "$1: not as before (< before, > after): $(cat "$tmp/diff")"
}

# Waits depend on who else wants the CPUs: no target here.
cat >"$tmp/types.yaml" <<END
interval: $(fast 20ms 400ms)
cpus: { check: $(fast 200ms 800ms), beta: 2, wait_p99: 0s, waste: 100% }
groups:
  - match: "*"
    freeze: off
    ram: { mode: off }
    type: auto
END
cat >"$tmp/weights.yaml" <<END
interval: $(fast 100ms 400ms)
groups:
  - { match: "*-web", freeze: off, ram: { mode: off }, character: batch, table: kernel, nice: 0 }
  - { match: "*-batch", freeze: off, ram: { mode: off }, character: batch, table: kernel, nice: 5 }
END
cat >"$tmp/partition.yaml" <<END
interval: $(fast 100ms 400ms)
cpus: { check: $(fast 200ms 800ms), wait_p99: 0s, waste: 100%, partition: root }
groups:
  - { match: "*-web", freeze: off, ram: { mode: off }, type: service }
  - { match: "*-batch", freeze: off, ram: { mode: off }, type: scientific }
END
place() { # CPUS MEMS
	cat >"$tmp/place.yaml" <<-END
		interval: $(fast 100ms 400ms)
		groups:
		  - { match: "*-web", freeze: off, ram: { mode: off }, cpu: { cpus: "$1", mems: "$2" } }
		  - { match: "*", freeze: off, ram: { mode: off } }
	END
}
groups=("$(group web)" "$(group batch)")
burners=()
burn() { # NAME COMMAND...
	spawn "$@" >>"$tmp/burn"
	burners+=("$spawned")
}
stop_burners() {
	local pid
	for pid in "${burners[@]}"; do
		kill -KILL "$pid"
		wait "$pid" 2>/dev/null || true
	done
	burners=()
}
is_split() { [ "$(cpus_of batch)" != all ] && [ "$(cpus_of web)" != all ]; }

say "CPUs and memory nodes that the configuration names"
place 1 0
start_daemon -c "$tmp/place.yaml" "${groups[@]}"
expect "CPUs of web and batch" "1 all" "$(cpus_of web) $(cpus_of batch)"
expect "memory nodes of web" 0 "$(cat "$(dir_of cpuset web)/cpuset.mems")"
expect_line "$tmp/out" "$(group web)  cpus  1, as configured"
stop_daemon
as_before "the end of the run"
if thorough "kill -9: the keeper gives them back"; then
	not_recorded=1 start_daemon -c "$tmp/place.yaml" "${groups[@]}"
	expect "CPUs of web" 1 "$(cpus_of web)"
	keeper=$(keeper_of "$daemon")
	kill -KILL "$daemon"
	must_come 5 "end of the keeper" not alive "$keeper"
	wait "$daemon" 2>/dev/null || true
	as_before "kill -9"
fi
place 8191 0
status=0
"$pfuse" run --ledger "$ledger" -c "$tmp/place.yaml" "${groups[@]}" >"$tmp/out" 2>"$tmp/err" || status=$?
expect "exit status for a CPU that no machine has" 1 "$status"
expect_line "$tmp/err" "$(group web): cpus cannot be 8191: this machine has no such CPU"
one_line "$tmp/err"
as_before "a refusal"

burn web "$bin/burn" 50 600000
burn batch "$bin/burn" 1000 600000
burn batch "$bin/burn" 1000 600000

if thorough "--dry-run decides the same and writes nothing"; then
	start_daemon --dry-run -c "$tmp/types.yaml" --summary "$tmp/s.json" "${groups[@]}"
	must_come 10 "a group that is found to be scientific" \
		grep -q "$(group batch)  cpus  .*now scientific" "$tmp/out"
	as_before "a decision of a dry run"
	stop_daemon
	as_before "the dry run"
	[ ! -e "$ledger" ] || fail "the dry run wrote a ledger"
	expect "type in the summary" scientific "$(json "$tmp/s.json" groups 1 type)"
fi

say "type: auto, from SIGHUP on: the hog becomes scientific, and the sets are disjoint"
sed 's/type: auto/type: off/' "$tmp/types.yaml" >"$tmp/off.yaml"
reload() { # CONFIGURATION
	cp "$tmp/$1.yaml" "$tmp/live.yaml"
	kill -HUP "$daemon"
}
cp "$tmp/off.yaml" "$tmp/live.yaml"
start_daemon -c "$tmp/live.yaml" --trace "$recorded" --trace-limit 64K --trace-keep 999 --summary "$tmp/s.json" "${groups[@]}"
reload types
must_come "$(fast 10 60)" "CPUs of their own" is_split
web=$(cpus_of web) batch=$(cpus_of batch)
say "   web $web, batch $batch"
expect "CPUs in both sets" "" "$(comm -12 <(expand "$web" | sort) <(expand "$batch" | sort))"
expect "all CPUs, between them" "$(expand "$online" | sort -n | xargs)" \
	"$( (expand "$web" && expand "$batch") | sort -n | xargs)"
expect "CPUs of the service that sleeps" 1 "$(expand "$web" | wc -l)"
expect_line "$tmp/out" "$(group batch)  cpus  all -> [0-9]+ \([0-9,-]+\)  now scientific: .*usage [0-9.]+ %, alpha 80.0 %, count 3"
expect_line "$tmp/out" "$(group web)  cpus  all -> 1 \($web\)  a service"
expect_no_line "$tmp/out" "$(group web) .*now scientific"
reload off
is_as_before() { settings | cmp -s - "$tmp/before"; }
must_come "$(fast 5 30)" "all as before, without a type" is_as_before
[ -n "$slow" ] || must_come 20 "a second file of the recording" test -e "$tmp/recorded.1.pftrace"
reload types
must_come "$(fast 10 60)" "CPUs of their own again" is_split
expect "what is said about that" "" "$(cat "$tmp/err")"
stop_daemon
as_before "the end of the run"
say "   what was decided was decided again, from each file of the recording by itself"
[ -n "$slow" ] || expect_that "files" [ "$(grep -c '^identical' "$tmp/replayed")" -ge 2 ]
expect_line "$tmp/replayed" "  $(group batch)  cpus  max -> [0-9]+  type  "
expect_line "$tmp/replayed" "  $(group web)  cpus  max -> 1  sla  "
cat "$tmp"/recorded*.pftrace >"$tmp/all"
for name in CPUs 'weight (0: as found)' 'run-queue wait p99' refaults 'stall for memory'; do
	grep -qaF "$name" "$tmp/all" || fail "no counter track \"$name\""
done
sed 's/type: auto/type: service/' "$tmp/types.yaml" >"$tmp/services.yaml"
cp "$(ls -t "$tmp"/recorded*.pftrace | tail -n 1)" "$tmp/oldest.pftrace"
"$pfuse" replay -c "$tmp/services.yaml" "$tmp/oldest.pftrace" >"$tmp/other" 2>&1 || fail "replay -c: $(cat "$tmp/other")"
expect_line "$tmp/other" "^- .*  $(group batch)  cpus  max -> [0-9]+  type  "
expect_no_line "$tmp/other" "^\+ .*  cpus  .*  type  "
expect "type in the summary" "service scientific" \
	"$(json "$tmp/s.json" groups 0 type) $(json "$tmp/s.json" groups 1 type)"
expect "moves in the summary" "0 1" "$(json "$tmp/s.json" groups 0 cpus moves) $(json "$tmp/s.json" groups 1 cpus moves)"

if thorough "what somebody else writes is left alone, and the other group gets all CPUs again; then kill -9"; then
	start_daemon -c "$tmp/types.yaml" "${groups[@]}"
	must_come "$(fast 10 60)" "CPUs of their own" is_split
	theirs=$(cpus_of web) # neither what it had before nor what we gave it
	echo "$theirs" >"$(dir_of cpuset batch)/cpuset.cpus"
	stop_burners # nothing for it to do: it is to be a service
	burn web "$bin/burn" 50 600000
	must_come "$(fast 15 90)" "a line about the foreign set" grep -q "$(group batch)  cpus  .*left alone: somebody else" "$tmp/out"
	has_all() { [ "$(cpus_of web)" = all ]; }
	must_come "$(fast 10 60)" "all CPUs for the other one" has_all
	expect "the set that somebody else wrote" "$theirs" "$(cpus_of batch)"
	keeper=$(keeper_of "$daemon")
	kill -KILL "$daemon"
	must_come "$(fast 10 60)" "end of the keeper" not alive "$keeper"
	wait "$daemon" 2>/dev/null || true
	expect "the set that somebody else wrote" "$theirs" "$(cpus_of batch)"
	echo "$online" >"$(dir_of cpuset batch)/cpuset.cpus"
	stop_burners
	as_before "kill -9"
else
	stop_burners
fi

say "weights: nice 0 and 5 on one CPU"
burn web taskset -c 0 "$bin/burn" 1000 600000
burn batch taskset -c 0 "$bin/burn" 1000 600000
# Not recorded: who records has the programs at the hooks that this begins with.
cp "$tmp/off.yaml" "$tmp/live.yaml"
not_recorded=1 start_daemon -c "$tmp/live.yaml" --summary "$tmp/s.json" "${groups[@]}"
reload types
is_typed() { grep -q "$(group batch)  cpus  .*now scientific" "$tmp/out"; }
must_come "$(fast 10 60)" "types, by programs that were loaded for them" is_typed
reload off
must_come "$(fast 5 30)" "all as before, without a type" is_as_before
# Before Linux 6.2 a task that was kept off the CPU it asked for does not come back to it.
for pid in "${burners[@]: -2}"; do taskset -cp 0 "$pid" >/dev/null; done
reload weights
wanted=$(if is_v1; then echo 1024 338; else echo 100 33; fi)
has_weights() { [ "$(weight_of web) $(weight_of batch)" = "$wanted" ]; }
must_come "$(fast 5 30)" "weights of the kernel's table" has_weights
expect_line "$tmp/out" "$(group batch)  weight  as found -> 33  batch: by its table"
nap 0.5
usages
first=("${ret[@]}")
nap "$(fast 4 8)"
usages
awk -v a=$((ret[0] - first[0])) -v b=$((ret[1] - first[1])) 'BEGIN {
	printf "   %.2f s and %.2f s: %.2f times; by the table %.2f\n", a / 1e6, b / 1e6, a / b, 1024 / 335
	exit !(a / b > 1024 / 335 * 0.9 && a / b < 1024 / 335 * 1.1) }' || fail "the CPU time is not shared by the weights"
stop_daemon
expect "weights in the summary" "100 33" "$(json "$tmp/s.json" groups 0 cpus weight) $(json "$tmp/s.json" groups 1 cpus weight)"
stop_burners
as_before "the end of the run"

say "a partition, where asked; v1 has none, which is said"
burn batch "$bin/burn" 300 600000
start_daemon -c "$tmp/partition.yaml" "${groups[@]}"
if is_v1; then
	must_come 5 "a line about partitions" grep -q "$(group batch)  its CPUs are no partition: v1 has" "$tmp/out"
else
	kind=$v2/$(group batch)/cpuset.cpus.partition
	must_come "$(fast 5 60)" "a partition" grep -qx root "$kind"
fi
stop_daemon
is_v1 || expect "partition at the end" member "$(cat "$kind")"
stop_burners
as_before "the end of the run"
say "ok"
