/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/rate.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>

#include "core/arbiter.h"
#include "random.h"

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define S 1000000000ull
#define MS 1000000ull
#define NONE PFUSE_UNLIMITED

/* A group on a machine with two CPUs; everything acts. */
static struct fcb group(void)
{
	struct pfuse_sample first = { .ram_limit_bytes = PFUSE_UNLIMITED, .nprocs = 1 };
	struct fcb_policy policy;
	struct fcb fcb;

	fcb_policy_defaults(&policy, 8 * GIB);
	for (int kind = 0; kind < FCB_RESOURCES; kind++)
		policy.mode[kind] = FCB_ACT;
	fcb_init(&fcb, 7, &first, 100 * S);
	fcb.slot = 3;
	fcb.page_bytes = 4096;
	fcb.ncpus = 2;
	fcb_set_policy(&fcb, &policy, 8 * GIB);
	return fcb;
}

Test(rate, policies_are_clamped)
{
	static const struct {
		uint32_t floor, ceiling, ncpus, want_floor, want_ceiling;
		bool lifts;
		const char *why;
	} table[] = {
		{ 50, 0, 2, 50, 2000, true, "no ceiling: the machine's CPUs" },
		{ 50, 2000, 2, 50, 2000, true, "all that the machine has is no ceiling" },
		{ 50, 9000, 2, 50, 2000, true, "more than the machine has" },
		{ 50, 1500, 2, 50, 1500, false, "a ceiling is kept as limit" },
		{ 0, 0, 2, 10, 2000, true, "a floor of 0 would be a quota of 0" },
		{ 51, 1999, 2, 60, 1990, false, "whole grains: floor up, ceiling down" },
		{ 1000, 500, 2, 500, 500, false, "floor above ceiling" },
		{ 50, 1, 2, 10, 10, false, "a ceiling below a grain" },
		{ 50, 0, 0, 50, 1000, true, "no CPUs count as one" },
		{ UINT32_MAX, UINT32_MAX, UINT32_MAX, 1048576000, 1048576000, true, "no wrap" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct fcb f = group();
		struct fcb_policy p = f.policy;

		p.cpu_floor_permille = table[i].floor;
		p.cpu_ceiling_permille = table[i].ceiling;
		f.ncpus = table[i].ncpus;
		fcb_set_policy(&f, &p, 8 * GIB);
		cr_expect(f.policy.cpu_floor_permille == table[i].want_floor, "%s: %u",
			  table[i].why, f.policy.cpu_floor_permille);
		cr_expect(f.policy.cpu_ceiling_permille == table[i].want_ceiling, "%s: %u",
			  table[i].why, f.policy.cpu_ceiling_permille);
		cr_expect(fcb_lifts_at_ceiling(&f, FCB_CPU) == table[i].lifts, "%s", table[i].why);
	}
}

Test(rate, levels_of_a_policy_are_a_range)
{
	static const uint8_t table[][4] = {
		{ 0, 6, 0, 6 }, { 3, 3, 3, 3 }, { 5, 2, 2, 2 }, { 9, 200, 7, 7 }, { 0, 0, 0, 0 },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct fcb f = group();
		struct fcb_policy p = f.policy;

		p.net_low = table[i][0];
		p.net_high = table[i][1];
		fcb_set_policy(&f, &p, 8 * GIB);
		cr_expect(f.policy.net_low == table[i][2] && f.policy.net_high == table[i][3],
			  "#%zu: %u..%u", i, f.policy.net_low, f.policy.net_high);
	}
}

Test(rate, the_ceiling_of_io_is_learned_where_none_is_given)
{
	static const struct {
		uint64_t peak;
		uint32_t floor, ceiling;
		uint64_t want_floor, want_ceiling;
		bool lifts;
		const char *why;
	} table[] = {
		{ 0, 1024, 0, MIB, 64 * MIB, true, "nothing seen yet" },
		{ 32 * MIB, 1024, 0, MIB, 64 * MIB, true, "twice that is the least" },
		{ 100 * MIB, 1024, 0, MIB, 200 * MIB, true, "twice the best" },
		{ 100 * MIB + 1, 1024, 0, MIB, 200 * MIB, true, "whole grains" },
		{ 100 * MIB, 1024, 50 * 1024, MIB, 50 * MIB, false, "a given one is kept" },
		{ 0, 1024 * 1024, 0, GIB, GIB, true, "never below the floor" },
		{ 0, 0, 0, 64 * 1024, 64 * MIB, true, "a floor of 0 would be no limit at all" },
		{ 0, 1024, 1, 64 * 1024, 64 * 1024, false, "a ceiling below a grain" },
		{ 1ull << 60, UINT32_MAX, 0, (UINT32_MAX - 63ull) * 1024, 1ull << 61, true,
		  "the highest rate that is believed" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct fcb f = group();
		struct fcb_policy p = f.policy;
		struct fusebox_bounds b;

		p.io_floor_kib = table[i].floor;
		p.io_ceiling_kib = table[i].ceiling;
		fcb_set_policy(&f, &p, 8 * GIB);
		f.peak[FCB_IO_WRITE - FCB_IO_READ] = table[i].peak;
		b = fcb_bounds(&f, FCB_IO_WRITE);
		cr_expect(b.floor == table[i].want_floor, "%s: floor %" PRIu64, table[i].why,
			  b.floor);
		cr_expect(b.ceiling == table[i].want_ceiling, "%s: ceiling %" PRIu64, table[i].why,
			  b.ceiling);
		cr_expect(fcb_lifts_at_ceiling(&f, FCB_IO_WRITE) == table[i].lifts, "%s",
			  table[i].why);
	}
}

Test(rate, each_direction_and_net_learn_for_themselves)
{
	struct fcb f = group();

	f.peak[FCB_IO_READ - FCB_IO_READ] = 100 * MIB;
	f.peak[FCB_NET - FCB_IO_READ] = MIB;
	cr_expect(fcb_bounds(&f, FCB_IO_READ).ceiling == 200 * MIB);
	cr_expect(fcb_bounds(&f, FCB_IO_WRITE).ceiling == 64 * MIB);
	cr_expect(fcb_bounds(&f, FCB_NET).ceiling == 2 * MIB);
	cr_expect(fcb_bounds(&f, FCB_RAM).ceiling == 8 * GIB);
}

/* Algorithm 1 as printed, unless the limit is in the way. */
Test(rate, rule)
{
	static const struct {
		enum fcb_resource_kind kind;
		uint64_t x, x_prev, y;
		uint32_t throttled, periods;
		int direction;
		uint64_t limit;
		uint32_t reason;
		const char *why;
	} table[] = {
		{ FCB_CPU, S, S / 2, 2 * S, 0, 0, 1, 2 * S, PFUSE_WHY_SCORE_HIGH,
		  "0.5 + 1.0: grows, to the ceiling" },
		{ FCB_CPU, 600 * MS, 600 * MS, S, 0, 10, 0, S, 0, "0.6: no change" },
		{ FCB_CPU, 200 * MS, 200 * MS, S, 0, 10, -1, 760 * MS, PFUSE_WHY_SCORE_LOW,
		  "0.2: shrinks by 0.8 * 0.3" },
		{ FCB_CPU, 0, 0, NONE, 0, 0, -1, 1400 * MS, PFUSE_WHY_SCORE_LOW,
		  "unlimited counts as two CPUs" },
		{ FCB_CPU, 2 * S, 2 * S, NONE, 0, 0, 0, 2 * S, 0,
		  "unlimited and at the ceiling: exactly 1.0" },
		{ FCB_CPU, 3 * S, 3 * S, NONE, 100, 100, 1, 2 * S, PFUSE_WHY_SCORE_HIGH,
		  "no limit of this group is in the way of an unlimited group" },
		{ FCB_CPU, S, S, S, 0, 10, 1, 1173611112, PFUSE_WHY_HIGH_WATER,
		  "at the limit: the score is 1.0, and it grows: 1 / 0.9 + 1/16" },
		{ FCB_CPU, 900 * MS, 900 * MS, S, 0, 10, 1, S + 56250001, PFUSE_WHY_HIGH_WATER,
		  "just at the mark" },
		{ FCB_CPU, 900 * MS - 1, 900 * MS - 1, S, 0, 10, 0, S, 0, "1 ns below it" },
		{ FCB_CPU, 500 * MS, 500 * MS, S, 1, 10, 0, S, 0, "a tenth is not more than 10 %" },
		{ FCB_CPU, 500 * MS, 500 * MS, S, 2, 10, 1, 1150 * MS, PFUSE_WHY_HIGH_WATER,
		  "a fifth is: bursts are cut" },
		{ FCB_CPU, 100 * MS, 100 * MS, S, 1, 9, 1, 1270 * MS, PFUSE_WHY_HIGH_WATER,
		  "before any shrink" },
		{ FCB_CPU, 500 * MS, 500 * MS, S, 1, 0, 1, 1150 * MS, PFUSE_WHY_HIGH_WATER,
		  "throttled in no period: odd, and no division" },
		{ FCB_CPU, 500 * MS, 500 * MS, S, UINT32_MAX, UINT32_MAX, 1, 1150 * MS,
		  PFUSE_WHY_HIGH_WATER, "no wrap" },
		{ FCB_CPU, 50 * MS, 50 * MS, 50 * MS, 10, 10, 1, 65555556, PFUSE_WHY_HIGH_WATER,
		  "from the floor: by 10 ms/s at least" },
		{ FCB_IO_READ, 8 * MIB, 8 * MIB, 8 * MIB, 0, 0, 1, 8 * MIB * 10 / 9 + 2 + MIB - 1,
		  PFUSE_WHY_HIGH_WATER, "I/O: by 1 MiB/s at least" },
		{ FCB_IO_READ, 8 * MIB, 8 * MIB, 8 * MIB, 100, 100, 1,
		  8 * MIB * 10 / 9 + 2 + MIB - 1, PFUSE_WHY_HIGH_WATER, "periods are the CPU's" },
		{ FCB_IO_WRITE, MIB, MIB, 8 * MIB, 100, 100, -1, 6186599, PFUSE_WHY_SCORE_LOW,
		  "and mean nothing here" },
		{ FCB_IO_WRITE, 0, MIB, MIB, 0, 0, -1, MIB, PFUSE_WHY_SCORE_LOW, "the floor" },
		{ FCB_IO_WRITE, 0, 0, NONE, 0, 0, -1, 46976205, PFUSE_WHY_SCORE_LOW,
		  "unlimited counts as 64 MiB/s: by 0.3 of it" },
		{ FCB_IO_READ, UINT64_MAX, UINT64_MAX, 8 * MIB, 0, 0, 1, 64 * MIB,
		  PFUSE_WHY_HIGH_WATER, "saturates at the ceiling" },
		{ FCB_NET, 64 * 1024, 64 * 1024, 64 * 1024, 0, 0, 0, 64 * 1024, 0,
		  "NET: nobody holds it back, so 1.0 is 1.0" },
		{ FCB_NET, 0, 0, 1024, 0, 0, -1, 1024, PFUSE_WHY_SCORE_LOW,
		  "asks for less also at the floor: the level goes on" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		enum pfuse_reason reason = PFUSE_WHY_NONE;
		struct fcb f = group();
		struct fusebox rule;

		f.res[table[i].kind].usage = table[i].x;
		f.res[table[i].kind].usage_prev = table[i].x_prev;
		f.res[table[i].kind].limit = table[i].y;
		f.throttled = table[i].throttled;
		f.periods = table[i].periods;
		rule = rate_rule(&f, table[i].kind, &reason);
		cr_expect(rule.direction == table[i].direction, "%s: direction %d", table[i].why,
			  rule.direction);
		cr_expect(rule.limit == table[i].limit, "%s: limit %" PRIu64, table[i].why,
			  rule.limit);
		if (rule.direction)
			cr_expect(reason == table[i].reason, "%s: reason %d", table[i].why, reason);
	}
}

Test(rate, level)
{
	static const struct {
		uint32_t level;
		uint8_t low, high;
		int direction;
		uint32_t to;
		const char *why;
	} table[] = {
		{ 3, 0, 6, 1, 4, "one up" },
		{ 3, 0, 6, -1, 2, "one down" },
		{ 3, 0, 6, 0, 3, "stays" },
		{ 6, 0, 6, 1, 6, "at the top" },
		{ 0, 0, 6, -1, 0, "at the bottom" },
		{ 0, 2, 6, 1, 2, "into the range" },
		{ 7, 0, 4, -1, 4, "into the range" },
		{ 3, 3, 3, 1, 3, "a range of one" },
		{ UINT32_MAX, 0, 7, 1, 7, "no wrap" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct fusebox rule = { .direction = table[i].direction };
		struct fcb f = group();

		f.net_level = table[i].level;
		f.policy.net_low = table[i].low;
		f.policy.net_high = table[i].high;
		cr_expect(rate_level(&f, &rule) == table[i].to, "%s: %u", table[i].why,
			  rate_level(&f, &rule));
	}
}

/* What becomes of a wish about a CPU limit, on two CPUs. */
Test(rate, arbiter_bounds)
{
	static const struct {
		uint64_t usage, limit, wish;
		bool grow;
		uint32_t ceiling;
		uint64_t to; /* 0: no verdict */
		uint32_t reason;
		bool clamped;
		const char *why;
	} table[] = {
		{ 500 * MS, S, 1500 * MS, true, 0, 1500 * MS, PFUSE_WHY_SCORE_HIGH, false,
		  "plain" },
		{ 500 * MS, S, 1500 * MS + 1, true, 0, 1510 * MS, PFUSE_WHY_SCORE_HIGH, false,
		  "whole grains" },
		{ 500 * MS, S, 3 * S, true, 0, NONE, PFUSE_WHY_CEILING, true,
		  "the ceiling is the machine: released" },
		{ 500 * MS, S, 2 * S, true, 0, NONE, PFUSE_WHY_CEILING, true, "just the ceiling" },
		{ 500 * MS, S, 3 * S, true, 1500, 1500 * MS, PFUSE_WHY_CEILING, true,
		  "a ceiling that was asked for holds" },
		{ S, 1500 * MS, 3 * S, true, 1500, 0, 0, false, "and is not passed" },
		{ 500 * MS, NONE, 3 * S, true, 0, 0, 0, false, "unlimited cannot grow" },
		{ 100 * MS, NONE, 1400 * MS, false, 0, 1400 * MS, PFUSE_WHY_SCORE_LOW, false,
		  "but shrink" },
		{ 1900 * MS, NONE, S, false, 0, 0, 0, false,
		  "not down to a ceiling that is no limit" },
		{ 800 * MS, NONE, S, false, 1500, S, PFUSE_WHY_SCORE_LOW, false, "plain" },
		{ 1400 * MS, NONE, S, false, 1500, 0, 0, false,
		  "the ceiling lies below what is in use: does not squeeze" },
		{ 900 * MS, 2 * S, 500 * MS, false, 0, 1010 * MS, PFUSE_WHY_SCORE_LOW, true,
		  "never at the mark" },
		{ 0, 60 * MS, 10 * MS, false, 0, 50 * MS, PFUSE_WHY_SCORE_LOW, true, "floor" },
		{ 0, 50 * MS, 10 * MS, false, 0, 0, 0, false, "at the floor" },
		{ 0, 55 * MS, 10 * MS, false, 0, 0, 0, false, "less than a grain is noise" },
		{ 100 * MS, 1600 * MS, 1585 * MS, false, 0, 0, 0, false, "less than 1 % too" },
		{ 950 * MS, S, 1010 * MS, true, 0, 1060 * MS, PFUSE_WHY_HIGH_WATER, true,
		  "at the mark it grows past it" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct fcb f = group();
		struct fcb_policy p = f.policy;
		struct arbiter_wish w = { .to = table[i].wish,
					  .grow = table[i].grow,
					  .reason = PFUSE_WHY_SCORE_LOW };
		struct pfuse_verdict v = { 0 };
		enum arbiter_result r;

		if (w.grow)
			w.reason = table[i].reason == PFUSE_WHY_HIGH_WATER ? PFUSE_WHY_HIGH_WATER
									   : PFUSE_WHY_SCORE_HIGH;
		p.cpu_ceiling_permille = table[i].ceiling;
		fcb_set_policy(&f, &p, 8 * GIB);
		f.res[FCB_CPU].usage = table[i].usage;
		f.res[FCB_CPU].limit = table[i].limit;
		f.throttled = 12;
		f.periods = 100;
		r = arbiter_limit(&f, PFUSE_CTL_CPU, &w, 1, 101 * S, &v);
		cr_expect((r == ARBITER_VERDICT) == (table[i].to != 0), "%s", table[i].why);
		cr_expect(v.to == table[i].to, "%s: to %" PRIu64, table[i].why, (uint64_t)v.to);
		cr_expect(v.reason == table[i].reason, "%s: reason %u", table[i].why, v.reason);
		cr_expect(v.clamped == table[i].clamped, "%s: clamped", table[i].why);
		if (r == ARBITER_VERDICT)
			cr_expect(v.control == PFUSE_CTL_CPU && v.from == table[i].limit &&
				  v.usage == table[i].usage && v.throttled == 12 &&
				  v.periods == 100);
	}
}

Test(rate, cool_down_back_off_and_let_go)
{
	static const struct {
		uint64_t retry;
		uint8_t failures;
		uint64_t now;
		enum arbiter_result shrink, grow;
		const char *why;
	} table[] = {
		{ 0, 0, 101 * S, ARBITER_VERDICT, ARBITER_VERDICT, "nothing holds it" },
		{ 103 * S, 0, 103 * S - 1, ARBITER_WAIT, ARBITER_VERDICT, "cool-down: shrinks" },
		{ 103 * S, 0, 103 * S, ARBITER_VERDICT, ARBITER_VERDICT, "cooled down" },
		{ 103 * S, 1, 103 * S - 1, ARBITER_WAIT, ARBITER_WAIT, "back-off: both" },
		{ 103 * S, 1, 103 * S, ARBITER_VERDICT, ARBITER_VERDICT, "tried again" },
		{ 103 * S, 7, 102 * S, ARBITER_SETTLED, ARBITER_SETTLED, "hopeless" },
	};
	static const struct arbiter_wish down = { .to = S, .reason = PFUSE_WHY_SCORE_LOW };
	static const struct arbiter_wish up = { .to = 1900 * MS,
						.reason = PFUSE_WHY_SCORE_HIGH,
						.grow = true };
	static const struct arbiter_wish lower = { .to = 2, .reason = PFUSE_WHY_SCORE_LOW };
	static const struct arbiter_wish raise = { .to = 4,
						   .reason = PFUSE_WHY_SCORE_HIGH,
						   .grow = true };

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct fcb f = group();
		struct pfuse_verdict v;
		uint64_t now = table[i].now;

		f.res[FCB_CPU].limit = 1500 * MS;
		f.net_level = 3;
		for (int c = 0; c < FCB_CONTROLS; c++) {
			f.control[c].retry_ns = table[i].retry;
			f.control[c].failures = table[i].failures;
		}
		cr_expect(arbiter_limit(&f, PFUSE_CTL_CPU, &down, 1, now, &v) == table[i].shrink,
			  "%s", table[i].why);
		cr_expect(arbiter_limit(&f, PFUSE_CTL_CPU, &up, 1, now, &v) == table[i].grow, "%s",
			  table[i].why);
		cr_expect(arbiter_level(&f, &lower, 1, now, &v) == table[i].shrink, "%s",
			  table[i].why);
		cr_expect(arbiter_level(&f, &raise, 1, now, &v) == table[i].grow, "%s",
			  table[i].why);
		f.control[PFUSE_CTL_CPU].let_go = f.control[PFUSE_CTL_NET].let_go = true;
		cr_expect(arbiter_limit(&f, PFUSE_CTL_CPU, &up, 1, 1000 * S, &v) ==
			  ARBITER_SETTLED);
		cr_expect(arbiter_level(&f, &raise, 1, 1000 * S, &v) == ARBITER_SETTLED);
	}
}

static void check_rule(const struct fcb *f, enum fcb_resource_kind kind, int i)
{
	struct fusebox_bounds b = fcb_bounds(f, kind);
	enum pfuse_reason reason;
	struct fusebox rule = rate_rule(f, kind, &reason);
	uint32_t level = rate_level(f, &rule);

	if (b.floor == 0 || b.floor > b.ceiling || b.ceiling >= PFUSE_UNLIMITED ||
	    b.ceiling % fcb_grain(f, kind) || b.floor % fcb_grain(f, kind))
		cr_assert_fail("#%d: bounds of %d: %" PRIu64 "..%" PRIu64, i, kind, b.floor,
			       b.ceiling);
	if (!isfinite(rule.score) || rule.limit < b.floor || rule.limit > b.ceiling)
		cr_assert_fail("#%d: limit of %d: %" PRIu64, i, kind, rule.limit);
	if (level < f->policy.net_low || level > f->policy.net_high || level > 7)
		cr_assert_fail("#%d: level %u", i, level);
}

static bool check_verdict(const struct fcb *f, enum fcb_resource_kind kind,
			  const struct arbiter_wish *w, int i)
{
	enum pfuse_control control = fcb_control_of(kind);
	struct fusebox_bounds b = fcb_bounds(f, kind);
	struct pfuse_verdict v;
	bool ok;

	if (arbiter_limit(f, control, w, 1, 101 * S, &v) != ARBITER_VERDICT)
		return false;
	ok = v.to == PFUSE_UNLIMITED ? w->grow && fcb_lifts_at_ceiling(f, kind)
				     : v.to >= b.floor && v.to <= b.ceiling;
	ok = ok && (v.to > v.from) == w->grow && v.from == f->res[kind].limit;
	ok = ok &&
	     (w->grow || v.to >= fusebox_mark(f->res[kind].usage, f->policy.high_water_permille));
	if (!ok)
		cr_assert_fail("#%d: kind %d to %" PRIu64, i, kind, (uint64_t)v.to);
	return true;
}

Test(rate, any_input_is_finite_and_within_bounds)
{
	struct random_state rnd = { 0x9e3779b97f4a7c15ull };
	unsigned verdicts = 0;

	for (int i = 0; i < 300000; i++) {
		enum fcb_resource_kind kind = FCB_CPU + random_below(&rnd, FCB_RESOURCES - 1);
		struct fcb f = group();
		struct fcb_policy p = f.policy;
		struct arbiter_wish w = { .to = random_size(&rnd), .grow = random_below(&rnd, 2) };

		p.cpu_floor_permille = (uint32_t)random_size(&rnd);
		p.cpu_ceiling_permille = (uint32_t)random_size(&rnd);
		p.io_floor_kib = (uint32_t)random_size(&rnd);
		p.io_ceiling_kib = (uint32_t)random_size(&rnd);
		p.net_low = (uint8_t)random_u64(&rnd);
		p.net_high = (uint8_t)random_u64(&rnd);
		p.high_water_permille = (uint32_t)random_below(&rnd, 1002);
		f.ncpus = (uint32_t)random_size(&rnd);
		fcb_set_policy(&f, &p, 8 * GIB);
		f.res[kind].usage = random_size(&rnd);
		f.res[kind].usage_prev = random_size(&rnd);
		f.res[kind].limit = random_size(&rnd);
		f.throttled = (uint32_t)random_size(&rnd);
		f.periods = (uint32_t)random_size(&rnd);
		f.net_level = (uint32_t)random_below(&rnd, 8);
		f.peak[0] = f.peak[1] = f.peak[2] = random_size(&rnd) & ((1ull << 60) - 1);
		check_rule(&f, kind, i);
		if (kind != FCB_NET)
			verdicts += check_verdict(&f, kind, &w, i);
	}
	cr_expect(verdicts > 10000, "%u: the inputs exercise nothing", verdicts);
}
