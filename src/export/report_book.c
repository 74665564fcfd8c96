/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "export/report_book.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/report_curve.h"

void report_book_init(struct report_book *book, uint64_t begin_ns, uint64_t end_ns,
		      uint64_t columns, size_t decisions_max)
{
	*book = (struct report_book){
		.begin_ns = begin_ns,
		.end_ns = end_ns > begin_ns ? end_ns : begin_ns,
		.columns = columns ? columns : 1,
		.decisions_max = decisions_max < 2 ? 2 : decisions_max / 2 * 2,
	};
}

/* Room for one more element. */
static int reserve(void **array, size_t used, size_t *room, size_t size)
{
	size_t wanted = *room ? 2 * *room : 8;
	void *larger;

	if (used < *room)
		return 0;
	larger = reallocarray(*array, wanted, size);
	if (!larger)
		return -ENOMEM;
	*array = larger;
	*room = wanted;
	return 0;
}

int64_t report_book_group(struct report_book *book, const char *name, const char *path, uint64_t id,
			  uint64_t now_ns)
{
	struct report_group group = { .id = id, .from_ns = now_ns, .to_ns = now_ns };

	if (reserve((void **)&book->groups, book->ngroups, &book->room, sizeof(group)) < 0)
		return -ENOMEM;
	group.name = strdup(name);
	group.path = strdup(path);
	if (!group.name || !group.path) {
		free(group.name);
		free(group.path);
		return -ENOMEM;
	}
	report_rows_init(&group.rows, book->begin_ns,
			 (book->end_ns - book->begin_ns) / book->columns + 1);
	book->groups[book->ngroups] = group;
	return (int64_t)book->ngroups++;
}

int report_book_row(struct report_book *book, size_t group, const struct report_row *row)
{
	struct report_group *g = &book->groups[group];
	float usage = row->value[REPORT_AT(FCB_RAM, REPORT_USAGE)];

	if (!isnan(usage) && (double)usage > g->totals.peak_bytes)
		g->totals.peak_bytes = (double)usage;
	return report_rows_add(&g->rows, row);
}

static int stop(struct report_group *g, uint64_t now_ns)
{
	if (g->stopped)
		return 0;
	if (reserve((void **)&g->stops, g->nstops, &g->stops_room, sizeof(*g->stops)) < 0)
		return -ENOMEM;
	g->stops[g->nstops++] = (struct report_span){ now_ns, now_ns };
	g->stopped = true;
	return 0;
}

static void go(struct report_group *g, uint64_t now_ns)
{
	if (g->stopped)
		g->stops[g->nstops - 1].to_ns = now_ns;
	g->stopped = false;
}

static int count(struct report_group *g, const struct report_decision *decision, uint64_t now_ns)
{
	const struct pfuse_verdict *verdict = &decision->verdict;
	struct report_totals *totals = &g->totals;

	if (decision->outcome != ORCHESTRATOR_APPLIED && decision->outcome != ORCHESTRATOR_DRY) {
		totals->not_done++;
		return 0;
	}
	switch (verdict->control) {
	case PFUSE_CTL_RAM:
		*(verdict->to > verdict->from ? &totals->grown : &totals->shrunk) += 1;
		return 0;
	case PFUSE_CTL_STOP:
		*(verdict->to ? &totals->stops : &totals->wakes) += 1;
		if (verdict->to)
			return stop(g, now_ns);
		go(g, now_ns);
		return 0;
	default:
		totals->moves++;
		return 0;
	}
}

int report_book_decision(struct report_book *book, size_t group,
			 const struct report_decision *decision, uint64_t now_ns)
{
	struct report_group *g = &book->groups[group];
	size_t half = book->decisions_max / 2, at = g->ndecisions;
	int r = count(g, decision, now_ns);

	if (r < 0)
		return r;
	if (at == book->decisions_max) {
		at = half + (g->decisions_seen - half) % half;
	} else {
		if (reserve((void **)&g->decisions, at, &g->decisions_room, sizeof(*g->decisions)) <
		    0)
			return -ENOMEM;
		g->ndecisions++;
	}
	g->decisions[at] = *decision;
	g->decisions_seen++;
	return 0;
}

int report_book_leave(struct report_book *book, size_t group, uint64_t now_ns)
{
	struct report_group *g = &book->groups[group];

	if (g->ended)
		return 0;
	g->ended = true;
	g->to_ns = now_ns;
	go(g, now_ns);
	return report_rows_end(&g->rows);
}

int report_book_curve(struct report_book *book, const char *name, struct report_curve *curve)
{
	bool found = false;

	if (reserve((void **)&book->curves, book->ncurves, &book->curves_room,
		    sizeof(struct report_curve *)) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < book->ngroups; i++) {
		if (strcmp(book->groups[i].name, name) != 0)
			continue;
		book->groups[i].curve = curve;
		found = true;
	}
	if (!found)
		return -ENOENT;
	book->curves[book->ncurves++] = curve;
	return 0;
}

int report_book_note(struct report_book *book, const char *format, ...)
{
	va_list args;
	size_t i = 0;
	int n;

	while (i < REPORT_NOTES && book->notes[i])
		i++;
	if (i == REPORT_NOTES)
		return 0;
	va_start(args, format);
	n = vasprintf(&book->notes[i], format, args);
	va_end(args);
	if (n >= 0)
		return 0;
	book->notes[i] = NULL;
	return -ENOMEM;
}

static void reverse(struct report_decision *from, struct report_decision *to)
{
	for (; from < to; from++, to--) {
		struct report_decision held = *from;

		*from = *to;
		*to = held;
	}
}

/* The ring of the last ones begins somewhere: three reversals turn it so that it begins at its start. */
static void unwind(struct report_group *g, size_t max)
{
	size_t half = max / 2, first;
	struct report_decision *ring = g->decisions + half;

	if (g->decisions_seen <= max)
		return;
	first = (g->decisions_seen - half) % half;
	if (!first)
		return;
	reverse(ring, ring + first - 1);
	reverse(ring + first, ring + half - 1);
	reverse(ring, ring + half - 1);
}

int report_book_end(struct report_book *book)
{
	int r = 0;

	for (size_t i = 0; i < book->ngroups && r == 0; i++) {
		r = report_book_leave(book, i, book->end_ns);
		unwind(&book->groups[i], book->decisions_max);
	}
	return r;
}

static void free_group(struct report_group *g)
{
	report_rows_free(&g->rows);
	free(g->decisions);
	free(g->stops);
	free(g->name);
	free(g->path);
}

void report_book_free(struct report_book *book)
{
	for (size_t i = 0; i < book->ngroups; i++)
		free_group(&book->groups[i]);
	for (size_t i = 0; i < REPORT_NOTES; i++)
		free(book->notes[i]);
	for (size_t i = 0; i < book->ncurves; i++)
		report_curve_free(book->curves[i]);
	free(book->curves);
	free(book->groups);
	free(book->source);
	free(book->version);
	free(book->kernel);
	free(book->policy);
	memset(book, 0, sizeof(*book));
}
