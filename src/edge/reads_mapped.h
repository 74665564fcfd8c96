/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Pages of files that are in the page tables of a group, for edge/reads.c: which of those that were read are
 * not to be counted twice.
 *
 * Order, per epoch: reads_mapped_clear(), reads_mapped_want() for each file of interest, reads_mapped_note()
 * for each mapping of the group's processes, reads_mapped_has(). Files by the low half of their key: two that
 * share it are taken for one, so a page may be left to page tables that have it not: one in 2^32.
 */
#ifndef PFUSE_EDGE_READS_MAPPED_H
#define PFUSE_EDGE_READS_MAPPED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "edge/procs.h"
#include "pfuse/pages.h"

struct reads_mapped {
	int proc_fd;	     /* the caller's */
	uint64_t wanted[64]; /* bits, by the low bits of the file */
	struct reads_mapping *mappings;
	uint32_t count, room;
	pid_t pid; /* whose pagemap is open */
	int pagemap;
};

void reads_mapped_open(struct reads_mapped *mapped, int proc_fd);
void reads_mapped_close(struct reads_mapped *mapped);
void reads_mapped_clear(struct reads_mapped *mapped);
void reads_mapped_want(struct reads_mapped *mapped, uint32_t file);
void reads_mapped_note(struct reads_mapped *mapped, pid_t pid, const struct pfuse_mapping *mapping);
bool reads_mapped_has(struct reads_mapped *mapped, uint32_t file, uint32_t index);

#endif
