/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "export/report_rows.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void report_rows_init(struct report_rows *rows, uint64_t origin_ns, uint64_t column_ns)
{
	*rows = (struct report_rows){ .origin_ns = origin_ns,
				      .column_ns = column_ns ? column_ns : 1 };
}

static int keep(struct report_rows *rows, const struct report_row *row)
{
	size_t room = rows->room ? 2 * rows->room : 16;
	struct report_row *larger;

	if (rows->nrows == rows->room) {
		larger = reallocarray(rows->row, room, sizeof(*larger));
		if (!larger)
			return -ENOMEM;
		rows->row = larger;
		rows->room = room;
	}
	rows->row[rows->nrows++] = *row;
	return 0;
}

/* The two rows between the first and the last: which extreme came first stands first. */
static void middle_rows(const struct report_column *column, struct report_row *ret_early,
			struct report_row *ret_late)
{
	uint64_t from = column->few[0].time_ns, to = column->few[REPORT_FULL - 1].time_ns;

	ret_early->time_ns = from + (to - from) / 3;
	ret_late->time_ns = from + (to - from) / 3 * 2;
	for (unsigned i = 0; i < REPORT_SERIES; i++) {
		bool rises = column->low_at[i] <= column->high_at[i];

		ret_early->value[i] = rises ? column->low[i] : column->high[i];
		ret_late->value[i] = rises ? column->high[i] : column->low[i];
	}
}

static int close_column(struct report_rows *rows)
{
	struct report_column *column = rows->column;
	unsigned n = column->count < REPORT_FULL ? (unsigned)column->count : REPORT_FULL;
	int r = 0;

	if (column->count > REPORT_FULL)
		middle_rows(column, &column->few[1], &column->few[2]);
	for (unsigned i = 0; i < n && r == 0; i++)
		r = keep(rows, &column->few[i]);
	column->count = 0;
	return r;
}

static void open_column(struct report_column *column, uint64_t index)
{
	column->index = index;
	for (unsigned i = 0; i < REPORT_SERIES; i++) {
		column->low[i] = column->high[i] = NAN;
		column->low_at[i] = column->high_at[i] = 0;
	}
}

static void widen(struct report_column *column, const struct report_row *row)
{
	for (unsigned i = 0; i < REPORT_SERIES; i++) {
		float value = row->value[i];

		if (isnan(value))
			continue;
		if (!column->low_at[i] || value < column->low[i]) {
			column->low[i] = value;
			column->low_at[i] = column->count;
		}
		if (!column->high_at[i] || value > column->high[i]) {
			column->high[i] = value;
			column->high_at[i] = column->count;
		}
	}
}

/* One more look at the same time: what it does not know of usage the earlier one knew. */
static void look_again(struct report_column *column, const struct report_row *row)
{
	size_t at = column->count < REPORT_FULL ? column->count - 1 : REPORT_FULL - 1;
	struct report_row merged = *row;

	for (unsigned i = REPORT_USAGE; i < REPORT_SERIES; i += REPORT_FIGURES)
		if (isnan(row->value[i]))
			merged.value[i] = column->few[at].value[i];
	column->few[at] = merged;
	widen(column, row);
}

static bool is_again(const struct report_column *column, const struct report_row *row)
{
	size_t at = column->count < REPORT_FULL ? column->count - 1 : REPORT_FULL - 1;

	return column->count && column->few[at].time_ns == row->time_ns;
}

int report_rows_add(struct report_rows *rows, const struct report_row *row)
{
	struct report_column *column = rows->column;
	uint64_t since = row->time_ns > rows->origin_ns ? row->time_ns - rows->origin_ns : 0;
	uint64_t index = since / rows->column_ns;
	int r = 0;

	if (!column)
		column = rows->column = calloc(1, sizeof(*column));
	if (!column)
		return -ENOMEM;
	if (is_again(column, row)) {
		look_again(column, row);
		return 0;
	}
	if (column->count && column->index != index)
		r = close_column(rows);
	if (r < 0)
		return r;
	if (!column->count)
		open_column(column, index);
	column->few[column->count < REPORT_FULL ? column->count : REPORT_FULL - 1] = *row;
	column->count++;
	widen(column, row);
	rows->read++;
	return 0;
}

int report_rows_end(struct report_rows *rows)
{
	int r = rows->column && rows->column->count ? close_column(rows) : 0;

	free(rows->column);
	rows->column = NULL;
	return r;
}

void report_rows_free(struct report_rows *rows)
{
	free(rows->column);
	free(rows->row);
	memset(rows, 0, sizeof(*rows));
}
