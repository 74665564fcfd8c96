# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Sourced by the benches of the daemon: groups of our own, what runs in them, and the end of both.
#
# Promise: only directories named pfuse-bench-<pid> are made, and all of them are removed at the end,
# however it comes; only processes that were started here are killed, each by its pid.

die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

bench_name=pfuse-bench-$$
bench_pids=()
bench_daemon='' # pid of the daemon under test
bench_keeper=''

# Where the memory controller is: v1's mount, or v2's.
find_root() {
	local fields mount
	bench_root=''
	while read -r -a fields; do
		mount=${fields[4]}
		if [ -e "$mount/memory.use_hierarchy" ]; then
			bench_root=$mount bench_limit=memory.limit_in_bytes bench_v=v1
			return
		fi
		if [ -e "$mount/cgroup.controllers" ] && [[ " $(<"$mount/cgroup.controllers") " == *" memory "* ]]; then
			bench_root=$mount bench_limit=memory.max bench_v=v2
		fi
	done </proc/self/mountinfo
	[ -n "$bench_root" ] || die 'no memory controller is mounted'
}

begin() {
	[ "$(id -u)" = 0 ] || die 'needs root: it makes cgroups and loads BPF programs'
	[ -x "$build/pfuse-bpf" ] || die "$build/pfuse-bpf is missing; build first: cmake --preset release && cmake --build --preset release"
	find_root
	bench_tmp=$(mktemp -d)
	trap finish EXIT
	trap 'exit 130' INT TERM
	mkdir "$bench_root/$bench_name"
	[ $bench_v = v1 ] || {
		echo +memory >"$bench_root/cgroup.subtree_control"
		echo +memory >"$bench_root/$bench_name/cgroup.subtree_control"
	}
}

# make_groups COUNT [PROGRAM...]: g1 … gCOUNT, with one process in each if there is a PROGRAM.
make_groups() {
	local i task dir count=$1
	shift
	bench_args=()
	for ((i = 1; i <= count; i++)); do
		dir=$bench_root/$bench_name/g$i
		mkdir "$dir"
		[ -z "${bench_twin-}" ] || mkdir -p "$bench_twin/$bench_name/g$i"
		bench_args+=("$bench_name/g$i")
		[ $# -gt 0 ] || continue
		for ((task = 0; task < ${bench_tasks:-1}; task++)); do
			"$@" </dev/null >/dev/null 2>&1 &
			bench_pids+=($!)
			echo $! >"$dir/cgroup.procs"
			[ -z "${bench_twin-}" ] || echo $! >"$bench_twin/$bench_name/g$i/cgroup.procs"
		done
	done
}

# The v2 tree, where groups can be frozen: $bench_twin, with our directory in it.
find_twin() {
	bench_twin=$bench_root
	[ "$bench_v" = v1 ] || return 0
	bench_twin=$(awk '$4 == "/" && / - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
	[ -n "$bench_twin" ] || die 'no cgroup v2 tree is mounted, so there is no cgroup.freeze'
	mkdir "$bench_twin/$bench_name"
}

remove_groups() {
	local dir pid
	[ ${#bench_pids[@]} = 0 ] || {
		kill -KILL "${bench_pids[@]}" 2>/dev/null || true
		for pid in "${bench_pids[@]}"; do wait "$pid" 2>/dev/null || true; done
		bench_pids=()
	}
	for dir in "$bench_root/$bench_name"/*/ ${bench_twin:+"$bench_twin/$bench_name"/*/}; do
		[ -d "$dir" ] || continue
		for _ in {1..200}; do
			rmdir "$dir" 2>/dev/null && break
			sleep 0.01
		done
	done
	return 0
}

finish() {
	set +e
	[ -z "$bench_daemon" ] || stop_daemon
	remove_groups
	rmdir "$bench_root/$bench_name" ${bench_twin:+"$bench_twin/$bench_name"} 2>/dev/null
	rm -rf "$bench_tmp"
}

# start_daemon [OPTION...]: manages bench_args. Sets bench_daemon, bench_keeper, bench_start_ms.
# What it prints goes to bench_tmp/out.
start_daemon() {
	local from=$EPOCHREALTIME line='' to ready
	exec {ready}< <(exec "$build/pfuse-bpf" run --ledger "$bench_tmp/ledger" \
		--summary "$bench_tmp/summary.json" "$@" "${bench_args[@]}" 2>>"${bench_err:-$bench_tmp/err}")
	bench_daemon=$!
	until [[ $line = *orchestrates* || $line = *watches* ]]; do
		IFS= read -r line <&"$ready" || { cat "$bench_tmp/err" >&2; bench_daemon=''; die 'the daemon did not start'; }
	done
	to=$EPOCHREALTIME
	cat <&"$ready" >"$bench_tmp/out" &
	exec {ready}<&-
	bench_start_ms=$(((${to/./} - ${from/./}) / 1000))
	read -r bench_keeper _ <"/proc/$bench_daemon/task/$bench_daemon/children" || true # the file has no newline
}

# A process substitution is no job: it cannot be waited for by name, but its end can be seen.
wait_gone() {
	while kill -0 "$1" 2>/dev/null; do sleep 0.005; done
}

stop_daemon() {
	kill -TERM "$bench_daemon" 2>/dev/null || true
	wait_gone "$bench_daemon"
	[ -z "$bench_keeper" ] || wait_gone "$bench_keeper"
	bench_daemon='' bench_keeper=''
}
