/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/proxy.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "base/cleanup.h"
#include "edge/pollable.h"

#define NOBODY 0       /* slots begin at 1 */
#define SOON_NS 200000 /* several times what a program takes to answer */
#define EVENTS_EACH 64 /* taken by one epoll_wait(2); the rest is ready again */

int proxy_open(bool signals_wake, struct proxy *ret_proxy)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = NOBODY };
	_cleanup_close_ int epoll = epoll_create1(EPOLL_CLOEXEC);
	_cleanup_close_ int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (epoll < 0 || timer < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event) < 0)
		return -errno;
	*ret_proxy = (struct proxy){ TAKE_FD(epoll), TAKE_FD(timer), signals_wake };
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

/* Takes the descriptor over, also on failure. There is room in `set`. */
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

static int duplicate(int pidfd, pid_t pid, int of, struct err *why)
{
	int fd = (int)syscall(SYS_pidfd_getfd, pidfd, of, 0);

	if (fd >= 0)
		return fd;
	if (errno == EBADF || errno == ESRCH)
		return err_set(why, -EAGAIN, "process %d waits for file %d, which it has closed",
			       (int)pid, of);
	return err_set(why, -errno, "cannot duplicate file %d of process %d: %s", of, (int)pid,
		       strerror(errno));
}

/* Takes `fd`, a duplicate of `wait->fd`, over. */
static int watch_duplicate(const struct proxy *proxy, uint32_t slot, int fd,
			   const struct park_wait *wait, struct proxy_set *set, struct err *why)
{
	int r = watch(proxy, slot, fd, wait->events, set);

	if (r < 0)
		return err_set(why, r == -EINVAL || r == -ELOOP ? -EPERM : r,
			       "cannot watch file %d of process %d: %s", wait->fd, (int)wait->pid,
			       strerror(-r));
	return 0;
}

/* An epoll whose members are watched in its place. */
struct in_place {
	const struct proxy *proxy;
	uint32_t slot;
	int pidfd;
	pid_t pid;
	uint32_t members;
	struct proxy_set *set;
	struct err *why;
};

static int watch_member(int member, uint64_t inode, uint32_t events, void *context)
{
	struct in_place *at = context;
	const struct park_wait wait = { .pid = at->pid,
					.fd = member,
					.events = events &
						  (EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP) };
	struct proxy_set *set = at->set;
	_cleanup_close_ int fd = duplicate(at->pidfd, at->pid, member, at->why);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || st.st_ino != inode)
		return err_set(at->why, -EAGAIN, "process %d has another file %d than its epoll",
			       (int)at->pid, member);
	if (++at->members > PARK_FILES_MAX)
		return err_set(at->why, -EPERM, "process %d waits for more than %d files",
			       (int)at->pid, PARK_FILES_MAX);
	struct pollfd *files = reallocarray(set->files, (size_t)set->room + 1, sizeof(*set->files));

	if (!files)
		return err_set(at->why, -ENOMEM, "out of memory");
	set->files = files;
	set->room++;
	return watch_duplicate(at->proxy, at->slot, TAKE_FD(fd), &wait, set, at->why);
}

static int watch_file(const struct proxy *proxy, int proc_fd, uint32_t slot, int pidfd,
		      const struct park_wait *wait, struct proxy_set *set, struct err *why)
{
	_cleanup_close_ int fd = duplicate(pidfd, wait->pid, wait->fd, why);
	int r;

	if (fd < 0)
		return fd;
	r = pollable_check(proc_fd, wait->pid, wait->fd, fd, proxy->signals_wake, why);
	if (r == 1) {
		struct in_place at = { proxy, slot, pidfd, wait->pid, 0, set, why };

		return pollable_members(proc_fd, wait->pid, wait->fd, watch_member, &at, why);
	}
	return r < 0 ? r : watch_duplicate(proxy, slot, TAKE_FD(fd), wait, set, why);
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

	set.room = park->count + park->pids.count + 1;
	set.files = reallocarray(NULL, set.room, sizeof(*set.files));
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
