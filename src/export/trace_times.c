/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "export/trace_times.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PLACES 8192 /* a power of two; pids are handed out one after the other, so few meet */

/* What a CPU runs; since_ns 0: not seen coming. */
struct running {
	uint32_t pid;
	uint64_t since_ns;
};

struct ready {
	uint32_t pid;
	uint64_t since_ns;
};

struct trace_times {
	struct ready ready[PLACES];
	uint32_t cpus;
	bool only_groups;
	struct running running[];
};

int trace_times_open(uint32_t cpus, struct trace_times **ret)
{
	struct trace_times *times =
		calloc(1, sizeof(*times) + (size_t)cpus * sizeof(times->running[0]));

	if (!times)
		return -ENOMEM;
	times->cpus = cpus;
	*ret = times;
	return 0;
}

void trace_times_only_groups(struct trace_times *times)
{
	times->only_groups = true;
}

void trace_times_close(struct trace_times *times)
{
	free(times);
}

static void set_ready(struct trace_times *times, uint32_t pid, uint64_t since_ns)
{
	times->ready[pid % PLACES] = (struct ready){ pid, since_ns };
}

static uint64_t span(uint64_t from_ns, uint64_t to_ns)
{
	return from_ns && to_ns >= from_ns ? to_ns - from_ns : TRACE_TIME_UNKNOWN;
}

/* A wake of a thread that is awake changes nothing: its wait began before. */
static void note_wake(struct trace_times *times, const struct pfuse_trace *record)
{
	const struct ready *ready = &times->ready[record->pid % PLACES];

	if (ready->pid != record->pid || !ready->since_ns)
		set_ready(times, record->pid, record->time_ns);
}

static struct trace_times_of note_switch(struct trace_times *times,
					 const struct pfuse_trace *record)
{
	struct running *cpu = &times->running[record->cpu];
	struct ready *ready = &times->ready[record->other.pid % PLACES];
	uint32_t state = record->next.state;
	struct trace_times_of of = { TRACE_TIME_UNKNOWN, TRACE_TIME_UNKNOWN };

	if (record->pid && cpu->pid == record->pid)
		of.ran_ns = span(cpu->since_ns, record->time_ns);
	if (record->other.pid && ready->pid == record->other.pid) {
		of.waited_ns = span(ready->since_ns, record->time_ns);
		ready->since_ns = 0;
	}
	/* Who is woken while on the way out is ready from then on, not from here. */
	if (record->pid && (!state || state & PFUSE_STATE_PREEMPTED))
		set_ready(times, record->pid, record->time_ns);
	else if (record->pid && times->ready[record->pid % PLACES].pid == record->pid)
		times->ready[record->pid % PLACES].since_ns = 0;
	*cpu = (struct running){ record->other.pid, record->time_ns };
	if (times->only_groups && !record->slot)
		of.ran_ns = TRACE_TIME_UNKNOWN;
	if (times->only_groups && !record->next.next_slot)
		of.waited_ns = TRACE_TIME_UNKNOWN;
	return of;
}

struct trace_times_of trace_times_note(struct trace_times *times, const struct pfuse_trace *record)
{
	if (record->kind == PFUSE_TR_SWITCH && record->cpu < times->cpus)
		return note_switch(times, record);
	if (record->kind == PFUSE_TR_WAKE)
		note_wake(times, record);
	return (struct trace_times_of){ TRACE_TIME_UNKNOWN, TRACE_TIME_UNKNOWN };
}

/* Whoever came or was woken in what is lost may have waited since: nobody's wait is known. */
void trace_times_forget(struct trace_times *times, uint32_t cpu)
{
	memset(times->ready, 0, sizeof(times->ready));
	if (cpu < times->cpus)
		times->running[cpu] = (struct running){ 0 };
}
