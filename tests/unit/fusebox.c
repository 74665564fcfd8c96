/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/fusebox.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "pfuse/sample.h"
#include "random.h"

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

static const struct fusebox_bounds wide = {
	.floor = 0, .ceiling = UINT64_MAX, .step_min = 4 * MIB, .high_water_permille = 900
};

/* Worked by hand from the paper's two lines; the fractions are exact in binary where it says ==. */
Test(fusebox, score_and_size_as_in_the_paper)
{
	static const struct {
		uint64_t x, x_prev, y;
		double score;
		uint64_t size;
		const char *why;
	} table[] = {
		{ 100, 50, 100, 2.0, 50, "doubled up to the limit: 1 + 0.5 * 2, |50 + 0|" },
		{ 100, 100, 100, 1.0, 0, "steady at the limit: exactly 1" },
		{ 100, 100, 200, 0.5, 30, "steady at half: exactly 0.5, |0 + 100 * 0.3|" },
		{ 75, 50, 100, 0.75 + (1 - 50.0 / 75.0) * 2, 32, "25 + 25 * 0.3 = 32.5" },
		{ 50, 100, 100, -1.5, 35, "halved: 0.5 - 2, |-50 + 15|" },
		{ 100, 130, 200, 0.5 + (1 - 1.3) * 2, 0, "the two parts of size cancel out" },
		{ 150, 150, 100, 1.5, 15, "above a soft limit: |-50 * 0.3|" },
		{ 0, 0, 100, 0.0, 30, "nothing used: no trend" },
		{ 0, 100, 100, -2.0, 70, "dropped to nothing: bounded trend, |-100 + 30|" },
		{ 1, 1000000, 100, 0.01 - 2.0, 999969, "collapse: bounded trend" },
		{ 100, 0, 100, 3.0, 100, "from nothing: the upper bound of the trend, 2" },
		{ 0, 0, 0, 0.0, 0, "all zero" },
		{ 8, 8, 0, 8.0, 2, "a limit of 0 counts as one byte: |-8 * 0.3| = 2.4" },
		{ UINT64_MAX, UINT64_MAX, UINT64_MAX, 1.0, 0, "the largest numbers" },
		{ 1ull << 63, 0, UINT64_MAX, 2.5, 0, "saturation; size checked below" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		double score = fusebox_score(table[i].x, table[i].x_prev, table[i].y);
		uint64_t size = fusebox_size(table[i].x, table[i].x_prev, table[i].y);

		cr_expect(score == table[i].score, "%s: score %.17g", table[i].why, score);
		if (table[i].size || table[i].x < 1ull << 63)
			cr_expect(size == table[i].size, "%s: size %" PRIu64, table[i].why, size);
	}
	cr_expect(fusebox_size(UINT64_MAX, 0, 0) > 1ull << 63, "0.7 of 2^64");
	cr_expect(fusebox_size(1ull << 63, 0, UINT64_MAX) > 1ull << 63, "2^63 * 1.3 fits in u64");
	cr_expect(fusebox_size(UINT64_MAX, 0, UINT64_MAX) == UINT64_MAX,
		  "2^64 does not: saturates");
}

Test(fusebox, step_moves_the_limit_by_size)
{
	static const struct {
		uint64_t x, x_prev, y, floor, ceiling, limit;
		int direction;
		bool clamped;
		const char *why;
	} table[] = {
		{ 100, 50, 100, 0, 1000, 150, 1, false, "grow by 50" },
		{ 100, 50, 100, 0, 120, 120, 1, true, "grow, cut at the ceiling" },
		{ 100, 100, 100, 0, 1000, 100, 0, false, "exactly 1.0 is not above 1.0" },
		{ 100, 100, 200, 0, 1000, 200, 0, false, "exactly 0.5 is not below 0.5" },
		{ 100, 100, 201, 0, 1000, 171, -1, false, "0.4975: shrink by 30.3" },
		{ 0, 0, 100, 0, 1000, 70, -1, false, "unused: shrink by 30" },
		{ 0, 0, 100, 90, 1000, 90, -1, true, "shrink, cut at the floor" },
		{ 101, 101, 100, 0, 1000, 100, 1, false, "1.01 asks for growth, by 0.3: nothing" },
		{ 0, 0, PFUSE_UNLIMITED, 0, 1000, 700, -1, false,
		  "unlimited counts as the ceiling" },
		{ 600, 600, PFUSE_UNLIMITED, 0, 1000, 1000, 0, false, "0.6 of the ceiling: hold" },
		{ 0, 1000, 100, 16, 1000, 16, -1, true,
		  "size above the limit: the floor, no wrap" },
		{ UINT64_MAX, 0, UINT64_MAX, 0, UINT64_MAX, UINT64_MAX, 1, false, "no wrap above" },
		{ 10, 10, 100, 500, 200, 200, -1, true, "floor above ceiling: the ceiling wins" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct fusebox_bounds b = { table[i].floor, table[i].ceiling, 4 * MIB, 900 };
		struct fusebox r = fusebox_step(table[i].x, table[i].x_prev, table[i].y, &b);

		cr_expect(r.limit == table[i].limit, "%s: limit %" PRIu64, table[i].why, r.limit);
		cr_expect(r.direction == table[i].direction, "%s: direction %d", table[i].why,
			  r.direction);
		cr_expect(r.clamped == table[i].clamped, "%s: clamped", table[i].why);
	}
}

Test(fusebox, the_trend_bound_decides_only_far_above_the_limit)
{
	/* x = 2.6 y, collapsed from 2.4 x: 2.6 - 2.8 would shrink, the bound's 2.6 - 2 holds */
	struct fusebox r = fusebox_step(260, 624, 100, &wide);

	cr_expect(r.direction == FUSEBOX_HOLD);
	/* below 2.5 y both shrink */
	r = fusebox_step(240, 576, 100, &wide);
	cr_expect(r.direction == FUSEBOX_SHRINK);
}

Test(fusebox, mark_is_the_first_limit_that_is_not_high)
{
	static const struct {
		uint64_t x;
		uint32_t permille;
		uint64_t mark;
		const char *why;
	} table[] = {
		{ 90, 900, 101, "90 of 100 is at the mark, 90 of 101 is not" },
		{ 91, 900, 102, "91 * 1000 / 900 = 101.1" },
		{ 0, 900, 1, "a limit of 0 is always high" },
		{ 100, 1000, 101, "1000: high means full" },
		{ UINT64_MAX, 900, UINT64_MAX, "saturates" },
		{ UINT64_MAX, 1000, UINT64_MAX, "saturates" },
		{ 5, 0, 5001, "0 permille counts as 1" },
	};
	struct random_state r = { 0x2545f4914f6cdd1dull };

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		cr_expect(fusebox_mark(table[i].x, table[i].permille) == table[i].mark,
			  "%s: %" PRIu64, table[i].why,
			  fusebox_mark(table[i].x, table[i].permille));
	for (int i = 0; i < 1000000; i++) {
		uint64_t x = random_u64(&r) >> (12 + random_below(&r, 52));
		uint32_t h = 1 + (uint32_t)random_below(&r, 1000);
		uint64_t y = fusebox_mark(x, h);
		__uint128_t used = (__uint128_t)x * 1000;

		if (used >= (__uint128_t)y * h || used < (__uint128_t)(y - 1) * h)
			cr_assert_fail("mark(%" PRIu64 ", %u) = %" PRIu64, x, h, y);
	}
}

Test(fusebox, an_event_grows_whatever_the_score)
{
	static const struct {
		uint64_t x, x_prev, y, ceiling, limit;
		const char *why;
	} table[] = {
		{ 58 * MIB, 10 * MIB, 64 * MIB, 64 * GIB, 64 * MIB + 52219084,
		  "the paper's size, 48 + 6 * 0.3 = 49.8 MiB, is more than the step" },
		{ 900 * MIB, 900 * MIB, 1000 * MIB, 64 * GIB, 1048576001 + 900 * MIB / 16,
		  "score 0.9 does not ask: usage / 0.9 + 1/16" },
		{ 18 * MIB, 18 * MIB, 20 * MIB, 64 * GIB, 20 * MIB + 1 + 4 * MIB,
		  "small: 4 MiB instead" },
		{ 10 * MIB, 10 * MIB, 10 * MIB, 12 * MIB, 12 * MIB, "cut at the ceiling" },
		{ 10 * MIB, 10 * MIB, PFUSE_UNLIMITED, 12 * MIB, 12 * MIB, "none left" },
		{ UINT64_MAX, 0, UINT64_MAX, UINT64_MAX, UINT64_MAX, "saturates" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct fusebox_bounds b = { 0, table[i].ceiling, 4 * MIB, 900 };
		struct fusebox r = fusebox_grow(table[i].x, table[i].x_prev, table[i].y, &b);

		cr_expect(r.limit == table[i].limit, "%s: limit %" PRIu64, table[i].why, r.limit);
		cr_expect(r.direction == FUSEBOX_GROW);
	}
}

Test(fusebox, always_finite_and_within_bounds)
{
	struct random_state rnd = { 88172645463325252ull };

	for (int i = 0; i < 1000000; i++) {
		uint64_t a = random_size(&rnd), b = random_size(&rnd);
		struct fusebox_bounds bounds = { a < b ? a : b, a < b ? b : a, 4 * MIB,
						 (uint32_t)random_below(&rnd, 1002) };
		uint64_t x = random_size(&rnd), x_prev = random_size(&rnd), y = random_size(&rnd);
		struct fusebox s = fusebox_step(x, x_prev, y, &bounds);
		struct fusebox g = fusebox_grow(x, x_prev, y, &bounds);
		uint64_t from = y < bounds.ceiling ? y : bounds.ceiling;

		if (!isfinite(s.score) || s.limit < bounds.floor || s.limit > bounds.ceiling ||
		    g.limit < bounds.floor || g.limit > bounds.ceiling || g.limit < from)
			cr_assert_fail("#%d x %" PRIu64 " x_prev %" PRIu64 " y %" PRIu64, i, x,
				       x_prev, y);
		/* Left of an event: below the mark, unless the ceiling forbids it. */
		if (g.limit < bounds.ceiling &&
		    g.limit < fusebox_mark(x, bounds.high_water_permille))
			cr_assert_fail("#%d: the mark is not armed again", i);
	}
}

/* A fused multiply-add would round once instead of twice, and differ in the last bit. */
Test(fusebox, same_bits_on_every_machine)
{
	static const struct {
		uint64_t x, x_prev, y, bits;
	} table[] = {
		{ 7, 3, 11, 0x3ffc77b03531dec0 },
		{ 1000003, 999979, 3000017, 0x3fd5561aee5ac069 },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		double score = fusebox_score(table[i].x, table[i].x_prev, table[i].y);
		uint64_t bits;

		memcpy(&bits, &score, sizeof(bits));
		cr_expect(bits == table[i].bits, "%016" PRIx64, bits);
	}
}
