/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/age.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "edge/pagescan_inside.h"
#include "edge/procs.h"

#define STEP_BYTES (UINT64_C(64) << 20)
/*
 * Of addresses that were set aside and hardly used (a collector's heap, a sanitizer's shadow: terabytes), a step
 * takes twice as many as the one before, while that was quick. No more than this: what follows may be in use.
 */
#define STEP_BYTES_MAX (UINT64_C(8) << 30)
#define QUICK_NS 200000
#define RANGES_MAX 64
#define HUGE_BYTES (UINT64_C(2) << 20)

struct age {
	int proc_fd;
	struct procs_list processes;
	uint32_t next;	/* of them */
	uint64_t from;	/* address in that one, where the next step begins */
	uint64_t bytes; /* of this step */
	uint64_t room;	/* for them */
	size_t count;
	struct iovec ranges[RANGES_MAX];
};

int age_open(int proc_fd, int group_fd, struct age **ret)
{
	struct age *age = calloc(1, sizeof(*age));
	int r;

	if (!age)
		return -ENOMEM;
	age->proc_fd = proc_fd;
	age->room = STEP_BYTES;
	r = procs_of_group(group_fd, true, &age->processes);
	if (r < 0) {
		age_close(age);
		return r;
	}
	*ret = age;
	return 0;
}

void age_close(struct age *age)
{
	if (!age)
		return;
	procs_list_free(&age->processes);
	free(age);
}

static int open_process(const struct age *age, int *ret_pidfd, FILE **ret_maps)
{
	pid_t pid = age->processes.pids[age->next];
	struct procs_stat stat;
	char name[32];
	int fd, r = procs_read_stat(age->proc_fd, pid, &stat);

	if (r == 0)
		r = procs_open_pidfd(age->proc_fd, pid, stat.starttime, ret_pidfd);
	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "%d/maps", (int)pid);
	fd = openat(age->proc_fd, name, O_RDONLY | O_CLOEXEC);
	*ret_maps = fd < 0 ? NULL : fdopen(fd, "re");
	if (*ret_maps)
		return 0;
	r = -errno;
	close_fd(ret_pidfd);
	if (fd >= 0)
		close(fd);
	return r;
}

/* The part of a mapping that fits into this step. A cut lies where no huge page does. */
static void take(struct age *age, uint64_t start, uint64_t end)
{
	uint64_t left = age->room - age->bytes;

	start = start > age->from ? start : age->from;
	if (start >= end)
		return;
	if (end - start > left) {
		uint64_t cut = (start + left) & ~(HUGE_BYTES - 1);

		end = cut > start ? cut : start + left;
	}
	age->ranges[age->count++] = (struct iovec){ (void *)(uintptr_t)start, end - start };
	age->bytes += end - start;
	age->from = end;
}

/* True: the process is done. */
static bool gather(struct age *age, FILE *maps)
{
	uint64_t start, end;
	char line[512];

	age->count = 0;
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) != 2)
			continue; /* the rest of a long line */
		if (end <= age->from)
			continue;
		take(age, start, end);
		if (age->from < end || age->bytes >= age->room - HUGE_BYTES ||
		    age->count == RANGES_MAX)
			return false;
	}
	return true;
}

static int step_process(struct age *age)
{
	_cleanup_close_ int pidfd = -1;
	_cleanup_fclose_ FILE *maps = NULL;
	bool done = true;
	int r = open_process(age, &pidfd, &maps);

	if (r == 0) {
		done = gather(age, maps);
		r = clear_ranges(pidfd, age->ranges, age->count);
	}
	if (done || r < 0) {
		age->next++;
		age->from = 0;
	}
	return r == -ESRCH || r == -ENOENT ? 0 : r;
}

int age_step(struct age *age, uint64_t *ret_spent_ns)
{
	uint64_t began_ns = clock_thread_ns();
	int r = 0;

	age->bytes = 0;
	while (r == 0 && age->bytes < age->room - HUGE_BYTES && age->next < age->processes.count)
		r = step_process(age);
	*ret_spent_ns = clock_thread_ns() - began_ns;
	if (*ret_spent_ns >= QUICK_NS)
		age->room = STEP_BYTES;
	else if (age->room < STEP_BYTES_MAX)
		age->room *= 2;
	return r < 0 ? r : age->next < age->processes.count;
}
