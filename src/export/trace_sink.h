/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Where the records of a trace go: text, JSON, or a Perfetto file. One interface, three makers.
 *
 * Order of calls: trace_text_open(), trace_json_open() or trace_perfetto_open(); trace_sink_item() and
 * trace_sink_lost() in the order of time; trace_sink_flush() at the end of each turn; trace_sink_close(),
 * which accepts NULL. One thread. The names are borrowed for all of that; they are untrusted, as comms are,
 * and are escaped here.
 *
 * Errors stick: the first -errno of writing is what trace_sink_flush() returns from then on, and nothing is
 * written after it; what was written until then is whole lines, or whole packets.
 */
#ifndef EXPORT_TRACE_SINK_H
#define EXPORT_TRACE_SINK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "export/trace_times.h"
#include "pfuse/trace.h"

struct trace_names {
	const char *const *groups; /* by slot; slot 0 is no group */
	uint32_t slots;		   /* slot 0 included */
};

struct trace_sink;

struct trace_sink_ops {
	void (*item)(struct trace_sink *sink, const struct pfuse_trace *record,
		     const struct trace_times_of *times);
	void (*lost)(struct trace_sink *sink, uint64_t time_ns, uint32_t cpu, uint64_t records);
	int (*flush)(struct trace_sink *sink);
	void (*again)(struct trace_sink *sink); /* NULL: nothing stands at the beginning */
	uint64_t (*bytes)(const struct trace_sink *sink);
	int (*close)(struct trace_sink *sink); /* frees it; the last error */
};

/* The first member of each kind of sink. */
struct trace_sink {
	const struct trace_sink_ops *ops;
	struct trace_names names;
};

/* `fd` is the caller's. realtime_offset_ns: what makes a time of day of CLOCK_MONOTONIC. */
int trace_text_open(int fd, const struct trace_names *names, int64_t realtime_offset_ns,
		    struct trace_sink **ret);
int trace_json_open(int fd, const struct trace_names *names, int64_t realtime_offset_ns,
		    struct trace_sink **ret);
/* At size_limit (0: none) the file is begun anew, and `keep` older ones stay: see export/pftrace.h. */
struct trace_perfetto_file {
	const char *path;
	uint64_t size_limit;
	unsigned keep;
	void (*name_threads)(void *arg); /* of a file that is begun anew: those that are there; or NULL */
	void *arg;
};

int trace_perfetto_open(const struct trace_perfetto_file *file, const struct trace_names *names, uint32_t cpus,
			struct trace_sink **ret, struct err *err);

/* The thread was there before the trace began. Perfetto only; the others name threads in each line. */
void trace_perfetto_thread(struct trace_sink *sink, uint64_t time_ns, int32_t tid, int32_t tgid,
			   int32_t ppid, const char *comm);

static inline void trace_sink_item(struct trace_sink *sink, const struct pfuse_trace *record,
				   const struct trace_times_of *times)
{
	sink->ops->item(sink, record, times);
}

/* `records` of this CPU are missing between the last item and the next. */
static inline void trace_sink_lost(struct trace_sink *sink, uint64_t time_ns, uint32_t cpu,
				   uint64_t records)
{
	sink->ops->lost(sink, time_ns, cpu, records);
}

static inline int trace_sink_flush(struct trace_sink *sink)
{
	return sink->ops->flush(sink);
}

/* The fd is another file from here on: what a file begins with is written. */
static inline void trace_sink_again(struct trace_sink *sink)
{
	if (sink->ops->again)
		sink->ops->again(sink);
}

static inline uint64_t trace_sink_bytes(const struct trace_sink *sink)
{
	return sink->ops->bytes(sink);
}

static inline int trace_sink_close(struct trace_sink *sink)
{
	return sink ? sink->ops->close(sink) : 0;
}

#endif
