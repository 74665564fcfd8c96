#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# `curve`: the knee of a program whose hot set is known, in every format; what it refuses; how it ends.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

MiB=1048576
new_group busy
new_group empty

refused() { # STATUS SENTENCE ARGUMENT...
	local wanted=$1 sentence=$2
	shift 2
	status=0
	"$pfuse" curve "$@" >"$tmp/out" 2>"$tmp/err" </dev/null || status=$?
	expect "exit status of curve $*" "$wanted" "$status"
	one_line "$tmp/err"
	expect_line "$tmp/err" "$sentence"
	expect "output of curve $*" 0 "$(wc -c <"$tmp/out")"
}

say "what it refuses"
refused 1 'no such group' --for 1s "$prefix-missing"
refused 1 'the group is empty' --for 1s "$(group empty)"
refused 1 'root group' --for 1s "$memory"
refused 1 'no such process' --for 1s pid:4194999
refused 1 'not a process id' --for 1s pid:x
refused 1 'cannot write.*create its directory' --for 1s -o "$tmp/none/file" "pid:$$"
refused 2 'is no duration' --for 0 "$(group busy)"
refused 2 'allowed: text, csv, json, svg' --format png "$(group busy)"
refused 2 'nothing to measure'

# 256 MiB, of which a fifth is hot. An epoch touches two thirds of the hot part; where measuring takes long,
# epochs are long, too.
hot=$((256 * MiB / 5))
spawn busy "$bin/touch" 256 "$(fast 30000 5000)" >"$tmp/touch"
subject=$spawned
usage_is() { [ "$(usage_of busy)" -gt $((256 * MiB)) ]; }
must_come "$(fast 10 60)" "the memory of the program" usage_is

near() { # WHAT WANTED SEEN PERCENT
	[ "$3" -ge $(($2 * (100 - $4) / 100)) ] && [ "$3" -le $(($2 * (100 + $4) / 100)) ] ||
		fail "$1: expected $2 to $4 %, saw $3"
}

say "the knee of a group, as JSON"
anon_huge() { awk '/^AnonHugePages/ { s += $2 } END { print s }' "/proc/$subject/smaps"; }
before=$(anon_huge)
"$pfuse" curve --for "$(fast 7s 30s)" --format json "$(group busy)" >"$tmp/out" 2>"$tmp/err"
expect "lines on stderr, which is no terminal" 0 "$(wc -l <"$tmp/err")"
keys=$(json "$tmp/out" | sort | tr '\n' ' ')
expect "keys" "confident curve doubt error knee_below_resolution knee_bytes knee_curvature_bytes left_out need_bytes resolution_bytes sampled_share source " "$keys"
expect "keys of need_bytes" "p90 p95 p99 " "$(json "$tmp/out" need_bytes | sort | tr '\n' ' ')"
expect "keys of a point" "hit_ratio size_bytes " "$(json "$tmp/out" curve 0 | sort | tr '\n' ' ')"
expect "source" "page tables" "$(json "$tmp/out" source)"
expect "is the knee below the resolution" false "$(json "$tmp/out" knee_below_resolution)"
near "the knee" $hot "$(json "$tmp/out" knee_bytes)" "$(fast 10 20)"
expect "huge pages of the process afterwards" "$before" "$(anon_huge)"
expect_that "the process lives" alive "$subject"

say "the knee of a group that reads a file"
# ramfs is page cache, and every kernel has it. The mount goes with the process.
mkdir "$tmp/ramfs"
new_group reader
spawn reader unshare -m sh -c 'mount -t ramfs none "$4" && exec "$@"' - "$bin/touch" 64 "$(fast 8000 1500)" "$tmp/ramfs" >"$tmp/read"
reader=$spawned
has_read() { [ "$(usage_of reader)" -gt $((64 * MiB)) ]; }
must_come "$(fast 10 200)" "the file in memory" has_read
"$pfuse" curve --for "$(fast 6s 15s)" --format json "$(group reader)" >"$tmp/out" 2>"$tmp/err"
# Of so small a process, libraries that others map too may be most: then there is more in the name.
expect "end of the source" ", file reads" "$(json "$tmp/out" source | grep -o ', file reads$')"
knee=$(json "$tmp/out" knee_bytes)
if [ "$(json "$tmp/out" knee_below_resolution)" = false ]; then
	near "the knee" $((64 * MiB / 5)) "$knee" "$(fast 15 25)"
else # where a turn takes long, an epoch touches most of what is hot: an upper bound then
	expect_that "an epoch that is short enough" [ -n "$slow" ]
	expect_that "the knee, $knee or less" [ "$knee" -ge $((64 * MiB / 5 * 75 / 100)) ]
fi
kill "$reader"
must_come "$(fast 10 60)" "the end of the reader" is_dead "$reader"

say "the kernel's own generations of pages"
lru=/sys/kernel/mm/lru_gen/enabled
if [ ! -e $lru ]; then
	refused 3 'has no multi-gen LRU' --source mglru "$(group busy)"
elif [ $(($(cat $lru) & 1)) = 0 ]; then
	refused 3 'is switched off' --source mglru "$(group busy)"
elif [ ! -w /sys/kernel/debug/lru_gen ]; then
	refused 3 'mount -t debugfs' --source mglru "$(group busy)"
else
	"$pfuse" curve --source mglru --for "$(fast 7s 15s)" --format json "$(group busy)" >"$tmp/out" 2>"$tmp/err"
	expect "source" mglru "$(json "$tmp/out" source)"
	# Coarse, and where an epoch touches little it says so: then its knee is worth nothing.
	if [ "$(json "$tmp/out" confident)" = true ]; then near "the knee" $hot "$(json "$tmp/out" knee_bytes)" 40; fi
fi
refused 3 'knows groups only' --source mglru "pid:$subject"

say "DAMON's size"
damon=/sys/kernel/mm/damon/admin/kdamonds
of_damon() { "$pfuse" curve --source damon --for "$(fast 6s 12s)" "$@" >"$tmp/out" 2>"$tmp/err" || status=$?; }
status=0
of_damon --format json "$(group busy)"
if [ ! -e $damon/nr_kdamonds ]; then
	expect_line "$tmp/err" 'this kernel has no DAMON'
	expect "exit status" 3 "$status"
elif [ "$status" != 0 ]; then # another user's, or one that knows no processes
	expect_line "$tmp/err" 'somebody uses DAMON|watches no processes'
else
	expect "source" damon "$(json "$tmp/out" source)"
	expect "is it to be believed" false "$(json "$tmp/out" confident)"
	# Regions, not pages; and what is touched of the rest within a second is used as well.
	size=$(json "$tmp/out" working_set_bytes)
	expect_that "a size of $((size / MiB)) MiB, of which $((hot / MiB)) are hot" [ "$size" -ge $((hot / 4)) ]
	expect_that "a size of $((size / MiB)) MiB, of 256" [ "$size" -le $((300 * MiB)) ]
	say "   $((size / MiB)) MiB"
	refused 1 'a size, no curve' --source damon --format svg "$(group busy)"
	expect "monitors of DAMON afterwards" 0 "$(cat $damon/nr_kdamonds)"
fi

say "an early end, into a file"
# Nothing tells from outside when there is a curve: if it ended too early, once more, for longer.
for seconds in $(fast '1.5 3 6' '15 40 100'); do
	"$pfuse" curve --for 1h --format svg -o "$tmp/curve.svg" "pid:$subject" >"$tmp/out" 2>"$tmp/err" </dev/null &
	curve=$!
	pids+=("$curve")
	nap "$seconds"
	kill -INT "$curve"
	status=0
	wait "$curve" || status=$?
	[ "$status" != 0 ] || break
	expect_line "$tmp/err" 'no curve'
done
expect "exit status after SIGINT" 0 "$status"
expect "output beside the file" 0 "$(wc -c <"$tmp/out")"
expect_line "$tmp/curve.svg" '^<svg .*'
expect_line "$tmp/curve.svg" '</svg>$'
expect_line "$tmp/curve.svg" '>knee '

formats() {
	LC_ALL=C "$pfuse" curve --for "$(fast 1500ms 6s)" "$(group busy)" >"$tmp/out" 2>"$tmp/err"
	expect_line "$tmp/out" '^ 100 % [|]'
	expect_line "$tmp/out" '^knee +[0-9.]+ [KMG]iB'
	no_control_bytes "$tmp/out"
	! LC_ALL=C grep -qP '[\x80-\xff]' "$tmp/out" || fail "bytes that an ASCII terminal cannot show"
	"$pfuse" curve --for "$(fast 1500ms 6s)" --format csv "$(group busy)" >"$tmp/out" 2>"$tmp/err"
	expect "headline" size_bytes,hit_ratio "$(head -1 "$tmp/out")"
	awk -F, 'NR > 1 { if ($1 < s || $2 < r || $2 > 1) exit 1; s = $1; r = $2 } END { exit NR < 10 }' \
		"$tmp/out" || fail "the curve falls, or is too short"
}
! thorough "text and CSV" || formats

say "a process that ends meanwhile"
for seconds in $(fast '1.5 3 6' '25 50 100'); do # as above
	if is_dead "$subject"; then
		spawn busy "$bin/touch" 256 "$(fast 30000 5000)" >"$tmp/touch"
		subject=$spawned
		must_come "$(fast 10 60)" "the memory of the program" usage_is
	fi
	"$pfuse" curve --for 1h --format csv "$(group busy)" >"$tmp/out" 2>"$tmp/err" </dev/null &
	curve=$!
	pids+=("$curve")
	nap "$seconds"
	kill "$subject"
	must_come "$(fast 30 100)" "the end of the process" is_dead "$subject"
	status=0
	wait "$curve" || status=$?
	[ "$status" != 0 ] || break
	expect_line "$tmp/err" 'no curve|no process is there'
done
expect "exit status after its end" 0 "$status"
expect "headline" size_bytes,hit_ratio "$(head -1 "$tmp/out")"

say "too short a time, and a process that touches nothing"
spawn busy sleep 1000
refused 1 'no curve' --for 1ms "$(group busy)"
kill -STOP "$spawned"
must_come "$(fast 5 30)" "stop of the process" is_signalled "$spawned"
status=0
"$pfuse" curve --for "$(fast 1500ms 6s)" --format json "$(group busy)" >"$tmp/out" 2>"$tmp/err" || status=$?
if [ "$status" = 0 ]; then
	expect_that "bytes touched per epoch, of some MiB" [ "$(json "$tmp/out" resolution_bytes)" -lt 65536 ]
else
	expect_line "$tmp/err" 'no curve'
fi
say "ok"
