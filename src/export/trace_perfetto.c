/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Scheduling as ftrace bundles per CPU, so that the UI shows its CPU tracks; processes and threads by name;
 * one track per group with what else happens to it as instants.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/parse.h"
#include "export/pftrace.h"
#include "export/trace_lines.h"
#include "export/trace_sink.h"
#include "export/trace_threads.h"

#define BUNDLE 64  /* scheduling events of one CPU in one packet */
#define THREADS 32 /* in one packet */
#define COUNTED 1024 /* threads whose counter track is known to be declared */
#define CATEGORY "kernel"
#define TRACK_OF_GROUP(slot) (UINT64_C(0x7066757365000000) + (slot))
/* Of a thread: its virtual run time. */
#define TRACK_OF_THREAD(tid) (UINT64_C(0x7066757674000000) + (tid))
#define TRACK_OF_REST TRACK_OF_GROUP(0) /* of what is in no chosen group, and of losses */

struct bundle {
	struct pftrace_sched events[BUNDLE];
	unsigned count;
	bool lost; /* some before these are missing */
};

struct trace_perfetto {
	struct trace_sink sink;
	struct pftrace *trace;
	struct trace_threads known; /* that this file has named */
	struct trace_perfetto_file file;
	struct pftrace_thread threads[THREADS];
	unsigned nthreads;
	uint64_t threads_ns;
	bool has_rest; /* its track is declared */
	uint32_t counted[COUNTED]; /* tids by their low bits; two that meet are declared in turn */
	uint32_t cpus;
	struct bundle bundles[];
};

static void write_threads(struct trace_perfetto *out)
{
	if (out->nthreads)
		pftrace_threads(out->trace, out->threads_ns, out->threads, out->nthreads);
	out->nthreads = 0;
}

static void note_thread(struct trace_perfetto *out, uint64_t time_ns, uint32_t tid, uint32_t tgid,
			uint32_t ppid, const char comm[PFUSE_COMM_LEN])
{
	if (!tid || !trace_threads_note(&out->known, tid, tgid, comm))
		return;
	struct pftrace_thread *thread = &out->threads[out->nthreads++];

	out->counted[tid % COUNTED] = 0; /* it has another name */
	*thread = (struct pftrace_thread){ (int32_t)tid, (int32_t)tgid, (int32_t)ppid, "" };
	memcpy(thread->comm, comm, sizeof(thread->comm));
	out->threads_ns = time_ns;
	if (out->nthreads == THREADS)
		write_threads(out);
}

static void write_bundle(struct trace_perfetto *out, uint32_t cpu)
{
	struct bundle *bundle = &out->bundles[cpu];

	if (!bundle->count)
		return;
	pftrace_sched(out->trace, cpu, bundle->events, bundle->count, bundle->lost);
	bundle->count = 0;
	bundle->lost = false;
}

static struct pftrace_sched *next_event(struct trace_perfetto *out,
					const struct pfuse_trace *record)
{
	struct bundle *bundle = &out->bundles[record->cpu];

	if (bundle->count == BUNDLE)
		write_bundle(out, record->cpu);
	struct pftrace_sched *event = &bundle->events[bundle->count++];

	*event = (struct pftrace_sched){ .time_ns = record->time_ns };
	return event;
}

static void add_switch(struct trace_perfetto *out, const struct pfuse_trace *record)
{
	struct pftrace_sched *event = next_event(out, record);

	event->pid = record->pid;
	event->prio = record->next.prio;
	event->state = record->next.state;
	event->next = (int32_t)record->other.pid;
	event->next_prio = record->next.next_prio;
	memcpy(event->comm, record->comm, sizeof(event->comm));
	memcpy(event->next_comm, record->other.comm, sizeof(event->next_comm));
}

/* A thread's first wake has a tracepoint of its own; readers ask only since when it could have run. */
static void add_wake(struct trace_perfetto *out, const struct pfuse_trace *record)
{
	struct pftrace_sched *event = next_event(out, record);

	event->is_waking = true;
	event->pid = record->other.pid;
	event->prio = record->wake.prio;
	event->next = (int32_t)record->pid;
	event->target_cpu = (int32_t)record->wake.cpu;
	memcpy(event->comm, record->other.comm, sizeof(event->comm));
	memcpy(event->next_comm, record->comm, sizeof(event->next_comm));
}

static void declare_thread(struct trace_perfetto *out, const struct pfuse_trace *record)
{
	uint32_t *counted = &out->counted[record->pid % COUNTED];
	char comm[4 * PFUSE_COMM_LEN + 1], name[sizeof(comm) + 32];

	if (*counted == record->pid)
		return;
	*counted = record->pid;
	snprintf(name, sizeof(name), "%s-%u vruntime", trace_lines_comm(record->comm, comm),
		 record->pid);
	pftrace_counter_track(out->trace, TRACK_OF_THREAD(record->pid),
			      TRACK_OF_GROUP(record->slot), name, PFTRACE_NS, NULL);
}

/* A thread of no chosen group has no such track: of a whole machine there would be hundreds. */
static void add_turn(struct trace_perfetto *out, const struct pfuse_trace *record)
{
	if (!record->next.fair || !record->slot || record->slot >= out->sink.names.slots)
		return;
	declare_thread(out, record);
	pftrace_counter(out->trace, TRACK_OF_THREAD(record->pid), record->time_ns,
			record->next.vruntime_ns);
}

static uint64_t track_of(struct trace_perfetto *out, uint32_t slot)
{
	if (slot && slot < out->sink.names.slots)
		return TRACK_OF_GROUP(slot);
	if (!out->has_rest)
		pftrace_track(out->trace, TRACK_OF_REST, 0, "pfuse-bpf trace");
	out->has_rest = true;
	return TRACK_OF_REST;
}

static struct pftrace_note uint_note(const char *name, uint64_t value)
{
	return (struct pftrace_note){ name, PFTRACE_AS_UINT, { .uint_value = value } };
}

static struct pftrace_note text_note(const char *name, const char *value)
{
	return (struct pftrace_note){ name, PFTRACE_AS_STRING, { .string_value = value } };
}

/* The facts of a record that is no scheduling; `word` holds what a note may borrow. Returns their number. */
static unsigned own_notes(const struct pfuse_trace *record, char word[16],
			  struct pftrace_note notes[5])
{
	switch (record->kind) {
	case PFUSE_TR_FAULT:
		notes[0] = uint_note("address", record->fault.address);
		notes[1] = uint_note("usage_pages", record->fault.usage_pages);
		notes[2] = uint_note("limit_pages", record->fault.limit_pages);
		return 3;
	case PFUSE_TR_TALK:
		notes[0] = text_note("channel", trace_word_channel(record->talk.channel));
		notes[1] = uint_note("incoming", record->talk.incoming);
		notes[2] = uint_note("peer_port", record->talk.peer_port);
		notes[3] = uint_note("peer_pid", record->talk.peer_pid);
		notes[4] = uint_note("outside", record->talk.outside);
		return 5;
	case PFUSE_TR_SIGNAL:
		notes[0] = text_note("signal", trace_word_signal(record->signal.number, word));
		notes[1] = uint_note("result", record->signal.result);
		return 2;
	case PFUSE_TR_EXIT:
		notes[0] = uint_note("code", record->exit.code);
		return 1;
	default:
		return 0;
	}
}

static void add_instant(struct trace_perfetto *out, const struct pfuse_trace *record)
{
	char comm[4 * PFUSE_COMM_LEN + 1], other[4 * PFUSE_COMM_LEN + 1], word[16];
	struct pftrace_note notes[9];
	unsigned count = own_notes(record, word, notes);

	notes[count++] = uint_note("tid", record->pid);
	notes[count++] = text_note("comm", trace_lines_comm(record->comm, comm));
	if (record->other.pid) {
		notes[count++] = uint_note("by_tid", record->other.pid);
		notes[count++] = text_note("by", trace_lines_comm(record->other.comm, other));
	}
	pftrace_instant(out->trace, &(struct pftrace_happening){
					    .time_ns = record->time_ns,
					    .track = track_of(out, record->slot),
					    .category = CATEGORY,
					    .name = trace_word_kind(record->kind),
					    .notes = notes,
					    .nnotes = count,
				    });
}

static void perfetto_item(struct trace_sink *sink, const struct pfuse_trace *record,
			  const struct trace_times_of *times)
{
	struct trace_perfetto *out = (struct trace_perfetto *)sink;
	uint32_t parent = record->kind == PFUSE_TR_FORK ? record->other.tgid : 0;

	if (record->cpu >= out->cpus)
		return;
	note_thread(out, record->time_ns, record->pid, record->tgid, parent, record->comm);
	note_thread(out, record->time_ns, record->other.pid, record->other.tgid, 0,
		    record->other.comm);
	if (record->kind == PFUSE_TR_SWITCH) {
		add_switch(out, record);
		add_turn(out, record);
	} else if (record->kind == PFUSE_TR_WAKE) {
		add_wake(out, record);
	} else {
		add_instant(out, record);
	}
}

static void perfetto_lost(struct trace_sink *sink, uint64_t time_ns, uint32_t cpu, uint64_t records)
{
	struct trace_perfetto *out = (struct trace_perfetto *)sink;
	const struct pftrace_note notes[] = { uint_note("cpu", cpu), uint_note("events", records) };

	if (cpu >= out->cpus)
		return;
	write_bundle(out, cpu);
	out->bundles[cpu].lost = true;
	pftrace_instant(out->trace, &(struct pftrace_happening){
					    .time_ns = time_ns,
					    .track = track_of(out, 0),
					    .category = CATEGORY,
					    .name = "lost",
					    .notes = notes,
					    .nnotes = 2,
				    });
}

static int perfetto_flush(struct trace_sink *sink)
{
	struct trace_perfetto *out = (struct trace_perfetto *)sink;

	write_threads(out);
	for (uint32_t cpu = 0; cpu < out->cpus; cpu++)
		write_bundle(out, cpu);
	pftrace_flush(out->trace);
	return pftrace_error(out->trace);
}

static uint64_t perfetto_bytes(const struct trace_sink *sink)
{
	return pftrace_bytes(((const struct trace_perfetto *)sink)->trace);
}

static int perfetto_close(struct trace_sink *sink)
{
	struct trace_perfetto *out = (struct trace_perfetto *)sink;
	int err = perfetto_flush(sink);

	pftrace_close(out->trace);
	trace_threads_free(&out->known);
	free(out);
	return err;
}

static void declare_tracks(struct trace_perfetto *out)
{
	for (uint32_t slot = 1; slot < out->sink.names.slots; slot++) {
		char name[TRACE_NAME_MAX];
		const char *group = out->sink.names.groups[slot];

		parse_escape(name, sizeof(name), group, strlen(group));
		pftrace_track(out->trace, TRACK_OF_GROUP(slot), 0, name);
	}
}

/* Another file: those that have ended are no part of it. */
static void begin_again(void *arg)
{
	struct trace_perfetto *out = arg;

	trace_threads_free(&out->known);
	out->has_rest = false;
	memset(out->counted, 0, sizeof(out->counted));
	declare_tracks(out);
	if (out->file.name_threads)
		out->file.name_threads(out->file.arg);
	write_threads(out);
}

int trace_perfetto_open(const struct trace_perfetto_file *file, const struct trace_names *names,
			uint32_t cpus, struct trace_sink **ret, struct err *err)
{
	static const struct trace_sink_ops ops = { perfetto_item, perfetto_lost, perfetto_flush,
						   NULL, perfetto_bytes, perfetto_close };
	struct trace_perfetto *out = calloc(1, sizeof(*out) + cpus * sizeof(out->bundles[0]));

	if (!out)
		return err_set(err, -ENOMEM, "out of memory");
	out->sink = (struct trace_sink){ &ops, *names };
	out->cpus = cpus;
	out->file = *file;

	const struct pftrace_options options = { .path = file->path,
						 .size_limit = file->size_limit,
						 .keep = file->keep,
						 .again = begin_again,
						 .arg = out };
	int code = pftrace_open(&options, &out->trace, err);

	if (code) {
		free(out);
		return code;
	}
	declare_tracks(out);
	*ret = &out->sink;
	return 0;
}

void trace_perfetto_thread(struct trace_sink *sink, uint64_t time_ns, int32_t tid, int32_t tgid,
			   int32_t ppid, const char *comm)
{
	char padded[PFUSE_COMM_LEN] = "";

	memcpy(padded, comm, strnlen(comm, sizeof(padded)));
	note_thread((struct trace_perfetto *)sink, time_ns, (uint32_t)tid, (uint32_t)tgid,
		    (uint32_t)ppid, padded);
}
