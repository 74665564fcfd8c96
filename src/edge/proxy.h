/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The epoll proxy: watches, in place of frozen processes, the files that they wait for. Duplicates made
 * by pidfd_getfd(2) stand in one epoll for all groups, level-triggered, so that no event can be missed:
 * what comes before the watch stands is ready when it is looked at. Each is told once (EPOLLONESHOT).
 *
 * An epoll of the process stands for all its members: its ready list is what is looked at, also for
 * edge-triggered members. One with a signalfd is left alone, and its other members are watched. Files whose poll changes what their owner will see are refused (signalfd, which
 * looks at the caller's signals; files in proc, sysfs and cgroups, whose news are told once).
 * The end of a process that is watched is an event too (its pidfd): duplicates would keep its connections
 * open.
 *
 * Order: proxy_open() → proxy_arm() after the freeze → … proxy_wakes() when `epoll_fd` is readable → after
 * the thaw, at once, proxy_disarm() (a duplicate holds back the end of a connection) → proxy_close().
 * Per file that is waited for: one descriptor and 8 bytes of ours.
 */
#ifndef PFUSE_EDGE_PROXY_H
#define PFUSE_EDGE_PROXY_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "edge/park.h"

struct proxy {
	int epoll_fd;
	int timer_fd;	   /* in it, for proxy_wake_soon() */
	bool signals_wake; /* by other means: a signalfd need not be watched */
};

/* The duplicates of one group; zeroed: none. */
struct proxy_set {
	struct pollfd *files;
	uint32_t count;
	uint32_t room;
};

/* Makes `epoll_fd` readable in a moment, for nobody: proxy_wakes() then calls nothing. */
void proxy_wake_soon(const struct proxy *proxy);

typedef void proxy_handler(uint32_t slot, void *context);

int proxy_open(bool signals_wake, struct proxy *ret_proxy);
void proxy_close(struct proxy *proxy);

/*
 * 0: all that `park` names is watched, and nothing of it is ready. -EAGAIN: something is ready, or went
 * away meanwhile · -EPERM: a file that must not be watched · -EMFILE and others: no duplicate could be
 * made. Nothing is watched then.
 */
int proxy_arm(const struct proxy *proxy, int proc_fd, uint32_t slot, const struct park *park,
	      struct proxy_set *ret_set, struct err *why);
void proxy_disarm(const struct proxy *proxy, struct proxy_set *set);

/*
 * Calls handle() for the slots that have something ready, once for each file of theirs; the number of
 * calls or -errno.
 */
int proxy_wakes(const struct proxy *proxy, proxy_handler *handle, void *context);

#endif
