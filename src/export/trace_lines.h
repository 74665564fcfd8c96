/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Lines for a file, gathered in a buffer and written as whole lines. What text and JSON share.
 *
 * A line is begun by the first trace_lines_add() and ended by trace_lines_end(); one that is longer than
 * TRACE_LINE_MAX is cut. Errors stick, see trace_sink.h. Zeroed but for `fd`, it is ready for use.
 */
#ifndef EXPORT_TRACE_LINES_H
#define EXPORT_TRACE_LINES_H

#include <stddef.h>
#include <stdint.h>

#include "pfuse/trace.h"

#define TRACE_LINE_MAX 2048
#define TRACE_NAME_MAX 200 /* bytes of an escaped name */

struct trace_lines {
	int fd;
	int err;
	size_t ended; /* bytes of whole lines */
	size_t used;
	uint64_t bytes; /* written */
	char buffer[65536];
};

void trace_lines_add(struct trace_lines *lines, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void trace_lines_end(struct trace_lines *lines);
/* 0 or the first -errno. */
int trace_lines_flush(struct trace_lines *lines);

/* comm as the kernel gave it: escaped, at most 64 bytes with the 0. */
const char *trace_lines_comm(const char comm[PFUSE_COMM_LEN], char out[4 * PFUSE_COMM_LEN + 1]);

/* Words of the records, by number; "?" where it is out of range. */
const char *trace_word_kind(uint32_t kind);
const char *trace_word_channel(uint32_t channel);
const char *trace_word_signal(uint32_t number, char out[16]);
/* "R", "S", "D"…; preempted is "R+". */
const char *trace_word_state(uint32_t state);

#endif
