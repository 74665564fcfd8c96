/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/child.h"

/* In the child: async-signal-safe calls only; ends by exec or _exit. */
static _Noreturn void become(char **argv, const struct rlimit *files, int go, int err_out)
{
	sigset_t none;
	char byte;
	int err;

	if (read(go, &byte, 1) != 1)
		_exit(0); /* the daemon gave up */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (files->rlim_max)
		setrlimit(RLIMIT_NOFILE, files);
	execvp(argv[0], argv);
	err = -errno;
	if (write(err_out, &err, sizeof(err)) < 0) {
		/* nobody listens any more, going on */
	}
	_exit(127);
}

static int cannot_start(struct err *err, int code, const char *name)
{
	char quoted[ERR_QUOTED];

	return err_set(err, code, "cannot start %s: %s", err_quote(name, quoted), strerror(-code));
}

int child_prepare(char **argv, const struct rlimit *files, struct child *ret, struct err *err)
{
	int go[2], out[2];

	if (pipe2(go, O_CLOEXEC) < 0)
		return cannot_start(err, -errno, argv[0]);
	if (pipe2(out, O_CLOEXEC) < 0) {
		int code = -errno;

		close(go[0]), close(go[1]);
		return cannot_start(err, code, argv[0]);
	}
	pid_t pid = fork();

	if (pid == 0) {
		close(go[1]), close(out[0]);
		become(argv, files, go[0], out[1]);
	}
	int code = pid < 0 ? -errno : 0;

	close(go[0]), close(out[1]);
	if (code) {
		close(go[1]), close(out[0]);
		return cannot_start(err, code, argv[0]);
	}
	*ret = (struct child){ .pid = pid, .go_fd = go[1], .err_fd = out[0] };
	return 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int child_go(struct child *child, const char *name, struct err *err)
{
	int code = 0;
	ssize_t got = write(child->go_fd, "", 1);

	close_fd(&child->go_fd);
	if (got == 1)
		got = read(child->err_fd, &code, sizeof(code));
	close_fd(&child->err_fd);
	if (got == 0)
		return 0;
	if (got < 0 || !code)
		code = -EIO;
	return cannot_start(err, code, name);
}

int child_status(int how, int what)
{
	return how == CLD_EXITED ? what : 128 + what;
}

void child_close(struct child *child)
{
	if (!child->pid)
		return;
	close_fd(&child->go_fd);
	close_fd(&child->err_fd);
}
