/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Which pages of files a group reads with read(2), on a sample: what core/cvhrc_files.h is fed with.
 *
 * Order: reads_open() → at the end of each epoch reads_begin(); pagescan_epoch() with reads_note_mapping();
 * for a process that is measured by itself reads_follow(); reads_take(); reads_lower() → reads_close(). The
 * programs (bpf/reads.bpf.c) are attached from the first reads_open() to the last reads_close() of a probe, but
 * not while all users rest: reads_rest() → reads_resume(), as if nothing had been read in between.
 *
 * The threshold only falls: by reads_lower(), and in BPF where a group reads so much within an epoch that
 * the notes would not hold it. So ask for it before each taking, and forget what is above.
 *
 * A page that is in the page tables of the group as well belongs to them: it is not given here.
 * Missed: what is read by processes that we were not told of yet, where a process is measured and no group.
 *
 * Errors: -errno with a sentence. -EOPNOTSUPP: the kernel has no such programs, or they were not asked for.
 */
#ifndef PFUSE_EDGE_READS_H
#define PFUSE_EDGE_READS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "edge/probe.h"

struct reads;

/* slot: of the group (probe_manage()), or any that is free, for processes. proc_fd stays the caller's. */
int reads_open(const struct probe *probe, uint32_t slot, int proc_fd, struct reads **ret,
	       struct err *err);
void reads_close(struct reads *reads); /* accepts NULL */

/* Either may be called twice. -errno: still at rest, for the programs could not be attached. */
void reads_rest(struct reads *reads);
int reads_resume(struct reads *reads);

/* Page hashes below it / 2^32 are in the sample. */
uint32_t reads_threshold(const struct reads *reads);
void reads_lower(struct reads *reads, uint32_t threshold);

/* These processes, and no others of those followed before. 0, or -errno: some are missing. */
int reads_follow(struct reads *reads, const pid_t *sorted, uint32_t count);

void reads_begin(struct reads *reads);
void reads_note_mapping(void *reads, pid_t pid, const struct pfuse_mapping *mapping);

/* added: it came into memory since the last taking, or shortly before. */
typedef void reads_page(void *context, uint32_t hash, bool added);

/* Since the taking before */
struct reads_result {
	uint64_t pages;	  /* that were looked at, in the sample or not; about */
	uint64_t calls;	  /* of the hooks; about */
	uint64_t cost_ns; /* of the hooks, by what they cost where that was measured */
	uint64_t dropped; /* in the sample, and had no room */
	uint32_t sampled; /* given to the caller */
	uint32_t mapped;  /* in the sample, and left to the page tables */
};

void reads_take(struct reads *reads, reads_page *page, void *context, struct reads_result *ret);

#endif
