/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Moves the memory of a frozen group out: page cache is dropped, the rest goes to swap. Where there is no
 * swap only the page cache goes (`to_swap` is false), since anonymous memory has nowhere to be.
 *
 * v2: memory.reclaim in slices, one per pages_step(), so that a wake never waits for more than one. v1:
 * memory.force_empty, which cannot be cut, in a child process of normal priority; a step looks whether it
 * has ended.
 * Order: pages_begin() after the freeze → pages_step() in the idle turns of the loop while it says 1 →
 * pages_end(), at any time: also to give up, because the group is to continue.
 * Both files only ask: nothing is changed that would have to be undone.
 */
#ifndef PFUSE_EDGE_PAGES_H
#define PFUSE_EDGE_PAGES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "edge/cgroup.h"

struct pages {
	int fd;	     /* directory of the group; -1: ended */
	pid_t child; /* that writes memory.force_empty; 0: v2 */
	bool to_swap;
	uint64_t before_bytes; /* usage of the group */
	uint64_t after_bytes;  /* after the latest step */
};

/* -ENODEV: the group is gone · -EOPNOTSUPP: the kernel has no such file. */
int pages_begin(const struct cgroup_tree *tree, const struct cgroup *group, struct pages *ret_pages,
		struct err *err);

/* 1: there is more to do · 0: done, no more can be moved · -errno. */
int pages_step(struct pages *pages);

/* Accepts what was ended before. */
void pages_end(struct pages *pages);

#endif
