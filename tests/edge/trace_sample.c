/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Writes a trace with one packet of each kind into the file that it is given: for edge.pftrace. */
#include <stdio.h>
#include <string.h>

#include "export/pftrace.h"

static void put_events(struct pftrace *trace)
{
	char text[301];
	struct pftrace_note notes[] = {
		{ .name = "reason", .type = PFTRACE_AS_STRING, .string_value = "score-low" },
		{ .name = "to", .type = PFTRACE_AS_UINT, .uint_value = UINT64_MAX },
		{ .name = "change", .type = PFTRACE_AS_INT, .int_value = -5 },
		{ .name = "score", .type = PFTRACE_AS_DOUBLE, .double_value = 0.25 },
		{ .name = "clamped", .type = PFTRACE_AS_BOOL, .bool_value = true },
		{ .name = "long", .type = PFTRACE_AS_STRING, .string_value = text },
	};
	struct pftrace_happening what = { .time_ns = 1000,
					  .track = 10,
					  .category = "decision",
					  .name = "ram down",
					  .notes = notes,
					  .nnotes = 6 };

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';

	pftrace_track(trace, 10, 0, "web");
	pftrace_counter_track(trace, 11, 10, "ram usage", PFTRACE_BYTES, NULL);
	pftrace_counter_track(trace, 12, 10, "cpu usage", PFTRACE_NO_UNIT, "CPUs");
	pftrace_instant(trace, &what);
	what.time_ns = 2000;
	pftrace_instant(trace, &what);
	pftrace_counter(trace, 11, 1500, -1);
	pftrace_counter_double(trace, 12, 1600, 1.5);
	what = (struct pftrace_happening){ .time_ns = 3000, .track = 10, .name = "stopped" };
	pftrace_slice_begin(trace, &what);
	pftrace_slice_end(trace, 10, 4000);
}

static void put_sched(struct pftrace *trace)
{
	struct pftrace_sched events[] = {
		{ .time_ns = 5000,
		  .pid = 7,
		  .prio = 120,
		  .state = 1,
		  .next = 0,
		  .next_prio = 120,
		  .comm = "wörker",
		  .next_comm = "swapper/1" },
		{ .time_ns = 6000,
		  .is_waking = true,
		  .pid = 0,
		  .prio = 98,
		  .next = 7,
		  .target_cpu = 1,
		  .next_comm = { '\x1b', '[', 'm' } },
	};
	struct pftrace_thread threads[] = { { 7, 7, 1, "main" }, { 8, 7, 0, "second" } };

	pftrace_threads(trace, 4500, threads, 2);
	pftrace_sched(trace, 1, events, 2, true);
}

int main(int argc, char **argv)
{
	struct pftrace_options options = { .path = argv[argc - 1] };
	struct pftrace_record record = {
		.time_ns = 7000,
		.kind = PFTRACE_MACHINE,
		.machine = { .version = "1", .kernel = "6", .page_bytes = 4096, .slots = 2 }
	};
	struct pftrace *trace;
	struct err err;

	if (pftrace_open(&options, &trace, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	put_events(trace);
	put_sched(trace);
	pftrace_record(trace, &record);
	pftrace_close(trace);
	return 0;
}
