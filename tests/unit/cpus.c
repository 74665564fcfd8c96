/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/cpus.h"

#include <criterion/criterion.h>

#include "core/orchestrator.h"

#define MS 1000000ull
#define S 1000000000ull
#define GIB (1ull << 30)
#define SLOTS 5
#define MAX (2 * SLOTS)

static struct fcb fcbs[SLOTS];
static struct cpus_group groups[SLOTS];
static struct workload_group workload[SLOTS];
static struct cpus cpus;
static struct orchestrator o;
static struct pfuse_verdict v[MAX];

/* What BPF and the kernel have counted so far, by slot. */
static struct pfuse_sample counted[SLOTS];
static struct pfuse_span spans[SLOTS];
static uint64_t now_ns;

static void start(uint32_t ncpus)
{
	struct workload_topology t = { 0 };

	for (uint32_t cpu = 0; cpu < ncpus; cpu++) {
		cpumask_add(&t.online, cpu);
		t.core[cpu] = (uint16_t)cpu;
	}
	memset(counted, 0, sizeof(counted));
	memset(spans, 0, sizeof(spans));
	now_ns = 100 * S;
	orchestrator_init(&o, fcbs, SLOTS, 8 * GIB, 4096);
	cpus_init(&cpus, groups, workload, SLOTS, &t);
	cpus.workload.policy.waste_permille = 1000; /* sets, whatever they waste */
	o.cpus = &cpus;
}

static void join(uint32_t slot, enum workload_asked type, enum prio_asked character)
{
	struct cpus_policy policy = { .type = (uint8_t)type, .character = (uint8_t)character };
	struct pfuse_sample first = { .nprocs = 1, .ram_limit_bytes = PFUSE_UNLIMITED };
	struct fcb_policy p;

	fcb_policy_defaults(&p, 8 * GIB);
	if (!orchestrator_fcb(&o, slot))
		orchestrator_attach(&o, slot, 1000 + slot, &p, &first, now_ns);
	cpus_set_group(&cpus, slot, &policy);
}

/* So long with so much of one CPU, in bursts of 4 ms of a service, or by a hog. */
static void works(uint32_t slot, uint32_t permille, bool hog)
{
	uint32_t bursts = permille / 4;

	counted[slot].run_ns += permille * MS;
	counted[slot].oncpu = permille > 0;
	if (hog) {
		counted[slot].nivcsw += 10;
		return;
	}
	counted[slot].nvcsw += bursts;
	spans[slot].wakeups += bursts;
	spans[slot].burst[13] += bursts / 2; /* 4.2 to 8.4 ms */
	spans[slot].burst[12] += bursts - bursts / 2;
	spans[slot].burst_ns += permille * MS;
	spans[slot].short_ns += permille * MS;
}

static unsigned check(void)
{
	now_ns += S;
	for (uint32_t slot = 1; slot < SLOTS; slot++)
		orchestrator_cpus_look(&o, slot, &counted[slot], &spans[slot], now_ns);
	return orchestrator_cpus(&o, now_ns, v, MAX);
}

static void apply(unsigned n, enum orchestrator_outcome outcome)
{
	for (unsigned i = 0; i < n; i++)
		orchestrator_applied(&o, &v[i], outcome, now_ns);
}

static const struct pfuse_verdict *find(unsigned n, uint32_t slot, enum pfuse_control control)
{
	for (unsigned i = 0; i < n; i++)
		if (v[i].slot == slot && v[i].control == control)
			return &v[i];
	return NULL;
}

/* A service in slot 1, a hog in slot 2; the verdicts of the check that moves the hog, in v. */
static unsigned until_moved(enum prio_asked character)
{
	unsigned n = 0;

	join(1, WORKLOAD_AUTO, PRIO_OFF);
	join(2, WORKLOAD_AUTO, character);
	for (int i = 0; i < 10 && !find(n, 2, PFUSE_CTL_CPUS); i++) {
		apply(n, ORCHESTRATOR_APPLIED);
		works(1, 100, false);
		works(2, 1000, true);
		n = check();
	}
	return n;
}

Test(cpus, a_hog_becomes_scientific_and_the_service_keeps_its_cpu)
{
	const struct pfuse_verdict *hog, *service;
	unsigned n;

	start(2);
	n = until_moved(PRIO_OFF);
	hog = find(n, 2, PFUSE_CTL_CPUS);
	service = find(n, 1, PFUSE_CTL_CPUS);
	cr_assert(hog && service, "%u verdicts", n);
	cr_expect_eq(hog->reason, PFUSE_WHY_TYPE);
	cr_expect_eq(hog->is, PFUSE_TYPE_SCIENTIFIC);
	cr_expect_eq(hog->count, 4, "beta 3, and one more");
	cr_expect_eq(hog->usage, 1000);
	cr_expect(hog->from == PFUSE_UNLIMITED && hog->to == 1);
	cr_expect_eq(service->reason, PFUSE_WHY_SLA);
	cr_expect(service->from == PFUSE_UNLIMITED && service->to == 1);
	cr_expect(cpumask_has(orchestrator_cpu_set(&o, 1), 0));
	cr_expect(cpumask_has(orchestrator_cpu_set(&o, 2), 1));
	cr_expect_eq(orchestrator_cpus(&o, now_ns, v, MAX), n, "not reported: given again");
	apply(n, ORCHESTRATOR_APPLIED);
	cr_expect_eq(orchestrator_cpus(&o, now_ns, v, MAX), 0);
	cr_expect_eq(cpus_group(&cpus, 2)->moves, 1);
	works(1, 100, false);
	works(2, 1000, true);
	cr_expect_eq(check(), 0, "nothing changes");
}

Test(cpus, what_would_be_wasted_is_shared_by_weight_until_a_wait_is_late)
{
	struct pfuse_event late = { .kind = PFUSE_EV_WAIT, .slot = 1, .group_id = 1001 };
	const struct pfuse_verdict *weight;
	unsigned n;

	start(2);
	cpus.workload.policy.waste_permille = 100;
	join(1, WORKLOAD_SERVICE, PRIO_OFF);
	join(2, WORKLOAD_SCIENTIFIC, PRIO_OFF);
	for (int i = 0; i < 2; i++) { /* the first look has none before it */
		works(1, 100, false);
		works(2, 1000, true);
		n = check();
	}
	cr_expect_null(find(n, 1, PFUSE_CTL_CPUS));
	cr_expect_null(find(n, 2, PFUSE_CTL_CPUS), "half of the machine is too much");
	weight = find(n, 2, PFUSE_CTL_WEIGHT);
	cr_assert(weight);
	cr_expect_eq(weight->to, 1);
	cr_expect_null(find(n, 1, PFUSE_CTL_WEIGHT));
	apply(n, ORCHESTRATOR_APPLIED);

	now_ns += 2 * S;
	late.time_ns = now_ns;
	orchestrator_event(&o, &late, now_ns, v);
	n = orchestrator_cpus(&o, now_ns, v, MAX);
	cr_assert(find(n, 1, PFUSE_CTL_CPUS) && find(n, 2, PFUSE_CTL_CPUS), "%u verdicts", n);
	cr_expect_eq(find(n, 1, PFUSE_CTL_CPUS)->to, 1);
	cr_expect_eq(find(n, 2, PFUSE_CTL_CPUS)->to, 1);
	cr_assert(find(n, 2, PFUSE_CTL_WEIGHT));
	cr_expect_eq(find(n, 2, PFUSE_CTL_WEIGHT)->to, 0, "as found");
}

Test(cpus, without_an_array_nothing_is_decided)
{
	start(2);
	o.cpus = NULL;
	cr_expect_eq(orchestrator_cpus_due(&o), FCB_NEVER);
	cr_expect_eq(check(), 0);
	cr_expect_null(orchestrator_cpu_set(&o, 1));
}

Test(cpus, who_is_not_asked_keeps_all)
{
	start(2);
	join(1, WORKLOAD_OFF, PRIO_OFF);
	join(2, WORKLOAD_SCIENTIFIC, PRIO_OFF);
	for (int i = 0; i < 20; i++) {
		works(1, 100, false);
		cr_expect_eq(check(), 0, "check %d", i);
	}
}

Test(cpus, what_failed_is_tried_again_ever_less_often)
{
	unsigned tries = 0, n;

	start(2);
	n = until_moved(PRIO_OFF);
	apply(n, ORCHESTRATOR_FAILED);
	for (int i = 0; i < 100; i++) {
		works(1, 100, false);
		works(2, 1000, true);
		n = check();
		tries += find(n, 2, PFUSE_CTL_CPUS) != NULL;
		apply(n, ORCHESTRATOR_FAILED);
	}
	cr_expect(tries >= 5 && tries <= 8, "1, 2, 4 ... 64 s: %u", tries);
	now_ns += 100 * S;
	check();
	n = check();
	apply(n, ORCHESTRATOR_APPLIED);
	cr_expect_eq(groups[2].cpus.failures, 0);
	cr_expect(!cpumask_empty(&groups[2].given));
}

Test(cpus, what_somebody_else_set_is_theirs)
{
	unsigned n;

	start(2);
	n = until_moved(PRIO_OFF);
	for (unsigned i = 0; i < n; i++)
		orchestrator_applied(&o, &v[i],
				     v[i].slot == 2 ? ORCHESTRATOR_FOREIGN : ORCHESTRATOR_APPLIED,
				     now_ns);
	cr_expect_eq(groups[2].cpus.let_go, true);
	works(1, 100, false);
	works(2, 1000, true);
	n = check();
	cr_expect_null(find(n, 2, PFUSE_CTL_CPUS));
	cr_assert(find(n, 1, PFUSE_CTL_CPUS), "nobody scientific is left");
	cr_expect_eq(find(n, 1, PFUSE_CTL_CPUS)->to, PFUSE_UNLIMITED);
	join(2, WORKLOAD_SCIENTIFIC, PRIO_OFF);
	apply(n, ORCHESTRATOR_APPLIED);
	works(1, 100, false);
	cr_expect_eq(check(), 0, "and stays theirs");
}

Test(cpus, a_group_that_vanishes_frees_its_cpus)
{
	struct pfuse_event gone = { .kind = PFUSE_EV_REMOVED, .slot = 2, .group_id = 1002 };
	unsigned n;

	start(2);
	n = until_moved(PRIO_OFF);
	apply(n, ORCHESTRATOR_APPLIED);
	cr_expect_eq(orchestrator_event(&o, &gone, now_ns, v), 0);
	n = orchestrator_cpus(&o, now_ns, v, MAX);
	cr_assert_eq(n, 1);
	cr_expect(v[0].slot == 1 && v[0].to == PFUSE_UNLIMITED);
}

Test(cpus, asked_for_no_more_is_released)
{
	unsigned n;

	start(2);
	n = until_moved(PRIO_BATCH);
	apply(n, ORCHESTRATOR_APPLIED);
	cr_expect_neq(groups[2].given_weight, 0);
	join(2, WORKLOAD_OFF, PRIO_OFF);
	n = orchestrator_cpus(&o, now_ns, v, MAX);
	cr_assert(find(n, 2, PFUSE_CTL_CPUS) && find(n, 2, PFUSE_CTL_WEIGHT), "%u", n);
	cr_expect_eq(find(n, 2, PFUSE_CTL_CPUS)->to, PFUSE_UNLIMITED);
	cr_expect_eq(find(n, 2, PFUSE_CTL_WEIGHT)->to, 0);
}

Test(cpus, late_waits_grow_a_service_without_a_check)
{
	struct pfuse_event late = { .kind = PFUSE_EV_WAIT, .slot = 1, .group_id = 1001 };
	unsigned n;

	start(4);
	n = until_moved(PRIO_OFF);
	apply(n, ORCHESTRATOR_APPLIED);
	(void)orchestrator_event(&o, &late, now_ns + 19 * MS, v);
	cr_expect_eq(orchestrator_cpus(&o, now_ns + 19 * MS, v, MAX), 0, "still of the old CPUs");
	cr_expect_eq(orchestrator_event(&o, &late, now_ns + 20 * MS, v), 0);
	n = orchestrator_cpus(&o, now_ns + 20 * MS, v, MAX);
	cr_assert(find(n, 2, PFUSE_CTL_CPUS), "what the one gets the other loses: %u", n);
	cr_expect_eq(workload[1].cpus, 2);
	apply(n, ORCHESTRATOR_APPLIED);
	cr_expect(cpus.next_check_ns > now_ns + 20 * MS, "the next check is not put off");
	cr_expect(cpus.next_check_ns <= now_ns + S, "the next check is not put off");
	late.slot = 2;
	late.group_id = 1001;
	(void)orchestrator_event(&o, &late, now_ns, v);
	cr_expect_eq(o.ignored[ORCHESTRATOR_BAD_ID], 1);
}

Test(cpus, weights_merge)
{
	const struct pfuse_verdict *weight;
	unsigned n;

	/* One CPU: the scientific group shares it with the service, whatever its table says. */
	start(1);
	join(3, WORKLOAD_SERVICE, PRIO_INTERACTIVE);
	n = until_moved(PRIO_BATCH);
	apply(n, ORCHESTRATOR_APPLIED);
	weight = find(n, 2, PFUSE_CTL_WEIGHT);
	cr_assert(weight);
	cr_expect(weight->to == 1 && weight->reason == PFUSE_WHY_REMAINDER, "%llu",
		  (unsigned long long)weight->to);
	cr_expect_eq(groups[3].given_weight, 100, "by its table");

	/* Two scientific groups share the CPU that is left: evenly, or by their tables. */
	start(2);
	join(3, WORKLOAD_SCIENTIFIC, PRIO_OFF);
	n = until_moved(PRIO_BATCH);
	apply(n, ORCHESTRATOR_APPLIED);
	cr_expect_eq(groups[2].given_weight, 67, "%u", groups[2].given_weight);
	cr_expect_eq(groups[3].given_weight, 100, "%u", groups[3].given_weight);
	cr_expect_eq(groups[1].given_weight, 0);

	/* The other one goes: alone on its CPU, no weight is needed. */
	join(2, WORKLOAD_AUTO, PRIO_OFF);
	join(3, WORKLOAD_OFF, PRIO_OFF);
	n = orchestrator_cpus(&o, now_ns, v, MAX);
	apply(n, ORCHESTRATOR_APPLIED);
	cr_expect_eq(groups[2].given_weight, 0);
	cr_expect_eq(groups[3].given_weight, 0);
}

Test(cpus, a_character_is_found_and_weighed)
{
	const struct pfuse_verdict *weight = NULL;
	struct cpus_policy policy = { .character = PRIO_AUTO,
				      .nice = 5,
				      .table = { 0, PRIO_KERNEL, PRIO_GROUPED2, 0 } };
	unsigned n = 0;

	start(2);
	join(1, WORKLOAD_OFF, PRIO_AUTO);
	join(2, WORKLOAD_OFF, PRIO_AUTO);
	cpus_set_group(&cpus, 1, &policy);
	cpus_set_group(&cpus, 2, &policy);
	for (int i = 0; i < 10 && !weight; i++) {
		works(1, 400, false);
		works(2, 1000, true);
		n = check();
		weight = find(n, 1, PFUSE_CTL_WEIGHT);
	}
	cr_assert(weight);
	cr_expect_eq(weight->is, PFUSE_CHARACTER_INTERACTIVE);
	cr_expect_eq(weight->to, 33, "the kernel's nice 5");
	cr_expect_eq(weight->reason, PFUSE_WHY_CHARACTER);
	cr_expect(weight->short_permille > 700 && weight->voluntary_permille == 1000 &&
			  weight->wakeups == 250,
		  "%u %u %u", weight->short_permille, weight->voluntary_permille, weight->wakeups);
	weight = find(n, 2, PFUSE_CTL_WEIGHT);
	cr_assert(weight);
	cr_expect_eq(weight->is, PFUSE_CHARACTER_BATCH);
	cr_expect_eq(weight->to, 37, "mean of nice 4 and 5: 379 / 1024");
	cr_expect_null(find(n, 1, PFUSE_CTL_CPUS), "no type was asked for");
}

Test(cpus, a_pause_is_no_look)
{
	start(2);
	join(1, WORKLOAD_AUTO, PRIO_OFF);
	works(1, 1000, true);
	check();
	for (int i = 0; i < 10; i++) {
		now_ns += 60 * S; /* everybody slept */
		works(1, 1000, true);
		check();
	}
	cr_expect_eq(workload[1].count, 0);
	cr_expect_eq(workload[1].usage_permille, 0);
}

Test(cpus, what_does_not_fit_comes_with_the_next_call)
{
	unsigned n, all, calls = 0;

	start(2);
	all = until_moved(PRIO_BATCH);
	cr_assert_geq(all, 2);
	for (; all && calls < 10; calls++) {
		n = orchestrator_cpus(&o, now_ns, v, 1);
		cr_assert_eq(n, 1);
		apply(n, ORCHESTRATOR_APPLIED);
		all--;
	}
	cr_expect_eq(orchestrator_cpus(&o, now_ns, v, MAX), 0);
	cr_expect_eq(orchestrator_cpus(&o, now_ns, v, 0), 0);
}

Test(cpus, an_fcb_has_no_more_controls_than_before)
{
	struct pfuse_verdict odd = { .slot = 1, .control = PFUSE_CTL_WEIGHT, .to = 50 };

	start(2);
	join(1, WORKLOAD_OFF, PRIO_OFF);
	o.cpus = NULL;
	orchestrator_applied(&o, &odd, ORCHESTRATOR_APPLIED, now_ns);
	orchestrator_applied(&o, &odd, ORCHESTRATOR_FAILED, now_ns);
	cr_expect_eq(fcbs[1].totals.failed, 0);
	cr_expect_eq(sizeof(fcbs[1].control) / sizeof(fcbs[1].control[0]), FCB_CONTROLS);
}
