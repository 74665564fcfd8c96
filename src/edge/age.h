/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Tells the kernel's reclaim what a group has not used for a while: all of its pages are made to look unused
 * (process_madvise(MADV_COLD): accessed bits are cleared, pages go to the end of the lists), and those that
 * are in use are touched again soon. Where nothing was ever reclaimed, every page has been touched since it came;
 * and what edge/pagescan.h has just cleared of its sample looks colder than it is. In both cases reclaim would
 * take hot pages as well as others: of 32 MiB taken from a group of 200 MiB that uses a fifth, 3 MiB came back
 * within half a second; 7 s after an ageing, 0.5 MiB.
 *
 * Order: age_open() → age_step() while it says 1, each of some 64 MiB (more of addresses that are hardly used), so
 * that nobody waits for long → age_close(). Costs 30 to 60 ns per page, and the group about 400 ns for each that it
 * touches again. Nothing is lost, and no huge page is split. Errors: -errno; a process that is gone is passed over.
 */
#ifndef PFUSE_EDGE_AGE_H
#define PFUSE_EDGE_AGE_H

#include <stdint.h>

struct age;

/* group_fd: a directory with cgroup.procs, groups below it included. */
int age_open(int proc_fd, int group_fd, struct age **ret);
/* 1: there is more · 0: done. ret_spent_ns: CPU time of this call. */
int age_step(struct age *age, uint64_t *ret_spent_ns);
void age_close(struct age *age); /* accepts NULL */

#endif
