/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Where the packets of a trace go: through one buffer into a file, or into two buffers in memory of which
 * the older is thrown away when the younger is full (flight recorder). Whole packets only.
 *
 * Order: out_open(); out_put() for each packet; out_flush() between them; out_segment() begins the next
 * file or buffer; out_close() accepts a zeroed struct. Allocates in out_open() only.
 * Errors: the first one ends the writing for good, see pftrace.h; packets from then on are counted.
 */
#ifndef EXPORT_PFTRACE_OUT_H
#define EXPORT_PFTRACE_OUT_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct out_buffer {
	uint8_t *at;
	size_t size;
	size_t used;
	uint32_t packets;
};

struct out {
	const char *path; /* borrowed */
	unsigned keep;	  /* files before this one; set after out_open() */
	int fd;		  /* -1: in memory only */
	bool in_memory;
	bool full;		      /* memory: packets are lost until the next segment */
	unsigned current;	      /* of the buffers */
	struct out_buffer buffers[2]; /* to a file: the first one only */
	uint64_t file_bytes;	      /* in this file, whole packets */
	uint64_t bytes;		      /* in all of them, and in memory */
	uint64_t packets;
	uint64_t lost;
	int error; /* the first -errno */
};

/* memory_bytes: of both buffers; 0: straight to the file. */
int out_open(struct out *out, const char *path, size_t memory_bytes, struct err *err);

/* A device or standard output cannot be begun anew. */
bool out_is_regular(const struct out *out);

void out_put(struct out *out, const ProtobufCMessage *packet);

/* The same by hand: where to write a packet of `most` bytes, NULL: it is lost and counted; then its end. */
uint8_t *out_begin(struct out *out, size_t most);
void out_end(struct out *out, const uint8_t *end);

/* What is buffered goes to the file; in memory nothing happens. */
void out_flush(struct out *out);

/* File: PATH becomes an older one (export/rotate.h), and begins anew. Memory: the other buffer is emptied and used. */
void out_segment(struct out *out);

/* Memory: both buffers, the older first, to PATH, in one step. */
int out_dump(const struct out *out, struct err *err);

void out_close(struct out *out);

#endif
