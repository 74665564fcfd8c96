/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What zram costs: swapped pages leave a group's usage, but their compressed copies stay in RAM and are
 * charged to nobody. Sums over all zram devices that are used as swap.
 */
#ifndef EDGE_ZRAM_H
#define EDGE_ZRAM_H

#include <stdint.h>

/*
 * `root_fd`: "/" or a made-up tree. *ret_used: bytes of RAM that zram holds (mem_used_total of
 * /sys/block/zramN/mm_stat); *ret_swapped: bytes swapped to it (/proc/swaps). -ENOENT: none is used.
 */
int zram_read(int root_fd, uint64_t *ret_used, uint64_t *ret_swapped);

#endif
