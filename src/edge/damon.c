/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/damon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/num.h"

#define ADMIN "sys/kernel/mm/damon/admin/kdamonds"
#define MONITORS ADMIN "/nr_kdamonds"
#define CONTEXT "0/contexts/0/"
#define SCHEME CONTEXT "schemes/0/"
#define SAMPLE_US "5000"
#define AGGREGATION_US "1000000"

struct damon {
	int dirfd;
	bool made; /* the monitor is ours */
};

/* Names of several components, below a directory that the kernel made. */
static int put(int dirfd, const char *name, const char *text)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);

	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int get(int dirfd, const char *name, char *buf, size_t size)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	ssize_t got = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (got < 0)
		return -errno;
	buf[got] = '\0';
	return 0;
}

static int get_number(int dirfd, const char *name, uint64_t *ret)
{
	char text[32];
	const char *end;
	int r = get(dirfd, name, text, sizeof(text));

	return r < 0 ? r : num_parse(text, &end, ret);
}

int damon_probe(int root_fd, struct err *err)
{
	uint64_t monitors = 0;
	int r = get_number(root_fd, MONITORS, &monitors);

	if (r < 0)
		return err_set(
			err, -EOPNOTSUPP,
			"this kernel has no DAMON (CONFIG_DAMON_SYSFS), or does not show it");
	if (monitors)
		return err_set(err, -EBUSY, "/" MONITORS " is %llu: somebody uses DAMON",
			       (unsigned long long)monitors);
	return 0;
}

static bool has_word(const char *text, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at += length)
		if ((at == text || at[-1] == '\n') && (at[length] == '\n' || !at[length]))
			return true;
	return false;
}

static int check_operations(int dirfd, struct err *err)
{
	char text[128];
	int r = get(dirfd, CONTEXT "avail_operations", text, sizeof(text));

	if (r < 0 || !has_word(text, "vaddr"))
		return err_set(err, -EOPNOTSUPP,
			       "DAMON of this kernel watches no processes (CONFIG_DAMON_VADDR)");
	return 0;
}

static int set_targets(int dirfd, const struct procs_list *processes)
{
	char name[64], text[16];
	int r;

	snprintf(text, sizeof(text), "%u", processes->count);
	r = put(dirfd, CONTEXT "targets/nr_targets", text);
	for (uint32_t i = 0; i < processes->count && r == 0; i++) {
		snprintf(name, sizeof(name), CONTEXT "targets/%u/pid_target", i);
		snprintf(text, sizeof(text), "%d", (int)processes->pids[i]);
		r = put(dirfd, name, text);
	}
	return r;
}

static int set_up(struct damon *damon, const struct procs_list *processes, struct err *err)
{
	static const struct {
		const char *name, *text;
	} before[] = {
		{ "0/contexts/nr_contexts", "1" },
	}, after[] = {
		{ CONTEXT "operations", "vaddr" },
		{ CONTEXT "monitoring_attrs/intervals/sample_us", SAMPLE_US },
		{ CONTEXT "monitoring_attrs/intervals/aggr_us", AGGREGATION_US },
		{ CONTEXT "schemes/nr_schemes", "1" },
		{ SCHEME "action", "stat" },
		{ SCHEME "access_pattern/sz/max", "18446744073709551615" },
		{ SCHEME "access_pattern/nr_accesses/min", "1" },
		{ SCHEME "access_pattern/nr_accesses/max", "4294967295" },
		{ SCHEME "access_pattern/age/max", "4294967295" },
	};
	const char *at = MONITORS;
	int r = put(damon->dirfd, "nr_kdamonds", "1");

	damon->made = r == 0;
	if (r == 0)
		r = put(damon->dirfd, at = before[0].name, before[0].text);
	if (r == 0 && check_operations(damon->dirfd, err) < 0)
		return -EOPNOTSUPP;
	for (size_t i = 0; i < sizeof(after) / sizeof(after[0]) && r == 0; i++)
		r = put(damon->dirfd, at = after[i].name, after[i].text);
	if (r == 0) {
		at = CONTEXT "targets";
		r = set_targets(damon->dirfd, processes);
	}
	if (r == 0)
		r = put(damon->dirfd, at = "0/state", "on");
	return r < 0 ? err_set(err, r, "DAMON: %s: %s", at, strerror(-r)) : 0;
}

int damon_open(int root_fd, const struct procs_list *processes, struct damon **ret, struct err *err)
{
	struct damon *damon;
	int r = damon_probe(root_fd, err);

	if (r < 0)
		return r;
	if (!processes->count || processes->count > DAMON_PROCESSES_MAX)
		return err_set(err, -EINVAL, "DAMON is asked for 1 to %d processes, not for %u",
			       DAMON_PROCESSES_MAX, processes->count);
	damon = calloc(1, sizeof(*damon));
	if (!damon)
		return err_set(err, -ENOMEM, "out of memory");
	damon->dirfd = openat(root_fd, ADMIN, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = damon->dirfd < 0 ? err_set(err, -errno, "/" ADMIN ": %s", strerror(errno))
			     : set_up(damon, processes, err);
	if (r < 0) {
		damon_close(damon);
		return r;
	}
	*ret = damon;
	return 0;
}

void damon_close(struct damon *damon)
{
	if (!damon)
		return;
	if (damon->made) {
		(void)put(damon->dirfd, "0/state", "off");
		(void)put(damon->dirfd, "nr_kdamonds", "0");
	}
	if (damon->dirfd >= 0)
		close(damon->dirfd);
	free(damon);
}

int damon_read(struct damon *damon, uint64_t *ret_bytes, struct err *err)
{
	char state[16] = "";
	int r = get(damon->dirfd, "0/state", state, sizeof(state));

	/* Its thread ends when no process is left. */
	if (r == 0 && strncmp(state, "on", 2) != 0)
		return err_set(err, -ESRCH, "no process is there any more");
	if (r == 0)
		r = put(damon->dirfd, "0/state", "update_schemes_tried_bytes");
	if (r == 0)
		r = get_number(damon->dirfd, SCHEME "tried_regions/total_bytes", ret_bytes);
	return r < 0 ? err_set(err, r, "DAMON does not tell: %s", strerror(-r)) : 0;
}
