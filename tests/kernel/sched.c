/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * CPU time, run-queue wait and switches against the kernel's own figures: /proc/PID/schedstat and
 * status of the member, and the group's own account where the hierarchy keeps one. All are read while
 * the member sleeps, so its last slice is closed.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "account.h"

TestSuite(sched, .init = rig_init, .fini = rig_fini);

static long job_mixed(long rounds)
{
	for (long i = 0; i < rounds; i++) {
		job_spin_ms(2);
		job_nap_ms(1);
	}
	return 0;
}

/* A rival on the same CPU makes the worker wait, and be preempted. */
static void compete(struct worker *worker, struct worker *rival)
{
	worker_send(rival, job_spin_ms, 60);
	worker_send(worker, job_spin_ms, 60);
	worker_receive(worker);
	worker_receive(rival);
}

/* What ours and the kernel's counters of one worker grew by, and the slices whose begin was not seen. */
struct growth {
	struct account ours;
	struct account kernels;
	uint64_t unseen;
};

static struct growth growth_over(struct worker *worker,
				 void (*work)(struct worker *, struct worker *),
				 struct worker *rival)
{
	struct pfuse_stats s0, s1;
	struct account k0 = settled(worker, 1, &s0);
	uint64_t unseen = probe_drops(probe, PFUSE_DROP_UNSEEN_SWITCH);

	work(worker, rival);
	struct account k1 = settled(worker, 1, &s1);

	return (struct growth){
		.ours = { s1.run_ns - s0.run_ns, s1.wait_ns - s0.wait_ns, s1.nvcsw - s0.nvcsw,
			  s1.nivcsw - s0.nivcsw },
		.kernels = { k1.run_ns - k0.run_ns, k1.wait_ns - k0.wait_ns, k1.nvcsw - k0.nvcsw,
			     k1.nivcsw - k0.nivcsw },
		.unseen = probe_drops(probe, PFUSE_DROP_UNSEEN_SWITCH) - unseen,
	};
}

/*
 * A host may not run BPF for threads of PID 1; a slice that follows one of them on a CPU is then missed,
 * and counted as unseen: no switch may be missing beyond those. The work is done again until none was,
 * so what is compared for equality afterwards is the whole of it.
 */
static struct growth seen_growth_over(struct worker *worker,
				      void (*work)(struct worker *, struct worker *),
				      struct worker *rival)
{
	struct growth growth;

	for (int tries = 0; tries < 20; tries++) {
		growth = growth_over(worker, work, rival);
		cr_expect_eq(growth.ours.nvcsw + growth.ours.nivcsw + growth.unseen,
			     growth.kernels.nvcsw + growth.kernels.nivcsw,
			     "%lu + %lu + %lu unseen switches, kernel %lu + %lu", growth.ours.nvcsw,
			     growth.ours.nivcsw, growth.unseen, growth.kernels.nvcsw,
			     growth.kernels.nivcsw);
		if (!growth.unseen)
			return growth;
	}
	cr_assert_fail("a slice began unseen in each of 20 tries");
	return growth;
}

static void nap_and_compete(struct worker *worker, struct worker *rival)
{
	worker_do(worker, job_mixed, 20);
	compete(worker, rival);
}

Test(sched, counters_are_the_kernels_own)
{
	struct group *group = group_make(NULL, "own");
	struct worker *worker = worker_start(group), *rival = worker_start(NULL);

	pin(worker->pid, 0);
	pin(rival->pid, 0);
	watch(1, group);
	struct growth growth = seen_growth_over(worker, nap_and_compete, rival);

	cr_expect_eq(growth.ours.run_ns, growth.kernels.run_ns);
	cr_expect_eq(growth.ours.wait_ns, growth.kernels.wait_ns);
	cr_expect_eq(growth.ours.nvcsw, growth.kernels.nvcsw);
	cr_expect_eq(growth.ours.nivcsw, growth.kernels.nivcsw);
	/* Not 20: where the machine is slow, a nap of 1 ms may be over before the task is switched out. */
	cr_expect_gt(growth.ours.nvcsw, 0, "it napped 20 times");
	cr_expect_gt(growth.ours.nivcsw, 0, "the rival never preempted it");
	cr_expect_gt(growth.ours.wait_ns, 0);
	cr_expect_geq(growth.ours.run_ns, 90 * 1000000ULL, "it span for 100 ms");
}

static void move_and_compete(struct worker *worker, struct worker *rival)
{
	for (int i = 0; i < 6; i++) {
		pin(worker->pid, i % 2 && sysconf(_SC_NPROCESSORS_ONLN) > 1);
		compete(worker, rival);
	}
}

/* The wait on a CPU that a task was moved away from is not seen: ours is at most the kernel's. */
Test(sched, a_moving_task_waits_at_most_what_the_kernel_says)
{
	struct group *group = group_make(NULL, "moving");
	struct worker *worker = worker_start(group), *rival = worker_start(NULL);

	watch(1, group);
	struct growth growth = seen_growth_over(worker, move_and_compete, rival);

	cr_expect_eq(growth.ours.run_ns, growth.kernels.run_ns);
	cr_expect_leq(growth.ours.wait_ns, growth.kernels.wait_ns);
	cr_expect_eq(growth.ours.nvcsw, growth.kernels.nvcsw);
	cr_expect_eq(growth.ours.nivcsw, growth.kernels.nivcsw);
}

/* v2: cpu.stat of the group, in µs. v1: a group of our name below the cpuacct controller, in ns. */
static struct group *account_group(const struct group *group, pid_t pid)
{
	const char *why, *cpuacct = "/sys/fs/cgroup/cpuacct";

	if (hierarchy(&why)->v2)
		return NULL;
	if (access("/sys/fs/cgroup/cpuacct/cpuacct.usage", R_OK) < 0)
		RIG_SKIP("no cpuacct hierarchy to compare with");
	struct group *account = group_make_at(cpuacct, strrchr(group->path, '/') + 1);

	group_add(account, pid);
	return account;
}

static uint64_t group_run_ns(const struct group *group, const struct group *account)
{
	char path[PATH_MAX + 16];
	unsigned long long ns = 0;

	if (!account)
		return group_stat(group, "cpu.stat", "usage_usec") * 1000;
	snprintf(path, sizeof(path), "%s/cpuacct.usage", account->path);
	FILE *usage = fopen(path, "re");

	cr_assert(usage && fscanf(usage, "%llu", &ns) == 1);
	fclose(usage);
	return ns;
}

/* Both work, and sleep again. False: a slice began unseen, so ours lacks it; see seen_growth_over(). */
static bool lies_between(struct worker *one, struct worker *two, const struct group *group,
			 const struct group *account)
{
	const uint64_t slack_ns = 1000; /* the file of v2 is in whole microseconds */
	struct pfuse_stats s0, s1;

	settled(one, 1, &s0);
	settled(two, 1, &s0);
	uint64_t unseen = probe_drops(probe, PFUSE_DROP_UNSEEN_SWITCH);
	uint64_t f0 = group_run_ns(group, account);

	worker_send(one, job_spin_ms, 2);
	worker_send(two, job_spin_ms, 3);
	worker_receive(one);
	worker_receive(two);
	worker_wait_asleep(one);
	settled(two, 1, &s1);
	uint64_t before = group_run_ns(group, account) - f0;

	s1 = watch_read(1);
	uint64_t after = group_run_ns(group, account) - f0, ours = s1.run_ns - s0.run_ns;

	cr_expect_leq(ours, after + slack_ns);
	if (probe_drops(probe, PFUSE_DROP_UNSEEN_SWITCH) != unseen)
		return false;
	cr_expect_leq(before, ours + slack_ns);
	return true;
}

Test(sched, run_time_lies_between_two_reads_of_the_groups_file)
{
	struct group *group = group_make(NULL, "file");
	struct worker *one = worker_start(group), *two = worker_start(group);
	struct group *account = account_group(group, one->pid);
	int compared = 0;

	if (account)
		group_add(account, two->pid);
	watch(1, group);
	for (int i = 0; i < 20; i++)
		compared += lies_between(one, two, group, account);
	cr_expect_gt(compared, 0, "a slice began unseen in each of 20 rounds");
}

/*
 * What the slot counted of work that takes some time of the CPU. As in seen_growth_over(): done again until
 * no slice of it began unseen.
 */
static uint64_t seen_run_ns(struct worker *worker, uint32_t slot, worker_job *job, long arg)
{
	for (int tries = 0; tries < 20; tries++) {
		struct pfuse_stats s0, s1;

		settled(worker, slot, &s0);
		uint64_t unseen = probe_drops(probe, PFUSE_DROP_UNSEEN_SWITCH);

		worker_do(worker, job, arg);
		settled(worker, slot, &s1);
		if (probe_drops(probe, PFUSE_DROP_UNSEEN_SWITCH) == unseen)
			return s1.run_ns - s0.run_ns;
	}
	cr_assert_fail("a slice began unseen in each of 20 tries");
	return 0;
}

Test(sched, only_managed_groups_are_counted)
{
	struct group *managed = group_make(NULL, "yes"), *other = group_make(NULL, "no");
	struct worker *worker = worker_start(other);

	watch(1, managed);
	worker_do(worker, job_mixed, 5);
	worker_wait_asleep(worker);
	for (uint32_t slot = 1; slot <= 8; slot++)
		cr_expect_eq(watch_read(slot).run_ns, 0);
	watch(2, other);
	cr_expect_gt(seen_run_ns(worker, 2, job_mixed, 5), 9 * 1000000ULL);
	cr_expect_eq(watch_read(1).run_ns, 0);
}

Test(sched, a_child_groups_tasks_count_for_the_managed_ancestor)
{
	struct group *parent = group_make(NULL, "up"), *child = group_make(parent, "child");
	struct group *grandchild = group_make(child, "grandchild");
	struct worker *worker = worker_start(grandchild);

	watch(1, parent);
	cr_expect_gt(seen_run_ns(worker, 1, job_spin_ms, 10), 9 * 1000000ULL);
}

Test(sched, the_nearest_managed_group_counts)
{
	struct group *parent = group_make(NULL, "near"), *child = group_make(parent, "child");
	struct worker *in_parent = worker_start(parent), *in_child = worker_start(child);
	struct pfuse_stats s0, s1;

	watch(1, parent);
	worker_do(in_child, job_spin_ms,
		  10); /* remembered as the parent's, until the set changes */
	watch(2, child);
	settled(in_child, 1, &s0);
	cr_expect_gt(seen_run_ns(in_child, 2, job_spin_ms, 10), 9 * 1000000ULL);
	settled(in_child, 1, &s1);
	cr_expect_eq(s1.run_ns, s0.run_ns);
	settled(in_child, 2, &s0);
	worker_do(in_parent, job_spin_ms, 10);
	settled(in_parent, 2, &s1);
	cr_expect_eq(s1.run_ns, s0.run_ns);
}

Test(sched, after_unmanage_nothing_is_counted)
{
	struct group *group = group_make(NULL, "former");
	struct worker *worker = worker_start(group);
	struct pfuse_stats s0, s1;

	watch(1, group);
	cr_expect_gt(seen_run_ns(worker, 1, job_spin_ms, 5), 4 * 1000000ULL);
	settled(worker, 1, &s0);
	cr_assert_eq(probe_unmanage(probe, 1), 0);
	worker_do(worker, job_mixed, 5);
	settled(worker, 1, &s1);
	cr_expect_eq(s1.run_ns, s0.run_ns, "%llu ns, before %llu", s1.run_ns, s0.run_ns);
	cr_expect_eq(s1.nvcsw, s0.nvcsw, "%u times, before %u", s1.nvcsw, s0.nvcsw);
}

Test(sched, a_task_that_moves_counts_for_its_new_group)
{
	struct group *from = group_make(NULL, "from"), *to = group_make(NULL, "to");
	struct worker *worker = worker_start(from);
	struct pfuse_stats s0;

	watch(1, from);
	watch(2, to);
	worker_do(worker, job_spin_ms, 5);
	settled(worker, 1, &s0);
	group_add(to, worker->pid);
	cr_expect_gt(seen_run_ns(worker, 2, job_spin_ms, 5), 4 * 1000000ULL);
	cr_expect_eq(watch_read(1).run_ns, s0.run_ns);
}

static bool is_on_cpu(void *slot)
{
	return probe_oncpu(probe, *(uint32_t *)slot) == 1;
}

static bool is_off_cpu(void *slot)
{
	return !probe_oncpu(probe, *(uint32_t *)slot);
}

Test(sched, oncpu_sees_a_spinning_task)
{
	struct group *group = group_make(NULL, "spin");
	struct worker *worker = worker_start(group);
	uint32_t slot = 3;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		RIG_SKIP("one CPU: who looks is the one who runs");
	watch(slot, group);
	cr_expect_eq(probe_oncpu(probe, slot), 0);
	pin(getpid(), 0);
	pin(worker->pid, 1);
	worker_send(worker, job_spin_ms, 500);
	cr_expect(poll_until(is_on_cpu, &slot));
	worker_receive(worker);
	cr_expect(poll_until(is_off_cpu, &slot));
}
