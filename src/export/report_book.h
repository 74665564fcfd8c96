/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What a report tells, gathered while a trace is read: groups with their curves, decisions, stops and
 * sums. The page is written from it (report_json.h).
 *
 * Order of calls: report_book_init() with what is known of the whole trace; report_book_group() when one
 * appears; then rows, decisions and the end of each; report_book_end(); report_book_free(), which accepts a
 * zeroed book. Ownership: the book copies all strings; they are any bytes, and escaped when written.
 * Pointers to groups hold until the next report_book_group(): keep indices. Errors: -ENOMEM.
 *
 * Memory is bounded by the caller: rows by the width of a column, decisions by decisions_max, of which the
 * first half and the last half of a group are kept; what falls between is counted.
 */
#ifndef EXPORT_REPORT_BOOK_H
#define EXPORT_REPORT_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/orchestrator.h"
#include "export/report_rows.h"
#include "pfuse/verdict.h"

struct report_decision {
	struct pfuse_verdict verdict;
	enum orchestrator_outcome outcome;
};

struct report_span {
	uint64_t from_ns;
	uint64_t to_ns;
};

struct report_point {
	uint64_t size_bytes;
	double hit_ratio;
};

/* A hit-ratio curve; sizes that are not known are PFUSE_UNLIMITED. */
struct report_curve {
	struct report_point *points; /* npoints of them, by size */
	size_t npoints;
	uint64_t resolution_bytes;
	uint64_t knee_bytes;
	uint64_t need_bytes[3]; /* for a hit ratio of 90, 95 and 99 % */
	double error;		/* NAN: not known, also the next */
	double sampled_share;
	bool knee_below_resolution;
};

struct report_totals {
	double usage_byte_s;
	double limit_byte_s;
	uint64_t stopped_ns;
	uint64_t oom_kills;
	double peak_bytes;
	uint64_t grown; /* the memory limit */
	uint64_t shrunk;
	uint64_t stops;
	uint64_t wakes;
	uint64_t moves;	   /* of other controls */
	uint64_t not_done; /* failed, refused, undone, or somebody else's */
};

struct report_group {
	char *name;
	char *path;
	uint64_t id;
	uint64_t from_ns;
	uint64_t to_ns;
	struct report_totals totals;
	struct report_rows rows;
	struct report_decision *decisions; /* a ring in its second half, until report_book_end() */
	size_t ndecisions;
	size_t decisions_room;
	uint64_t decisions_seen;
	struct report_span *stops;
	size_t nstops;
	size_t stops_room;
	bool stopped; /* the last of them has no end yet */
	bool ended;
	const struct report_curve *curve; /* the book's; NULL: none */
};

struct report_drop {
	const char *what; /* static */
	uint64_t count;
};

#define REPORT_DROPS 4
#define REPORT_NOTES 4

struct report_book {
	/* Set by the caller at any time before the page is written. */
	char *source;  /* owned, as the next three; name of the file */
	char *version; /* of pfuse-bpf that recorded */
	char *kernel;
	char *policy;
	uint64_t source_bytes;
	uint64_t source_records;
	uint64_t ram_bytes;
	uint64_t interval_ns;
	uint32_t cpus;
	bool dry_run;
	int64_t wall_offset_ns; /* CLOCK_REALTIME less CLOCK_MONOTONIC; 0: not known */
	struct report_drop drops[REPORT_DROPS];
	char *notes[REPORT_NOTES]; /* owned sentences, NULL where there is none */

	uint64_t begin_ns;
	uint64_t end_ns;
	uint64_t columns;
	size_t decisions_max; /* of one group, even */
	struct report_group *groups;
	size_t ngroups;
	size_t room;
	struct report_curve **curves; /* owned, ncurves of them */
	size_t ncurves;
	size_t curves_room;
};

void report_book_init(struct report_book *book, uint64_t begin_ns, uint64_t end_ns,
		      uint64_t columns, size_t decisions_max);

/* A new group; its index, or -ENOMEM. */
int64_t report_book_group(struct report_book *book, const char *name, const char *path, uint64_t id,
			  uint64_t now_ns);
int report_book_row(struct report_book *book, size_t group, const struct report_row *row);
/* One that was carried out, or not: counted by kind, and kept. */
int report_book_decision(struct report_book *book, size_t group,
			 const struct report_decision *decision, uint64_t now_ns);
/* The group left, or the trace ended; the same once more does nothing. */
int report_book_leave(struct report_book *book, size_t group, uint64_t now_ns);
/* Of all groups of that name; the curve becomes the book's. -ENOENT: there is none, and it does not. */
int report_book_curve(struct report_book *book, const char *name, struct report_curve *curve);
/* A sentence for the head of the page; one too many is left out. */
int report_book_note(struct report_book *book, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* All groups leave, decisions are in the order of time. */
int report_book_end(struct report_book *book);

void report_book_free(struct report_book *book);

#endif
