/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/shares.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "random.h"

#define MIB ((uint64_t)1 << 20)

/* Straight to the knee, flat after it. */
static struct cvhrc_curve bent(uint64_t knee, uint64_t extent, double refs_per_s)
{
	return (struct cvhrc_curve){
		.refs_per_s = refs_per_s,
		.extent_bytes = extent,
		.page_bytes = 4096,
		.npoints = 3,
		.points = { { 0, 0 }, { knee, 0.9 }, { extent, 1.0 } },
	};
}

static uint64_t sum_of(const struct share *s, uint32_t n)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += s[i].ret_bytes;
	return sum;
}

Test(shares, enough_for_all)
{
	struct cvhrc_curve a = bent(100 * MIB, 200 * MIB, 1000);
	struct share s[2] = { { &a, 10 * MIB, 200 * MIB, 0 }, { NULL, 10 * MIB, 300 * MIB, 0 } };

	cr_expect(shares_divide(s, 2, 500 * MIB));
	cr_expect(s[0].ret_bytes == 200 * MIB && s[1].ret_bytes == 300 * MIB);
	cr_expect(shares_divide(s, 2, UINT64_MAX));
	cr_expect(shares_divide(s, 0, 0), "nobody");
}

Test(shares, the_steepest_curve_is_served_first)
{
	struct cvhrc_curve steep = bent(100 * MIB, 400 * MIB, 10000);
	struct cvhrc_curve flat = bent(100 * MIB, 400 * MIB, 100);
	struct share s[2] = { { &flat, 0, 400 * MIB, 0 }, { &steep, 0, 400 * MIB, 0 } };

	/* slopes: steep 90 to the knee and 3.3 after it, flat 0.9 and 0.03 */
	cr_expect(shares_divide(s, 2, 100 * MIB));
	cr_expect(s[1].ret_bytes == 100 * MIB && s[0].ret_bytes == 0);
	cr_expect(shares_divide(s, 2, 400 * MIB));
	cr_expect(s[1].ret_bytes == 400 * MIB && s[0].ret_bytes == 0, "%" PRIu64, s[0].ret_bytes);
	cr_expect(shares_divide(s, 2, 500 * MIB));
	cr_expect(s[1].ret_bytes == 400 * MIB && s[0].ret_bytes == 100 * MIB);
	cr_expect(shares_divide(s, 2, 50 * MIB));
	cr_expect(s[1].ret_bytes == 50 * MIB, "part of a step: what there is");
}

Test(shares, equals_keep_their_knees)
{
	struct cvhrc_curve a = bent(100 * MIB, 400 * MIB, 1000), b = bent(50 * MIB, 400 * MIB, 500);
	struct share s[2] = { { &a, 0, 400 * MIB, 0 }, { &b, 0, 400 * MIB, 0 } };

	cr_expect(shares_divide(s, 2, 150 * MIB));
	cr_expect(s[0].ret_bytes == 100 * MIB && s[1].ret_bytes == 50 * MIB);
}

Test(shares, the_least_is_kept)
{
	struct cvhrc_curve steep = bent(100 * MIB, 400 * MIB, 10000);
	struct cvhrc_curve flat = bent(100 * MIB, 400 * MIB, 100);
	struct share s[2] = { { &flat, 30 * MIB, 400 * MIB, 0 },
			      { &steep, 10 * MIB, 400 * MIB, 0 } };

	cr_expect(shares_divide(s, 2, 100 * MIB));
	cr_expect(s[0].ret_bytes == 30 * MIB && s[1].ret_bytes == 70 * MIB);
	cr_expect(!shares_divide(s, 2, 39 * MIB), "not even the least");
	cr_expect(s[0].ret_bytes == 30 * MIB && s[1].ret_bytes == 10 * MIB);
}

Test(shares, unknown_groups_share_evenly)
{
	struct share s[2] = { { NULL, 10 * MIB, 110 * MIB, 0 }, { NULL, 10 * MIB, 310 * MIB, 0 } };

	cr_expect(shares_divide(s, 2, 220 * MIB));
	cr_expect(s[0].ret_bytes >= 59 * MIB && s[0].ret_bytes <= 60 * MIB);
	cr_expect(s[1].ret_bytes >= 159 * MIB && s[1].ret_bytes <= 160 * MIB);
}

/*
 * No more than there is, everybody within its bounds, nothing left over that somebody would take.
 */
Test(shares, property)
{
	struct random_state r = { 77 };

	for (unsigned run = 0; run < 2000; run++) {
		enum { N = 5 };
		struct cvhrc_curve curves[N];
		struct share s[N];
		uint64_t total = random_below(&r, 2000) * MIB, least = 0;
		bool ok;

		for (unsigned i = 0; i < N; i++) {
			uint64_t extent = (2 + random_below(&r, 500)) * MIB;
			uint64_t knee = 1 + random_below(&r, extent - 1);

			curves[i] = bent(knee, extent, (double)random_below(&r, 1u << 20));
			s[i] = (struct share){ random_below(&r, 5) ? &curves[i] : NULL,
					       random_below(&r, 50) * MIB,
					       random_below(&r, 500) * MIB, 0 };
			least += s[i].least_bytes;
		}
		ok = shares_divide(s, N, total);
		cr_assert(ok == (least <= total));
		for (unsigned i = 0; i < N; i++) {
			cr_assert(s[i].ret_bytes >= s[i].least_bytes);
			cr_assert(s[i].ret_bytes <= s[i].least_bytes ||
				  s[i].ret_bytes <= s[i].most_bytes);
		}
		cr_assert(!ok || sum_of(s, N) <= total);
	}
}
