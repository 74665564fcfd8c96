/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * File pages that a group reads with read(2): no page table tells of them, so each sampled read is
 * told here, and becomes a touch in the same epochs and the same curve as the mapped pages
 * (core/cvhrc.h).
 *
 * Source: SHARDS (FAST'15), fixed size: a page is sampled if the hash of its (device, inode, index)
 * is below a threshold; when the table is full the threshold falls, and the pages above it are
 * forgotten. A page stays in the sample when the kernel evicts it: its next read has a distance
 * above the resident size, and so the curve goes on above it.
 *
 * Order: cvhrc_files_init(); between cvhrc_begin() and cvhrc_end() of the epoch, after
 * cvhrc_files_renumber() where cvhrc_begin() said so: once cvhrc_files_expect(); cvhrc_files_read()
 * per sampled read; then cvhrc_totals.file_threshold = cvhrc_files_threshold(). Reads of pages that
 * are mapped by the group are not to be told. Who filters before (BPF) may do so by the same
 * threshold, or by an older one; if by a lower one, cvhrc_files_lower() comes first.
 *
 * What was in memory before we came is not known page by page but by number: it lies below
 * everything that was read since, and a page of it that is read is taken out of that number.
 * Ownership: the caller's memory, no pointer inside. 48 KiB, only for groups that read files.
 * Errors: none.
 */
#ifndef PFUSE_CORE_CVHRC_FILES_H
#define PFUSE_CORE_CVHRC_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/cvhrc.h"

#define CVHRC_FILES_SLOTS 8192 /* a power of two */
#define CVHRC_FILES_MAX 6144   /* pages in the sample */

struct cvhrc_files {
	uint32_t threshold;
	uint32_t used;
	uint32_t hash[CVHRC_FILES_SLOTS]; /* 0: free */
	uint16_t tag[CVHRC_FILES_SLOTS];
};

_Static_assert(sizeof(struct cvhrc_files) <= 49 * 1024, "one per group that reads files");

void cvhrc_files_init(struct cvhrc_files *files);
void cvhrc_files_renumber(struct cvhrc_files *files, const struct cvhrc *c);

/* So many pages, in the sample or not, were in memory before and are not mapped. */
void cvhrc_files_expect(const struct cvhrc_files *files, struct cvhrc *c, uint64_t pages);

/* The pages at and above the new threshold are forgotten. A higher one changes nothing. */
void cvhrc_files_lower(struct cvhrc_files *files, struct cvhrc *c, uint32_t threshold);

/*
 * The high 32 bits of a hash whose every bit depends on device, inode and index. `added`: the page
 * came into memory since we look; else, if it is new to us, it was there before. True: it was read
 * before, since we look.
 */
bool cvhrc_files_read(struct cvhrc_files *files, struct cvhrc *c, uint32_t hash, bool added);

static inline uint32_t cvhrc_files_threshold(const struct cvhrc_files *files)
{
	return files->threshold;
}

#endif
