/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Histograms of waits and bursts, wake-ups and migrations against the kernel's own sums and a workload
 * of known bursts; and the event that comes when waits get too long.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "account.h"
#include "core/span.h"

#define MS UINT64_C(1000000)

static void set_up(void)
{
	rig_spans = true;
	rig_init();
}

TestSuite(spans, .init = set_up, .fini = rig_fini);

static struct pfuse_span span_read(uint32_t slot)
{
	struct pfuse_span span;

	cr_assert_eq(probe_read_span(probe, slot, &span), 0);
	return span;
}

/* What ours and the kernel's counters of one worker grew by. */
struct growth {
	struct pfuse_span ours;
	struct account kernels;
	uint64_t unseen;
};

typedef void workload(struct worker *worker, struct worker *rival);

static struct growth growth_over(struct worker *worker, workload *work, struct worker *rival)
{
	struct growth growth = { .unseen = probe_drops(probe, PFUSE_DROP_UNSEEN_SWITCH) };
	struct pfuse_stats stats;
	struct account before = settled(worker, 1, &stats), after;
	struct pfuse_span span = span_read(1);

	work(worker, rival);
	after = settled(worker, 1, &stats);
	growth.ours = span_read(1);
	span_since(&growth.ours, &span, &growth.ours);
	growth.kernels = (struct account){
		.run_ns = after.run_ns - before.run_ns,
		.wait_ns = after.wait_ns - before.wait_ns,
		.slices = after.slices - before.slices,
		.nvcsw = after.nvcsw - before.nvcsw,
		.nivcsw = after.nivcsw - before.nivcsw,
	};
	growth.unseen = probe_drops(probe, PFUSE_DROP_UNSEEN_SWITCH) - growth.unseen;
	return growth;
}

/*
 * A host may not run BPF for threads of PID 1, and slices that follow one of them are missed: the work is
 * done again until none was. Nothing else may be missing, so the comparisons are for equality.
 */
static struct growth seen_growth_over(struct worker *worker, workload *work, struct worker *rival)
{
	struct growth growth;

	for (int tries = 0; tries < 20; tries++) {
		growth = growth_over(worker, work, rival);
		if (!growth.unseen)
			return growth;
	}
	cr_assert_fail("a slice began unseen in each of 20 tries");
	return growth;
}

static uint64_t sum_at_least(const uint32_t *buckets)
{
	uint64_t sum = 0;

	for (int i = 1; i < PFUSE_SPAN_BUCKETS; i++)
		sum += buckets[i] * ((uint64_t)PFUSE_SPAN_FIRST << (i - 1));
	return sum;
}

/* Nothing here is as long as the last bucket. */
static uint64_t sum_at_most(const uint32_t *buckets)
{
	uint64_t sum = 0;

	for (int i = 0; i < PFUSE_SPAN_BUCKETS; i++)
		sum += buckets[i] * ((uint64_t)PFUSE_SPAN_FIRST << i);
	return sum;
}

/* What was counted, and how long in sum: between the bounds of its buckets. */
static void expect_histogram(const char *what, const uint32_t *buckets, uint64_t count,
			     uint64_t sum_ns)
{
	cr_expect_eq(span_count(buckets), count, "%s: %lu counted, kernel %lu", what,
		     span_count(buckets), count);
	cr_expect_leq(sum_at_least(buckets), sum_ns, "%s: at least %lu, kernel %lu", what,
		      sum_at_least(buckets), sum_ns);
	cr_expect_geq(sum_at_most(buckets), sum_ns, "%s: at most %lu, kernel %lu", what,
		      sum_at_most(buckets), sum_ns);
}

static void expect_kernels(const struct growth *growth)
{
	const struct account *kernels = &growth->kernels;

	expect_histogram("waits", growth->ours.wait, kernels->nvcsw + kernels->nivcsw,
			 kernels->wait_ns);
	expect_histogram("bursts", growth->ours.burst, kernels->nvcsw, kernels->run_ns);
	cr_expect_eq(growth->ours.burst_ns, kernels->run_ns, "%lu, kernel %lu",
		     growth->ours.burst_ns, kernels->run_ns);
	cr_expect_eq(growth->ours.wakeups, kernels->nvcsw, "%u, kernel %lu", growth->ours.wakeups,
		     kernels->nvcsw);
}

#define BURSTS 6
#define BURST_MS 12

static long sleeps(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_SELF, &usage) < 0 ? -1 : usage.ru_nvcsw;
}

/*
 * How many bursts that made: where the machine is slow, a nap may be over before the task is switched
 * out, and then the next burst goes on with this one. The last one ends with the job at the latest.
 */
static long job_bursts(long ms)
{
	long bursts = 1;

	for (int i = 0; i < BURSTS; i++) {
		job_spin_ms(ms);
		long before = sleeps();

		job_nap_ms(3);
		bursts += i < BURSTS - 1 && sleeps() > before;
	}
	return bursts;
}

static uint64_t bursts_made;

static void burst_long(struct worker *worker, struct worker *rival)
{
	(void)rival;
	bursts_made = (uint64_t)worker_do(worker, job_bursts, 2 * PFUSE_SPAN_SHORT / MS);
}

static void burst_alone(struct worker *worker, struct worker *rival)
{
	(void)rival;
	bursts_made = (uint64_t)worker_do(worker, job_bursts, BURST_MS);
}

/* The rival spins for as long as the worker can, at half of the speed. */
static void burst_beside(struct worker *worker, struct worker *rival)
{
	worker_send(rival, job_spin_ms, 2 * BURSTS * BURST_MS);
	worker_send(worker, job_bursts, BURST_MS);
	bursts_made = (uint64_t)worker_receive(worker);
	worker_receive(rival);
}

static struct worker *start_pinned(const struct group *group)
{
	struct worker *worker = worker_start(group);

	pin(worker->pid, 0);
	return worker;
}

/* Of the bursts of the workload, and not of those that only take orders. */
static uint64_t long_bursts(const struct pfuse_span *span)
{
	return span_above(span->burst, 8 * 1024 * 1024 - 1); /* where the bucket of 12 ms begins */
}

/* Where the machine is slow, several bursts may be one that is longer: see job_bursts(). */
static void expect_short(const struct pfuse_span *span)
{
	uint64_t longer_ns = span->burst_ns - span->short_ns;

	cr_expect(bursts_made < BURSTS || longer_ns == 0 || span->short_ns > longer_ns,
		  "%lu ns in short bursts, %lu in others", span->short_ns, longer_ns);
}

/* A burst is summed over the preemptions in it: beside a rival it is as long as alone, and waits are long. */
Test(spans, bursts_alone_and_cut_by_preemption)
{
	struct group *group = group_make(NULL, "bursts");
	struct worker *worker = start_pinned(group), *rival = start_pinned(NULL);

	watch(1, group);
	struct growth growth = seen_growth_over(worker, burst_alone, NULL);

	expect_kernels(&growth);
	cr_expect_eq(long_bursts(&growth.ours), bursts_made, "%lu of %lu",
		     long_bursts(&growth.ours), bursts_made);
	cr_expect_gt(bursts_made, 1);
	expect_short(&growth.ours);
	growth = seen_growth_over(worker, burst_beside, rival);
	expect_kernels(&growth);
	cr_expect_eq(long_bursts(&growth.ours), bursts_made, "%lu of %lu",
		     long_bursts(&growth.ours), bursts_made);
	cr_expect_gt(bursts_made, 1);
	cr_expect_gt(growth.kernels.nivcsw, 0, "the rival never preempted it");
	cr_expect_gt(span_quantile_ns(growth.ours.wait, 990), MS / 2);
	growth = seen_growth_over(worker, burst_long, NULL);
	cr_expect_lt(growth.ours.short_ns, growth.ours.burst_ns / 8, "%lu of %lu",
		     growth.ours.short_ns, growth.ours.burst_ns);
}

static unsigned long kernel_migrations(pid_t pid)
{
	char path[32], line[128];
	unsigned long number = 0;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%d/sched", pid);
	FILE *sched = fopen(path, "re");

	while (sched && fgets(line, sizeof(line), sched))
		found |= sscanf(line, "se.nr_migrations : %lu", &number) == 1;
	if (sched)
		fclose(sched);
	return found ? number : ULONG_MAX;
}

Test(spans, migrations)
{
	struct group *group = group_make(NULL, "moves");
	struct worker *worker = start_pinned(group);
	struct pfuse_stats stats;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		RIG_SKIP("one CPU: nowhere to move to");
	watch(1, group);
	worker_do(worker, job_nothing, 0); /* a pinned sleeper moves when it wakes up */
	settled(worker, 1, &stats);
	unsigned long before = kernel_migrations(worker->pid);

	if (before == ULONG_MAX)
		RIG_SKIP("no /proc/PID/sched in this kernel");
	uint32_t ours = span_read(1).migrations;

	for (int i = 1; i <= 10; i++) {
		pin(worker->pid, i % 2);
		worker_do(worker, job_nothing, 0);
	}
	settled(worker, 1, &stats);
	unsigned long kernels = kernel_migrations(worker->pid) - before;

	ours = span_read(1).migrations - ours;
	cr_expect_eq(ours, kernels, "%u, kernel %lu", ours, kernels);
	cr_expect_geq(ours, 10, "%u", ours);
}

Test(spans, only_managed_groups_are_counted)
{
	struct group *managed = group_make(NULL, "yes"), *other = group_make(NULL, "no");
	struct worker *worker = start_pinned(other);
	struct pfuse_stats stats;
	struct pfuse_span zero = { .wakeups = 0 };

	watch(1, managed);
	worker_do(worker, job_bursts, 1);
	worker_wait_asleep(worker);
	for (uint32_t slot = 1; slot <= 8; slot++) {
		struct pfuse_span span = span_read(slot);

		cr_expect_eq(memcmp(&span, &zero, sizeof(span)), 0, "slot %u", slot);
	}
	watch(2, other);
	worker_do(worker, job_bursts, 1);
	settled(worker, 2, &stats);
	cr_expect_geq(span_read(2).wakeups, 1);
	cr_expect_eq(span_read(1).wakeups, 0);
}

/* Both spin on one CPU: each waits for as long as the other's slices are. */
static void make_wait(struct worker *worker, struct worker *rival)
{
	worker_send(rival, job_spin_ms, 60);
	worker_send(worker, job_spin_ms, 60);
	worker_receive(worker);
	worker_receive(rival);
	worker_wait_asleep(worker);
}

Test(spans, tells_when_waits_exceed_the_target)
{
	struct group *group = group_make(NULL, "late");
	struct worker *worker = start_pinned(group), *rival = start_pinned(NULL);
	struct pfuse_event event = { 0 };
	const uint64_t target_ns = MS / 5;

	watch(1, group);
	probe_arm(probe, 1, PFUSE_ARM_WAIT);
	make_wait(worker, rival);
	cr_expect_eq(watch_events(1, PFUSE_EV_WAIT, NULL), 0, "without a target");
	probe_wait_target(probe, 1, 3600 * 1000 * MS);
	make_wait(worker, rival);
	cr_expect_eq(watch_events(1, PFUSE_EV_WAIT, NULL), 0, "nothing waits for an hour");
	probe_wait_target(probe, 1, target_ns);
	make_wait(worker, rival);
	cr_expect_eq(watch_events(1, PFUSE_EV_WAIT, &event), 1, "once per arming");
	cr_expect_eq(event.group_id, group->id);
	cr_expect_gt(event.wait.wait_ns, target_ns);
	cr_expect_eq(event.wait.target_ns, target_ns);
	cr_expect_eq(event.wait.cpu, 0);
	cr_expect_eq(event.wait.pid, (uint32_t)worker->pid);
	make_wait(worker, rival);
	cr_expect_eq(watch_events(1, PFUSE_EV_WAIT, NULL), 0, "not armed again");
	probe_arm(probe, 1, PFUSE_ARM_WAIT);
	make_wait(worker, rival);
	cr_expect_eq(watch_events(1, PFUSE_EV_WAIT, NULL), 1);
	/* What was late is made up for by punctual waits: one among many is no p99 that is too long. */
	cr_assert_gt(span_read(1).late, 0);
	cr_assert_leq(span_read(1).late, PFUSE_LATE_WEIGHT);
	probe_wait_target(probe, 1, 3600 * 1000 * MS);
	/* More than that many: a job that is there before the worker sleeps is no wait, and PID 1 hides some. */
	for (int i = 0; i < 20 * PFUSE_LATE_WEIGHT && span_read(1).late; i++)
		worker_do(worker, job_nothing, 0);
	cr_expect_eq(span_read(1).late, 0, "%u", span_read(1).late);
	probe_unmanage(probe, 1);
	watch(1, group);
	probe_arm(probe, 1, PFUSE_ARM_WAIT);
	make_wait(worker, rival);
	cr_expect_eq(watch_events(1, PFUSE_EV_WAIT, NULL), 0, "a new group has no target");
}

Test(spans, nothing_is_counted_unless_asked_for)
{
	struct group *group = group_make(NULL, "off");
	struct worker *worker = start_pinned(group), *rival = start_pinned(NULL);
	struct pfuse_span span = { .wakeups = 7 };
	uint64_t with_spans = probe_memory_bytes(probe);

	watch_close();
	rig_spans = false;
	watch_open(8);
	watch(1, group);
	probe_wait_target(probe, 1, 1);
	probe_arm(probe, 1, PFUSE_ARM_WAIT);
	make_wait(worker, rival);
	cr_expect_eq(watch_events(1, PFUSE_EV_WAIT, NULL), 0);
	cr_expect_eq(probe_read_span(probe, 1, &span), -EOPNOTSUPP);
	cr_expect_eq(span.wakeups, 7, "an output is written on success only");
	cr_expect_lt(probe_memory_bytes(probe) + PFUSE_SPAN_BURSTS * 16, with_spans + 4096,
		     "%lu without, %lu with", probe_memory_bytes(probe), with_spans);
}

/* CPU time of a worker that competes while on_switch is replaced: by us, and by the kernel. */
static void run_over_change(struct worker *worker, struct worker *rival, bool spans,
			    uint64_t *ret_ours, uint64_t *ret_kernels)
{
	struct pfuse_stats stats;
	struct account before = settled(worker, 1, &stats), after;
	uint64_t ours = stats.run_ns;
	struct err err;

	worker_send(rival, job_spin_ms, 150);
	worker_send(worker, job_spin_ms, 150);
	cr_assert_eq(probe_count_spans(probe, spans, &err), 0, "%s", err.text);
	worker_receive(worker);
	worker_receive(rival);
	after = settled(worker, 1, &stats);
	*ret_ours = stats.run_ns - ours;
	*ret_kernels = after.run_ns - before.run_ns;
}

/* Nothing twice, ever; and nothing missed but what follows a thread of PID 1, where no program sees those. */
static void expect_no_slice_lost(struct worker *worker, struct worker *rival, bool spans)
{
	uint64_t ours = 0, kernels = 1;
	struct err err;

	for (int tries = 0; tries < 10 && ours != kernels; tries++) {
		cr_assert_eq(probe_count_spans(probe, !spans, &err), 0, "%s", err.text);
		run_over_change(worker, rival, spans, &ours, &kernels);
		cr_assert_leq(ours, kernels, "%lu ns, kernel %lu", ours, kernels);
	}
	cr_expect_eq(ours, kernels, "%lu ns, kernel %lu", ours, kernels);
}

Test(spans, are_begun_and_ended_while_all_goes_on)
{
	uint64_t with_spans, without;
	struct pfuse_span span;
	struct err err;

	watch_close(); /* a worker is a fork: it would hold the links that are to go */
	struct group *group = group_make(NULL, "later");
	struct worker *worker = start_pinned(group), *rival = start_pinned(NULL);

	watch_open(8);
	with_spans = probe_memory_bytes(probe);
	watch(1, group);
	cr_assert_eq(probe_count_spans(probe, false, &err), 0, "%s", err.text);
	without = probe_memory_bytes(probe);
	cr_expect_lt(without + PFUSE_SPAN_BURSTS * 16, with_spans, "%lu without, %lu with", without,
		     with_spans);
	cr_expect_eq(probe_read_span(probe, 1, &span), -EOPNOTSUPP);
	expect_no_slice_lost(worker, rival, false);
	expect_no_slice_lost(worker, rival, true);
	cr_expect_eq(probe_memory_bytes(probe), with_spans, "%lu, and at first %lu",
		     probe_memory_bytes(probe), with_spans);
	cr_assert_eq(probe_count_spans(probe, true, &err), 0, "nothing to do");
	for (int tries = 0; tries < 20 && !span_read(1).wakeups; tries++) {
		worker_do(worker, job_bursts, 1);
		worker_wait_asleep(worker);
	}
	cr_expect_gt(span_read(1).wakeups, 0, "the new program counts spans, and they are read");
}
