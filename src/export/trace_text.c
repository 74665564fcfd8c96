/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* One aligned line per record: time, group, CPU, thread, what, details. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/parse.h"
#include "export/trace_lines.h"
#include "export/trace_sink.h"

struct trace_text {
	struct trace_sink sink;
	int64_t realtime_offset_ns;
	int64_t second; /* the one whose time of day is in `clock` */
	char clock[16];
	struct trace_lines lines;
};

typedef char comm_text[4 * PFUSE_COMM_LEN + 1];

static const char *group_text(const struct trace_sink *sink, uint32_t slot,
			      char out[TRACE_NAME_MAX])
{
	if (!slot || slot >= sink->names.slots)
		return "-";
	parse_escape(out, TRACE_NAME_MAX, sink->names.groups[slot],
		     strlen(sink->names.groups[slot]));
	return out;
}

/* Once per second there is another time of day; localtime_r() for each record would be half the work. */
static void add_time(struct trace_text *text, uint64_t time_ns)
{
	int64_t now_ns = (int64_t)time_ns + text->realtime_offset_ns;
	int64_t second = now_ns / 1000000000;

	if (second != text->second) {
		time_t whole = (time_t)second;
		struct tm tm;

		localtime_r(&whole, &tm);
		strftime(text->clock, sizeof(text->clock), "%H:%M:%S", &tm);
		text->second = second;
	}
	trace_lines_add(&text->lines, "%s.%06" PRId64, text->clock, now_ns % 1000000000 / 1000);
}

static void add_span(struct trace_lines *lines, const char *what, uint64_t ns)
{
	if (ns == TRACE_TIME_UNKNOWN)
		return;
	if (ns < 1000000)
		trace_lines_add(lines, "%s%.1f us", what, (double)ns / 1e3);
	else if (ns < 1000000000)
		trace_lines_add(lines, "%s%.1f ms", what, (double)ns / 1e6);
	else
		trace_lines_add(lines, "%s%.2f s", what, (double)ns / 1e9);
}

static void add_turn(struct trace_lines *lines, const struct pfuse_trace *record)
{
	if (!record->next.fair)
		return;
	trace_lines_add(lines, ", vruntime %.3f ms", (double)record->next.vruntime_ns / 1e6);
	if (record->next.slice_ns)
		trace_lines_add(lines, ", slice %.1f ms", record->next.slice_ns / 1e6);
}

static void add_other(struct trace_lines *lines, const char *before,
		      const struct pfuse_trace_other *other)
{
	comm_text comm;

	trace_lines_add(lines, "%s%s-%u", before, trace_lines_comm(other->comm, comm), other->pid);
}

static void add_switch(struct trace_text *text, const struct pfuse_trace *record,
		       const struct trace_times_of *times)
{
	char group[TRACE_NAME_MAX];

	trace_lines_add(&text->lines, "%s", trace_word_state(record->next.state));
	add_span(&text->lines, ", ran ", times->ran_ns);
	add_other(&text->lines, " -> ", &record->other);
	if (record->next.next_slot && record->next.next_slot != record->slot && record->slot)
		trace_lines_add(&text->lines, " of %s",
				group_text(&text->sink, record->next.next_slot, group));
	add_span(&text->lines, ", waited ", times->waited_ns);
	add_turn(&text->lines, record);
}

static void add_talk(struct trace_lines *lines, const struct pfuse_trace *record)
{
	const char *what = record->talk.outside	   ? "speaks to it"
			   : record->talk.incoming ? "spoken to"
						   : "speaks";

	trace_lines_add(lines, "%s over %s", what, trace_word_channel(record->talk.channel));
	if (record->talk.peer_port)
		trace_lines_add(lines, ", %s %u", record->talk.outside ? "its port" : "peer port",
				record->talk.peer_port);
	if (record->talk.peer_pid)
		trace_lines_add(lines, ", %s %u", record->talk.outside ? "its pid" : "peer pid",
				record->talk.peer_pid);
}

static void add_signal(struct trace_lines *lines, const struct pfuse_trace *record)
{
	static const char *const results[] = { "", ", ignored", ", pending already", ", lost" };
	uint32_t result = record->signal.result;
	char name[16];

	trace_lines_add(lines, "%s%s", trace_word_signal(record->signal.number, name),
			results[result < 3 ? result : 3]);
	if (record->other.pid)
		add_other(lines, ", from ", &record->other);
	else
		trace_lines_add(lines, ", from the kernel");
}

static void add_fault(struct trace_lines *lines, const struct pfuse_trace *record)
{
	double pages_per_mib = (double)(1 << 20) / (double)sysconf(_SC_PAGESIZE);

	trace_lines_add(lines, "at 0x%llx, usage %.1f of %.1f MiB", record->fault.address,
			record->fault.usage_pages / pages_per_mib,
			record->fault.limit_pages / pages_per_mib);
}

static void add_details(struct trace_text *text, const struct pfuse_trace *record,
			const struct trace_times_of *times)
{
	struct trace_lines *lines = &text->lines;

	switch (record->kind) {
	case PFUSE_TR_SWITCH:
		add_switch(text, record, times);
		return;
	case PFUSE_TR_WAKE:
		add_other(lines, "by ", &record->other);
		trace_lines_add(lines, ", CPU %u%s", record->wake.cpu,
				record->wake.born ? ", new" : "");
		return;
	case PFUSE_TR_FAULT:
		add_fault(lines, record);
		return;
	case PFUSE_TR_TALK:
		add_talk(lines, record);
		return;
	case PFUSE_TR_SIGNAL:
		add_signal(lines, record);
		return;
	case PFUSE_TR_FORK:
		add_other(lines, record->pid == record->tgid ? "process, by " : "thread, by ",
			  &record->other);
		return;
	case PFUSE_TR_EXIT:
		if (record->exit.code & 0x7f)
			trace_lines_add(lines, "killed by signal %u", record->exit.code & 0x7f);
		else
			trace_lines_add(lines, "status %u", record->exit.code >> 8 & 0xff);
		return;
	default:
		return;
	}
}

static void text_item(struct trace_sink *sink, const struct pfuse_trace *record,
		      const struct trace_times_of *times)
{
	struct trace_text *text = (struct trace_text *)sink;
	/* A switch to a thread of a group, from one of none, is that group's. */
	uint32_t slot = record->kind == PFUSE_TR_SWITCH && !record->slot ? record->next.next_slot
									 : record->slot;
	char group[TRACE_NAME_MAX];
	comm_text comm;
	char thread[sizeof(comm) + 12];

	snprintf(thread, sizeof(thread), "%s-%u", trace_lines_comm(record->comm, comm),
		 record->pid);
	add_time(text, record->time_ns);
	trace_lines_add(&text->lines, "  %-20s [%03u] %-23s %-6s  ", group_text(sink, slot, group),
			record->cpu, thread, trace_word_kind(record->kind));
	add_details(text, record, times);
	trace_lines_end(&text->lines);
}

static void text_lost(struct trace_sink *sink, uint64_t time_ns, uint32_t cpu, uint64_t records)
{
	struct trace_text *text = (struct trace_text *)sink;

	add_time(text, time_ns);
	trace_lines_add(&text->lines, "  %-20s [%03u] %-23s lost    %" PRIu64 " events", "-", cpu,
			"-", records);
	trace_lines_end(&text->lines);
}

static int text_flush(struct trace_sink *sink)
{
	return trace_lines_flush(&((struct trace_text *)sink)->lines);
}

static uint64_t text_bytes(const struct trace_sink *sink)
{
	return ((const struct trace_text *)sink)->lines.bytes;
}

static int text_close(struct trace_sink *sink)
{
	int err = text_flush(sink);

	free(sink);
	return err;
}

int trace_text_open(int fd, const struct trace_names *names, int64_t realtime_offset_ns,
		    struct trace_sink **ret)
{
	static const struct trace_sink_ops ops = { text_item, text_lost, text_flush, NULL,
						   text_bytes, text_close };
	struct trace_text *text = calloc(1, sizeof(*text));

	if (!text)
		return -ENOMEM;
	text->sink = (struct trace_sink){ &ops, *names };
	text->lines.fd = fd;
	text->realtime_offset_ns = realtime_offset_ns;
	*ret = &text->sink;
	return 0;
}
