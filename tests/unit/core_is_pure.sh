#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The core calls nothing outside itself: no clock, no file, no allocation, no log. Every undefined
# symbol of its archive must be defined in the archive, or be one of the four that a compiler may ask
# for by itself. Instrumented builds (sanitizers, gcov, stack protector) bring their own.
set -u
here=$(cd "$(dirname "$0")" && pwd)
lib=${1:-$PFUSE_BUILD/src/core/libpfuse_core.a}
core=$here/../../src/core
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

[ -s "$lib" ] || { echo "core_is_pure: $lib: no such archive"; exit 1; }
command -v nm >/dev/null || { echo "core_is_pure: nm is not installed, skipped"; exit 77; }

allowed='memset|memcpy|memmove|memcmp|__mem(set|cpy|move)_chk|__stack_chk_(fail|guard)'
allowed="$allowed|_GLOBAL_OFFSET_TABLE_|__(asan|ubsan|gcov|llvm_gcov|llvm_profile)_.*"

nm --undefined-only --format=posix "$lib" | awk 'NF >= 2 { print $1 }' | sort -u >"$work/wanted"
nm --defined-only --extern-only --format=posix "$lib" | awk 'NF >= 2 { print $1 }' | sort -u >"$work/own"
[ -s "$work/own" ] || { echo "core_is_pure: $lib defines nothing"; exit 1; }
comm -23 "$work/wanted" "$work/own" | grep -Evx "$allowed" >"$work/foreign"
if [ -s "$work/foreign" ]; then
	echo "core_is_pure: the core calls outside itself:"
	nm -A --undefined-only "$lib" | grep -Fwf "$work/foreign"
	exit 1
fi

# The same for what it includes: a macro or an inline function leaves no symbol.
headers='"core/[a-z_]+\.h"|"pfuse/(sample|verdict|event|reach)\.h"|<(stdint|stdbool|stddef|string|math)\.h>'
if grep -En '^[[:space:]]*#[[:space:]]*include' "$core"/*.[ch] | grep -Ev "include ($headers)\$"; then
	echo "core_is_pure: these headers are not for the core"
	exit 1
fi
echo "core_is_pure: $(wc -l <"$work/own") symbols defined, nothing called outside"
