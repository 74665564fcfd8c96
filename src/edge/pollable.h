/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * May we poll a file in place of its owner, without changing what the owner will see? By the kind of
 * file; for an epoll, by the kinds of all its members (/proc/PID/fdinfo).
 * Allowed: sockets, pipes, terminals and a few other devices, eventfd, timerfd, pidfd, inotify, and epoll
 * of such. Not signalfd: polled by us it tells of signals to us, and an epoll then forgets that it was
 * ready. Cost for an epoll: under a microsecond per member.
 */
#ifndef PFUSE_EDGE_POLLABLE_H
#define PFUSE_EDGE_POLLABLE_H

#include <sys/types.h>

#include "base/err.h"

/*
 * `file`: a duplicate of descriptor `fd` of process `pid`. 0 · -EPERM: no, and why · -EAGAIN: it cannot
 * be told now.
 */
int pollable_check(int proc_fd, pid_t pid, int fd, int file, struct err *why);

#endif
