/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/pollable.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"

#define SIGNALFD "anon_inode:[signalfd]"
#define DEPTH_MAX 4 /* epolls inside epolls: the kernel allows no more (EP_MAX_NESTS) */

/* Without asking the file system: it may be a FUSE one, served by a process that is frozen. */
static int look(int dir, const char *path, int flags, struct statx *ret_st)
{
	return statx(dir, path, flags | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, ret_st);
}

/* Where a file was found: the process, and the descriptor that we ask about in sentences. */
struct place {
	int proc_fd;
	pid_t pid;
	int fd;
	unsigned int depth;
	struct found *found; /* NULL: a signalfd is refused */
};

/* Of the members of the epoll that is asked about. */
struct found {
	bool signals;
	bool edges; /* EPOLLET: what was told is not ready again, but a poll would say so */
};

static int check_file(const struct place *place, int fd, const struct statx *st, struct err *why);

/* Devices whose poll has no effect: memory, terminals, input, misc (fuse, tun). */
static bool is_plain_device(unsigned int number)
{
	return number == 1 || number == 4 || number == 5 || number == 10 || number == 13 ||
	       (number >= 136 && number <= 143);
}

static int refuse(const struct place *place, const char *kind, struct err *why)
{
	char quoted[ERR_QUOTED];

	return err_set(
		why, -EPERM,
		"process %d waits for file %d, which is or watches a file of a kind that cannot be "
		"watched from outside: %s",
		(int)place->pid, place->fd, err_quote(kind, quoted));
}

static int vanished(const struct place *place, struct err *why)
{
	return err_set(why, -EAGAIN, "process %d waits for file %d, which it has closed",
		       (int)place->pid, place->fd);
}

/* Members that were added by socket(2) or pipe(2) are known by their device alone, which fdinfo tells. */
struct devices {
	uint64_t sockets;
	uint64_t pipes;
};

/* As the kernel prints a device: dev_t inside the kernel, not stat's. */
static uint64_t kernel_device(unsigned int number, unsigned int minor_number)
{
	return (uint64_t)number << 20 | minor_number;
}

static int find_devices(struct devices *ret)
{
	int pair[2], ends[2];
	struct stat st;
	int r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ? -errno : 0;

	if (r < 0)
		return r;
	r = fstat(pair[0], &st) < 0 ? -errno : 0;
	ret->sockets = kernel_device(major(st.st_dev), minor(st.st_dev));
	close(pair[0]);
	close(pair[1]);
	if (r < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return r < 0 ? r : -errno;
	r = fstat(ends[0], &st) < 0 ? -errno : 0;
	ret->pipes = kernel_device(major(st.st_dev), minor(st.st_dev));
	close(ends[0]);
	close(ends[1]);
	return r;
}

/* A member of an epoll, by its line: the number may have been closed, or be another file's by now. */
static int check_member(const struct place *place, const struct devices *devices, const char *line,
			struct err *why)
{
	unsigned int device, events;
	unsigned long inode;
	struct statx st;
	char path[48];
	int member;

	if (sscanf(line, "tfd: %d events: %x data: %*x pos:%*d ino:%lx sdev:%x", &member, &events,
		   &inode, &device) != 4)
		return strncmp(line, "tfd:", 4) == 0
			       ? refuse(place, "an epoll whose members this kernel does not tell",
					why)
			       : 0;
	if (place->found && place->depth == 1)
		place->found->edges |= (events & EPOLLET) != 0;
	if (device == devices->sockets || device == devices->pipes)
		return 0;
	snprintf(path, sizeof(path), "%d/fd/%d", (int)place->pid, member);
	if (look(place->proc_fd, path, 0, &st) < 0 || st.stx_ino != inode ||
	    kernel_device(st.stx_dev_major, st.stx_dev_minor) != device)
		return refuse(place, "an epoll with a member that it has closed", why);
	return check_file(place, member, &st, why);
}

static FILE *open_members(const struct place *place, int epoll)
{
	char path[48];
	int fd;

	snprintf(path, sizeof(path), "%d/fdinfo/%d", (int)place->pid, epoll);
	fd = openat(place->proc_fd, path, O_RDONLY | O_CLOEXEC);
	FILE *info = fd < 0 ? NULL : fdopen(fd, "r");

	if (!info)
		close_keep_errno(fd);
	return info;
}

static int check_members(const struct place *place, int epoll, struct err *why)
{
	struct place inner = *place;
	struct devices devices = { 0 };
	_cleanup_fclose_ FILE *info = NULL;
	char line[256];
	int r = find_devices(&devices);

	if (r < 0)
		return err_set(why, r, "cannot tell the devices of sockets and pipes: %s",
			       strerror(-r));
	if (++inner.depth > DEPTH_MAX)
		return refuse(place, "epolls inside each other", why);
	info = open_members(place, epoll);
	if (!info)
		return vanished(place, why);
	while (r == 0 && fgets(line, sizeof(line), info))
		r = check_member(&inner, &devices, line, why);
	return r;
}

static int name_file(const struct place *place, int fd, char *name, size_t size)
{
	char path[48];
	ssize_t n;

	snprintf(path, sizeof(path), "%d/fd/%d", (int)place->pid, fd);
	n = readlinkat(place->proc_fd, path, name, size - 1);
	if (n < 0)
		return -errno;
	name[n] = '\0';
	return 0;
}

static int check_anonymous(const struct place *place, int fd, struct err *why)
{
	static const char *const harmless[] = { "anon_inode:[eventfd]", "anon_inode:[timerfd]",
						"anon_inode:[pidfd]", "anon_inode:inotify" };
	char name[256];

	if (name_file(place, fd, name, sizeof(name)) < 0)
		return vanished(place, why);
	if (place->found && place->depth == 1 && strcmp(name, SIGNALFD) == 0) {
		place->found->signals = true;
		return 0;
	}
	if (strcmp(name, "anon_inode:[eventpoll]") == 0)
		return check_members(place, fd, why);
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		if (strcmp(name, harmless[i]) == 0)
			return 0;
	return refuse(place, name, why);
}

static int check_file(const struct place *place, int fd, const struct statx *st, struct err *why)
{
	if (S_ISSOCK(st->stx_mode) || S_ISFIFO(st->stx_mode) ||
	    (S_ISCHR(st->stx_mode) && is_plain_device(st->stx_rdev_major)))
		return 0;
	return check_anonymous(place, fd, why);
}

int pollable_check(int proc_fd, pid_t pid, int fd, int file, bool signals_wake, struct err *why)
{
	struct found found = { 0 };
	const struct place place = { proc_fd, pid, fd, 0, signals_wake ? &found : NULL };
	struct statx st;
	int r;

	if (look(file, "", AT_EMPTY_PATH, &st) < 0)
		return err_set(why, -errno, "cannot tell what file %d of process %d is: %s", fd,
			       (int)pid, strerror(errno));
	r = check_file(&place, fd, &st, why);
	if (r == 0 && found.signals && found.edges)
		return refuse(&place, "an edge-triggered epoll with a signalfd", why);
	return r == 0 ? found.signals : r;
}

int pollable_members(int proc_fd, pid_t pid, int epoll, pollable_member *call, void *context,
		     struct err *why)
{
	const struct place place = { .proc_fd = proc_fd, .pid = pid, .fd = epoll };
	_cleanup_fclose_ FILE *info = open_members(&place, epoll);
	char line[256], name[256];
	int r = 0;

	if (!info)
		return vanished(&place, why);
	while (r == 0 && fgets(line, sizeof(line), info)) {
		unsigned long inode;
		unsigned int events;
		int member;

		if (sscanf(line, "tfd: %d events: %x data: %*x pos:%*d ino:%lx", &member, &events,
			   &inode) != 3)
			continue;
		if (name_file(&place, member, name, sizeof(name)) < 0)
			return vanished(&place, why);
		if (strcmp(name, SIGNALFD) != 0)
			r = call(member, inode, events, context);
	}
	return r;
}
