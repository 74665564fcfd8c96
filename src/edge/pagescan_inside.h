/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The inside of pagescan.c: what is kept of the sample (pagescan_keep.c) and how page tables are read
 * (pagescan_read.c).
 */
#ifndef PFUSE_EDGE_PAGESCAN_INSIDE_H
#define PFUSE_EDGE_PAGESCAN_INSIDE_H

#include "edge/pagescan.h"
#include "pfuse/pages.h"

/* The sample: chunks of 64 pages with their tags. */

#define KEEP_BYTES (106 * 1024) /* of chunks and what belongs to them */
#define KEEP_HEADS 1024

struct chunk {
	uint64_t number; /* of anonymous memory: address / 256 KiB; else bit 63 and a hash */
	uint64_t present, out, covered; /* one bit a page, of this turn */
	uint64_t again, suspect, stuck; /* still set after a clearing: now, once, twice in a row */
	uint64_t pending;		/* suspect, and set again */
	uint16_t space;			/* whose anonymous memory; 0: that of a file or object */
	uint16_t next;			/* 1 + index, in the chain of its head or of free ones */
	uint16_t seen;			/* turn */
	uint8_t half : 1;
	uint8_t used : 1;
	uint8_t checked : 1; /* again is known */
	uint16_t tags[PFUSE_PAGES_CHUNK];
};

struct keep {
	struct chunk *chunks;
	uint16_t (*frames)
		[PFUSE_PAGES_CHUNK]; /* of each chunk; NULL: one process, nothing is shared */
	uint32_t count;		     /* ever used: the first of chunks */
	uint32_t live;
	uint32_t room;
	uint32_t free; /* as chunk.next */
	uint16_t heads[KEEP_HEADS];
	uint16_t turn;
	uint16_t now;
	uint32_t level;
	bool arriving;	  /* what is new was there before */
	bool unstuck;	  /* and so is what could not be cleared until now: the next turn arrives */
	bool full;	  /* something had no room */
	bool shrunk;	  /* chunks beyond room are to be dropped */
	uint64_t entries[2]; /* in the sample, not empty, of this turn, by is_object() */
	struct pagescan_counts *counts;
};

/* Where records come from. */
struct source {
	uint64_t object; /* 0: anonymous memory */
	uint16_t space;
	bool arriving;
	bool locked; /* MADV_COLD is refused */
};

/* Private memory, and what is known by its object: other shares of them are mapped more than once. */
static inline int is_object(const struct source *source)
{
	return source->object != 0;
}

struct keep_totals {
	uint64_t present[2], out[2], stuck[2]; /* by is_object() */
};

int keep_open(struct keep *keep, uint32_t processes);
void keep_close(struct keep *keep);
/* More than one process: 16 bits of each frame are kept from now on. */
int keep_share(struct keep *keep);
void keep_begin(struct keep *keep, const struct pagescan_turn *turn,
		struct pagescan_counts *counts);
/* Returns the pages of the record, one bit each, whose accessed bits are set, and are to be cleared. */
uint64_t keep_record(struct keep *keep, const struct source *source,
		     const struct pfuse_page_record *record);
/* The same pages, read again after the clearing. */
void keep_again(struct keep *keep, const struct source *source,
		const struct pfuse_page_record *record);
void keep_end(struct keep *keep, struct keep_totals *ret);
void keep_unstick(struct keep *keep);
uint64_t keep_bytes(const struct keep *keep);
/* Pages of a record that hold something. */
uint32_t keep_count(const struct pfuse_page_record *record);

/* One walk over the mappings of a process, at one level of sampling. */

struct reader_losses {
	uint64_t hugetlb_bytes;
	uint64_t giant_bytes;
	uint32_t torn;
};

struct reader {
	const struct probe_pages *pages;
	pid_t pid;
	int pidfd;
	int link; /* of copy_program */
	struct source sources[PFUSE_PAGES_RANGES];
	uint64_t ends[PFUSE_PAGES_RANGES]; /* addresses at which the ranges end */
	uint64_t from_page;		   /* where the slice began */
	uint32_t from_range;
	struct reader_losses losses;
	pagescan_note *note; /* NULL: nobody asked */
	void *note_context;
};

/* Finds out where the kernel maps all memory, once. */
int reader_prepare(const struct probe_pages *pages, struct err *err);

/*
 * Calls for each slice, whose records are in pages->records. -ESRCH: the process is gone. `what` is the
 * context of the calls; a negative result ends the walk.
 */
typedef int reader_slice(struct reader *reader, void *what);
int reader_walk(struct reader *reader, const struct source *source, uint32_t level,
		reader_slice *slice, void *what);
/* The slice that was read last, once more. */
int reader_repeat(struct reader *reader);

/* Where a record's first page is. */
uint64_t reader_address(const struct reader *reader, const struct pfuse_page_record *record);

/* Clears accessed bits. 0, or -errno: -EPERM; -ESRCH. Ranges that take no advice are passed over. */
struct iovec;
int clear_ranges(int pidfd, struct iovec *ranges, size_t count);
int clear_whole(int proc_fd, pid_t pid);

#endif
