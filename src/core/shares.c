/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/shares.h"

#include <stddef.h>

#include "core/arith.h"

/* Halvings of the price: from the steepest slope that there can be, down to 2^-60 of it. */
#define PRICE_STEPS 60

static uint64_t within(const struct share *s, uint64_t bytes)
{
	return arith_min(arith_max(bytes, s->least_bytes),
			 arith_max(s->most_bytes, s->least_bytes));
}

/*
 * The size at which what it hits less what it pays is highest: the one at that slope of its hull.
 */
static uint64_t size_at_price(const struct share *s, double price)
{
	const struct cvhrc_curve *k = s->curve;
	double best = 0;
	uint64_t size = 0;

	for (uint32_t i = 0; i < k->npoints; i++) {
		double pages = (double)k->points[i].size_bytes / k->page_bytes;
		double gain = k->points[i].hit_ratio * k->refs_per_s - pages * price;

		if (gain > best) {
			best = gain;
			size = k->points[i].size_bytes;
		}
	}
	return within(s, size);
}

static bool is_known(const struct share *s)
{
	return s->curve && s->curve->npoints && s->curve->page_bytes;
}

static uint64_t sum_of_least(const struct share *shares, uint32_t n)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum = arith_add(sum, shares[i].least_bytes);
	return sum;
}

/* Groups without a curve: all that they may have, or the same share of it each. What is left. */
static uint64_t serve_unknown(struct share *shares, uint32_t n, uint64_t spare)
{
	double want = 0, part;
	uint64_t left = spare;

	for (uint32_t i = 0; i < n; i++)
		if (!is_known(&shares[i]))
			want += (double)arith_sub(shares[i].most_bytes, shares[i].least_bytes);
	part = want > (double)spare ? (double)spare / want : 1;
	for (uint32_t i = 0; i < n; i++) {
		struct share *s = &shares[i];
		uint64_t more = arith_sub(s->most_bytes, s->least_bytes);

		s->ret_bytes = s->least_bytes;
		if (is_known(s))
			continue;
		more = arith_min(part < 1 ? arith_from_double((double)more * part) : more, left);
		s->ret_bytes += more;
		left -= more;
	}
	return left;
}

/* What the known groups want above their least at this price. */
static uint64_t demand(const struct share *shares, uint32_t n, double price)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		if (is_known(&shares[i]))
			sum = arith_add(sum,
					size_at_price(&shares[i], price) - shares[i].least_bytes);
	return sum;
}

/*
 * What is left goes to those who would take more at the next lower price: a step of a hull is one.
 */
static void hand_out(struct share *shares, uint32_t n, double high, double low, uint64_t spare)
{
	for (uint32_t i = 0; i < n; i++) {
		if (!is_known(&shares[i]))
			continue;
		shares[i].ret_bytes = size_at_price(&shares[i], high);
		spare -= shares[i].ret_bytes - shares[i].least_bytes;
	}
	for (uint32_t i = 0; i < n; i++) {
		uint64_t more;

		if (!is_known(&shares[i]))
			continue;
		more = arith_sub(size_at_price(&shares[i], low), shares[i].ret_bytes);
		more = arith_min(more, spare);
		shares[i].ret_bytes += more;
		spare -= more;
	}
}

bool shares_divide(struct share *shares, uint32_t n, uint64_t total_bytes)
{
	uint64_t least = sum_of_least(shares, n);
	uint64_t spare = serve_unknown(shares, n, arith_sub(total_bytes, least));
	double low = 0, high = 0;

	if (least > total_bytes)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (is_known(&shares[i]) && shares[i].curve->refs_per_s > high)
			high = shares[i].curve->refs_per_s;
	/* Above every slope: nobody buys a page that brings less than all hits. */
	high = 2 * high + 1;
	for (unsigned i = 0; i < PRICE_STEPS && demand(shares, n, low) > spare; i++) {
		double mid = low + (high - low) / 2;

		/* The first step down from a price of nothing has no lower neighbour yet. */
		if (demand(shares, n, mid) > spare)
			low = mid;
		else
			high = mid;
	}
	hand_out(shares, n, demand(shares, n, low) > spare ? high : low, low, spare);
	return true;
}
