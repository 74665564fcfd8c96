/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Moves the memory of a frozen group out: page cache is dropped, the rest goes to swap. Where there is no
 * swap only the page cache goes (`to_swap` is false), since anonymous memory has nowhere to be.
 *
 * memory.reclaim (v2) in slices, one per pages_step(), so that a wake never waits for more than one. Else
 * memory.force_empty (v1), which cannot be cut, or, where that is not there either, process_madvise(2) for
 * each process (private anonymous memory only), in a child process of normal priority; a step looks
 * whether it has ended.
 * Order: pages_begin() after the freeze → pages_step() in the idle turns of the loop while it says 1 →
 * pages_end(), at any time: also to give up, because the group is to continue.
 * All three only ask: nothing is changed that would have to be undone.
 */
#ifndef PFUSE_EDGE_PAGES_H
#define PFUSE_EDGE_PAGES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "edge/cgroup.h"

enum pages_how {
	PAGES_NOT, /* none of them */
	PAGES_RECLAIM,
	PAGES_FORCE_EMPTY,
	PAGES_ADVISE,
};

struct pages {
	int fd;	     /* directory of the group; -1: ended */
	pid_t child; /* that does the work; 0: the caller, slice by slice */
	bool to_swap;
	uint64_t before_bytes; /* usage of the group */
	uint64_t after_bytes;  /* after the latest step */
};

/* The best that the group with this directory has. */
enum pages_how pages_find_how(int dir);

/* -ENODEV: the group is gone · -EOPNOTSUPP: the kernel has none of them. */
int pages_begin(const struct cgroup_tree *tree, const struct cgroup *group, struct pages *ret_pages,
		struct err *err);
/* By this one, though there may be a better; PAGES_NOT: the best. */
int pages_begin_by(enum pages_how how, const struct cgroup_tree *tree, const struct cgroup *group,
		   struct pages *ret_pages, struct err *err);

/* 1: there is more to do · 0: done, no more can be moved · -errno. */
int pages_step(struct pages *pages);

/* Accepts what was ended before. */
void pages_end(struct pages *pages);

#endif
