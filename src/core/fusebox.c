/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/fusebox.h"

#include <math.h>

#include "core/arith.h"

/*
 * score = x_n / y + (1 - x_{n-1} / x_n) * 2
 *
 * Edge cases, none of which the paper mentions:
 * - x_n = x_{n-1} = 0: nothing is used and nothing changes, so the trend is 0 and the score is 0.
 * - x_n = 0, x_{n-1} > 0, and any collapse of usage: x_{n-1} / x_n grows without bound, so the
 *   trend ends at -2. This is the mirror image of its upper bound (+2, for x_{n-1} = 0), and it
 *   changes a decision only where x_n > 2.5 y: there the unbounded trend would shrink the limit of
 *   a group that stands at two and a half times its limit already.
 * - y = 0: counts as 1 byte. x_n / y is then large, but finite.
 * - x_n = x_{n-1} = y: exactly 1.0, which is not above 1.0: no change.
 */
double fusebox_score(uint64_t x, uint64_t x_prev, uint64_t y)
{
	double trend;

	if (x == 0)
		trend = x_prev ? FUSEBOX_TREND_MIN : 0;
	else
		trend = (1 - (double)x_prev / (double)x) * 2;
	if (trend < FUSEBOX_TREND_MIN)
		trend = FUSEBOX_TREND_MIN;
	return (double)x / (double)(y ? y : 1) + trend;
}

/*
 * size = | (x_n - x_{n-1}) + (y - x_n) * 0.3 |
 *
 * Both differences are signed (usage falls; usage stands above a soft limit), hence doubles. They
 * are exact up to 2^53 (8 PiB); beyond, the inputs are rounded to 53 bits, and the result
 * saturates.
 */
uint64_t fusebox_size(uint64_t x, uint64_t x_prev, uint64_t y)
{
	double change = (double)x - (double)x_prev;
	double room = (double)y - (double)x;

	return arith_from_double(fabs(change + room * 0.3));
}

/*
 * x is at the mark when x * 1000 >= y * permille, as BPF computes it; so y must be above
 * x * 1000 / permille. The product is split because it does not fit in 64 bits for x > 2^54.
 */
uint64_t fusebox_mark(uint64_t x, uint32_t high_water_permille)
{
	uint64_t h = high_water_permille ? high_water_permille : 1;
	uint64_t whole = x / h;

	if (whole > UINT64_MAX / 1000)
		return UINT64_MAX;
	return arith_add(arith_add(whole * 1000, x % h * 1000 / h), 1);
}

static void clamp_limit(struct fusebox *r, uint64_t wanted, const struct fusebox_bounds *b)
{
	r->limit = arith_min(arith_max(wanted, b->floor), b->ceiling);
	r->clamped = r->limit != wanted;
}

static struct fusebox score_and_size(uint64_t x, uint64_t x_prev, uint64_t y)
{
	return (struct fusebox){
		.score = fusebox_score(x, x_prev, y),
		.size = fusebox_size(x, x_prev, y),
		.y = y,
	};
}

/*
 * A limit above the ceiling, "unlimited" above all, counts as the ceiling: from y = 2^63 it would
 * take 54 steps of 30 % to come down to anything that matters.
 */
struct fusebox fusebox_step(uint64_t x, uint64_t x_prev, uint64_t y,
			    const struct fusebox_bounds *bounds)
{
	struct fusebox r;
	uint64_t wanted;

	y = arith_min(y, bounds->ceiling);
	r = score_and_size(x, x_prev, y);
	wanted = y;
	if (r.score > FUSEBOX_GROW_ABOVE) {
		wanted = arith_add(y, r.size);
		r.direction = FUSEBOX_GROW;
	} else if (r.score < FUSEBOX_SHRINK_BELOW) {
		wanted = arith_sub(y, r.size);
		r.direction = FUSEBOX_SHRINK;
	}
	clamp_limit(&r, wanted, bounds);
	return r;
}

/*
 * An event is a sample too, so the size is the paper's. Two things are not in the paper:
 * - The limit grows also where the score does not ask for it (slow growth close to the limit scores
 *   0.9 to 1.0): otherwise the group dies for want of memory, which the paper says never happens.
 * - The new limit leaves the usage below the mark by a step, for else the next page would cross it
 *   again: a storm of events. A sixteenth of the usage bounds the number of events for a growth by
 *   a factor of two at about eleven; step_min bounds it for small groups.
 */
struct fusebox fusebox_grow(uint64_t x, uint64_t x_prev, uint64_t y,
			    const struct fusebox_bounds *bounds)
{
	uint64_t step = arith_max(x / 16, bounds->step_min);
	uint64_t least = fusebox_mark(x, bounds->high_water_permille);
	struct fusebox r;

	y = arith_min(y, bounds->ceiling);
	least = arith_add(arith_max(least, y), step);
	r = score_and_size(x, x_prev, y);
	r.direction = FUSEBOX_GROW;
	clamp_limit(&r, arith_max(arith_add(y, r.size), least), bounds);
	return r;
}
