/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/cvhrc.h"
#include "core/cvhrc_files.h"
#include "core/cvhrc_window.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"

#define PAGE ((uint64_t)4096)
#define SECOND 1000000000ull
#define EPOCH (SECOND / 4)

static struct cvhrc c; /* 61 KiB: not for a stack of Criterion's */
static struct cvhrc_curve curve;

static void start(void)
{
	struct cvhrc_setup setup = { .half_life_ns = UINT64_MAX };

	cvhrc_init(&c, &setup);
}

static void end(uint64_t pages)
{
	struct cvhrc_totals totals = { .length_ns = EPOCH, .pages = pages };

	cvhrc_end(&c, &totals);
}

/* `pages` arrive in each half, all touched. */
static void first_epoch(uint32_t pages)
{
	cvhrc_begin(&c, EPOCH);
	cvhrc_arrive(&c, CVHRC_MAPPED_EVEN, true, pages);
	cvhrc_arrive(&c, CVHRC_MAPPED_ODD, true, pages);
	end(2 * pages);
}

/* The next epoch touches all that the last one did. */
static void touch_again(uint32_t pages)
{
	uint16_t last = cvhrc_now(&c);

	if (cvhrc_begin(&c, EPOCH))
		last = cvhrc_renumber(&c, last);
	cvhrc_touch(&c, CVHRC_MAPPED_EVEN, last, pages);
	cvhrc_touch(&c, CVHRC_MAPPED_ODD, last, pages);
	end(2 * pages);
}

static uint64_t held(const struct cvhrc *state)
{
	uint64_t n = 0;

	for (unsigned p = 0; p < CVHRC_PLANES; p++)
		for (unsigned tag = 0; tag < CVHRC_TAGS; tag++)
			n += state->count[p][tag];
	return n;
}

/* What must hold for any curve whatever it was made from. */
static void expect_sane(const struct cvhrc_curve *k, const char *why)
{
	cr_expect(k->npoints > 0 && k->npoints <= CVHRC_POINTS_MAX, "%s: points", why);
	for (unsigned i = 0; i < k->npoints; i++) {
		const struct cvhrc_point *p = &k->points[i];

		cr_expect(isfinite(p->hit_ratio) && p->hit_ratio >= 0 && p->hit_ratio <= 1,
			  "%s: ratio %g", why, p->hit_ratio);
		if (i)
			cr_expect(p->hit_ratio >= p[-1].hit_ratio &&
					  p->size_bytes > p[-1].size_bytes,
				  "%s: point %u falls", why, i);
	}
	cr_expect(isfinite(k->error) && k->error >= 0 && k->error <= 1, "%s: error", why);
	cr_expect(isfinite(k->refs_per_s) && k->refs_per_s > 0, "%s: rate", why);
	cr_expect(k->cold_ratio >= 0 && k->cold_ratio <= 1, "%s: cold", why);
	cr_expect(k->refault_ratio >= 0 && k->refault_ratio <= 1, "%s: refaults", why);
	cr_expect(k->sampled_share >= 0 && k->sampled_share <= 1, "%s: share", why);
	cr_expect(k->need_bytes[0] <= k->need_bytes[1] && k->need_bytes[1] <= k->need_bytes[2],
		  "%s: needs ascend", why);
	for (unsigned i = 0; i < 8; i++) {
		double m = cvhrc_marginal(k, k->extent_bytes / 7 * i);

		cr_expect(isfinite(m) && m >= 0, "%s: marginal %g", why, m);
	}
}

Test(cvhrc, nothing_was_seen)
{
	start();
	cr_expect(!cvhrc_curve(&c, &curve), "before the first epoch");
	end(0);
	cr_expect(!cvhrc_curve(&c, &curve), "an end without a begin");
	first_epoch(100);
	cr_expect(!cvhrc_curve(&c, &curve), "the first epoch is the starting point");
	for (unsigned i = 0; i < 20; i++) {
		cvhrc_begin(&c, EPOCH);
		end(200);
	}
	cr_expect(!cvhrc_curve(&c, &curve), "nobody touched anything");
	cr_expect(held(&c) == 200);
}

Test(cvhrc, a_group_without_pages)
{
	start();
	for (unsigned i = 0; i < 20; i++) {
		cvhrc_begin(&c, EPOCH);
		end(0);
	}
	cr_expect(!cvhrc_curve(&c, &curve));
}

Test(cvhrc, one_page)
{
	start();
	cvhrc_begin(&c, EPOCH);
	cvhrc_arrive(&c, CVHRC_MAPPED_EVEN, true, 1);
	end(1);
	for (unsigned i = 0; i < 20; i++) {
		uint16_t last = cvhrc_now(&c);

		cvhrc_begin(&c, EPOCH);
		cvhrc_touch(&c, CVHRC_MAPPED_EVEN, last, 1);
		end(1);
	}
	cr_assert(cvhrc_curve(&c, &curve));
	expect_sane(&curve, "one page");
	cr_expect(curve.extent_bytes == PAGE);
	cr_expect(cvhrc_hit_ratio(&curve, PAGE) > 1 - 1e-9);
	cr_expect(cvhrc_hit_ratio(&curve, 0) == 0);
	cr_expect(curve.knee_below_resolution && curve.knee_bytes == PAGE, "one page at most");
	cr_expect(curve.refs_per_s == 4);
	cr_expect(curve.error == 1, "one half saw nothing: no estimate");
}

/* All pages in every epoch: everything hits at the size of all, and where below is not seen. */
Test(cvhrc, all_pages_each_epoch)
{
	start();
	first_epoch(5000);
	for (unsigned i = 0; i < 20; i++)
		touch_again(5000);
	cr_assert(cvhrc_curve(&c, &curve));
	expect_sane(&curve, "all pages");
	cr_expect(curve.resolution_bytes == 10000 * PAGE);
	cr_expect(curve.extent_bytes == 10000 * PAGE);
	cr_expect(cvhrc_hit_ratio(&curve, 10000 * PAGE) > 1 - 1e-9);
	cr_expect(curve.knee_below_resolution);
	cr_expect(curve.knee_bytes >= 10000 * PAGE, "an upper bound");
	cr_expect(curve.sampled_share == 1);
}

/*
 * The page counts of three epochs put each distance within known bounds, whatever u and w are
 * drawn.
 */
Test(cvhrc, a_distance_lies_between_what_is_certain)
{
	static const struct {
		unsigned back; /* epochs since the last touch */
		uint32_t least, most;
	} table[] = {
		{
			1,
			0,
			1000,
		},
		{ 2, 1000, 2000 },
		{ 3, 2000, 3000 },
		{ 8, 7000, 8000 },
	};

	for (unsigned t = 0; t < sizeof(table) / sizeof(table[0]); t++) {
		start();
		first_epoch(500);
		for (unsigned i = 1; i < 10; i++) {
			cvhrc_begin(&c, EPOCH);
			cvhrc_touch(&c, CVHRC_MAPPED_EVEN, CVHRC_NEVER, 500);
			cvhrc_touch(&c, CVHRC_MAPPED_ODD, CVHRC_NEVER, 500);
			end(1000 * (i + 1));
		}
		c.refs = c.cold = 0;
		cvhrc_begin(&c, EPOCH);
		cvhrc_touch(&c, CVHRC_MAPPED_EVEN, (uint16_t)(cvhrc_now(&c) - table[t].back), 500);
		end(10000);
		cr_assert(cvhrc_curve(&c, &curve));
		cr_expect(cvhrc_hit_ratio(&curve, table[t].least * PAGE * 98 / 100) < 0.03,
			  "%u back: none below %u", table[t].back, table[t].least);
		cr_expect(cvhrc_hit_ratio(&curve, table[t].most * PAGE * 102 / 100) > 0.97,
			  "%u back: all below %u", table[t].back, table[t].most);
	}
}

Test(cvhrc, new_pages_miss_at_any_size)
{
	start();
	first_epoch(10);
	for (unsigned i = 1; i <= 20; i++) {
		cvhrc_begin(&c, EPOCH);
		cvhrc_touch(&c, CVHRC_MAPPED_EVEN, CVHRC_NEVER, 50);
		cvhrc_touch(&c, CVHRC_MAPPED_ODD, CVHRC_NEVER, 50);
		end(20 + i * 100);
	}
	cr_assert(cvhrc_curve(&c, &curve));
	expect_sane(&curve, "new pages");
	cr_expect(curve.cold_ratio > 0.999);
	cr_expect(cvhrc_hit_ratio(&curve, UINT64_MAX) == 0);
	cr_expect(!curve.confident, "no knee without a hit");
}

/*
 * Of a page that came back without a place it is known that it was there: no cold miss, and no hit
 * here.
 */
Test(cvhrc, refaults_lie_above_the_extent)
{
	struct cvhrc_totals totals = { .length_ns = EPOCH, .pages = 200, .refaults = 10 };

	start();
	first_epoch(100);
	for (unsigned i = 0; i < 20; i++) {
		uint16_t last = cvhrc_now(&c);

		cvhrc_begin(&c, EPOCH);
		cvhrc_touch(&c, CVHRC_MAPPED_EVEN, last, 90);
		cvhrc_leave(&c, CVHRC_MAPPED_EVEN, last, 10);
		cvhrc_touch(&c, CVHRC_MAPPED_EVEN, CVHRC_NEVER, 10);
		cvhrc_touch(&c, CVHRC_MAPPED_ODD, last, 100);
		cvhrc_end(&c, &totals);
	}
	cr_assert(cvhrc_curve(&c, &curve));
	expect_sane(&curve, "refaults");
	cr_expect(fabs(curve.refault_ratio - 0.05) < 0.001, "%g", curve.refault_ratio);
	cr_expect(curve.cold_ratio < 0.001, "%g", curve.cold_ratio);
	cr_expect(fabs(cvhrc_hit_ratio(&curve, curve.extent_bytes) - 0.95) < 0.001);
}

Test(cvhrc, swapped_pages_keep_their_place)
{
	struct cvhrc_totals totals = { .length_ns = EPOCH, .pages = 2000, .swapped_pages = 2000 };

	start();
	first_epoch(1000);
	for (unsigned i = 0; i < 20; i++) {
		cvhrc_begin(&c, EPOCH);
		cvhrc_end(&c, &totals);
	}
	cvhrc_begin(&c, EPOCH);
	cvhrc_touch(&c, CVHRC_MAPPED_EVEN, 2, 1000);
	totals.swapped_pages = 1000;
	cvhrc_end(&c, &totals);
	cr_assert(cvhrc_curve(&c, &curve));
	expect_sane(&curve, "swapped");
	cr_expect(curve.extent_bytes == 2000 * PAGE && curve.resident_bytes == 1000 * PAGE);
	cr_expect(cvhrc_hit_ratio(&curve, curve.extent_bytes) > 1 - 1e-9,
		  "a miss by size, not a cold one");
}

Test(cvhrc, what_cannot_be_cleared_is_always_in_use)
{
	struct cvhrc_totals totals = { .length_ns = EPOCH,
				       .pages = 3000,
				       .unclearable_pages = 1000 };

	start();
	first_epoch(1000);
	for (unsigned i = 0; i < 20; i++) {
		uint16_t last = cvhrc_now(&c);

		cvhrc_begin(&c, EPOCH);
		cvhrc_touch(&c, CVHRC_MAPPED_EVEN, last, 1000);
		cvhrc_touch(&c, CVHRC_MAPPED_ODD, last, 1000);
		cvhrc_end(&c, &totals);
	}
	cr_assert(cvhrc_curve(&c, &curve));
	expect_sane(&curve, "unclearable");
	cr_expect(curve.unclearable_bytes == 1000 * PAGE);
	cr_expect(cvhrc_hit_ratio(&curve, 1000 * PAGE) < 0.02);
	cr_expect(cvhrc_hit_ratio(&curve, 3000 * PAGE) > 1 - 1e-9);
	cr_expect(curve.extent_bytes == 3000 * PAGE && curve.resolution_bytes == 3000 * PAGE);
}

Test(cvhrc, processes_join_and_leave)
{
	start();
	first_epoch(100);
	cvhrc_begin(&c, EPOCH);
	cvhrc_arrive(&c, CVHRC_MAPPED_EVEN, true, 50);
	cvhrc_arrive(&c, CVHRC_MAPPED_ODD, false, 50);
	end(300);
	cr_expect(held(&c) == 300 && c.count[CVHRC_MAPPED_ODD][CVHRC_BEFORE] == 50);
	cr_expect(c.refs == 0, "who joins makes no reference");
	cvhrc_begin(&c, EPOCH);
	cvhrc_touch(&c, CVHRC_MAPPED_EVEN, 2, 60);
	cvhrc_leave(&c, CVHRC_MAPPED_EVEN, cvhrc_now(&c), 60);
	cvhrc_leave(&c, CVHRC_MAPPED_EVEN, 3, 50);
	cvhrc_leave(&c, CVHRC_MAPPED_ODD, CVHRC_BEFORE, 50);
	cvhrc_leave(&c, CVHRC_MAPPED_ODD, CVHRC_NEVER, 50);
	end(140);
	cr_expect(held(&c) == 140, "%" PRIu64, held(&c));
	cvhrc_begin(&c, EPOCH);
	cvhrc_leave(&c, CVHRC_MAPPED_EVEN, 2, 4000000000u);
	cvhrc_leave(&c, CVHRC_MAPPED_ODD, CVHRC_TAGS + 7, 100);
	end(0);
	cr_expect(held(&c) == 100, "no more than there were: %" PRIu64, held(&c));
}

/*
 * Tags are renumbered before they run out: counts and order stay, and the newest epochs are not
 * merged.
 */
Test(cvhrc, tags_never_run_out)
{
	enum { PAGES = 3000 };
	uint16_t tag[PAGES];
	unsigned renumbered = 0;

	start();
	cvhrc_begin(&c, EPOCH);
	cvhrc_arrive(&c, CVHRC_MAPPED_EVEN, false, PAGES);
	end(PAGES);
	for (unsigned i = 0; i < PAGES; i++)
		tag[i] = CVHRC_BEFORE;
	for (unsigned e = 0; e < 5000; e++) {
		unsigned page = e % PAGES;

		if (cvhrc_begin(&c, EPOCH)) {
			renumbered++;
			for (unsigned i = 0; i < PAGES; i++)
				tag[i] = cvhrc_renumber(&c, tag[i]);
			for (unsigned i = 1; i < PAGES && e < PAGES; i++)
				cr_assert(i >= page || tag[i] >= tag[i - 1], "order of %u", i);
			for (unsigned i = 1; i < 190; i++)
				cr_assert(tag[(page + PAGES - i) % PAGES] == cvhrc_now(&c) - i);
			cr_assert(cvhrc_now(&c) > 192 + 80, "%u tags: merged too far",
				  cvhrc_now(&c));
			cr_assert(c.count[CVHRC_MAPPED_EVEN][CVHRC_FIRST] <= 1, "not merged into");
		}
		cr_assert(cvhrc_now(&c) < CVHRC_TAGS);
		cvhrc_touch(&c, CVHRC_MAPPED_EVEN, tag[page], 1);
		tag[page] = cvhrc_now(&c);
		end(PAGES);
		cr_assert(held(&c) == PAGES);
	}
	cr_expect(renumbered >= 5 && renumbered < 20, "%u", renumbered);
	for (unsigned i = 0; i < PAGES; i++)
		c.count[CVHRC_MAPPED_EVEN][tag[i]]--;
	cr_expect(held(&c) == 0, "each tag's count is that of the pages that carry it");
}

Test(cvhrc, another_length_of_epochs_begins_anew_but_keeps_the_places)
{
	start();
	first_epoch(100);
	touch_again(100);
	cr_assert(cvhrc_curve(&c, &curve));
	cvhrc_begin(&c, 2 * EPOCH);
	end(200);
	cr_expect(!cvhrc_curve(&c, &curve));
	cr_expect(held(&c) == 200);
}

Test(cvhrc, an_epoch_after_a_pause_sets_places_only)
{
	struct cvhrc_totals totals = { .length_ns = EPOCH, .pages = 200, .blurred = true };

	start();
	first_epoch(100);
	cvhrc_begin(&c, EPOCH);
	cvhrc_touch(&c, CVHRC_MAPPED_EVEN, 2, 100);
	cvhrc_end(&c, &totals);
	cr_expect(!cvhrc_curve(&c, &curve));
	cr_expect(c.count[CVHRC_MAPPED_EVEN][3] == 100);
}

Test(cvhrc, a_half_life_halves)
{
	struct cvhrc_setup setup = { .half_life_ns = 10 * SECOND };
	struct cvhrc_totals totals = { .length_ns = 10 * SECOND, .pages = 200 };
	double before;

	cvhrc_init(&c, &setup);
	first_epoch(100);
	touch_again(100);
	before = c.refs;
	cvhrc_begin(&c, EPOCH);
	cvhrc_end(&c, &totals);
	cr_expect(fabs(c.refs / before - 0.5) < 1e-5, "%g", c.refs / before);
	totals.length_ns = UINT64_MAX;
	cvhrc_begin(&c, EPOCH);
	cvhrc_end(&c, &totals);
	cr_expect(!cvhrc_curve(&c, &curve), "all is forgotten, and no number is broken");
	touch_again(100);
	cr_expect(c.refs == 0, "the tag before last holds them now");
}

static void random_calls(struct random_state *r)
{
	uint32_t n = (uint32_t)random_size(r);
	enum cvhrc_plane plane = (enum cvhrc_plane)random_below(r, CVHRC_PLANES);
	uint16_t tag = (uint16_t)random_below(r, CVHRC_TAGS + 2);

	switch (random_below(r, 4)) {
	case 0:
		cvhrc_arrive(&c, plane, random_below(r, 2), n);
		break;
	case 1:
		cvhrc_leave(&c, plane, tag, n);
		break;
	case 2:
		cvhrc_touch(&c, plane, (uint16_t)(cvhrc_now(&c) - random_below(r, 4)), n);
		break;
	default:
		cvhrc_touch(&c, plane, tag, n);
	}
}

static void random_totals(struct random_state *r, struct cvhrc_totals *t)
{
	t->length_ns = random_size(r);
	t->pages = random_size(r);
	t->swapped_pages = random_size(r);
	t->unclearable_pages = random_size(r);
	t->refaults = random_size(r);
	t->spent_ns = random_size(r);
	t->file_threshold = (uint32_t)random_size(r);
	t->blurred = random_below(r, 8) == 0;
}

/* Whatever is told, in whatever order: a curve that is none of this world is still a curve. */
Test(cvhrc, any_numbers_give_a_curve)
{
	struct random_state r = { 20260101 };
	unsigned curves = 0;

	for (unsigned run = 0; run < 60; run++) {
		struct cvhrc_setup setup = {
			.page_bytes = (uint32_t)random_size(&r),
			.knee_slope_permille = (uint32_t)random_size(&r),
			.budget_permille = (uint32_t)random_size(&r),
			.half_life_ns = random_size(&r),
			.seed = random_u64(&r),
		};

		cvhrc_init(&c, &setup);
		for (unsigned e = 0; e < 40; e++) {
			struct cvhrc_totals totals;
			struct cvhrc_advice advice;

			cvhrc_begin(&c, run % 4 ? EPOCH : random_size(&r));
			for (unsigned i = 0; i < 6; i++)
				random_calls(&r);
			random_totals(&r, &totals);
			cvhrc_end(&c, &totals);
			if (cvhrc_curve(&c, &curve)) {
				expect_sane(&curve, "random");
				curves++;
			}
			cvhrc_advise(&c, (uint32_t)random_size(&r), &advice);
			cr_expect(advice.epoch_ns >= EPOCH && advice.epoch_ns <= 4 * SECOND);
			cr_expect(advice.rate >= 1 && advice.rate <= 1u << 20 &&
					  (advice.rate & (advice.rate - 1)) == 0,
				  "rate %u", advice.rate);
			cr_expect(advice.pause_ns <= 300 * SECOND);
		}
	}
	cr_expect(curves > 500, "%u", curves);
}

Test(cvhrc, the_same_calls_give_the_same_bits)
{
	static struct cvhrc first;

	for (unsigned run = 0; run < 2; run++) {
		struct random_state r = { 7 };

		start();
		for (unsigned e = 0; e < 50; e++) {
			struct cvhrc_totals totals;

			cvhrc_begin(&c, EPOCH);
			for (unsigned i = 0; i < 6; i++)
				random_calls(&r);
			random_totals(&r, &totals);
			cvhrc_end(&c, &totals);
		}
		if (run == 0)
			first = c;
	}
	cr_expect(memcmp(&first, &c, sizeof(c)) == 0);
}

/*
 * uniform: the slope is even; more of the same memory is worth as much, up to the end and no
 * further
 */
Test(cvhrc, marginal_hits)
{
	static const struct cvhrc_curve k = {
		.refs_per_s = 1000,
		.resolution_bytes = 100 * PAGE,
		.extent_bytes = 1000 * PAGE,
		.page_bytes = PAGE,
		.npoints = 3,
		.points = { { 0, 0 }, { 500 * PAGE, 0.9 }, { 1000 * PAGE, 1.0 } },
	};

	cr_expect(fabs(cvhrc_marginal(&k, 200 * PAGE) - 1.8) < 1e-9);
	cr_expect(fabs(cvhrc_marginal(&k, 600 * PAGE) - 0.2) < 1e-9);
	cr_expect(fabs(cvhrc_marginal(&k, 0) - 1.8) < 1e-9, "below the resolution: up to there");
	cr_expect(cvhrc_marginal(&k, 1000 * PAGE) == 0);
	cr_expect(cvhrc_marginal(&k, UINT64_MAX) == 0);
	cr_expect(cvhrc_hit_ratio(&k, 250 * PAGE) == 0.45);
}

/*
 * Runs epochs in which `touched` sampled pages are touched and the scan takes spent_ns; then asks.
 */
static struct cvhrc_advice advised(uint64_t pages, uint32_t sampled, uint32_t touched,
				   uint64_t spent_ns, uint64_t epoch_ns, uint32_t rate)
{
	struct cvhrc_totals totals = { .length_ns = epoch_ns,
				       .pages = pages,
				       .spent_ns = spent_ns };
	struct cvhrc_advice a;

	start();
	cvhrc_begin(&c, epoch_ns);
	cvhrc_arrive(&c, CVHRC_MAPPED_EVEN, true, sampled / 2);
	cvhrc_arrive(&c, CVHRC_MAPPED_ODD, true, sampled / 2);
	cvhrc_end(&c, &totals);
	for (unsigned i = 0; i < 12; i++) {
		cvhrc_begin(&c, epoch_ns);
		cvhrc_touch(&c, CVHRC_MAPPED_EVEN, i ? (uint16_t)(cvhrc_now(&c) - 1) : 2,
			    touched / 2);
		cvhrc_touch(&c, CVHRC_MAPPED_ODD, i ? (uint16_t)(cvhrc_now(&c) - 1) : 2,
			    touched / 2);
		cvhrc_end(&c, &totals);
	}
	cvhrc_advise(&c, rate, &a);
	return a;
}

Test(cvhrc, advice)
{
	static const struct {
		uint64_t pages;
		uint32_t sampled, touched;
		uint64_t spent_ns, epoch_ns;
		uint32_t rate;
		uint64_t to_epoch_ns;
		uint32_t to_rate;
		bool pause;
		const char *why;
	} table[] = {
		{ 8000, 8000, 100, 1000, SECOND / 2, 1, EPOCH, 1, false,
		  "small: all pages; the knee is below the resolution, which is cheap to refine" },
		{ 8000, 8000, 100, 1000, EPOCH, 1, EPOCH, 1, false, "no finer than that" },
		{ 8000, 500, 100, 1000, EPOCH, 16, EPOCH, 1, false, "small: no need to sample" },
		{ 262144, 65536, 100, 100000000, EPOCH, 4, EPOCH, 8, false,
		  "too dear: fewer pages" },
		{ 262144, 32768, 100, 4000000, EPOCH, 8, 2 * EPOCH, 8, false,
		  "too dear with a small sample: longer epochs" },
		{ 262144, 32768, 100, 8000000, 2 * EPOCH, 8, 2 * EPOCH, 16, false,
		  "too dear with them: a smaller sample" },
		{ 262144, 16384, 100, 30000000, 2 * EPOCH, 8, 4 * SECOND, 8, false,
		  "far too dear: that is not the sample, so as long as is needed" },
		{ 262144, 16384, 100, 100000000, 4 * SECOND, 16, 4 * SECOND, 16, true,
		  "too dear at the longest: pauses" },
		{ 262144, 16384, 16000, 0, 2 * EPOCH, 16, 4 * EPOCH, 16, false,
		  "what the group pays counts: 16000 * 500 ns of 500 ms" },
		{ 262144, 32768, 800, 0, EPOCH, 8, EPOCH, 4, false,
		  "cheap: more pages, since few are in use" },
		{ 262144, 65536, 1500, 0, 2 * EPOCH, 4, EPOCH, 4, false,
		  "cheap with enough pages: shorter epochs" },
		{ 1u << 24, 65536, 100, 1000, EPOCH, 16, EPOCH, 256, false,
		  "64 GiB: no more tags than the caller has room for" },
	};

	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct cvhrc_advice a =
			advised(table[i].pages, table[i].sampled, table[i].touched,
				table[i].spent_ns, table[i].epoch_ns, table[i].rate);

		cr_expect(a.epoch_ns == table[i].to_epoch_ns, "%s: epoch %" PRIu64, table[i].why,
			  a.epoch_ns);
		cr_expect(a.rate == table[i].to_rate, "%s: rate %u", table[i].why, a.rate);
		cr_expect((a.pause_ns > 0) == table[i].pause, "%s: pause %" PRIu64, table[i].why,
			  a.pause_ns);
	}
}

/* A change is seen for eight epochs before the next one. */
Test(cvhrc, advice_waits)
{
	struct cvhrc_advice a = advised(262144, 65536, 100, 100000000, EPOCH, 4);

	cr_assert(a.rate == 8);
	for (unsigned i = 0; i < 8; i++) {
		cvhrc_advise(&c, 8, &a);
		cr_expect(a.rate == 8, "epoch %u", i);
		touch_again(50);
	}
}

/* The pause makes the whole as cheap as the budget says: nine scans for eight epochs and a pause. */
Test(cvhrc, a_pause_keeps_the_budget)
{
	struct cvhrc_totals blurred = { .length_ns = EPOCH, .pages = 262144, .blurred = true };
	struct cvhrc_advice a = advised(262144, 16384, 0, 100000000, 4 * SECOND, 16);

	/* nothing touched: no curve, no advice but what it was */
	cr_expect(a.pause_ns == (90 - 32) * SECOND, "%" PRIu64, a.pause_ns);
	cvhrc_begin(&c, 4 * SECOND);
	cvhrc_end(&c, &blurred);
	for (unsigned i = 0; i < 9; i++) {
		struct cvhrc_totals totals = { .length_ns = 4 * SECOND,
					       .pages = 262144,
					       .spent_ns = 100000000 };

		cvhrc_advise(&c, 16, &a);
		cr_expect((a.pause_ns > 0) == (i == 8), "epoch %u after a pause: %" PRIu64, i,
			  a.pause_ns);
		cvhrc_begin(&c, 4 * SECOND);
		cvhrc_end(&c, &totals);
	}
}

static void expect_counted(double refs, double vague)
{
	cr_expect(fabs(c.refs - refs) < 1e-6, "%g references, not %g", c.refs, refs);
	cr_expect(fabs(c.vague - vague) < 1e-6, "%g vague, not %g", c.vague, vague);
}

/* What was touched in a pause has no order: how far apart that lies is not guessed. */
Test(cvhrc, a_page_of_the_pause_is_vague_until_it_comes_back)
{
	struct cvhrc_totals blurred = { .length_ns = SECOND, .pages = 200, .blurred = true };

	start();
	first_epoch(100);
	touch_again(100);
	expect_counted(200, 200);
	touch_again(100);
	expect_counted(400, 200);
	cvhrc_begin(&c, EPOCH);
	cvhrc_touch(&c, CVHRC_MAPPED_EVEN, (uint16_t)(cvhrc_now(&c) - 1), 50);
	cvhrc_end(&c, &blurred);
	expect_counted(400, 200);
	cvhrc_begin(&c, EPOCH);
	cvhrc_touch(&c, CVHRC_MAPPED_EVEN, (uint16_t)(cvhrc_now(&c) - 1), 50);
	cvhrc_touch(&c, CVHRC_MAPPED_ODD, (uint16_t)(cvhrc_now(&c) - 2), 50);
	end(200);
	expect_counted(500, 250);
	cvhrc_begin(&c, EPOCH);
	cvhrc_touch(&c, CVHRC_MAPPED_EVEN, (uint16_t)(cvhrc_now(&c) - 1), 50);
	end(200);
	expect_counted(550, 250);
}

/*
 * Even use, at any rate, against its closed form; a sweep, which touches nothing twice; and numbers that
 * cannot be.
 */
Test(cvhrc, within_one_epoch)
{
	static const double rates[] = { 0.05, 0.2, 0.5, 1 };
	static struct cvhrc_window window;

	for (unsigned i = 0; i < 4; i++) {
		double r = rates[i], one = 1e5 * (1 - exp(-r)), two = 1e5 * (1 - exp(-2 * r));
		double four = 1e5 * (1 - exp(-4 * r)), both = 2 * one - two;
		double near = 1e5 * (1 - exp(-r) - r * exp(-r));

		cvhrc_window_open(&window, one, two, four, both);
		cr_expect(fabs(window.share / (near / both) - 1) < 0.12, "rate %g: share %g of %g",
			  r, window.share, near / both);
		for (double g = 0.25; g < 1; g += 0.25) {
			double hits = 1e5 * (1 - exp(-r * g) - r * g * exp(-r * g)) / near;
			double pages = 1e5 * (1 - exp(-r * g));

			/* The farther below, the more is guessed. */
			cr_expect(fabs(cvhrc_window_pages(&window, hits) / pages - 1) <
					  (g < 0.5 ? 0.25 : 0.1),
				  "rate %g, %g of an epoch: %g pages of %g", r, g,
				  cvhrc_window_pages(&window, hits), pages);
		}
	}
	cvhrc_window_open(&window, 1000, 2000, 4000, 50);
	cr_expect(window.share == 0, "a sweep");
	cvhrc_window_open(&window, 1000, 900, 4000, 50);
	cr_expect(window.share == 0, "fewer in more time");
	cvhrc_window_open(&window, 1000, INFINITY, NAN, 50);
	cr_expect(window.share == 0);
	cvhrc_window_open(&window, 1000, 1001, 1002, 999);
	cr_expect(window.share > 0 && window.share <= 1 && cvhrc_window_pages(&window, 1) <= 1000 &&
		  cvhrc_window_pages(&window, 0) == 0);
}

Test(cvhrc, files_table)
{
	static struct cvhrc_files files;
	struct random_state r = { 99 };
	uint32_t threshold = UINT32_MAX;

	start();
	cvhrc_files_init(&files);
	for (unsigned e = 0; e < 900; e++) {
		struct cvhrc_totals totals = { .length_ns = EPOCH };
		uint64_t in_table = 0;

		if (cvhrc_begin(&c, EPOCH))
			cvhrc_files_renumber(&files, &c);
		for (unsigned i = 0; i < 300; i++) {
			uint32_t hash = (uint32_t)random_u64(&r);

			cvhrc_files_read(&files, &c, hash, true);
			cvhrc_files_read(&files, &c, hash, true);
		}
		cvhrc_files_read(&files, &c, 0, true);
		cvhrc_files_read(&files, &c, 1, true);
		totals.file_threshold = cvhrc_files_threshold(&files);
		cvhrc_end(&c, &totals);
		cr_assert(cvhrc_files_threshold(&files) <= threshold);
		threshold = cvhrc_files_threshold(&files);
		for (unsigned i = 0; i < CVHRC_FILES_SLOTS; i++) {
			cr_assert(files.hash[i] < threshold);
			in_table += files.hash[i] != 0;
		}
		cr_assert(in_table == files.used && files.used <= CVHRC_FILES_MAX);
		cr_assert(held(&c) == files.used, "%" PRIu64 " of %u", held(&c), files.used);
	}
	cr_expect(threshold < UINT32_MAX / 20, "270,000 pages, 6,144 in the sample");
	cr_expect(files.used > CVHRC_FILES_MAX * 9 / 10);
	cr_expect(fabs(c.file_pages / 270000 - 1) < 0.03, "%g", c.file_pages);
}

/* 1,000 pages in memory when we come: read for the first time they are no cold misses, others are. */
Test(cvhrc, files_that_were_in_memory_before)
{
	static struct cvhrc_files files;
	struct random_state r = { 7 };

	start();
	cvhrc_files_init(&files);
	for (unsigned e = 0; e < 8; e++) {
		struct cvhrc_totals totals = { .length_ns = EPOCH };

		cvhrc_begin(&c, EPOCH);
		if (e == 0)
			cvhrc_files_expect(&files, &c, 1000);
		for (unsigned i = 0; e > 0 && i < 200; i++)
			cr_assert(!cvhrc_files_read(&files, &c, (uint32_t)random_u64(&r), e > 5));
		totals.file_threshold = cvhrc_files_threshold(&files);
		cvhrc_end(&c, &totals);
		if (e < 6) {
			cr_expect(c.cold == 0, "%g", c.cold);
			cr_expect(c.file_pages > 999 && c.file_pages < 1080, "%g", c.file_pages);
		}
	}
	cr_expect(fabs(c.cold - 400) < 4, "%g", c.cold);
	cr_expect(fabs(c.file_pages - 1400) < 80, "%g", c.file_pages);
}

Test(cvhrc, a_lower_threshold_leaves_a_part_of_all)
{
	static struct cvhrc_files files;
	struct random_state r = { 8 };
	struct cvhrc_totals totals = { .length_ns = EPOCH };

	start();
	cvhrc_files_init(&files);
	for (unsigned e = 0; e < 3; e++) {
		cvhrc_begin(&c, EPOCH);
		if (e == 0)
			cvhrc_files_expect(&files, &c, 4000);
		for (unsigned i = 0; e == 1 && i < 2000; i++)
			cvhrc_files_read(&files, &c, (uint32_t)random_u64(&r), false);
		if (e == 2)
			cvhrc_files_lower(&files, &c, UINT32_MAX / 4);
		cvhrc_files_lower(&files, &c, UINT32_MAX); /* a higher one changes nothing */
		totals.file_threshold = cvhrc_files_threshold(&files);
		cvhrc_end(&c, &totals);
		cr_expect(fabs(c.file_pages - 4000) < 200, "epoch %u: %g", e, c.file_pages);
	}
	cr_expect_eq(cvhrc_files_threshold(&files), UINT32_MAX / 4);
	cr_expect(files.used > 400 && files.used < 600, "%u", files.used);
}
