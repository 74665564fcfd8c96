/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The ways in which one thread can wait for many descriptors, behind one interface. "block" is none of
 * them: there, each descriptor has a thread that blocks in the call which reads it.
 */
#ifndef PFUSE_TESTS_E2E_VERIFY_WAIT_H
#define PFUSE_TESTS_E2E_VERIFY_WAIT_H

#include <poll.h>
#include <stdbool.h>

#define WAIT_MAX 256

enum way { WAIT_EPOLL, WAIT_EPOLL_ET, WAIT_POLL, WAIT_SELECT, WAIT_BLOCK };

struct waiter {
	enum way way;
	int epoll;		     /* where it is one of the epolls */
	struct pollfd fds[WAIT_MAX]; /* all that is waited for */
	unsigned n;
};

/* The way of that name, or -EINVAL */
int wait_way(const char *name);
/* 0 or -errno; what is opened here lives as long as the process. */
int wait_open(struct waiter *w, enum way way);
/* 0; -ENOSPC: there are WAIT_MAX already, or a number that select() cannot take. */
int wait_add(struct waiter *w, int fd);
/* Before fd is closed */
void wait_remove(struct waiter *w, int fd);
/* Blocks, without end, until some can be read: their number and they; -EINTR where the call gives it. */
int wait_ready(struct waiter *w, int ret_fds[WAIT_MAX]);
/* Whether what is ready must be read until it is empty, for nobody will say again that it is. */
static inline bool wait_says_once(const struct waiter *w)
{
	return w->way == WAIT_EPOLL_ET;
}

#endif
