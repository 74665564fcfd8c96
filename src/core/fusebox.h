/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * p-Fusebox, Algorithm 1: score and size of one resource, and the limit that follows from them.
 *
 * Source: "p-Fusebox: orchestrating the resources of resident processes" (Choi, Kim, Jo, Park),
 * Algorithm 1. x_n is the usage now, x_{n-1} the usage before, y the limit; all in one unit, which
 * is the resource's: bytes, or a rate per second. Pure functions of their arguments, plain double arithmetic, no
 * contraction: the same numbers give the same bits. Every input is legal, 0 and 2^64-1 included;
 * no result is NaN or infinite.
 */
#ifndef PFUSE_CORE_FUSEBOX_H
#define PFUSE_CORE_FUSEBOX_H

#include <stdbool.h>
#include <stdint.h>

#define FUSEBOX_GROW_ABOVE 1.0
#define FUSEBOX_SHRINK_BELOW 0.5
#define FUSEBOX_TREND_MIN (-2.0)

enum fusebox_direction {
	FUSEBOX_SHRINK = -1,
	FUSEBOX_HOLD = 0,
	FUSEBOX_GROW = 1,
};

/* Where the limit may lie, and the share of it (permille) at which usage is said to be high. */
struct fusebox_bounds {
	uint64_t floor;
	uint64_t ceiling;
	uint64_t step_min; /* a growth by fusebox_grow() is no smaller, so that growths stay few */
	uint32_t high_water_permille;
};

struct fusebox {
	double score;
	uint64_t size;
	uint64_t y;	   /* the limit that the formula was given */
	uint64_t limit;	   /* the new limit, always within floor and ceiling */
	int32_t direction; /* enum fusebox_direction: what the rule asks for */
	bool clamped;	   /* floor or ceiling changed what the rule asked for */
};

double fusebox_score(uint64_t x, uint64_t x_prev, uint64_t y);
uint64_t fusebox_size(uint64_t x, uint64_t x_prev, uint64_t y);

/* The smallest limit under which usage x is still below the high-water mark. */
uint64_t fusebox_mark(uint64_t x, uint32_t high_water_permille);

/* One periodic sample: Algorithm 1 to the letter. */
struct fusebox fusebox_step(uint64_t x, uint64_t x_prev, uint64_t y,
			    const struct fusebox_bounds *bounds);

/* Usage at the high-water mark, or the limit was met: grows in any case, by the size or more. */
struct fusebox fusebox_grow(uint64_t x, uint64_t x_prev, uint64_t y,
			    const struct fusebox_bounds *bounds);

#endif
