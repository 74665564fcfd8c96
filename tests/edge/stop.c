/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "edge/stop.h"
#include "made_up.h"

#define DEADLINE_NS 5000000

struct fixture {
	struct made_up m;
	struct cgroup group;
	struct stop stop;
};

static void set_up(struct fixture *f, enum layout layout)
{
	*f = (struct fixture){ 0 };
	made_up_new(&f->m, layout);
	made_up_group(&f->m, "g", &f->group);
	made_up_ledger(&f->m);
}

static void tear_down(struct fixture *f)
{
	stop_free(&f->stop);
	cgroup_close(&f->group);
	made_up_free(&f->m);
}

static int stop(struct fixture *f, enum stop_mode mode)
{
	return stop_group(&f->m.tree, &f->group, f->m.ledger, mode, DEADLINE_NS, &f->stop);
}

static int go_on(struct fixture *f)
{
	return stop_continue(&f->m.tree, &f->group, f->m.ledger, &f->stop);
}

static pid_t child(void)
{
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			pause();
	cr_assert_gt(pid, 0);
	return pid;
}

static void bury(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Waits for the state, since signals arrive in their own time. */
static bool comes_to(struct fixture *f, pid_t pid, bool stopped)
{
	struct procs_stat stat;

	for (int i = 0; i < 1000; i++) {
		if (procs_read_stat(f->m.tree.proc_fd, pid, &stat) < 0)
			return false;
		if (procs_is_stopped(&stat) == stopped)
			return true;
		clock_sleep_us(1000);
	}
	return false;
}

static void put_pids(struct fixture *f, const char *file, pid_t a, pid_t b)
{
	char text[64];

	snprintf(text, sizeof(text), "%d\n", (int)a);
	if (b)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%d\n", (int)b);
	made_up_write(&f->m, file, text);
}

Test(stop, freezes_and_uses_its_record_again)
{
	struct fixture f;
	uint32_t first;

	set_up(&f, V2);
	cr_assert_eq(stop(&f, STOP_AUTO), 0);
	cr_expect_eq(f.stop.how, STOP_FREEZE);
	cr_expect_str_eq(made_up_read(&f.m, "v2/g/cgroup.freeze"), "1");
	cr_expect_eq(ledger_live(f.m.ledger), 1);
	cr_expect_eq(stop(&f, STOP_AUTO), -EALREADY, "stopped by us");
	first = f.stop.frozen;
	cr_assert_eq(go_on(&f), 0);
	cr_expect_str_eq(made_up_read(&f.m, "v2/g/cgroup.freeze"), "0");
	cr_expect_eq(ledger_live(f.m.ledger), 0);
	cr_assert_eq(go_on(&f), 0);
	cr_assert_eq(stop(&f, STOP_FREEZE), 0);
	cr_expect_eq(f.stop.frozen, first);
	cr_expect_eq(made_up_restore(&f.m).restored, 1);
	cr_expect_str_eq(made_up_read(&f.m, "v2/g/cgroup.freeze"), "0");
	tear_down(&f);
}

Test(stop, thaws_by_one_write)
{
	struct fixture f;
	int fd = -1;

	set_up(&f, V2);
	cr_expect_eq(stop_open_thaw(&f.m.tree, &f.group, &f.stop, &fd), -EINVAL, "it runs");
	cr_assert_eq(stop(&f, STOP_FREEZE), 0);
	cr_assert_eq(stop_open_thaw(&f.m.tree, &f.group, &f.stop, &fd), 0);
	cr_assert_eq(stop_thaw(fd, f.m.ledger, &f.stop), 0);
	close(fd);
	cr_expect_str_eq(made_up_read(&f.m, "v2/g/cgroup.freeze"), "0");
	cr_expect_eq(f.stop.how, STOP_AUTO);
	cr_expect_eq(ledger_live(f.m.ledger), 0);
	cr_expect_eq(stop_open_thaw(&f.m.tree, &f.group, &f.stop, &fd), -EINVAL);
	cr_assert_eq(stop(&f, STOP_FREEZE), 0);
	f.stop.frozen_id++;
	cr_expect_eq(stop_open_thaw(&f.m.tree, &f.group, &f.stop, &fd), -ENOENT, "another group");
	tear_down(&f);
}

Test(stop, leaves_a_freeze_of_somebody_else)
{
	struct fixture f;

	set_up(&f, V2);
	made_up_write(&f.m, "v2/g/cgroup.freeze", "1\n");
	cr_expect_eq(stop(&f, STOP_AUTO), -EALREADY);
	cr_assert_eq(go_on(&f), 0);
	cr_expect_eq(made_up_restore(&f.m).restored, 0);
	cr_expect_str_eq(made_up_read(&f.m, "v2/g/cgroup.freeze"), "1");
	tear_down(&f);
}

Test(stop, leaves_a_group_that_the_v1_freezer_holds)
{
	static const char *const states[] = { "FROZEN\n", "FREEZING\n" };
	struct fixture f;

	set_up(&f, HYBRID);
	made_up_dir(&f.m, "v1/freezer/g");
	for (int i = 0; i < 2; i++) {
		made_up_write(&f.m, "v1/freezer/g/freezer.state", states[i]);
		cr_expect_eq(stop(&f, STOP_AUTO), -EALREADY);
		cr_expect_eq(stop(&f, STOP_SIGNAL), -EALREADY);
	}
	cr_expect_str_eq(made_up_read(&f.m, "v2/g/cgroup.freeze"), "0");
	made_up_write(&f.m, "v1/freezer/g/freezer.state", "THAWED\n");
	cr_assert_eq(stop(&f, STOP_AUTO), 0);
	cr_assert_eq(go_on(&f), 0);
	tear_down(&f);
}

Test(stop, rolls_back_what_does_not_freeze_in_time)
{
	struct fixture f;

	set_up(&f, V2);
	made_up_write(&f.m, "v2/g/cgroup.events", "populated 1\nfrozen 0\n");
	cr_expect_eq(stop(&f, STOP_AUTO), -ETIMEDOUT);
	cr_expect_str_eq(made_up_read(&f.m, "v2/g/cgroup.freeze"), "0");
	cr_expect_eq(f.stop.how, STOP_AUTO);
	cr_expect_eq(ledger_live(f.m.ledger), 0);
	tear_down(&f);
}

Test(stop, freezes_the_twin_only_if_it_holds_the_same_processes)
{
	struct fixture f;
	pid_t a = child();

	set_up(&f, HYBRID);
	put_pids(&f, "v1/memory/g/cgroup.procs", a, 0);
	put_pids(&f, "v2/g/cgroup.procs", a, 0);
	cr_assert_eq(stop(&f, STOP_AUTO), 0);
	cr_expect_eq(f.stop.how, STOP_FREEZE);
	cr_assert_eq(go_on(&f), 0);
	put_pids(&f, "v2/g/cgroup.procs", a, getpid());
	cr_expect_eq(stop(&f, STOP_FREEZE), -EXDEV);
	cr_expect_str_eq(made_up_read(&f.m, "v2/g/cgroup.freeze"), "0");
	cr_assert_eq(stop(&f, STOP_AUTO), 0, "falls back to signals");
	cr_expect_eq(f.stop.how, STOP_SIGNAL);
	cr_expect(comes_to(&f, a, true));
	cr_assert_eq(go_on(&f), 0);
	cr_expect(comes_to(&f, a, false));
	bury(a);
	tear_down(&f);
}

Test(stop, signals_and_leaves_out_who_was_stopped_before)
{
	struct fixture f;
	pid_t a = child(), b = child();

	set_up(&f, V1);
	put_pids(&f, "v1/memory/g/cgroup.procs", a, b);
	kill(b, SIGSTOP);
	cr_assert(comes_to(&f, b, true));
	cr_expect_eq(stop(&f, STOP_FREEZE), -ENOENT, "v1 alone has no cgroup.freeze");
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(stop(&f, STOP_AUTO), 0);
		cr_expect_eq(f.stop.how, STOP_SIGNAL);
		cr_expect_eq(f.stop.count, 1);
		cr_expect_eq(ledger_live(f.m.ledger), 1);
		cr_expect(comes_to(&f, a, true));
		cr_assert_eq(go_on(&f), 0);
		cr_expect(comes_to(&f, a, false));
		cr_expect_eq(ledger_live(f.m.ledger), 0);
	}
	cr_expect(comes_to(&f, b, true), "not ours to continue");
	bury(a);
	bury(b);
	tear_down(&f);
}

Test(stop, is_undone_by_the_ledger_alone)
{
	struct ledger_counts counts;
	struct fixture f;
	pid_t a = child(), b = child();

	set_up(&f, V1);
	put_pids(&f, "v1/memory/g/cgroup.procs", a, b);
	cr_assert_eq(stop(&f, STOP_SIGNAL), 0);
	cr_assert(comes_to(&f, a, true));
	cr_assert(comes_to(&f, b, true));
	bury(b);
	made_up_kill_ledger(&f.m);
	made_up_ledger(&f.m);
	counts = made_up_restore(&f.m);
	cr_expect_eq(counts.restored, 1);
	cr_expect_eq(counts.gone, 1);
	cr_expect(comes_to(&f, a, false));
	bury(a);
	tear_down(&f);
}

Test(stop, forgets_processes_that_ended)
{
	struct fixture f;
	pid_t a = child();

	set_up(&f, V1);
	put_pids(&f, "v1/memory/g/cgroup.procs", a, 0);
	cr_assert_eq(stop(&f, STOP_SIGNAL), 0);
	cr_assert(comes_to(&f, a, true));
	bury(a);
	cr_assert_eq(go_on(&f), 0);
	cr_expect_eq(f.stop.count, 0);
	cr_expect_eq(ledger_live(f.m.ledger), 0);
	tear_down(&f);
}

Test(stop, keeps_records_of_the_last_time_only)
{
	struct fixture f;
	pid_t a = child(), b = child();

	set_up(&f, V1);
	put_pids(&f, "v1/memory/g/cgroup.procs", a, b);
	cr_assert_eq(stop(&f, STOP_SIGNAL), 0);
	cr_assert_eq(go_on(&f), 0);
	cr_expect_eq(f.stop.count, 2);
	put_pids(&f, "v1/memory/g/cgroup.procs", a, 0);
	cr_assert_eq(stop(&f, STOP_SIGNAL), 0);
	cr_assert_eq(go_on(&f), 0);
	cr_expect_eq(f.stop.count, 1);
	bury(a);
	bury(b);
	tear_down(&f);
}

Test(stop, of_a_group_that_is_gone)
{
	struct fixture f;

	set_up(&f, V1);
	made_up_remove(&f.m, "v1/memory/g/cgroup.procs");
	cr_expect_eq(stop(&f, STOP_AUTO), -ENODEV);
	cr_assert_eq(go_on(&f), 0);
	tear_down(&f);
}

/* The made-up proc knows one process, 4711, in /g/below. */
Test(stop, check_refuses_groups_of_ours)
{
	struct procs_list never = { 0 };
	struct err err = { "" };
	struct cgroup other;
	struct fixture f;

	set_up(&f, V2);
	made_up_group(&f.m, "g2", &other);
	made_up_dir(&f.m, "proc");
	made_up_dir(&f.m, "proc/4711");
	made_up_write(&f.m, "proc/4711/cgroup", "0::/g/below\n");
	f.m.tree.proc_fd = openat(f.m.tree.hierarchies[0].fd, "../proc", 0);
	cr_assert_eq(procs_list_add(&never, 4711), 0);
	cr_assert_eq(procs_list_add(&never, 4712), 0);
	cr_expect_eq(stop_check(&f.m.tree, &f.group, &never, &err), -EPERM);
	cr_expect_not_null(strstr(err.text, "pid 4711"), "%s", err.text);
	cr_expect_eq(stop_check(&f.m.tree, &other, &never, &err), 0);
	procs_list_free(&never);
	cgroup_close(&other);
	tear_down(&f);
}

Test(stop, never_has_us_and_all_above)
{
	struct procs_list never = { 0 };
	struct made_up m;

	made_up_new(&m, V2);
	cr_assert_eq(stop_never(&m.tree, 4711, &never), 0);
	cr_expect(procs_list_has(&never, 1));
	cr_expect(procs_list_has(&never, getpid()));
	cr_expect(procs_list_has(&never, getppid()));
	cr_expect(procs_list_has(&never, 4711));
	procs_list_free(&never);
	made_up_free(&m);
}
