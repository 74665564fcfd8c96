/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/orchestrator.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "random.h"

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define S 1000000000ull
#define MS 1000000ull
#define T0 (100 * S)
#define ID 77
#define SLOT 2

/* One orchestrator with one group of one process in slot 2, attached at T0. */
struct bench {
	struct orchestrator o;
	struct fcb fcbs[4];
	struct fcb_policy policy;
	struct pfuse_sample s;
	struct pfuse_verdict v[PFUSE_CONTROLS];
};

static void set_up(struct bench *b, uint64_t usage, uint64_t limit)
{
	memset(b, 0, sizeof(*b));
	orchestrator_init(&b->o, b->fcbs, 4, 8 * GIB, 4096);
	fcb_policy_defaults(&b->policy, 8 * GIB);
	b->s = (struct pfuse_sample){ .ram_usage_bytes = usage,
				      .ram_limit_bytes = limit,
				      .nprocs = 1 };
	orchestrator_attach(&b->o, SLOT, ID, &b->policy, &b->s, T0);
}

static unsigned sample(struct bench *b, uint64_t now)
{
	return orchestrator_sample(&b->o, SLOT, &b->s, now, b->v);
}

static unsigned event(struct bench *b, uint32_t kind, uint64_t usage, uint64_t limit, uint64_t now)
{
	struct pfuse_event ev = { .time_ns = now, .group_id = ID, .kind = kind, .slot = SLOT };

	ev.ram.usage_bytes = usage;
	ev.ram.limit_bytes = limit;
	return orchestrator_event(&b->o, &ev, now, b->v);
}

static unsigned talk(struct bench *b, uint64_t now)
{
	struct pfuse_event ev = { .time_ns = now,
				  .group_id = ID,
				  .kind = PFUSE_EV_TALK,
				  .slot = SLOT,
				  .talk = { .channel = PFUSE_CH_UNIX, .pid = 9 } };

	return orchestrator_event(&b->o, &ev, now, b->v);
}

static void apply(struct bench *b, unsigned i, enum orchestrator_outcome outcome, uint64_t now)
{
	orchestrator_applied(&b->o, &b->v[i], outcome, now);
}

/* Steady at 60 % of its limit, and stopped for idleness at T0 + 10 s. */
static void set_up_stopped(struct bench *b)
{
	set_up(b, 60 * MIB, 100 * MIB);
	cr_assert(sample(b, T0 + 1 * S) == 0);
	cr_assert(orchestrator_timer(&b->o, SLOT, T0 + 10 * S, b->v) == 1);
	apply(b, 0, ORCHESTRATOR_APPLIED, T0 + 10 * S);
	cr_assert(b->fcbs[SLOT].stopped);
}

Test(orchestrator, slots)
{
	struct bench b;
	struct fcb more[9];

	set_up(&b, 1, 2);
	cr_expect(orchestrator_fcb(&b.o, SLOT) == &b.fcbs[SLOT]);
	cr_expect(!orchestrator_fcb(&b.o, 0) && !orchestrator_fcb(&b.o, 1) &&
		  !orchestrator_fcb(&b.o, 4));
	orchestrator_attach(&b.o, 0, 5, &b.policy, &b.s, T0);
	orchestrator_attach(&b.o, 4, 5, &b.policy, &b.s, T0);
	orchestrator_attach(&b.o, 1, 0, &b.policy, &b.s, T0);
	cr_expect(!orchestrator_fcb(&b.o, 0) && !orchestrator_fcb(&b.o, 1));
	cr_expect(orchestrator_sample(&b.o, 1, &b.s, T0, b.v) == 0);
	cr_expect(orchestrator_timer(&b.o, UINT32_MAX, T0, b.v) == 0);
	cr_expect(orchestrator_request(&b.o, 3, true, T0, b.v) == 0);
	cr_expect(orchestrator_exit(&b.o, 3, T0, b.v) == 0);
	cr_expect(orchestrator_due(&b.o, 3) == FCB_NEVER && orchestrator_quiet(&b.o, 3));
	memset(more, 0, sizeof(more));
	memcpy(more, b.fcbs, sizeof(b.fcbs));
	orchestrator_move(&b.o, more, 9);
	cr_expect(orchestrator_fcb(&b.o, SLOT) == &more[SLOT], "moved with its state");
	orchestrator_detach(&b.o, SLOT);
	cr_expect(!orchestrator_fcb(&b.o, SLOT));
}

Test(orchestrator, bad_events_are_counted)
{
	struct bench b;
	struct pfuse_event ev = { .time_ns = T0, .group_id = ID, .kind = PFUSE_EV_TALK, .slot = 1 };

	set_up(&b, 1, 2);
	cr_expect(orchestrator_event(&b.o, &ev, T0, b.v) == 0);
	ev.slot = UINT32_MAX;
	cr_expect(orchestrator_event(&b.o, &ev, T0, b.v) == 0);
	cr_expect(b.o.ignored[ORCHESTRATOR_BAD_SLOT] == 2);
	ev.slot = SLOT;
	ev.group_id = ID + 1;
	cr_expect(orchestrator_event(&b.o, &ev, T0, b.v) == 0);
	cr_expect(b.o.ignored[ORCHESTRATOR_BAD_ID] == 1);
	ev.group_id = ID;
	ev.kind = 0;
	cr_expect(orchestrator_event(&b.o, &ev, T0, b.v) == 0);
	ev.kind = PFUSE_EV_KINDS;
	cr_expect(orchestrator_event(&b.o, &ev, T0, b.v) == 0);
	cr_expect(b.o.ignored[ORCHESTRATOR_BAD_KIND] == 2);
	cr_expect(b.fcbs[SLOT].flag.talks == 0, "none of them was heard");
}

Test(orchestrator, sample_drives_the_limit_by_score)
{
	struct bench b;

	set_up(&b, 50 * MIB, 100 * MIB);
	b.s.ram_usage_bytes = 100 * MIB;
	cr_assert(sample(&b, T0 + S) == 1);
	cr_expect(b.v[0].control == PFUSE_CTL_RAM && b.v[0].reason == PFUSE_WHY_SCORE_HIGH);
	cr_expect(b.v[0].from == 100 * MIB && b.v[0].to == 150 * MIB, "the paper's size, 50 MiB");
	cr_expect(b.v[0].score == 2.0 && b.v[0].size == 50 * MIB);
	cr_expect(b.v[0].usage == 100 * MIB && b.v[0].usage_prev == 50 * MIB);
	cr_expect(b.v[0].limit == 100 * MIB && b.v[0].slot == SLOT && !b.v[0].clamped);
	apply(&b, 0, ORCHESTRATOR_APPLIED, T0 + S);
	cr_expect(b.fcbs[SLOT].res[FCB_RAM].limit == 150 * MIB);
	cr_expect(b.fcbs[SLOT].control[PFUSE_CTL_RAM].ups == 1);
	b.s.ram_limit_bytes = 150 * MIB;
	b.s.ram_usage_bytes = 40 * MIB;
	cr_assert(sample(&b, T0 + 2 * S) == 1);
	cr_expect(b.v[0].reason == PFUSE_WHY_SCORE_LOW && b.v[0].to == 123 * MIB,
		  "|-60 + 110 * 0.3| = 27 MiB");
	apply(&b, 0, ORCHESTRATOR_APPLIED, T0 + 2 * S);
	cr_expect(b.fcbs[SLOT].control[PFUSE_CTL_RAM].downs == 1);
}

Test(orchestrator, from_unlimited_the_first_step_starts_at_the_ceiling)
{
	struct bench b;

	set_up(&b, 300 * MIB, PFUSE_UNLIMITED);
	cr_assert(sample(&b, T0 + S) == 1);
	cr_expect(b.v[0].from == PFUSE_UNLIMITED && b.v[0].limit == 8 * GIB);
	cr_expect(b.v[0].to < 6 * GIB && b.v[0].reason == PFUSE_WHY_SCORE_LOW);
}

Test(orchestrator, modes)
{
	struct bench b;

	set_up(&b, 10 * MIB, 1 * GIB);
	b.policy.mode[FCB_RAM] = FCB_OBSERVE;
	b.policy.freeze = FCB_FREEZE_OFF;
	orchestrator_policy(&b.o, SLOT, &b.policy);
	cr_expect(sample(&b, T0 + S) == 0 && b.fcbs[SLOT].res[FCB_RAM].score > 0, "scored only");
	cr_expect(event(&b, PFUSE_EV_LIMIT_HIT, GIB, GIB, T0 + S) == 0);
	cr_expect(sample(&b, T0 + 100 * S) == 0, "freeze off: never stopped");
	cr_expect(sample(&b, T0 + 101 * S) == 0 && orchestrator_quiet(&b.o, SLOT));
	cr_expect(orchestrator_due(&b.o, SLOT) == FCB_NEVER);
	b.policy.mode[FCB_RAM] = FCB_OFF;
	orchestrator_policy(&b.o, SLOT, &b.policy);
	cr_expect(!orchestrator_quiet(&b.o, SLOT), "another policy: look again");
	b.fcbs[SLOT].res[FCB_RAM].score = 0;
	cr_expect(sample(&b, T0 + 102 * S) == 0 && b.fcbs[SLOT].res[FCB_RAM].score == 0);
	cr_expect(event(&b, PFUSE_EV_LIMIT_HIT, GIB, GIB, T0 + 102 * S) == 0);
	cr_expect(b.fcbs[SLOT].res[FCB_RAM].usage == GIB, "usage is read all the same");
	b.policy.freeze = FCB_FREEZE_GUARDED;
	orchestrator_policy(&b.o, SLOT, &b.policy);
	cr_expect(sample(&b, T0 + 200 * S) == 1 && b.v[0].reason == PFUSE_WHY_PARKED);
}

/* Guarded, and frozen at T0 + 10 s although it talked a second before. */
static void set_up_guarded(struct bench *b)
{
	set_up(b, 60 * MIB, 100 * MIB);
	b->policy.freeze = FCB_FREEZE_GUARDED;
	b->policy.idle_ns = 2 * S;
	orchestrator_policy(&b->o, SLOT, &b->policy);
	b->s.talks++;
	cr_assert(sample(b, T0 + 8 * S) == 0);
	cr_assert(sample(b, T0 + 9 * S) == 0, "talked a second ago: in use");
	cr_assert(sample(b, T0 + 10 * S) == 1, "idle for two seconds, whoever it talked with");
	cr_assert(b->v[0].control == PFUSE_CTL_STOP && b->v[0].to == 1 &&
		  b->v[0].reason == PFUSE_WHY_PARKED);
	apply(b, 0, ORCHESTRATOR_APPLIED, T0 + 10 * S);
	cr_assert(b->fcbs[SLOT].stopped && orchestrator_quiet(&b->o, SLOT));
}

Test(orchestrator, guarded_wakes_on_data_and_is_frozen_again_soon)
{
	struct bench b;

	set_up_guarded(&b);
	cr_expect(sample(&b, T0 + 11 * S) == 0, "what it said before the freeze wakes nobody");
	cr_assert(event(&b, PFUSE_EV_WAKE, 0, 0, T0 + 12 * S) == 1);
	cr_expect(b.v[0].to == 0 && b.v[0].reason == PFUSE_WHY_DATA);
	apply(&b, 0, ORCHESTRATOR_APPLIED, T0 + 12 * S);
	cr_expect(!b.fcbs[SLOT].stopped && !orchestrator_quiet(&b.o, SLOT));
	cr_expect(orchestrator_due(&b.o, SLOT) == T0 + 12 * S + 500 * MS, "the end of a probe");
	b.s.talks++;
	b.s.run_ns += MS;
	cr_expect(sample(&b, T0 + 12 * S + 500 * MS) == 1, "one question, answered: a probe");
	cr_expect(b.v[0].to == 1 && b.v[0].reason == PFUSE_WHY_PARKED);
}

static unsigned told_of(struct bench *b, enum pfuse_probe probe, uint64_t now)
{
	struct pfuse_event ev = { .time_ns = now,
				  .group_id = ID,
				  .kind = PFUSE_EV_TALK,
				  .slot = SLOT,
				  .talk = { .channel = PFUSE_CH_TCP, .probe = probe } };

	return orchestrator_event(&b->o, &ev, now, b->v);
}

/* Of one question, answered within the time of a probe: what matters is who asked. */
static unsigned asked_by(enum pfuse_probe probe, bool while_frozen, struct bench *b)
{
	set_up_guarded(b);
	if (while_frozen)
		cr_assert(told_of(b, probe, T0 + 12 * S) == 1);
	else
		cr_assert(event(b, PFUSE_EV_WAKE, 0, 0, T0 + 12 * S) == 1);
	apply(b, 0, ORCHESTRATOR_APPLIED, T0 + 12 * S);
	if (!while_frozen)
		(void)told_of(b, probe, T0 + 12 * S + 100 * MS);
	b->s.talks++;
	b->s.run_ns += MS;
	return sample(b, T0 + 12 * S + 500 * MS);
}

Test(orchestrator, guarded_is_in_use_by_who_is_no_probe)
{
	struct bench b;

	for (int frozen = 0; frozen < 2; frozen++) {
		cr_expect(asked_by(PFUSE_PROBE_YES, frozen, &b) == 1, "a health check");
		cr_expect(asked_by(PFUSE_PROBE_UNASKED, frozen, &b) == 1, "there is no list");
		cr_expect(asked_by(PFUSE_PROBE_NO, frozen, &b) == 0, "a client");
		cr_expect(sample(&b, T0 + 13 * S + 900 * MS) == 0, "idle for less than 2 s");
		cr_expect(sample(&b, T0 + 14 * S + 600 * MS) == 1);
		apply(&b, 0, ORCHESTRATOR_APPLIED, T0 + 14 * S + 600 * MS);
		cr_assert(event(&b, PFUSE_EV_WAKE, 0, 0, T0 + 20 * S) == 1);
		apply(&b, 0, ORCHESTRATOR_APPLIED, T0 + 20 * S);
		b.s.talks++;
		cr_expect(sample(&b, T0 + 20 * S + 500 * MS) == 1, "that was then");
	}
}

Test(orchestrator, guarded_stays_awake_while_in_use)
{
	struct bench b;

	set_up_guarded(&b);
	cr_assert(event(&b, PFUSE_EV_WAKE, 0, 0, T0 + 12 * S) == 1);
	apply(&b, 0, ORCHESTRATOR_APPLIED, T0 + 12 * S);
	b.s.talks++;
	b.s.run_ns += 400 * MS;
	cr_expect(sample(&b, T0 + 12 * S + 500 * MS) == 0, "that much work is no probe");
	b.s.talks++;
	cr_expect(sample(&b, T0 + 13 * S) == 0);
	cr_expect(sample(&b, T0 + 14 * S) == 0);
	cr_expect(sample(&b, T0 + 15 * S) == 1, "the whole idle time has passed");
}

Test(orchestrator, guarded_pulses_at_the_deadline)
{
	struct bench b;

	set_up_guarded(&b);
	cr_expect(orchestrator_due(&b.o, SLOT) == T0 + 35 * S);
	cr_assert(orchestrator_timer(&b.o, SLOT, T0 + 35 * S, b.v) == 1);
	cr_expect(b.v[0].to == 0 && b.v[0].reason == PFUSE_WHY_DEADLINE);
	apply(&b, 0, ORCHESTRATOR_APPLIED, T0 + 35 * S);
	cr_expect(sample(&b, T0 + 35 * S + 499 * MS) == 0);
	cr_expect(sample(&b, T0 + 35 * S + 500 * MS) == 1);
}

Test(orchestrator, guarded_backs_off_as_the_outcome_asks)
{
	static const struct {
		enum orchestrator_outcome outcome;
		uint32_t busy, refused, failed; /* counted */
		uint64_t first, second; /* when it is tried again, after the attempt before */
	} cases[] = {
		{ ORCHESTRATOR_BUSY, 1, 0, 0, 1 * S, 2 * S },
		{ ORCHESTRATOR_REFUSED, 0, 1, 0, 10 * S, 20 * S },
		{ ORCHESTRATOR_FAILED, 0, 0, 1, 1 * S, 2 * S },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench b;
		uint64_t now = T0 + 10 * S;

		set_up(&b, 60 * MIB, 100 * MIB);
		b.policy.freeze = FCB_FREEZE_GUARDED;
		b.policy.idle_ns = 2 * S;
		orchestrator_policy(&b.o, SLOT, &b.policy);
		cr_assert(sample(&b, now) == 1);
		apply(&b, 0, cases[i].outcome, now);
		cr_expect(!b.fcbs[SLOT].stopped);
		cr_expect(b.fcbs[SLOT].totals.busy == cases[i].busy &&
			  b.fcbs[SLOT].totals.refused == cases[i].refused &&
			  b.fcbs[SLOT].totals.failed == cases[i].failed);
		cr_expect(sample(&b, now + cases[i].first - 1) == 0);
		now += cases[i].first;
		cr_assert(sample(&b, now) == 1, "case %zu", i);
		apply(&b, 0, cases[i].outcome, now);
		cr_expect(sample(&b, now + cases[i].second - 1) == 0);
		cr_expect(sample(&b, now + cases[i].second) == 1, "case %zu", i);
	}
}

Test(orchestrator, a_wake_before_the_freeze_or_against_a_request_is_none)
{
	struct bench b;

	set_up(&b, 60 * MIB, 100 * MIB);
	cr_expect(event(&b, PFUSE_EV_WAKE, 0, 0, T0 + 1 * S) == 0, "it runs");
	cr_assert(orchestrator_request(&b.o, SLOT, true, T0 + 2 * S, b.v) == 1);
	apply(&b, 0, ORCHESTRATOR_APPLIED, T0 + 2 * S);
	cr_expect(event(&b, PFUSE_EV_WAKE, 0, 0, T0 + 3 * S) == 0);
	cr_expect(b.fcbs[SLOT].stopped);
}

Test(orchestrator, events_grow_at_once)
{
	static const struct {
		uint32_t kind;
		uint64_t usage, event_limit;
		uint32_t reason; /* 0: no verdict */
		const char *why;
	} table[] = {
		{ PFUSE_EV_HIGH_WATER, 90 * MIB, 100 * MIB, PFUSE_WHY_HIGH_WATER, "at the mark" },
		{ PFUSE_EV_HIGH_WATER, 90 * MIB - 1, 100 * MIB, 0, "below it: nothing to do" },
		{ PFUSE_EV_HIGH_WATER, 58 * MIB, 64 * MIB, 0, "late: the limit has been raised" },
		{ PFUSE_EV_HIGH_WATER, 95 * MIB, 64 * MIB, PFUSE_WHY_HIGH_WATER,
		  "late, and still high" },
		{ PFUSE_EV_LIMIT_HIT, 80 * MIB, 100 * MIB, PFUSE_WHY_LIMIT_HIT, "a large charge" },
		{ PFUSE_EV_LIMIT_HIT, 64 * MIB, 64 * MIB, 0, "late: the limit has been raised" },
		{ PFUSE_EV_HIGH_WATER, 190 * MIB, 200 * MIB, PFUSE_WHY_HIGH_WATER,
		  "a larger limit" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct bench b;
		unsigned n;

		set_up(&b, 85 * MIB, 100 * MIB);
		b.fcbs[SLOT].res[FCB_RAM].usage = table[i].usage; /* no trend */
		n = event(&b, table[i].kind, table[i].usage, table[i].event_limit, T0 + S);
		cr_assert(n == (table[i].reason != 0), "%s", table[i].why);
		if (!n)
			continue;
		cr_expect(b.v[0].reason == table[i].reason, "%s", table[i].why);
		cr_expect(b.v[0].to > b.v[0].from && b.v[0].to > table[i].event_limit, "%s",
			  table[i].why);
		cr_expect(table[i].usage * 1000 < b.v[0].to * 900, "%s: the mark is armed again",
			  table[i].why);
	}
}

Test(orchestrator, at_the_ceiling_the_brake_is_released_once)
{
	struct bench b;

	set_up(&b, 7500 * MIB, 8000 * MIB);
	cr_assert(event(&b, PFUSE_EV_HIGH_WATER, 7500 * MIB, 8000 * MIB, T0 + S) == 1);
	cr_expect(b.v[0].to == 8 * GIB && b.v[0].reason == PFUSE_WHY_CEILING &&
		  b.v[0].clamped == 1);
	apply(&b, 0, ORCHESTRATOR_APPLIED, T0 + S);
	cr_expect(event(&b, PFUSE_EV_LIMIT_HIT, 8 * GIB, 8 * GIB, T0 + 2 * S) == 0);
}

Test(orchestrator, no_shrink_within_the_cool_down)
{
	struct bench b;

	set_up(&b, 90 * MIB, 100 * MIB);
	cr_assert(event(&b, PFUSE_EV_HIGH_WATER, 95 * MIB, 100 * MIB, T0 + S) == 1);
	apply(&b, 0, ORCHESTRATOR_APPLIED, T0 + S);
	b.s.ram_limit_bytes = b.v[0].to;
	b.s.ram_usage_bytes = 20 * MIB;
	cr_expect(sample(&b, T0 + 4 * S - 1) == 0, "1 ns before");
	cr_expect(!orchestrator_quiet(&b.o, SLOT), "there is something to come");
	cr_expect(sample(&b, T0 + 4 * S) == 1 && b.v[0].reason == PFUSE_WHY_SCORE_LOW);
}

Test(orchestrator, failures_back_off_and_the_old_limit_stands)
{
	struct bench b;
	uint64_t now = T0, waited;

	set_up(&b, 10 * MIB, 1 * GIB);
	b.policy.freeze = FCB_FREEZE_OFF;
	orchestrator_policy(&b.o, SLOT, &b.policy);
	for (unsigned i = 0; i < 9; i++) {
		waited = 0;
		do {
			now += S / 2;
			waited += S / 2;
		} while (sample(&b, now) == 0);
		cr_expect(b.v[0].from == 1 * GIB && b.fcbs[SLOT].res[FCB_RAM].limit == 1 * GIB);
		if (i > 0)
			cr_expect(waited == (1 << (i > 7 ? 6 : i - 1)) * S, "#%u: %" PRIu64, i,
				  waited);
		apply(&b, 0, ORCHESTRATOR_FAILED, now);
	}
	cr_expect(b.fcbs[SLOT].totals.failed == 9);
	cr_expect(sample(&b, now + S) == 0 && orchestrator_quiet(&b.o, SLOT),
		  "hopeless: let it sleep");
	cr_expect(event(&b, PFUSE_EV_HIGH_WATER, GIB, GIB, now + S) == 1, "a growth never waits");
	apply(&b, 0, ORCHESTRATOR_APPLIED, now + S);
	cr_expect(b.fcbs[SLOT].control[PFUSE_CTL_RAM].failures == 0);
}

Test(orchestrator, a_foreign_control_is_let_go_for_good)
{
	struct bench b;

	set_up(&b, 10 * MIB, 1 * GIB);
	cr_assert(sample(&b, T0 + S) == 1);
	apply(&b, 0, ORCHESTRATOR_FOREIGN, T0 + S);
	cr_expect(sample(&b, T0 + 2 * S) == 0);
	cr_expect(event(&b, PFUSE_EV_LIMIT_HIT, GIB, GIB, T0 + 3 * S) == 0);
	cr_expect(sample(&b, T0 + 100 * S) == 1 && b.v[0].control == PFUSE_CTL_STOP,
		  "the other control is still ours");
	apply(&b, 0, ORCHESTRATOR_APPLIED, T0 + 100 * S);
	cr_assert(talk(&b, T0 + 101 * S) == 1);
	apply(&b, 0, ORCHESTRATOR_FOREIGN, T0 + 101 * S);
	cr_expect(!b.fcbs[SLOT].stopped, "not stopped by us any more");
	cr_expect(b.fcbs[SLOT].totals.stopped_ns == S);
	cr_expect(orchestrator_due(&b.o, SLOT) == FCB_NEVER);
	cr_expect(orchestrator_request(&b.o, SLOT, true, T0 + 102 * S, b.v) == 0);
	cr_expect(sample(&b, T0 + 300 * S) == 0);
}

/* A first shrink of ours, carried out and seen, at T0 + 1 s. */
static void set_up_limited(struct bench *b, enum fcb_foreign foreign)
{
	set_up(b, 10 * MIB, 100 * MIB);
	b->policy.foreign = foreign & 0xf;
	b->policy.freeze = FCB_FREEZE_OFF;
	orchestrator_policy(&b->o, SLOT, &b->policy);
	sample(b, T0 + 1 * S);
	cr_assert_eq(sample(b, T0 + 2 * S), 1);
	apply(b, 0, ORCHESTRATOR_APPLIED, T0 + 2 * S);
	b->s.ram_limit_bytes = b->v[0].to;
}

/* Somebody sets the old limit again; when do we set ours again, in seconds after that? 0: never. */
static uint64_t put_back(struct bench *b, uint64_t *now)
{
	uint64_t from = *now;

	sample(b, from); /* shows ours */
	b->s.ram_limit_bytes = 100 * MIB;
	for (uint64_t s = 1; s < 200; s++) {
		*now = from + s * S;
		if (!sample(b, *now))
			continue;
		cr_assert_eq(b->v[0].control, PFUSE_CTL_RAM);
		apply(b, 0, ORCHESTRATOR_APPLIED, *now);
		b->s.ram_limit_bytes = b->v[0].to;
		return s;
	}
	return 0;
}

Test(orchestrator, a_limit_that_others_put_back_is_set_again_ever_later_and_then_theirs)
{
	struct bench b;
	uint64_t now = T0 + 2 * S;

	set_up_limited(&b, FCB_FOREIGN_AUTO);
	cr_expect_eq(put_back(&b, &now), 11);
	cr_expect_eq(put_back(&b, &now), 21);
	cr_expect_eq(put_back(&b, &now), 41);
	cr_expect(!b.fcbs[SLOT].control[PFUSE_CTL_RAM].let_go);
	cr_expect_eq(put_back(&b, &now), 0, "the fourth time in a row");
	cr_expect(b.fcbs[SLOT].control[PFUSE_CTL_RAM].let_go);
}

Test(orchestrator, limits_that_others_put_back_now_and_then_are_no_fight)
{
	struct bench b;
	uint64_t now = T0 + 2 * S;

	set_up_limited(&b, FCB_FOREIGN_AUTO);
	for (int i = 0; i < 10; i++) {
		cr_expect_eq(put_back(&b, &now), 11, "round %d", i);
		now += 1000 * S;
	}
}

Test(orchestrator, let_go_means_the_first_change_by_others)
{
	struct bench b;
	uint64_t now = T0 + 2 * S;

	set_up_limited(&b, FCB_FOREIGN_LET_GO);
	cr_expect_eq(put_back(&b, &now), 0);
	cr_expect(b.fcbs[SLOT].control[PFUSE_CTL_RAM].let_go);
}

Test(orchestrator, what_reads_back_otherwise_after_a_write_is_nobodys_change)
{
	struct bench b;

	set_up_limited(&b, FCB_FOREIGN_LET_GO);
	b.s.ram_limit_bytes -= MIB;
	for (uint64_t s = 3; s < 10; s++)
		sample(&b, T0 + s * S);
	cr_expect(!b.fcbs[SLOT].control[PFUSE_CTL_RAM].let_go);
}

Test(orchestrator, stops_after_the_idle_time_and_the_window)
{
	static const struct {
		uint64_t idle, window, stop;
		const char *why;
	} table[] = {
		{ 10 * S, 10 * S, 10 * S, "both" },
		{ 10 * S, 15 * S, 15 * S, "the window is longer" },
		{ 20 * S, 10 * S, 20 * S, "the idle time is longer" },
		{ 0, 0, S, "no time at all: at the first sample" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct bench b;

		for (int by_timer = 0; by_timer < 2; by_timer++) {
			unsigned n;

			set_up(&b, 60 * MIB, 100 * MIB);
			b.policy.idle_ns = table[i].idle;
			b.policy.window_ns = table[i].window;
			orchestrator_policy(&b.o, SLOT, &b.policy);
			n = sample(&b, T0 + S);
			if (table[i].stop > S) {
				cr_assert(n == 0 && orchestrator_quiet(&b.o, SLOT));
				cr_expect(orchestrator_due(&b.o, SLOT) == T0 + table[i].stop, "%s",
					  table[i].why);
				n = by_timer ? orchestrator_timer(&b.o, SLOT,
								  T0 + table[i].stop - 1, b.v)
					     : sample(&b, T0 + table[i].stop - 1);
				cr_expect(n == 0, "%s: 1 ns before", table[i].why);
				n = by_timer ? orchestrator_timer(&b.o, SLOT, T0 + table[i].stop,
								  b.v)
					     : sample(&b, T0 + table[i].stop);
			}
			cr_assert(n == 1, "%s", table[i].why);
			cr_expect(b.v[0].control == PFUSE_CTL_STOP && b.v[0].from == 0 &&
				  b.v[0].to == 1);
			cr_expect(b.v[0].reason == PFUSE_WHY_IDLE &&
				  b.v[0].since_ns == table[i].stop);
		}
	}
}

Test(orchestrator, a_timer_does_not_stop_what_has_woken)
{
	struct bench b;

	set_up(&b, 60 * MIB, 100 * MIB);
	cr_assert(sample(&b, T0 + S) == 0);
	event(&b, PFUSE_EV_ACTIVE, 0, 0, T0 + 9 * S);
	cr_expect(!orchestrator_quiet(&b.o, SLOT) && orchestrator_due(&b.o, SLOT) == FCB_NEVER);
	cr_expect(orchestrator_timer(&b.o, SLOT, T0 + 10 * S, b.v) == 0, "not known to be idle");
	b.s.run_ns = 2 * MS;
	cr_expect(sample(&b, T0 + 10 * S) == 1, "it did next to nothing: stopped");
	cr_expect(b.v[0].reason == PFUSE_WHY_IDLE && b.v[0].since_ns == 10 * S);
	b.s.run_ns = 500 * MS;
	cr_expect(sample(&b, T0 + 10 * S + S / 2) == 0, "not applied, and it has worked meanwhile");
}

Test(orchestrator, never_stops_an_empty_group)
{
	struct bench b;

	set_up(&b, 60 * MIB, 100 * MIB);
	b.s.nprocs = 0;
	cr_expect(sample(&b, T0 + 100 * S) == 0 && sample(&b, T0 + 101 * S) == 0);
	cr_expect(orchestrator_due(&b.o, SLOT) == FCB_NEVER);
	cr_expect(orchestrator_request(&b.o, SLOT, true, T0 + 101 * S, b.v) == 0);
	event(&b, PFUSE_EV_POPULATED, 0, 0, T0 + 102 * S);
	cr_expect(!orchestrator_quiet(&b.o, SLOT));
	b.s.nprocs = 3;
	cr_expect(sample(&b, T0 + 112 * S - 1) == 0, "1 ns before");
	cr_expect(sample(&b, T0 + 112 * S) == 1, "idle since it was populated");
	event(&b, PFUSE_EV_EMPTY, 0, 0, T0 + 113 * S);
	cr_expect(orchestrator_due(&b.o, SLOT) == FCB_NEVER);
}

Test(orchestrator, while_stopped_no_score_is_computed_but_events_count)
{
	struct bench b;

	set_up_stopped(&b);
	cr_expect(orchestrator_quiet(&b.o, SLOT));
	b.s.ram_usage_bytes = 1 * MIB; /* its score would be -1.99 */
	cr_expect(sample(&b, T0 + 11 * S) == 0);
	cr_expect(event(&b, PFUSE_EV_LIMIT_HIT, 100 * MIB, 100 * MIB, T0 + 12 * S) == 1);
	event(&b, PFUSE_EV_ACTIVE, 0, 0, T0 + 13 * S);
	cr_expect(!orchestrator_quiet(&b.o, SLOT));
	event(&b, PFUSE_EV_OOM_VICTIM, 0, 0, T0 + 13 * S);
	cr_expect(b.fcbs[SLOT].totals.oom_kills == 1);
}

Test(orchestrator, continues_at_the_deadline)
{
	struct bench b;

	set_up_stopped(&b);
	cr_expect(orchestrator_due(&b.o, SLOT) == T0 + 35 * S);
	cr_expect(orchestrator_timer(&b.o, SLOT, T0 + 35 * S - 1, b.v) == 0, "1 ns before");
	cr_assert(orchestrator_timer(&b.o, SLOT, T0 + 35 * S, b.v) == 1);
	cr_expect(b.v[0].reason == PFUSE_WHY_DEADLINE && b.v[0].from == 1 && b.v[0].to == 0);
	cr_expect(b.v[0].since_ns == 25 * S);
	apply(&b, 0, ORCHESTRATOR_APPLIED, T0 + 35 * S);
	cr_expect(b.fcbs[SLOT].totals.stopped_ns == 25 * S);
	cr_expect(!orchestrator_quiet(&b.o, SLOT), "it runs: look at it");
	cr_expect(sample(&b, T0 + 36 * S) == 0);
	cr_expect(orchestrator_due(&b.o, SLOT) == T0 + 45 * S, "the full idle time again");
}

Test(orchestrator, a_busy_group_is_not_stopped_even_without_idle_time)
{
	struct bench b;

	set_up(&b, 60 * MIB, 100 * MIB);
	b.policy.idle_ns = 0;
	b.policy.window_ns = 0;
	orchestrator_policy(&b.o, SLOT, &b.policy);
	b.s.run_ns = S / 2;
	cr_expect(sample(&b, T0 + S) == 0);
	cr_expect(sample(&b, T0 + 2 * S) == 1);
}

Test(orchestrator, a_stopped_group_is_quiet_whatever_it_did)
{
	struct bench b;

	set_up(&b, 10 * MIB, 100 * MIB);
	b.s.run_ns = S / 2;
	cr_assert(sample(&b, T0 + S) == 1 && !orchestrator_quiet(&b.o, SLOT));
	cr_assert(orchestrator_request(&b.o, SLOT, true, T0 + S, b.v) == 1);
	apply(&b, 0, ORCHESTRATOR_APPLIED, T0 + S);
	cr_expect(orchestrator_quiet(&b.o, SLOT));
}

Test(orchestrator, an_event_under_a_larger_limit_grows_from_there)
{
	struct bench b;

	set_up(&b, 100 * MIB, 100 * MIB);
	b.fcbs[SLOT].res[FCB_RAM].usage = 150 * MIB;
	cr_assert(event(&b, PFUSE_EV_LIMIT_HIT, 150 * MIB, 200 * MIB, T0 + S) == 1);
	cr_expect(b.v[0].from == 100 * MIB && b.v[0].limit == 200 * MIB);
	cr_expect(b.v[0].to == 215 * MIB, "200 and the paper's size, 50 * 0.3");
}

Test(orchestrator, time_does_not_run_backwards)
{
	struct bench b;

	set_up(&b, 50 * MIB, 100 * MIB);
	sample(&b, T0 + 2 * S);
	b.s.ram_usage_bytes = 100 * MIB;
	cr_assert(sample(&b, T0 + S) == 1);
	cr_expect(b.v[0].time_ns == T0 + 2 * S);
}

Test(orchestrator, no_deadline)
{
	struct bench b;

	set_up_stopped(&b);
	b.policy.deadline_ns = FCB_NEVER;
	orchestrator_policy(&b.o, SLOT, &b.policy);
	cr_expect(orchestrator_due(&b.o, SLOT) == FCB_NEVER);
	cr_expect(orchestrator_timer(&b.o, SLOT, UINT64_MAX, b.v) == 0);
}

Test(orchestrator, continues_on_talk_and_waits_a_window)
{
	struct bench b;

	set_up_stopped(&b);
	cr_assert(talk(&b, T0 + 20 * S) == 1);
	cr_expect(b.v[0].reason == PFUSE_WHY_TALK && b.v[0].to == 0 && b.v[0].since_ns == 10 * S);
	apply(&b, 0, ORCHESTRATOR_APPLIED, T0 + 20 * S + 1);
	cr_expect(b.fcbs[SLOT].flag.pid == 9 && b.fcbs[SLOT].flag.channel == PFUSE_CH_UNIX);
	cr_expect(talk(&b, T0 + 25 * S) == 0, "running: nothing to do but remember");
	cr_expect(sample(&b, T0 + 26 * S) == 0);
	cr_expect(orchestrator_due(&b.o, SLOT) == T0 + 35 * S, "a window after the last talk");
	set_up_stopped(&b);
	b.s.talks++;
	cr_expect(sample(&b, T0 + 12 * S) == 1 && b.v[0].reason == PFUSE_WHY_TALK,
		  "a talk that only the counter tells of");
}

Test(orchestrator, a_failed_continue_is_tried_again_soon)
{
	struct bench b;
	uint64_t now = T0 + 20 * S, wait = 16 * MS;

	set_up_stopped(&b);
	cr_assert(talk(&b, now) == 1);
	for (int i = 0; i < 9; i++) {
		apply(&b, 0, ORCHESTRATOR_FAILED, now);
		cr_expect(orchestrator_due(&b.o, SLOT) == now + wait, "#%d", i);
		now = orchestrator_due(&b.o, SLOT);
		wait = i < 6 ? wait * 2 : wait;
		cr_assert(orchestrator_timer(&b.o, SLOT, now, b.v) == 1, "#%d", i);
		cr_expect(b.v[0].reason == PFUSE_WHY_TALK);
	}
	now += 60 * S; /* long after the window and the deadline */
	cr_assert(orchestrator_timer(&b.o, SLOT, now, b.v) == 1);
	apply(&b, 0, ORCHESTRATOR_APPLIED, now);
	cr_expect(!b.fcbs[SLOT].stopped && !b.fcbs[SLOT].overdue);
}

Test(orchestrator, a_failed_stop_backs_off)
{
	struct bench b;

	set_up(&b, 60 * MIB, 100 * MIB);
	cr_assert(sample(&b, T0 + S) == 0);
	cr_assert(orchestrator_timer(&b.o, SLOT, T0 + 10 * S, b.v) == 1);
	apply(&b, 0, ORCHESTRATOR_FAILED, T0 + 10 * S);
	cr_expect(orchestrator_due(&b.o, SLOT) == T0 + 11 * S, "in the future, so no spinning");
	cr_expect(orchestrator_timer(&b.o, SLOT, T0 + 11 * S - 1, b.v) == 0);
	cr_assert(orchestrator_timer(&b.o, SLOT, T0 + 11 * S, b.v) == 1);
	apply(&b, 0, ORCHESTRATOR_FAILED, T0 + 11 * S);
	cr_expect(orchestrator_due(&b.o, SLOT) == T0 + 13 * S, "doubled");
}

Test(orchestrator, requests)
{
	struct bench b;

	set_up(&b, 60 * MIB, 100 * MIB);
	cr_expect(orchestrator_request(&b.o, SLOT, false, T0, b.v) == 0, "it runs");
	cr_assert(orchestrator_request(&b.o, SLOT, true, T0, b.v) == 1);
	cr_expect(b.v[0].reason == PFUSE_WHY_REQUEST && b.v[0].to == 1);
	apply(&b, 0, ORCHESTRATOR_APPLIED, T0);
	cr_expect(talk(&b, T0 + S) == 0, "who asked for it answers for it");
	cr_expect(orchestrator_due(&b.o, SLOT) == FCB_NEVER);
	cr_expect(orchestrator_timer(&b.o, SLOT, T0 + 1000 * S, b.v) == 0, "no deadline");
	cr_assert(orchestrator_request(&b.o, SLOT, false, T0 + 1000 * S, b.v) == 1);
	cr_expect(b.v[0].reason == PFUSE_WHY_REQUEST && b.v[0].to == 0);
	apply(&b, 0, ORCHESTRATOR_APPLIED, T0 + 1000 * S);

	set_up_stopped(&b);
	cr_expect(orchestrator_request(&b.o, SLOT, true, T0 + 11 * S, b.v) == 0, "stopped already");
	cr_expect(talk(&b, T0 + 12 * S) == 0, "but by request from now on");
	cr_assert(event(&b, PFUSE_EV_EMPTY, 0, 0, T0 + 13 * S) == 1);
	cr_expect(b.v[0].to == 0 && b.v[0].reason == PFUSE_WHY_EXIT,
		  "nothing is left to be stopped");
}

Test(orchestrator, a_request_to_run_restarts_the_idle_time)
{
	struct bench b;

	set_up(&b, 60 * MIB, 100 * MIB);
	cr_assert(sample(&b, T0 + S) == 0);
	cr_expect(orchestrator_request(&b.o, SLOT, false, T0 + 9 * S, b.v) == 0);
	cr_expect(orchestrator_due(&b.o, SLOT) == T0 + 19 * S);
}

Test(orchestrator, exit_policy_and_removal)
{
	struct bench b;

	set_up_stopped(&b);
	cr_assert(orchestrator_exit(&b.o, SLOT, T0 + 11 * S, b.v) == 1);
	cr_expect(b.v[0].reason == PFUSE_WHY_EXIT && b.v[0].to == 0);

	set_up_stopped(&b);
	b.policy.freeze = FCB_FREEZE_OFF;
	orchestrator_policy(&b.o, SLOT, &b.policy);
	cr_expect(orchestrator_due(&b.o, SLOT) == 0, "the new policy ends the stop at once");
	cr_expect(orchestrator_timer(&b.o, SLOT, T0 + 11 * S, b.v) == 1 && b.v[0].to == 0);
	cr_expect(b.v[0].reason == PFUSE_WHY_REQUEST);

	set_up_stopped(&b);
	event(&b, PFUSE_EV_REMOVED, 0, 0, T0 + 11 * S);
	cr_expect(orchestrator_quiet(&b.o, SLOT) && orchestrator_due(&b.o, SLOT) == FCB_NEVER);
	cr_expect(sample(&b, T0 + 100 * S) == 0 && talk(&b, T0 + 100 * S) == 0);
	cr_expect(orchestrator_fcb(&b.o, SLOT) != NULL, "its totals can still be read");
}

Test(orchestrator, quiet_means_nothing_ran_and_nothing_to_decide)
{
	static const struct {
		uint64_t run_ns;
		uint32_t faults, talks, oncpu;
		uint64_t usage;
		bool quiet;
		const char *why;
	} table[] = {
		{ 0, 0, 0, 0, 60 * MIB, true, "nothing ran, dead band" },
		{ 1, 0, 0, 0, 60 * MIB, false, "1 ns" },
		{ 0, 1, 0, 0, 60 * MIB, false, "a fault" },
		{ 0, 0, 1, 0, 60 * MIB, false, "a talk" },
		{ 0, 0, 0, 1, 60 * MIB, false, "on a CPU" },
		{ 0, 0, 0, 0, 40 * MIB, false, "nothing ran, but the limit moves" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct bench b;

		set_up(&b, 60 * MIB, 100 * MIB);
		cr_expect(!orchestrator_quiet(&b.o, SLOT), "not before the second sample");
		b.s.run_ns = table[i].run_ns;
		b.s.faults = table[i].faults;
		b.s.talks = table[i].talks;
		b.s.oncpu = table[i].oncpu;
		b.s.ram_usage_bytes = table[i].usage;
		sample(&b, T0 + S);
		cr_expect(orchestrator_quiet(&b.o, SLOT) == table[i].quiet, "%s", table[i].why);
	}
}

Test(orchestrator, a_dry_run_makes_the_same_decisions)
{
	struct bench wet, dry;
	struct random_state rnd = { 0x2545f4914f6cdd1dull };
	unsigned verdicts = 0;

	set_up(&wet, 60 * MIB, 1 * GIB);
	set_up(&dry, 60 * MIB, 1 * GIB);
	for (uint64_t i = 1; i <= 200; i++) {
		unsigned n;

		wet.s.ram_usage_bytes = (20 + random_below(&rnd, 30)) * MIB;
		dry.s.ram_usage_bytes = wet.s.ram_usage_bytes;
		n = sample(&wet, T0 + i * S);
		cr_assert(sample(&dry, T0 + i * S) == n);
		cr_assert(memcmp(wet.v, dry.v, n * sizeof(wet.v[0])) == 0, "#%u", (unsigned)i);
		for (unsigned k = 0; k < n; k++) {
			apply(&wet, k, ORCHESTRATOR_APPLIED, T0 + i * S);
			apply(&dry, k, ORCHESTRATOR_DRY, T0 + i * S);
			if (wet.v[k].control == PFUSE_CTL_RAM)
				wet.s.ram_limit_bytes =
					wet.v[k].to; /* the kernel's; not the dry one's */
		}
		verdicts += n;
	}
	cr_expect(verdicts > 5, "%u", verdicts);
	cr_expect(memcmp(wet.fcbs[SLOT].control, dry.fcbs[SLOT].control,
			 sizeof(wet.fcbs[SLOT].control)) == 0);
}

/* Below a memory.max that we do not set, the limit that counts is not what was written. */
Test(orchestrator, a_limit_that_reads_back_lower_is_believed)
{
	struct bench b;

	set_up(&b, 50 * MIB, 60 * MIB);
	b.s.ram_usage_bytes = 60 * MIB;
	cr_assert(sample(&b, T0 + S) == 1);
	cr_expect(b.v[0].to > 64 * MIB);
	apply(&b, 0, ORCHESTRATOR_APPLIED, T0 + S);
	b.s.ram_limit_bytes = 60 * MIB;
	sample(&b, T0 + 2 * S);
	cr_expect(b.fcbs[SLOT].res[FCB_RAM].limit == 60 * MIB);
}

static void random_event(struct random_state *rnd, uint64_t now, struct pfuse_event *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->time_ns = random_below(rnd, 16) ? now - random_below(rnd, S) : random_u64(rnd);
	ret->group_id = random_below(rnd, 16) ? ID : random_u64(rnd);
	ret->kind = (uint32_t)random_below(rnd, PFUSE_EV_KINDS + 2);
	/* A removed group is the end of the story, and an empty one nearly so: keep them rare. */
	if ((ret->kind == PFUSE_EV_REMOVED || ret->kind == PFUSE_EV_EMPTY) &&
	    random_below(rnd, 200))
		ret->kind = PFUSE_EV_ACTIVE;
	ret->slot = random_below(rnd, 16) ? SLOT : (uint32_t)random_u64(rnd);
	ret->ram.usage_bytes = random_size(rnd);
	ret->ram.limit_bytes = random_size(rnd);
}

static void random_sample(struct random_state *rnd, struct pfuse_sample *s)
{
	bool sane = random_below(rnd, 2);

	s->ram_usage_bytes = sane ? random_below(rnd, 8 * GIB) : random_size(rnd);
	s->ram_limit_bytes = sane ? s->ram_limit_bytes : random_size(rnd);
	if (random_below(rnd, 2))
		return; /* nothing ran */
	s->run_ns = sane ? s->run_ns + random_below(rnd, S) : random_size(rnd);
	s->io_read_bytes = random_size(rnd);
	s->io_write_bytes = random_size(rnd);
	s->net_bytes = random_size(rnd);
	s->faults += (uint32_t)random_u64(rnd);
	s->talks += random_below(rnd, 8) == 0;
	s->oncpu = (uint32_t)random_below(rnd, 2);
	s->nprocs = (uint32_t)random_below(rnd, 50);
	s->cpu_periods += (uint32_t)random_below(rnd, 20);
	s->cpu_throttled += (uint32_t)random_below(rnd, 3);
	if (sane)
		return;
	s->cpu_limit_ns = random_size(rnd);
	s->io_read_limit = random_size(rnd);
	s->io_write_limit = random_size(rnd);
	s->net_priority = (uint32_t)random_below(rnd, 8);
}

/* One step of a random life; everything follows from the seed. */
static unsigned random_step(struct bench *b, struct random_state *rnd, uint64_t now)
{
	struct pfuse_event ev;

	switch (random_below(rnd, 8)) {
	case 0:
		random_event(rnd, now, &ev);
		return orchestrator_event(&b->o, &ev, now, b->v);
	case 1:
		return orchestrator_timer(&b->o, SLOT, now, b->v);
	case 2:
		if (random_below(rnd, 8) == 0)
			return orchestrator_request(&b->o, SLOT, random_below(rnd, 2), now, b->v);
		return 0;
	default:
		random_sample(rnd, &b->s);
		return sample(b, now);
	}
}

static void check_rate_verdict(const struct fcb *fcb, const struct pfuse_verdict *v, int i)
{
	enum fcb_resource_kind kind = fcb_resource_of(v->control);
	struct fusebox_bounds bounds = fcb_bounds(fcb, kind);

	cr_assert(!fcb->stopped, "#%d: no score while it is stopped", i);
	if (v->control == PFUSE_CTL_NET)
		cr_assert(v->to <= 6 && (v->to - v->from == 1 || v->from - v->to == 1), "#%d", i);
	else
		cr_assert(v->to == PFUSE_UNLIMITED ||
				  (v->to >= bounds.floor && v->to <= bounds.ceiling),
			  "#%d: control %u to %" PRIu64, i, v->control, (uint64_t)v->to);
}

static void take(struct pfuse_sample *s, const struct pfuse_verdict *v)
{
	switch (v->control) {
	case PFUSE_CTL_RAM:
		s->ram_limit_bytes = v->to;
		break;
	case PFUSE_CTL_CPU:
		s->cpu_limit_ns = v->to;
		break;
	case PFUSE_CTL_IO_READ:
		s->io_read_limit = v->to;
		break;
	case PFUSE_CTL_IO_WRITE:
		s->io_write_limit = v->to;
		break;
	case PFUSE_CTL_NET:
		s->net_priority = (uint32_t)v->to;
		break;
	default:
		break;
	}
}

static void check_verdict(const struct bench *b, const struct pfuse_verdict *v, int i)
{
	const struct fcb_policy *p = &b->fcbs[SLOT].policy;

	cr_assert(v->slot == SLOT && v->from != v->to && v->reason && v->reason < PFUSE_REASONS,
		  "#%d", i);
	if (v->control == PFUSE_CTL_STOP) {
		cr_assert(v->to == !b->fcbs[SLOT].stopped, "#%d", i);
		return;
	}
	if (v->control != PFUSE_CTL_RAM) {
		check_rate_verdict(&b->fcbs[SLOT], v, i);
		return;
	}
	cr_assert(v->to % 4096 == 0 && v->to >= p->ram_floor_bytes && v->to <= p->ram_ceiling_bytes,
		  "#%d: to %" PRIu64, i, (uint64_t)v->to);
	cr_assert(v->to > v->from || v->to >= fusebox_mark(v->usage, p->high_water_permille),
		  "#%d: squeezed to %" PRIu64, i, (uint64_t)v->to);
}

/* A sum over all verdicts' bytes, to compare two runs. */
static uint64_t random_life(uint64_t seed, int steps, unsigned *ret_verdicts)
{
	struct random_state rnd = { seed };
	uint64_t now = T0, sum = 14695981039346656037ull;
	struct bench b;

	set_up(&b, 60 * MIB, 1 * GIB);
	for (int kind = 0; kind < FCB_RESOURCES; kind++)
		b.policy.mode[kind] = FCB_ACT;
	orchestrator_policy(&b.o, SLOT, &b.policy);
	*ret_verdicts = 0;
	for (int i = 0; i < steps; i++) {
		unsigned n = random_step(&b, &rnd, now);

		cr_assert(n <= PFUSE_CONTROLS);
		for (unsigned k = 0; k < n; k++) {
			uint64_t dice = random_below(&rnd, 64);

			check_verdict(&b, &b.v[k], i);
			for (size_t byte = 0; byte < sizeof(b.v[k]); byte++)
				sum = (sum ^ ((unsigned char *)&b.v[k])[byte]) * 1099511628211ull;
			apply(&b, k, dice == 0 ? ORCHESTRATOR_FAILED : ORCHESTRATOR_APPLIED, now);
			if (dice)
				take(&b.s, &b.v[k]);
		}
		*ret_verdicts += n;
		/* A timer that is due must have something to do: otherwise the caller spins. */
		if (orchestrator_due(&b.o, SLOT) <= now &&
		    !orchestrator_timer(&b.o, SLOT, now, b.v))
			cr_assert_fail("#%d: due at %" PRIu64 ", nothing to do", i,
				       orchestrator_due(&b.o, SLOT));
		now += random_below(&rnd, 64) ? random_below(&rnd, 2 * S)
					      : random_below(&rnd, 60 * S);
		if (b.fcbs[SLOT].removed)
			orchestrator_attach(&b.o, SLOT, ID, &b.policy, &b.s, now);
	}
	return sum;
}

Test(orchestrator, any_life_keeps_the_promises_and_repeats_bit_for_bit)
{
	unsigned verdicts, again;

	for (uint64_t seed = 1; seed <= 20; seed++) {
		uint64_t sum = random_life(seed * 0x9e3779b97f4a7c15ull, 20000, &verdicts);

		cr_assert(random_life(seed * 0x9e3779b97f4a7c15ull, 20000, &again) == sum);
		cr_assert(again == verdicts && verdicts > 1000, "%u verdicts", verdicts);
	}
}
