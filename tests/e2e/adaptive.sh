#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The policy adaptive: page cache that nobody reads is given back step by step; anonymous memory goes
# only where there is swap; no limit is set. A group whose hot set is
# known: its curve says what it needs, and its memory comes near that, in large steps; while it loads, it
# is left alone.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

MiB=1048576
zram=''
at_end() { [ -z "$zram" ] || { swapoff "$zram"; zramctl --reset "$zram"; }; }
cat >"$tmp/adaptive.yaml" <<END
policy: adaptive
interval: $(fast 500ms 1s)
curve: { budget: $(fast 2% 50%), every: 20s }
groups:
  - match: "*"
    freeze: off
    ram: { grace: 1s, cool_down: 500ms }
END

cached() { awk '$1 == "total_cache" || $1 == "file" { print $2 }' "$memory/$(group cache)/memory.stat"; }
# Written by the group itself, so the cache is its own.
new_group cache
spawn cache sh -c "dd if=/dev/zero of=$tmp/data bs=1M count=64 conv=fsync 2>/dev/null; : >$tmp/written; exec sleep 1000"
must_come "$(fast 20 100)" "64 MiB of page cache" [ -e "$tmp/written" ]
[ "$(cached)" -ge $((48 * MiB)) ] || skip "files in $tmp make no page cache"
[ "$(stat -fc %T "$tmp")" != tmpfs ] || skip "$tmp is in memory itself"

new_group anon
spawn anon "$bin/hog" 59 60 0 0 1000 >"$tmp/anon.hog"
hog=$spawned
must_come "$(fast 10 60)" "start of hog" grep -q '^at 60' "$tmp/anon.hog"

for name in cache anon; do
	controls_of "$(group $name)" >"$tmp/$name.before"
done
swap=$(awk '$1 == "SwapFree:" { print $2 * 1024 }' /proc/meminfo)

expect_that "anonymous memory of hog" [ "$(usage_of anon)" -ge $((60 * MiB)) ]

say "--dry-run changes nothing"
before=$(usage_of cache)
start_daemon -c "$tmp/adaptive.yaml" --dry-run "$(group cache)"
expect_line "$tmp/out" 'policy adaptive'
must_come "$(fast 20 100)" "a step left out" grep -q 'small step shows.*left out: dry run' "$tmp/out"
stop_daemon
expect_that "usage after a dry run" [ "$(usage_of cache)" -ge $((before - MiB)) ]
expect "controls after a dry run" "$(cat "$tmp/cache.before")" "$(controls_of "$(group cache)")"

say "page cache is given back in steps"
before=$(usage_of cache) anon_before=$(usage_of anon)
steps_of() { grep -cE "$(group "$1")  reclaim  .*small step shows.*done in" "$tmp/out" || true; }
has_steps() { [ "$(steps_of "$1")" -ge "$2" ]; }
start_daemon -c "$tmp/adaptive.yaml" --summary "$tmp/s.json" "$(group cache)" "$(group anon)"
must_come "$(fast 30 90)" "three steps" has_steps cache 3
expect_that "usage after three steps" [ "$(usage_of cache)" -le $((before - 2 * MiB)) ]
expect "controls while it reclaims" "$(cat "$tmp/cache.before")" "$(controls_of "$(group cache)")"
expect_line "$tmp/out" 'reclaim  [0-9.]+ MiB -> [0-9.]+ MiB'
expect_no_line "$tmp/out" '  ram  '
say "   $(steps_of cache) steps, $((before / MiB)) -> $(($(usage_of cache) / MiB)) MiB"
if [ "$swap" -gt $((100 * MiB)) ]; then
	must_come "$(fast 30 60)" "a step of anonymous memory to swap" has_steps anon 1
else
	expect "steps of anonymous memory without swap" 0 "$(steps_of anon)"
	expect_that "anonymous memory" [ "$(usage_of anon)" -ge $((anon_before - MiB)) ]
fi
expect_that "hog lives" alive "$hog"
stop_daemon
expect "policy in the summary" adaptive "$(json "$tmp/s.json" daemon policy)"
for name in cache anon; do
	expect "controls of $name after the run" "$(cat "$tmp/$name.before")" "$(controls_of "$(group $name)")"
	expect "OOM kills in $name" 0 "$(oom_kills_of $name)"
done
kill "$hog"
must_come "$(fast 5 30)" "end of hog" is_dead "$hog"

say "a curve sets the memory"
if [ "$swap" -lt $((300 * MiB)) ]; then
	# A device of our own; whoever starts a second one meanwhile gets another.
	modprobe zram 2>/dev/null || true
	zram=$(zramctl --find --size 512M 2>/dev/null) || { say "   (left out: no swap, and no zram device can be had)" && exit 0; }
	mkswap -q "$zram" >/dev/null
	swapon "$zram"
fi
hot=$((200 * MiB / 5)) # the rest is touched by one reference in 50
names=(hot load file)
# What is read from tmpfs is in no page cache that a curve could see, and a guest has nothing else (or an overlay of it).
if [ -n "${PFUSE_GUEST:-}" ] || [ "$(stat -f -c %T "$tmp")" = tmpfs ]; then
	say "   (left out, for files are in tmpfs here: the curve of a file, and shares where memory is short)"
	names=(hot load)
fi
has_file() { [ ${#names[@]} = 3 ]; }
groups=()
for name in "${names[@]}"; do
	new_group "$name"
	groups+=("$(group "$name")")
done
started=$(now_ms)
start_daemon -c "$tmp/adaptive.yaml" --summary "$tmp/s.json" "${groups[@]}"
spawn load "$bin/hog" 4 "$(fast 64 100)" "$(fast 10 4)" 0 1000 >"$tmp/load.hog"
loader=$spawned
spawn hot "$bin/touch" 200 "$(fast 2000 1000)" >"$tmp/touch"
subjects=("$spawned")
if has_file; then
	spawn file "$bin/touch" 200 10000 "$tmp" >"$tmp/touch.file" # not memory but a file, by read(2)
	subjects+=("$spawned")
fi
loaded() { [ "$(usage_of "$1")" -ge $((200 * MiB)) ]; }
must_come "$(fast 10 60)" "the memory of the program, while it loads" loaded hot
! has_file || must_come "$(fast 10 60)" "the file of the program in the page cache" loaded file
must_come "$(fast 30 100)" "the end of a load phase" grep -q '^at [61]' "$tmp/load.hog"
expect_no_line "$tmp/out" "$(group load)  .*(needs no more|small step)"
curve_of() { grep -qE "$(group "$1")  curve  knee .* by page tables$2" "$tmp/out"; }
must_come "$(fast 150 300)" "the curve of memory" curve_of hot ','
! has_file || must_come "$(fast 150 300)" "the curve of a file" curve_of file '.*, file reads'
large_step() { grep -qE "$(group "$1")  reclaim  .*needs no more.*knee .* by page tables.* ago, error .*done in" "$tmp/out"; }
steps() { grep -cE "$(group "$1")  reclaim  .*needs no more.*done" "$tmp/out" || true; }
# Its target is a quarter above the knee; a window that shows harm ends a step early.
# In a slow guest a page from zram takes milliseconds: what comes back is harm sooner, and a part of the way is enough.
near_need() { [ "$(usage_of "$1")" -le $((hot * $(fast 20 35) / 10)) ]; }
for name in "${names[@]}"; do
	[ "$name" != load ] || continue
	must_come "$(fast 60 200)" "a step of $name that the curve asked for" large_step $name
	# A step of which too much came back, as happens, is taken back, and the next waits.
	must_come "$(fast 400 500)" "memory of $name near the need" near_need $name
	say "   $name: 200 -> $(($(usage_of $name) / MiB)) MiB, $(($(now_ms) - started)) ms after the start; steps: $(steps $name)"
	expect_that "what is hot of $name stays" [ "$(usage_of $name)" -ge $((hot * 8 / 10)) ]
done

if has_file; then
	say "where memory is short, the steeper curve gets more"
	# Not enough for both hot sets, and a page of the file's is read five times as often.
	kill "$loader"
	must_come "$(fast 5 30)" "the end of what loaded" is_dead "$loader"
	unloaded() { [ "$(usage_of load)" -le $((4 * MiB)) ]; }
	must_come "$(fast 5 30)" "its memory" unloaded
	nap 1 # and that is seen, at the next interval
	sed -i '1a memory: { total: 64M }' "$tmp/adaptive.yaml"
	kill -HUP "$daemon"
	must_come "$(fast 30 100)" "a word of that" grep -q 'memory is short: 64.0 MiB for ' "$tmp/out"
	share_of() { # the target of the last step that was taken for want of memory, MiB; else what it needs
		sed -nE "s/.*$(group "$1")  reclaim  .*others make more of it.*target ([0-9]+)[0-9.]* MiB.*/\1/p" "$tmp/out" | tail -n 1
	}
	has_share() { [ -n "$(share_of "$1")" ]; }
	must_come "$(fast 200 300)" "a step of the one with the flatter curve" has_share hot
	say "   shares: hot $(share_of hot) MiB of $(($(usage_of hot) / MiB)), file $(share_of file) MiB of $(($(usage_of file) / MiB))"
	expect_that "the share of the flatter curve, $(share_of hot) MiB, is what is left" [ "$(share_of hot)" -le 28 ]
	file_share=$(share_of file)
	expect_that "the steeper one keeps its hot set, ${file_share:-what it needs} MiB" [ "${file_share:-50}" -ge $((hot / MiB * 9 / 10)) ]
fi
for subject in "${subjects[@]}"; do expect_that "the program lives" alive "$subject"; done
stop_daemon
expect "source of the curve" "page tables" "$(json "$tmp/s.json" groups 0 curve_source)"
! has_file || expect_that "the source of the file's curve" grep -q 'file reads' <<<"$(json "$tmp/s.json" groups 2 curve_source)"
for ((i = 0; i < ${#names[@]}; i += 2)); do
	knee=$(json "$tmp/s.json" groups $i curve knee_mib)
	expect_that "knee of $((hot / MiB)) MiB, saw $knee" awk "BEGIN { exit !($knee > $hot / $MiB * 0.8 && $knee < $hot / $MiB * 1.25) }"
	cost=$(json "$tmp/s.json" groups $i curve cost)
	expect_that "cost of $cost within the budget" awk "BEGIN { exit !($cost > 0 && $cost < $(fast 0.025 0.6)) }"
done
for name in "${names[@]}"; do expect "OOM kills in $name" 0 "$(oom_kills_of $name)"; done
kill "${subjects[@]}"
say "ok"
