/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/arith.h"
#include "core/cvhrc.h"
#include "core/cvhrc_inside.h"

#define MS 1000000ull
#define EPOCH_MIN_NS (250 * MS)
#define EPOCH_LONG_NS (500 * MS)
#define EPOCH_MAX_NS (4000 * MS)

/* 64 MiB: below, all pages are looked at, since chunks of 256 KiB are too few to be a sample. */
#define WHOLE_BELOW_PAGES 16384
/*
 * Of the pages of one epoch, so many should be in the sample: whether the few that are touched in
 * every epoch are in it, or not, then moves the curve by less than 1 %.
 */
#define SAMPLE_PAGES 1024
#define RATE_MIN 2
#define RATE_FIRST 8
#define RATE_MAX 16 /* more saves nothing that could be measured, and costs accuracy */
#define RATE_END (1u << 20)

#define FAR_TOO_DEAR 2 /* ends at once */

#define MARGIN 0.75 /* of the budget, for what is finer than now: so that it does not go to and fro */

#define BURST_EPOCHS 8
#define PAUSE_MAX_NS (300 * 1000 * MS)

static uint32_t rate_for_memory(const struct cvhrc *c)
{
	uint32_t rate = 1;

	while (rate < RATE_END && c->pages / rate > c->setup.pages_max)
		rate *= 2;
	return rate;
}

static uint32_t rate_for_size(const struct cvhrc *c, const struct cvhrc_curve *curve)
{
	uint64_t in_use = curve->resolution_bytes;
	uint32_t rate = RATE_MIN;

	if (c->pages < WHOLE_BELOW_PAGES)
		return 1;
	while (rate < RATE_MAX && in_use / c->setup.page_bytes / (2 * rate) >= SAMPLE_PAGES)
		rate *= 2;
	return rate;
}

static double budget_of(const struct cvhrc *c, uint64_t epoch_ns)
{
	return (double)epoch_ns * c->setup.budget_permille / 1000;
}

static bool is_far_too_dear(const struct cvhrc *c, uint64_t epoch_ns)
{
	return c->cost_ns > FAR_TOO_DEAR * budget_of(c, epoch_ns);
}

/*
 * Too dear: fewer pages, and then longer epochs, as long as is needed. Half a second before the last
 * pages: a small sample blurs more than that. What is far too dear then does not come from the sample.
 */
static void save(const struct cvhrc *c, struct cvhrc_advice *a)
{
	if (a->rate < RATE_FIRST)
		a->rate *= 2;
	else if (a->epoch_ns < EPOCH_LONG_NS)
		a->epoch_ns = EPOCH_LONG_NS;
	else if (a->rate < RATE_MAX && !is_far_too_dear(c, a->epoch_ns))
		a->rate *= 2;
	else
		while (a->epoch_ns < EPOCH_MAX_NS && c->cost_ns > budget_of(c, a->epoch_ns))
			a->epoch_ns = arith_min(2 * a->epoch_ns, EPOCH_MAX_NS);
}

/*
 * Intermittent tracking (Zhao et al., ATC 2011), where nothing else is left to save: some epochs in a
 * row, since what was touched in a pause has no order, then a pause. It costs a scan more: the one
 * that clears the bits at its end.
 */
static uint64_t pause_for(const struct cvhrc *c, const struct cvhrc_advice *a)
{
	double whole = (BURST_EPOCHS + 1) * c->cost_ns * 1000 / c->setup.budget_permille;

	if (a->rate < RATE_FIRST || a->epoch_ns < EPOCH_MAX_NS || c->row < BURST_EPOCHS ||
	    c->cost_ns <= budget_of(c, a->epoch_ns))
		return 0;
	return arith_min(arith_sub(arith_from_double(whole), BURST_EPOCHS * a->epoch_ns),
			 PAUSE_MAX_NS);
}

/*
 * Cheap: the pages that a good sample has; then epochs as short as can be had, since what is touched
 * within one has no order. Half the epoch costs as much per epoch at most: twice the share of the time.
 */
static void refine(const struct cvhrc *c, uint32_t want, struct cvhrc_advice *a)
{
	double room = budget_of(c, a->epoch_ns) * MARGIN;
	uint32_t rate = a->rate;

	for (double cost = 2 * c->cost_ns; a->rate > want && cost <= room; cost *= 2)
		a->rate /= 2;
	if (a->rate == rate && a->epoch_ns > EPOCH_MIN_NS && 2 * c->cost_ns <= room)
		a->epoch_ns = arith_max(a->epoch_ns / 2, EPOCH_MIN_NS);
}

static uint32_t first_rate(const struct cvhrc *c, uint32_t rate)
{
	if (c->pages == 0)
		return rate;
	return (uint32_t)arith_max(c->pages < WHOLE_BELOW_PAGES ? 1 : RATE_FIRST,
				   rate_for_memory(c));
}

static void improve(const struct cvhrc *c, struct cvhrc_advice *a)
{
	uint32_t least = rate_for_memory(c);
	struct cvhrc_curve curve;
	bool any = cvhrc_curve(c, &curve);

	if (!any && a->rate < first_rate(c, a->rate))
		a->rate = first_rate(c, a->rate);
	else if (a->rate < least)
		a->rate = least;
	else if (c->cost_ns > budget_of(c, a->epoch_ns))
		save(c, a);
	else if (any)
		refine(c, (uint32_t)arith_max(rate_for_size(c, &curve), least), a);
}

static uint32_t power_of_two(uint32_t rate)
{
	uint32_t p = 1;

	while (p < rate && p < RATE_END)
		p *= 2;
	return p;
}

void cvhrc_advise(struct cvhrc *c, uint32_t rate, struct cvhrc_advice *ret)
{
	uint64_t now_ns = c->planned_ns ? c->planned_ns : EPOCH_MIN_NS;
	struct cvhrc_advice a = {
		.epoch_ns = arith_min(arith_max(now_ns, EPOCH_MIN_NS), EPOCH_MAX_NS),
		.rate = power_of_two(rate),
	};

	if (c->wait == 0 || is_far_too_dear(c, a.epoch_ns)) {
		improve(c, &a);
		if (a.rate != rate || a.epoch_ns != c->planned_ns) {
			c->wait = CVHRC_SETTLED;
			c->cost_ns = 0;
		}
	}
	a.pause_ns = pause_for(c, &a);
	*ret = a;
}
