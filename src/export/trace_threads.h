/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Which threads a file has named already, and how: a thread is named once, and again when its name changes.
 *
 * Zeroed is empty; grows as threads come, 24 bytes for each; trace_threads_free() makes it empty again.
 */
#ifndef EXPORT_TRACE_THREADS_H
#define EXPORT_TRACE_THREADS_H

#include <stdbool.h>
#include <stdint.h>

#include "pfuse/event.h"

struct trace_thread {
	uint32_t tid; /* 0: the place is free */
	uint32_t tgid;
	char comm[PFUSE_COMM_LEN];
};

struct trace_threads {
	struct trace_thread *places;
	uint32_t room; /* a power of two, or 0 */
	uint32_t count;
};

/* Remembers the thread. True: it is new, or has another name or process than before. */
bool trace_threads_note(struct trace_threads *threads, uint32_t tid, uint32_t tgid,
			const char comm[PFUSE_COMM_LEN]);
void trace_threads_free(struct trace_threads *threads);

#endif
