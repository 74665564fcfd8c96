/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Groups that fill, empty and go; programs started and ended; victims of the OOM killer; waking up;
 * signals from outside; who enters.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

/* A hierarchy without controllers, for this test only. */
static char hierarchy_name[64], hierarchy_at[64];

static int mount_hierarchy(void)
{
	char options[80];

	snprintf(options, sizeof(options), "none,name=%s", hierarchy_name);
	return mount("none", hierarchy_at, "cgroup", 0, options);
}

static bool other_hierarchy(void)
{
	snprintf(hierarchy_at, sizeof(hierarchy_at), "/tmp/pfuse-test-%d-hierarchy", getpid());
	snprintf(hierarchy_name, sizeof(hierarchy_name), "pfuse-test-%d", getpid());
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mkdir(hierarchy_at, 0700) < 0)
		return false;
	if (mount_hierarchy() == 0)
		return true;
	rmdir(hierarchy_at);
	return false;
}

static bool hierarchy_exists(void)
{
	char line[512];
	bool found = false;
	FILE *groups = fopen("/proc/self/cgroup", "re");

	while (groups && fgets(line, sizeof(line), groups))
		found |= strstr(line, hierarchy_name) != NULL;
	if (groups)
		fclose(groups);
	return found;
}

/*
 * It goes a moment after its last mount, if no group was left by then; and a group that was removed is
 * left for a moment itself.
 */
static void remove_hierarchy(void)
{
	bool there = true;

	for (int tries = 0; tries < 20 && there; tries++) {
		if (tries)
			mount_hierarchy();
		umount(hierarchy_at);
		for (int i = 0; i < 100 && there; i++) {
			usleep(5000);
			there = hierarchy_exists();
		}
	}
	cr_expect(!there, "%s is left", hierarchy_name);
	rmdir(hierarchy_at);
}

/* Numbers of groups repeat between hierarchies: here the one that is managed exists elsewhere only. */
Test(life, a_group_of_another_hierarchy_with_the_same_number_is_not_told)
{
	if (!other_hierarchy())
		RIG_SKIP("this kernel mounts no second cgroup hierarchy: %s", strerror(errno));
	struct group *foreign = group_make_at(hierarchy_at, "foreign");

	watch(1, foreign);
	struct worker *worker = worker_start(foreign);

	worker_end(worker);
	group_remove(foreign);
	cr_expect_eq(all_events(1), 0);
	remove_hierarchy();
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
	char *at = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);

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

/* The test stands for the daemon, so signals that shall be told are sent by workers. */
struct shot {
	pid_t target;
	int number;
};

static struct shot shot; /* set before the worker that shoots is started */

static long job_shoot(long arg)
{
	return kill(shot.target, shot.number) ? -errno : 0;
}

static void arm_signal(void)
{
	watch_events(1, PFUSE_EV_SIGNAL, NULL);
	probe_arm(probe, 1, PFUSE_ARM_SIGNAL);
}

static void expect_signal(int number, pid_t target, pid_t sender, uint32_t flags)
{
	struct pfuse_event event = { 0 };

	cr_assert_eq(watch_events(1, PFUSE_EV_SIGNAL, &event), 1, "signal %d", number);
	cr_expect_eq(event.signal.number, (uint32_t)number);
	cr_expect_eq(event.signal.pid, (uint32_t)target);
	cr_expect_eq(event.signal.sender, (uint32_t)sender);
	cr_expect_eq(event.signal.flags, flags, "signal %d: flags %x", number, event.signal.flags);
}

static struct worker *shoot(pid_t target, int number, const struct group *from)
{
	shot = (struct shot){ target, number };
	struct worker *shooter = worker_start(from);

	arm_signal();
	cr_assert_eq(worker_do(shooter, job_shoot, 0), 0);
	return shooter;
}

static void do_nothing(int number)
{
	(void)number;
}

static long job_handle(long number)
{
	return signal((int)number, do_nothing) == SIG_ERR ? -errno : 0;
}

static long job_ignore(long number)
{
	return signal((int)number, SIG_IGN) == SIG_ERR ? -errno : 0;
}

static long job_block(long number)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, (int)number);
	return sigprocmask(SIG_BLOCK, &set, NULL);
}

Test(life, a_signal_from_outside_is_told_with_what_the_target_does_about_it)
{
	struct group *group = group_make(NULL, "signals"), *child = group_make(group, "child");
	struct worker *target = worker_start(child);

	watch(1, group);
	worker_do(target, job_handle, SIGUSR1);
	worker_do(target, job_block, SIGUSR2);
	worker_do(target, job_ignore, SIGWINCH);
	struct worker *sender = shoot(target->pid, SIGUSR1, NULL);

	expect_signal(SIGUSR1, target->pid, sender->pid, PFUSE_SIGNAL_HANDLED);
	sender = shoot(target->pid, SIGUSR2, NULL);
	expect_signal(SIGUSR2, target->pid, sender->pid, PFUSE_SIGNAL_BLOCKED);
	sender = shoot(target->pid, SIGCONT, NULL);
	expect_signal(SIGCONT, target->pid, sender->pid, 0);
	shoot(target->pid, SIGWINCH, NULL);
	cr_expect_eq(watch_events(1, PFUSE_EV_SIGNAL, NULL), 0, "the target ignores it");
	sender = shoot(target->pid, SIGTERM, NULL);
	expect_signal(SIGTERM, target->pid, sender->pid, 0);
}

Test(life, signals_of_members_and_of_the_daemon_are_not_told)
{
	struct group *group = group_make(NULL, "own"), *other = group_make(NULL, "others");
	struct worker *target = worker_start(group), *stranger = worker_start(other);

	watch(1, group);
	worker_do(target, job_handle, SIGUSR1);
	worker_do(stranger, job_handle, SIGUSR1);
	shoot(target->pid, SIGUSR1, group);
	cr_expect_eq(watch_events(1, PFUSE_EV_SIGNAL, NULL), 0, "by a member");
	kill(target->pid, SIGUSR1);
	cr_expect_eq(watch_events(1, PFUSE_EV_SIGNAL, NULL), 0, "by the daemon");
	shoot(stranger->pid, SIGUSR1, NULL);
	cr_expect_eq(watch_events(1, PFUSE_EV_SIGNAL, NULL), 0, "for another");
}

Test(life, one_signal_per_arming)
{
	struct group *group = group_make(NULL, "once");
	struct worker *target = worker_start(group);

	watch(1, group);
	worker_do(target, job_handle, SIGUSR1);
	struct worker *sender = shoot(target->pid, SIGUSR1, NULL);

	for (int i = 0; i < 3; i++)
		worker_do(sender, job_shoot, 0);
	expect_signal(SIGUSR1, target->pid, sender->pid, PFUSE_SIGNAL_HANDLED);
	worker_do(sender, job_shoot, 0);
	cr_expect_eq(watch_events(1, PFUSE_EV_SIGNAL, NULL), 0, "not armed");
}

static long job_alarm(long seconds)
{
	signal(SIGALRM, do_nothing);
	return alarm((unsigned int)seconds);
}

Test(life, a_timer_is_the_kernels_signal)
{
	struct group *group = group_make(NULL, "timer");
	struct worker *target = worker_start(group);
	struct pfuse_event event = { 0 };

	watch(1, group);
	worker_do(target, job_alarm, 1);
	arm_signal();
	cr_assert_eq(watch_wait(1, PFUSE_EV_SIGNAL, &event), 1);
	cr_expect_eq(event.signal.number, SIGALRM);
	cr_expect_eq(event.signal.sender, 0);
	cr_expect_eq(event.signal.flags, PFUSE_SIGNAL_HANDLED | PFUSE_SIGNAL_BY_KERNEL);
}

/* A supervisor outside the group, whose child is in it: it waits for the stop and does its work then. */
static long job_child(long arg)
{
	pid_t pid = fork();

	if (!pid)
		for (;;)
			pause();
	return pid;
}

static long job_watch_child(long number)
{
	siginfo_t how;

	if (waitid(P_ALL, 0, &how, WSTOPPED) < 0)
		return -errno;
	return kill(how.si_pid, (int)number) ? -errno : 0;
}

static void supervise(int number)
{
	struct group *group = group_make(NULL, "stopped");
	struct worker *parent = worker_start(NULL);
	pid_t child = (pid_t)worker_do(parent, job_child, 0);

	cr_assert(child > 0);
	group_add(group, child);
	watch(1, group);
	arm_signal();
	worker_send(parent, job_watch_child, number);
	cr_assert_eq(kill(child, SIGSTOP), 0);
	cr_assert_eq(worker_receive(parent), 0);
	expect_signal(number, child, parent->pid, PFUSE_SIGNAL_BY_PARENT);
	kill(child, SIGKILL);
}

Test(life, a_parent_that_continues_its_stopped_child_is_told)
{
	supervise(SIGCONT);
}

Test(life, a_parent_that_kills_its_stopped_child_is_told)
{
	supervise(SIGKILL);
}

/* When we stop a group, parents in it learn of their children's stop: nothing from outside. */
Test(life, a_stop_of_ours_tells_no_signal)
{
	struct group *group = group_make(NULL, "family");
	struct worker *parent = worker_start(group);
	pid_t child = (pid_t)worker_do(parent, job_child, 0);

	watch(1, group);
	worker_do(parent, job_handle, SIGCHLD);
	arm_signal();
	kill(child, SIGSTOP);
	sleep_ms(20);
	cr_expect_eq(watch_events(1, PFUSE_EV_SIGNAL, NULL), 0);
	kill(child, SIGKILL);
}

/* set before the worker that moves itself is started */
static char procs_path[PATH_MAX + 16];

static long job_enter(long arg)
{
	return hierarchy_write(procs_path, "0");
}

static void arm_entered(void)
{
	watch_events(1, PFUSE_EV_ENTERED, NULL);
	probe_arm(probe, 1, PFUSE_ARM_ENTERED);
}

static void expect_entered(pid_t pid, uint32_t how)
{
	struct pfuse_event event = { 0 };

	cr_assert_eq(watch_events(1, PFUSE_EV_ENTERED, &event), 1);
	cr_expect_eq(event.entered.how, how, "how %u", event.entered.how);
	if (pid)
		cr_expect_eq(event.entered.pid, (uint32_t)pid);
	cr_expect(event.entered.comm[0]);
}

Test(life, who_moves_into_the_group_or_below_is_told_once)
{
	struct group *group = group_make(NULL, "enter"), *child = group_make(group, "child");
	struct group *other = group_make(NULL, "elsewhere");
	const struct group *targets[] = { group, child };

	watch(1, group);
	watch(2, other);
	for (int i = 0; i < 2; i++) {
		snprintf(procs_path, sizeof(procs_path), "%s/cgroup.procs", targets[i]->path);
		struct worker *first = worker_start(NULL), *second = worker_start(NULL);

		arm_entered();
		cr_assert_eq(worker_do(first, job_enter, 0), 0);
		cr_assert_eq(worker_do(second, job_enter, 0), 0);
		expect_entered(first->pid, PFUSE_ENTRY_MOVED);
	}
	snprintf(procs_path, sizeof(procs_path), "%s/cgroup.procs", other->path);
	struct worker *stranger = worker_start(NULL);

	arm_entered();
	cr_assert_eq(worker_do(stranger, job_enter, 0), 0);
	cr_expect_eq(watch_events(1, PFUSE_EV_ENTERED, NULL), 0, "another group's");
	cr_expect_eq(watch_events(2, PFUSE_EV_ENTERED, NULL), 0, "not armed");
	worker_start(group);
	cr_expect_eq(watch_events(1, PFUSE_EV_ENTERED, NULL), 0, "moved by the daemon");
}

Test(life, a_program_started_in_the_group_is_told_and_a_fork_is_not)
{
	struct group *group = group_make(NULL, "starts");
	struct worker *worker = worker_start(group);

	watch(1, group);
	arm_entered();
	pid_t child = (pid_t)worker_do(worker, job_child, 0);

	cr_expect_eq(watch_events(1, PFUSE_EV_ENTERED, NULL), 0, "born within");
	cr_assert_eq(worker_do(worker, job_exec, 2), 0);
	expect_entered(0, PFUSE_ENTRY_EXEC);
	kill(child, SIGKILL);
}

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

struct clone_into {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
		set_tid_size, cgroup;
};

static long job_born_into(long arg)
{
	struct clone_into how = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD };
	int dir = open(procs_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	how.cgroup = (uint64_t)dir;
	long pid = syscall(SYS_clone3, &how, sizeof(how));

	if (!pid)
		_exit(0);
	int err = errno;

	close(dir);
	return pid < 0 ? -err : pid;
}

/* clone3(2) knows the v2 hierarchy alone, so elsewhere no process can be born into a watched group. */
Test(life, a_process_born_into_the_group_is_told)
{
	struct group *group = group_make(NULL, "born");
	const char *why;

	watch(1, group);
	snprintf(procs_path, sizeof(procs_path), "%s", group->path);
	struct worker *outside = worker_start(NULL);

	if (!hierarchy(&why)->v2)
		return;
	arm_entered();
	long pid = worker_do(outside, job_born_into, 0);

	cr_assert(pid > 0, "clone3: %s", strerror((int)-pid));
	expect_entered((pid_t)pid, PFUSE_ENTRY_BORN);
}
