/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * One JSON object per line. The first describes the trace: {"trace":"pfuse-bpf","version":…,"clock":
 * "monotonic","realtime_offset_ns":…}. Written by hand: jansson would build a tree in memory
 * per record, ten times the work.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/parse.h"
#include "export/trace_lines.h"
#include "export/trace_sink.h"

struct trace_json {
	struct trace_sink sink;
	uint64_t page_bytes;
	int64_t realtime_offset_ns;
	struct trace_lines lines;
};

/* Escaped as everywhere, so no control byte is left; of what JSON escapes, '"' and '\\' are. */
static void add_string(struct trace_lines *lines, const char *key, const char *value, size_t length)
{
	char escaped[TRACE_NAME_MAX], quoted[2 * TRACE_NAME_MAX];
	size_t n = 0;

	parse_escape(escaped, sizeof(escaped), value, length);
	for (const char *at = escaped; *at; at++) {
		if (*at == '"' || *at == '\\')
			quoted[n++] = '\\';
		quoted[n++] = *at;
	}
	quoted[n] = '\0';
	trace_lines_add(lines, "%s\"%s\"", key, quoted);
}

static void add_comm(struct trace_lines *lines, const char *key, const char comm[PFUSE_COMM_LEN])
{
	add_string(lines, key, comm, strnlen(comm, PFUSE_COMM_LEN));
}

static void add_group(struct trace_json *json, const char *key, uint32_t slot)
{
	const struct trace_names *names = &json->sink.names;

	if (slot && slot < names->slots)
		add_string(&json->lines, key, names->groups[slot], strlen(names->groups[slot]));
}

static void add_span(struct trace_lines *lines, const char *key, uint64_t ns)
{
	if (ns != TRACE_TIME_UNKNOWN)
		trace_lines_add(lines, ",\"%s\":%" PRIu64, key, ns);
}

static void add_other(struct trace_lines *lines, const char *who,
		      const struct pfuse_trace_other *other)
{
	trace_lines_add(lines, ",\"%s\":{\"pid\":%u,\"tgid\":%u,", who, other->pid, other->tgid);
	add_comm(lines, "\"comm\":", other->comm);
	trace_lines_add(lines, "}");
}

static void add_turn(struct trace_lines *lines, const struct pfuse_trace *record)
{
	if (!record->next.fair)
		return;
	trace_lines_add(lines, ",\"vruntime_ns\":%lld", record->next.vruntime_ns);
	if (record->next.has_group)
		trace_lines_add(lines, ",\"group_vruntime_ns\":%lld",
				record->next.group_vruntime_ns);
	if (record->next.slice_ns)
		trace_lines_add(lines, ",\"slice_ns\":%u", record->next.slice_ns);
}

static void add_switch(struct trace_json *json, const struct pfuse_trace *record,
		       const struct trace_times_of *times)
{
	struct trace_lines *lines = &json->lines;

	trace_lines_add(lines, ",\"state\":\"%s\",\"prio\":%d,\"next_prio\":%d",
			trace_word_state(record->next.state), record->next.prio,
			record->next.next_prio);
	add_group(json, ",\"next_group\":", record->next.next_slot);
	add_other(lines, "next", &record->other);
	add_span(lines, "ran_ns", times->ran_ns);
	add_span(lines, "waited_ns", times->waited_ns);
	add_turn(lines, record);
}

static void add_details(struct trace_json *json, const struct pfuse_trace *record,
			const struct trace_times_of *times)
{
	struct trace_lines *lines = &json->lines;

	switch (record->kind) {
	case PFUSE_TR_SWITCH:
		add_switch(json, record, times);
		return;
	case PFUSE_TR_WAKE:
		add_other(lines, "by", &record->other);
		trace_lines_add(lines, ",\"prio\":%d,\"target_cpu\":%u,\"new\":%s",
				record->wake.prio, record->wake.cpu,
				record->wake.born ? "true" : "false");
		return;
	case PFUSE_TR_FAULT:
		trace_lines_add(lines,
				",\"address\":%llu,\"usage_bytes\":%" PRIu64
				",\"limit_bytes\":%" PRIu64,
				record->fault.address, record->fault.usage_pages * json->page_bytes,
				record->fault.limit_pages * json->page_bytes);
		return;
	case PFUSE_TR_TALK:
		trace_lines_add(lines,
				",\"channel\":\"%s\",\"incoming\":%s,\"outside\":%s,\"peer_port\":%"
				"u,\"peer_pid\":%u",
				trace_word_channel(record->talk.channel),
				record->talk.incoming ? "true" : "false",
				record->talk.outside ? "true" : "false", record->talk.peer_port,
				record->talk.peer_pid);
		return;
	case PFUSE_TR_SIGNAL:
		trace_lines_add(lines, ",\"signal\":%u,\"result\":%u", record->signal.number,
				record->signal.result);
		if (record->other.pid)
			add_other(lines, "by", &record->other);
		return;
	case PFUSE_TR_FORK:
		add_other(lines, "by", &record->other);
		return;
	case PFUSE_TR_EXIT:
		trace_lines_add(lines, ",\"code\":%u", record->exit.code);
		return;
	default:
		return;
	}
}

static void json_item(struct trace_sink *sink, const struct pfuse_trace *record,
		      const struct trace_times_of *times)
{
	struct trace_json *json = (struct trace_json *)sink;

	trace_lines_add(&json->lines, "{\"time_ns\":%llu,\"cpu\":%u,\"event\":\"%s\"",
			record->time_ns, record->cpu, trace_word_kind(record->kind));
	add_group(json, ",\"group\":", record->slot);
	trace_lines_add(&json->lines, ",\"pid\":%u,\"tgid\":%u", record->pid, record->tgid);
	add_comm(&json->lines, ",\"comm\":", record->comm);
	add_details(json, record, times);
	trace_lines_add(&json->lines, "}");
	trace_lines_end(&json->lines);
}

static void json_lost(struct trace_sink *sink, uint64_t time_ns, uint32_t cpu, uint64_t records)
{
	struct trace_json *json = (struct trace_json *)sink;

	trace_lines_add(&json->lines,
			"{\"time_ns\":%" PRIu64 ",\"cpu\":%u,\"event\":\"lost\",\"events\":%" PRIu64
			"}",
			time_ns, cpu, records);
	trace_lines_end(&json->lines);
}

static int json_flush(struct trace_sink *sink)
{
	return trace_lines_flush(&((struct trace_json *)sink)->lines);
}

static uint64_t json_bytes(const struct trace_sink *sink)
{
	return ((const struct trace_json *)sink)->lines.bytes;
}

static int json_close(struct trace_sink *sink)
{
	int err = json_flush(sink);

	free(sink);
	return err;
}

static void json_again(struct trace_sink *sink)
{
	struct trace_json *json = (struct trace_json *)sink;

	trace_lines_add(&json->lines,
			"{\"trace\":\"pfuse-bpf\",\"version\":\"" PFUSE_VERSION
			"\",\"clock\":\"monotonic\",\"realtime_offset_ns\":%" PRId64 "}",
			json->realtime_offset_ns);
	trace_lines_end(&json->lines);
}

int trace_json_open(int fd, const struct trace_names *names, int64_t realtime_offset_ns,
		    struct trace_sink **ret)
{
	static const struct trace_sink_ops ops = { json_item, json_lost, json_flush, json_again,
						   json_bytes, json_close };
	struct trace_json *json = calloc(1, sizeof(*json));

	if (!json)
		return -ENOMEM;
	json->sink = (struct trace_sink){ &ops, *names };
	json->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	json->lines.fd = fd;
	json->realtime_offset_ns = realtime_offset_ns;
	json_again(&json->sink);
	*ret = &json->sink;
	return 0;
}
