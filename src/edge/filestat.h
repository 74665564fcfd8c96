/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * How many pages of files a group has in memory, and how many came back after they were evicted: of its
 * memory.stat, v2's or v1's, groups below it included. 0 where the kernel does not tell. 0, or -errno.
 */
#ifndef PFUSE_EDGE_FILESTAT_H
#define PFUSE_EDGE_FILESTAT_H

#include <stdint.h>

struct filestat {
	uint64_t
		unmapped_pages; /* of files in memory: those that no process maps, memory files left out */
	uint64_t refaults; /* of pages of files, since the group is there */
};

int filestat_read(int group_fd, struct filestat *ret);

#endif
