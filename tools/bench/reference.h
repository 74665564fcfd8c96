/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Strings of page references that can be made twice: once by a process that touches the pages, once by
 * whoever computes what the curve should have been. The same kind, pages and seed give the same string.
 *
 * Nothing but the structure is kept: a table would be memory of the process, in use and not in the string.
 */
#ifndef BENCH_REFERENCE_H
#define BENCH_REFERENCE_H

#include <stdint.h>

/*
 * uniform; loop: over all pages; zipf: by `exponent`, places scattered; sequential: as loop, but meant to
 * be so long that nothing comes twice; hotcold: 255 of 256 to a hot fifth, the rest sweeps the others; phase:
 * uniform in one half, after `period` references in the other; mix: a third each to a loop over a tenth,
 * a zipf 0.99 over half, and uniform over the rest.
 */
enum reference_kind {
	REFERENCE_UNIFORM,
	REFERENCE_LOOP,
	REFERENCE_ZIPF,
	REFERENCE_SEQUENTIAL,
	REFERENCE_HOTCOLD,
	REFERENCE_PHASE,
	REFERENCE_MIX,
};

struct reference {
	enum reference_kind kind;
	uint32_t pages;
	uint64_t state, made;
	uint64_t period;
	uint32_t next, ranks;
	double exponent;
	double first, last; /* of the areas of the ranks */
};

void reference_open(struct reference *reference, enum reference_kind kind, double exponent, uint32_t pages,
		    uint64_t seed);
uint32_t reference_next(struct reference *reference); /* 0 .. pages - 1 */

#endif
