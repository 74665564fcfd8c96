/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The generations of a group's pages, as the kernel's multi-gen LRU keeps them (/sys/kernel/debug/lru_gen):
 * how many pages were used since the last look, how many at the look before, how many not since.
 *
 * Order: lrugen_open() → lrugen_age() at the end of each epoch → lrugen_close(). Each has the kernel look at
 * the accessed bits of all pages of the group and begin a new generation. It keeps four, so what is older than
 * two looks is one lump. Pages that are read(2) do not become young by that, and are told as older. The kernel's
 * own reclaim uses the same generations: looks of ours age them faster.
 *
 * Errors: -errno with a sentence. -EOPNOTSUPP: the kernel has it not, has it switched off, or does not
 * show it. -ESRCH: the group has no pages (any more).
 */
#ifndef PFUSE_EDGE_LRUGEN_H
#define PFUSE_EDGE_LRUGEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct lrugen;

struct lrugen_pages {
	uint64_t touched; /* since the look before, new ones included */
	uint64_t before;  /* in the epoch before that, and not since */
	uint64_t older;
	uint64_t spent_ns; /* CPU time of the look */
};

/* Where it works. root_fd: of the file system, "/". */
int lrugen_probe(int root_fd, struct err *err);

/* path: of the group in the hierarchy of the memory controller, "a/b"; those below it included. */
int lrugen_open(int root_fd, const char *path, struct lrugen **ret, struct err *err);
void lrugen_close(struct lrugen *lru); /* accepts NULL */

int lrugen_age(struct lrugen *lru, struct lrugen_pages *ret, struct err *err);

#endif
