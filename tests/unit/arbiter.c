/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/arbiter.h"

#include <criterion/criterion.h>
#include <inttypes.h>

#include "random.h"

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define S 1000000000ull

static struct fcb group(uint64_t usage, uint64_t limit)
{
	struct pfuse_sample first = { .ram_usage_bytes = usage,
				      .ram_limit_bytes = limit,
				      .nprocs = 1 };
	struct fcb_policy policy;
	struct fcb fcb;

	fcb_policy_defaults(&policy, 8 * GIB);
	fcb_init(&fcb, 7, &first, 100 * S);
	fcb.slot = 3;
	fcb.page_bytes = 4096;
	fcb_set_policy(&fcb, &policy, 8 * GIB);
	return fcb;
}

static struct arbiter_wish grow_to(uint64_t to)
{
	return (struct arbiter_wish){ .to = to, .reason = PFUSE_WHY_SCORE_HIGH, .grow = true };
}

static struct arbiter_wish shrink_to(uint64_t to)
{
	return (struct arbiter_wish){ .to = to, .reason = PFUSE_WHY_SCORE_LOW };
}

Test(arbiter, ram_bounds)
{
	static const struct {
		uint64_t usage, limit, wish;
		bool grow;
		uint64_t to; /* 0: no verdict */
		uint32_t reason;
		bool clamped;
		const char *why;
	} table[] = {
		{ 50 * MIB, 64 * MIB, 100 * MIB, true, 100 * MIB, PFUSE_WHY_SCORE_HIGH, false,
		  "plain" },
		{ 50 * MIB, 64 * MIB, 100 * MIB - 1, true, 100 * MIB, PFUSE_WHY_SCORE_HIGH, false,
		  "up to whole pages" },
		{ 90 * MIB, 256 * MIB, 200 * MIB, false, 200 * MIB, PFUSE_WHY_SCORE_LOW, false,
		  "plain" },
		{ 90 * MIB, 256 * MIB, 64 * MIB, false, 100 * MIB + 4096, PFUSE_WHY_SCORE_LOW, true,
		  "never at the mark: 90 of 100 would be at it" },
		{ 1 * MIB, 64 * MIB, 2 * MIB, false, 16 * MIB, PFUSE_WHY_SCORE_LOW, true, "floor" },
		{ 1 * MIB, 16 * MIB, 2 * MIB, false, 0, 0, false, "at the floor already" },
		{ 1 * MIB, 8 * MIB, 2 * MIB, false, 0, 0, false,
		  "below the floor: not raised by a shrink" },
		{ 1 * MIB, 8 * MIB, 9 * MIB, true, 16 * MIB, PFUSE_WHY_SCORE_HIGH, true,
		  "a growth ends above the floor" },
		{ 7 * GIB, 7 * GIB, 9 * GIB, true, 8 * GIB, PFUSE_WHY_CEILING, true, "ceiling" },
		{ 7 * GIB, 7 * GIB, 8 * GIB, true, 8 * GIB, PFUSE_WHY_CEILING, true,
		  "just the ceiling" },
		{ 8 * GIB, 8 * GIB, 9 * GIB, true, 0, 0, false, "at the ceiling already" },
		{ 1 * GIB, PFUSE_UNLIMITED, 9 * GIB, true, 0, 0, false, "unlimited cannot grow" },
		{ 1 * GIB, PFUSE_UNLIMITED, 6 * GIB, false, 6 * GIB, PFUSE_WHY_SCORE_LOW, false,
		  "but can shrink" },
		{ 9 * GIB, PFUSE_UNLIMITED, 6 * GIB, false, 0, 0, false,
		  "the ceiling lies below what is in use" },
		{ 95 * MIB, 100 * MIB, 50 * MIB, false, 0, 0, false,
		  "a shrink never becomes a growth" },
		{ 50 * MIB, 500 * MIB, 496 * MIB, false, 0, 0, false, "less than 1 %: noise" },
		{ 50 * MIB, 500 * MIB, 495 * MIB, false, 495 * MIB, PFUSE_WHY_SCORE_LOW, false,
		  "1 %" },
		{ 50 * MIB, 500 * MIB, 504 * MIB, true, 0, 0, false, "noise" },
		{ 450 * MIB, 500 * MIB, 500 * MIB + 1, true, 500 * MIB + 4096, PFUSE_WHY_SCORE_HIGH,
		  false, "at the mark nothing is noise" },
		{ 450 * MIB - 1, 500 * MIB, 500 * MIB + 1, true, 0, 0, false,
		  "one byte below it is" },
		{ 10, 16384, 8192, false, 0, 0, false, "smaller than the floor" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct fcb f = group(table[i].usage, table[i].limit);
		struct arbiter_wish w =
			table[i].grow ? grow_to(table[i].wish) : shrink_to(table[i].wish);
		struct pfuse_verdict v = { 0 };
		enum arbiter_result r = arbiter_limit(&f, PFUSE_CTL_RAM, &w, 1, 101 * S, &v);

		cr_expect((r == ARBITER_VERDICT) == (table[i].to != 0), "%s", table[i].why);
		cr_expect(v.to == table[i].to, "%s: to %" PRIu64, table[i].why, (uint64_t)v.to);
		cr_expect(v.reason == table[i].reason, "%s: reason %u", table[i].why, v.reason);
		cr_expect(v.clamped == table[i].clamped, "%s: clamped", table[i].why);
		if (r == ARBITER_VERDICT)
			cr_expect(v.from == table[i].limit && v.slot == 3 && v.time_ns == 101 * S);
	}
}

Test(arbiter, cool_down_and_back_off_hold_shrinks_only)
{
	static const struct {
		uint64_t retry;
		uint32_t failures;
		uint64_t now;
		enum arbiter_result shrink;
		const char *why;
	} table[] = {
		{ 0, 0, 101 * S, ARBITER_VERDICT, "nothing holds it" },
		{ 103 * S, 0, 100 * S, ARBITER_WAIT, "grown just now" },
		{ 103 * S, 0, 103 * S - 1, ARBITER_WAIT, "1 ns before the end" },
		{ 103 * S, 0, 103 * S, ARBITER_VERDICT, "cooled down" },
		{ 102 * S, 1, 102 * S - 1, ARBITER_WAIT, "1 ns before the retry" },
		{ 102 * S, 1, 102 * S, ARBITER_VERDICT, "retry" },
		{ 200 * S, 7, 199 * S, ARBITER_SETTLED, "hopeless: do not keep it awake" },
		{ 200 * S, 7, 200 * S, ARBITER_VERDICT, "but try when it is awake anyway" },
		{ UINT64_MAX, 0, UINT64_MAX - 1, ARBITER_WAIT, "no wrap" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct fcb f = group(1 * MIB, 100 * MIB);
		struct arbiter_wish down = shrink_to(50 * MIB), up = grow_to(150 * MIB);
		struct pfuse_verdict v;

		f.control[PFUSE_CTL_RAM].retry_ns = table[i].retry;
		f.control[PFUSE_CTL_RAM].failures = table[i].failures;
		cr_expect(arbiter_limit(&f, PFUSE_CTL_RAM, &down, 1, table[i].now, &v) ==
				  table[i].shrink,
			  "%s", table[i].why);
		cr_expect(arbiter_limit(&f, PFUSE_CTL_RAM, &up, 1, table[i].now, &v) ==
				  ARBITER_VERDICT,
			  "%s", table[i].why);
	}
}

Test(arbiter, wishes_are_merged)
{
	struct fcb f = group(10 * MIB, 100 * MIB);
	struct arbiter_wish shrinks[] = { shrink_to(40 * MIB), shrink_to(60 * MIB),
					  shrink_to(50 * MIB) };
	struct arbiter_wish mixed[] = { shrink_to(60 * MIB), grow_to(120 * MIB), grow_to(150 * MIB),
					grow_to(110 * MIB) };
	struct pfuse_verdict v;

	cr_assert(arbiter_limit(&f, PFUSE_CTL_RAM, shrinks, 3, 101 * S, &v) == ARBITER_VERDICT);
	cr_expect(v.to == 60 * MIB, "the mildest shrink");
	cr_assert(arbiter_limit(&f, PFUSE_CTL_RAM, mixed, 4, 101 * S, &v) == ARBITER_VERDICT);
	cr_expect(v.to == 150 * MIB, "the largest growth, before any shrink");
	cr_expect(!v.clamped);
	mixed[2].clamped = true;
	arbiter_limit(&f, PFUSE_CTL_RAM, mixed, 4, 101 * S, &v);
	cr_expect(v.clamped, "the rule has cut it already");
	cr_expect(arbiter_limit(&f, PFUSE_CTL_RAM, NULL, 0, 101 * S, &v) == ARBITER_SETTLED);
	f.control[PFUSE_CTL_RAM].let_go = true;
	cr_expect(arbiter_limit(&f, PFUSE_CTL_RAM, mixed, 4, 101 * S, &v) == ARBITER_SETTLED,
		  "let go");
}

Test(arbiter, ram_holds_its_promises_for_any_input)
{
	struct random_state rnd = { 0x9e3779b97f4a7c15ull };
	static const uint32_t pages[] = { 4096, 16384, 65536 };
	unsigned verdicts = 0;

	for (int i = 0; i < 1000000; i++) {
		uint64_t ram = random_size(&rnd);
		struct fcb f = group(random_size(&rnd), random_size(&rnd));
		struct arbiter_wish w = grow_to(random_size(&rnd));
		struct fcb_policy p = f.policy;
		struct pfuse_verdict v;

		w.grow = random_below(&rnd, 2);
		p.ram_floor_bytes = random_size(&rnd);
		p.ram_ceiling_bytes = random_size(&rnd);
		p.high_water_permille = (uint32_t)random_below(&rnd, 1002);
		f.page_bytes = pages[random_below(&rnd, 3)];
		fcb_set_policy(&f, &p, ram);
		if (arbiter_limit(&f, PFUSE_CTL_RAM, &w, 1, 101 * S, &v) != ARBITER_VERDICT)
			continue;
		verdicts++;
		if (v.to % f.page_bytes || v.to < f.policy.ram_floor_bytes ||
		    v.to > f.policy.ram_ceiling_bytes || (v.to > v.from) != w.grow ||
		    (!w.grow &&
		     v.to < fusebox_mark(f.res[FCB_RAM].usage, f.policy.high_water_permille)))
			cr_assert_fail("#%d: to %" PRIu64, i, (uint64_t)v.to);
	}
	cr_expect(verdicts > 10000, "%u: the inputs exercise nothing", verdicts);
}

Test(arbiter, stop_priorities)
{
	static const struct {
		uint32_t a_to, a, b_to, b;
		uint32_t reason; /* of the verdict for a stopped group; 0: none */
		const char *why;
	} table[] = {
		{ 1, PFUSE_WHY_IDLE, 0, PFUSE_WHY_TALK, PFUSE_WHY_TALK, "talk beats idle" },
		{ 1, PFUSE_WHY_IDLE, 0, PFUSE_WHY_DEADLINE, PFUSE_WHY_DEADLINE,
		  "deadline beats idle" },
		{ 1, PFUSE_WHY_REQUEST, 0, PFUSE_WHY_TALK, PFUSE_WHY_TALK, "every stop" },
		{ 1, PFUSE_WHY_REQUEST, 0, PFUSE_WHY_EXIT, PFUSE_WHY_EXIT, "exit beats a request" },
		{ 0, PFUSE_WHY_DEADLINE, 0, PFUSE_WHY_TALK, PFUSE_WHY_TALK, "talk beats deadline" },
		{ 0, PFUSE_WHY_TALK, 0, PFUSE_WHY_REQUEST, PFUSE_WHY_REQUEST,
		  "request beats talk" },
		{ 0, PFUSE_WHY_REQUEST, 0, PFUSE_WHY_EXIT, PFUSE_WHY_EXIT, "exit beats request" },
		{ 1, PFUSE_WHY_IDLE, 1, PFUSE_WHY_REQUEST, 0, "it is stopped already" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct arbiter_wish w[] = { { .to = table[i].a_to, .reason = table[i].a },
					    { .to = table[i].b_to, .reason = table[i].b } };
		struct arbiter_wish swapped[] = { w[1], w[0] };
		struct fcb f = group(1, 2);
		struct pfuse_verdict v = { 0 };

		f.stopped = true;
		f.stopped_since_ns = 90 * S;
		arbiter_stop(&f, w, 2, 100 * S, &v);
		cr_expect(v.reason == table[i].reason, "%s: %u", table[i].why, v.reason);
		arbiter_stop(&f, swapped, 2, 100 * S, &v);
		cr_expect(v.reason == table[i].reason, "%s, swapped: %u", table[i].why, v.reason);
		if (v.reason)
			cr_expect(v.from == 1 && v.to == 0 && v.since_ns == 10 * S);
	}
}

Test(arbiter, stop_back_off_and_let_go)
{
	struct arbiter_wish idle = { .to = 1, .reason = PFUSE_WHY_IDLE };
	struct arbiter_wish ask = { .to = 1, .reason = PFUSE_WHY_REQUEST };
	struct arbiter_wish talk = { .to = 0, .reason = PFUSE_WHY_TALK };
	struct fcb f = group(1, 2);
	struct pfuse_verdict v;

	f.control[PFUSE_CTL_STOP].retry_ns = 110 * S;
	cr_expect(arbiter_stop(&f, &idle, 1, 110 * S - 1, &v) == ARBITER_WAIT);
	cr_expect(arbiter_stop(&f, &idle, 1, 110 * S, &v) == ARBITER_VERDICT);
	cr_expect(v.from == 0 && v.to == 1 && v.since_ns == 10 * S);
	cr_expect(arbiter_stop(&f, &ask, 1, 105 * S, &v) == ARBITER_VERDICT, "asked: no waiting");
	f.stopped = true;
	cr_expect(arbiter_stop(&f, &talk, 1, 105 * S, &v) == ARBITER_VERDICT, "never waits");
	f.control[PFUSE_CTL_STOP].let_go = true;
	cr_expect(arbiter_stop(&f, &talk, 1, 105 * S, &v) == ARBITER_SETTLED, "not ours any more");
}
