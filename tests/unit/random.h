/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Random input for property tests: xorshift64 with a fixed seed, so that a failure can be repeated.
 */
#ifndef PFUSE_TEST_RANDOM_H
#define PFUSE_TEST_RANDOM_H

#include <stdint.h>

struct random_state {
	uint64_t x; /* not 0 */
};

static inline uint64_t random_u64(struct random_state *r)
{
	r->x ^= r->x << 13;
	r->x ^= r->x >> 7;
	r->x ^= r->x << 17;
	return r->x;
}

static inline uint64_t random_below(struct random_state *r, uint64_t n)
{
	return random_u64(r) % n;
}

/* Every magnitude is as likely as any other, and extremes are frequent. */
static inline uint64_t random_size(struct random_state *r)
{
	static const uint64_t extremes[] = { 0,		 1,	     4095,
					     4096,	 1ull << 53, (1ull << 53) + 1,
					     1ull << 62, 1ull << 63, UINT64_MAX - 1,
					     UINT64_MAX };
	uint64_t kind = random_below(r, 8);

	if (kind == 0)
		return extremes[random_below(r, sizeof(extremes) / sizeof(extremes[0]))];
	return random_u64(r) >> random_below(r, 64);
}

#endif
