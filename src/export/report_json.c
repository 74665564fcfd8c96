/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "export/report_json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "core/parse.h"
#include "export/transcript.h"

#define MIB 1048576.0

/* U+2028 and U+2029 end a line for JavaScript; in UTF-8 they are E2 80 A8 and A9. */
static bool is_line_end(const unsigned char *at)
{
	return at[0] == 0xe2 && at[1] == 0x80 && (at[2] == 0xa8 || at[2] == 0xa9);
}

static void put_text(const char *text, FILE *out)
{
	fputc('"', out);
	for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
		if (is_line_end(at)) {
			fprintf(out, "\\u20%02x", at[2] - 0xa8 + 0x28);
			at += 2;
		} else if (*at < 0x20 || *at == 0x7f || strchr("<>&'\"\\", *at)) {
			fprintf(out, "\\u%04x", *at);
		} else {
			fputc(*at, out);
		}
	}
	fputc('"', out);
}

void report_json_string(const char *text, FILE *out)
{
	size_t length = text ? strlen(text) : 0, room = 4 * length + 4; /* \xNN, at the worst */
	_cleanup_free_ char *escaped = text ? malloc(room) : NULL;

	if (!escaped) {
		fputs("null", out);
		return;
	}
	parse_escape(escaped, room, text, length);
	put_text(escaped, out);
}

static void put_field(const char *before, const char *text, FILE *out)
{
	fputs(before, out);
	report_json_string(text, out);
}

static void put_real(double value, FILE *out)
{
	if (isfinite(value))
		fprintf(out, "%.7g", value);
	else
		fputs("null", out);
}

/* Five digits are more than a chart has pixels; an exponent would be longer than its zeros. */
static void put_figure(double value, FILE *out)
{
	if (isfinite(value))
		fprintf(out, value > -1e5 && value < 1e5 ? "%.5g" : "%.0f", value);
	else
		fputs("null", out);
}

/* Integers above 2^53 are none for JavaScript, and some readers refuse those above 2^63. */
static void put_size(uint64_t value, FILE *out)
{
	if (value == PFUSE_UNLIMITED)
		fputs("null", out);
	else if (value > 1ull << 53)
		fprintf(out, "%.17g", (double)value);
	else
		fprintf(out, "%" PRIu64, value);
}

/* To a tenth of a millisecond, for as long as nine digits last. */
static void put_time(const struct report_book *book, uint64_t time_ns, FILE *out)
{
	uint64_t since = time_ns > book->begin_ns ? time_ns - book->begin_ns : 0;

	fprintf(out, "%.9g", (double)(since / 100000) / 1e4);
}

static void put_words(const char *name, const char *(*word)(uint32_t), uint32_t n, FILE *out)
{
	fprintf(out, "\"%s\":[", name);
	for (uint32_t i = 0; i < n; i++)
		put_field(i ? "," : "", word(i), out);
	fputc(']', out);
}

static void put_run(const struct report_book *book, FILE *out)
{
	uint64_t length = book->end_ns - book->begin_ns;

	put_field("\"source\":{\"name\":", book->source, out);
	fprintf(out, ",\"bytes\":%" PRIu64 ",\"records\":%" PRIu64 "},\n", book->source_bytes,
		book->source_records);
	put_field("\"run\":{\"version\":", book->version, out);
	put_field(",\"kernel\":", book->kernel, out);
	put_field(",\"policy\":", book->policy, out);
	fprintf(out, ",\"cpus\":%" PRIu32 ",\"ram_bytes\":", book->cpus);
	put_size(book->ram_bytes, out);
	fprintf(out, ",\"interval_s\":%.9g,\"seconds\":%.9g,\"dry_run\":%s,\"start_ms\":",
		(double)book->interval_ns / 1e9, (double)length / 1e9,
		book->dry_run ? "true" : "false");
	if (book->wall_offset_ns)
		fprintf(out, "%.0f},\n",
			((double)book->begin_ns + (double)book->wall_offset_ns) / 1e6);
	else
		fputs("null},\n", out);
}

static void put_reduction(const struct report_book *book, FILE *out)
{
	uint64_t read = 0, kept = 0;

	for (size_t i = 0; i < book->ngroups; i++) {
		read += book->groups[i].rows.read;
		kept += book->groups[i].rows.nrows;
	}
	fprintf(out,
		"\"reduction\":{\"read\":%" PRIu64 ",\"kept\":%" PRIu64 ",\"columns\":%" PRIu64
		",\"column_seconds\":%.6g},\n",
		read, kept, book->columns,
		(double)(book->end_ns - book->begin_ns) / 1e9 / (double)book->columns);
}

static void put_head(const struct report_book *book, FILE *out)
{
	const char *before = "";

	put_run(book, out);
	put_reduction(book, out);
	fputs("\"words\":{", out);
	put_words("controls", transcript_control, PFUSE_CONTROLS, out);
	fputc(',', out);
	put_words("reasons", transcript_reason, PFUSE_REASONS, out);
	fputc(',', out);
	put_words("outcomes", transcript_outcome, ORCHESTRATOR_DRY + 1, out);
	fputs("},\n\"drops\":[", out);
	for (size_t i = 0; i < REPORT_DROPS; i++) {
		if (!book->drops[i].what)
			continue;
		fprintf(out, "%s{\"count\":", before);
		put_size(book->drops[i].count, out);
		put_field(",\"what\":", book->drops[i].what, out);
		fputc('}', out);
		before = ",";
	}
	fputs("],\n\"notes\":[", out);
	for (size_t i = 0; i < REPORT_NOTES && book->notes[i]; i++)
		put_field(i ? "," : "", book->notes[i], out);
	fputs("],\n", out);
}

static void put_totals(const struct report_group *g, FILE *out)
{
	const struct report_totals *t = &g->totals;

	fprintf(out, ",\"summary\":{\"seconds\":%.9g,\"stopped_seconds\":%.9g",
		(double)(g->to_ns - g->from_ns) / 1e9, (double)t->stopped_ns / 1e9);
	fputs(",\"usage_mib_s\":", out);
	put_real(t->usage_byte_s / MIB, out);
	fputs(",\"limit_mib_s\":", out);
	put_real(t->limit_byte_s / MIB, out);
	fputs(",\"peak_mib\":", out);
	put_real(t->peak_bytes / MIB, out);
	fprintf(out, ",\"grown\":%" PRIu64 ",\"shrunk\":%" PRIu64 ",\"moves\":%" PRIu64, t->grown,
		t->shrunk, t->moves);
	fprintf(out, ",\"stops\":%" PRIu64 ",\"wakes\":%" PRIu64, t->stops, t->wakes);
	fprintf(out, ",\"not_done\":%" PRIu64 ",\"oom_kills\":%" PRIu64 "}", t->not_done,
		t->oom_kills);
}

/* How many values the series needs: 0: never known; 1: always the same; else all. */
static size_t needed(const struct report_rows *rows, unsigned series)
{
	bool known = false, same = true;

	for (size_t i = 0; i < rows->nrows; i++) {
		float value = rows->row[i].value[series], first = rows->row[0].value[series];

		known = known || !isnan(value);
		same = same && (value == first || (isnan(value) && isnan(first)));
	}
	if (!known)
		return 0;
	return same ? 1 : rows->nrows;
}

static void put_series(const struct report_rows *rows, FILE *out)
{
	static const char *const resources[FCB_RESOURCES] = { "ram", "cpu", "io_read", "io_write",
							      "net" };
	static const char *const figures[REPORT_FIGURES] = { "usage", "limit", "score" };
	/* KiB, and ms of CPU time per second. */
	static const double units[FCB_RESOURCES] = { 1024, 1e6, 1024, 1024, 1024 };
	const char *before = "";

	fputs(",\"series\":{", out);
	for (unsigned series = 0; series < REPORT_SERIES; series++) {
		unsigned resource = series / REPORT_FIGURES, figure = series % REPORT_FIGURES;
		double unit = figure == REPORT_SCORE ? 1 : units[resource];
		size_t n = needed(rows, series);

		if (!n)
			continue;
		fprintf(out, "%s\"%s_%s\":[", before, resources[resource], figures[figure]);
		for (size_t i = 0; i < n; i++) {
			if (i)
				fputc(',', out);
			put_figure((double)rows->row[i].value[series] / unit, out);
		}
		fputc(']', out);
		before = ",\n";
	}
	fputc('}', out);
}

static void put_rows(const struct report_book *book, const struct report_group *g, FILE *out)
{
	fputs(",\n\"t\":[", out);
	for (size_t i = 0; i < g->rows.nrows; i++) {
		if (i)
			fputc(',', out);
		put_time(book, g->rows.row[i].time_ns, out);
	}
	fputc(']', out);
	put_series(&g->rows, out);
}

static void put_decision(const struct report_book *book, const struct report_decision *decision,
			 FILE *out)
{
	const struct pfuse_verdict *v = &decision->verdict;
	const uint64_t sizes[] = { v->usage, v->usage_prev, v->limit, v->size };

	fputc('[', out);
	put_time(book, v->time_ns, out);
	fprintf(out, ",%" PRIu32 ",", v->control);
	put_size(v->from, out);
	fputc(',', out);
	put_size(v->to, out);
	fprintf(out, ",%" PRIu32 ",%d,", v->reason, (int)decision->outcome);
	put_real(v->score, out);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		fputc(',', out);
		put_size(sizes[i], out);
	}
	fprintf(out, ",%.6g,%" PRIu32 ",%" PRIu32 ",%" PRIu32 "]", (double)v->since_ns / 1e9,
		v->throttled, v->periods, v->clamped);
}

static void put_decisions(const struct report_book *book, const struct report_group *g, FILE *out)
{
	fprintf(out, ",\n\"decisions_left_out\":%" PRIu64 ",\"decisions\":[",
		g->decisions_seen - g->ndecisions);
	for (size_t i = 0; i < g->ndecisions; i++) {
		if (i)
			fputs(",\n", out);
		put_decision(book, &g->decisions[i], out);
	}
	fputs("],\"stops\":[", out);
	for (size_t i = 0; i < g->nstops; i++) {
		fputs(i ? ",[" : "[", out);
		put_time(book, g->stops[i].from_ns, out);
		fputc(',', out);
		put_time(book, g->stops[i].to_ns, out);
		fputc(']', out);
	}
	fputc(']', out);
}

static void put_curve(const struct report_curve *curve, FILE *out)
{
	static const char *const needs[] = { "p90", "p95", "p99" };

	fputs(",\"curve\":{\"knee_bytes\":", out);
	put_size(curve->knee_bytes, out);
	fprintf(out, ",\"knee_below_resolution\":%s,\"resolution_bytes\":",
		curve->knee_below_resolution ? "true" : "false");
	put_size(curve->resolution_bytes, out);
	fputs(",\"error\":", out);
	put_real(curve->error, out);
	fputs(",\"sampled_share\":", out);
	put_real(curve->sampled_share, out);
	for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
		fprintf(out, "%s\"%s\":", i ? "," : ",\"need_bytes\":{", needs[i]);
		put_size(curve->need_bytes[i], out);
	}
	fputs("},\"points\":[", out);
	for (size_t i = 0; i < curve->npoints; i++) {
		fputs(i ? ",[" : "[", out);
		put_size(curve->points[i].size_bytes, out);
		fputc(',', out);
		put_real(curve->points[i].hit_ratio, out);
		fputc(']', out);
	}
	fputs("]}", out);
}

static void put_group(const struct report_book *book, const struct report_group *g, FILE *out)
{
	put_field("{\"name\":", g->name, out);
	put_field(",\"path\":", g->path, out);
	/* As text: a double holds no 64-bit id. */
	fprintf(out, ",\"id\":\"%" PRIu64 "\"", g->id);
	put_totals(g, out);
	put_rows(book, g, out);
	put_decisions(book, g, out);
	if (g->curve)
		put_curve(g->curve, out);
	fputc('}', out);
}

void report_json(const struct report_book *book, FILE *out)
{
	fprintf(out, "{\"schema\":%d,\n", REPORT_SCHEMA);
	put_head(book, out);
	fputs("\"groups\":[", out);
	for (size_t i = 0; i < book->ngroups; i++) {
		if (i)
			fputs(",\n", out);
		put_group(book, &book->groups[i], out);
	}
	fputs("]}", out);
}
