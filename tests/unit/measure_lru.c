/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A curve from nothing but how many pages are in which of the kernel's generations. */
#include "daemon/measure_lru.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "random.h"

#define PAGES 20000u
#define HOT 5000u
#define EPOCH_NS 500000000ull
#define EPOCHS 60

static struct cvhrc c;
static uint32_t last[PAGES]; /* epoch of the last use; 0: none yet */

static struct lrugen_pages generations(uint32_t epoch, uint32_t pages)
{
	struct lrugen_pages g = { 0 };

	for (uint32_t i = 0; i < pages; i++)
		if (epoch && last[i] == epoch)
			g.touched++;
		else if (epoch && last[i] && last[i] + 1 == epoch)
			g.before++;
		else
			g.older++;
	return g;
}

/* Pages that were touched. */
static uint32_t end_epoch(uint32_t epoch, uint32_t pages)
{
	uint32_t touched = 0;
	struct lrugen_pages g = generations(epoch, pages);
	struct cvhrc_totals totals = { .length_ns = EPOCH_NS, .pages = measure_lru_pages(&g) };

	cvhrc_begin(&c, EPOCH_NS);
	measure_lru_feed(&c, &g);
	for (uint16_t tag = 0; tag < cvhrc_now(&c); tag++)
		touched += c.touched[CVHRC_MAPPED_EVEN][tag] + c.touched[CVHRC_MAPPED_ODD][tag];
	cvhrc_end(&c, &totals);
	return touched;
}

static void start(void)
{
	cvhrc_init(&c, &(struct cvhrc_setup){ 0 });
	memset(last, 0, sizeof(last));
	end_epoch(0, PAGES);
}

/* Half of a hot quarter in each epoch, and a hundredth as many of the rest. */
Test(measure_lru, a_hot_part_is_found)
{
	struct cvhrc_curve curve;
	struct random_state r = { 5 };

	start();
	for (uint32_t epoch = 1; epoch < EPOCHS; epoch++) {
		for (uint32_t i = 0; i < HOT * 7 / 10; i++)
			last[random_u64(&r) % HOT] = epoch;
		for (uint32_t i = 0; i < HOT / 200; i++)
			last[HOT + random_u64(&r) % (PAGES - HOT)] = epoch;
		end_epoch(epoch, PAGES);
		cr_assert(fabs((double)c.pages - PAGES) < 1);
	}
	cr_assert(cvhrc_curve(&c, &curve));
	cr_expect(fabs((double)curve.resolution_bytes / 4096 - 2540) < 100, "F1 is %lu pages",
		  curve.resolution_bytes / 4096);
	cr_expect(curve.cold_ratio < 0.001, "%g", curve.cold_ratio);
	cr_expect(curve.knee_bytes > HOT * 4096ull * 8 / 10 &&
			  curve.knee_bytes < HOT * 4096ull * 12 / 10,
		  "knee at %lu pages", curve.knee_bytes / 4096);
	cr_expect(cvhrc_hit_ratio(&curve, HOT * 4096ull) > 0.9, "%g",
		  cvhrc_hit_ratio(&curve, HOT * 4096ull));
	cr_expect(cvhrc_hit_ratio(&curve, PAGES * 4096ull) > 0.999);
	cr_expect(curve.sampled_share > 0.999);
}

/* Round and round, a tenth in each epoch: what comes back is the oldest. */
Test(measure_lru, a_loop_is_found)
{
	struct cvhrc_curve curve;

	start();
	for (uint32_t epoch = 1; epoch < EPOCHS; epoch++) {
		for (uint32_t i = 0; i < PAGES / 10; i++)
			last[(epoch * (PAGES / 10) + i) % PAGES] = epoch;
		end_epoch(epoch, PAGES);
	}
	cr_assert(cvhrc_curve(&c, &curve));
	cr_expect(curve.knee_bytes > PAGES * 4096ull * 9 / 10, "knee at %lu pages",
		  curve.knee_bytes / 4096);
	cr_expect(cvhrc_hit_ratio(&curve, PAGES * 4096ull / 2) < 0.2, "%g",
		  cvhrc_hit_ratio(&curve, PAGES * 4096ull / 2));
}

/* Pages that end are not taken for used ones. */
Test(measure_lru, what_goes_is_no_reference)
{
	struct random_state r = { 6 };
	uint32_t pages = PAGES;

	start();
	for (uint32_t epoch = 1; epoch < 20; epoch++) {
		uint32_t used = 0, touched;

		for (uint32_t i = 0; i < 1000; i++) {
			uint32_t page = (uint32_t)(random_u64(&r) % HOT);

			used += last[page] != epoch;
			last[page] = epoch;
		}
		pages -= 100; /* of those that nobody uses */
		touched = end_epoch(epoch, pages);
		cr_expect(touched <= used && touched > used * 8 / 10, "epoch %u: %u of %u", epoch,
			  touched, used);
	}
}
