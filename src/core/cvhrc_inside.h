/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the parts of cvhrc share: cvhrc.c keeps tags and totals, cvhrc_count.c turns touches into
 * distances, cvhrc_curve.c makes the curve of them.
 *
 * The bins of the histograms: linear up to 2^bits pages, then 2^bits
 * per octave, up to 2^28 pages (1 TiB); the last bin is for what lies beyond.
 *
 * 128 per octave: a distance is known to 0.8 %, so a step of the curve is off by 0.4 % on average,
 * which leaves most of the 1 % that the curve may be off to the sampling.
 */
#ifndef PFUSE_CORE_CVHRC_INSIDE_H
#define PFUSE_CORE_CVHRC_INSIDE_H

#include <stdint.h>

#include "core/cvhrc.h"

/*
 * Epochs after a change of their length or of the rate in which what it brings is seen, before the next
 * one. What the first of them costs is not: places are found anew, all pages are counted.
 */
#define CVHRC_SETTLED 8

#define CVHRC_SOURCES (CVHRC_PLANES / 2) /* mapped and file: two planes (halves) each */

/*
 * At the end of an epoch, before the touched pages get their new tag: each becomes a reference.
 * weight: how many pages a sampled page of each source stands for in the whole sample. refaults:
 * see cvhrc_totals.
 */
void cvhrc_count(struct cvhrc *c, const double weight[CVHRC_SOURCES], uint64_t refaults);

#define CVHRC_BITS 7 /* of CVHRC_BINS */
#define CVHRC_HALF_BITS 5
#define CVHRC_BEYOND ((double)(1u << 28))

static inline unsigned cvhrc_bin(double pages, unsigned bits, unsigned bins)
{
	unsigned octave;
	uint32_t v;

	if (!(pages < CVHRC_BEYOND))
		return bins - 1;
	v = pages > 0 ? (uint32_t)pages : 0;
	if (v < 1u << bits)
		return v;
	octave = 31 - (unsigned)__builtin_clz(v) - bits;
	return ((octave + 1) << bits) + ((v >> octave) & ((1u << bits) - 1));
}

/* Its smallest distance. */
static inline double cvhrc_bin_low(unsigned bin, unsigned bits)
{
	unsigned octave = bin >> bits;
	uint64_t in = bin & ((1u << bits) - 1);

	return octave ? (double)(((1ull << bits) + in) << (octave - 1)) : (double)in;
}

#endif
