/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A log2-linear histogram of 64-bit values: exact below 16, then 16 sub-buckets per octave, so a
 * percentile is at most 1/16 (6.25 %) above the value that was recorded. Whole range of uint64_t.
 *
 * Memory: this struct when empty; counts for the octaves between the smallest and the largest value
 * only (64 bytes each: 640 bytes for latencies from 1 µs to 1 ms), allocated when an octave is
 * first seen, never per value. Zero-initialised is empty; hist_free() makes it so again.
 */
#ifndef BASE_HIST_H
#define BASE_HIST_H

#include <stdint.h>

#define HIST_SUB 16 /* sub-buckets per octave */

struct hist {
	uint32_t *counts; /* HIST_SUB × noctaves, of octaves first, first + 1, … */
	uint16_t first;
	uint16_t noctaves;
	uint64_t total; /* values recorded */
	uint64_t min;
	uint64_t max;
};

/* 0, or -ENOMEM: the value is then not counted. */
int hist_record(struct hist *h, uint64_t value);

/*
 * The smallest recorded magnitude that at least `permille` of the values do not exceed: the upper
 * bound of its bucket, never outside [min, max]. 500: median; 990: p99. 0: nothing was recorded.
 */
uint64_t hist_percentile(const struct hist *h, unsigned permille);

void hist_free(struct hist *h);

#endif
