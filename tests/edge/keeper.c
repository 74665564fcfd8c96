/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A child plays the daemon and is killed, at a moment that differs from trial to trial; the keeper,
 * which is its child and so becomes an orphan, must put every control back.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "edge/control.h"
#include "edge/keeper.h"
#include "made_up.h"

static bool ends(int pidfd, int timeout_ms)
{
	struct pollfd fd = { .fd = pidfd, .events = POLLIN };

	return poll(&fd, 1, timeout_ms) == 1;
}

Test(keeper, leaves_at_bye_and_touches_nothing)
{
	struct keeper keeper = { 0 };
	struct control_ram ram;
	struct cgroup group;
	struct made_up m;
	struct err err;

	made_up_new(&m, V2);
	made_up_group(&m, "g", &group);
	made_up_ledger(&m);
	cr_assert_eq(control_ram_prepare(&m.tree, &group, m.ledger, &ram), 0);
	cr_assert_eq(ledger_commit(m.ledger), 0);
	cr_assert_eq(keeper_spawn(KEEPER, m.ledger_path, &keeper, &err), 0, "%s", err.text);
	cr_expect(fcntl(keeper.pipe_fd, F_GETFD) & FD_CLOEXEC);
	cr_expect_not(ends(keeper.pidfd, 50));
	cr_assert_eq(control_ram_set(&m.tree, &group, m.ledger, &ram, 64 << 20, false), 0);
	keeper_bye(&keeper);
	cr_expect_eq(keeper.pid, 0);
	cr_expect_str_eq(made_up_read(&m, "v2/g/memory.high"), "67108864");
	keeper_bye(&keeper);
	cgroup_close(&group);
	made_up_free(&m);
}

Test(keeper, survives_the_signals_that_end_a_daemon)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT };
	struct keeper keeper = { 0 };
	struct made_up m;
	struct err err;

	made_up_new(&m, V2);
	cr_assert_eq(keeper_spawn(KEEPER, m.ledger_path, &keeper, &err), 0, "%s", err.text);
	clock_sleep_us(100000); /* it ignores signals from its first lines on */
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		cr_assert_eq(kill(keeper.pid, signals[i]), 0);
	cr_expect_not(ends(keeper.pidfd, 50));
	cr_expect_neq(getpgid(keeper.pid), getpgid(0), "a group of its own");
	kill(keeper.pid, SIGKILL);
	cr_expect(ends(keeper.pidfd, 2000), "the daemon sees that it is gone");
	keeper_bye(&keeper);
	made_up_free(&m);
}

Test(keeper, that_cannot_be_started_is_said)
{
	struct keeper keeper = { .pid = -7 };
	struct err err = { "" };

	cr_expect_eq(keeper_spawn("/nonexistent/pfuse-keeper", "/x", &keeper, &err), -ENOENT);
	cr_expect_not_null(strstr(err.text, "/nonexistent/pfuse-keeper"));
	cr_expect_eq(keeper.pid, -7);
}

/* Sets limits until it is killed. Tells through `ready` when the keeper runs. */
static void play_daemon(struct made_up *m, int ready)
{
	/* The keeper of the daemon before may still be closing the ledger. */
	struct ledger_options options = { .path = m->ledger_path, .wait_ns = 5000000000 };
	struct keeper keeper;
	struct control_ram ram[2];
	struct cgroup group[2];
	struct ledger *ledger;

	if (ledger_open(&options, &ledger, NULL, NULL) < 0 ||
	    keeper_spawn(KEEPER, m->ledger_path, &keeper, NULL) < 0)
		_exit(1);
	for (int i = 0; i < 2; i++) {
		if (cgroup_open(&m->tree, i ? "b" : "a", &group[i], NULL) < 0 ||
		    control_ram_prepare(&m->tree, &group[i], ledger, &ram[i]) < 0)
			_exit(2);
	}
	if (ledger_commit(ledger) < 0 || write(ready, "r", 1) != 1)
		_exit(3);
	/* Values of eight digits: a write over another is then whole or not there, as in a kernel. */
	for (uint64_t n = 1;; n++)
		for (int i = 0; i < 2; i++)
			if (control_ram_set(&m->tree, &group[i], ledger, &ram[i],
					    (n * 7 % 50 + 10) << 20, false) < 0)
				_exit(4);
}

static const char *const files[] = {
	"v2/a/memory.high",
	"v2/a/memory.max",
	"v2/b/memory.high",
	"v2/b/memory.max",
};

static bool is_restored(const struct made_up *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (strcmp(made_up_read(m, files[i]), "max") != 0)
			return false;
	return !made_up_has(m, "run/ledger");
}

static void kill_one_daemon(struct made_up *m, uint64_t after_us)
{
	int ready[2], status;
	char byte;
	pid_t pid;

	cr_assert_eq(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0)
		play_daemon(m, ready[1]);
	close(ready[1]);
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	clock_sleep_us(after_us);
	kill(pid, SIGKILL);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFSIGNALED(status), "the daemon left by itself: %d", WEXITSTATUS(status));
	for (int i = 0; i < 2000 && !is_restored(m); i++)
		clock_sleep_us(1000);
	cr_assert(is_restored(m), "not restored: %s %s %s %s", made_up_read(m, files[0]),
		  made_up_read(m, files[1]), made_up_read(m, files[2]), made_up_read(m, files[3]));
}

Test(keeper, restores_whenever_the_daemon_is_killed)
{
	struct cgroup group;
	struct made_up m;

	made_up_new(&m, V2);
	made_up_group(&m, "a", &group);
	cgroup_close(&group);
	made_up_group(&m, "b", &group);
	cgroup_close(&group);
	for (uint64_t trial = 0; trial < 100; trial++)
		kill_one_daemon(&m, trial * 97 % 3000);
	made_up_free(&m);
}
