/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Records to lines: what they say, that names cannot break them, and what becomes of a full disk. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <jansson.h>

#include "base/cleanup.h"
#include "export/trace_lines.h"
#include "export/trace_sink.h"

#define BAD_NAME "we\"b\\\x1b[2J\n"
#define UNKNOWN TRACE_TIME_UNKNOWN

static const char *const groups[] = { NULL, BAD_NAME, "db" };
static const struct trace_names names = { groups, 3 };
static const struct trace_times_of nothing = { UNKNOWN, UNKNOWN };

typedef int open_fn(int fd, const struct trace_names *names, int64_t offset,
		    struct trace_sink **ret);

/* What the sink writes of these records. */
static char *written(open_fn *open_sink, const struct pfuse_trace *records, size_t count,
		     const struct trace_times_of *times)
{
	static char text[65536];
	int fd = memfd_create("trace", MFD_CLOEXEC);
	struct trace_sink *sink;

	setenv("TZ", "UTC", 1);
	cr_assert_eq(open_sink(fd, &names, 0, &sink), 0);
	for (size_t i = 0; i < count; i++)
		trace_sink_item(sink, &records[i], times);
	cr_assert_eq(trace_sink_flush(sink), 0);
	uint64_t bytes = trace_sink_bytes(sink);

	cr_assert_eq(trace_sink_close(sink), 0);
	ssize_t size = pread(fd, text, sizeof(text) - 1, 0);

	cr_assert_eq((uint64_t)size, bytes);
	text[size] = '\0';
	close(fd);
	return text;
}

#define T UINT64_C(3723000004000) /* 01:02:03.000004 */

static const struct pfuse_trace of_switch = {
	.time_ns = T,
	.slot = 2,
	.cpu = 1,
	.kind = PFUSE_TR_SWITCH,
	.pid = 12,
	.tgid = 11,
	.comm = "redis",
	.other = { 0, 0, "swapper/1" },
	.next = { 0, 120, 120, 1, 0 },
};

static const struct row {
	struct pfuse_trace record;
	struct trace_times_of times;
	const char *text;
} rows[] = {
	{ of_switch,
	  { 1500, UNKNOWN },
	  "01:02:03.000004  db                   [001] redis-12                switch  "
	  "S, ran 1.5 us -> swapper/1-0\n" },
	{ { .time_ns = T,
	    .cpu = 1,
	    .kind = PFUSE_TR_SWITCH,
	    .comm = "swapper/1",
	    .other = { 12, 11, "redis" },
	    .next = { 2, 120, 110, 0, 0 } },
	  { UNKNOWN, 2500000 },
	  "01:02:03.000004  db                   [001] swapper/1-0             switch  "
	  "R -> redis-12, waited 2.5 ms\n" },
	{ { .time_ns = T,
	    .slot = 2,
	    .kind = PFUSE_TR_WAKE,
	    .pid = 12,
	    .tgid = 11,
	    .comm = "redis",
	    .other = { 1, 1, "init" },
	    .wake = { 120, 3, 1, 0 } },
	  { UNKNOWN, UNKNOWN },
	  "01:02:03.000004  db                   [000] redis-12                wake    "
	  "by init-1, CPU 3, new\n" },
	{ { .time_ns = T,
	    .slot = 2,
	    .kind = PFUSE_TR_SIGNAL,
	    .pid = 12,
	    .comm = "redis",
	    .signal = { SIGTERM, 1, { 0 } } },
	  { UNKNOWN, UNKNOWN },
	  "01:02:03.000004  db                   [000] redis-12                signal  "
	  "SIGTERM, ignored, from the kernel\n" },
	{ { .time_ns = T,
	    .slot = 2,
	    .kind = PFUSE_TR_TALK,
	    .pid = 12,
	    .comm = "redis",
	    .talk = { PFUSE_CH_TCP, 0, 6379, 1, 0 } },
	  { UNKNOWN, UNKNOWN },
	  "01:02:03.000004  db                   [000] redis-12                talk    "
	  "spoken to over tcp, peer port 6379\n" },
	{ { .time_ns = T,
	    .slot = 2,
	    .kind = PFUSE_TR_TALK,
	    .pid = 99,
	    .comm = "client",
	    .talk = { PFUSE_CH_TCP, 0, 6379, 1, 1 } },
	  { UNKNOWN, UNKNOWN },
	  "01:02:03.000004  db                   [000] client-99               talk    "
	  "speaks to it over tcp, its port 6379\n" },
	{ { .time_ns = T,
	    .slot = 2,
	    .kind = PFUSE_TR_EXIT,
	    .pid = 12,
	    .comm = "redis",
	    .exit = { 9, { 0 } } },
	  { UNKNOWN, UNKNOWN },
	  "01:02:03.000004  db                   [000] redis-12                exit    "
	  "killed by signal 9\n" },
	{ { .time_ns = T, .slot = 1, .kind = PFUSE_TR_EXEC, .pid = 12, .comm = "a\nb" },
	  { UNKNOWN, UNKNOWN },
	  "01:02:03.000004  we\"b\\x5c\\x1b[2J\\x0a  [000] a\\x0ab-12               exec    \n" },
};

Test(trace_text, one_line_per_record)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		cr_expect_str_eq(written(trace_text_open, &rows[i].record, 1, &rows[i].times),
				 rows[i].text);
}

/* The line after the header as an object. */
static json_t *object_of(const struct pfuse_trace *record, const struct trace_times_of *times)
{
	char *text = written(trace_json_open, record, 1, times), *second = strchr(text, '\n');
	json_error_t error;

	cr_assert(second);
	json_t *object = json_loads(second + 1, 0, &error);

	cr_assert(object, "%s: %s", error.text, second + 1);
	return object;
}

static const char *string_at(json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value ? value : "";
}

Test(trace_json, each_line_is_an_object)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		json_t *object = object_of(&rows[i].record, &rows[i].times);

		cr_expect_eq((uint64_t)json_integer_value(json_object_get(object, "time_ns")), T);
		cr_expect_str_eq(string_at(object, "event"), trace_word_kind(rows[i].record.kind));
		json_decref(object);
	}
}

Test(trace_json, a_switch_tells_both_threads_and_their_times)
{
	struct trace_times_of times = { 1500, 7 };
	json_t *object = object_of(&of_switch, &times);

	cr_expect_str_eq(string_at(object, "group"), "db");
	cr_expect_str_eq(string_at(object, "state"), "S");
	cr_expect_str_eq(string_at(json_object_get(object, "next"), "comm"), "swapper/1");
	cr_expect_eq(json_integer_value(json_object_get(object, "ran_ns")), 1500);
	cr_expect_eq(json_integer_value(json_object_get(object, "waited_ns")), 7);
	json_decref(object);
}

Test(trace_json, names_come_escaped_as_elsewhere)
{
	struct pfuse_trace record = { .time_ns = T, .slot = 1, .kind = PFUSE_TR_EXEC, .pid = 1 };

	memset(record.comm, '"', sizeof(record.comm)); /* no NUL at the end */
	json_t *object = object_of(&record, &nothing);

	cr_expect_str_eq(string_at(object, "group"), "we\"b\\x5c\\x1b[2J\\x0a");
	cr_expect_str_eq(string_at(object, "comm"), "\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"");
	json_decref(object);
}

Test(trace_sink, a_full_disk_is_told_and_what_is_written_is_whole_lines)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct trace_sink *sink;

	cr_assert(fd >= 0);
	cr_assert_eq(trace_text_open(fd, &names, 0, &sink), 0);
	for (int i = 0; i < 2000; i++) /* more than the buffer */
		trace_sink_item(sink, &of_switch, &nothing);
	cr_expect_eq(trace_sink_flush(sink), -ENOSPC);
	cr_expect_eq(trace_sink_bytes(sink), 0);
	trace_sink_item(sink, &of_switch, &nothing);
	cr_expect_eq(trace_sink_close(sink), -ENOSPC, "it sticks");
	close(fd);
}

Test(trace_sink, a_closed_pipe_is_told)
{
	struct trace_sink *sink;
	int pipe_fds[2];

	signal(SIGPIPE, SIG_IGN);
	cr_assert_eq(pipe(pipe_fds), 0);
	close(pipe_fds[0]);
	cr_assert_eq(trace_json_open(pipe_fds[1], &names, 0, &sink), 0);
	cr_expect_eq(trace_sink_flush(sink), -EPIPE);
	trace_sink_close(sink);
	close(pipe_fds[1]);
}
