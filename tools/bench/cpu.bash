# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Sourced after groups.bash by the benches of CPUs and weights: groups in every hierarchy that these need,
# and figures of processes. The promise of groups.bash holds in all of them.

bench_trees=() # mounts: the anchor's first, then v1's of cpu and cpuset
bench_cpu=''   # where weights are
bench_cpuset=''

# mount_of CONTROLLER: where v1 mounts it; nothing where it does not
mount_of() {
	awk -v c="$1" '{ for (i = 7; $i != "-"; i++) ; if ($(i + 1) != "cgroup") next
		n = split($(i + 3), o, ","); for (j = 1; j <= n; j++) if (o[j] == c) { print $5; exit } }' /proc/self/mountinfo
}

# In place of begin.
begin_cpu() {
	local tree
	begin
	trap finish_cpu EXIT
	bench_trees=("$bench_root")
	bench_cpu=$bench_root bench_cpuset=$bench_root
	if [ "$bench_v" = v1 ]; then
		bench_cpu=$(mount_of cpu) bench_cpuset=$(mount_of cpuset)
		[ -n "$bench_cpu" ] && [ -n "$bench_cpuset" ] || die 'cpu and cpuset are not mounted as v1'
		for tree in "$bench_cpu" "$bench_cpuset"; do
			[[ " ${bench_trees[*]} " == *" $tree "* ]] || bench_trees+=("$tree")
		done
		for tree in "${bench_trees[@]:1}"; do mkdir "$tree/$bench_name"; done
		fill_cpuset "$bench_cpuset/$bench_name"
	else
		echo '+cpu +cpuset' >"$bench_root/cgroup.subtree_control"
		echo '+cpu +cpuset' >"$bench_root/$bench_name/cgroup.subtree_control"
	fi
}

# v1: a new cpuset takes nobody before it has CPUs.
fill_cpuset() {
	local file
	for file in cpuset.cpus cpuset.mems; do cat "${1%/*}/$file" >"$1/$file"; done
}

# cpu_group NAME: also an argument for the daemon
cpu_group() {
	local tree
	for tree in "${bench_trees[@]}"; do mkdir "$tree/$bench_name/$1"; done
	[ "$bench_v" = v2 ] || fill_cpuset "$bench_cpuset/$bench_name/$1"
	bench_args+=("$bench_name/$1")
}

# need PROGRAM...: below $bench_tmp, as built with all the rest
need() {
	local name path
	for name; do
		path=$build/tools/bench/$name
		[ "$name" != burn ] || path=$build/tests/e2e/burn
		[ -x "$path" ] || die "$path is missing; build first: cmake --build --preset release"
		cp "$path" "$bench_tmp/$name"
	done
}

# enter NAME: this shell goes there
enter() {
	local tree
	for tree in "${bench_trees[@]}"; do echo "$BASHPID" >"$tree/$bench_name/$1/cgroup.procs"; done
}

# launch NAME COMMAND...: in the group from its first instruction on; $launched is its pid
launched=''
launch() {
	local name=$1
	shift
	(
		enter "$name"
		exec "$@"
	) </dev/null >"$bench_tmp/$name.log" 2>&1 &
	launched=$!
	bench_pids+=("$launched")
}

# end PID
end() {
	local pid rest=()
	kill -KILL "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
	for pid in "${bench_pids[@]}"; do [ "$pid" = "$1" ] || rest+=("$pid"); done
	bench_pids=("${rest[@]+"${rest[@]}"}")
}

# What is left in the groups goes first: a workload's own children.
remove_cpu_groups() {
	local tree dir pid
	[ ${#bench_pids[@]} = 0 ] || kill -KILL "${bench_pids[@]}" 2>/dev/null || true
	for dir in "$bench_root/$bench_name"/*/; do
		[ ! -r "$dir/cgroup.procs" ] || while read -r pid; do kill -KILL "$pid" 2>/dev/null || true; done <"$dir/cgroup.procs"
	done
	[ ${#bench_pids[@]} = 0 ] || wait "${bench_pids[@]}" 2>/dev/null || true
	bench_pids=() bench_args=()
	for tree in "${bench_trees[@]}"; do
		for dir in "$tree/$bench_name"/*/; do
			[ -d "$dir" ] || continue
			for _ in {1..200}; do
				rmdir "$dir" 2>/dev/null && break
				sleep 0.01
			done
		done
	done
	return 0
}

finish_cpu() {
	local tree
	set +e
	[ -z "$bench_daemon" ] || stop_daemon
	remove_cpu_groups
	for tree in "${bench_trees[@]:1}"; do rmdir "$tree/$bench_name" 2>/dev/null; done
	finish
}

# ran PID: ns of CPU time, of one thread
ran() {
	local ns
	read -r ns _ <"/proc/$1/schedstat"
	echo "$ns"
}

switches() { awk '$1 == "ctxt" { print $2 }' /proc/stat; }

# percentile FILE PERMILLE, spread FILE: "median (least..most)"
percentile() {
	sort -g "$1" | awk -v p="$2" '{ v[NR] = $1 } END { if (!NR) { print "-"; exit }
		i = int((NR * p + 999) / 1000); print v[i < 1 ? 1 : i] }'
}
spread() { printf '%s (%s..%s)' "$(percentile "$1" 500)" "$(percentile "$1" 1)" "$(percentile "$1" 1000)"; }

print_machine() {
	printf '%s, kernel %s, cgroup %s, %s CPUs; load %s before, %s after\n' "$("$build/pfuse-bpf" --version)" \
		"$(uname -r)" "$bench_v" "$(nproc)" "$1" "$(cut -d' ' -f1-3 /proc/loadavg)"
}

# hpcc_input SIDE PROCESSES: HPL, FFT, STREAM and RandomAccess of one small problem, for hpccinf.txt
hpcc_input() {
	printf '%s\n' 'HPLinpack benchmark input file' 'pfuse' HPL.out 8 '1 # of problems sizes (N)' "$1 Ns" \
		'1 # of NBs' '80 NBs' '0 PMAP' '1 # of process grids' '1 Ps' "$2 Qs" '16.0 threshold' '1 # of panel fact' \
		'2 PFACTs' '1 # of recursive stopping criterium' '4 NBMINs' '1 # of panels in recursion' '2 NDIVs' \
		'1 # of recursive panel fact.' '1 RFACTs' '1 # of broadcast' '1 BCASTs' '1 # of lookahead depth' '1 DEPTHs' \
		'2 SWAP' '64 swapping threshold' '0 L1' '0 U' '1 Equilibration' '8 memory alignment' \
		'0 Number of additional problem sizes for PTRANS' '0 values of N' '0 number of additional blocking sizes for PTRANS' \
		'0 values of NB'
}

# weight_of TABLE NICE, in the units of cpu.weight: 1024/1.25^nice as the kernel rounds it, scaled to 100 for
# 1024; grouped: the mean of n neighbours from nice -20 on; refined: 60 weights, -30..29.
weight_of() {
	awk -v table="$1" -v nice="$2" -v kernel="88761 71755 56483 46273 36291 29154 23254 18705 14949 11916 9548 \
7620 6100 4904 3906 3121 2501 1991 1586 1277 1024 820 655 526 423 335 272 215 172 137 110 87 70 56 45 36 29 23 18 15" '
	BEGIN {
		split(kernel, weights, " ")
		if (table != "refined") nice = nice < -20 ? -20 : nice > 19 ? 19 : nice
		if (table ~ /^grouped/) {
			n = substr(table, 8); first = int((nice + 20) / n) * n
			for (i = first; i < first + n; i++) sum += weights[i + 1]
			weight = sum / n
		} else if (table == "refined" && (nice < -20 || nice > 19))
			weight = 1024 / 1.25 ^ nice
		else
			weight = weights[nice + 21]
		weight = int(weight * 100 / 1024 + 0.5)
		print (weight < 1 ? 1 : weight > 10000 ? 10000 : weight)
	}'
}

# write_weight NAME WEIGHT
write_weight() {
	if [ "$bench_v" = v2 ]; then echo "$2" >"$bench_cpu/$bench_name/$1/cpu.weight"
	else echo $((($2 * 1024 + 50) / 100)) >"$bench_cpu/$bench_name/$1/cpu.shares"; fi
}
read_weight() {
	local value
	if [ "$bench_v" = v2 ]; then cat "$bench_cpu/$bench_name/$1/cpu.weight"
	else read -r value <"$bench_cpu/$bench_name/$1/cpu.shares"; echo $(((value * 100 + 512) / 1024)); fi
}
