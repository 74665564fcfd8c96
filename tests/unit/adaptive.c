/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/adaptive.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "core/orchestrator.h"
#include "random.h"

#define MIB ((uint64_t)1 << 20)
#define MS 1000000ull
#define SECOND 1000000000ull
#define GRACE (20 * SECOND)

static struct adaptive_setup defaults(void)
{
	struct adaptive_setup s = { 0 };

	adaptive_setup_complete(&s);
	return s;
}

static const struct adaptive_view view = {
	.usage_bytes = 400 * MIB,
	.floor_bytes = 16 * MIB,
	.ceiling_bytes = 4096 * MIB,
	.page_bytes = 4096,
};

Test(adaptive, target)
{
	static const struct {
		uint64_t need, share, unreclaimable, anon, swap_free, ceiling, target;
		const char *why;
	} table[] = {
		{ 100 * MIB, 0, 10 * MIB, 0, 0, 4096 * MIB, 125 * MIB, "knee and a quarter" },
		{ 100 * MIB, 0, 120 * MIB, 0, 0, 4096 * MIB, 136 * MIB,
		  "what cannot be reclaimed and the floor" },
		{ 0, 0, 20 * MIB, 0, 0, 4096 * MIB, 36 * MIB, "no curve" },
		{ 100 * MIB, 0, 0, 300 * MIB, 0, 4096 * MIB, 316 * MIB,
		  "no swap: anonymous stays" },
		{ 100 * MIB, 0, 0, 300 * MIB, 250 * MIB, 4096 * MIB, 125 * MIB, "swap for most" },
		{ 100 * MIB, 0, 0, 300 * MIB, 100 * MIB, 4096 * MIB, 216 * MIB, "swap for a part" },
		{ 100 * MIB, 80 * MIB, 0, 0, 0, 4096 * MIB, 80 * MIB, "memory is short" },
		{ 100 * MIB, 200 * MIB, 0, 0, 0, 4096 * MIB, 125 * MIB, "the share is no need" },
		{ 100 * MIB, 80 * MIB, 90 * MIB, 0, 0, 4096 * MIB, 106 * MIB,
		  "short, but what cannot be reclaimed stays" },
		{ 0, 80 * MIB, 0, 0, 0, 4096 * MIB, 16 * MIB, "no curve, short: the floor" },
		{ 100 * MIB, 0, 0, 0, 0, 90 * MIB, 90 * MIB, "the ceiling" },
		{ 1, 0, 1, 0, 0, 4096 * MIB, 16 * MIB + 4096, "whole pages" },
		{ UINT64_MAX, 0, 0, 0, 0, 4096 * MIB, 4096 * MIB, "absurd need" },
		{ 1, 0, UINT64_MAX, UINT64_MAX, 0, 4096 * MIB, 4096 * MIB, "absurd figures" },
	};
	struct adaptive_setup setup = defaults();

	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct pfuse_sample s = { .unreclaimable_bytes = table[i].unreclaimable,
					  .anon_bytes = table[i].anon,
					  .swap_free_bytes = table[i].swap_free };
		struct adaptive_need need = { .knee_bytes = table[i].need, .confident = true };
		struct adaptive_view v = view;
		struct adaptive a = { .share_bytes = table[i].share };
		uint64_t target;

		v.ceiling_bytes = table[i].ceiling;
		if (table[i].need)
			adaptive_need(&a, &setup, &need, SECOND);
		target = adaptive_target(&a, &setup, &v, &s, SECOND);
		cr_expect(target == table[i].target, "%s: %" PRIu64, table[i].why, target);
	}
}

Test(adaptive, which_needs_count)
{
	static const struct adaptive_need doubtful = { .knee_bytes = 50 * MIB };
	static const struct adaptive_need good = { .knee_bytes = 100 * MIB, .confident = true };
	static const struct adaptive_need blurred = { .knee_bytes = 10 * MIB,
						      .resolution_bytes = 40 * MIB,
						      .below_resolution = true,
						      .confident = true };
	struct adaptive_setup setup = defaults();
	struct pfuse_sample s = { 0 };
	struct adaptive a = { 0 };

	adaptive_need(&a, &setup, &doubtful, SECOND);
	cr_expect(adaptive_target(&a, &setup, &view, &s, SECOND) == 16 * MIB, "not confident");
	adaptive_need(&a, &setup, &good, SECOND);
	cr_expect(adaptive_target(&a, &setup, &view, &s, SECOND + setup.need_age_ns) == 125 * MIB);
	cr_expect(adaptive_target(&a, &setup, &view, &s, SECOND + setup.need_age_ns + 1) ==
			  16 * MIB,
		  "too old");
	adaptive_need(&a, &setup, &blurred, SECOND);
	cr_expect(adaptive_target(&a, &setup, &view, &s, SECOND) == 50 * MIB,
		  "below the resolution: that is the upper bound");
}

/* One group, step by step, with a kernel that does as it is told. */
struct rig {
	struct adaptive a;
	struct adaptive_setup setup;
	struct adaptive_view view;
	struct pfuse_sample s;
	uint64_t now_ns;
};

static void rig_open(struct rig *r, uint64_t usage, uint64_t knee)
{
	struct adaptive_need need = { .knee_bytes = knee, .confident = true };

	memset(r, 0, sizeof(*r));
	r->setup = defaults();
	r->view = view;
	r->view.usage_bytes = r->s.ram_usage_bytes = usage;
	r->s.anon_bytes = usage / 2;
	r->s.swap_free_bytes = 1024 * MIB;
	r->now_ns = 100 * SECOND;
	adaptive_start(&r->a, &r->setup, &r->s, GRACE, r->now_ns);
	if (knee)
		adaptive_need(&r->a, &r->setup, &need, r->now_ns);
}

static struct adaptive_step rig_sample(struct rig *r, uint64_t after_ns)
{
	r->now_ns += after_ns;
	r->view.usage_bytes = r->s.ram_usage_bytes;
	return adaptive_sample(&r->a, &r->setup, &r->view, &r->s, r->now_ns);
}

/* The grace passes, and the first step is taken. */
static struct adaptive_step rig_first_step(struct rig *r)
{
	struct adaptive_step step = { 0 };

	for (unsigned i = 0; i < 20; i++)
		step = rig_sample(r, SECOND);
	cr_assert(step.act == ADAPTIVE_SHRINK);
	r->s.ram_usage_bytes = step.to_bytes;
	adaptive_carried_out(&r->a, &r->setup, true, r->now_ns);
	return step;
}

Test(adaptive, no_step_in_the_grace)
{
	struct rig r;

	rig_open(&r, 400 * MIB, 100 * MIB);
	for (unsigned i = 0; i < 19; i++)
		cr_expect(rig_sample(&r, SECOND).act == ADAPTIVE_WAIT, "second %u", i + 1);
	cr_expect(rig_sample(&r, SECOND - 1).act == ADAPTIVE_WAIT, "1 ns before");
	cr_expect(rig_sample(&r, 1).act == ADAPTIVE_SHRINK, "at its end");
}

Test(adaptive, no_step_while_loading)
{
	struct rig r;

	rig_open(&r, 100 * MIB, 50 * MIB);
	for (unsigned i = 0; i < 60; i++) {
		r.s.ram_usage_bytes += r.s.ram_usage_bytes / 20;
		cr_expect(rig_sample(&r, SECOND).act == ADAPTIVE_WAIT, "second %u", i + 1);
	}
	rig_sample(&r, SECOND);
	cr_expect(rig_sample(&r, SECOND).act == ADAPTIVE_SHRINK, "loaded");
}

Test(adaptive, no_step_at_the_end_of_a_load_phase_that_the_grace_has_seen)
{
	struct rig r;

	rig_open(&r, 100 * MIB, 50 * MIB);
	for (unsigned i = 0; i < 18; i++)
		rig_sample(&r, SECOND);
	r.s.ram_usage_bytes += 4 * MIB;
	rig_sample(&r, SECOND);
	r.s.ram_usage_bytes += MIB; /* the rest of it: too little to count as growth */
	cr_expect(rig_sample(&r, SECOND).act == ADAPTIVE_WAIT, "the grace is over");
	cr_expect(rig_sample(&r, SECOND).act == ADAPTIVE_SHRINK, "2 s after the growth");
}

Test(adaptive, a_step_is_a_third_of_what_is_above)
{
	struct rig r;
	struct adaptive_step step;

	rig_open(&r, 275 * MIB, 100 * MIB);
	step = rig_first_step(&r);
	cr_expect(step.reason == PFUSE_WHY_NEED);
	cr_expect(step.target == 125 * MIB);
	cr_expect(step.to_bytes >= 275 * MIB - 50 * MIB && step.to_bytes < 275 * MIB - 49 * MIB,
		  "%" PRIu64, step.to_bytes);
}

Test(adaptive, no_step_takes_more_than_a_quarter)
{
	struct rig r;

	rig_open(&r, 2000 * MIB, 100 * MIB);
	cr_expect(rig_first_step(&r).to_bytes == 1500 * MIB);
}

Test(adaptive, converges_to_the_target_and_settles)
{
	struct rig r;
	struct adaptive_step step;
	unsigned steps = 1, seconds = 0;

	rig_open(&r, 400 * MIB, 100 * MIB);
	rig_first_step(&r);
	do {
		step = rig_sample(&r, SECOND);
		seconds++;
		if (step.act == ADAPTIVE_SHRINK) {
			steps++;
			r.s.ram_usage_bytes = step.to_bytes;
			adaptive_carried_out(&r.a, &r.setup, true, r.now_ns);
		}
	} while (step.act != ADAPTIVE_SETTLED && seconds < 100);
	cr_expect(seconds <= 40, "%u s", seconds);
	cr_expect(steps == r.a.steps && r.a.harms == 0);
	cr_expect(r.s.ram_usage_bytes >= 125 * MIB && r.s.ram_usage_bytes < 127 * MIB, "%" PRIu64,
		  r.s.ram_usage_bytes);
}

Test(adaptive, without_a_curve_it_feels_its_way)
{
	struct rig r;
	struct adaptive_step step;

	rig_open(&r, 400 * MIB, 0);
	step = rig_first_step(&r);
	cr_expect(step.reason == PFUSE_WHY_PROBE);
	cr_expect(step.to_bytes == 396 * MIB, "a hundredth");
}

/* A curve of 100 MiB of page tables tells nothing of 150 MiB of page cache. */
Test(adaptive, what_the_curve_did_not_see_goes_in_small_steps)
{
	struct adaptive_need need = { .knee_bytes = 40 * MIB,
				      .unseen_bytes = 150 * MIB,
				      .confident = true };
	struct adaptive_step step;
	struct rig r;

	rig_open(&r, 250 * MIB, 0);
	adaptive_need(&r.a, &r.setup, &need, r.now_ns);
	for (unsigned i = 0; i < 20; i++)
		step = rig_sample(&r, SECOND);
	cr_assert(step.act == ADAPTIVE_SHRINK && step.reason == PFUSE_WHY_NEED);
	cr_expect(step.target == 50 * MIB, "the target is not the lower bound of these steps");
	cr_expect(step.to_bytes > 233 * MIB && step.to_bytes < 234 * MIB,
		  "a third of the 50 MiB above 200: %" PRIu64, step.to_bytes);
	r.s.ram_usage_bytes = 201 * MIB;
	step = rig_sample(&r, SECOND);
	cr_assert(step.act == ADAPTIVE_SHRINK && step.reason == PFUSE_WHY_PROBE);
	cr_expect(201 * MIB - step.to_bytes <= 201 * MIB / 100, "%" PRIu64, step.to_bytes);
	r.s.ram_usage_bytes = 50 * MIB;
	cr_expect(rig_sample(&r, SECOND).act == ADAPTIVE_SETTLED, "at the target");
}

Test(adaptive, a_group_without_a_curve_comes_down_to_its_share_and_feels_its_way_below)
{
	struct adaptive_step step;
	struct rig r;

	rig_open(&r, 250 * MIB, 0);
	r.a.share_bytes = 100 * MIB;
	for (unsigned i = 0; i < 20; i++)
		step = rig_sample(&r, SECOND);
	cr_assert(step.act == ADAPTIVE_SHRINK && step.reason == PFUSE_WHY_SHARE);
	cr_expect(step.to_bytes > 200 * MIB && step.to_bytes < 201 * MIB, "a third of 150 MiB");
	r.s.ram_usage_bytes = 100 * MIB;
	step = rig_sample(&r, SECOND);
	cr_assert(step.act == ADAPTIVE_SHRINK && step.reason == PFUSE_WHY_PROBE);
	cr_expect(100 * MIB - step.to_bytes <= MIB, "%" PRIu64, step.to_bytes);
}

Test(adaptive, without_swap_anonymous_memory_is_not_squeezed)
{
	struct rig r;
	struct adaptive_step step;

	rig_open(&r, 400 * MIB, 100 * MIB);
	r.s.swap_free_bytes = 0;
	r.s.anon_bytes = 390 * MIB;
	for (unsigned i = 0; i < 100; i++) {
		step = rig_sample(&r, SECOND);
		cr_assert(step.act != ADAPTIVE_SHRINK);
	}
	cr_expect(step.act == ADAPTIVE_SETTLED);
	r.s.anon_bytes = 200 * MIB;
	for (unsigned i = 0; i < 100; i++) {
		step = rig_sample(&r, SECOND);
		if (step.act == ADAPTIVE_SHRINK) {
			cr_expect(step.to_bytes >= 216 * MIB, "page cache only: %" PRIu64,
				  step.to_bytes);
			r.s.ram_usage_bytes = step.to_bytes;
			adaptive_carried_out(&r.a, &r.setup, true, r.now_ns);
		}
	}
	cr_expect(r.s.ram_usage_bytes < 220 * MIB);
}

Test(adaptive, harm)
{
	static const struct {
		uint64_t stall_ms, refaults, host, taken_mib;
		bool harm, ours;
		const char *why;
	} table[] = {
		{ 0, 0, 0, 0, false, false, "nothing" },
		{ 20, 0, 0, 0, false, false, "1 % of the window is the budget" },
		{ 21, 0, 0, 0, true, true, "more stall" },
		{ 0, 64, 0, 0, false, false, "32 per second are the budget" },
		{ 0, 65, 0, 0, true, true, "more refaults" },
		{ 0, 256, 0, 32, false, false, "one in 32 of what was taken" },
		{ 0, 257, 0, 32, true, true, "more than that" },
		{ 0, 64, 0, 2, false, false, "of a small step no less than otherwise" },
		{ 21, 0, 0, 32, true, true, "stall counts as ever" },
		{ 0, 100, 100, 0, true, false, "the host took them" },
		{ 0, 100, 99, 0, true, true, "the host took some, we the rest" },
		{ 500, 0, 10, 0, true, false, "stall while the host reclaims" },
		{ 2000, 100000, 0, 0, true, true, "much" },
	};

	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct adaptive_step step;
		struct rig r;

		rig_open(&r, 400 * MIB, 100 * MIB);
		rig_first_step(&r);
		r.s.ram_usage_bytes = (400 - table[i].taken_mib) * MIB;
		r.s.stall_ns += table[i].stall_ms * MS;
		r.s.refaults += table[i].refaults;
		r.s.host_reclaimed += table[i].host;
		step = rig_sample(&r, SECOND);
		cr_expect((step.act == ADAPTIVE_REVERT) == table[i].ours, "%s", table[i].why);
		cr_expect((r.a.phase == ADAPTIVE_COOL) == table[i].harm, "%s", table[i].why);
		cr_expect(r.a.cool_down_ns == (table[i].ours ? 20 : 10) * SECOND, "%s",
			  table[i].why);
		cr_expect(r.a.harms == table[i].ours, "%s", table[i].why);
		cr_expect(r.a.host_harms == (table[i].harm && !table[i].ours), "%s", table[i].why);
		if (table[i].ours)
			cr_expect(step.to_bytes == 400 * MIB && step.reason == PFUSE_WHY_HARM);
	}
}

/* Samples come each second, and reclaim takes a part of one: the window is two of them. */
Test(adaptive, a_window_ends_with_a_sample)
{
	static const struct {
		uint64_t took_ms, then_ms[3];
		unsigned sample;
		const char *why;
	} table[] = {
		{ 0, { 1000, 1000, 1000 }, 2, "at once" },
		{ 300, { 700, 1000, 1000 }, 2, "a third of a second" },
		{ 300, { 700, 990, 1000 }, 2, "a sample that is a little early" },
		{ 600, { 400, 1000, 1000 }, 3, "three quarters of the window at least" },
		{ 300, { 700, 800, 1000 }, 3, "a sample that is much too early" },
	};

	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		unsigned samples = 0;
		struct rig r;

		rig_open(&r, 400 * MIB, 100 * MIB);
		while (rig_sample(&r, SECOND).act != ADAPTIVE_SHRINK)
			cr_assert(r.now_ns < 200 * SECOND);
		r.now_ns += table[i].took_ms * MS;
		adaptive_carried_out(&r.a, &r.setup, true, r.now_ns);
		while (samples < 3 && r.a.phase == ADAPTIVE_WINDOW)
			rig_sample(&r, table[i].then_ms[samples++] * MS);
		cr_expect(r.a.phase == ADAPTIVE_READY && samples == table[i].sample, "%s: %u",
			  table[i].why, samples);
	}
}

/* A group that refaults 1,000 pages per second whatever we do is not harmed by that. */
Test(adaptive, harm_is_more_than_what_was_before)
{
	struct adaptive_step step = { 0 };
	struct rig r;

	rig_open(&r, 400 * MIB, 100 * MIB);
	for (unsigned i = 0; i < 20; i++) {
		r.s.refaults += 1000;
		r.s.stall_ns += 50 * MS;
		step = rig_sample(&r, SECOND);
	}
	cr_assert(step.act == ADAPTIVE_SHRINK);
	adaptive_carried_out(&r.a, &r.setup, true, r.now_ns);
	for (unsigned i = 0; i < 2; i++) {
		r.s.refaults += 1010;
		r.s.stall_ns += 55 * MS;
		cr_expect(rig_sample(&r, SECOND).act != ADAPTIVE_REVERT);
	}
	cr_expect(r.a.harms == 0);
	adaptive_carried_out(&r.a, &r.setup, true, r.now_ns);
	r.s.refaults += 1200;
	cr_expect(rig_sample(&r, SECOND).act == ADAPTIVE_REVERT);
}

Test(adaptive, what_hurt_is_left_alone_for_a_while)
{
	struct adaptive_step step;
	struct rig r;
	uint64_t cool = 10;

	rig_open(&r, 400 * MIB, 100 * MIB);
	rig_first_step(&r);
	for (unsigned harms = 1; harms <= 10; harms++) {
		uint64_t waited = 0;

		r.s.refaults += 100000;
		cr_expect(rig_sample(&r, SECOND).act == ADAPTIVE_REVERT, "harm %u", harms);
		r.s.ram_usage_bytes = 400 * MIB;
		do {
			step = rig_sample(&r, SECOND);
			waited++;
		} while (step.act != ADAPTIVE_SHRINK && waited < 100000);
		cr_expect(waited >= 4 * cool - 1 && waited <= 4 * cool + 2,
			  "harm %u: %" PRIu64 " s, cool-down %" PRIu64, harms, waited, cool);
		cool = cool * 2 > 600 ? 600 : cool * 2;
		adaptive_carried_out(&r.a, &r.setup, true, r.now_ns);
	}
	rig_sample(&r, SECOND);
	cr_expect(r.a.cool_down_ns == 600 * SECOND);
	rig_sample(&r, SECOND);
	cr_expect(r.a.cool_down_ns == 300 * SECOND, "a good step halves it");
}

/* A step without a curve takes what comes, and may hurt where a curve sees that others can go. */
Test(adaptive, a_first_curve_lifts_what_a_blind_step_found)
{
	static const struct adaptive_need need = { .knee_bytes = 100 * MIB, .confident = true };
	struct adaptive_step step;
	struct rig r;

	rig_open(&r, 400 * MIB, 0);
	rig_first_step(&r);
	r.s.refaults += 100000;
	cr_assert(rig_sample(&r, SECOND).act == ADAPTIVE_REVERT);
	r.s.ram_usage_bytes = 400 * MIB;
	for (unsigned i = 0; i < 12; i++)
		step = rig_sample(&r, SECOND);
	cr_assert(r.a.phase == ADAPTIVE_READY && step.act != ADAPTIVE_SHRINK, "hurt above there");
	adaptive_need(&r.a, &r.setup, &need, r.now_ns);
	step = rig_sample(&r, SECOND);
	cr_expect(step.act == ADAPTIVE_SHRINK && step.reason == PFUSE_WHY_NEED);
}

Test(adaptive, a_step_that_fails_waits)
{
	struct rig r;
	unsigned waited = 0;

	rig_open(&r, 400 * MIB, 100 * MIB);
	for (unsigned i = 0; i < 20; i++)
		rig_sample(&r, SECOND);
	adaptive_carried_out(&r.a, &r.setup, false, r.now_ns);
	while (rig_sample(&r, SECOND).act != ADAPTIVE_SHRINK)
		waited++;
	cr_expect(waited == 9, "%u", waited);
	cr_expect(r.a.steps == 0 && r.a.failing);
}

/* Any figures: the level asked for is never below what must stay, and never above what there is. */
Test(adaptive, property)
{
	struct random_state random = { 20260202 };

	for (unsigned run = 0; run < 300; run++) {
		struct adaptive_setup setup = { .headroom_permille = (uint32_t)random_size(&random),
						.step_permille = (uint32_t)random_size(&random),
						.stall_permille = (uint32_t)random_size(&random),
						.refaults_per_s = (uint32_t)random_size(&random),
						.window_ns = random_size(&random),
						.cool_down_ns = random_size(&random) };
		struct adaptive a = { 0 };
		struct pfuse_sample s = { 0 };
		uint64_t now_ns = 0;
		unsigned harms = 0;

		adaptive_setup_complete(&setup);
		adaptive_start(&a, &setup, &s, random_size(&random), 0);
		for (unsigned i = 0; i < 60; i++) {
			struct adaptive_need need = { random_size(&random), random_size(&random),
						      random_below(&random, 2),
						      random_below(&random, 2) };
			struct adaptive_view v = { .page_bytes = 4096 };
			struct adaptive_step step;
			uint64_t stays;

			s.stall_ns = random_size(&random);
			s.refaults = random_size(&random);
			s.host_reclaimed = random_size(&random);
			s.anon_bytes = random_size(&random);
			s.unreclaimable_bytes = random_size(&random);
			s.swap_free_bytes = random_size(&random);
			v.usage_bytes = random_size(&random);
			v.ceiling_bytes = random_size(&random) & ~4095ull;
			v.floor_bytes = random_below(&random, v.ceiling_bytes + 1) & ~4095ull;
			a.share_bytes = random_below(&random, 2) ? random_size(&random) : 0;
			if (random_below(&random, 2))
				adaptive_need(&a, &setup, &need, now_ns);
			now_ns += random_below(&random, 100 * SECOND);
			step = adaptive_sample(&a, &setup, &v, &s, now_ns);
			cr_assert(step.target >= v.floor_bytes && step.target <= v.ceiling_bytes);
			cr_assert(step.target % 4096 == 0);
			stays = s.anon_bytes > s.swap_free_bytes ? s.anon_bytes - s.swap_free_bytes
								 : 0;
			if (step.act == ADAPTIVE_SHRINK) {
				cr_assert(a.phase == ADAPTIVE_READY);
				cr_assert(step.to_bytes >= step.target);
				cr_assert(step.to_bytes < v.usage_bytes);
				cr_assert(step.to_bytes >= v.usage_bytes - v.usage_bytes / 4 - 1);
				cr_assert(step.target == v.ceiling_bytes ||
					  (step.to_bytes >= s.unreclaimable_bytes &&
					   step.to_bytes >= stays));
				adaptive_carried_out(&a, &setup, random_below(&random, 4), now_ns);
			}
			if (step.act == ADAPTIVE_REVERT)
				harms++;
			cr_assert(a.harms == harms);
			cr_assert(a.cool_down_ns >= 1 && a.cool_down_ns <= setup.cool_down_max_ns);
		}
	}
}

/* Through the door: the same, as verdicts. */
struct door {
	struct orchestrator o;
	struct fcb fcbs[2];
	struct adaptive adaptive[2];
	struct pfuse_sample s;
	struct pfuse_verdict v[PFUSE_CONTROLS];
	uint64_t now_ns;
};

static void door_open(struct door *d, bool by_limit, uint64_t limit)
{
	struct adaptive_need need = { .knee_bytes = 100 * MIB, .confident = true };
	struct adaptive_setup setup = { 0 };
	struct fcb_policy policy;

	memset(d, 0, sizeof(*d));
	d->s.ram_usage_bytes = 400 * MIB;
	d->s.ram_limit_bytes = limit;
	d->s.swap_free_bytes = 1024 * MIB;
	d->s.nprocs = 1;
	d->s.oncpu = 1;
	d->now_ns = SECOND;
	fcb_policy_defaults(&policy, 4096 * MIB);
	orchestrator_init(&d->o, d->fcbs, 2, 4096 * MIB, 4096);
	orchestrator_adaptive(&d->o, d->adaptive, &setup);
	orchestrator_attach(&d->o, 1, 77, &policy, &d->s, d->now_ns);
	orchestrator_choose(&d->o, 1, true, by_limit, &d->s, GRACE, d->now_ns);
	orchestrator_need(&d->o, 1, &need, d->now_ns);
}

static unsigned door_sample(struct door *d)
{
	d->now_ns += SECOND;
	return orchestrator_sample(&d->o, 1, &d->s, d->now_ns, d->v);
}

/* Samples until a verdict comes. */
static const struct pfuse_verdict *door_verdict(struct door *d)
{
	for (unsigned i = 0; i < 100; i++)
		if (door_sample(d) == 1)
			return &d->v[0];
	cr_assert(false, "no verdict in 100 s");
	return NULL;
}

Test(adaptive, verdicts_reclaim_and_leave_the_limit)
{
	struct door d;
	const struct pfuse_verdict *v;

	door_open(&d, false, PFUSE_UNLIMITED);
	v = door_verdict(&d);
	cr_expect(v->control == PFUSE_CTL_RECLAIM && v->reason == PFUSE_WHY_NEED);
	cr_expect(v->from == 400 * MIB && v->to == d.s.ram_usage_bytes - v->usage + v->to);
	cr_expect(v->to >= 308 * MIB && v->to < 309 * MIB, "%" PRIu64, (uint64_t)v->to);
	cr_expect(v->size == 125 * MIB, "the target is told");
	d.s.ram_usage_bytes = v->to;
	orchestrator_applied(&d.o, v, ORCHESTRATOR_APPLIED, d.now_ns);
	cr_expect(door_sample(&d) == 0, "a window");
	cr_expect(!orchestrator_quiet(&d.o, 1), "stays awake for it");
	cr_expect(door_sample(&d) == 1, "and the next");
	cr_expect(d.fcbs[1].res[FCB_RAM].limit == PFUSE_UNLIMITED);
}

/* By the limit, and not once that is somebody else's. */
Test(adaptive, verdicts_by_limit_end_where_the_limit_is_let_go)
{
	struct door d;
	struct pfuse_verdict v;

	door_open(&d, true, PFUSE_UNLIMITED);
	v = *door_verdict(&d);
	cr_expect(v.control == PFUSE_CTL_RECLAIM && v.reason == PFUSE_WHY_NEED);
	orchestrator_applied(&d.o, &v, ORCHESTRATOR_FOREIGN, d.now_ns);
	cr_expect(d.fcbs[1].control[PFUSE_CTL_RAM].let_go);
	for (unsigned i = 0; i < 60; i++)
		cr_expect(door_sample(&d) == 0);
}

/* memory.reclaim touches no limit. */
Test(adaptive, verdicts_reclaim_below_the_limit_of_somebody_else)
{
	struct door d;

	door_open(&d, false, PFUSE_UNLIMITED);
	d.fcbs[1].control[PFUSE_CTL_RAM].let_go = true;
	cr_expect(door_verdict(&d)->control == PFUSE_CTL_RECLAIM);
}

Test(adaptive, verdicts_raise_a_limit_after_harm)
{
	struct door d;
	struct pfuse_verdict v;

	door_open(&d, true, PFUSE_UNLIMITED);
	v = *door_verdict(&d);
	orchestrator_applied(&d.o, &v, ORCHESTRATOR_APPLIED, d.now_ns);
	d.s.ram_limit_bytes = 410 * MIB;
	d.s.ram_usage_bytes = 368 * MIB;
	d.s.refaults += 100000;
	cr_assert(door_sample(&d) == 1);
	cr_expect(d.v[0].control == PFUSE_CTL_RAM && d.v[0].reason == PFUSE_WHY_HARM);
	cr_expect(d.v[0].to > 440 * MIB, "room for the usage before: %" PRIu64,
		  (uint64_t)d.v[0].to);
}

Test(adaptive, a_limit_at_whose_mark_the_group_stands_grows)
{
	struct door d;

	door_open(&d, false, 410 * MIB);
	cr_assert(door_sample(&d) == 1);
	cr_expect(d.v[0].control == PFUSE_CTL_RAM && d.v[0].reason == PFUSE_WHY_HIGH_WATER);
	cr_expect(d.v[0].to > 444 * MIB);
}

Test(adaptive, observe_says_nothing_and_detach_forgets)
{
	struct door d;
	struct fcb_policy policy;

	door_open(&d, false, PFUSE_UNLIMITED);
	fcb_policy_defaults(&policy, 4096 * MIB);
	policy.mode[FCB_RAM] = FCB_OBSERVE;
	orchestrator_policy(&d.o, 1, &policy);
	for (unsigned i = 0; i < 60; i++)
		cr_expect(door_sample(&d) == 0);
	orchestrator_detach(&d.o, 1);
	cr_expect(!d.adaptive[1].chosen && d.adaptive[1].need_bytes == 0);
}

Test(adaptive, a_group_that_was_not_chosen_stays_under_fusebox)
{
	struct door d;

	door_open(&d, false, PFUSE_UNLIMITED);
	orchestrator_choose(&d.o, 1, false, false, &d.s, GRACE, d.now_ns);
	cr_assert(door_sample(&d) == 1);
	cr_expect(d.v[0].control == PFUSE_CTL_RAM && d.v[0].reason == PFUSE_WHY_SCORE_LOW);
}

/* What a step takes then is as likely hot as cold; but nobody waits for ever. */
Test(adaptive, no_step_while_a_curve_is_awaited)
{
	static const struct adaptive_need pending = { .pending = true }, none = { 0 };
	static const struct adaptive_need good = { .knee_bytes = 100 * MIB, .confident = true };
	struct door d;

	door_open(&d, false, PFUSE_UNLIMITED);
	orchestrator_need(&d.o, 1, &pending, d.now_ns);
	for (unsigned i = 0; i < 60; i++) {
		cr_expect(door_sample(&d) == 0);
		cr_expect(!orchestrator_quiet(&d.o, 1), "stays awake for the word");
	}
	orchestrator_need(&d.o, 1, &good, d.now_ns);
	cr_assert(door_sample(&d) == 1);
	cr_expect(d.v[0].reason == PFUSE_WHY_NEED);
	orchestrator_need(&d.o, 1, &pending, d.now_ns);
	cr_expect(door_sample(&d) == 0);
	orchestrator_need(&d.o, 1, &none, d.now_ns);
	cr_assert(door_sample(&d) == 1, "given up: what was known before holds");
	cr_expect(d.v[0].reason == PFUSE_WHY_NEED);
	orchestrator_need(&d.o, 1, &pending, d.now_ns);
	for (unsigned i = 0; i < 118; i++)
		cr_expect(door_sample(&d) == 0);
	cr_expect(door_verdict(&d)->reason == PFUSE_WHY_NEED, "nobody has said anything");
}

/* A step that felt its way did harm, and was to be atoned for twice as long. */
Test(adaptive, the_first_need_ends_what_blind_steps_brought)
{
	static const struct adaptive_need good = { .knee_bytes = 100 * MIB, .confident = true };
	struct pfuse_verdict v;
	struct door d;

	door_open(&d, false, PFUSE_UNLIMITED);
	d.adaptive[1].need_bytes = 0;
	for (unsigned i = 0; i < 3; i++) {
		v = *door_verdict(&d);
		cr_assert(v.reason == PFUSE_WHY_PROBE);
		orchestrator_applied(&d.o, &v, ORCHESTRATOR_APPLIED, d.now_ns);
		d.s.refaults += 100000;
		(void)door_sample(&d);
		cr_assert(d.adaptive[1].phase == ADAPTIVE_COOL);
	}
	orchestrator_need(&d.o, 1, &good, d.now_ns);
	for (unsigned i = 0; i < 4 && !door_sample(&d); i++)
		;
	cr_expect(d.v[0].control == PFUSE_CTL_RECLAIM && d.v[0].reason == PFUSE_WHY_NEED);
}

Test(adaptive, shares_are_taken_and_given_back)
{
	struct door d;
	const struct pfuse_verdict *v;

	door_open(&d, false, PFUSE_UNLIMITED);
	orchestrator_share(&d.o, 1, 60 * MIB);
	v = door_verdict(&d);
	cr_expect(v->reason == PFUSE_WHY_SHARE && v->size == 60 * MIB);
	orchestrator_share(&d.o, 1, 0);
	v = door_verdict(&d);
	cr_expect(v->reason == PFUSE_WHY_NEED && v->size == 125 * MIB);
}
