/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Reads the records of a trace file back. The file is untrusted: every length is checked before it is
 * believed, memory is bounded (2 MiB), and every number of a record is in range (pftrace_record.h).
 *
 * Order of calls: pftrace_reader_open(); pftrace_reader_next() until it returns 0; then
 * pftrace_reader_result() tells how the file ended; pftrace_reader_close(), which accepts NULL.
 *
 * Packets that hold no record (tracks, scheduling, packets of other programs) are counted and passed over.
 * A file that was cut, by a crash or a full disk, is read up to its last whole packet: no error, but
 * result.cut. At the first packet that is damaged reading ends: result.damaged.
 */
#ifndef EXPORT_PFTRACE_READ_H
#define EXPORT_PFTRACE_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "export/pftrace_record.h"

#define PFTRACE_PACKET_MAX (1u << 20) /* bytes */
#define PFTRACE_SLOTS_MAX 1000000u

struct pftrace_reader;

struct pftrace_result {
	uint64_t packets; /* whole ones, all kinds */
	uint64_t records;
	uint64_t bytes;	 /* of the whole packets: where reading ended */
	bool cut;	 /* the file ends inside a packet */
	bool damaged;	 /* bytes that are no packet of a trace, or a record out of its ranges */
	const char *why; /* damaged: a phrase; else NULL */
	int64_t wall_offset_ns; /* CLOCK_REALTIME less CLOCK_MONOTONIC at the beginning; 0: not known */
	int64_t wall_moved_ns;	/* by how much that was more at the end: the clock was set, or slept */
};

/* "-": standard input. A file that is empty or begins with no packet is no trace: -EINVAL. */
int pftrace_reader_open(const char *path, struct pftrace_reader **ret, struct err *err);
/* The same of bytes that the caller keeps; an empty range is a file without packets. */
int pftrace_reader_open_memory(const void *data, size_t size, struct pftrace_reader **ret);

/* 1: *ret is the next record; 0: there is none; -errno: the file cannot be read (EIO), or no memory. */
int pftrace_reader_next(struct pftrace_reader *reader, struct pftrace_record *ret);

struct pftrace_result pftrace_reader_result(const struct pftrace_reader *reader);

void pftrace_reader_close(struct pftrace_reader *reader);

#endif
