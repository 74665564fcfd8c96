/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/pages_advise.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "edge/procs.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
#define RANGES_EACH 64 /* handed over by one call */

struct advice {
	int pidfd;
	struct iovec ranges[RANGES_EACH];
	size_t count;
	uint64_t bytes;
};

/*
 * The kernel may do less than it was asked for: it stops at a range that it refuses (locked memory, say),
 * which is passed over. A process that has ended meanwhile has nothing left.
 */
static int flush(struct advice *advice)
{
	size_t at = 0;

	while (at < advice->count) {
		ssize_t done = syscall(SYS_process_madvise, advice->pidfd, advice->ranges + at,
				       advice->count - at, MADV_PAGEOUT, 0);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0 && errno == ESRCH)
			break;
		if (done < 0 && errno != EINVAL && errno != ENOMEM && errno != EAGAIN)
			return -errno;
		if (done <= 0) {
			at++;
			continue;
		}
		advice->bytes += (uint64_t)done;
		for (; done > 0 && at < advice->count; at++)
			done -= (ssize_t)advice->ranges[at].iov_len;
	}
	advice->count = 0;
	return 0;
}

static bool is_kernels(const char *name)
{
	return strncmp(name, "[vvar", 5) == 0 || strcmp(name, "[vdso]") == 0 ||
	       strcmp(name, "[vsyscall]") == 0;
}

/* "5581c9a3f000-5581c9a60000 rw-p 00000000 00:00 0    [heap]" */
static bool is_private_anonymous(const char *line, struct iovec *ret)
{
	unsigned long from, to, inode;
	char access[5], name[16] = "";

	if (sscanf(line, "%lx-%lx %4s %*x %*x:%*x %lu %15s", &from, &to, access, &inode, name) < 4)
		return false;
	*ret = (struct iovec){ (void *)from, to - from };
	return access[3] == 'p' && inode == 0 && !is_kernels(name);
}

static int advise_lines(FILE *maps, struct advice *advice)
{
	_cleanup_free_ char *line = NULL;
	size_t room = 0;
	int r = 0;

	while (r == 0 && getline(&line, &room, maps) > 0) {
		if (!is_private_anonymous(line, &advice->ranges[advice->count]))
			continue;
		if (++advice->count == RANGES_EACH)
			r = flush(advice);
	}
	return r == 0 ? flush(advice) : r;
}

/* The pidfd comes first: if the pid is another process's by now, the maps are those of that one too. */
static int advise_process(int proc_fd, pid_t pid, uint64_t *bytes)
{
	struct advice advice = { .pidfd = (int)syscall(SYS_pidfd_open, pid, 0) };
	_cleanup_close_ int pidfd = advice.pidfd;
	char name[32];

	if (pidfd < 0)
		return errno == ESRCH || errno == EINVAL ? 0 : -errno;
	snprintf(name, sizeof(name), "%d/maps", (int)pid);
	int fd = openat(proc_fd, name, O_RDONLY | O_CLOEXEC);
	FILE *maps = fd < 0 ? NULL : fdopen(fd, "r");

	if (!maps) {
		if (fd >= 0)
			close(fd);
		return 0; /* it has ended */
	}
	int r = advise_lines(maps, &advice);

	fclose(maps);
	*bytes += advice.bytes;
	return r;
}

int pages_advise(int proc_fd, int group_fd, uint64_t *ret_bytes)
{
	_cleanup_(procs_list_free) struct procs_list list = { 0 };
	uint64_t bytes = 0;
	int r = procs_of_group(group_fd, true, &list);

	for (uint32_t i = 0; i < list.count && r == 0; i++)
		r = advise_process(proc_fd, list.pids[i], &bytes);
	if (r == 0)
		*ret_bytes = bytes;
	return r;
}

bool pages_advise_available(void)
{
	_cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	/* No ranges: nothing is done, and the answer is 0 where it could be. */
	return pidfd >= 0 && syscall(SYS_process_madvise, pidfd, NULL, 0, MADV_PAGEOUT, 0) == 0;
}
