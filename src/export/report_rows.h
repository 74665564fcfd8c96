/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The curves of one group, thinned out to what a chart can show: rows of figures that were true at one
 * time, in the order of time.
 *
 * Time is cut into columns of equal width. Of a column with up to four rows all are kept; of a fuller
 * one four are made: the first row, the smallest and the largest value of each series in the order in
 * which they came, the last row. A line drawn through these covers the same pixels as one drawn
 * through all rows, when a column is a pixel wide or less. Source: M4, Jugel et al., VLDB 2014.
 *
 * Order of calls: report_rows_init(); report_rows_add() in the order of time; report_rows_end(); then
 * `row[0 .. nrows)` may be read; report_rows_free(), which accepts a zeroed one. Errors: -ENOMEM.
 */
#ifndef EXPORT_REPORT_ROWS_H
#define EXPORT_REPORT_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "core/fcb.h"

enum report_figure {
	REPORT_USAGE, /* in the unit of the resource, see fcb.h */
	REPORT_LIMIT,
	REPORT_SCORE,
	REPORT_FIGURES,
};

#define REPORT_SERIES ((unsigned)FCB_RESOURCES * REPORT_FIGURES)
#define REPORT_AT(resource, figure) ((unsigned)(resource)*REPORT_FIGURES + (unsigned)(figure))
#define REPORT_FULL 4 /* rows of a column */

struct report_row {
	uint64_t time_ns;
	float value[REPORT_SERIES]; /* NAN: not known at this time, or no limit */
};

/* The column that is being filled. */
struct report_column {
	uint64_t index;
	uint64_t count; /* rows that came */
	struct report_row
		few[REPORT_FULL]; /* the first of them; the last place is that of the last */
	float low[REPORT_SERIES];
	float high[REPORT_SERIES];
	uint64_t low_at[REPORT_SERIES]; /* which row it was, from 1; 0: none yet */
	uint64_t high_at[REPORT_SERIES];
};

struct report_rows {
	struct report_row *row;
	size_t nrows;
	size_t room;
	uint64_t read; /* rows that were added, at different times */
	uint64_t origin_ns;
	uint64_t column_ns;
	struct report_column *column; /* owned; only while rows come */
};

void report_rows_init(struct report_rows *rows, uint64_t origin_ns, uint64_t column_ns);
/* A row of the time of the last one takes its place. */
int report_rows_add(struct report_rows *rows, const struct report_row *row);
int report_rows_end(struct report_rows *rows);
void report_rows_free(struct report_rows *rows);

#endif
