/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "base/hist.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Octave 0 holds 0 … 15 one by one; octave n ≥ 1 holds 2^(n+3) … 2^(n+4) − 1 in 16 equal parts. */
#define SUB_BITS 4

static unsigned octave_of(uint64_t value)
{
	if (value < HIST_SUB)
		return 0;
	return 63 - __builtin_clzll(value) - SUB_BITS + 1;
}

static unsigned sub_of(uint64_t value, unsigned octave)
{
	return octave == 0 ? value : (value >> (octave - 1)) & (HIST_SUB - 1);
}

static uint64_t upper_bound(unsigned octave, unsigned sub)
{
	if (octave == 0)
		return sub;
	/* The last bucket of all ends at 2^64 − 1: the sum wraps to 0, minus 1 is right. */
	return ((uint64_t)(HIST_SUB + sub + 1) << (octave - 1)) - 1;
}

/* Makes the window [first, first + noctaves) contain `octave`; what was counted keeps its place. */
static int cover(struct hist *h, unsigned octave)
{
	unsigned first = h->noctaves && h->first < octave ? h->first : octave;
	unsigned last = h->noctaves ? h->first + h->noctaves - 1U : octave;
	unsigned noctaves = (last > octave ? last : octave) - first + 1;
	uint32_t *counts;

	if (noctaves == h->noctaves)
		return 0;
	counts = calloc(noctaves, HIST_SUB * sizeof(*counts));
	if (!counts)
		return -ENOMEM;
	if (h->noctaves)
		memcpy(counts + (size_t)(h->first - first) * HIST_SUB, h->counts,
		       (size_t)h->noctaves * HIST_SUB * sizeof(*counts));
	free(h->counts);
	h->counts = counts;
	h->first = first;
	h->noctaves = noctaves;
	return 0;
}

int hist_record(struct hist *h, uint64_t value)
{
	unsigned octave = octave_of(value);
	uint32_t *count;

	if (cover(h, octave) < 0)
		return -ENOMEM;
	count = &h->counts[(octave - h->first) * HIST_SUB + sub_of(value, octave)];
	if (*count == UINT32_MAX) /* 4 billion alike: one more changes no percentile */
		return 0;
	++*count;
	if (!h->total || value < h->min)
		h->min = value;
	if (!h->total || value > h->max)
		h->max = value;
	h->total++;
	return 0;
}

uint64_t hist_percentile(const struct hist *h, unsigned permille)
{
	uint64_t rank, seen = 0, bound;

	if (!h->total)
		return 0;
	/* ceil(total × permille / 1000) without overflow; the first value is rank 1. */
	rank = h->total / 1000 * permille + (h->total % 1000 * permille + 999) / 1000;
	if (rank < 1)
		rank = 1;
	for (unsigned i = 0; i < h->noctaves * HIST_SUB; i++) {
		seen += h->counts[i];
		if (seen < rank)
			continue;
		bound = upper_bound(h->first + i / HIST_SUB, i % HIST_SUB);
		if (bound < h->min)
			return h->min;
		return bound > h->max ? h->max : bound;
	}
	return h->max;
}

void hist_free(struct hist *h)
{
	free(h->counts);
	*h = (struct hist){ 0 };
}
