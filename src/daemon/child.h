/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * `run -- COMMAND`: a child that waits until its group is watched before it becomes COMMAND, so that
 * not one fault of it is missed.
 *
 * Order: child_prepare() → the caller moves it into its group → child_go() → … → child_close(). A child
 * that was never let go ends by itself.
 */
#ifndef DAEMON_CHILD_H
#define DAEMON_CHILD_H

#include <sys/resource.h>
#include <sys/types.h>

#include "base/err.h"

struct child {
	pid_t pid;  /* 0: none */
	int go_fd;  /* a byte lets it exec; -1: done */
	int err_fd; /* errno of a failed exec, or end of file; -1: done */
};

/* files: the RLIMIT_NOFILE that COMMAND is to have; the daemon's own may be higher. */
int child_prepare(char **argv, const struct rlimit *files, struct child *ret, struct err *err);
/* -ENOENT, -EACCES …: COMMAND could not be executed; err says so. */
int child_go(struct child *child, const char *name, struct err *err);
/* The exit status that a shell would show for what waitid(2) says. */
int child_status(int how, int what);
/* Closes the fds; a child that waits still then ends. Does not wait for it. */
void child_close(struct child *child);

#endif
