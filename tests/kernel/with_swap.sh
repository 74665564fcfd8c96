#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# with_swap.sh PROGRAM: runs it with swap; on a machine without, a small zram device of its own is made
# for it and removed.
set -euo pipefail
zram=''

remove() {
	[ -z "$zram" ] || { swapoff "$zram" 2>/dev/null || true; zramctl --reset "$zram"; }
}

if [ "$(wc -l </proc/swaps)" -lt 2 ] && [ "$(id -u)" = 0 ]; then
	modprobe zram 2>/dev/null || true
	zram=$(zramctl --find --size 64M 2>/dev/null) || { echo "SKIP: no swap, and no zram device can be had"; exit 77; }
	trap remove EXIT
	mkswap -q "$zram" >/dev/null
	swapon "$zram"
fi
"$@"
