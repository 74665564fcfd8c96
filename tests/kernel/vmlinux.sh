#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Every type and field that vmlinux/ARCH/vmlinux.h declares exists in the running kernel: CO-RE finds
# them by name. What only some kernels have is listed here, with the program that does without it.
set -euo pipefail
source=${PFUSE_SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
header=$source/vmlinux/$(uname -m)/vmlinux.h
btf=${1:-/sys/kernel/btf/vmlinux}
export PATH=$PATH:/usr/sbin:/sbin

skip() { echo "SKIP: $*"; exit 77; }
[ -r "$btf" ] || skip "the kernel has no BTF"
[ -r "$header" ] || skip "no $header"
command -v bpftool >/dev/null || skip "no bpftool"

# Prints "kind name.field" per field, and "kind name" per type, of C declarations as bpftool writes them;
# members of a nested struct or union count for the outermost one.
names() {
	awk '
	function field(line) {
		sub(/;.*/, "", line); sub(/:[ 0-9]*$/, "", line)
		gsub(/\[[0-9]*\]/, "", line); sub(/ __attribute__.*/, "", line)
		if (line ~ /\(\*/) { sub(/.*\(\*/, "", line); sub(/\).*/, "", line) }
		n = split(line, word, /[ \t*]+/)
		return word[n]
	}
	/^(struct|union|enum) [A-Za-z_0-9]+ \{/ { what = $1 " " $2; depth = 1; print what; next }
	/^typedef struct \{/ { depth = 1; what = "anonymous"; next }
	!depth { next }
	/^\t+.*\{$/ { depth++; next }
	/^\t+\}/ { depth--; name = $0; if (name ~ /\} [a-z]/) { sub(/.*\} /, "", name)
		if (what != "anonymous") print what "." field(name) } next }
	/^\}/ { depth = 0; next }
	what == "anonymous" { next }
	what ~ /^enum/ { sub(/[ ,=].*/, "", $1); sub(/,$/, "", $1); print what "." $1; next }
	{ print what "." field($0) }
	' "$1" | sort -u
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bpftool btf dump file "$btf" format c >"$tmp/kernel.h"
names "$tmp/kernel.h" >"$tmp/kernel"
names "$header" >"$tmp/ours"

fields=$(wc -l <"$tmp/ours")
# What only some kernels have, and the program that asks before it reads it.
optional='struct folio\._nr_pages|struct sched_entity\.slice' # reads.bpf.c: another name; trace.bpf.c: untold
# Enumerators of the header are those of one kernel; only the names that the programs ask for have to exist.
missing=$(comm -23 "$tmp/ours" "$tmp/kernel" | grep -vxE "enum (cgroup_subsys_id|pageflags)\..*|$optional" || true)
for name in cgroup_subsys_id.memory_cgrp_id pageflags.PG_head; do
	grep -qx "enum $name" "$tmp/kernel" || missing+=" enum $name"
done
[ "$fields" -ge 50 ] || { echo "only $fields names found in $header: is its form another?"; exit 1; }
if [ -n "$missing" ]; then
	printf 'not in the BTF of %s:\n%s\n' "$(uname -r)" "$missing"
	exit 1
fi
echo "$fields types and fields of $header exist in $(uname -r)"
