/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Which pages of a group were touched since the last look, on a sample: what core/cvhrc.h is fed with.
 *
 * Order: pagescan_open() → pagescan_epoch() at the end of each epoch, the first one at its beginning →
 * pagescan_close(). The epochs are the caller's: when, how long, at which rate. One at a time per probe.
 *
 * An epoch reads the page tables of the group's processes (bpf/pages.bpf.c) at one chunk of 256 KiB in
 * `rate`, and clears the accessed bits there by process_madvise(MADV_COLD). Of each page in the sample the
 * tag of the epoch that touched it last is kept, 2 bytes. Nothing else is changed: but to the kernel's
 * reclaim, too, what was cleared looks colder than it is until it is touched again. Huge pages are
 * cleared as a whole and stay whole.
 *
 * A page counts once in a group, whoever maps it: what may be shared is known by its place in its file or
 * object, private memory by its address, and after a fork by its frame. A page that is in the tables of
 * processes outside, or of several inside, keeps its accessed bit through MADV_COLD: where it is found
 * set right after two clearings it is counted as unclearable; and where more than an eighth is so, bits are
 * cleared by /proc/PID/clear_refs, at the cost of all pages and of what the processors remember of them.
 * Missed: processes that live shorter than an epoch; pages mapped by 1 GiB or in hugetlbfs (counted).
 *
 * Memory: up to 192 KiB; the rate is raised (fewer pages are sampled) where that would be exceeded.
 * Errors: -errno with a sentence. -EOPNOTSUPP: no page-table programs; -EPERM: not allowed to clear.
 */
#ifndef PFUSE_EDGE_PAGESCAN_H
#define PFUSE_EDGE_PAGESCAN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "edge/probe.h"

#define PAGESCAN_TAGS 768    /* tags are below; the meaning of the two lowest: */
#define PAGESCAN_NEVER 0     /* not touched as far as we know */
#define PAGESCAN_BEFORE 1    /* there before we looked, and not touched since */
#define PAGESCAN_PAGES 20480 /* sampled ones that fit, about */
#define PAGESCAN_BYTES_MAX (130 * 1024) /* of a scan, besides some for each process */

struct pagescan;

struct pagescan_target {
	int proc_fd;
	int group_fd; /* a directory with cgroup.procs, groups below it included; -1: see pid */
	pid_t pid;    /* this process and its descendants */
	/* For file reads, see edge/reads.h: the group's slot, or any that is free for processes; 0: none. */
	uint32_t slot;
	const char *path; /* the group's, see edge/lrugen.h; NULL: not for this */
};

/* Called for each mapping of the group's processes, in each epoch. */
typedef void pagescan_note(void *context, pid_t pid, const struct pfuse_mapping *mapping);

struct pagescan_turn {
	uint16_t now;		    /* tag of the epoch that ends */
	const uint16_t *renumbered; /* by old tag, before anything else; NULL: tags stay */
	uint32_t rate;		    /* one chunk of so many, a power of two */
};

/* Of sampled pages, by half of the sample and by the tag that they had. */
struct pagescan_counts {
	uint32_t touched[2][PAGESCAN_TAGS];
	uint32_t left[2][PAGESCAN_TAGS]; /* are there no more, or not in the sample */
	uint32_t arrived[2][2];		 /* older than what we know of them; [1]: touched */
};

struct pagescan_result {
	struct pagescan_counts counts;
	/* Estimated for the whole group */
	uint64_t pages; /* resident and moved out */
	uint64_t swapped_pages;
	uint64_t unclearable_pages;
	/* Exact */
	uint64_t sampled_pages;
	uint64_t hugetlb_bytes; /* left out */
	uint64_t giant_bytes;	/* left out: mapped by entries of 1 GiB */
	uint64_t spent_ns;	/* CPU time of this call */
	uint64_t state_bytes;	/* that are kept for this group */
	uint32_t processes;
	uint32_t refused; /* of these: could not be read, or not be cleared */
	uint32_t torn;	  /* tables that changed while they were read, and slices that were lost */
	uint32_t rate;	  /* that was used */
	bool whole;	  /* all pages were cleared, not only those in the sample */
};

int pagescan_open(const struct probe *probe, const struct pagescan_target *target,
		  struct pagescan **ret, struct err *err);
void pagescan_close(struct pagescan *scan); /* accepts NULL */

void pagescan_note_mappings(struct pagescan *scan, pagescan_note *note, void *context);

/* Of the last epoch: sorted, malloc'ed. */
int pagescan_pids(const struct pagescan *scan, pid_t **ret_pids, uint32_t *ret_count);

/* -ESRCH: nobody is there (any more). */
int pagescan_epoch(struct pagescan *scan, const struct pagescan_turn *turn,
		   struct pagescan_result *ret, struct err *err);

#endif
