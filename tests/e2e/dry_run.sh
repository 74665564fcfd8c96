#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# --dry-run decides the same and writes nothing: one scripted workload, once with and once without.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

MiB=1048576
cat >"$tmp/dry.yaml" <<END
policy: fusebox
interval: $(fast 200ms 1s)
groups:
  - match: "*-idle"
    idle: $(fast 1s 4500ms)
    window: $(fast 1s 4500ms)
    deadline: $(fast 1s 2s)
  - match: "*"
    freeze: off
    ram: { cool_down: $(fast 300ms 1s) }
END
half=$(fast 3 5) # s from the start to the growth, and from there to the end

# Everything that can be set in our groups and their hierarchies' roots, and which groups there are.
# Files that show usage or events are writable in part (to reset them): they are no controls.
settings() {
	local root
	{
		while read -r root; do
			find "$root" -path "$root/$prefix-*" -type d
			find "$root" -maxdepth 1 -type f -perm -u=w
			find "$root/$prefix-"* -type f -perm -u=w
		done < <(roots)
	} | grep -vE '/(cgroup\.procs|cgroup\.threads|tasks|cgroup\.(event_control|kill)|memory\.(reclaim|force_empty)|.*(usage_in_bytes|failcnt|\.peak|pressure|pressure_level))$' |
		sort >"$tmp/names"
	cat "$tmp/names"
	tr '\n' '\0' <"$tmp/names" | xargs -0 grep -sH . || true
}
checksum() { settings | sed -E '/memory.oom_control:(under_oom|oom_kill) /d' | md5sum; }

# workload NAME ARGUMENT...: two groups under a daemon; its output in $tmp/NAME.{out,json}
workload() {
	local name=$1
	shift
	new_group idle
	new_group grows
	set_limit idle $((256 * MiB))
	set_limit grows $((512 * MiB))
	rm -f "$tmp/go"
	mkfifo "$tmp/go"
	: >"$tmp/hog"
	spawn idle sleep 1000
	spawn grows "$bin/hog" --on-line 40 200 100 0 1000 <>"$tmp/go" >"$tmp/hog"
	local sleeper=$spawned
	must_come "$(fast 10 60)" "start of hog" grep -q '^at 40' "$tmp/hog"
	settings >"$tmp/$name.before"
	checksum >"$tmp/$name.sum"
	start_daemon -c "$tmp/dry.yaml" --for "$((2 * half))s" --summary "$tmp/$name.json" "$@" \
		"$(group idle)" "$(group grows)"
	: >"$tmp/$name.sums"
	local growth=$(($(now_ms) + half * 1000)) gone=''
	until is_dead "$daemon"; do
		if [ "$name" = dry ]; then checksum >>"$tmp/$name.sums"; fi
		if [ -z "$gone" ] && [ "$(now_ms)" -ge "$growth" ]; then
			gone=1
			echo go >"$tmp/go"
		fi
		nap 0.1
	done
	wait_daemon
	expect "exit status of the $name run" 0 "$status"
	settings >"$tmp/$name.after"
	cp "$tmp/out" "$tmp/$name.out"
	is_dead "$sleeper" && fail "hog died in the $name run"
	kill_groups
	must_come "$(fast 10 60)" "removal of the groups" try_remove
}

count() { json "$tmp/$1.json" groups "$2" decisions "$3"; } # RUN INDEX KIND

say "with --dry-run"
workload dry --dry-run
diff "$tmp/dry.before" "$tmp/dry.after" >"$tmp/diff" || fail "the dry run wrote: $(head -5 "$tmp/diff")"
expect_that "looks during the dry run" [ -s "$tmp/dry.sums" ] # how many: as the machine is fast
expect "different states during the dry run" "$(cat "$tmp/dry.sum")" "$(sort -u "$tmp/dry.sums")"
[ ! -e "$ledger" ] || fail "the dry run wrote a ledger"
expect "dry_run in the summary" true "$(json "$tmp/dry.json" daemon dry_run)"
expect_no_line "$tmp/dry.out" 'done in'

say "without"
workload real
diff "$tmp/real.before" "$tmp/real.after" >"$tmp/diff" || fail "not restored: $(head -5 "$tmp/diff")"
expect_no_line "$tmp/real.out" 'left out'

say "the counters of avoided actions"
for index in 0 1; do
	sum=0
	for kind in grown shrunk stopped continued; do sum=$((sum + $(count dry $index $kind))); done
	expect "avoided in group $index" "$sum" "$(count dry $index avoided)"
	expect "avoided in the real run" 0 "$(count real $index avoided)"
	expect "lines 'left out' agree" "$(grep -c "$(json "$tmp/dry.json" groups $index name)  .*left out" "$tmp/dry.out")" "$sum"
done

say "the same kinds of decisions"
for index in 0 1; do
	for kind in grown shrunk stopped continued foreign; do
		dry=$(count dry $index $kind) real=$(count real $index $kind)
		expect "group $index has been $kind at all (dry $dry, real $real times)" $((real > 0)) $((dry > 0))
	done
	expect "failures in the dry run" 0 "$(count dry $index failed)"
done
expect_that "the idle group is shrunk" [ "$(count dry 0 shrunk)" -gt 3 ]
expect_that "the idle group is stopped" [ "$(count dry 0 stopped)" -gt 0 ]
expect_that "the growing group is grown" [ "$(count dry 1 grown)" -gt 0 ]

# shrinks RUN: the sizes to which the samples shrank the idle group, in MiB
shrinks() { sed -nE "s/^[^ ]+  $prefix-idle  ram  .* -> ([0-9.]+) MiB  score below.*/\1/p" "$tmp/$1.out"; }
shrinks dry >"$tmp/dry.shrinks"
shrinks real >"$tmp/real.shrinks"
awk -v dry="$tmp/dry.shrinks" '
	{ real = $1; if ((getline wanted < dry) <= 0) exit; n++
	  if (real > wanted * 1.05 + 1 || real < wanted * 0.95 - 1) { print "step " n ": dry " wanted ", real " real; bad = 1 } }
	END { if (n < 4) { print "only " n + 0 " steps"; bad = 1 }; exit bad }' "$tmp/real.shrinks" >"$tmp/diff" ||
	fail "the limits of the idle group: $(cat "$tmp/diff")"
say "   $(tr '\n' ' ' <"$tmp/dry.shrinks")MiB"
say "ok"
