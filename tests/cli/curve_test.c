/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A curve in each format: what is there, what is escaped, what an odd curve does to it. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/cleanup.h"
#include "export/curve.h"

#define MIB (1024.0 * 1024)

typedef int writer(const struct curve_report *report, FILE *out);

static struct cvhrc_curve bent(void)
{
	struct cvhrc_curve curve = {
		.extent_bytes = 256 << 20,
		.resident_bytes = 200 << 20,
		.resolution_bytes = 16 << 20,
		.knee_bytes = 64 << 20,
		.knee_curvature_bytes = 65 << 20,
		.need_bytes = { 60 << 20, 70 << 20, 200 << 20 },
		.sampled_share = 0.125,
		.error = 0.0125,
		.confident = true,
		.npoints = 3,
		.points = { { 0, 0 }, { 64 << 20, 0.9 }, { 256 << 20, 1 } },
	};
	return curve;
}

static struct curve_report report_of(const struct cvhrc_curve *curve)
{
	return (struct curve_report){ .group = "a<b>&\"c\"\x1b[2J",
				      .source = "page tables",
				      .curve = curve,
				      .seconds = 60,
				      .cost = 0.005,
				      .processes = 2 };
}

static char *written(writer *write, const struct cvhrc_curve *curve)
{
	const struct curve_report report = report_of(curve);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	cr_assert_eq(write(&report, out), 0);
	fclose(out);
	return text;
}

static int in_ascii(const struct curve_report *report, FILE *out)
{
	return curve_text(report, 60, false, out);
}

static int in_utf8(const struct curve_report *report, FILE *out)
{
	return curve_text(report, 60, true, out);
}

Test(curve, sizes_have_three_or_four_digits)
{
	static const struct {
		double bytes;
		const char *text;
	} table[] = {
		{ 0, "0 B" },
		{ 1023, "1023 B" },
		{ 1024, "1.0 KiB" },
		{ 99.9 * 1024, "99.9 KiB" },
		{ 100.0 * 1024, "100 KiB" },
		{ 1023.99 * 1024, "1.0 MiB" },
		{ 64 * MIB, "64.0 MiB" },
		{ 1.5 * 1024 * MIB, "1.5 GiB" },
		{ 1e30, NULL },
	};
	char text[CURVE_SIZE_TEXT];

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		curve_size_text(table[i].bytes, text);
		cr_assert(!table[i].text || !strcmp(text, table[i].text), "%s", text);
	}
}

Test(curve, json_has_these_fields_and_no_others)
{
	static const char *const keys[] = {
		"source",     "resolution_bytes",     "sampled_share",	       "error",
		"knee_bytes", "knee_curvature_bytes", "knee_below_resolution", "need_bytes",
		"curve",      "confident",	      "doubt",		       "left_out"
	};
	struct cvhrc_curve curve = bent();
	_cleanup_free_ char *text = written(curve_json, &curve);
	json_t *root = json_loads(text, 0, NULL), *points, *needs;

	cr_assert(root);
	cr_assert_eq(json_object_size(root), ARRAY_SIZE(keys));
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		cr_assert(json_object_get(root, keys[i]), "%s", keys[i]);
	cr_assert_eq(json_integer_value(json_object_get(root, "knee_bytes")), 64 << 20);
	cr_assert(json_is_false(json_object_get(root, "knee_below_resolution")));
	needs = json_object_get(root, "need_bytes");
	cr_assert_eq(json_object_size(needs), 3);
	cr_assert_eq(json_integer_value(json_object_get(needs, "p99")), 200 << 20);
	points = json_object_get(root, "curve");
	cr_assert_eq(json_array_size(points), 3);
	cr_assert_float_eq(json_real_value(json_object_get(json_array_get(points, 1), "hit_ratio")),
			   0.9, 1e-9);
	json_decref(root);
}

static int with_huge_pages(const struct curve_report *report, FILE *out)
{
	struct curve_report with = *report;

	with.left_out.hugetlb_bytes = 4 << 20;
	with.left_out.giant_bytes = 1 << 30;
	with.left_out.reads = 7;
	return curve_json(&with, out);
}

static int with_huge_pages_in_text(const struct curve_report *report, FILE *out)
{
	struct curve_report with = *report;

	with.left_out.giant_bytes = 1 << 30;
	return curve_text(&with, 60, false, out);
}

Test(curve, what_is_left_out_is_told)
{
	struct cvhrc_curve curve = bent();
	_cleanup_free_ char *json = written(with_huge_pages, &curve);
	_cleanup_free_ char *text = written(with_huge_pages_in_text, &curve);
	_cleanup_free_ char *nothing = written(in_ascii, &curve);
	json_t *root = json_loads(json, 0, NULL), *left_out = json_object_get(root, "left_out");

	cr_assert_eq(json_object_size(left_out), 3);
	cr_assert_eq(json_integer_value(json_object_get(left_out, "hugetlb_bytes")), 4 << 20);
	cr_assert_eq(json_integer_value(json_object_get(left_out, "giant_bytes")), 1 << 30);
	cr_assert_eq(json_integer_value(json_object_get(left_out, "reads")), 7);
	cr_assert(strstr(text, "left out      1.0 GiB"), "%s", text);
	cr_assert(!strstr(nothing, "left out"));
	json_decref(root);
}

Test(curve, a_doubt_is_told_with_its_reason)
{
	static const enum cvhrc_doubt doubts[] = { CVHRC_NO_REUSE, CVHRC_FEW_EPOCHS, CVHRC_VAGUE,
						   CVHRC_INEXACT };
	struct cvhrc_curve curve = bent();
	_cleanup_free_ char *sure = written(in_ascii, &curve);

	cr_assert(strstr(sure, "confident         yes"), "%s", sure);
	curve.confident = false;
	for (size_t i = 0; i < ARRAY_SIZE(doubts); i++) {
		curve.doubt = doubts[i];
		_cleanup_free_ char *text = written(in_ascii, &curve);
		_cleanup_free_ char *json = written(curve_json, &curve);
		json_t *root = json_loads(json, 0, NULL);

		cr_assert(strlen(curve_doubt_text(doubts[i])) > 0);
		cr_assert(strstr(text, "confident          no  "), "%s", text);
		cr_assert(strstr(text, curve_doubt_text(doubts[i])));
		cr_assert(json_is_false(json_object_get(root, "confident")));
		cr_assert_str_eq(json_string_value(json_object_get(root, "doubt")),
				 curve_doubt_text(doubts[i]));
		json_decref(root);
	}
}

Test(curve, csv_is_the_curve)
{
	struct cvhrc_curve curve = bent();
	_cleanup_free_ char *text = written(curve_csv, &curve);

	cr_assert_str_eq(text, "size_bytes,hit_ratio\n0,0.000000\n67108864,0.900000\n"
			       "268435456,1.000000\n");
}

Test(curve, a_picture_escapes_the_name)
{
	struct cvhrc_curve curve = bent();
	_cleanup_free_ char *text = written(curve_svg, &curve);

	cr_assert(strstr(text, ">a&lt;b&gt;&amp;\"c\"\\x1b[2J</text>"), "%s", text);
	cr_assert(strstr(text, ">knee 64.0 MiB</text>"));
	curve.knee_below_resolution = true;
	free(TAKE_PTR(text));
	text = written(curve_svg, &curve);
	cr_assert(strstr(text, ">knee \u2264 64.0 MiB</text>"));
}

static void expect_plot(const char *text, size_t columns)
{
	for (const char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		size_t width = 0;

		for (const char *at = line; at < end; at++) {
			cr_assert((unsigned char)*at >= ' ', "%.*s", (int)(end - line), line);
			width += (*at & 0xc0) != 0x80;
		}
		/* The words below the plot may be longer. */
		if (strchr("1 7520", *line) && memchr(line, '%', 8))
			cr_assert_leq(width, columns, "%.*s", (int)(end - line), line);
	}
	cr_assert(strstr(text, " 100 % ") && strstr(text, "   0 % ") && strstr(text, "  50 % "));
	cr_assert(strstr(text, "knee         64.0 MiB"));
}

Test(curve, a_plot_keeps_within_the_terminal)
{
	struct cvhrc_curve curve = bent();
	_cleanup_free_ char *ascii = written(in_ascii, &curve), *utf8 = written(in_utf8, &curve);

	expect_plot(ascii, 60);
	expect_plot(utf8, 60);
	for (const char *at = ascii; *at; at++)
		cr_assert((unsigned char)*at < 0x80);
	cr_assert(strstr(utf8, "\u2502"));
}

/* The least that a curve can be. */
Test(curve, an_empty_curve_breaks_nothing)
{
	struct cvhrc_curve curve = { .npoints = 1 };
	writer *const writers[] = { curve_csv, curve_json, curve_svg, in_ascii, in_utf8 };

	for (size_t i = 0; i < ARRAY_SIZE(writers); i++) {
		_cleanup_free_ char *text = written(writers[i], &curve);

		cr_assert(*text && !strstr(text, "nan") && !strstr(text, "inf"), "%s", text);
	}
}
