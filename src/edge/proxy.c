/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/proxy.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "base/cleanup.h"
#include "edge/pollable.h"

#define NOBODY 0       /* slots begin at 1 */
#define SOON_NS 200000 /* several times what a program takes to answer */
#define EVENTS_EACH 64 /* taken by one epoll_wait(2); the rest is ready again */

int proxy_open(struct proxy *ret_proxy)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = NOBODY };
	_cleanup_close_ int epoll = epoll_create1(EPOLL_CLOEXEC);
	_cleanup_close_ int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (epoll < 0 || timer < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event) < 0)
		return -errno;
	*ret_proxy = (struct proxy){ TAKE_FD(epoll), TAKE_FD(timer) };
	return 0;
}

void proxy_close(struct proxy *proxy)
{
	close_fd(&proxy->epoll_fd);
	close_fd(&proxy->timer_fd);
}

void proxy_wake_soon(const struct proxy *proxy)
{
	const struct itimerspec soon = { .it_value.tv_nsec = SOON_NS };

	timerfd_settime(proxy->timer_fd, 0, &soon, NULL);
}

/* Takes the descriptor over, also on failure. */
static int watch(const struct proxy *proxy, uint32_t slot, int fd, uint32_t events,
		 struct proxy_set *set)
{
	struct epoll_event event = { .events = events | EPOLLONESHOT, .data.u64 = slot };

	set->files[set->count++] = (struct pollfd){ .fd = fd, .events = (short)events };
	return epoll_ctl(proxy->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int watch_process(const struct proxy *proxy, uint32_t slot, pid_t pid, struct proxy_set *set,
			 struct err *why)
{
	int r, fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0 && (errno == ESRCH || errno == EINVAL))
		return err_set(why, -EAGAIN, "process %d is ending", (int)pid);
	r = fd < 0 ? -errno : watch(proxy, slot, fd, EPOLLIN, set);
	if (r < 0)
		return err_set(why, r, "cannot watch process %d: %s", (int)pid, strerror(-r));
	return fd;
}

static int watch_file(const struct proxy *proxy, int proc_fd, uint32_t slot, int pidfd,
		      const struct park_wait *wait, struct proxy_set *set, struct err *why)
{
	_cleanup_close_ int fd = (int)syscall(SYS_pidfd_getfd, pidfd, wait->fd, 0);
	int r;

	if (fd < 0 && (errno == EBADF || errno == ESRCH))
		return err_set(why, -EAGAIN, "process %d waits for file %d, which it has closed",
			       (int)wait->pid, wait->fd);
	if (fd < 0)
		return err_set(why, -errno, "cannot duplicate file %d of process %d: %s", wait->fd,
			       (int)wait->pid, strerror(errno));
	r = pollable_check(proc_fd, wait->pid, wait->fd, fd, why);
	if (r < 0)
		return r;
	r = watch(proxy, slot, TAKE_FD(fd), wait->events, set);
	if (r < 0)
		return err_set(why, r == -EINVAL || r == -ELOOP ? -EPERM : r,
			       "cannot watch file %d of process %d: %s", wait->fd, (int)wait->pid,
			       strerror(-r));
	return 0;
}

/* `waits` are sorted by process: what one process waits for comes together. */
static int watch_all(const struct proxy *proxy, int proc_fd, uint32_t slot, const struct park *park,
		     struct proxy_set *set, struct err *why)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < park->pids.count; i++) {
		pid_t pid = park->pids.pids[i];
		int pidfd = watch_process(proxy, slot, pid, set, why), r = 0;

		if (pidfd < 0)
			return pidfd;
		for (; at < park->count && park->waits[at].pid == pid; at++) {
			r = watch_file(proxy, proc_fd, slot, pidfd, &park->waits[at], set, why);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* Once all is watched: what came before is seen here, what comes later by the epoll. */
static int look(const struct proxy_set *set, struct err *why)
{
	int r = poll(set->files, set->count, 0);

	if (r < 0)
		return err_set(why, -errno, "cannot poll for the group: %s", strerror(errno));
	return r == 0 ? 0 : err_set(why, -EAGAIN, "%d of its files have something for it", r);
}

int proxy_arm(const struct proxy *proxy, int proc_fd, uint32_t slot, const struct park *park,
	      struct proxy_set *ret_set, struct err *why)
{
	struct proxy_set set = { 0 };
	int r;

	set.files =
		reallocarray(NULL, (size_t)park->count + park->pids.count + 1, sizeof(*set.files));
	if (!set.files)
		return err_set(why, -ENOMEM, "out of memory");
	r = watch_all(proxy, proc_fd, slot, park, &set, why);
	if (r == 0)
		r = look(&set, why);
	if (r < 0) {
		proxy_disarm(proxy, &set);
		return r;
	}
	*ret_set = set;
	return 0;
}

/* close(2) alone would leave the watch: the file is open in its owner. */
void proxy_disarm(const struct proxy *proxy, struct proxy_set *set)
{
	for (uint32_t i = 0; i < set->count; i++) {
		epoll_ctl(proxy->epoll_fd, EPOLL_CTL_DEL, set->files[i].fd, NULL);
		close(set->files[i].fd);
	}
	free(set->files);
	*set = (struct proxy_set){ 0 };
}

int proxy_wakes(const struct proxy *proxy, proxy_handler *handle, void *context)
{
	struct epoll_event events[EVENTS_EACH];
	int calls = 0, n = epoll_wait(proxy->epoll_fd, events, EVENTS_EACH, 0);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		uint64_t times;

		if (events[i].data.u64 == NOBODY) {
			if (read(proxy->timer_fd, &times, sizeof(times)) < 0 && errno != EAGAIN)
				return -errno;
			continue;
		}
		handle((uint32_t)events[i].data.u64, context);
		calls++;
	}
	return calls;
}
