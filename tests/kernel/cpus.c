/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Weights, partitions and slices in force, without the probe: two groups that compete for one CPU share it by their weights;
 * the kernel keeps CPUs for a group, or says why not; a task has the slice that it was given.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "account.h"
#include "base/cleanup.h"
#include "edge/slice.h"
#include "edge/throttle.h"
#include "edge/weight.h"
#include "twins.h"

#define CONTROLLERS (CGROUP_BIT(CGROUP_CPU) | CGROUP_BIT(CGROUP_CPUSET))
#define MS UINT64_C(1000000)

static struct twins light, heavy;

static void set_up(void)
{
	twins_make(&light, "light", CONTROLLERS);
	twins_make(&heavy, "heavy", CONTROLLERS);
}

static void close_one(struct twins *twins)
{
	if (twins->ledger)
		twins_restore(twins);
	twins_close(twins);
}

static void tear_down(void)
{
	close_one(&light);
	close_one(&heavy);
	rig_fini();
}

TestSuite(cpus, .init = set_up, .fini = tear_down);

static struct weight prepared(struct twins *twins)
{
	struct weight weight;

	weight_open(&twins->tree, &twins->cgroup, &weight);
	int err = weight_prepare(&weight, twins->ledger);

	if (err == -ENOENT)
		TWINS_SKIP(tear_down, "no cpu controller");
	cr_assert_eq(err, 0, "%s", weight_why(err));
	cr_assert_eq(ledger_commit(twins->ledger), 0);
	return weight;
}

static void set_weight(struct twins *twins, struct weight *weight, uint32_t value)
{
	int err = weight_set(weight, twins->ledger, value);

	cr_assert_eq(err, 0, "%s", weight_why(err));
}

static long job_spin_for_ever(long unused)
{
	for (volatile long i = 0;; i++)
		;
	return unused;
}

/* What each ran while both spun for a while: the second's share of it, in permille. */
static uint64_t share_of_second(const struct worker *one, const struct worker *two)
{
	uint64_t ran_one = account_of(one->pid).run_ns, ran_two = account_of(two->pid).run_ns;

	sleep_ms(400);
	ran_one = account_of(one->pid).run_ns - ran_one;
	ran_two = account_of(two->pid).run_ns - ran_two;
	cr_assert_gt(ran_one + ran_two, 0);
	return ran_two * 1000 / (ran_one + ran_two);
}

/* The published figure is taken over longer times (tools/bench/tables): here 10 % are allowed. */
Test(cpus, weights_are_the_shares_of_a_cpu)
{
	struct weight one = prepared(&light), two = prepared(&heavy);
	struct worker *workers[2] = { twins_worker(&light), twins_worker(&heavy) };
	static const uint32_t weights[] = { 100, 300, 1000 };

	for (int i = 0; i < 2; i++) {
		pin(workers[i]->pid, 0);
		worker_send(workers[i], job_spin_for_ever, 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(weights); i++) {
		uint64_t want = 1000 * weights[i] / (100 + weights[i]), got;

		set_weight(&light, &one, 100);
		set_weight(&heavy, &two, weights[i]);
		got = share_of_second(workers[0], workers[1]);
		cr_expect_leq(got, want + 100, "weight %u: %lu permille, wanted %lu", weights[i],
			      got, want);
		cr_expect_geq(got + 100, want, "weight %u: %lu permille, wanted %lu", weights[i],
			      got, want);
	}
	cr_expect_geq(twins_restore(&heavy).restored, 1);
	uint32_t now = 0;

	cr_expect_eq(weight_read(&two, &now), 0);
	cr_expect_eq(now, WEIGHT_DEFAULT);
}

static void write_control(const struct twins *twins, enum cgroup_controller controller,
			  const char *file, const char *text)
{
	const struct cgroup_tree *tree = &twins->tree;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s/%s", tree->hierarchies[tree->serves[controller]].path,
		 twins->cgroup.path, file);
	int err = hierarchy_write(path, text);

	cr_assert_eq(err, 0, "%s: %s", path, strerror(-err));
}

static bool has_control(const struct twins *twins, enum cgroup_controller controller,
			const char *file)
{
	const struct cgroup_tree *tree = &twins->tree;
	char path[PATH_MAX];

	if (tree->serves[controller] < 0)
		return false;
	snprintf(path, sizeof(path), "%s/%s/%s", tree->hierarchies[tree->serves[controller]].path,
		 twins->cgroup.path, file);
	return access(path, W_OK) == 0;
}

Test(cpus, an_idle_group_takes_no_weight)
{
	struct weight weight = prepared(&light);

	if (!has_control(&light, CGROUP_CPU, "cpu.idle"))
		TWINS_SKIP(tear_down, "no cpu.idle in this kernel");
	write_control(&light, CGROUP_CPU, "cpu.idle", "1");
	cr_expect_eq(weight_set(&weight, light.ledger, 200), -EBUSY);
	write_control(&light, CGROUP_CPU, "cpu.idle", "0");
	set_weight(&light, &weight, 200);
}

static long job_which_cpu(long unused)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0 || CPU_COUNT(&set) != 1)
		return -1;
	return CPU_ISSET(0, &set) ? 0 : 1;
}

/* Each group on a CPU of its own, then the other way round. */
Test(cpus, disjoint_sets)
{
	struct twins *twins[2] = { &light, &heavy };
	struct throttle *throttles[2];
	struct worker *workers[2];

	if (light.tree.serves[CGROUP_CPUSET] < 0)
		TWINS_SKIP(tear_down, "no cpuset controller");
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		TWINS_SKIP(tear_down, "one CPU");
	for (int i = 0; i < 2; i++) {
		workers[i] = twins_worker(twins[i]);
		cr_assert_eq(throttle_open(&twins[i]->tree, &twins[i]->cgroup, &throttles[i]), 0);
	}
	for (int turn = 0; turn < 2; turn++)
		for (int i = 0; i < 2; i++) {
			int err = throttle_set_cpus(throttles[i], twins[i]->ledger,
						    (i + turn) % 2 ? "1" : "0");

			cr_assert_eq(err, 0, "%s", strerror(-err));
			cr_expect_eq(worker_do(workers[i], job_which_cpu, 0), (i + turn) % 2);
		}
	for (int i = 0; i < 2; i++)
		throttle_close(throttles[i]);
}

/* v2 only: see edge/throttle.h. */
Test(cpus, partitions_are_kept_or_refused_in_the_kernels_words)
{
	struct throttle *throttle = NULL;
	struct err err = { "" };
	char cpus[256];
	bool pinned = true;

	if (!has_control(&light, CGROUP_CPUSET, "cpuset.cpus"))
		TWINS_SKIP(tear_down, "no cpuset controller");
	if (!has_control(&light, CGROUP_CPUSET, "cpuset.cpus.partition")) { /* v1 */
		cr_assert_eq(throttle_open(&light.tree, &light.cgroup, &throttle), 0);
		cr_expect_lt(throttle_set_partition(throttle, light.ledger, THROTTLE_ROOT, &err),
			     0);
		cr_expect_str_neq(err.text, "");
		throttle_close(throttle);
		return;
	}
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		TWINS_SKIP(tear_down, "one CPU");
	cr_assert_eq(throttle_open(&light.tree, &light.cgroup, &throttle), 0);
	cr_expect_eq(throttle_is_pinned(throttle, &pinned), 0);
	cr_expect_not(pinned);
	cr_assert_eq(throttle_set_cpus(throttle, light.ledger, "1"), 0);
	cr_expect_eq(throttle_is_pinned(throttle, &pinned), 0);
	cr_expect(pinned, "whoever comes next finds it pinned");
	cr_expect_eq(throttle_set_partition(throttle, light.ledger, THROTTLE_ROOT, &err), 0, "%s",
		     err.text);
	cr_expect_eq(throttle_read_effective_cpus(throttle, cpus, sizeof(cpus)), 0);
	cr_expect_str_eq(cpus, "1");
	cr_expect_eq(throttle_set_partition(throttle, light.ledger, THROTTLE_MEMBER, &err), 0, "%s",
		     err.text);
	/* All CPUs are more than the root group can spare. */
	snprintf(cpus, sizeof(cpus), "0-%ld", sysconf(_SC_NPROCESSORS_ONLN) - 1);
	cr_assert_eq(throttle_set_cpus(throttle, light.ledger, cpus), 0);
	cr_expect_eq(throttle_set_partition(throttle, light.ledger, THROTTLE_ROOT, &err), -EINVAL);
	cr_expect_not_null(strstr(err.text, "invalid"), "%s", err.text);
	cr_assert_eq(throttle_set_cpus(throttle, light.ledger, "1"), 0);
	cr_expect_eq(throttle_set_partition(throttle, light.ledger, THROTTLE_ROOT, &err), 0,
		     "after a refusal: %s", err.text);
	cr_expect_geq(twins_restore(&light).restored, 1);
	cr_expect_eq(throttle_read_cpus(throttle, cpus, sizeof(cpus)), 0);
	cr_expect_str_eq(cpus, "");
	throttle_close(throttle);
}

struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns, deadline_ns, period_ns;
};

static uint64_t slice_of(pid_t pid)
{
	struct attributes now = { .size = sizeof(now) };

	cr_assert_eq(syscall(SYS_sched_getattr, pid, &now, sizeof(now), 0), 0);
	return now.runtime_ns;
}

static void give_slice(pid_t pid, uint64_t ns)
{
	struct attributes next = { .size = sizeof(next), .nice = 3, .runtime_ns = ns };

	cr_assert_eq(syscall(SYS_sched_setattr, pid, &next, 0), 0);
}

Test(cpus, slices_are_given_and_taken_back)
{
	struct worker *worker = twins_worker(&light), *own = twins_worker(&light), *later;
	struct slice_counts counts;
	struct slice *slice = NULL;
	uint64_t base = slice_of(0);
	int err = slice_open(light.tree.proc_fd, &slice);

	if (!base) {
		cr_expect_eq(err, -EOPNOTSUPP);
		cr_expect_null(slice);
		return;
	}
	cr_assert_eq(err, 0, "%s", slice_why(err));
	give_slice(own->pid, 7 * MS);
	cr_expect_eq(slice_apply(slice, light.cgroup.fd, SLICE_MIN_NS - 1, &counts), -ERANGE);
	cr_expect_eq(slice_apply(slice, light.cgroup.fd, 50 * MS, &counts), 0);
	cr_expect(counts.set == 1 && counts.changed == 1 && counts.others == 1);
	cr_expect_eq(slice_of(worker->pid), 50 * MS);
	cr_expect_eq(slice_of(own->pid), 7 * MS, "its own");
	later = twins_worker(&light);
	cr_expect_eq(slice_apply(slice, light.cgroup.fd, 50 * MS, &counts), 0);
	cr_expect(counts.set == 2 && counts.changed == 1, "%u %u", counts.set, counts.changed);
	cr_expect_eq(slice_of(later->pid), 50 * MS);
	/* Given back by somebody else: not set again. */
	give_slice(later->pid, 0);
	cr_expect_eq(slice_apply(slice, light.cgroup.fd, 30 * MS, &counts), 0);
	cr_expect(counts.set == 1 && counts.changed == 1 && counts.others == 2);
	cr_expect_eq(slice_of(worker->pid), 30 * MS);
	cr_expect_eq(slice_of(later->pid), base);
	slice_close(slice);
	cr_expect_eq(slice_of(worker->pid), base);
	cr_expect_eq(slice_of(own->pid), 7 * MS);
}

/* As after a kill -9: nobody closes the slice. */
Test(cpus, slices_come_back_from_the_ledger)
{
	struct worker *worker = twins_worker(&light), *own = twins_worker(&light);
	struct slice_counts counts;
	struct slice *slice = NULL;
	uint64_t base = slice_of(0);
	uint32_t record = 0;

	if (!base)
		return;
	cr_assert_eq(slice_open(light.tree.proc_fd, &slice), 0);
	cr_assert_eq(slice_record(&light.tree, &light.cgroup, light.ledger, 50 * MS, &record), 0);
	cr_assert_eq(ledger_commit(light.ledger), 0);
	give_slice(own->pid, 7 * MS);
	cr_assert_eq(slice_apply(slice, light.cgroup.fd, 50 * MS, &counts), 0);
	cr_assert_eq(slice_of(worker->pid), 50 * MS);
	cr_expect_eq(ledger_live(light.ledger), 1);
	cr_expect_eq(twins_restore(&light).restored, 1);
	cr_expect_eq(slice_of(worker->pid), base);
	cr_expect_eq(slice_of(own->pid), 7 * MS, "its own");
	cr_expect_eq(ledger_live(light.ledger), 0);
	slice_close(slice);
}
