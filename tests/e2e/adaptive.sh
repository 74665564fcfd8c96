#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The policy adaptive: page cache that nobody reads is given back step by step; anonymous memory goes
# only where there is swap; no limit is left behind, and on v2 none is ever set.
#
# No curve is measured here, so the steps are the small ones.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

MiB=1048576
cat >"$tmp/adaptive.yaml" <<END
policy: adaptive
interval: $(fast 500ms 1s)
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
steps_of() { grep -cE "$(group "$1")  (reclaim|ram) .*small step shows.*done in" "$tmp/out" || true; }
has_steps() { [ "$(steps_of "$1")" -ge "$2" ]; }
start_daemon -c "$tmp/adaptive.yaml" --summary "$tmp/s.json" "$(group cache)" "$(group anon)"
must_come "$(fast 30 90)" "three steps" has_steps cache 3
expect_that "usage after three steps" [ "$(usage_of cache)" -le $((before - 2 * MiB)) ]
if is_v1; then
	expect_line "$tmp/out" 'ram .* -> .*crossed the high-water mark|ram .* -> .*met the limit'
else
	expect "controls while it reclaims" "$(cat "$tmp/cache.before")" "$(controls_of "$(group cache)")"
	expect_line "$tmp/out" 'reclaim  [0-9.]+ MiB -> [0-9.]+ MiB'
fi
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
say "ok"
