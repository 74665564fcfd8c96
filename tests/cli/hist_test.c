/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The histogram: exact where it promises to be, within 1/16 elsewhere, at both ends of uint64_t. */
#include <stdlib.h>

#include <criterion/criterion.h>

#include "base/hist.h"

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t next(uint64_t *state) /* xorshift64 */
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	return *state ^= *state << 17;
}

Test(hist, nothing_recorded)
{
	struct hist h = { 0 };

	cr_assert_eq(hist_percentile(&h, 500), 0);
	hist_free(&h);
	cr_assert_null(h.counts);
}

Test(hist, one_value_is_every_percentile)
{
	static const uint64_t values[] = { 0,  1,  15,	 16,	    17,		31,
					   32, 33, 1000, 123456789, 1ULL << 63, UINT64_MAX };

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct hist h = { 0 };

		cr_assert_eq(hist_record(&h, values[i]), 0);
		for (unsigned permille = 0; permille <= 1000; permille += 250)
			cr_assert_eq(hist_percentile(&h, permille), values[i]);
		cr_assert_leq(h.noctaves, 1);
		hist_free(&h);
	}
}

Test(hist, exact_below_16)
{
	struct hist h = { 0 };

	for (uint64_t v = 1; v <= 10; v++)
		hist_record(&h, v);
	cr_assert_eq(hist_percentile(&h, 0), 1);
	cr_assert_eq(hist_percentile(&h, 100), 1);
	cr_assert_eq(hist_percentile(&h, 101), 2, "one permille more needs the next value");
	cr_assert_eq(hist_percentile(&h, 500), 5);
	cr_assert_eq(hist_percentile(&h, 990), 10);
	cr_assert_eq(hist_percentile(&h, 1000), 10);
	hist_free(&h);
}

Test(hist, both_ends_in_one_histogram)
{
	struct hist h = { 0 };

	hist_record(&h, UINT64_MAX);
	hist_record(&h, 0);
	cr_assert_eq(h.noctaves, 61);
	cr_assert_eq(hist_percentile(&h, 500), 0);
	cr_assert_eq(hist_percentile(&h, 501), UINT64_MAX);
	cr_assert_eq(h.min, 0);
	cr_assert_eq(h.max, UINT64_MAX);
	hist_free(&h);
}

Test(hist, percentiles_within_a_sixteenth_of_the_truth)
{
	uint64_t state = 88172645463325252ULL;

	for (unsigned round = 0; round < 200; round++) {
		size_t n = 1 + next(&state) % 500;
		uint64_t *values = malloc(n * sizeof(*values));
		struct hist h = { 0 };

		for (size_t i = 0; i < n; i++) {
			values[i] = next(&state) >> next(&state) % 64;
			cr_assert_eq(hist_record(&h, values[i]), 0);
		}
		qsort(values, n, sizeof(*values), compare);
		for (unsigned permille = 0; permille <= 1000; permille += 10) {
			size_t rank = (n * permille + 999) / 1000;
			uint64_t truth = values[rank ? rank - 1 : 0];
			uint64_t got = hist_percentile(&h, permille);

			cr_assert_geq(got, truth);
			cr_assert_leq(got - truth, truth / HIST_SUB);
		}
		cr_assert_eq(h.total, n);
		hist_free(&h);
		free(values);
	}
}

Test(hist, memory_follows_the_range_not_the_number)
{
	struct hist h = { 0 };

	for (uint64_t v = 1000; v <= 1000000; v += 7)
		hist_record(&h, v);
	cr_assert_leq(h.noctaves * HIST_SUB * sizeof(uint32_t), 704, "1 us to 1 ms in nanoseconds");
	hist_free(&h);
}
