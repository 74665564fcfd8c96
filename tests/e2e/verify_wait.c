/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "verify_wait.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>

int wait_way(const char *name)
{
	static const char *const names[] = { "epoll", "epoll-et", "poll", "select", "block" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(names[i], name))
			return (int)i;
	return -EINVAL;
}

static bool is_epoll(const struct waiter *w)
{
	return w->way == WAIT_EPOLL || w->way == WAIT_EPOLL_ET;
}

int wait_open(struct waiter *w, enum way way)
{
	w->way = way;
	w->n = 0;
	w->epoll = -1;
	if (!is_epoll(w))
		return 0;
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	return w->epoll < 0 ? -errno : 0;
}

int wait_add(struct waiter *w, int fd)
{
	struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };

	if (w->n == WAIT_MAX || (w->way == WAIT_SELECT && fd >= FD_SETSIZE))
		return -ENOSPC;
	if (w->way == WAIT_EPOLL_ET)
		e.events |= EPOLLET;
	if (is_epoll(w) && epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &e) < 0)
		return -errno;
	w->fds[w->n++] = (struct pollfd){ .fd = fd, .events = POLLIN };
	return 0;
}

void wait_remove(struct waiter *w, int fd)
{
	if (is_epoll(w))
		epoll_ctl(w->epoll, EPOLL_CTL_DEL, fd, NULL);
	for (unsigned i = 0; i < w->n; i++)
		if (w->fds[i].fd == fd)
			w->fds[i] = w->fds[--w->n];
}

static int by_epoll(struct waiter *w, int ret_fds[WAIT_MAX])
{
	struct epoll_event events[WAIT_MAX];
	int n = epoll_wait(w->epoll, events, WAIT_MAX, -1);

	for (int i = 0; i < n; i++)
		ret_fds[i] = events[i].data.fd;
	return n;
}

static int by_poll(struct waiter *w, int ret_fds[WAIT_MAX])
{
	int n = 0;

	if (poll(w->fds, w->n, -1) < 0)
		return -1;
	for (unsigned i = 0; i < w->n; i++)
		if (w->fds[i].revents)
			ret_fds[n++] = w->fds[i].fd;
	return n;
}

static int by_select(struct waiter *w, int ret_fds[WAIT_MAX])
{
	fd_set set;
	int most = 0, n = 0;

	FD_ZERO(&set);
	for (unsigned i = 0; i < w->n; i++) {
		FD_SET(w->fds[i].fd, &set);
		most = w->fds[i].fd > most ? w->fds[i].fd : most;
	}
	if (select(most + 1, &set, NULL, NULL, NULL) < 0)
		return -1;
	for (unsigned i = 0; i < w->n; i++)
		if (FD_ISSET(w->fds[i].fd, &set))
			ret_fds[n++] = w->fds[i].fd;
	return n;
}

int wait_ready(struct waiter *w, int ret_fds[WAIT_MAX])
{
	int n = is_epoll(w)		? by_epoll(w, ret_fds)
		: w->way == WAIT_SELECT ? by_select(w, ret_fds)
					: by_poll(w, ret_fds);

	return n < 0 ? -errno : n;
}
