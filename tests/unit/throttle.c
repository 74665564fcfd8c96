/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Stories of CPU, I/O and NET through the one door: a made-up kernel that gives a group what it wants
 * up to its limits, sampled once a second unless the group is quiet.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/orchestrator.h"
#include "random.h"

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define S 1000000000ull
#define MS 1000000ull
#define T0 (1000 * S)
#define SLOT 1
#define ID 4711
#define NONE PFUSE_UNLIMITED

/* What it wants per second. */
struct demand {
	uint64_t cpu_ns, read, write, net;
};

struct world {
	struct orchestrator o;
	struct fcb fcbs[2];
	struct fcb_policy policy;
	struct pfuse_sample s;
	struct demand want;
	uint64_t now;
	bool dry;
	enum orchestrator_outcome outcome; /* of every verdict that is not dry */
	unsigned verdicts[PFUSE_CONTROLS];
	unsigned samples;
	struct pfuse_verdict last[PFUSE_CONTROLS];
	char lines[1 << 16]; /* every verdict, as text */
};

static const uint8_t everything[] = { FCB_CPU, FCB_IO_READ, FCB_IO_WRITE, FCB_NET };

/* Not stopped, RAM not looked at: this is about the others. */
static void start(struct world *w)
{
	memset(w, 0, sizeof(*w));
	orchestrator_init(&w->o, w->fcbs, 2, 8 * GIB, 4096);
	w->o.ncpus = 2;
	fcb_policy_defaults(&w->policy, 8 * GIB);
	w->policy.mode[FCB_RAM] = FCB_OFF;
	w->policy.freeze = FCB_FREEZE_OFF;
	for (size_t i = 0; i < sizeof(everything); i++)
		w->policy.mode[everything[i]] = FCB_ACT;
	w->s = (struct pfuse_sample){ .ram_limit_bytes = NONE,
				      .cpu_limit_ns = NONE,
				      .io_read_limit = NONE,
				      .io_write_limit = NONE,
				      .nprocs = 1 };
	w->now = T0;
	orchestrator_attach(&w->o, SLOT, ID, &w->policy, &w->s, T0);
}

static void obey(struct world *w, const struct pfuse_verdict *v)
{
	__u64 *limits[PFUSE_CONTROLS] = {
		[PFUSE_CTL_CPU] = &w->s.cpu_limit_ns,
		[PFUSE_CTL_IO_READ] = &w->s.io_read_limit,
		[PFUSE_CTL_IO_WRITE] = &w->s.io_write_limit,
	};

	if (v->control == PFUSE_CTL_NET)
		w->s.net_priority = (uint32_t)v->to;
	else if (limits[v->control])
		*limits[v->control] = v->to;
}

static void note(struct world *w, const struct pfuse_verdict *v)
{
	size_t n = strlen(w->lines);

	w->verdicts[v->control]++;
	w->last[v->control] = *v;
	snprintf(w->lines + n, sizeof(w->lines) - n, "%u %" PRIu64 " %" PRIu64 " %u\n", v->control,
		 (uint64_t)v->from, (uint64_t)v->to, v->reason);
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* One second of the kernel: periods of 100 ms count where there is a limit. */
static void work(struct world *w)
{
	uint64_t cpu = smaller(w->want.cpu_ns, w->s.cpu_limit_ns);

	w->s.run_ns += cpu;
	if (w->s.cpu_limit_ns != NONE && w->want.cpu_ns) {
		w->s.cpu_periods += 10;
		w->s.cpu_throttled += w->want.cpu_ns > w->s.cpu_limit_ns ? 10 : 0;
	}
	w->s.io_read_bytes += smaller(w->want.read, w->s.io_read_limit);
	w->s.io_write_bytes += smaller(w->want.write, w->s.io_write_limit);
	w->s.net_bytes += w->want.net;
}

static void second(struct world *w)
{
	struct pfuse_verdict v[PFUSE_CONTROLS];
	unsigned n;

	w->now += S;
	work(w);
	if (orchestrator_quiet(&w->o, SLOT) && !w->want.cpu_ns)
		return;
	w->samples++;
	n = orchestrator_sample(&w->o, SLOT, &w->s, w->now, v);
	cr_assert(n <= PFUSE_CONTROLS);
	for (unsigned i = 0; i < n; i++) {
		note(w, &v[i]);
		if (!w->dry && w->outcome == ORCHESTRATOR_APPLIED)
			obey(w, &v[i]);
		orchestrator_applied(&w->o, &v[i], w->dry ? ORCHESTRATOR_DRY : w->outcome, w->now);
	}
}

static void seconds(struct world *w, unsigned n)
{
	while (n--)
		second(w);
}

/* What keeps the group awake is work: something runs in each interval. */
static const struct demand some_cpu = { .cpu_ns = 10 * MS };

Test(throttle, an_idle_group_comes_down_to_its_floors_and_is_silent)
{
	struct world w;
	unsigned samples, n;

	start(&w);
	seconds(&w, 30);
	cr_expect(w.s.cpu_limit_ns == 50 * MS, "%" PRIu64, (uint64_t)w.s.cpu_limit_ns);
	cr_expect(w.s.io_read_limit == MIB && w.s.io_write_limit == MIB);
	cr_expect(w.s.net_priority == 0 && w.verdicts[PFUSE_CTL_NET] == 0);
	cr_expect(orchestrator_quiet(&w.o, SLOT));
	samples = w.samples;
	n = w.verdicts[PFUSE_CTL_CPU] + w.verdicts[PFUSE_CTL_IO_READ];
	seconds(&w, 1000);
	cr_expect(w.samples == samples, "it costs nothing");
	cr_expect(w.verdicts[PFUSE_CTL_CPU] + w.verdicts[PFUSE_CTL_IO_READ] == n && n < 40, "%u",
		  n);
}

Test(throttle, a_group_that_is_only_observed_gets_scores_and_no_verdict)
{
	struct world w;

	start(&w);
	for (size_t i = 0; i < sizeof(everything); i++)
		w.policy.mode[everything[i]] = FCB_OBSERVE;
	orchestrator_policy(&w.o, SLOT, &w.policy);
	w.want = (struct demand){ .cpu_ns = S, .read = 30 * MIB, .write = 60 * MIB, .net = MIB };
	seconds(&w, 3);
	cr_expect(w.lines[0] == '\0', "%s", w.lines);
	cr_expect(w.fcbs[SLOT].res[FCB_CPU].usage == S);
	cr_expect(w.fcbs[SLOT].res[FCB_CPU].score == 0.5, "one of two CPUs");
	cr_expect(w.fcbs[SLOT].res[FCB_CPU].size == 300 * MS);
	cr_expect(w.fcbs[SLOT].res[FCB_IO_READ].score == 30.0 / 64);
	cr_expect(w.fcbs[SLOT].res[FCB_IO_WRITE].score == 0.5, "half of the learned ceiling");
	cr_expect(w.fcbs[SLOT].res[FCB_NET].score == 0.5);
	w.want = (struct demand){ 0 };
	seconds(&w, 2);
	cr_expect(orchestrator_quiet(&w.o, SLOT));
	for (size_t i = 0; i < sizeof(everything); i++)
		w.policy.mode[everything[i]] = FCB_OFF;
	orchestrator_policy(&w.o, SLOT, &w.policy);
	w.want.cpu_ns = w.want.net = S;
	second(&w);
	cr_expect(w.fcbs[SLOT].res[FCB_CPU].usage == 0 && w.fcbs[SLOT].res[FCB_NET].usage == 0,
		  "off: as it was");
}

/* The kernel holds usage at the limit, and the score at 1.0: without the reading it stays there. */
Test(throttle, a_squeezed_group_that_wants_more_gets_it_and_is_released)
{
	struct world w;
	unsigned n, i;

	start(&w);
	seconds(&w, 30);
	w.want = (struct demand){ .cpu_ns = 2 * S, .read = 300 * MIB, .write = 300 * MIB };
	for (i = 0; i < 60 && w.s.cpu_limit_ns != NONE; i++)
		second(&w);
	cr_expect(i < 30, "from 0.05 to 2 CPUs in %u s", i);
	cr_expect(w.last[PFUSE_CTL_CPU].reason == PFUSE_WHY_CEILING);
	cr_expect(w.last[PFUSE_CTL_CPU].throttled == 10 && w.last[PFUSE_CTL_CPU].periods == 10);
	seconds(&w, 60 - i);
	/* The learned ceiling moves on with the peak: what ends the growth is that there is enough. */
	cr_expect(w.s.io_read_limit > 300 * MIB && w.s.io_read_limit < 600 * MIB);
	cr_expect(w.s.io_write_limit > 300 * MIB && w.s.io_write_limit < 600 * MIB);
	cr_expect(w.fcbs[SLOT].totals.cpu_throttled >= 10 * i);
	n = (unsigned)strlen(w.lines);
	seconds(&w, 100);
	cr_expect(strlen(w.lines) == n, "and then there is nothing more to say: %s", w.lines + n);
}

Test(throttle, a_configured_ceiling_is_a_limit)
{
	struct world w;

	start(&w);
	w.policy.cpu_ceiling_permille = 1500;
	w.policy.io_ceiling_kib = 100 * 1024;
	orchestrator_policy(&w.o, SLOT, &w.policy);
	seconds(&w, 30);
	w.want = (struct demand){ .cpu_ns = 2 * S, .read = 300 * MIB };
	seconds(&w, 60);
	cr_expect(w.s.cpu_limit_ns == 1500 * MS, "%" PRIu64, (uint64_t)w.s.cpu_limit_ns);
	cr_expect(w.s.io_read_limit == 100 * MIB);
	cr_expect(w.last[PFUSE_CTL_CPU].reason == PFUSE_WHY_CEILING);
}

Test(throttle, steady_work_is_left_alone)
{
	struct world w;
	unsigned n;

	start(&w);
	w.want = (struct demand){
		.cpu_ns = 200 * MS, .read = 5 * MIB, .write = 10 * MIB, .net = 100000
	};
	seconds(&w, 60);
	/* Shrinks while x / y < 0.5, by 30 % of the room: it ends in (1.7 x, 2 x]. */
	cr_expect(w.s.cpu_limit_ns > 340 * MS && w.s.cpu_limit_ns <= 400 * MS, "%" PRIu64,
		  (uint64_t)w.s.cpu_limit_ns);
	cr_expect(w.s.io_read_limit > 85 * MIB / 10 && w.s.io_read_limit <= 10 * MIB);
	cr_expect(w.s.io_write_limit > 17 * MIB && w.s.io_write_limit <= 20 * MIB);
	n = (unsigned)strlen(w.lines);
	seconds(&w, 600);
	cr_expect(strlen(w.lines) == n, "no more lines: %s", w.lines + n);
	cr_expect(w.fcbs[SLOT].totals.cpu_throttled == 0, "never in its way");
}

/* A burst within the periods: little in the mean, but cut off each time. */
Test(throttle, throttled_periods_grow_the_limit)
{
	struct world w;

	start(&w);
	w.want.cpu_ns = 200 * MS;
	seconds(&w, 60);
	w.s.cpu_throttled += 2;
	second(&w);
	cr_expect(w.last[PFUSE_CTL_CPU].reason == PFUSE_WHY_HIGH_WATER);
	cr_expect(w.last[PFUSE_CTL_CPU].to > w.last[PFUSE_CTL_CPU].from);
	cr_expect(w.last[PFUSE_CTL_CPU].throttled == 2 && w.last[PFUSE_CTL_CPU].periods == 10);
}

Test(throttle, no_shrink_within_the_cool_down)
{
	struct world w;
	uint64_t grown;

	start(&w);
	seconds(&w, 30);
	w.want = (struct demand){ .cpu_ns = 500 * MS };
	seconds(&w, 4);
	grown = w.s.cpu_limit_ns;
	cr_assert(w.last[PFUSE_CTL_CPU].to > w.last[PFUSE_CTL_CPU].from);
	w.want = some_cpu;
	seconds(&w, 2);
	cr_expect(w.s.cpu_limit_ns == grown && !orchestrator_quiet(&w.o, SLOT));
	second(&w);
	cr_expect(w.s.cpu_limit_ns < grown);
}

Test(throttle, net_goes_one_level_at_a_time_within_its_range)
{
	struct world w;
	uint64_t from = 0;

	start(&w);
	w.policy.net_low = 1;
	w.policy.net_high = 4;
	orchestrator_policy(&w.o, SLOT, &w.policy);
	w.want = some_cpu;
	for (unsigned i = 0; i < 20; i++) {
		w.want.net = 1000u << i;
		second(&w);
		cr_assert(w.s.net_priority == from || w.s.net_priority == from + 1, "%u after %u",
			  w.s.net_priority, (unsigned)from);
		from = w.s.net_priority;
	}
	cr_expect(w.s.net_priority == 4, "%u", w.s.net_priority);
	cr_expect(w.verdicts[PFUSE_CTL_NET] == 4, "%u: from 0 by 1 to 4",
		  w.verdicts[PFUSE_CTL_NET]);
	cr_expect(w.last[PFUSE_CTL_NET].reason == PFUSE_WHY_SCORE_HIGH);
	w.want = (struct demand){ 0 };
	seconds(&w, 2);
	cr_expect(w.s.net_priority == 4, "cool-down");
	seconds(&w, 30);
	cr_expect(w.s.net_priority == 1 && w.verdicts[PFUSE_CTL_NET] == 7);
	cr_expect(orchestrator_quiet(&w.o, SLOT));
}

/* Each of its moves is worth a level, so the virtual limit stands while the level must wait. */
Test(throttle, the_virtual_limit_waits_with_the_level)
{
	struct world w;
	uint64_t limit;

	start(&w);
	w.want = some_cpu;
	seconds(&w, 20);
	w.want.net = MIB;
	second(&w);
	cr_assert(w.s.net_priority == 1);
	limit = w.fcbs[SLOT].res[FCB_NET].limit;
	cr_expect(limit > 64 * 1024 && limit != NONE);
	w.want.net = 0;
	seconds(&w, 2);
	cr_expect(w.fcbs[SLOT].res[FCB_NET].limit == limit && w.s.net_priority == 1);
	second(&w);
	cr_expect(w.fcbs[SLOT].res[FCB_NET].limit < limit && w.s.net_priority == 0);
	limit = w.fcbs[SLOT].res[FCB_NET].limit;
	second(&w);
	cr_expect(w.fcbs[SLOT].res[FCB_NET].limit < limit, "at the bottom it goes on alone");
}

/* Traffic that jumps about by half its size, as a server's does: the level must not follow each. */
Test(throttle, noisy_traffic_causes_no_flapping)
{
	struct random_state rnd = { 0x2545f4914f6cdd1dull };
	struct world w;
	unsigned n;

	start(&w);
	w.policy.mode[FCB_CPU] = FCB_OBSERVE;
	orchestrator_policy(&w.o, SLOT, &w.policy);
	w.want = some_cpu;
	for (unsigned i = 0; i < 60; i++) {
		w.want.net = MIB / 2 + random_below(&rnd, MIB);
		second(&w);
	}
	n = w.verdicts[PFUSE_CTL_NET];
	for (unsigned i = 0; i < 600; i++) {
		w.want.net = MIB / 2 + random_below(&rnd, MIB);
		second(&w);
	}
	cr_expect(w.verdicts[PFUSE_CTL_NET] - n <= 6, "%u moves in 600 samples",
		  w.verdicts[PFUSE_CTL_NET] - n);
}

/* Bursts that come more often than the cool-down is long keep the level up. */
Test(throttle, bursts_keep_their_level)
{
	struct world w;
	unsigned n = 0;

	start(&w);
	w.policy.mode[FCB_CPU] = FCB_OBSERVE;
	orchestrator_policy(&w.o, SLOT, &w.policy);
	w.want = some_cpu;
	for (unsigned i = 0; i < 300; i++) {
		if (i == 60)
			n = w.verdicts[PFUSE_CTL_NET];
		w.want.net = i % 3 ? 0 : MIB;
		second(&w);
	}
	cr_expect(w.s.net_priority == 6 && w.verdicts[PFUSE_CTL_NET] == n, "priority %u, %u moves",
		  w.s.net_priority, w.verdicts[PFUSE_CTL_NET] - n);
}

Test(throttle, a_sleeper_is_not_judged_by_the_time_it_slept)
{
	struct pfuse_event ev = { .group_id = ID, .kind = PFUSE_EV_ACTIVE, .slot = SLOT };
	struct pfuse_verdict v[PFUSE_CONTROLS];
	struct world w;

	start(&w);
	w.want.cpu_ns = S;
	seconds(&w, 3);
	w.want.cpu_ns = 0;
	seconds(&w, 30);
	cr_assert(orchestrator_quiet(&w.o, SLOT));
	w.now += 3600 * S;
	ev.time_ns = w.now;
	orchestrator_event(&w.o, &ev, w.now, v);
	w.want.cpu_ns = 40 * MS;
	second(&w);
	cr_expect(w.fcbs[SLOT].res[FCB_CPU].usage == 40 * MS, "%" PRIu64,
		  w.fcbs[SLOT].res[FCB_CPU].usage);
}

Test(throttle, while_stopped_no_score_is_computed)
{
	struct pfuse_verdict v[PFUSE_CONTROLS];
	struct world w;

	start(&w);
	w.want = (struct demand){ .cpu_ns = S, .net = MIB };
	seconds(&w, 3);
	cr_assert(orchestrator_request(&w.o, SLOT, true, w.now, v) == 1);
	orchestrator_applied(&w.o, &v[0], ORCHESTRATOR_APPLIED, w.now);
	w.lines[0] = '\0';
	w.fcbs[SLOT].res[FCB_CPU].score = w.fcbs[SLOT].res[FCB_NET].score = 77;
	cr_expect(orchestrator_sample(&w.o, SLOT, &w.s, w.now + S, v) == 0);
	cr_expect(w.fcbs[SLOT].res[FCB_CPU].score == 77 && w.fcbs[SLOT].res[FCB_NET].score == 77);
	cr_expect(orchestrator_quiet(&w.o, SLOT));
}

Test(throttle, a_continued_group_is_not_judged_by_the_time_it_was_stopped)
{
	struct pfuse_verdict v[PFUSE_CONTROLS];
	struct world w;

	start(&w);
	w.want = (struct demand){ .cpu_ns = S, .read = 8 * MIB };
	seconds(&w, 3);
	cr_assert(orchestrator_request(&w.o, SLOT, true, w.now, v) == 1);
	orchestrator_applied(&w.o, &v[0], ORCHESTRATOR_APPLIED, w.now);
	w.now += 20 * S;
	cr_assert(orchestrator_request(&w.o, SLOT, false, w.now, v) == 1);
	orchestrator_applied(&w.o, &v[0], ORCHESTRATOR_APPLIED, w.now);
	second(&w);
	cr_expect(w.fcbs[SLOT].res[FCB_CPU].usage == S, "%" PRIu64,
		  w.fcbs[SLOT].res[FCB_CPU].usage);
	cr_expect(w.fcbs[SLOT].res[FCB_IO_READ].usage == 8 * MIB);
}

/* The edge counts on, or begins anew: what passed meanwhile is no rate of the next second. */
Test(throttle, what_was_off_begins_anew)
{
	struct world w;

	start(&w);
	w.want = some_cpu;
	w.policy.mode[FCB_IO_READ] = w.policy.mode[FCB_CPU] = FCB_OFF;
	orchestrator_policy(&w.o, SLOT, &w.policy);
	seconds(&w, 3);
	w.s.io_read_bytes += 100 * GIB;
	w.s.cpu_periods += 1000;
	w.s.cpu_throttled += 1000;
	w.policy.mode[FCB_IO_READ] = w.policy.mode[FCB_CPU] = FCB_ACT;
	orchestrator_policy(&w.o, SLOT, &w.policy);
	second(&w);
	cr_expect(w.fcbs[SLOT].res[FCB_IO_READ].usage == 0 && w.fcbs[SLOT].periods == 0);
	cr_expect(w.fcbs[SLOT].totals.cpu_throttled == 0);
	w.want.read = MIB;
	second(&w);
	cr_expect(w.fcbs[SLOT].res[FCB_IO_READ].usage == MIB);
	cr_expect(w.fcbs[SLOT].res[FCB_CPU].usage == 10 * MS);
}

Test(throttle, failures_back_off_by_control)
{
	struct world w;

	start(&w);
	w.outcome = ORCHESTRATOR_FAILED;
	w.want = some_cpu;
	seconds(&w, 63);
	/* At 1 s, then 1, 2, 4, 8, 16 and 32 s after the one before: the seventh at 64 s. */
	cr_expect(w.verdicts[PFUSE_CTL_IO_READ] == 6, "%u", w.verdicts[PFUSE_CTL_IO_READ]);
	cr_expect(w.verdicts[PFUSE_CTL_CPU] == 6, "three seconds later: its usage rose at first");
	cr_expect(w.verdicts[PFUSE_CTL_NET] == 0);
	cr_expect(w.fcbs[SLOT].control[PFUSE_CTL_RAM].failures == 0, "each control for itself");
	cr_expect(w.fcbs[SLOT].res[FCB_CPU].limit == NONE);
	second(&w);
	cr_expect(w.verdicts[PFUSE_CTL_IO_READ] == 7 && w.verdicts[PFUSE_CTL_CPU] == 6);
	seconds(&w, 3);
	cr_expect(w.verdicts[PFUSE_CTL_IO_READ] == 7 && w.verdicts[PFUSE_CTL_CPU] == 7);
	w.want.cpu_ns = 0;
	seconds(&w, 5);
	cr_expect(orchestrator_quiet(&w.o, SLOT), "hopeless: let it sleep");
}

/* A growth that is wanted in every sample must not put off its own next attempt. */
Test(throttle, a_growth_that_failed_is_tried_again)
{
	struct world w;
	unsigned n;

	start(&w);
	seconds(&w, 30);
	w.outcome = ORCHESTRATOR_FAILED;
	w.want = (struct demand){ .cpu_ns = 2 * S };
	n = w.verdicts[PFUSE_CTL_CPU];
	seconds(&w, 15);
	/* at 1, 4 (the cool-down, from the growth decided at 1), then after 2, 4, … */
	cr_expect(w.verdicts[PFUSE_CTL_CPU] - n >= 3, "%u", w.verdicts[PFUSE_CTL_CPU] - n);
	w.outcome = ORCHESTRATOR_APPLIED;
	seconds(&w, 60);
	cr_expect(w.s.cpu_limit_ns == NONE, "%" PRIu64, (uint64_t)w.s.cpu_limit_ns);
}

Test(throttle, a_foreign_control_is_let_go_and_the_others_are_not)
{
	struct pfuse_verdict v[PFUSE_CONTROLS];
	struct world w;
	unsigned n;

	start(&w);
	n = orchestrator_sample(&w.o, SLOT, &w.s, T0 + S, v);
	cr_assert(n == 3, "CPU and I/O come down, NET is at the bottom: %u", n);
	for (unsigned i = 0; i < n; i++)
		orchestrator_applied(&w.o, &v[i],
				     v[i].control == PFUSE_CTL_CPU ? ORCHESTRATOR_FOREIGN
								   : ORCHESTRATOR_APPLIED,
				     T0 + S);
	w.now = T0 + S;
	w.want = some_cpu;
	seconds(&w, 30);
	cr_expect(w.verdicts[PFUSE_CTL_CPU] == 0 && w.verdicts[PFUSE_CTL_IO_READ] > 3);
}

Test(throttle, the_kernels_limit_is_believed_when_it_changes)
{
	struct world w;

	start(&w);
	w.want.cpu_ns = 400 * MS;
	seconds(&w, 60);
	w.s.cpu_limit_ns = w.s.io_write_limit = 600 * MS;
	second(&w);
	cr_expect(w.fcbs[SLOT].res[FCB_CPU].limit == 600 * MS && w.verdicts[PFUSE_CTL_CPU] < 10);
	w.policy.mode[FCB_CPU] = FCB_OBSERVE;
	orchestrator_policy(&w.o, SLOT, &w.policy);
	w.s.cpu_limit_ns = 1ull << 62;
	second(&w);
	cr_expect(w.fcbs[SLOT].res[FCB_CPU].limit == NONE);
	w.s.cpu_limit_ns = 0;
	second(&w);
	cr_expect(w.fcbs[SLOT].res[FCB_CPU].limit == NONE, "not told is none");
}

/* In a dry run the kernel holds nobody back; the decisions are the same where usage is. */
Test(throttle, a_dry_run_decides_alike_below_the_limits)
{
	struct random_state rnd = { 88172645463325252ull };
	struct world wet, dry;

	start(&wet);
	start(&dry);
	dry.dry = true;
	for (unsigned i = 0; i < 300; i++) {
		struct demand want = { .cpu_ns = 20 * MS + random_below(&rnd, 10 * MS),
				       .read = random_below(&rnd, MIB),
				       .write = random_below(&rnd, MIB),
				       .net = random_below(&rnd, MIB) };

		wet.want = dry.want = want;
		second(&wet);
		second(&dry);
	}
	cr_expect(strlen(wet.lines) > 300 && strcmp(wet.lines, dry.lines) == 0,
		  "wet:\n%s\ndry:\n%s", wet.lines, dry.lines);
	cr_expect(dry.s.cpu_limit_ns == NONE && dry.s.net_priority == 0, "nothing was written");
	cr_expect(dry.fcbs[SLOT].res[FCB_CPU].limit == wet.s.cpu_limit_ns);
	cr_expect(dry.fcbs[SLOT].net_level == wet.s.net_priority);
}

static void random_demand(struct random_state *rnd, struct demand *want)
{
	if (random_below(rnd, 4) == 0)
		*want = (struct demand){ 0 };
	else if (random_below(rnd, 4) == 0)
		*want = (struct demand){ random_size(rnd), random_size(rnd), random_size(rnd),
					 random_size(rnd) };
	else if (random_below(rnd, 4) == 0)
		*want = (struct demand){ random_below(rnd, 2 * S), random_below(rnd, GIB),
					 random_below(rnd, GIB), random_below(rnd, GIB) };
}

Test(throttle, any_life_stays_in_range_and_ends_silent)
{
	for (uint64_t seed = 1; seed <= 50; seed++) {
		struct random_state rnd = { seed * 0x9e3779b97f4a7c15ull };
		struct world w;

		start(&w);
		for (int i = 0; i < 2000; i++) {
			random_demand(&rnd, &w.want);
			w.lines[0] = '\0';
			second(&w);
			cr_assert(w.s.net_priority <= 6);
			cr_assert(w.s.cpu_limit_ns == NONE ||
				  (w.s.cpu_limit_ns >= 50 * MS && w.s.cpu_limit_ns < 2 * S));
			cr_assert(w.s.io_read_limit >= MIB && w.s.io_write_limit >= MIB);
		}
		w.want = (struct demand){ 0 };
		seconds(&w, 400);
		cr_expect(orchestrator_quiet(&w.o, SLOT), "seed %" PRIu64, seed);
		cr_expect(w.s.net_priority == 0 && w.s.cpu_limit_ns == 50 * MS &&
				  w.s.io_read_limit == MIB && w.s.io_write_limit == MIB,
			  "seed %" PRIu64 ": %" PRIu64 " %" PRIu64, seed,
			  (uint64_t)w.s.cpu_limit_ns, (uint64_t)w.s.io_read_limit);
	}
}
