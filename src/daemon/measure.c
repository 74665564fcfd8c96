/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "daemon/measure.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

_Static_assert(PAGESCAN_TAGS == CVHRC_TAGS && PAGESCAN_NEVER == CVHRC_NEVER &&
		       PAGESCAN_BEFORE == CVHRC_BEFORE,
	       "one numbering of epochs");

int measure_open(const struct probe *probe, const struct pagescan_target *target,
		 const struct cvhrc_setup *setup, struct measure **ret, struct err *err)
{
	struct measure *measure = calloc(1, sizeof(*measure));
	struct cvhrc_setup with = *setup;

	if (!measure)
		return err_set(err, -ENOMEM, "out of memory");
	with.pages_max = PAGESCAN_PAGES;
	cvhrc_init(&measure->core, &with);
	cvhrc_advise(&measure->core, 1, &measure->advice);
	int r = pagescan_open(probe, target, &measure->scan, err);

	if (r < 0) {
		measure_close(measure);
		return r;
	}
	*ret = measure;
	return 0;
}

void measure_close(struct measure *measure)
{
	if (!measure)
		return;
	pagescan_close(measure->scan);
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

static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* A pause comes before an epoch, and ends with a turn of its own that only clears and sets places. */
static void plan(struct measure *measure, uint64_t now_ns)
{
	bool ended_pause = measure->pausing;

	if (!ended_pause)
		cvhrc_advise(&measure->core, measure->last.rate, &measure->advice);
	measure->pausing = !ended_pause && measure->advice.pause_ns;
	measure->due_ns =
		now_ns + (measure->pausing ? measure->advice.pause_ns : measure->advice.epoch_ns);
}

int measure_turn(struct measure *measure, uint64_t now_ns, struct err *err)
{
	struct cvhrc *core = &measure->core;
	const bool renumbered = cvhrc_begin(core, measure->advice.epoch_ns);
	const struct pagescan_turn turn = { .now = cvhrc_now(core),
					    .renumbered = renumbered ? core->renumbered : NULL,
					    .rate = measure->advice.rate };
	int r = pagescan_epoch(measure->scan, &turn, &measure->last, err);
	const struct pagescan_result *result = &measure->last;

	if (r < 0)
		return r;
	const uint64_t began_ns = cpu_ns();

	feed(core, &result->counts);
	cvhrc_end(core, &(struct cvhrc_totals){
				.length_ns = measure->turns ? now_ns - measure->cleared_ns : 0,
				.pages = result->pages,
				.swapped_pages = result->swapped_pages,
				.unclearable_pages = result->unclearable_pages,
				.spent_ns = result->spent_ns + measure->counting_ns,
				.blurred = measure->pausing,
			});
	if (!measure->turns++)
		measure->begun_ns = now_ns;
	measure->cleared_ns = now_ns;
	plan(measure, now_ns);
	measure->counting_ns = cpu_ns() - began_ns;
	measure->spent_ns += result->spent_ns + measure->counting_ns;
	return 0;
}

bool measure_curve(const struct measure *measure, struct cvhrc_curve *ret)
{
	return cvhrc_curve(&measure->core, ret);
}
