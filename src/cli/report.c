/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "cli/report.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/replace.h"
#include "export/report_curve.h"
#include "export/report_page.h"
#include "export/report_trace.h"

static int cannot_write(const char *path, int r, struct err *err)
{
	char q[ERR_QUOTED];

	if (r == -EINVAL)
		return err_set(
			err, r,
			"%s: the page must go to a regular file, and this is none; -o - writes "
			"to standard output",
			err_quote(path, q));
	return err_set(err, r, "%s: cannot write the page: %s%s", err_quote(path, q), strerror(-r),
		       r == -ENOENT ? "; create its directory first" : "");
}

/* The trace must not be replaced by its own report. */
static int refuse_same(const char *trace, const char *page, struct err *err)
{
	struct stat a, b;
	char q[ERR_QUOTED];

	if (stat(trace, &a) < 0 || stat(page, &b) < 0 || a.st_dev != b.st_dev ||
	    a.st_ino != b.st_ino)
		return 0;
	return err_set(err, -EINVAL, "%s: is the trace itself; give the page another name",
		       err_quote(page, q));
}

static int write_file(const struct report_book *book, const char *path, FILE *out, struct err *err)
{
	struct replace page;
	uint64_t decisions = 0;
	long size;
	char q[ERR_QUOTED];
	int r = replace_begin(&page, path);

	if (r < 0)
		return cannot_write(path, r, err);
	r = report_page_write(book, page.file);
	size = ftell(page.file);
	if (r == 0)
		r = replace_commit(&page);
	replace_cancel(&page);
	if (r < 0)
		return cannot_write(path, r, err);
	for (size_t i = 0; i < book->ngroups; i++)
		decisions += book->groups[i].decisions_seen;
	fprintf(out, "%s: %zu group%s, %" PRIu64 " decision%s, %ld KiB; open it in a browser\n",
		err_quote(path, q), book->ngroups, book->ngroups == 1 ? "" : "s", decisions,
		decisions == 1 ? "" : "s", size / 1024);
	return 0;
}

static int write_stream(const struct report_book *book, FILE *out, struct err *err)
{
	int r = report_page_write(book, out);

	if (r < 0)
		return err_set(err, r, "cannot write the page to standard output: %s",
			       strerror(-r));
	return 0;
}

/* word: GROUP=CURVE */
static int add_curve(struct report_book *book, const char *word, struct err *err)
{
	const char *sign = strrchr(word, '=');
	_cleanup_free_ char *name = strndup(word, (size_t)(sign - word));
	struct report_curve *curve = NULL;
	char q[ERR_QUOTED];
	int r;

	if (!name)
		return err_set(err, -ENOMEM, "no memory");
	r = report_curve_read(sign + 1, &curve, err);
	if (r < 0)
		return r;
	r = report_book_curve(book, name, curve);
	if (r == 0)
		return 0;
	report_curve_free(curve);
	return err_set(err, r, "%s: %s", err_quote(name, q),
		       r == -ENOENT ? "no group of the trace has this name" : "no memory");
}

static int make(const struct options *options, FILE *out, struct err *err)
{
	const char *trace = options->file, *page = options->output;
	_cleanup_(report_book_free) struct report_book book = { 0 };
	int r;

	if (strcmp(trace, "-") == 0)
		return err_set(err, -EINVAL, "-: a trace is read twice; give the name of a file");
	r = refuse_same(trace, page, err);
	if (r == 0)
		r = report_trace_read(trace, &book, err);
	for (size_t i = 0; i < options->ngroups && r == 0; i++)
		r = add_curve(&book, options->groups[i], err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < REPORT_NOTES && book.notes[i]; i++)
		fprintf(stderr, "pfuse-bpf report: note: %s\n", book.notes[i]);
	if (strcmp(page, "-") == 0)
		return write_stream(&book, out, err);
	return write_file(&book, page, out, err);
}

enum exit_status cmd_report(const struct options *options, FILE *out)
{
	struct err err = { "" };

	if (make(options, out, &err) == 0)
		return EXIT_DONE;
	fprintf(stderr, "pfuse-bpf report: %s\n", err.text);
	return EXIT_FAILED;
}
