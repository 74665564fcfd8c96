/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The keeper: a process of a few pages whose only work is to undo what the ledger names when the
 * daemon dies without a word.
 *
 * It waits on a pipe whose other end only the daemon holds. End of file without the byte "bye"
 * means that the daemon is dead: the keeper takes the ledger's lock, restores everything, says on
 * stderr what it had to leave, and ends. It is in a session of its own and ignores SIGINT, SIGTERM,
 * SIGHUP and SIGPIPE.
 * Order: ledger_open() → keeper_spawn() → … → ledger_restore() → keeper_bye() → ledger_close().
 * The daemon watches `pidfd` and spawns another keeper if it ends.
 */
#ifndef PFUSE_EDGE_KEEPER_H
#define PFUSE_EDGE_KEEPER_H

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

struct keeper {
	pid_t pid;   /* 0: none */
	int pidfd;   /* readable when the keeper ended */
	int pipe_fd; /* our end; close-on-exec, so that no child keeps it open */
};

/* Where the keeper is: beside our own executable (a build tree), or where it was installed. */
int keeper_find(char *ret_path, size_t size);

/* exe: the path of pfuse-keeper; ledger_path: NULL for the default. */
int keeper_spawn(const char *exe, const char *ledger_path, struct keeper *ret_keeper,
		 struct err *err);

/* The clean end: the keeper leaves the ledger alone. Waits for it. Accepts a zeroed keeper. */
void keeper_bye(struct keeper *keeper);

/* After pidfd became readable: reaps it and closes the fds, without a word. */
void keeper_reap(struct keeper *keeper);

/* The keeper's main, once its pipe is fd `pipe_fd`. Returns the exit status. */
int keeper_watch(int pipe_fd, const char *ledger_path);

#endif
