/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * One direction: ring → order of time → how long → filter → sink. What the kernel had to leave out is told
 * where it is missing, and again at the end.
 */
#include "cli/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/trace_groups.h"
#include "cli/trace_out.h"
#include "edge/threads.h"
#include "edge/tracer.h"
#include "export/trace_lines.h"
#include "export/trace_order.h"
#include "export/trace_sink.h"
#include "export/trace_times.h"

#define TURN_RECORDS 16384 /* then signals, --for and the file get their turn */
/* A file is begun anew between turns: one must not hold much more than a tenth of it. */
#define TURN_RECORDS_LEAST 256
#define RECORD_BYTES 2560 /* ten times a line of JSON */
#define PROGRESS_NS 500000000u
#define HIGH_WATER_PERMILLE 900

struct trace {
	const struct options *options;
	struct trace_groups groups;
	struct tracer *tracer;
	struct trace_order *order;
	struct trace_times *times;
	struct trace_sink *sink;
	uint64_t *lost; /* by CPU, as told */
	uint64_t lost_total;
	uint64_t counts[PFUSE_TR_KINDS];
	uint64_t total;
	uint64_t newest_ns; /* record */
	uint64_t started_ns;
	uint64_t ended_ns;
	uint64_t progress_ns; /* when it is due */
	int turn_records;
	struct trace_out out; /* of text and JSON; fd -1: the sink has its own */
	bool progress;
	bool progress_shown;
};

static volatile sig_atomic_t told_to_stop;

static void on_stop(int number)
{
	(void)number;
	told_to_stop = 1;
}

static enum exit_status complain(const struct trace *trace, int code, const char *sentence)
{
	if (trace->progress_shown)
		fputc('\n', stderr);
	fprintf(stderr, "pfuse-bpf trace: %s\n", sentence);
	return code == -EPERM || code == -EOPNOTSUPP ? EXIT_LACKS : EXIT_FAILED;
}

/* A second one ends us the hard way: a write into a pipe that nobody reads cannot be talked to. */
static void catch_signals(void)
{
	struct sigaction stop = { .sa_handler = on_stop, .sa_flags = (int)SA_RESETHAND };

	told_to_stop = 0;
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGHUP, &stop, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/*
 * One fd per group is held. No higher priority: at nice -20 a reader that ran for 1 % of the time was seen to
 * take half of the throughput from who is traced, for the scheduler shares CPUs out by weight.
 */
static void claim_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files))
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

static uint32_t kinds_of(const struct options *options)
{
	static const uint32_t kinds[] = {
		[TRACE_SWITCHES] = PFUSE_TR_BIT(PFUSE_TR_SWITCH),
		[TRACE_WAKES] = PFUSE_TR_BIT(PFUSE_TR_WAKE),
		[TRACE_FAULTS] = PFUSE_TR_BIT(PFUSE_TR_FAULT),
		[TRACE_TALKS] = PFUSE_TR_BIT(PFUSE_TR_TALK),
		[TRACE_SIGNALS] = PFUSE_TR_BIT(PFUSE_TR_SIGNAL),
		[TRACE_LIFE] = PFUSE_TR_BIT(PFUSE_TR_FORK) | PFUSE_TR_BIT(PFUSE_TR_EXEC) |
			       PFUSE_TR_BIT(PFUSE_TR_EXIT),
	};
	uint32_t words = options->events ? options->events : UINT32_MAX, bits = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		bits |= words & 1u << i ? kinds[i] : 0;
	/* A talk is one between a group and the rest. */
	return options->ngroups ? bits : bits & ~PFUSE_TR_BIT(PFUSE_TR_TALK);
}

static int open_tracer(struct trace *trace, struct err *err)
{
	const struct options *options = trace->options;
	const struct tracer_config config = {
		.anchor = cgroup_tree_anchor(&trace->groups.tree),
		.slots = trace->groups.slots - 1,
		.kinds = kinds_of(options),
		.everything = options->all || !options->ngroups,
		.ring_bytes = options->ring_bytes ? options->ring_bytes : TRACER_RING_BYTES,
	};
	int code = tracer_open(&config, &trace->tracer, err);

	for (uint32_t slot = 1; !code && slot < trace->groups.slots; slot++) {
		code = tracer_add(trace->tracer, slot, trace->groups.at[slot].id,
				  HIGH_WATER_PERMILLE);
		if (code)
			err_set(err, code, "cannot watch a group: %s", strerror(-code));
	}
	return code;
}

static int64_t realtime_offset_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - (int64_t)clock_now_ns();
}

static void name_thread(void *context, const struct thread_name *thread)
{
	struct trace *trace = context;

	trace_perfetto_thread(trace->sink, clock_now_ns(), thread->tid, thread->tgid,
			      thread->ppid, thread->comm);
}

static void name_threads(void *context)
{
	struct trace *trace = context;
	int proc_fd = trace->groups.tree.proc_fd;

	if (trace->options->all || !trace->options->ngroups)
		threads_of_all(proc_fd, name_thread, trace);
	for (uint32_t slot = 1; slot < trace->groups.slots; slot++)
		threads_of_group(proc_fd, trace->groups.at[slot].fd, name_thread, trace);
}

static int open_perfetto(struct trace *trace, const struct trace_names *names, struct err *err)
{
	const struct options *options = trace->options;
	const struct trace_perfetto_file file = { .path = options->output,
						  .size_limit = options->trace_limit,
						  .keep = options->keep,
						  .name_threads = name_threads,
						  .arg = trace };

	return trace_perfetto_open(&file, names, tracer_cpus(trace->tracer), &trace->sink, err);
}

static int open_sink(struct trace *trace, struct err *err)
{
	const struct trace_names names = { trace->groups.names, trace->groups.slots };
	int format = trace->options->format;

	if (format == TRACE_PERFETTO)
		return open_perfetto(trace, &names, err);
	int code = trace_out_open(trace->options, &trace->out, err);

	if (code)
		return code;
	code = (format == TRACE_JSON ? trace_json_open : trace_text_open)(
		trace->out.fd, &names, realtime_offset_ns(), &trace->sink);
	return code ? err_set(err, code, "out of memory") : 0;
}

static bool is_long_enough(const struct trace *trace, const struct trace_times_of *times)
{
	uint64_t least = trace->options->min_ns;

	return (times->ran_ns != TRACE_TIME_UNKNOWN && times->ran_ns >= least) ||
	       (times->waited_ns != TRACE_TIME_UNKNOWN && times->waited_ns >= least);
}

static void on_ordered(const struct pfuse_trace *record, void *context)
{
	struct trace *trace = context;
	struct trace_times_of times = trace_times_note(trace->times, record);

	if (trace->options->min_ns && record->kind == PFUSE_TR_SWITCH &&
	    !is_long_enough(trace, &times))
		return;
	trace->counts[record->kind]++;
	trace->total++;
	trace_sink_item(trace->sink, record, &times);
}

static void on_record(const struct pfuse_trace *record, void *context)
{
	struct trace *trace = context;

	if (record->time_ns > trace->newest_ns)
		trace->newest_ns = record->time_ns;
	trace_order_put(trace->order, record);
}

static void tell_losses(struct trace *trace, uint64_t now_ns)
{
	for (uint32_t cpu = 0; cpu < tracer_cpus(trace->tracer); cpu++) {
		uint64_t lost = tracer_lost(trace->tracer, cpu, PFUSE_LOSS_RING_FULL);

		if (lost == trace->lost[cpu])
			continue;
		trace_times_forget(trace->times, cpu);
		trace_sink_lost(trace->sink, now_ns, cpu, lost - trace->lost[cpu]);
		trace->lost_total += lost - trace->lost[cpu];
		trace->lost[cpu] = lost;
	}
}

static const char *size_text(uint64_t bytes, char out[24])
{
	if (bytes < 1 << 20)
		snprintf(out, 24, "%.1f KiB", (double)bytes / (1 << 10));
	else
		snprintf(out, 24, "%.1f MiB", (double)bytes / (1 << 20));
	return out;
}

static void show_progress(struct trace *trace, uint64_t now_ns)
{
	char size[24];

	if (!trace->progress || now_ns < trace->progress_ns)
		return;
	trace->progress_ns = now_ns + PROGRESS_NS;
	trace->progress_shown = true;
	fprintf(stderr, "\r%.1f s  %" PRIu64 " events  %" PRIu64 " lost  %s ",
		(double)(now_ns - trace->started_ns) / 1e9, trace->total, trace->lost_total,
		size_text(trace_sink_bytes(trace->sink), size));
}

/* The number of records taken, or -errno of the ring or of the file. */
static int turn(struct trace *trace)
{
	uint64_t now_ns = clock_now_ns();
	int taken = tracer_consume(trace->tracer, (unsigned)trace->turn_records, on_record, trace);

	if (taken < 0)
		return taken;
	trace_order_take(trace->order, taken < trace->turn_records ? now_ns : trace->newest_ns);
	tell_losses(trace, clock_now_ns());
	int err = trace_sink_flush(trace->sink);

	if (!err && trace->out.fd >= 0)
		err = trace_out_turn(&trace->out, trace->sink);
	return err ? err : taken;
}

/* Until there is something to do. -EPIPE: nobody reads our output any more. */
static int wait_for_records(struct trace *trace)
{
	struct pollfd out = { .fd = trace->out.is_pipe ? trace->out.fd : -1 };
	int code = tracer_wait(trace->tracer, TRACER_LOOK_MS);

	if (!code && poll(&out, 1, 0) > 0 && out.revents & POLLERR)
		code = -EPIPE;
	return code;
}

static int record(struct trace *trace)
{
	uint64_t now_ns = trace->started_ns, for_ns = trace->options->for_ns;
	int code = 0;

	while (!told_to_stop && code >= 0 && !(for_ns && now_ns - trace->started_ns >= for_ns)) {
		code = turn(trace);
		now_ns = clock_now_ns();
		show_progress(trace, now_ns);
		if (code >= 0 && code < trace->turn_records)
			code = wait_for_records(trace);
	}
	return code < 0 ? code : 0;
}

/* What was seen until now is in the ring, and nothing more comes. */
static int finish(struct trace *trace)
{
	int code = 1;

	tracer_stop(trace->tracer);
	trace->ended_ns = clock_now_ns();
	while (code > 0)
		code = turn(trace);
	trace_order_take(trace->order, UINT64_MAX);
	tell_losses(trace, trace->ended_ns);
	int err = trace_sink_flush(trace->sink);

	return code < 0 ? code : err;
}

static void add_counts(const struct trace *trace)
{
	const char *before = " (";

	for (uint32_t kind = 1; kind < PFUSE_TR_KINDS; kind++) {
		if (!trace->counts[kind])
			continue;
		fprintf(stderr, "%s%" PRIu64 " %s", before, trace->counts[kind],
			trace_word_kind(kind));
		before = ", ";
	}
	if (trace->total)
		fputc(')', stderr);
}

static void add_output(const struct trace *trace)
{
	char quoted[ERR_QUOTED], size[24];

	fprintf(stderr, ", %s", size_text(trace_sink_bytes(trace->sink), size));
	if (trace->options->output)
		fprintf(stderr, " in %s%s", err_quote(trace->options->output, quoted),
			trace->options->trace_limit &&
					trace_sink_bytes(trace->sink) > trace->options->trace_limit
				? " and the files before it"
				: "");
}

static void summarize(const struct trace *trace)
{
	uint64_t skipped = tracer_skipped(trace->tracer), deep = tracer_too_deep(trace->tracer);

	if (trace->options->quiet)
		return;
	fprintf(stderr, "%spfuse-bpf: traced for %.1f s: %" PRIu64 " events",
		trace->progress_shown ? "\r" : "",
		(double)(trace->ended_ns - trace->started_ns) / 1e9, trace->total);
	add_counts(trace);
	fprintf(stderr, ", lost %" PRIu64, trace->lost_total);
	if (trace->lost_total)
		fputs(" (the ring was full: trace less, or give it a larger one by --ring)",
		      stderr);
	if (skipped)
		fprintf(stderr, ", left out by the kernel %" PRIu64, skipped);
	if (deep)
		fprintf(stderr, ", too deep below their group %" PRIu64, deep);
	add_output(trace);
	fputc('\n', stderr);
}

/* When it stands here, nothing that happens from now on is missed. */
static void tell_start(const struct trace *trace)
{
	uint32_t count = trace->groups.slots - 1;

	if (trace->options->quiet)
		return;
	if (count)
		fprintf(stderr, "pfuse-bpf: tracing %u group%s%s\n", count, count == 1 ? "" : "s",
			trace->options->all ? " and everything else" : "");
	else
		fputs("pfuse-bpf: tracing everything\n", stderr);
}

static void tell_missing(const struct trace *trace)
{
	uint32_t missing = tracer_missing(trace->tracer);

	for (uint32_t kind = 1; kind < PFUSE_TR_KINDS; kind++)
		if (missing & PFUSE_TR_BIT(kind))
			fprintf(stderr,
				"pfuse-bpf trace: this kernel does not tell %s events, going on\n",
				trace_word_kind(kind));
}

static int open_trace(struct trace *trace, struct err *err)
{
	int code = trace_groups_open(trace->options->groups, trace->options->ngroups,
				     &trace->groups, err);

	if (!code)
		code = open_tracer(trace, err);
	if (code)
		return code;
	trace->lost = calloc(tracer_cpus(trace->tracer), sizeof(*trace->lost));
	if (!trace->lost || trace_times_open(tracer_cpus(trace->tracer), &trace->times) ||
	    trace_order_open(on_ordered, trace, &trace->order))
		return err_set(err, -ENOMEM, "out of memory");
	if (trace->options->ngroups && !trace->options->all)
		trace_times_only_groups(trace->times);
	/* Last: a file that exists is replaced, and only by a trace. */
	code = open_sink(trace, err);
	return code ? code : tracer_start(trace->tracer, err);
}

static int close_trace(struct trace *trace)
{
	int err = trace_sink_close(trace->sink), closed = trace_out_close(&trace->out);

	if (!err)
		err = closed;
	trace_order_close(trace->order);
	trace_times_close(trace->times);
	tracer_close(trace->tracer);
	trace_groups_close(&trace->groups);
	free(trace->lost);
	return err;
}

static int turn_records(uint64_t limit)
{
	if (!limit || limit / RECORD_BYTES > TURN_RECORDS)
		return TURN_RECORDS;
	return limit / RECORD_BYTES < TURN_RECORDS_LEAST ? TURN_RECORDS_LEAST
							 : (int)(limit / RECORD_BYTES);
}

static enum exit_status run_trace(struct trace *trace)
{
	struct err err;

	trace->started_ns = clock_now_ns();
	trace->turn_records = turn_records(trace->options->trace_limit);
	/* Whoever reads from a pipe most likely writes to the same terminal. */
	trace->progress = !trace->options->quiet && isatty(STDERR_FILENO) &&
			  (trace->options->output ||
			   (!trace->out.is_pipe && !isatty(STDOUT_FILENO)));
	if (trace->out.fd < 0)
		name_threads(trace);
	tell_missing(trace);
	tell_start(trace);
	int code = record(trace), rest = finish(trace);

	if (!code)
		code = rest;
	if (code == -EPIPE)
		return EXIT_DONE;
	summarize(trace);
	if (!code)
		return EXIT_DONE;
	err_set(&err, code, "the output ends early: %s", strerror(-code));
	complain(trace, 0, err.text);
	return EXIT_FAILED;
}

enum exit_status cmd_trace(const struct options *options)
{
	struct trace trace = { .options = options, .out = { .fd = -1 } };
	struct err err = { "" };

	if (geteuid() != 0)
		return complain(&trace, -EPERM, "needs root: it loads BPF programs");
	claim_files();
	catch_signals();
	int code = open_trace(&trace, &err);
	enum exit_status status = code ? complain(&trace, code, err.text) : run_trace(&trace);

	close_trace(&trace);
	return status;
}
