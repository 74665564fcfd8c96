#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# A container, attached by the path of its cgroup: it grows, it is limited, all is as before.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

runtime=$(command -v runc || command -v crun || true)
[ -n "$runtime" ] || skip "neither runc nor crun is installed"
busybox=$(command -v busybox || true)
"${busybox:-false}" true || skip "no busybox for a container's root"
if is_v1 && [ "${runtime##*/}" = crun ] && [ -n "$twin" ]; then
	skip "crun refuses hybrid cgroups, and runc is not installed"
fi

MiB=1048576
enable_memory "$memory"
root=$tmp/bundle/rootfs
mkdir -p "$root"/{bin,proc,dev,lib,lib64}
cp "$busybox" "$root/bin/busybox"
ln -s busybox "$root/bin/sh"
# What hog is linked to, so that it runs inside too (and busybox, where it is not static).
cp "$bin/hog" "$root/bin/hog"
{ ldd "$bin/hog" "$busybox" 2>/dev/null || true; } | grep -oE '/[^ ]+\.so[^ ]*' | sort -u |
	while read -r lib; do
		mkdir -p "$root/$(dirname "$lib")"
		cp -L "$lib" "$root/$lib"
	done

cgroup=/$prefix-container
(cd "$tmp/bundle" && "$runtime" spec)
# No terminal, our command, our group.
sed -i -e 's/"terminal": true/"terminal": false/' \
	-e 's|^\(\t*\)"sh"$|\1"/bin/sh", "-c", "read go; /bin/hog 10 200; read go"|' \
	-e "s|\"linux\": {|\"linux\": { \"cgroupsPath\": \"$cgroup\",|" "$tmp/bundle/config.json"
json "$tmp/bundle/config.json" linux cgroupsPath >/dev/null || fail "the bundle's config.json is broken"

container=$prefix
runtime() { "$runtime" --root "$tmp/run" "$@"; }
delete_container() { runtime delete --force "$container" >/dev/null 2>&1 || true; }
trap 'code=$?; delete_container; (exit $code); clean_up' EXIT

mkfifo "$tmp/go"
runtime run --bundle "$tmp/bundle" "$container" <>"$tmp/go" >"$tmp/container" 2>&1 &
pids+=($!)
path=$prefix-container
is_up() { grep -qs . "$memory/$path/cgroup.procs"; }
wait_for "$(fast 20 100)" is_up ||
	skip "${runtime##*/} cannot start a container here: $(tail -1 "$tmp/container")"
set_container_limit() { echo "$1" >"$(file_of container memory.limit_in_bytes memory.max)"; }
set_container_limit $((64 * MiB))
controls_of "$path" >"$tmp/before"

say "attached by path: growth in a container under 64 MiB"
printf 'interval: 60s\ngroups:\n  - match: "*"\n    freeze: off\n' >"$tmp/c.yaml"
start_daemon -c "$tmp/c.yaml" --summary "$tmp/s.json" "$memory/$path"
echo go >"$tmp/go"
must_come "$(fast 20 100)" "growth to 200 MiB" grep -q '^at 200' "$tmp/container"
expect "OOM kills" 0 "$(oom_kills_of container)"
# With swap it can come to 200 MiB under less, if the event is late.
least=200
[ "$(wc -l </proc/swaps)" -lt 2 ] || least=64
expect_that "the limit was raised" [ "$(limit_of container)" -gt $((least * MiB)) ]
# v1 takes no limit back that is below what is in use.
is_small_again() { [ "$(usage_of container)" -lt $((32 * MiB)) ]; }
must_come "$(fast 20 100)" "the end of what had grown" is_small_again
stop_daemon
expect_that "limits raised by an event" [ "$(json "$tmp/s.json" groups 0 limit_latency count)" -ge "$(fast 2 1)" ]

say "restored: $(tail -1 "$tmp/container")"
expect "controls afterwards" "$(cat "$tmp/before")" "$(controls_of "$path")"
runtime kill "$container" KILL
delete_container
must_come "$(fast 10 60)" "removal of the container's group" [ ! -e "$memory/$path" ]
say "ok"
