/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Moves the memory of a group's processes out without any file of its cgroup: process_madvise(2) with
 * MADV_PAGEOUT over their private anonymous mappings. What they share, and page cache, stays.
 *
 * One call for the whole group, which may take as long as the swap needs: for a child process, see
 * edge/pages.h. Only asks: nothing is changed that would have to be undone.
 */
#ifndef PFUSE_EDGE_PAGES_ADVISE_H
#define PFUSE_EDGE_PAGES_ADVISE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * 0: every process that can be reached was asked for; *ret_bytes of mappings, of which some may have been
 * out already. -ENOSYS, -EPERM: not here. A process that ends meanwhile is no error.
 */
int pages_advise(int proc_fd, int group_fd, uint64_t *ret_bytes);

/* Does this kernel have the call, as from 5.10 on? Using it takes CAP_SYS_NICE. */
bool pages_advise_available(void);

#endif
