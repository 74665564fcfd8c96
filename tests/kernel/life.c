/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Groups that fill, empty and go; programs started and ended; victims of the OOM killer; waking up. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"

TestSuite(life, .init = rig_init, .fini = rig_fini);

#define LIMIT (32 * MIB)

Test(life, a_group_that_fills_empties_and_goes_is_told)
{
	struct group *group = group_make(NULL, "fills"), *other = group_make(NULL, "other");
	struct pfuse_event event = { 0 };
	uint64_t id = group->id;

	watch(1, group);
	struct worker *one = worker_start(group);

	cr_expect_eq(watch_events(1, PFUSE_EV_POPULATED, &event), 1);
	cr_expect_eq(event.group_id, id);
	struct worker *two = worker_start(group);

	worker_end(one);
	cr_expect_eq(watch_events(1, PFUSE_EV_POPULATED, NULL), 0, "it was not empty");
	cr_expect_eq(watch_events(1, PFUSE_EV_EMPTY, NULL), 0, "one is left");
	group_add(other, two->pid);
	cr_expect_eq(watch_wait(1, PFUSE_EV_EMPTY, &event), 1);
	cr_expect_eq(event.group_id, id);
	group_remove(group);
	cr_expect_eq(watch_wait(1, PFUSE_EV_REMOVED, &event), 1);
	cr_expect_eq(event.group_id, id);
}

Test(life, the_last_exit_empties)
{
	struct group *group = group_make(NULL, "exit");

	watch(1, group);
	worker_end(worker_start(group));
	cr_expect_eq(watch_wait(1, PFUSE_EV_EMPTY, NULL), 1);
}

Test(life, a_child_group_populates_its_managed_parent)
{
	struct group *parent = group_make(NULL, "parent"), *child = group_make(parent, "child");

	watch(1, parent);
	struct worker *worker = worker_start(child);

	cr_expect_eq(watch_wait(1, PFUSE_EV_POPULATED, NULL), 1);
	worker_end(worker);
	cr_expect_eq(watch_wait(1, PFUSE_EV_EMPTY, NULL), 1);
	group_remove(child);
	cr_expect_eq(watch_events(1, PFUSE_EV_REMOVED, NULL), 0, "the child went, not the group");
}

static unsigned int all_events(uint32_t slot)
{
	unsigned int count = 0;

	for (uint32_t kind = 1; kind < PFUSE_EV_KINDS; kind++)
		count += watch_events(slot, kind, NULL);
	return count;
}

Test(life, groups_that_are_not_managed_are_not_told)
{
	struct group *group = group_make(NULL, "quiet"), *managed = group_make(NULL, "managed");

	watch(1, managed);
	worker_end(worker_start(group));
	group_remove(group);
	cr_assert_eq(probe_unmanage(probe, 1), 0);
	worker_end(worker_start(managed));
	group_remove(managed);
	for (uint32_t slot = 1; slot <= 8; slot++)
		cr_expect_eq(all_events(slot), 0);
}

/* A hierarchy without controllers, for this test only: it goes with its last mount. */
static const char *other_hierarchy(void)
{
	static char mount_at[64];
	char name[64];

	snprintf(mount_at, sizeof(mount_at), "/tmp/pfuse-test-%d-hierarchy", getpid());
	snprintf(name, sizeof(name), "none,name=pfuse-test-%d", getpid());
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mkdir(mount_at, 0700) < 0)
		return NULL;
	if (mount("none", mount_at, "cgroup", 0, name) == 0)
		return mount_at;
	rmdir(mount_at);
	return NULL;
}

/* Numbers of groups repeat between hierarchies: here the one that is managed exists elsewhere only. */
Test(life, a_group_of_another_hierarchy_with_the_same_number_is_not_told)
{
	const char *mounted = other_hierarchy();

	if (!mounted)
		RIG_SKIP("this kernel mounts no second cgroup hierarchy: %s", strerror(errno));
	struct group *foreign = group_make_at(mounted, "foreign");

	watch(1, foreign);
	struct worker *worker = worker_start(foreign);

	worker_end(worker);
	group_remove(foreign);
	cr_expect_eq(all_events(1), 0);
	umount(mounted);
	rmdir(mounted);
}

static long job_exec(long count)
{
	for (long i = 0; i < count; i++) {
		pid_t pid = fork();

		if (!pid) {
			char *none[] = { NULL }; /* Criterion's variables would make it a test */

			execle("/proc/self/exe", "test", "--do-nothing", NULL, none);
			_exit(127);
		}
		int status = 0;

		if (waitpid(pid, &status, 0) != pid || status)
			return -1;
	}
	return 0;
}

Test(life, programs_started_and_processes_ended_are_counted)
{
	struct group *group = group_make(NULL, "exec");
	struct worker *inside = worker_start(group), *outside = worker_start(NULL);

	watch(1, group);
	cr_expect_eq(worker_do(inside, job_exec, 5), 0);
	cr_expect_eq(worker_do(outside, job_exec, 3), 0);
	cr_expect_eq(watch_read(1).execs, 5);
	cr_expect_eq(watch_read(1).exits, 5);
	worker_end(inside);
	cr_expect_eq(watch_read(1).exits, 6);
}

static long job_eat(long bytes)
{
	char *at = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	prctl(PR_SET_NAME, "pfuse-eater");
	for (long i = 0; at != MAP_FAILED && i < bytes; i += 4096)
		((volatile char *)at)[i] = 1;
	return 0;
}

/* With the kernel's word on it: the worker died by SIGKILL, and nobody of ours sent one. */
static void expect_oom(uint32_t slot, const struct group *limited, const struct group *member)
{
	struct worker *worker = worker_start(member);
	struct pfuse_event event = { 0 };
	siginfo_t how;

	worker_send(worker, job_eat, 4 * LIMIT);
	cr_assert_eq(waitid(P_PID, (id_t)worker->pid, &how, WEXITED | WNOWAIT), 0);
	cr_expect(how.si_code == CLD_KILLED && how.si_status == SIGKILL);
	cr_expect_eq(watch_wait(slot, PFUSE_EV_OOM_VICTIM, &event), 1);
	cr_expect_eq(event.group_id, limited->id);
	cr_expect_eq(event.task.pid, (uint32_t)worker->pid);
	if (event.task.comm[0]) /* the pid alone is known before 6.8 */
		cr_expect_str_eq(event.task.comm, "pfuse-eater");
}

Test(life, an_oom_victim_is_told)
{
	struct group *group = group_make(NULL, "oom");

	group_limit(group, LIMIT);
	watch(1, group);
	expect_oom(1, group, group);
}

Test(life, an_oom_victim_in_a_child_group_is_told_for_the_managed_ancestor)
{
	struct group *parent = group_make(NULL, "oomtree"), *child = group_make(parent, "child");

	group_limit(parent, LIMIT);
	watch(1, parent);
	expect_oom(1, parent, child);
}

Test(life, waking_is_told_once_per_arming)
{
	struct group *group = group_make(NULL, "wakes"), *other = group_make(NULL, "sleeps");
	struct worker *worker = worker_start(group);
	struct pfuse_event event = { 0 };

	worker_start(other);
	watch(1, group);
	watch(2, other);
	for (int round = 0; round < 3; round++) {
		probe_arm(probe, 1, PFUSE_ARM_ACTIVE);
		probe_arm(probe, 2, PFUSE_ARM_ACTIVE);
		worker_wait_asleep(worker);
		cr_expect_eq(watch_events(1, PFUSE_EV_ACTIVE, NULL), 0, "it sleeps");
		for (int wakes = 0; wakes < 5; wakes++)
			worker_do(worker, job_nap_ms, 1);
		cr_expect_eq(watch_events(1, PFUSE_EV_ACTIVE, &event), 1);
		cr_expect_eq(event.group_id, group->id);
		worker_wait_asleep(worker);
		sleep_ms(5);
	}
	probe_arm(probe, 1, PFUSE_ARM_ACTIVE);
	probe_disarm(probe, 1, PFUSE_ARM_ACTIVE);
	worker_do(worker, job_nap_ms, 1);
	cr_expect_eq(watch_events(1, PFUSE_EV_ACTIVE, NULL), 0);
	cr_expect_eq(watch_events(2, PFUSE_EV_ACTIVE, NULL), 0, "nobody woke the other group");
}
