/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Whole stories through the one door: a made-up group, kernel and daemon, in simulated time.
 *
 * The kernel part keeps usage and limit, and emits HIGH_WATER and LIMIT_HIT the way the BPF side
 * does: once per crossing, armed again when the limit changes. Usage above the limit is an OOM
 * kill. The daemon part samples once a second unless the group is quiet, sets the timer that the
 * core asks for, handles each event some time after it was emitted, and carries verdicts out.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "core/orchestrator.h"

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define S 1000000000ull
#define MS 1000000ull
#define TICK (MS / 10)
#define T0 (1000 * S)
#define SLOT 1
#define ID 4711

struct world {
	struct orchestrator o;
	struct fcb fcbs[2];
	struct fcb_policy policy;
	struct pfuse_sample s; /* the kernel's truth */
	uint64_t now;
	uint64_t next_sample;
	uint64_t event_delay;
	struct pfuse_event pending[4];
	unsigned npending;
	bool armed_high, armed_hit, armed_active;
	bool stopped;
	unsigned oom, samples, events, wakes;
	unsigned grown, shrunk, stops, continues;
	uint64_t limit_min, limit_max;
	struct pfuse_verdict last;
};

static void start(struct world *w, uint64_t usage, uint64_t limit)
{
	memset(w, 0, sizeof(*w));
	orchestrator_init(&w->o, w->fcbs, 2, 8 * GIB, 4096);
	fcb_policy_defaults(&w->policy, 8 * GIB);
	w->s = (struct pfuse_sample){ .ram_usage_bytes = usage,
				      .ram_limit_bytes = limit,
				      .nprocs = 1 };
	w->now = T0;
	w->next_sample = T0 + S;
	w->event_delay = 1 * MS;
	w->armed_high = w->armed_hit = true;
	w->limit_min = w->limit_max = limit;
	orchestrator_attach(&w->o, SLOT, ID, &w->policy, &w->s, T0);
}

static void emit(struct world *w, uint32_t kind)
{
	struct pfuse_event *ev = &w->pending[w->npending++];

	cr_assert(w->npending <= 4);
	*ev = (struct pfuse_event){ .time_ns = w->now, .group_id = ID, .kind = kind, .slot = SLOT };
	if (kind == PFUSE_EV_HIGH_WATER || kind == PFUSE_EV_LIMIT_HIT) {
		ev->ram.usage_bytes = w->s.ram_usage_bytes;
		ev->ram.limit_bytes = w->s.ram_limit_bytes;
	}
}

static void charge(struct world *w, uint64_t bytes)
{
	w->s.ram_usage_bytes += bytes;
	if (w->armed_high && w->s.ram_usage_bytes * 1000 >= w->s.ram_limit_bytes * 900) {
		w->armed_high = false;
		emit(w, PFUSE_EV_HIGH_WATER);
	}
	if (w->s.ram_usage_bytes > w->s.ram_limit_bytes) {
		w->oom++;
		if (w->armed_hit) {
			w->armed_hit = false;
			emit(w, PFUSE_EV_LIMIT_HIT);
		}
	}
}

static void run(struct world *w, uint64_t ns)
{
	if (w->stopped)
		return;
	w->s.run_ns += ns;
	if (w->armed_active) {
		w->armed_active = false;
		emit(w, PFUSE_EV_ACTIVE);
	}
}

static void carry_out(struct world *w, const struct pfuse_verdict *v)
{
	w->last = *v;
	if (v->control == PFUSE_CTL_STOP) {
		w->stopped = v->to;
		v->to ? w->stops++ : w->continues++;
	} else {
		v->to > v->from ? w->grown++ : w->shrunk++;
		w->s.ram_limit_bytes = v->to;
		w->limit_min = v->to < w->limit_min ? v->to : w->limit_min;
		w->limit_max = v->to > w->limit_max ? v->to : w->limit_max;
		w->armed_high = w->armed_hit = true;
		cr_assert(w->s.ram_usage_bytes <= v->to, "limit written below usage");
	}
	orchestrator_applied(&w->o, v, ORCHESTRATOR_APPLIED, w->now);
}

static void daemon_turn(struct world *w)
{
	struct pfuse_verdict v[PFUSE_CONTROLS];
	unsigned n;

	while (w->npending && w->now >= w->pending[0].time_ns + w->event_delay) {
		n = orchestrator_event(&w->o, &w->pending[0], w->now, v);
		memmove(&w->pending[0], &w->pending[1], --w->npending * sizeof(w->pending[0]));
		w->events++;
		w->wakes++;
		for (unsigned i = 0; i < n; i++)
			carry_out(w, &v[i]);
		if (w->next_sample == FCB_NEVER)
			w->next_sample = w->now + S;
	}
	if (w->now >= orchestrator_due(&w->o, SLOT)) {
		n = orchestrator_timer(&w->o, SLOT, w->now, v);
		cr_assert(n > 0, "a timer that was due for nothing");
		w->wakes++;
		for (unsigned i = 0; i < n; i++)
			carry_out(w, &v[i]);
	}
	if (w->now >= w->next_sample) {
		w->armed_active = true;
		n = orchestrator_sample(&w->o, SLOT, &w->s, w->now, v);
		w->samples++;
		w->wakes++;
		for (unsigned i = 0; i < n; i++)
			carry_out(w, &v[i]);
		w->next_sample += S;
	}
	if (orchestrator_quiet(&w->o, SLOT))
		w->next_sample = FCB_NEVER;
	else if (w->next_sample == FCB_NEVER)
		w->next_sample = w->now + S;
}

static void pass(struct world *w, uint64_t ns)
{
	for (uint64_t end = w->now + ns; w->now < end;) {
		w->now += TICK;
		daemon_turn(w);
	}
}

static void talk(struct world *w)
{
	emit(w, PFUSE_EV_TALK);
	w->pending[w->npending - 1].talk.channel = PFUSE_CH_TCP;
	w->pending[w->npending - 1].talk.incoming = 1;
	w->s.talks++;
}

/* The paper's claim: the limit follows a growing process, which is never killed. */
Test(scenario, step_from_10_to_410_mib_under_64_mib_at_1_gib_per_second)
{
	struct world w;

	start(&w, 10 * MIB, 64 * MIB);
	pass(&w, 3 * S + S / 2);
	while (w.s.ram_usage_bytes < 410 * MIB) {
		charge(&w, GIB / (S / TICK));
		w.s.faults += GIB / (S / TICK) / 4096;
		run(&w, TICK);
		pass(&w, TICK);
	}
	pass(&w, 2 * MS);
	cr_expect(w.oom == 0, "%u times above the limit", w.oom);
	cr_expect(w.s.ram_limit_bytes * 900 > w.s.ram_usage_bytes * 1000);
	cr_expect(w.events > 1 && w.events <= 20, "%u events: no storm", w.events);
	cr_expect(w.limit_max < 3 * 410 * MIB, "limit %" PRIu64 " MiB", w.limit_max / MIB);
}

/* From the floor, where the headroom above the mark is smallest (1.6 MiB). */
Test(scenario, growth_from_the_floor)
{
	struct world w;

	start(&w, 4 * MIB, 16 * MIB);
	pass(&w, S / 2);
	while (w.s.ram_usage_bytes < 2 * GIB) {
		charge(&w, GIB / (S / TICK));
		run(&w, TICK);
		pass(&w, TICK);
	}
	cr_expect(w.oom == 0, "%u times above the limit", w.oom);
}

/* Hold 300, drop to 60, grow again: the paper's rule by samples alone was OOM-killed here. */
Test(scenario, drop_and_grow_again)
{
	struct world w;

	start(&w, 300 * MIB, 600 * MIB);
	for (int i = 0; i < 20; i++) {
		run(&w, 100 * MS);
		pass(&w, S);
	}
	w.s.ram_usage_bytes = 60 * MIB;
	for (int i = 0; i < 20; i++) {
		run(&w, 100 * MS);
		pass(&w, S);
	}
	cr_expect(w.s.ram_limit_bytes < 200 * MIB, "it came down: %" PRIu64,
		  (uint64_t)w.s.ram_limit_bytes / MIB);
	while (w.s.ram_usage_bytes < 410 * MIB) {
		charge(&w, GIB / (S / TICK));
		run(&w, TICK);
		pass(&w, TICK);
	}
	cr_expect(w.oom == 0);
}

Test(scenario, steady_usage_settles_and_stays)
{
	struct world w;
	unsigned decisions;

	start(&w, 100 * MIB, PFUSE_UNLIMITED);
	w.policy.freeze = FCB_FREEZE_OFF;
	orchestrator_policy(&w.o, SLOT, &w.policy);
	for (int i = 0; i < 60; i++) {
		run(&w, 100 * MS);
		pass(&w, S);
	}
	decisions = w.grown + w.shrunk;
	/* The rule shrinks while x / y < 0.5, by 30 % of the room: it ends in (1.7 x, 2 x]. */
	cr_expect(w.s.ram_limit_bytes > 170 * MIB - 4096 && w.s.ram_limit_bytes <= 200 * MIB,
		  "%" PRIu64 " MiB", (uint64_t)w.s.ram_limit_bytes / MIB);
	cr_expect(w.grown == 0 && decisions < 20, "%u decisions", decisions);
	for (int i = 0; i < 60; i++) {
		run(&w, 100 * MS);
		pass(&w, S);
	}
	cr_expect(w.grown + w.shrunk == decisions, "no write for noise");
	cr_expect(w.fcbs[SLOT].totals.usage_byte_s > 119.9 * 100 * MIB &&
		  w.fcbs[SLOT].totals.usage_byte_s < 120.1 * 100 * MIB);
}

Test(scenario, idle_stop_talk_continue_and_again)
{
	struct world w;

	start(&w, 100 * MIB, 180 * MIB);
	for (int i = 0; i < 5; i++) {
		run(&w, 500 * MS);
		pass(&w, S);
	}
	cr_expect(w.stops == 0);
	pass(&w, 9 * S);
	cr_expect(w.stops == 0, "active until a second ago or less than 10");
	pass(&w, 2 * S);
	cr_expect(w.stops == 1 && w.stopped && w.last.reason == PFUSE_WHY_IDLE);
	pass(&w, 5 * S);
	talk(&w);
	pass(&w, 2 * MS);
	cr_expect(w.continues == 1 && !w.stopped && w.last.reason == PFUSE_WHY_TALK);
	pass(&w, 9 * S);
	cr_expect(w.stops == 1);
	pass(&w, 3 * S);
	cr_expect(w.stops == 2, "a window and an idle time later");
	pass(&w, 25 * S);
	cr_expect(w.continues == 2 && w.last.reason == PFUSE_WHY_DEADLINE);
	cr_expect(w.last.since_ns >= 25 * S && w.last.since_ns < 25 * S + MS);
}

Test(scenario, an_idle_machine_causes_no_wakeups)
{
	struct world w;
	unsigned wakes;

	start(&w, 100 * MIB, 180 * MIB);
	w.policy.freeze = FCB_FREEZE_OFF;
	orchestrator_policy(&w.o, SLOT, &w.policy);
	pass(&w, 3 * S);
	cr_expect(w.samples == 1, "%u: one sample is enough to find it quiet", w.samples);
	wakes = w.wakes;
	pass(&w, 300 * S);
	cr_expect(w.wakes == wakes, "%u wake-ups in five minutes", w.wakes - wakes);
	run(&w, 500 * MS);
	pass(&w, 10 * MS);
	cr_expect(!orchestrator_quiet(&w.o, SLOT), "it woke");
	pass(&w, 3 * S);
	cr_expect(orchestrator_quiet(&w.o, SLOT), "and sleeps again");
	cr_expect(w.fcbs[SLOT].active_ns > T0 + 300 * S, "half a second of work was seen");
}

/* With zero wake-ups in between, the stop comes by the timer alone. */
Test(scenario, a_quiet_group_is_stopped_by_its_timer)
{
	struct world w;

	start(&w, 100 * MIB, 180 * MIB);
	pass(&w, 10 * S + MS);
	cr_expect(w.stopped && w.samples == 1 && w.wakes == 2);
	cr_expect(w.last.since_ns >= 10 * S && w.last.since_ns < 10 * S + MS);
}
