/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * How much of their memory some processes use, by the kernel's DAMON (/sys/kernel/mm/damon, `vaddr`): a size, and
 * nothing of how often or how far apart, so no hit-ratio curve. For kernels that show neither page tables nor
 * generations (edge/lrugen.h).
 *
 * DAMON looks at one page of each region 200 times a second, and splits and joins regions by what it finds (10 to
 * 1000 of them, so its cost has a bound that no size of memory changes). What counts as used: regions of which a page
 * was found used at least once in the last second (a scheme `stat`, its tried_regions).
 *
 * Order: damon_open() → damon_read() each second → damon_close(). One user at a time: where somebody has
 * monitors already, -EBUSY. Ours goes with damon_close(); who is killed before leaves it, and it is said to be
 * somebody's: echo 0 >/sys/kernel/mm/damon/admin/kdamonds/nr_kdamonds (off first: echo off >…/0/state).
 * Processes that come later are not seen. Errors: -errno with a sentence; -EOPNOTSUPP: this kernel cannot.
 */
#ifndef EDGE_DAMON_H
#define EDGE_DAMON_H

#include <stdint.h>

#include "base/err.h"
#include "edge/procs.h"

#define DAMON_PROCESSES_MAX 64

struct damon;

/* Where it is, and free. root_fd: of the file system, "/". Whether it knows processes is seen by damon_open(). */
int damon_probe(int root_fd, struct err *err);

int damon_open(int root_fd, const struct procs_list *processes, struct damon **ret,
	       struct err *err);
void damon_close(struct damon *damon); /* accepts NULL */

/* Of all processes together; what two of them share counts twice. -ESRCH: all have ended. */
int damon_read(struct damon *damon, uint64_t *ret_bytes, struct err *err);

#endif
