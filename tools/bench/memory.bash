# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Sourced after cpu.bash: samples of the group "work", once a second, in a process of its own.
#
#	find_zram; start_sampler FILE; stop_sampler; row_of FILE FROM LOADED END
#
# A line: ms since boot, memory.current, memory.swap.current, bytes that zram holds more than at find_zram or the start,
# us of stall (some), workingset refaults, major faults, memory.max (-1: none). Only our group swaps, so what zram holds
# more is the group's. On v1: usage, 0, 0, 0, refaults, major faults, limit.

bench_zram='' # the directory of the device that is swapped to
sampler=''

find_zram() {
	local device
	device=$(awk '$1 ~ /^\/dev\/zram/ { print $1; exit }' /proc/swaps)
	[ -n "$device" ] || die 'needs swap to zram; on this machine: tools/bench/guest -- tools/bench/saving'
	bench_zram=/sys/block/${device#/dev/}
}

now_ms() { awk '{ printf "%d", $1 * 1000 }' /proc/uptime; }

zram_bytes() { # into $zram
	local fields
	zram=0
	[ -z "$bench_zram" ] || { read -r -a fields <"$bench_zram/mm_stat" && zram=${fields[2]}; }
}

# memory.stat into $refaults and $majors
read_stat() {
	local key value
	refaults=0 majors=0
	while read -r key value; do
		case $key in
		workingset_refault*) refaults=$((refaults + value)) ;;
		pgmajfault | total_pgmajfault) majors=$value ;;
		esac
	done <"$1/memory.stat"
}

sample() { # DIRECTORY
	local up current=0 swap=0 word='' stall=0 limit=-1 usage=memory.usage_in_bytes
	[ "$bench_v" = v1 ] || usage=memory.current
	read -r up _ </proc/uptime
	read -r current <"$1/$usage"
	[ ! -r "$1/memory.swap.current" ] || read -r swap <"$1/memory.swap.current"
	[ ! -r "$1/memory.pressure" ] || read -r _ _ _ _ word <"$1/memory.pressure"
	stall=${word#total=}
	read -r limit <"$1/$bench_limit"
	[[ $limit != max && ${#limit} -lt 16 ]] || limit=-1
	read_stat "$1"
	zram_bytes
	echo "${up/./}0 $current $swap $((zram - zram_first)) ${stall:-0} $refaults $majors $limit"
}

start_sampler() { # FILE
	local zram=0
	zram_bytes
	zram_first=$zram
	(
		while sample "$bench_root/$bench_name/work" 2>/dev/null; do sleep 1; done
	) >"$1" &
	sampler=$!
}

stop_sampler() {
	[ -n "$sampler" ] || return 0
	kill "$sampler" 2>/dev/null || true
	wait "$sampler" 2>/dev/null || true
	sampler=''
}

# The row of a run, from its samples: mean MiB, final, within, ms of stall, refaults, load's seconds, stall, refaults.
# FROM, LOADED, END: ms since boot at which the phases begin and end.
row_of() { # SAMPLES FROM LOADED END
	awk -v from="$2" -v loaded="$3" -v end="$4" '
		function before(t, what,   i, v) { for (i = 1; i <= n && at[i] <= t; i++) v = what == 1 ? stall[i] : refaults[i]; return v + 0 }
		{ n++; at[n] = $1; memory[n] = ($2 + $4 > 0 ? $2 + $4 : 0) / 1048576; stall[n] = $5; refaults[n] = $6 }
		END {
			for (i = 1; i <= n; i++) if (at[i] > loaded && at[i] <= end) {
				sum += memory[i]; count++
				if (at[i] > end - (end - loaded) / 5) { last += memory[i]; lasts++ }
			}
			if (!lasts) { print "- - - - - - - -"; exit }
			final = last / lasts; within = 0
			for (i = 1; i <= n; i++) if (at[i] > loaded && at[i] <= end && (memory[i] > final * 1.1 || memory[i] < final * 0.9))
				within = (at[i] - loaded) / 1000
			printf "%.1f %.1f %.1f %.0f %.0f %.1f %.0f %.0f\n", sum / count, final, within, (before(end, 1) - before(loaded, 1)) / 1000,
				before(end, 2) - before(loaded, 2), (loaded - from) / 1000, before(loaded, 1) / 1000, before(loaded, 2)
		}' "$1"
}

# A table of cells that are parted by "|": the first column to the left, the others to the right.
column_table() {
	awk -F'|' '{ for (i = 1; i <= NF; i++) { cell[NR, i] = $i; if (length($i) > wide[i]) wide[i] = length($i) } if (NF > columns) columns = NF }
		END { for (r = 1; r <= NR; r++) { for (i = 1; i <= columns; i++) printf(i == 1 ? "%-" wide[i] "s" : "  %" wide[i] "s", cell[r, i]); print "" } }'
}
