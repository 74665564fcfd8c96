/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * How long a thread ran and how long it waited for a CPU, from the switches and wakes of a trace.
 *
 * Order: trace_times_open(); trace_times_note() for each record in the order of time; trace_times_close(),
 * which accepts NULL. Memory is fixed: of threads that wait at the same time, some thousands are remembered,
 * and where two fall on one place the older one's wait is not known. Records that were lost make times
 * unknown, never wrong by more than the loss: call trace_times_forget() for the CPU.
 */
#ifndef EXPORT_TRACE_TIMES_H
#define EXPORT_TRACE_TIMES_H

#include <stdint.h>

#include "pfuse/trace.h"

#define TRACE_TIME_UNKNOWN UINT64_MAX

/* Of a switch; of all else both are unknown. */
struct trace_times_of {
	uint64_t ran_ns;    /* the thread that leaves, since it came */
	uint64_t waited_ns; /* the thread that comes, since it could have run */
};

struct trace_times;

int trace_times_open(uint32_t cpus, struct trace_times **ret);
void trace_times_close(struct trace_times *times);

struct trace_times_of trace_times_note(struct trace_times *times, const struct pfuse_trace *record);
/*
 * Only switches that concern a chosen group are told: of the threads outside it is not known what they did
 * between two of them, so neither is how long they ran or waited.
 */
void trace_times_only_groups(struct trace_times *times);

void trace_times_forget(struct trace_times *times, uint32_t cpu);

#endif
