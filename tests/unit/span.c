/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <criterion/criterion.h>

#include "core/span.h"

#define LAST (PFUSE_SPAN_BUCKETS - 1)

/* `count` values in bucket `bucket`, twice. */
struct row {
	struct {
		int bucket;
		uint32_t count;
	} fill[2];
	uint32_t permille;
	uint64_t expected;
	const char *why;
};

Test(span, quantiles)
{
	static const struct row table[] = {
		{ { { 0, 0 } }, 990, 0, "nothing was counted" },
		{ { { 0, 1 } }, 500, 1024, "one value: the end of its bucket" },
		{ { { 0, 4 } }, 500, 512, "half of a bucket" },
		{ { { 0, 4 } }, 0, 256, "rank 1 at least" },
		{ { { 1, 2 } }, 500, 1536, "bucket 1 begins at 1024" },
		{ { { 1, 2 } }, 1000, 2048, "and ends where bucket 2 begins" },
		{ { { 1, 2 } }, 9999, 2048, "more than all is all" },
		{ { { 0, 99 }, { 10, 1 } }, 990, 1024, "the 99th of 100 is still short" },
		{ { { 0, 98 }, { 10, 2 } },
		  990,
		  524288 + 262144,
		  "the 99th is the first long one" },
		{ { { 10, 1000000000 }, { 11, 1000000000 } }, 500, 1048576, "no overflow" },
		{ { { 0, UINT32_MAX }, { 22, UINT32_MAX } },
		  1000,
		  UINT64_C(1) << 32,
		  "nor at the most that fits" },
		{ { { LAST, 7 } }, 990, UINT64_C(1) << 32, "the last counts as its beginning" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		uint32_t buckets[PFUSE_SPAN_BUCKETS] = { 0 };

		for (int j = 0; j < 2; j++)
			buckets[table[i].fill[j].bucket] += table[i].fill[j].count;
		uint64_t got = span_quantile_ns(buckets, table[i].permille);

		cr_expect_eq(got, table[i].expected, "%s: %llu", table[i].why,
			     (unsigned long long)got);
	}
}

/* Of any histogram, quantiles rise with the share and at most that share lies above. */
Test(span, quantiles_and_what_is_above_agree)
{
	uint32_t seed = 1;

	for (int round = 0; round < 2000; round++) {
		uint32_t buckets[PFUSE_SPAN_BUCKETS] = { 0 };
		uint64_t before = 0;

		for (int i = 0; i < 6; i++) {
			seed = seed * 1664525 + 1013904223;
			buckets[seed >> 8 & 15] += seed >> 24;
		}
		for (uint32_t permille = 0; permille <= 1000; permille += 50) {
			uint64_t value = span_quantile_ns(buckets, permille);
			uint64_t above = span_above(buckets, value), count = span_count(buckets);

			cr_assert_geq(value, before);
			/*
			 * A whole nanosecond is less than two of at most 6 * 255 values within
			 * 1024 ns, and the part above is rounded down: less than three off.
			 */
			cr_assert_lt(above * 1000, count * (1000 - permille) + 3000, "%u: %llu",
				     permille, (unsigned long long)above);
			before = value;
		}
	}
}

Test(span, above)
{
	uint32_t buckets[PFUSE_SPAN_BUCKETS] = { [0] = 10, [3] = 8, [LAST] = 5 };

	cr_expect_eq(span_above(buckets, 0), 23);
	cr_expect_eq(span_above(buckets, 512), 18, "half of bucket 0");
	cr_expect_eq(span_above(buckets, 1024), 13);
	cr_expect_eq(span_above(buckets, 4096), 13, "bucket 3 begins there");
	cr_expect_eq(span_above(buckets, 6144), 9, "half of it");
	cr_expect_eq(span_above(buckets, 8192), 5);
	cr_expect_eq(span_above(buckets, UINT64_C(1) << 32), 0,
		     "the last counts as its beginning, so it does not exceed it");
	cr_expect_eq(span_above(buckets, UINT64_MAX), 0);
}

Test(span, differences_survive_the_wrap)
{
	struct pfuse_span before = { .wakeups = UINT32_MAX, .burst_ns = 5, .short_ns = 2, .late = 7 };
	struct pfuse_span now = { .wakeups = 4, .burst_ns = 9, .short_ns = 3, .migrations = 3, .late = 8 };

	before.wait[2] = UINT32_MAX - 1;
	now.wait[2] = 1;
	now.burst[LAST] = 6;
	span_since(&now, &before, &now);
	cr_expect_eq(now.wakeups, 5);
	cr_expect_eq(now.burst_ns, 4);
	cr_expect_eq(now.short_ns, 1);
	cr_expect_eq(now.migrations, 3);
	cr_expect_eq(now.wait[2], 3);
	cr_expect_eq(now.burst[LAST], 6);
	cr_expect_eq(now.late, 8);
}
