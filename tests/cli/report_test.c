/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What a report keeps of long curves, how it counts, and that no name leaves the string it stands in. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>
#include <jansson.h>

#include "base/cleanup.h"
#include "export/report_book.h"
#include "export/report_json.h"
#include "export/report_page.h"

#define S 1000000000ull
#define USAGE REPORT_AT(FCB_RAM, REPORT_USAGE)
#define LIMIT REPORT_AT(FCB_RAM, REPORT_LIMIT)

static struct report_row row(uint64_t time_ns, double usage, double limit)
{
	struct report_row row = { .time_ns = time_ns };

	for (unsigned i = 0; i < REPORT_SERIES; i++)
		row.value[i] = NAN;
	row.value[USAGE] = (float)usage;
	row.value[LIMIT] = (float)limit;
	return row;
}

static void add(struct report_rows *rows, uint64_t time_ns, double usage, double limit)
{
	struct report_row r = row(time_ns, usage, limit);

	cr_assert_eq(report_rows_add(rows, &r), 0);
}

Test(report, few_rows_stay_as_they_are)
{
	struct report_rows rows;

	report_rows_init(&rows, 100, 10);
	for (unsigned i = 0; i < 40; i++) /* four in each of ten columns */
		add(&rows, 100 + i * 10 / 4, i * 3 % 7, NAN);
	cr_assert_eq(report_rows_end(&rows), 0);
	cr_assert_eq(rows.nrows, 40);
	for (unsigned i = 0; i < 40; i++) {
		cr_assert_eq(rows.row[i].time_ns, 100 + i * 10 / 4);
		cr_assert_float_eq(rows.row[i].value[USAGE], i * 3 % 7, 0);
		cr_assert(isnan(rows.row[i].value[LIMIT]));
	}
	report_rows_free(&rows);
}

Test(report, a_full_column_keeps_first_extremes_and_last_in_their_order)
{
	static const double usage[] = { 5, 9, 4, 1, 6, 7 }, limit[] = { NAN, 2, 8, 3, NAN, NAN };
	struct report_rows rows;

	report_rows_init(&rows, 0, 100);
	for (unsigned i = 0; i < ARRAY_SIZE(usage); i++)
		add(&rows, 10 * i, usage[i], limit[i]);
	add(&rows, 100, 11, 12); /* the next column */
	cr_assert_eq(report_rows_end(&rows), 0);
	cr_assert_eq(rows.nrows, 5);
	cr_assert_eq(rows.read, 7);
	cr_assert_float_eq(rows.row[0].value[USAGE], 5, 0);
	cr_assert_float_eq(rows.row[1].value[USAGE], 9, 0, "the highest came before the lowest");
	cr_assert_float_eq(rows.row[2].value[USAGE], 1, 0);
	cr_assert_float_eq(rows.row[3].value[USAGE], 7, 0);
	cr_assert_float_eq(rows.row[1].value[LIMIT], 2, 0, "the lowest came before the highest");
	cr_assert_float_eq(rows.row[2].value[LIMIT], 8, 0);
	cr_assert(isnan(rows.row[0].value[LIMIT]) && isnan(rows.row[3].value[LIMIT]));
	for (unsigned i = 1; i < rows.nrows; i++)
		cr_assert_gt(rows.row[i].time_ns, rows.row[i - 1].time_ns);
	report_rows_free(&rows);
}

Test(report, a_second_row_of_the_same_time_takes_the_place_of_the_first)
{
	struct report_rows rows;

	report_rows_init(&rows, 0, 100);
	add(&rows, 5, 1, 10);
	add(&rows, 5, NAN, 20);
	add(&rows, 6, 3, 20);
	add(&rows, 6, 4, NAN);
	cr_assert_eq(report_rows_end(&rows), 0);
	cr_assert_eq(rows.nrows, 2);
	cr_assert_eq(rows.read, 2);
	cr_assert_float_eq(rows.row[0].value[USAGE], 1, 0, "known to the first alone");
	cr_assert_float_eq(rows.row[0].value[LIMIT], 20, 0);
	cr_assert_float_eq(rows.row[1].value[USAGE], 4, 0);
	cr_assert(isnan(rows.row[1].value[LIMIT]), "no limit any more");
	report_rows_free(&rows);
}

/* Thinned out or not, in no column is an extreme lost, none is made up, and time goes forward. */
Test(report, no_peak_is_lost)
{
	enum { COLUMNS = 50, PER = 200 };
	double low[COLUMNS], high[COLUMNS];
	struct report_rows rows;
	unsigned seed = 1, seen = 0;

	report_rows_init(&rows, 0, PER);
	for (unsigned i = 0; i < COLUMNS * PER; i++) {
		unsigned c = i / PER;
		double value = (double)(seed = seed * 1103515245 + 12345) / 65536;

		value = (double)(float)value;
		low[c] = i % PER && low[c] < value ? low[c] : value;
		high[c] = i % PER && high[c] > value ? high[c] : value;
		add(&rows, i, value, 1);
	}
	cr_assert_eq(report_rows_end(&rows), 0);
	cr_assert_eq(rows.nrows, COLUMNS * REPORT_FULL);
	for (unsigned i = 0; i < rows.nrows; i++) {
		unsigned c = (unsigned)(rows.row[i].time_ns / PER);
		double value = (double)rows.row[i].value[USAGE];

		cr_assert(value >= low[c] && value <= high[c]);
		seen += (value == low[c]) + (value == high[c]);
		cr_assert(!i || rows.row[i].time_ns > rows.row[i - 1].time_ns);
	}
	cr_assert_geq(seen, 2 * COLUMNS, "both extremes of each column");
	report_rows_free(&rows);
}

static struct report_decision decision(enum pfuse_control control, uint64_t time_ns, uint64_t from,
				       uint64_t to, enum orchestrator_outcome outcome)
{
	return (struct report_decision){
		.verdict = { .control = control, .time_ns = time_ns, .from = from, .to = to },
		.outcome = outcome,
	};
}

static void decide(struct report_book *book, struct report_decision d)
{
	cr_assert_eq(report_book_decision(book, 0, &d, d.verdict.time_ns), 0);
}

static void begin(struct report_book *book, const char *name, size_t decisions_max)
{
	report_book_init(book, 0, 100 * S, 100, decisions_max);
	cr_assert_eq(report_book_group(book, name, name, 7, 0), 0);
}

Test(report, decisions_are_counted_by_kind_and_stops_are_spans)
{
	const struct report_totals *t;
	struct report_book book;

	begin(&book, "web", 100);
	decide(&book, decision(PFUSE_CTL_RAM, 1 * S, 5, 9, ORCHESTRATOR_APPLIED));
	decide(&book, decision(PFUSE_CTL_RAM, 2 * S, 9, 5, ORCHESTRATOR_DRY));
	decide(&book, decision(PFUSE_CTL_RAM, 3 * S, 5, 9, ORCHESTRATOR_FAILED));
	decide(&book, decision(PFUSE_CTL_CPU, 3 * S, 5, 9, ORCHESTRATOR_APPLIED));
	decide(&book, decision(PFUSE_CTL_STOP, 4 * S, 0, 1, ORCHESTRATOR_REFUSED));
	decide(&book, decision(PFUSE_CTL_STOP, 5 * S, 0, 1, ORCHESTRATOR_APPLIED));
	decide(&book, decision(PFUSE_CTL_STOP, 8 * S, 1, 0, ORCHESTRATOR_APPLIED));
	decide(&book, decision(PFUSE_CTL_STOP, 90 * S, 0, 1, ORCHESTRATOR_APPLIED));
	cr_assert_eq(report_book_end(&book), 0);
	t = &book.groups[0].totals;
	cr_assert(t->grown == 1 && t->shrunk == 1 && t->moves == 1 && t->not_done == 2);
	cr_assert(t->stops == 2 && t->wakes == 1);
	cr_assert_eq(book.groups[0].nstops, 2);
	cr_assert(book.groups[0].stops[0].from_ns == 5 * S &&
		  book.groups[0].stops[0].to_ns == 8 * S);
	cr_assert_eq(book.groups[0].stops[1].to_ns, 100 * S, "until the end of the trace");
	report_book_free(&book);
}

Test(report, of_too_many_decisions_the_first_and_the_last_are_kept_in_order)
{
	for (unsigned n = 0; n < 40; n++) {
		struct report_book book;
		const struct report_group *g;

		begin(&book, "web", 10);
		for (unsigned i = 0; i < n; i++)
			decide(&book, decision(PFUSE_CTL_CPU, i, 0, 1, ORCHESTRATOR_APPLIED));
		cr_assert_eq(report_book_end(&book), 0);
		g = &book.groups[0];
		cr_assert_eq(g->ndecisions, n < 10 ? n : 10);
		cr_assert_eq(g->decisions_seen, n);
		for (unsigned i = 0; i < g->ndecisions; i++)
			cr_assert_eq(g->decisions[i].verdict.time_ns,
				     n > 10 && i >= 5 ? n - 10 + i : i, "%u of %u", i, n);
		cr_assert_eq(g->totals.moves, n, "all are counted");
		report_book_free(&book);
	}
}

static char *text_of(const struct report_book *book, bool page)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	cr_assert_not_null(out);
	if (page)
		cr_assert_eq(report_page_write(book, out), 0);
	else
		report_json(book, out);
	fclose(out);
	return text;
}

static json_t *json_of(const struct report_book *book)
{
	_cleanup_free_ char *text = text_of(book, false);
	json_error_t error;
	json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	cr_assert_not_null(root, "%s: %s", error.text, text);
	return root;
}

static const struct {
	const char *name;
	const char *read; /* by a reader of JSON */
} hostile[] = {
	{ "</script><script>alert(1)</script>", "</script><script>alert(1)</script>" },
	{ "<!--<script>", "<!--<script>" },
	{ "a&b\"c'd", "a&b\"c'd" },
	{ "line\nfeed\r\t", "line\\x0afeed\\x0d\\x09" },
	{ "\x1b[31m\x7f", "\\x1b[31m\\x7f" },
	{ "\xe2\x80\xa8\xe2\x80\xa9", "\\xe2\\x80\\xa8\\xe2\\x80\\xa9" },
	{ "\xe2\x80\xaereversed", "\\xe2\\x80\\xaereversed" },
	{ "\xff\xc0\x80", "\\xff\\xc0\\x80" },
	{ "back\\slash\\u003c", "back\\x5cslash\\x5cu003c" },
	{ "\xc3\xbc \xe2\x82\xac \xf0\x9f\x90\x9f", "\xc3\xbc \xe2\x82\xac \xf0\x9f\x90\x9f" },
	{ "\xe2\x80", "\\xe2\\x80" },
	{ "", "" },
};

Test(report, no_name_leaves_its_string)
{
	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
		_cleanup_free_ char *text = NULL;
		struct report_book book;
		json_t *root, *name;

		begin(&book, hostile[i].name, 2);
		book.source = strdup(hostile[i].name);
		report_book_note(&book, "%s", hostile[i].name);
		cr_assert_eq(report_book_end(&book), 0);
		text = text_of(&book, false);
		cr_assert_null(strpbrk(text, "<>&'\x7f\x1b\r\t"), "%s", text);
		cr_assert(!strstr(text, "\xe2\x80\xa8") && !strstr(text, "\xe2\x80\xa9"));
		root = json_of(&book);
		name = json_object_get(json_array_get(json_object_get(root, "groups"), 0), "name");
		cr_assert_str_eq(json_string_value(name), hostile[i].read);
		json_decref(root);
		report_book_free(&book);
	}
}

/* parse_escape() takes line ends away before; the writer of strings does not lean on that. */
Test(report, tags_cannot_end_in_the_page)
{
	_cleanup_free_ char *text = NULL, *empty = NULL;
	struct report_book book;
	size_t tags[2] = { 0 };

	begin(&book, "web", 2);
	cr_assert_eq(report_book_end(&book), 0);
	empty = text_of(&book, true);
	report_book_free(&book);
	begin(&book, "</script><script>alert(1)</script><style></style>", 2);
	cr_assert_eq(report_book_end(&book), 0);
	text = text_of(&book, true);
	for (const char *at = empty; (at = strchr(at, '<')); at++)
		tags[0]++;
	for (const char *at = text; (at = strchr(at, '<')); at++)
		tags[1]++;
	cr_assert_eq(tags[0], tags[1]);
	cr_assert_not_null(strstr(text, "Content-Security-Policy\" content=\"default-src 'none'"));
	report_book_free(&book);
}

static json_t *series(json_t *root, const char *name)
{
	json_t *group = json_array_get(json_object_get(root, "groups"), 0);

	return json_object_get(json_object_get(group, "series"), name);
}

Test(report, series_are_as_long_as_they_must_be)
{
	struct report_book book;
	json_t *root, *list;

	begin(&book, "web", 2);
	for (unsigned i = 0; i < 3; i++) {
		struct report_row r =
			row(i * 30 * S + S / 3, (100 + i) * 1024, i == 1 ? NAN : 4096);

		r.value[REPORT_AT(FCB_CPU, REPORT_USAGE)] = 5;
		r.value[REPORT_AT(FCB_CPU, REPORT_SCORE)] = i ? INFINITY : -INFINITY;
		cr_assert_eq(report_book_row(&book, 0, &r), 0);
	}
	cr_assert_eq(report_book_end(&book), 0);
	root = json_of(&book);
	cr_assert_eq(json_array_size(series(root, "ram_usage")), 3);
	cr_assert_eq(json_array_size(series(root, "cpu_usage")), 1, "it never changes");
	cr_assert_null(series(root, "net_usage"), "it was never known");
	list = series(root, "ram_limit");
	cr_assert(json_is_null(json_array_get(list, 1)), "no limit at that time");
	cr_assert_eq(json_number_value(json_array_get(list, 2)), 4);
	cr_assert(json_is_null(json_array_get(series(root, "cpu_score"), 0)), "no number of JSON");
	list = json_object_get(json_array_get(json_object_get(root, "groups"), 0), "t");
	cr_assert_float_eq(json_number_value(json_array_get(list, 1)), 30.3333, 1e-9);
	json_decref(root);
	report_book_free(&book);
}

/* A new control, reason or outcome needs a word, or the page would show a question mark. */
Test(report, everything_has_a_word)
{
	static const char *const lists[] = { "controls", "reasons", "outcomes" };
	struct report_book book;
	json_t *root, *word;
	size_t i;

	begin(&book, "web", 2);
	cr_assert_eq(report_book_end(&book), 0);
	root = json_of(&book);
	for (size_t list = 0; list < ARRAY_SIZE(lists); list++)
		json_array_foreach(json_object_get(json_object_get(root, "words"), lists[list]), i,
				   word)
			cr_assert_str_neq(json_string_value(word), "?", "%s %zu", lists[list], i);
	json_decref(root);
	report_book_free(&book);
}

Test(report, extremes_are_numbers_or_null)
{
	struct report_book book;
	json_t *root, *list;

	begin(&book, "web", 2);
	decide(&book,
	       decision(PFUSE_CTL_RAM, UINT64_MAX, PFUSE_UNLIMITED, 0, ORCHESTRATOR_APPLIED));
	book.groups[0].decisions[0].verdict.score = NAN;
	cr_assert_eq(report_book_end(&book), 0);
	root = json_of(&book);
	list = json_array_get(
		json_object_get(json_array_get(json_object_get(root, "groups"), 0), "decisions"),
		0);
	cr_assert(json_is_null(json_array_get(list, 2)), "unlimited");
	cr_assert_eq(json_integer_value(json_array_get(list, 3)), 0);
	cr_assert(json_is_null(json_array_get(list, 6)), "no score");
	json_decref(root);
	report_book_free(&book);
}
