/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/workload.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "core/arith.h"
#include "random.h"

#define MS 1000000ull
#define S 1000000000ull
#define SLOTS 12 /* slot 0 included */
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define SE PFUSE_TYPE_SERVICE
#define SC PFUSE_TYPE_SCIENTIFIC

static struct workload_group groups[SLOTS];
static struct workload w;

/* `smt` siblings lie `cpus / smt` apart, as Linux numbers them; `llcs` caches, a node each. */
static struct workload_topology machine(uint32_t cpus, uint32_t smt, uint32_t llcs)
{
	struct workload_topology t = { 0 };
	uint32_t cores = cpus / smt;

	for (uint32_t cpu = 0; cpu < cpus; cpu++) {
		cpumask_add(&t.online, cpu);
		t.core[cpu] = (uint16_t)(cpu % cores);
		t.llc[cpu] = t.node[cpu] = (uint16_t)(cpu % cores * llcs / cores);
	}
	return t;
}

/* The paper's rule: services may keep any number of CPUs unused. Tests of `waste` set theirs. */
static void start_on(const struct workload_topology *t)
{
	workload_init(&w, groups, SLOTS, t);
	w.policy.waste_permille = 1000;
}

static void start(uint32_t cpus)
{
	struct workload_topology t = machine(cpus, 1, 1);

	start_on(&t);
}

static const char *print(const struct cpumask *mask)
{
	static char texts[4][256];
	static int next;
	char *text = texts[next++ % 4];
	int at = 0;

	text[0] = '\0';
	for (uint32_t cpu = 0; cpu < CPUMASK_CPUS && at < 240; cpu++)
		if (cpumask_has(mask, cpu))
			at += sprintf(text + at, at ? ",%u" : "%u", cpu);
	return text;
}

static void expect_set(uint32_t slot, const char *want, const char *why)
{
	const char *got = print(workload_set(&w, slot));

	cr_expect_str_eq(got, want, "%s: group %u has %s", why, slot, got);
}

/* One task that uses so much of one CPU, for a second. */
static struct workload_look using(uint32_t permille)
{
	return (struct workload_look){
		.span_ns = S, .run_ns = permille * MS, .oncpu = 1, .nvcsw = 100
	};
}

static void look(uint32_t slot, uint32_t permille)
{
	struct workload_look l = using(permille);

	workload_look(&w, slot, &l);
}

/* A service that needs so many CPUs (0: a small one), and is known to. */
static void service(uint32_t slot, uint32_t cpus)
{
	workload_join(&w, slot, WORKLOAD_SERVICE);
	look(slot, cpus ? cpus * w.policy.utilisation_permille : 10);
}

static void scientific(uint32_t slot)
{
	workload_join(&w, slot, WORKLOAD_SCIENTIFIC);
}

/* Algorithm 1 and 2 */

Test(workload, steps_of_the_algorithms)
{
	static const struct {
		uint8_t list;
		uint32_t count, usage, beta;
		uint32_t want_count;
		uint8_t want_list;
		const char *why;
	} table[] = {
		{ SE, 0, 799, 3, 0, SE, "count never goes below 0" },
		{ SE, 1, 799, 3, 0, SE, "usage < alpha: count - 1" },
		{ SE, 0, 800, 3, 1, SE, "usage >= alpha: count + 1" },
		{ SE, 2, 1000, 3, 3, SE, "count = beta is not count > beta" },
		{ SE, 3, 800, 3, 0, SC, "count > beta: count = 0, to LIST_sc" },
		{ SE, 3, 799, 3, 2, SE, "at beta, and back" },
		{ SE, 0, 800, 0, 0, SC, "beta 0: at once" },
		{ SC, 0, 800, 3, 0, SC, "count never goes below 0" },
		{ SC, 1, 800, 3, 0, SC, "usage >= alpha: count - 1" },
		{ SC, 0, 799, 3, 1, SC, "usage < alpha: count + 1" },
		{ SC, 2, 0, 3, 3, SC, "count = beta is not count > beta" },
		{ SC, 3, 799, 3, 0, SE, "count > beta: count = 0, to LIST_se" },
		{ SC, 3, 800, 3, 2, SC, "at beta, and back" },
		{ SC, 0, 0, 0, 0, SE, "beta 0: at once" },
		{ SE, UINT32_MAX, 900, UINT32_MAX, UINT32_MAX, SE, "no wrap" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct workload_policy p = { .check_ns = S,
					     .alpha_permille = 800,
					     .beta = table[i].beta,
					     .utilisation_permille = 700 };

		start(4);
		workload_set_policy(&w, &p);
		workload_join(&w, 1, WORKLOAD_AUTO);
		groups[1].list = table[i].list;
		groups[1].count = table[i].count;
		look(1, table[i].usage);
		workload_check(&w);
		cr_expect(groups[1].count == table[i].want_count, "%s: count %u", table[i].why,
			  groups[1].count);
		cr_expect(groups[1].list == table[i].want_list, "%s: list %u", table[i].why,
			  groups[1].list);
		cr_expect(groups[1].moved == (table[i].list != table[i].want_list), "%s",
			  table[i].why);
	}
}

Test(workload, a_history_moves_there_and_back)
{
	/* Usage per check; after it: the count, and the list. */
	static const struct {
		uint32_t usage, count;
		uint8_t list;
	} history[] = {
		{ 900, 1, SE }, { 900, 2, SE }, { 100, 1, SE }, { 900, 2, SE }, { 900, 3, SE },
		{ 900, 0, SC }, { 100, 1, SC }, { 100, 2, SC }, { 900, 1, SC }, { 100, 2, SC },
		{ 100, 3, SC }, { 100, 0, SE }, { 100, 0, SE }, { 800, 1, SE },
	};

	start(4);
	workload_join(&w, 1, WORKLOAD_AUTO);
	for (size_t i = 0; i < ARRAY_SIZE(history); i++) {
		look(1, history[i].usage);
		workload_check(&w);
		cr_expect(groups[1].count == history[i].count && groups[1].list == history[i].list,
			  "#%zu: count %u, list %u", i, groups[1].count, groups[1].list);
	}
}

Test(workload, what_is_asked_for_is_never_moved)
{
	start(4);
	workload_join(&w, 1, WORKLOAD_SERVICE);
	workload_join(&w, 2, WORKLOAD_SCIENTIFIC);
	for (int i = 0; i < 20; i++) {
		look(1, 1000);
		look(2, 0);
		workload_check(&w);
		cr_expect(groups[1].list == SE && groups[2].list == SC);
		cr_expect(groups[1].count == 0 && groups[2].count == 0);
	}
	workload_join(&w, 2, WORKLOAD_AUTO);
	cr_expect(groups[2].list == SC, "sorted already: goes on from there");
	workload_join(&w, 2, WORKLOAD_SERVICE);
	cr_expect(groups[2].list == SE && groups[2].moved);
	workload_join(&w, 2, WORKLOAD_OFF);
	cr_expect(groups[2].list == PFUSE_TYPE_NONE);
	workload_join(&w, 2, (enum workload_asked)99);
	cr_expect(groups[2].list == PFUSE_TYPE_NONE, "absurd");
	workload_join(&w, 0, WORKLOAD_AUTO);
	workload_join(&w, SLOTS, WORKLOAD_AUTO);
	cr_expect(groups[0].list == PFUSE_TYPE_NONE, "no such slots");
}

Test(workload, no_look_no_count)
{
	struct workload_look stopped = using(0), none = { 0 };

	stopped.stopped = true;
	start(4);
	workload_join(&w, 1, WORKLOAD_AUTO);
	groups[1].list = SC;
	groups[1].count = 3;
	workload_check(&w);
	cr_expect_eq(groups[1].count, 3, "nobody looked");
	workload_look(&w, 1, &stopped);
	workload_check(&w);
	cr_expect_eq(groups[1].count, 3, "what it does not do while it is stopped proves nothing");
	workload_look(&w, 1, &none);
	workload_check(&w);
	cr_expect_eq(groups[1].count, 3, "no time has passed");
	look(1, 0);
	workload_check(&w);
	cr_expect_eq(groups[1].list, SE);
}

Test(workload, usage_is_what_was_wanted_of_what_could_be_had)
{
	static const struct {
		struct workload_look look;
		uint32_t parallel, given, want;
		const char *why;
	} table[] = {
		{ { .span_ns = S, .run_ns = S }, 1, 1, 1000, "a hog on its CPU" },
		{ { .span_ns = S, .run_ns = S }, 1, 8, 1000, "one thread cannot use eight CPUs" },
		{ { .span_ns = S, .run_ns = S }, 4, 8, 250, "four could have run" },
		{ { .span_ns = S, .run_ns = 2 * S }, 1, 8, 1000, "two must have run" },
		{ { .span_ns = S, .run_ns = 1050 * MS }, 1, 8, 1000, "an edge is not a second" },
		{ { .span_ns = S, .run_ns = 1150 * MS }, 1, 8, 575, "but this is" },
		{ { .span_ns = S, .run_ns = S }, 4, 1, 1000, "four threads on one CPU" },
		{ { .span_ns = S, .run_ns = 0 }, 0, 8, 0, "idle" },
		{ { .span_ns = S, .run_ns = 300 * MS, .wait_ns = 700 * MS, .nivcsw = 9 },
		  1,
		  2,
		  1000,
		  "kept from the CPU after preemption: wanted to go on" },
		{ { .span_ns = S, .run_ns = 300 * MS, .wait_ns = 700 * MS, .nvcsw = 9 },
		  1,
		  2,
		  300,
		  "late after a wake-up: a service that is starved is no hog" },
		{ { .span_ns = S,
		    .run_ns = 300 * MS,
		    .wait_ns = 400 * MS,
		    .nvcsw = 3,
		    .nivcsw = 1 },
		  1,
		  2,
		  400,
		  "a quarter of the waits" },
		{ { .span_ns = S, .run_ns = 400 * MS, .budget_permille = 400 },
		  1,
		  2,
		  1000,
		  "all that its cpu.max lets it use" },
		{ { .span_ns = S, .run_ns = 100 * MS, .budget_permille = 400 },
		  1,
		  2,
		  250,
		  "a quarter of that" },
		{ { .span_ns = S, .run_ns = 500 * MS, .budget_permille = 4000 },
		  1,
		  2,
		  500,
		  "a limit that is none" },
		{ { .span_ns = 1, .run_ns = UINT64_MAX, .wait_ns = UINT64_MAX, .nivcsw = 1 },
		  UINT32_MAX,
		  CPUMASK_CPUS,
		  1000,
		  "absurd" },
		{ { .span_ns = S, .run_ns = S }, 0, 0, 1000, "no CPU at all counts as one" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		uint32_t got =
			workload_usage_permille(&table[i].look, table[i].parallel, table[i].given);

		cr_expect_eq(got, table[i].want, "%s: %u", table[i].why, got);
	}
}

/* allocate_SLA() */

Test(workload, the_least_cpus_for_the_utilisation)
{
	static const struct {
		uint32_t usage, want;
		const char *why;
	} table[] = {
		{ 0, 0, "idle: shares" },
		{ 350, 0, "half a CPU: shares" },
		{ 351, 1, "more than half" },
		{ 700, 1, "70 % of one" },
		{ 701, 2, "more than 70 % of one" },
		{ 1400, 2, "70 % of two" },
		{ 1402, 3, "more than 70 % of two" },
		{ 100000, 8, "no more than there are" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		start(8);
		workload_join(&w, 1, WORKLOAD_SERVICE);
		look(1, table[i].usage);
		workload_check(&w);
		cr_expect_eq(groups[1].cpus, table[i].want, "%s: %u", table[i].why, groups[1].cpus);
	}
}

Test(workload, grown_at_once_shrunk_slowly)
{
	uint32_t checks = 0;

	start(16);
	scientific(2);
	service(1, 1);
	workload_check(&w);
	cr_expect_eq(groups[1].cpus, 1);
	look(1, 4000);
	workload_check(&w);
	cr_expect_eq(groups[1].cpus, 6, "4 / 0.7 CPUs, at once: %u", groups[1].cpus);
	for (; groups[1].cpus == 6 && checks < 100; checks++) {
		look(1, 700);
		workload_check(&w);
	}
	cr_expect(checks > 10 && checks < 40, "first shrink after %u checks", checks);
	cr_expect_eq(groups[1].cpus, 4, "a quarter of what is too much, rounded up: %u",
		     groups[1].cpus);
	for (checks = 0; groups[1].cpus > 1 && checks < 100; checks++) {
		look(1, 700);
		workload_check(&w);
	}
	cr_expect_eq(groups[1].cpus, 1, "in the end: %u", groups[1].cpus);
}

Test(workload, a_shrink_that_was_a_mistake_makes_the_next_one_later)
{
	uint32_t waited[4];

	start(16);
	scientific(2);
	service(1, 3);
	workload_check(&w);
	for (size_t round = 0; round < ARRAY_SIZE(waited); round++) {
		uint32_t had = groups[1].cpus;

		waited[round] = 0;
		while (groups[1].cpus >= had && waited[round] < 1000) {
			look(1, 1400);
			workload_check(&w);
			waited[round]++;
		}
		look(1, 2100);
		workload_check(&w);
		cr_expect_eq(groups[1].cpus, 3, "grown again at once");
	}
	for (size_t round = 1; round < ARRAY_SIZE(waited); round++)
		cr_expect(waited[round] > waited[round - 1] + 5, "round %zu: %u after %u", round,
			  waited[round], waited[round - 1]);
}

static struct workload_look late(uint64_t p99_ns, uint32_t waits)
{
	struct workload_look l = using(100);

	l.wait_p99_ns = p99_ns;
	l.waits = waits;
	return l;
}

Test(workload, waits_grow_a_service_that_has_cpus_of_its_own)
{
	struct workload_look bad = late(11 * MS, 100), few = late(11 * MS, 15);
	struct workload_look good = late(10 * MS, 100);

	start(8);
	service(1, 1);
	workload_check(&w);
	workload_look(&w, 1, &bad);
	workload_check(&w);
	cr_expect_eq(groups[1].cpus, 1, "not confined: others may be in its way");
	cr_expect_not(workload_late(&w, 1));

	scientific(2);
	workload_check(&w);
	workload_look(&w, 1, &good);
	workload_check(&w);
	cr_expect_eq(groups[1].cpus, 1, "at the target");
	workload_look(&w, 1, &few);
	workload_check(&w);
	cr_expect_eq(groups[1].cpus, 1, "too few of them");
	workload_look(&w, 1, &bad);
	workload_check(&w);
	cr_expect_eq(groups[1].cpus, 2, "above the target");

	cr_expect(workload_late(&w, 1), "by event");
	cr_expect_eq(groups[1].cpus, 3);
	cr_expect_not(workload_late(&w, 1), "once per check");
	workload_look(&w, 1, &bad);
	workload_check(&w);
	cr_expect_eq(groups[1].cpus, 3, "the waits from before the event prove nothing");
	workload_look(&w, 1, &bad);
	workload_check(&w);
	cr_expect_eq(groups[1].cpus, 4);
	for (int i = 0; i < 20; i++) {
		workload_look(&w, 1, &bad);
		workload_check(&w);
	}
	cr_expect_eq(groups[1].cpus, 8, "no more than there are");
	cr_expect_not(workload_late(&w, 1));
	cr_expect_not(workload_late(&w, 2), "no service");
	cr_expect_not(workload_late(&w, 77), "no such slot");
}

Test(workload, waits_near_the_target_keep_a_service_from_shrinking)
{
	struct workload_look near = late(6 * MS, 100), far = late(5 * MS, 100);

	start(8);
	scientific(2);
	service(1, 3);
	workload_check(&w);
	for (int i = 0; i < 100; i++) {
		workload_look(&w, 1, &near);
		workload_check(&w);
	}
	cr_expect_eq(groups[1].cpus, 3);
	for (int i = 0; i < 100; i++) {
		workload_look(&w, 1, &far);
		workload_check(&w);
	}
	cr_expect_eq(groups[1].cpus, 0, "half of it: %u", groups[1].cpus);
}

Test(workload, a_target_of_nothing_is_none)
{
	struct workload_policy p;
	struct workload_look bad = late(100 * S, 1000);

	start(8);
	workload_policy_defaults(&p);
	p.wait_p99_ns = 0;
	workload_set_policy(&w, &p);
	scientific(2);
	service(1, 1);
	workload_check(&w);
	workload_look(&w, 1, &bad);
	workload_check(&w);
	cr_expect_eq(groups[1].cpus, 1);
	cr_expect_not(workload_late(&w, 1));
}

Test(workload, a_small_service_that_is_late_gets_more_than_it_had)
{
	start(8);
	scientific(1);
	service(2, 0);
	workload_check(&w);
	expect_set(2, "0", "alone on the common CPU");
	cr_expect(workload_late(&w, 2));
	workload_place(&w);
	cr_expect_eq(cpumask_count(workload_set(&w, 2)), 2, "%s", print(workload_set(&w, 2)));

	start(8);
	scientific(1);
	service(2, 0);
	service(3, 0);
	workload_check(&w);
	cr_expect(workload_late(&w, 2));
	workload_place(&w);
	cr_expect_eq(cpumask_count(workload_set(&w, 2)), 1, "which is its own now");
	cr_expect_eq(cpumask_count(workload_set(&w, 3)), 1);
	cr_expect(!cpumask_equal(workload_set(&w, 2), workload_set(&w, 3)));
}

/* Sharing, where sets would waste too much */

/* A small service and a scientific group, known to be such; the default of `waste`. */
static void one_of_each(uint32_t cpus)
{
	start(cpus);
	w.policy.waste_permille = 100;
	service(1, 0);
	scientific(2);
	workload_check(&w);
}

/* Checks in which the service does a little and is never late, until nobody is confined. */
static uint32_t checks_until_shared(void)
{
	struct workload_look good = late(MS, 100);
	uint32_t checks = 0;

	while (!w.sharing && checks < 10000) {
		workload_look(&w, 1, &good);
		workload_check(&w);
		checks++;
	}
	return checks;
}

Test(workload, what_would_be_wasted_is_shared)
{
	one_of_each(2);
	cr_expect(w.sharing && !w.confined, "1 CPU of 2 for a service that needs 0.014");
	expect_set(1, "0,1", "the service");
	expect_set(2, "0,1", "the scientific group");
	cr_expect_eq(groups[2].share, WORKLOAD_LEAST, "by weight");

	one_of_each(9);
	cr_expect(w.sharing, "0.986 of 9 is more than a tenth");
	one_of_each(10);
	cr_expect(w.confined && !w.sharing, "0.986 of 10 is less");
	expect_set(1, "0", "the service");

	one_of_each(2);
	w.policy.waste_permille = 0;
	service(1, 2);
	workload_check(&w);
	cr_expect(!w.confined && !w.sharing, "services need all CPUs: nothing is wasted");
}

Test(workload, parted_sets_are_not_joined_by_a_little_more_waste)
{
	struct workload_look half = using(450), third = using(300), little = using(210);

	start(4);
	w.policy.waste_permille = 100; /* 0.4 CPUs; once parted, 0.6 */
	workload_join(&w, 1, WORKLOAD_SERVICE);
	scientific(2);
	workload_look(&w, 1, &half); /* needs 0.64 */
	workload_check(&w);
	cr_expect(w.confined);
	workload_look(&w, 1, &third); /* 0.43; what was needed lately counts */
	workload_check(&w);
	cr_expect(w.confined);
	for (int i = 0; i < 40; i++) {
		workload_look(&w, 1, &third);
		workload_check(&w);
	}
	cr_expect(w.confined, "0.57 are wasted now");
	for (int i = 0; i < 40; i++) {
		workload_look(&w, 1, &little); /* 0.30 */
		workload_check(&w);
	}
	cr_expect(w.sharing, "0.7 are");
	for (int i = 0; i < 40; i++) {
		workload_look(&w, 1, &third);
		workload_check(&w);
	}
	cr_expect(w.sharing, "0.57 are too much to be parted");
}

Test(workload, sharing_ends_when_a_service_is_late)
{
	uint32_t waited[4];

	one_of_each(2);
	cr_expect(workload_late(&w, 1), "by event");
	cr_expect_not(workload_late(&w, 1), "once per check");
	workload_place(&w);
	cr_expect(w.confined && !w.sharing);
	expect_set(1, "0", "the service");
	expect_set(2, "1", "the scientific group");

	for (size_t round = 0; round < ARRAY_SIZE(waited); round++) {
		waited[round] = checks_until_shared();
		cr_expect(workload_late(&w, 1));
		workload_place(&w);
	}
	cr_expect_eq(waited[0], 30);
	for (size_t round = 1; round < ARRAY_SIZE(waited); round++)
		cr_expect_eq(waited[round], 2 * waited[round - 1], "tried later, after a mistake");
}

Test(workload, sharing_ends_at_a_check_with_late_waits)
{
	struct workload_look bad = late(11 * MS, 100), few = late(11 * MS, 15);

	one_of_each(2);
	workload_look(&w, 1, &few);
	workload_check(&w);
	cr_expect(w.sharing, "too few of them");
	workload_look(&w, 1, &bad);
	workload_check(&w);
	cr_expect(w.confined);
	cr_expect_eq(groups[1].cpus, 0, "none more: those waits were among others");

	checks_until_shared();
	for (int i = 0; i < 60; i++) {
		workload_look(&w, 1, &few);
		workload_check(&w);
	}
	cr_expect_eq(w.mistakes, 0, "a mistake that was long ago is forgotten: %u", w.mistakes);
}

Test(workload, without_a_target_nothing_is_late)
{
	struct workload_look bad = late(100 * S, 1000);

	one_of_each(2);
	w.policy.wait_p99_ns = 0;
	workload_look(&w, 1, &bad);
	workload_check(&w);
	cr_expect(w.sharing);
	cr_expect_not(workload_late(&w, 1));
}

/* Placement */

Test(workload, placement)
{
	/* cpus: of services in slots 1 to 3, -1: none; m: scientific groups in slots 4 on. */
	static const struct {
		uint32_t online;
		int cpus[3];
		uint32_t m;
		const char *sets[6]; /* of slots 1 to 6 */
		uint8_t share;	     /* of scientific groups */
		const char *why;
	} table[] = {
		{ 4,
		  { 0, 2, -1 },
		  0,
		  { "0,1,2,3", "0,1,2,3" },
		  0,
		  "nobody is confined for nothing" },
		{ 2, { 0, -1, -1 }, 1, { "0", 0, 0, "1" }, WORKLOAD_ALONE, "one each" },
		{ 2, { 0, 0, 0 }, 1, { "0", "0", "0", "1" }, WORKLOAD_ALONE, "small ones share" },
		{ 1, { 0, -1, -1 }, 1, { "0", 0, 0, "0" }, WORKLOAD_LEAST, "one CPU only" },
		{ 1, { -1, -1, -1 }, 2, { 0, 0, 0, "0", "0" }, WORKLOAD_EVEN, "two on one CPU" },
		{ 8,
		  { 3, -1, -1 },
		  2,
		  { "0,1,2", 0, 0, "3,6,7", "3,4,5" },
		  WORKLOAD_EVEN,
		  "whole ones first, the fifth is shared" },
		{ 8,
		  { 2, -1, -1 },
		  2,
		  { "0,1", 0, 0, "5,6,7", "2,3,4" },
		  WORKLOAD_ALONE,
		  "three each" },
		{ 4, { 1, -1, -1 }, 3, { "0", 0, 0, "3", "2", "1" }, WORKLOAD_ALONE, "one each" },
		{ 3,
		  { 1, -1, -1 },
		  3,
		  { "0", 0, 0, "1,2", "1,2", "1,2" },
		  WORKLOAD_EVEN,
		  "more groups than CPUs" },
		{ 4,
		  { 4, -1, -1 },
		  1,
		  { "0,1,2,3", 0, 0, "0,1,2,3" },
		  WORKLOAD_LEAST,
		  "services have all: what time they leave" },
		{ 4,
		  { 2, 2, -1 },
		  1,
		  { "0,1", "2,3", 0, "0,1,2,3" },
		  WORKLOAD_LEAST,
		  "each its own" },
		{ 4,
		  { 3, 3, -1 },
		  1,
		  { "0,1,2,3", "0,1,2,3", 0, "0,1,2,3" },
		  WORKLOAD_LEAST,
		  "more is wanted than there is" },
		{ 4, { 2, 0, 0 }, 1, { "0,1", "2", "2", "3" }, WORKLOAD_ALONE, "own and common" },
		{ 4, { -1, -1, -1 }, 2, { 0, 0, 0, "2,3", "0,1" }, WORKLOAD_ALONE, "no service" },
		{ 4, { -1, -1, -1 }, 1, { 0, 0, 0, "0,1,2,3" }, WORKLOAD_ALONE, "nobody else" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		start(table[i].online);
		for (uint32_t slot = 1; slot <= 3; slot++)
			if (table[i].cpus[slot - 1] >= 0)
				service(slot, (uint32_t)table[i].cpus[slot - 1]);
		for (uint32_t k = 0; k < table[i].m; k++)
			scientific(4 + k);
		workload_check(&w);
		for (uint32_t slot = 1; slot <= 6; slot++)
			if (table[i].sets[slot - 1])
				expect_set(slot, table[i].sets[slot - 1], table[i].why);
		if (table[i].m)
			cr_expect_eq(groups[4].share, table[i].share, "%s: %u", table[i].why,
				     groups[4].share);
	}
}

Test(workload, the_common_cpus_hold_what_the_small_services_need)
{
	start(8);
	for (uint32_t slot = 1; slot <= 5; slot++) {
		workload_join(&w, slot, WORKLOAD_SERVICE);
		look(slot, 300); /* 0.43 CPUs each */
	}
	scientific(6);
	workload_check(&w);
	cr_expect_eq(cpumask_count(&w.common), 3, "2.14 CPUs: %u", cpumask_count(&w.common));
	expect_set(1, "0,1,2", "shared by the five");
	expect_set(5, "0,1,2", "shared by the five");
	expect_set(6, "3,4,5,6,7", "the others");
}

Test(workload, whoever_is_not_known_yet_may_use_all)
{
	start(4);
	scientific(1);
	workload_join(&w, 2, WORKLOAD_AUTO);
	workload_check(&w);
	expect_set(2, "0,1,2,3", "no look yet");
	expect_set(3, "0,1,2,3", "takes no part");
	expect_set(77, "0,1,2,3", "no such slot");
	look(2, 10);
	workload_check(&w);
	expect_set(2, "0", "now it is known");
	expect_set(1, "1,2,3", "");
}

Test(workload, siblings_stay_together)
{
	struct workload_topology t = machine(8, 2, 1); /* cores 0,4 1,5 2,6 3,7 */

	start_on(&t);
	service(1, 2);
	service(2, 1);
	scientific(3);
	scientific(4);
	workload_check(&w);
	expect_set(1, "0,4", "a core");
	expect_set(2, "1", "a core whose other half is nobody's yet");
	cr_expect(cpumask_has(&groups[3].own, 3) && cpumask_has(&groups[3].own, 7), "a core: %s",
		  print(&groups[3].own));
	cr_expect(cpumask_has(&groups[4].own, 2) && cpumask_has(&groups[4].own, 6), "a core: %s",
		  print(&groups[4].own));
}

Test(workload, caches_and_nodes_stay_together)
{
	struct workload_topology t = machine(8, 1, 2); /* 0-3, 4-7 */

	start_on(&t);
	service(1, 3);
	service(2, 2);
	scientific(3);
	workload_check(&w);
	expect_set(1, "0,1,2", "");
	cr_expect(cpumask_count(&groups[2].set) == 2);
	look(1, 700 * 3);
	service(2, 3);
	look(2, 700 * 3);
	workload_check(&w);
	expect_set(1, "0,1,2", "keeps what it has");
	cr_expect_eq(groups[2].cpus, 3);
}

Test(workload, sets_change_as_little_as_possible)
{
	start(8);
	service(1, 1);
	service(2, 1);
	scientific(3);
	workload_check(&w);
	expect_set(1, "0", "");
	expect_set(2, "1", "");
	look(1, 1400);
	look(2, 700);
	workload_check(&w);
	expect_set(1, "0,2", "grows beside the other one");
	expect_set(2, "1", "which stays");
	expect_set(3, "3,4,5,6,7", "the rest");
	workload_leave(&w, 1);
	workload_place(&w);
	expect_set(2, "1", "still there");
	expect_set(3, "0,2,3,4,5,6,7", "none is lost");
}

Test(workload, cpus_come_and_go)
{
	struct workload_topology four = machine(4, 1, 1), two = machine(2, 1, 1);
	struct workload_topology one = machine(1, 1, 1), none = { 0 };

	start(4);
	service(1, 2);
	scientific(2);
	scientific(3);
	workload_check(&w);
	expect_set(1, "0,1", "");
	expect_set(2, "3", "");
	workload_set_topology(&w, &two);
	workload_place(&w);
	expect_set(1, "0,1", "the service needs all that is left");
	expect_set(2, "0,1", "and leaves some time");
	cr_expect_eq(groups[2].share, WORKLOAD_LEAST);
	workload_set_topology(&w, &one);
	workload_place(&w);
	expect_set(1, "0", "one CPU");
	expect_set(3, "0", "one CPU");
	workload_set_topology(&w, &none);
	workload_place(&w); /* nonsense, survived */
	workload_set_topology(&w, &four);
	workload_place(&w);
	cr_expect_eq(cpumask_count(workload_set(&w, 1)), 2, "%s", print(workload_set(&w, 1)));
	cr_expect_eq(cpumask_count(workload_set(&w, 2)), 1);
	cr_expect_eq(groups[2].share, WORKLOAD_ALONE);
}

/* Random histories */

static struct workload_topology random_machine(struct random_state *r)
{
	uint32_t smt = 1u << random_below(r, 3);
	uint32_t cores = 1 + (uint32_t)random_below(r, 16);
	struct workload_topology t = machine(cores * smt, smt, 1 + (uint32_t)random_below(r, 2));

	for (uint32_t cpu = 1; cpu < cores * smt; cpu++)
		if (random_below(r, 8) == 0)
			cpumask_drop(&t.online, cpu);
	return t;
}

/* A group computes for a while, then rests for a while. */
static bool computes[SLOTS];

static struct workload_look random_look(struct random_state *r, uint32_t slot)
{
	uint64_t most = random_below(r, 20) ? 300 : 9000;

	if (random_below(r, 20) == 0)
		computes[slot] = !computes[slot];
	return (struct workload_look){
		.span_ns = random_below(r, 20) ? S : random_size(r),
		.run_ns =
			(computes[slot] ? 900 + random_below(r, 100) : random_below(r, most)) * MS,
		.wait_ns = random_below(r, S),
		.wait_p99_ns = random_below(r, 20 * MS),
		.waits = (uint32_t)random_below(r, 50),
		.nvcsw = (uint32_t)random_below(r, 100),
		.nivcsw = (uint32_t)random_below(r, 100),
		.oncpu = computes[slot] ? 1 : (uint32_t)random_below(r, 5),
		.stopped = random_below(r, 30) == 0,
	};
}

static bool overlap(const struct cpumask *a, const struct cpumask *b)
{
	struct cpumask both = cpumask_and(a, b);

	return !cpumask_empty(&both);
}

static void no_cpu_is_in_two_exclusive_sets(uint32_t slot)
{
	const struct workload_group *g = &groups[slot];

	cr_assert(!overlap(&g->own, &w.common), "slot %u", slot);
	for (uint32_t other = 1; other < SLOTS; other++) {
		if (other == slot)
			continue;
		cr_assert(!overlap(&g->own, &groups[other].own), "slots %u, %u", slot, other);
		if (w.confined && g->list == SE && g->sized && groups[other].list == SC)
			cr_assert(!overlap(&g->set, &groups[other].set), "slots %u, %u", slot,
				  other);
	}
}

static void the_sla_minimum_holds(uint32_t slot)
{
	const struct workload_group *g = &groups[slot];
	uint32_t least = g->cpus < w.online ? g->cpus : w.online;

	if (g->list != SE || !g->sized)
		return;
	cr_assert_geq(cpumask_count(&g->set), least ? least : 1, "slot %u", slot);
}

static void common_cpus_suffice(void)
{
	uint64_t need = 0;

	for (uint32_t slot = 1; slot < SLOTS; slot++)
		if (groups[slot].list == SE && groups[slot].sized && !groups[slot].cpus)
			need += arith_max(groups[slot].need[0], groups[slot].need[1]);
	if (w.confined)
		cr_assert_geq(cpumask_count(&w.common) * 1000ull, need);
}

static void check_invariants(void)
{
	struct cpumask all = { { 0 } };
	bool anybody = false;

	for (uint32_t slot = 1; slot < SLOTS; slot++) {
		const struct workload_group *g = &groups[slot];
		struct cpumask beyond = cpumask_less(&g->set, &w.topology.online);

		if (!g->list) {
			cr_assert(cpumask_empty(&g->set) && cpumask_empty(&g->own));
			continue;
		}
		anybody = true;
		cr_assert(g->list == SE || g->list == SC, "in one list, and in no third one");
		cr_assert(!cpumask_empty(&g->set), "slot %u: never an empty set", slot);
		cr_assert(cpumask_empty(&beyond), "slot %u: CPUs that are not there", slot);
		all = cpumask_or(&all, &g->set);
		no_cpu_is_in_two_exclusive_sets(slot);
		the_sla_minimum_holds(slot);
	}
	common_cpus_suffice();
	cr_assert(!anybody || cpumask_equal(&all, &w.topology.online), "lost: %s of %s",
		  print(&all), print(&w.topology.online));
}

static void random_step(struct random_state *r)
{
	uint32_t slot = 1 + (uint32_t)random_below(r, SLOTS - 1);
	struct workload_topology t;

	switch (random_below(r, 40)) {
	case 0:
		workload_leave(&w, slot);
		break;
	case 1:
		t = random_machine(r);
		workload_set_topology(&w, &t);
		break;
	case 2:
	case 3:
		workload_join(&w, slot, (enum workload_asked)random_below(r, WORKLOAD_ASKED));
		break;
	case 4:
		(void)workload_late(&w, slot);
		break;
	default:
		for (slot = 1; slot < SLOTS; slot++) {
			struct workload_look l = random_look(r, slot);

			if (random_below(r, 10))
				workload_look(&w, slot, &l);
		}
		workload_check(&w);
		return;
	}
	workload_place(&w);
}

Test(workload, random_histories)
{
	uint32_t confined = 0, shared = 0, moved = 0;

	for (uint64_t seed = 1; seed <= 30; seed++) {
		struct random_state r = { .x = seed * 0x9e3779b97f4a7c15ull };
		struct workload_topology t = random_machine(&r);

		start_on(&t);
		w.policy.waste_permille = random_below(&r, 3) ? (uint32_t)random_below(&r, 100) : 1000;
		if (seed % 3 == 0)
			w.policy.wait_p99_ns = 0; /* so that sharing goes on for long */
		for (int step = 0; step < 300; step++) {
			random_step(&r);
			check_invariants();
			confined += w.confined;
			shared += w.sharing;
			cr_assert(!w.confined || !w.sharing);
			for (uint32_t slot = 1; slot < SLOTS; slot++) {
				moved += groups[slot].moved;
				groups[slot].moved = false;
			}
		}
	}
	cr_assert(confined > 1000 && shared > 300 && moved > 100,
		  "they are about something: %u, %u, %u", confined, shared, moved);
}
