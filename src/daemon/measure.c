/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "daemon/measure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define GUESS_MAX 0.05 /* of an error: what is less sure is no curve to act on */

_Static_assert(PAGESCAN_TAGS == CVHRC_TAGS && PAGESCAN_NEVER == CVHRC_NEVER &&
		       PAGESCAN_BEFORE == CVHRC_BEFORE,
	       "one numbering of epochs");

#define STATE_MAX (256 * 1024) /* of a group that is measured */
#define READS_BYTES 1024       /* edge/reads.c, about */

_Static_assert(sizeof(struct measure) + PAGESCAN_BYTES_MAX + sizeof(struct cvhrc_files) +
			       READS_BYTES <= STATE_MAX,
	       "with all sources");

static struct measure *new_measure(const struct cvhrc_setup *setup)
{
	struct measure *measure = calloc(1, sizeof(*measure));
	struct cvhrc_setup with = *setup;

	if (!measure)
		return NULL;
	with.pages_max = PAGESCAN_PAGES;
	cvhrc_init(&measure->core, &with);
	cvhrc_advise(&measure->core, 1, &measure->advice);
	return measure;
}

int measure_open(const struct probe *probe, const struct pagescan_target *target,
		 const struct cvhrc_setup *setup, struct measure **ret, struct err *err)
{
	struct measure *measure = new_measure(setup);
	struct err none = { "" };

	if (!measure)
		return err_set(err, -ENOMEM, "out of memory");
	int r = pagescan_open(probe, target, &measure->scan, err);

	if (r == 0)
		r = measure_files_open(&measure->files, probe, target, measure->scan, err);
	if (r < 0) {
		measure_close(measure);
		return r == -EOPNOTSUPP && measure_open_lru(target, setup, ret, &none) == 0 ? 0 : r;
	}
	*ret = measure;
	return 0;
}

int measure_open_lru(const struct pagescan_target *target, const struct cvhrc_setup *setup,
		     struct measure **ret, struct err *err)
{
	_cleanup_close_ int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (!target->path)
		return err_set(err, -EOPNOTSUPP, "the multi-gen LRU knows groups only, no process");
	struct measure *measure = new_measure(setup);

	if (!measure)
		return err_set(err, -ENOMEM, "out of memory");
	int r = lrugen_open(root, target->path, &measure->lru, err);

	if (r < 0) {
		measure_close(measure);
		return r;
	}
	measure->files.group_fd = -1;
	*ret = measure;
	return 0;
}

void measure_close(struct measure *measure)
{
	if (!measure)
		return;
	measure_files_close(&measure->files);
	pagescan_close(measure->scan);
	lrugen_close(measure->lru);
	free(measure);
}

static void feed(struct cvhrc *core, const struct pagescan_counts *counts)
{
	static const enum cvhrc_plane planes[2] = { CVHRC_MAPPED_EVEN, CVHRC_MAPPED_ODD };

	for (int half = 0; half < 2; half++) {
		for (uint16_t tag = 0; tag < CVHRC_TAGS; tag++) {
			if (counts->touched[half][tag])
				cvhrc_touch(core, planes[half], tag, counts->touched[half][tag]);
			if (counts->left[half][tag])
				cvhrc_leave(core, planes[half], tag, counts->left[half][tag]);
		}
		for (int touched = 0; touched < 2; touched++)
			if (counts->arrived[half][touched])
				cvhrc_arrive(core, planes[half], touched,
					     counts->arrived[half][touched]);
	}
}

/* A pause comes before an epoch, and ends with a turn of its own that only clears and sets places. */
static void plan(struct measure *measure, uint64_t now_ns)
{
	bool ended_pause = measure->pausing;

	if (!ended_pause)
		cvhrc_advise(&measure->core, measure->last.rate, &measure->advice);
	measure->resumed = ended_pause;
	measure->pausing = !ended_pause && measure->advice.pause_ns;
	measure->due_ns =
		now_ns + (measure->pausing ? measure->advice.pause_ns : measure->advice.epoch_ns);
}

/* What the epoch that ends brought, from page tables and file reads. */
static int take_scan(struct measure *measure, bool renumbered, struct cvhrc_totals *totals,
		     struct err *err)
{
	struct cvhrc *core = &measure->core;
	struct pagescan_result *result = &measure->last;
	const struct pagescan_turn turn = { .now = cvhrc_now(core),
					    .renumbered = renumbered ? core->renumbered : NULL,
					    .rate = measure->advice.rate };

	measure_files_begin(&measure->files);
	int r = pagescan_epoch(measure->scan, &turn, result, err);

	if (r < 0)
		return r;
	feed(core, &result->counts);
	totals->pages = result->pages;
	totals->swapped_pages = result->swapped_pages;
	totals->unclearable_pages = result->unclearable_pages;
	totals->spent_ns = result->spent_ns;
	measure_files_take(&measure->files, core, renumbered, totals);
	return 0;
}

static int take_generations(struct measure *measure, struct cvhrc_totals *totals, struct err *err)
{
	struct lrugen_pages pages;
	int r = lrugen_age(measure->lru, &pages, err);

	if (r < 0)
		return r;
	measure->lru_guesses += (double)measure_lru_feed(&measure->core, &pages);
	measure->lru_uses += (double)pages.touched;
	totals->pages = measure_lru_pages(&pages);
	totals->spent_ns = pages.spent_ns;
	measure->last.rate = measure->advice.rate; /* all pages are looked at: the rest is longer epochs */
	return 0;
}

int measure_turn(struct measure *measure, uint64_t now_ns, struct err *err)
{
	const uint64_t began_ns = clock_thread_ns();
	const bool renumbered = cvhrc_begin(&measure->core, measure->advice.epoch_ns);
	struct cvhrc_totals totals = {
		.length_ns = measure->turns ? now_ns - measure->cleared_ns : 0,
		.blurred = measure->pausing,
	};
	int r = measure->scan ? take_scan(measure, renumbered, &totals, err)
			      : take_generations(measure, &totals, err);

	if (r < 0)
		return r;
	const uint64_t scanned_ns = totals.spent_ns;

	totals.spent_ns += measure->counting_ns;
	cvhrc_end(&measure->core, &totals);
	if (!measure->turns++)
		measure->begun_ns = now_ns;
	measure->cleared_ns = now_ns;
	plan(measure, now_ns);
	const uint64_t all_ns = clock_thread_ns() - began_ns;

	measure->counting_ns = all_ns > scanned_ns ? all_ns - scanned_ns : 0;
	measure->turn_ns = scanned_ns + measure->counting_ns;
	measure->spent_ns += measure->turn_ns;
	return 0;
}

void measure_put_off(struct measure *measure, uint64_t until_ns)
{
	if (measure->resumed || until_ns <= measure->due_ns)
		return;
	measure->due_ns = until_ns;
	measure->pausing = true;
}

void measure_rest(struct measure *measure)
{
	measure_files_rest(&measure->files);
}

void measure_resume(struct measure *measure, uint64_t now_ns)
{
	if (measure_files_resume(&measure->files) < 0)
		pagescan_note_mappings(measure->scan, NULL, NULL);
	measure->due_ns = now_ns;
	measure->pausing = measure->turns != 0;
}

const char *measure_source(const struct measure *measure)
{
	bool reads = measure->files.core;

	if (measure->lru)
		return "mglru";
	if (measure->last.whole)
		return reads ? "page tables, clear_refs, file reads" : "page tables, clear_refs";
	return reads ? "page tables, file reads" : "page tables";
}

/* Anywhere from what two epochs touch to the end: on average a quarter of that is what a guess is off by. */
static void doubt_places(const struct measure *measure, struct cvhrc_curve *curve)
{
	double known = 2 * (double)curve->resolution_bytes / (double)curve->extent_bytes, error;

	if (!(measure->lru_uses > 0) || known >= 1)
		return;
	error = measure->lru_guesses / measure->lru_uses * (1 - known) / 4;
	if (error > curve->error)
		curve->error = error;
	if (curve->confident && error > GUESS_MAX) {
		curve->doubt = CVHRC_INEXACT;
		curve->confident = false;
	}
}

uint64_t measure_files_bytes(const struct measure *measure)
{
	return measure_files_resident(&measure->files) * measure->core.setup.page_bytes;
}

bool measure_curve(const struct measure *measure, struct cvhrc_curve *ret)
{
	if (!cvhrc_curve(&measure->core, ret))
		return false;
	if (measure->lru)
		doubt_places(measure, ret);
	ret->resident_bytes += measure_files_resident(&measure->files) * ret->page_bytes;
	return true;
}
