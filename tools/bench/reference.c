/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "reference.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

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

/* The places do not depend on the seed: several processes have the same hot pages. */
static int open_zipf(struct reference *reference, double exponent, uint32_t ranks)
{
	uint64_t order = 12345;
	double sum = 0;

	reference->ranks = ranks;
	reference->sums = malloc(ranks * sizeof(*reference->sums));
	reference->places = malloc(ranks * sizeof(*reference->places));
	if (!reference->sums || !reference->places)
		return -ENOMEM;
	for (uint32_t i = 0; i < ranks; i++) {
		sum += pow(i + 1.0, -exponent);
		reference->sums[i] = sum;
		reference->places[i] = i;
	}
	for (uint32_t i = ranks - 1; i > 0; i--) {
		uint32_t j = (uint32_t)(draw(&order) % (i + 1)), swap = reference->places[i];

		reference->places[i] = reference->places[j];
		reference->places[j] = swap;
	}
	return 0;
}

int reference_open(struct reference *reference, enum reference_kind kind, double exponent,
		   uint32_t pages, uint64_t seed)
{
	*reference = (struct reference){ .kind = kind, .pages = pages, .state = seed };
	if (kind == REFERENCE_ZIPF)
		return open_zipf(reference, exponent, pages);
	return kind == REFERENCE_MIX ? open_zipf(reference, 0.99, pages / 2) : 0;
}

void reference_close(struct reference *reference)
{
	free(reference->sums);
	free(reference->places);
}

static uint32_t next_zipf(struct reference *reference)
{
	double at = (double)(draw(&reference->state) >> 11) * 0x1p-53 *
		    reference->sums[reference->ranks - 1];
	uint32_t low = 0, high = reference->ranks - 1;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (reference->sums[middle] <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return reference->places[low];
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
