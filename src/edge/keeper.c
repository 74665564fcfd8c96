/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/keeper.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "edge/ledger.h"

#define BYE 'b'
#define LOCK_WAIT_NS UINT64_C(2000000000) /* the killed daemon's last fd closes within moments */

#define KEEPER_NAME "pfuse-keeper"

/* Daemon's side */

int keeper_find(char *ret_path, size_t size)
{
	ssize_t length = readlink("/proc/self/exe", ret_path, size - sizeof(KEEPER_NAME) - 1);

	if (length > 0) {
		ret_path[length] = 0;
		strcpy(strrchr(ret_path, '/') + 1, KEEPER_NAME);
		if (access(ret_path, X_OK) == 0)
			return 0;
	}
	snprintf(ret_path, size, "%s/" KEEPER_NAME, PFUSE_LIBEXECDIR);
	return access(ret_path, X_OK) == 0 ? 0 : -errno;
}

static int spawn(const char *exe, const char *ledger_path, int pipe_read, pid_t *ret_pid)
{
	char *const argv[] = { (char *)"pfuse-keeper", (char *)(ledger_path ?: LEDGER_DEFAULT_PATH),
			       NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int r = posix_spawn_file_actions_init(&actions);

	if (r)
		return -r;
	r = posix_spawnattr_init(&attributes);
	if (r) {
		posix_spawn_file_actions_destroy(&actions);
		return -r;
	}
	/* The daemon blocks the signals that its loop reads; the keeper must not inherit that. */
	sigemptyset(&none);
	r = posix_spawnattr_setsigmask(&attributes, &none);
	if (!r)
		r = posix_spawnattr_setflags(&attributes,
					     POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&actions, pipe_read, STDIN_FILENO);
	if (!r)
		r = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY,
						     0);
	if (!r)
		r = posix_spawn(ret_pid, exe, &actions, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

int keeper_spawn(const char *exe, const char *ledger_path, struct keeper *ret_keeper,
		 struct err *err)
{
	_cleanup_close_ int read_end = -1, write_end = -1, pidfd = -1;
	int ends[2], r;
	pid_t pid = 0;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(err, -errno, "cannot make the keeper's pipe: %s", strerror(errno));
	read_end = ends[0];
	write_end = ends[1];
	r = spawn(exe, ledger_path, read_end, &pid);
	if (r < 0)
		return err_set(err, r, "cannot start %s: %s", exe, strerror(-r));
	/* Our child, not yet waited for: the pid cannot be anybody else's. */
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0) {
		r = -errno;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return err_set(err, r, "cannot watch the keeper: %s", strerror(-r));
	}
	*ret_keeper = (struct keeper){
		.pid = pid,
		.pidfd = TAKE_FD(pidfd),
		.pipe_fd = TAKE_FD(write_end),
	};
	return 0;
}

void keeper_reap(struct keeper *keeper)
{
	if (keeper->pid <= 0)
		return;
	close_fd(&keeper->pipe_fd);
	while (waitpid(keeper->pid, NULL, 0) < 0 && errno == EINTR)
		;
	close_fd(&keeper->pidfd);
	*keeper = (struct keeper){ .pidfd = -1, .pipe_fd = -1 };
}

void keeper_bye(struct keeper *keeper)
{
	const char bye = BYE;
	struct sigaction ignore = { .sa_handler = SIG_IGN }, before;

	if (keeper->pid <= 0)
		return;
	/* A keeper that died already must not take us along. */
	sigaction(SIGPIPE, &ignore, &before);
	while (write(keeper->pipe_fd, &bye, 1) < 0 && errno == EINTR)
		;
	sigaction(SIGPIPE, &before, NULL);
	keeper_reap(keeper);
}

/* Keeper's side */

static void say(void *arg, const char *sentence)
{
	(void)arg;
	fprintf(stderr, "pfuse-keeper: %s\n", sentence);
}

/*
 * Damage in the ledger does not stop us as it stops the daemon: nobody is there to be asked, and a
 * group left frozen is worse than one restored from a sound record beside a damaged one.
 */
static int restore(const char *ledger_path)
{
	const struct ledger_options options = {
		.path = ledger_path,
		.wait_ns = LOCK_WAIT_NS,
		.existing = true,
		.intact = true,
	};
	struct ledger_restore how = { .say = say };
	struct ledger_counts counts = { 0 };
	_cleanup_close_ int proc = -1;
	struct ledger *ledger;
	struct err note, err;
	int r = ledger_open(&options, &ledger, &note, &err);

	if (r == -ENOENT)
		return 0;
	if (r < 0) {
		say(NULL, err.text);
		return r == -EBUSY ? 0 : 1; /* a new daemon took over: it restores */
	}
	if (note.text[0])
		say(NULL, note.text);
	proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	how.proc_fd = proc;
	r = ledger_restore(ledger, &how, &counts);
	fprintf(stderr,
		"pfuse-keeper: pfuse-bpf died; restored %u, already right %u, gone %u, left to "
		"others %u, failed %u, damaged %u\n",
		counts.restored, counts.already, counts.gone, counts.foreign, counts.failed,
		counts.damaged);
	ledger_close(ledger);
	return r < 0;
}

static void become_robust(void)
{
	static const int ignored[] = { SIGINT,	SIGTERM, SIGHUP,  SIGPIPE, SIGQUIT,
				       SIGUSR1, SIGUSR2, SIGTSTP, SIGTTOU, SIGTTIN };
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		sigaction(ignored[i], &ignore, NULL);
	setsid(); /* already so when keeper_spawn() started us */
	fd_write_at(AT_FDCWD, "/proc/self/oom_score_adj", "-1000"); /* if permitted */
}

int keeper_watch(int pipe_fd, const char *ledger_path)
{
	ssize_t n;
	char byte;

	become_robust();
	do
		n = read(pipe_fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1 && byte == BYE)
		return 0;
	return restore(ledger_path);
}
