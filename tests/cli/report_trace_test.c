/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A trace becomes a book, whole, cut or damaged; and a curve that came as a file. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <jansson.h>

#include "../unit/made_run.h"
#include "base/cleanup.h"
#include "export/pftrace_read.h"
#include "export/report_curve.h"
#include "export/report_json.h"
#include "export/report_trace.h"

#define STEPS 400

struct file {
	char path[64];
	uint8_t *bytes;
	size_t size;
};

static void new_file(struct file *file)
{
	*file = (struct file){ .path = "/tmp/pfuse-test-report-XXXXXX" };
	int fd = mkstemp(file->path);

	cr_assert(fd >= 0);
	close(fd);
}

static void write_file(const struct file *file, const void *bytes, size_t size)
{
	_cleanup_close_ int fd = open(file->path, O_WRONLY | O_TRUNC);

	cr_assert_eq(write(fd, bytes, size), (ssize_t)size);
}

static void remove_file(struct file *file)
{
	unlink(file->path);
	free(file->bytes);
}

static void make_trace(struct file *file)
{
	struct pftrace_options options;
	struct made_run run;
	struct pftrace *trace;
	struct err err;
	struct stat st;

	new_file(file);
	options = (struct pftrace_options){ .path = file->path };
	cr_assert_eq(pftrace_open(&options, &trace, &err), 0, "%s", err.text);
	made_run_begin(&run, 7, trace);
	made_run_go_on(&run, STEPS);
	pftrace_close(trace);
	_cleanup_close_ int fd = open(file->path, O_RDONLY);

	cr_assert_eq(fstat(fd, &st), 0);
	file->size = (size_t)st.st_size;
	file->bytes = malloc(file->size);
	cr_assert_eq(read(fd, file->bytes, file->size), (ssize_t)file->size);
}

/* What is in the file, counted by its reader. */
static void count(const struct file *file, uint64_t *ret_samples, uint64_t *ret_applied)
{
	struct pftrace_reader *reader;
	struct pftrace_record record;

	*ret_samples = *ret_applied = 0;
	cr_assert_eq(pftrace_reader_open_memory(file->bytes, file->size, &reader), 0);
	while (pftrace_reader_next(reader, &record) > 0) {
		*ret_samples += record.kind == PFTRACE_SAMPLE;
		*ret_applied += record.kind == PFTRACE_APPLIED;
	}
	pftrace_reader_close(reader);
}

/* The page's reader must be able to read it, whatever was in the file. */
static void expect_json(const struct report_book *book)
{
	_cleanup_free_ char *text = NULL;
	json_error_t error;
	json_t *root;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	report_json(book, out);
	fclose(out);
	root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
	cr_assert_not_null(root, "%s", error.text);
	json_decref(root);
}

static void expect_order(const struct report_book *book)
{
	for (size_t i = 0; i < book->ngroups; i++) {
		const struct report_group *g = &book->groups[i];

		cr_assert_leq(g->from_ns, g->to_ns);
		for (size_t j = 1; j < g->rows.nrows; j++)
			cr_assert_geq(g->rows.row[j].time_ns, g->rows.row[j - 1].time_ns);
		for (size_t j = 0; j < g->nstops; j++)
			cr_assert_leq(g->stops[j].from_ns, g->stops[j].to_ns);
	}
}

Test(report_trace, nothing_is_lost_between_the_file_and_the_book)
{
	uint64_t samples, applied, decisions = 0, counted = 0, rows = 0;
	struct report_book book;
	struct file file;
	struct err err;

	make_trace(&file);
	count(&file, &samples, &applied);
	cr_assert(samples > 100 && applied > 20, "%lu %lu", samples, applied);
	cr_assert_eq(report_trace_read(file.path, &book, &err), 0, "%s", err.text);
	cr_assert_geq(book.ngroups, MADE_SLOTS - 1);
	for (size_t i = 0; i < book.ngroups; i++) {
		const struct report_totals *t = &book.groups[i].totals;

		decisions += book.groups[i].decisions_seen;
		counted += t->grown + t->shrunk + t->moves + t->stops + t->wakes + t->not_done;
		rows += book.groups[i].rows.read;
	}
	cr_assert_eq(decisions, applied);
	cr_assert_eq(counted, applied, "each is of one kind");
	cr_assert_geq(rows, samples);
	cr_assert_null(book.notes[0]);
	cr_assert_neq(book.wall_offset_ns, 0, "the clocks are in the file");
	expect_order(&book);
	expect_json(&book);
	report_book_free(&book);
	remove_file(&file);
}

Test(report_trace, a_file_that_was_cut_is_read_as_far_as_it_goes)
{
	unsigned noted = 0;
	struct file file;

	make_trace(&file);
	for (size_t size = file.size; size > file.size / 20; size -= file.size / 23 + 1) {
		struct report_book book;
		struct err err;

		write_file(&file, file.bytes, size);
		cr_assert_eq(report_trace_read(file.path, &book, &err), 0, "%s", err.text);
		noted += book.notes[0] && strstr(book.notes[0], "ends inside a packet");
		expect_order(&book);
		expect_json(&book);
		report_book_free(&book);
	}
	cr_assert(noted > 10, "%u", noted);
	remove_file(&file);
}

/* Neither a crash nor a page that cannot be read; what is refused is refused with a sentence. */
Test(report_trace, mutated_files)
{
	struct random_state random = { 0xfeed };
	unsigned refused = 0, noted = 0, read = 0;
	struct file file;
	uint8_t *bytes;

	make_trace(&file);
	bytes = malloc(file.size);
	for (unsigned i = 0; i < 150; i++) {
		struct report_book book;
		struct err err = { "" };

		memcpy(bytes, file.bytes, file.size);
		for (uint64_t n = 1 + random_below(&random, 8); n; n--)
			bytes[random_below(&random, file.size)] = (uint8_t)random_u64(&random);
		write_file(&file, bytes, file.size);
		if (report_trace_read(file.path, &book, &err) < 0) {
			cr_assert(err.text[0]);
			refused++;
			continue;
		}
		read++;
		noted += book.notes[0] != NULL;
		expect_order(&book);
		expect_json(&book);
		report_book_free(&book);
	}
	cr_assert(read > 20 && noted > 20, "%u refused, %u read, %u of them with a note", refused,
		  read, noted);
	free(bytes);
	remove_file(&file);
}

/* A file that begins in the middle of a run tells of its own time, not of what was before. */
Test(report_trace, a_later_segment_tells_of_itself)
{
	struct pftrace_options options = { .size_limit = 30000, .again = made_run_again };
	struct report_book book;
	struct made_run run;
	struct pftrace *trace;
	struct file file;
	char older[80];
	struct err err;

	new_file(&file);
	options.path = file.path;
	options.arg = &run;
	cr_assert_eq(pftrace_open(&options, &trace, &err), 0, "%s", err.text);
	made_run_begin(&run, 7, trace);
	made_run_go_on(&run, STEPS);
	pftrace_close(trace);
	snprintf(older, sizeof(older), "%s.1", file.path);
	cr_assert_eq(unlink(older), 0, "there is more than one segment");
	cr_assert_eq(report_trace_read(file.path, &book, &err), 0, "%s", err.text);
	cr_assert(book.notes[0] && strstr(book.notes[0], "in the middle of a run"));
	cr_assert_gt(book.begin_ns, run.began_ns);
	for (size_t i = 0; i < book.ngroups; i++) {
		const struct report_group *g = &book.groups[i];
		double most = (g->totals.peak_bytes + 1) * (double)(g->to_ns - g->from_ns) / 1e9;

		cr_assert_leq(g->totals.stopped_ns, g->to_ns - g->from_ns);
		cr_assert_leq(g->totals.usage_byte_s, most * 1.0001, "group %zu", i);
	}
	expect_order(&book);
	expect_json(&book);
	report_book_free(&book);
	remove_file(&file);
}

/* A packet with a snapshot: varints of ten bytes, so that nothing has to be computed. */
static size_t put_clocks(uint8_t *at, uint64_t real_ns, uint64_t monotonic_ns)
{
	const uint64_t ids[] = { 1, 3 }, times[] = { real_ns, monotonic_ns };
	uint8_t *p = at;

	*p++ = 0x0a; /* packet */
	*p++ = 2 + 2 * 15;
	*p++ = 6 << 3 | 2; /* clock_snapshot */
	*p++ = 2 * 15;
	for (unsigned i = 0; i < 2; i++) {
		*p++ = 1 << 3 | 2; /* clocks */
		*p++ = 13;
		*p++ = 1 << 3;
		*p++ = (uint8_t)ids[i];
		*p++ = 2 << 3;
		for (unsigned byte = 0; byte < 10; byte++)
			*p++ = (uint8_t)((times[i] >> (7 * byte) & 0x7f) | (byte < 9 ? 0x80 : 0));
	}
	return (size_t)(p - at);
}

Test(report_trace, a_clock_that_was_set_is_said)
{
	static const struct {
		int64_t moved_ns;
		bool said;
	} cases[] = {
		{ 0, false }, { 900000000, false }, { 3600000000000, true }, { -5000000000, true }
	};
	struct file file;
	uint8_t *bytes;

	make_trace(&file);
	bytes = malloc(file.size + 100);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct report_book book;
		struct err err;
		size_t size = put_clocks(bytes, 1800000000000000000, 5000000000);

		memcpy(bytes + size, file.bytes, file.size);
		size += file.size;
		size += put_clocks(bytes + size,
				   (uint64_t)(1800000000000000000 + cases[i].moved_ns), 5000000000);
		write_file(&file, bytes, size);
		cr_assert_eq(report_trace_read(file.path, &book, &err), 0, "%s", err.text);
		cr_assert_eq(book.wall_offset_ns, 1799999995000000000);
		cr_assert_eq(book.notes[0] && strstr(book.notes[0], "clock was set"), cases[i].said,
			     "%zu", i);
		report_book_free(&book);
	}
	free(bytes);
	remove_file(&file);
}

static void refuse(const char *bytes, size_t size, int code, const char *what)
{
	struct report_book book;
	struct err err = { "" };
	struct file file;

	new_file(&file);
	write_file(&file, bytes, size);
	cr_assert_eq(report_trace_read(file.path, &book, &err), code, "%s", what);
	cr_assert_not_null(strstr(err.text, what), "%s", err.text);
	remove_file(&file);
}

Test(report_trace, what_is_no_trace_of_a_run_is_refused)
{
	struct report_book book;
	struct err err;

	refuse("", 0, -EINVAL, "empty");
	refuse("a sentence", 10, -EINVAL, "no trace");
	refuse("\n\x02\x40\x01", 4, -ENODATA, "no run is recorded"); /* a packet with a time only */
	cr_assert_eq(report_trace_read("/nowhere/x", &book, &err), -ENOENT);
}

static const struct {
	const char *text;
	bool good;
	const char *why;
} curves[] = {
	{ "{\"curve\":[{\"size_bytes\":0,\"hit_ratio\":0},{\"size_bytes\":4096,\"hit_ratio\":1}],"
	  "\"knee_bytes\":4096,\"need_bytes\":{\"p90\":4000,\"p95\":null},\"error\":0.01}",
	  true, "" },
	{ "{\"curve\":[{\"size_bytes\":1,\"hit_ratio\":0.5},{\"size_bytes\":2,\"hit_ratio\":1.0}]}",
	  true, "what else there is may be missing" },
	{ "", false, "empty" },
	{ "[]", false, "no object" },
	{ "{\"curve\":[]}", false, "no points" },
	{ "{\"curve\":[{\"size_bytes\":1,\"hit_ratio\":0.5}]}", false, "one point is no curve" },
	{ "{\"curve\":[{\"size_bytes\":2,\"hit_ratio\":0},{\"size_bytes\":2,\"hit_ratio\":1}]}",
	  false, "a size twice" },
	{ "{\"curve\":[{\"size_bytes\":-1,\"hit_ratio\":0},{\"size_bytes\":2,\"hit_ratio\":1}]}",
	  false, "a size below 0" },
	{ "{\"curve\":[{\"size_bytes\":1,\"hit_ratio\":0},{\"size_bytes\":2,\"hit_ratio\":1.01}]}",
	  false, "more hits than accesses" },
	{ "{\"curve\":[{\"size_bytes\":1,\"hit_ratio\":\"<\"},{\"size_bytes\":2,\"hit_ratio\":1}]}",
	  false, "no number" },
};

Test(report_trace, curves)
{
	struct file file;

	new_file(&file);
	for (size_t i = 0; i < ARRAY_SIZE(curves); i++) {
		struct report_curve *curve = NULL;
		struct err err = { "" };
		int r;

		write_file(&file, curves[i].text, strlen(curves[i].text));
		r = report_curve_read(file.path, &curve, &err);
		cr_assert_eq(r, curves[i].good ? 0 : -EINVAL, "%s: %s", curves[i].why, err.text);
		cr_assert_eq(curve != NULL, curves[i].good);
		if (i == 0) {
			cr_assert_eq(curve->npoints, 2);
			cr_assert_eq(curve->knee_bytes, 4096);
			cr_assert_eq(curve->need_bytes[0], 4000);
			cr_assert_eq(curve->need_bytes[1], PFUSE_UNLIMITED);
		}
		report_curve_free(curve);
	}
	remove_file(&file);
}
