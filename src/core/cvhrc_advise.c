/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/arith.h"
#include "core/cvhrc.h"

#define MS 1000000ull
#define EPOCH_MIN_NS (250 * MS)
#define EPOCH_START_NS (500 * MS)
#define EPOCH_MAX_NS (2000 * MS)

/* 64 MiB: below, all pages are looked at, since chunks of 256 KiB are too few to be a sample. */
#define WHOLE_BELOW_PAGES 16384
/*
 * Of the pages of one epoch, so many should be in the sample: whether the few that are touched in
 * every epoch are in it, or not, then moves the curve by less than 1 %.
 */
#define SAMPLE_PAGES 1024
#define RATE_MIN 2
#define RATE_MAX 16 /* more saves nothing that could be measured, and costs accuracy */
#define RATE_END (1u << 20)

/* What a change brings is seen first, then comes the next. */
#define SETTLED_EPOCHS 8

#define MARGIN_PERMILLE 750 /* of the budget, for what is dearer than now */

#define PAUSE_MAX_NS (60 * 1000 * MS)

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

/* Down to a finer rate only where that is worth losing the places of the pages. */
static uint32_t new_rate(const struct cvhrc *c, const struct cvhrc_curve *curve, uint32_t rate)
{
	uint32_t least = rate_for_memory(c);
	uint32_t want = (uint32_t)arith_max(rate_for_size(c, curve), least);

	if (rate < least || rate / 4 >= want)
		return want;
	return rate;
}

static double budget_of(const struct cvhrc *c, uint64_t epoch_ns)
{
	return (double)epoch_ns * c->setup.budget_permille / 1000;
}

/* Too dear: fewer pages first, then longer epochs, since those blur. */
static void save(struct cvhrc_advice *a)
{
	if (a->rate < RATE_MAX)
		a->rate *= 2;
	else
		a->epoch_ns = arith_min(2 * a->epoch_ns, EPOCH_MAX_NS);
}

/*
 * Intermittent tracking (Zhao et al., ATC 2011), where nothing else is left to save. A pause costs
 * a scan more: the one that clears the bits at its end.
 */
static uint64_t pause_for(const struct cvhrc *c, const struct cvhrc_advice *a)
{
	double whole = 2 * c->cost_ns * 1000 / c->setup.budget_permille;

	if (a->rate < RATE_MAX || a->epoch_ns < EPOCH_MAX_NS ||
	    c->cost_ns <= budget_of(c, a->epoch_ns))
		return 0;
	return arith_min(arith_sub(arith_from_double(whole), a->epoch_ns), PAUSE_MAX_NS);
}

/*
 * As short as can be had: what is touched within one epoch has no order. Half the epoch costs as much
 * per epoch at most: twice the share of the time, less a margin, so that it does not go to and fro.
 */
static void refine(const struct cvhrc *c, struct cvhrc_advice *a)
{
	if (a->epoch_ns > EPOCH_MIN_NS &&
	    2 * c->cost_ns <= budget_of(c, a->epoch_ns) * MARGIN_PERMILLE / 1000)
		a->epoch_ns = arith_max(a->epoch_ns / 2, EPOCH_MIN_NS);
}

static uint32_t first_rate(const struct cvhrc *c, uint32_t rate)
{
	if (c->pages == 0)
		return rate;
	return (uint32_t)arith_max(c->pages < WHOLE_BELOW_PAGES ? 1 : RATE_MAX, rate_for_memory(c));
}

static void improve(const struct cvhrc *c, struct cvhrc_advice *a)
{
	struct cvhrc_curve curve;

	if (!cvhrc_curve(c, &curve)) {
		a->rate = first_rate(c, a->rate);
	} else if (c->cost_ns > budget_of(c, a->epoch_ns)) {
		save(a);
	} else {
		a->rate = new_rate(c, &curve, a->rate);
		refine(c, a);
	}
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
	uint64_t now_ns = c->planned_ns ? c->planned_ns : EPOCH_START_NS;
	struct cvhrc_advice a = {
		.epoch_ns = arith_min(arith_max(now_ns, EPOCH_MIN_NS), EPOCH_MAX_NS),
		.rate = power_of_two(rate),
	};

	if (c->wait == 0) {
		improve(c, &a);
		if (a.rate != rate || a.epoch_ns != c->planned_ns) {
			c->wait = SETTLED_EPOCHS;
			c->cost_ns = 0;
		}
	}
	a.pause_ns = pause_for(c, &a);
	*ret = a;
}
