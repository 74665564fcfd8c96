/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The sockets that a group has already: borrowed one by one from the processes that hold them. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "edge/netprio_inside.h"
#include "edge/procs.h"

typedef void socket_fn(struct netprio *n, int socket_fd, uint32_t level);

static int option(int fd, int name, int *ret_value)
{
	socklen_t size = sizeof(*ret_value);

	return getsockopt(fd, SOL_SOCKET, name, ret_value, &size) < 0 ? -errno : 0;
}

static bool is_inet(int fd)
{
	int domain;

	return option(fd, SO_DOMAIN, &domain) == 0 && (domain == AF_INET || domain == AF_INET6);
}

/* The same open socket as the process has at `number`. */
static int borrow(int pidfd, int fds, const char *number, int *ret_fd)
{
	char target[32];
	uint64_t fd;
	ssize_t n = readlinkat(fds, number, target, sizeof(target) - 1);
	int borrowed;

	if (n < 0 || strncmp(target, "socket:", strlen("socket:")) != 0 ||
	    num_parse_all(number, &fd) < 0)
		return -ENOTSOCK;
	borrowed = (int)syscall(SYS_pidfd_getfd, pidfd, (int)fd, 0);
	if (borrowed < 0)
		return -errno;
	*ret_fd = borrowed;
	return 0;
}

/* Processes and descriptors come and go while we look: what fails is passed over. */
static void each_socket_of(struct netprio *n, pid_t pid, uint32_t *left, socket_fn *call,
			   uint32_t level)
{
	_cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;
	char path[32];
	int fds;

	snprintf(path, sizeof(path), "%d/fd", (int)pid);
	fds = openat(n->tree->proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fds < 0 ? NULL : fdopendir(fds);
	if (!dir)
		close_keep_errno(fds);
	while (pidfd >= 0 && dir && *left > 0 && (entry = readdir(dir))) {
		_cleanup_close_ int fd = -1;

		if (borrow(pidfd, fds, entry->d_name, &fd) < 0 || !is_inet(fd))
			continue;
		--*left;
		call(n, fd, level);
	}
}

static int each_socket(struct netprio *n, socket_fn *call, uint32_t level)
{
	_cleanup_(procs_list_free) struct procs_list list = { 0 };
	uint32_t left = NETPRIO_SOCKETS_MAX;
	int r = procs_of_group(n->group->fd, true, &list);

	for (uint32_t i = 0; r == 0 && i < list.count; i++)
		each_socket_of(n, list.pids[i], &left, call, level);
	return r;
}

static void set_priority(int fd, uint32_t priority)
{
	int value = (int)priority;

	setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &value, sizeof(value));
}

/* What has our last level and no record was born under it, and so had none of its own: 0. */
static void hold_one(struct netprio *n, int fd, uint32_t level)
{
	int now;

	if (option(fd, SO_PRIORITY, &now) < 0)
		return;
	if ((uint32_t)now != n->level &&
	    probe_net_remember(n->probe, fd, n->slot, (uint32_t)now) < 0)
		return; /* it could not be put back */
	if ((uint32_t)now != level)
		set_priority(fd, level);
}

/* A priority that is not our level was set in a way that we do not hold: it is the application's. */
static void release_one(struct netprio *n, int fd, uint32_t level)
{
	uint32_t before = 0;
	int now;

	(void)level;
	if (option(fd, SO_PRIORITY, &now) == 0 && (uint32_t)now == n->level) {
		probe_net_recall(n->probe, fd, &before);
		set_priority(fd, before);
	}
	probe_net_forget(n->probe, fd);
}

static int attach(struct netprio *n)
{
	_cleanup_close_ int fd = -1;
	int r = n->attached ? 0 : cgroup_open_v2(n->tree, n->group, &fd);

	if (r == 0 && !n->attached)
		r = probe_net_attach(n->probe, fd, n->links);
	n->attached |= r == 0;
	return r == -ENOENT && cgroup_gone(n->group) ? -ENODEV : r;
}

/* First those to come, then those that are there: none is born in between with the old priority. */
int netprio_sockets_hold(struct netprio *n, uint32_t level)
{
	int r;

	probe_net_level(n->probe, n->slot, (int)level);
	r = attach(n);
	if (r == 0)
		r = each_socket(n, hold_one, level);
	if (r < 0 && n->level == NETPRIO_RELEASE)
		netprio_sockets_release(n);
	return r == -ENOENT ? -ENODEV : r;
}

int netprio_sockets_release(struct netprio *n)
{
	int r = 0;

	if (!n->attached)
		return 0;
	probe_net_level(n->probe, n->slot, -1);
	if (n->level != NETPRIO_RELEASE)
		r = each_socket(n, release_one, 0);
	for (int i = 0; i < PROBE_NET_LINKS; i++)
		close_fd(&n->links[i]);
	n->attached = false;
	n->level = NETPRIO_RELEASE;
	return r == -ENOENT || r == -ENODEV ? 0 : r; /* no group, no sockets */
}
