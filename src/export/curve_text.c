/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The plot in a terminal: one dot per half a column and quarter of a line where it can show Braille. */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "export/curve.h"

#define ROWS 13 /* lines of 100, 75, 50, 25 and 0 % */
#define COLUMNS_MIN 24 /* of the plot */
#define COLUMNS_MAX 96
#define MARGIN 8 /* " 100 % |" */

struct plot {
	unsigned int columns;
	bool utf8;
	unsigned char dots[ROWS][COLUMNS_MAX]; /* Braille: bits of U+2800 .. U+28FF */
};

/* Bits of a Braille character by line and column of its dots. */
static const unsigned char braille[4][2] = {
	{ 0x01, 0x08 }, { 0x02, 0x10 }, { 0x04, 0x20 }, { 0x40, 0x80 }
};

static void set_dot(struct plot *plot, unsigned int x, unsigned int y)
{
	plot->dots[y / 4][x / 2] |= braille[y % 4][x % 2];
}

/* From one column of dots to the next the line is drawn without a gap. */
static void draw(struct plot *plot, const struct cvhrc_curve *curve)
{
	const unsigned int width = plot->columns * 2, height = ROWS * 4;
	unsigned int last = height - 1;

	for (unsigned int x = 0; x < width; x++) {
		double size = (double)curve->extent_bytes * x / (width - 1);
		double ratio = cvhrc_hit_ratio(curve, (uint64_t)size);
		unsigned int y = (unsigned int)((1 - ratio) * (height - 1) + 0.5);
		unsigned int from = x ? last : y, to = y;

		if (from > to) {
			unsigned int swap = from;

			from = to;
			to = swap;
		}
		for (unsigned int at = from; at <= to; at++)
			set_dot(plot, x, at);
		last = y;
	}
}

static unsigned int column_of(const struct plot *plot, const struct cvhrc_curve *curve,
			      uint64_t bytes)
{
	double at = curve->extent_bytes ? (double)bytes / (double)curve->extent_bytes : 0;

	return (unsigned int)((at < 1 ? at : 1) * (plot->columns - 1) + 0.5);
}

static void put_cell(const struct plot *plot, unsigned char dots, bool marked, FILE *out)
{
	if (!dots)
		fputs(marked ? (plot->utf8 ? "\u250a" : ":") : " ", out);
	else if (plot->utf8)
		fprintf(out, "%c%c%c", 0xe2, 0xa0 | dots >> 6, 0x80 | (dots & 0x3f));
	else
		fputc('*', out);
}

static void put_rows(const struct plot *plot, const struct cvhrc_curve *curve, FILE *out)
{
	unsigned int knee = column_of(plot, curve, curve->knee_bytes);

	for (unsigned int row = 0; row < ROWS; row++) {
		if (row % 3 == 0)
			fprintf(out, "%4.0f %% ", 100.0 - 100.0 * row / (ROWS - 1));
		else
			fputs("       ", out);
		fputs(plot->utf8 ? "\u2502" : "|", out);
		for (unsigned int x = 0; x < plot->columns; x++)
			put_cell(plot, plot->dots[row][x], x == knee, out);
		fputc('\n', out);
	}
}

static void put_axis(const struct plot *plot, const struct cvhrc_curve *curve, FILE *out)
{
	char half[CURVE_SIZE_TEXT], whole[CURVE_SIZE_TEXT];
	unsigned int knee = column_of(plot, curve, curve->knee_bytes);
	int middle = (int)plot->columns / 2;

	fprintf(out, "       %s", plot->utf8 ? "\u2514" : "+");
	for (unsigned int x = 0; x < plot->columns; x++)
		fputs(x == knee ? (plot->utf8 ? "\u2534" : "^") : plot->utf8 ? "\u2500" : "-", out);
	curve_size_text((double)curve->extent_bytes / 2, half);
	curve_size_text((double)curve->extent_bytes, whole);
	fprintf(out, "\n%*s0%*s%*s\n", MARGIN, "", middle + (int)strlen(half) / 2 - 1, half,
		(int)plot->columns - middle - (int)strlen(half) / 2, whole);
}

static void put_line(FILE *out, const char *what, uint64_t bytes, const char *note)
{
	char text[CURVE_SIZE_TEXT];

	fprintf(out, "%-10s %10s  %s\n", what, curve_size_text((double)bytes, text), note);
}

static void put_figures(const struct curve_report *report, FILE *out)
{
	const struct cvhrc_curve *curve = report->curve;
	char text[CURVE_SIZE_TEXT], note[128];

	put_line(out, "knee", curve->knee_bytes,
		 curve->knee_below_resolution
			 ? "or less: so much is touched in one epoch, and no less "
			   "can be told apart"
		 : curve->confident ? "the memory need: more brings little"
				    : "not sure, see below");
	put_line(out, "", curve->knee_curvature_bytes, "by curvature");
	put_line(out, "need", curve->need_bytes[CVHRC_P90], "for 90 % of the hits that can be had");
	put_line(out, "", curve->need_bytes[CVHRC_P95], "for 95 %");
	put_line(out, "", curve->need_bytes[CVHRC_P99], "for 99 %");
	snprintf(note, sizeof(note), "resident, of %s in all",
		 curve_size_text((double)curve->extent_bytes, text));
	put_line(out, "has", curve->resident_bytes, note);
	put_line(out, "resolution", curve->resolution_bytes, "touched per epoch");
	if (curve->unclearable_bytes)
		put_line(out, "unseen", curve->unclearable_bytes,
			 "shared or locked, taken for always in use");
	if (report->left_out.hugetlb_bytes + report->left_out.giant_bytes)
		put_line(out, "left out",
			 report->left_out.hugetlb_bytes + report->left_out.giant_bytes,
			 "in hugetlbfs, or pages of 1 GiB: not in the curve");
	fprintf(out, "confident  %10s  %s\n", curve->confident ? "yes" : "no",
		curve_doubt_text(curve->doubt));
	fprintf(out,
		"error      %9.2f %%  of the hit ratio, expected; sampled %.3g %% of the pages\n",
		curve->error * 100, curve->sampled_share * 100);
}

int curve_text(const struct curve_report *report, unsigned int columns, bool utf8, FILE *out)
{
	struct plot plot = { .utf8 = utf8 };
	char quoted[ERR_QUOTED];

	plot.columns = columns > MARGIN + COLUMNS_MIN ? columns - MARGIN : COLUMNS_MIN;
	if (plot.columns > COLUMNS_MAX)
		plot.columns = COLUMNS_MAX;
	fprintf(out, "%s: share of page references that hit, by memory\n",
		err_quote(report->group, quoted));
	draw(&plot, report->curve);
	put_rows(&plot, report->curve, out);
	put_axis(&plot, report->curve, out);
	put_figures(report, out);
	fprintf(out, "measured   %8.1f s   %u process%s, %.2f %% of one CPU, by %s\n",
		report->seconds, report->processes, report->processes == 1 ? "" : "es",
		report->cost * 100, report->source);
	return ferror(out) ? -EIO : 0;
}
