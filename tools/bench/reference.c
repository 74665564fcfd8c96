/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "reference.h"

#include <math.h>

/* splitmix64 (Steele, Lea, Flood) */
static uint64_t draw(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static uint32_t below(struct reference *reference, uint32_t n)
{
	return (uint32_t)((draw(&reference->state) >> 32) * n >> 32);
}

/* (exp(x) - 1) / x and log(1 + x) / x */
static double exp_ratio(double x)
{
	return fabs(x) > 1e-8 ? expm1(x) / x : 1 + x / 2;
}

static double log_ratio(double x)
{
	return fabs(x) > 1e-8 ? log1p(x) / x : 1 - x / 2;
}

/* The integral of x^-s from 1, and the x that it has a value at. */
static double area(const struct reference *reference, double x)
{
	return exp_ratio((1 - reference->exponent) * log(x)) * log(x);
}

static double at_area(const struct reference *reference, double area)
{
	double t = area * (1 - reference->exponent);

	return exp(log_ratio(t > -1 ? t : -1) * area);
}

static void open_zipf(struct reference *reference, double exponent, uint32_t ranks)
{
	reference->exponent = exponent;
	reference->ranks = ranks;
	reference->first = area(reference, 1.5) - 1;
	reference->last = area(reference, ranks + 0.5);
}

void reference_open(struct reference *reference, enum reference_kind kind, double exponent,
		   uint32_t pages, uint64_t seed)
{
	*reference = (struct reference){ .kind = kind, .pages = pages, .state = seed };
	if (kind == REFERENCE_ZIPF)
		open_zipf(reference, exponent, pages);
	if (kind == REFERENCE_MIX)
		open_zipf(reference, 0.99, pages / 2);
}

/* One to one, and the same for every seed: several processes have the same hot pages. */
static uint32_t place_of(uint32_t rank, uint32_t ranks)
{
	uint32_t bits = 32 - (uint32_t)__builtin_clz((ranks - 1) | 1), mask = (uint32_t)((1ull << bits) - 1);

	do {
		for (int i = 0; i < 3; i++) {
			rank = (rank * 0x9e3779b1u + 0x7f4a7c15u) & mask;
			rank ^= rank >> (bits + 1) / 2;
		}
	} while (rank >= ranks);
	return rank;
}

/* Rejection-inversion (Hoermann and Derflinger 1996): a rank at its area, or once more. */
static uint32_t next_zipf(struct reference *reference)
{
	for (;;) {
		double even = (double)(draw(&reference->state) >> 11) * 0x1p-53;
		double u = reference->last + even * (reference->first - reference->last);
		double rank = floor(at_area(reference, u) + 0.5);

		rank = fmin(fmax(rank, 1), reference->ranks);
		if (u >= area(reference, rank + 0.5) - pow(rank, -reference->exponent))
			return place_of((uint32_t)rank - 1, reference->ranks);
	}
}

static uint32_t next_in(struct reference *reference, uint32_t first, uint32_t count)
{
	return first + reference->next++ % count;
}

static uint32_t next_hotcold(struct reference *reference)
{
	uint32_t hot = reference->pages / 5;

	if (below(reference, 256))
		return below(reference, hot);
	return next_in(reference, hot, reference->pages - hot);
}

static uint32_t next_mix(struct reference *reference)
{
	uint32_t loop = reference->pages / 10, rest = reference->ranks + loop;

	switch (below(reference, 3)) {
	case 0:
		return next_in(reference, reference->ranks, loop);
	case 1:
		return next_zipf(reference);
	default:
		return rest + below(reference, reference->pages - rest);
	}
}

uint32_t reference_next(struct reference *reference)
{
	uint32_t half = reference->pages / 2;

	reference->made++;
	switch (reference->kind) {
	case REFERENCE_LOOP:
	case REFERENCE_SEQUENTIAL:
		return next_in(reference, 0, reference->pages);
	case REFERENCE_ZIPF:
		return next_zipf(reference);
	case REFERENCE_HOTCOLD:
		return next_hotcold(reference);
	case REFERENCE_PHASE:
		return below(reference, half) +
		       (reference->made / reference->period % 2 ? half : 0);
	case REFERENCE_MIX:
		return next_mix(reference);
	default:
		return below(reference, reference->pages);
	}
}
