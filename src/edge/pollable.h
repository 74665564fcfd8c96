/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * May we poll a file in place of its owner, without changing what the owner will see? By the kind of
 * file; for an epoll, by the kinds of all its members (/proc/PID/fdinfo).
 * Allowed: sockets, pipes, terminals and a few other devices, eventfd, timerfd, pidfd, inotify, and epoll
 * of such. Not signalfd: polled by us it tells of signals to us, and an epoll then forgets that it was
 * ready. Where signals wake by other means, an epoll with a signalfd may be left alone and its other
 * members be polled instead. Cost for an epoll: under a microsecond per member.
 */
#ifndef PFUSE_EDGE_POLLABLE_H
#define PFUSE_EDGE_POLLABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * `file`: a duplicate of descriptor `fd` of process `pid`. 0 · -EPERM: no, and why · -EAGAIN: it cannot
 * be told now. 1: an epoll with a
 * signalfd, not to be polled itself (`signals_wake` only).
 */
int pollable_check(int proc_fd, pid_t pid, int fd, int file, bool signals_wake, struct err *why);

/* What pollable_check() said 1 of: calls for each member but signalfds, until one is not 0. */
typedef int pollable_member(int fd, uint64_t inode, uint32_t events, void *context);
int pollable_members(int proc_fd, pid_t pid, int epoll, pollable_member *call, void *context,
		     struct err *why);

#endif
