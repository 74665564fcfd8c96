/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Which CPUs and memory nodes a group may use. */
#include "edge/throttle.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/cpulist.h"
#include "base/fd.h"
#include "edge/throttle_inside.h"

#define LIST_MAX 4000 /* bytes: what a record of the ledger holds */

static int read_list(struct throttle *t, const char *file, char *buf, size_t size, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	int r = throttle_dir(t, CGROUP_CPUSET, &fd);

	if (r < 0)
		return r;
	r = fd_read_at(fd, file, buf, size, NULL);
	if (r < 0)
		return throttle_gone(fd, r);
	buf[strcspn(buf, "\n")] = '\0';
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int set_list(struct throttle *t, struct ledger *ledger, const char *file, const char *list,
		    uint32_t *record)
{
	struct cpulist wanted;
	char next[LIST_MAX], present[LIST_MAX];
	_cleanup_close_ int fd = -1;
	int r = cpulist_parse(list, &wanted);

	if (r == 0)
		r = cpulist_print(&wanted, next, sizeof(next));
	if (r == 0)
		r = read_list(t, file, present, sizeof(present), &fd);
	if (r == 0)
		r = throttle_record(t, ledger, CGROUP_CPUSET, file, present, record);
	if (r == 0)
		r = ledger_commit(ledger);
	if (r == 0)
		r = ledger_intend(ledger, *record, ledger_value(file, present),
				  ledger_value(file, next));
	/* An empty write(2) is not seen by the kernel. */
	if (r == 0 && strcmp(present, next) != 0)
		r = fd_write_at(fd, file, *next ? next : "\n");
	return fd >= 0 ? throttle_gone(fd, r) : r;
}

int throttle_set_cpus(struct throttle *t, struct ledger *ledger, const char *list)
{
	return set_list(t, ledger, "cpuset.cpus", list, &t->records[RECORD_CPUS]);
}

int throttle_set_mems(struct throttle *t, struct ledger *ledger, const char *list)
{
	return set_list(t, ledger, "cpuset.mems", list, &t->records[RECORD_MEMS]);
}

int throttle_read_cpus(struct throttle *t, char *buf, size_t size)
{
	_cleanup_close_ int fd = -1;

	return read_list(t, "cpuset.cpus", buf, size, &fd);
}

int throttle_read_mems(struct throttle *t, char *buf, size_t size)
{
	_cleanup_close_ int fd = -1;

	return read_list(t, "cpuset.mems", buf, size, &fd);
}

int throttle_read_effective_cpus(struct throttle *t, char *buf, size_t size)
{
	_cleanup_close_ int fd = -1;

	return read_list(t,
			 throttle_is_v2(t, CGROUP_CPUSET) ? "cpuset.cpus.effective"
							  : "cpuset.effective_cpus",
			 buf, size, &fd);
}

/* On v2 the kernel keeps an empty list, and what stands for it is the parent's. */
int throttle_is_pinned(struct throttle *t, bool *ret_pinned)
{
	const char *above = throttle_is_v2(t, CGROUP_CPUSET) ? "../cpuset.cpus.effective"
							     : "../cpuset.cpus";
	char own_text[LIST_MAX], above_text[LIST_MAX];
	struct cpulist own, parents;
	_cleanup_close_ int fd = -1;
	int r = read_list(t, "cpuset.cpus", own_text, sizeof(own_text), &fd);

	if (r == 0)
		r = fd_read_at(fd, above, above_text, sizeof(above_text), NULL);
	if (r == 0 && (cpulist_parse(own_text, &own) < 0 || cpulist_parse(above_text, &parents) < 0))
		r = -EBADMSG;
	if (r < 0)
		return fd >= 0 ? throttle_gone(fd, r) : r;
	*ret_pinned = *own_text && cpulist_exceeds(&parents, &own);
	return 0;
}

/* Partitions */

#define PARTITION "cpuset.cpus.partition"

/* "root", or "root invalid (why)": `word` is the first, `buf` all of it. */
static int read_partition(int fd, char *buf, size_t size, char word[16])
{
	int r = fd_read_at(fd, PARTITION, buf, size, NULL);

	if (r < 0)
		return r;
	buf[strcspn(buf, "\n")] = '\0';
	snprintf(word, 16, "%.*s", (int)strcspn(buf, " "), buf);
	return 0;
}

static int write_partition(struct throttle *t, struct ledger *ledger, int fd, const char *present,
			   const char *next)
{
	int r = ledger_intend(ledger, t->records[RECORD_PARTITION], ledger_value(PARTITION, present),
			      ledger_value(PARTITION, next));

	return r == 0 && strcmp(present, next) != 0 ? fd_write_at(fd, PARTITION, next) : r;
}

/* The kernel takes the word in any case; whether it can keep it is in what it shows then. */
static int try_partition(struct throttle *t, struct ledger *ledger, int fd, const char *next,
			 struct err *err)
{
	char shown[512], present[16], now[16];
	int r = read_partition(fd, shown, sizeof(shown), present);

	if (r == 0)
		r = throttle_record(t, ledger, CGROUP_CPUSET, PARTITION, present,
				    &t->records[RECORD_PARTITION]);
	if (r == 0)
		r = ledger_commit(ledger);
	if (r == 0)
		r = write_partition(t, ledger, fd, present, next);
	if (r == 0)
		r = read_partition(fd, shown, sizeof(shown), now);
	if (r < 0)
		return err_set(err, throttle_gone(fd, r), "%s",
			       throttle_why(t, THROTTLE_CPU, throttle_gone(fd, r)));
	if (!strstr(shown, " invalid"))
		return 0;
	write_partition(t, ledger, fd, now, "member");
	return err_set(err, -EINVAL, "the kernel does not keep the CPUs for it: %s", shown);
}

int throttle_set_partition(struct throttle *t, struct ledger *ledger,
			   enum throttle_partition partition, struct err *err)
{
	static const char *const words[] = {
		[THROTTLE_MEMBER] = "member",
		[THROTTLE_ROOT] = "root",
		[THROTTLE_ISOLATED] = "isolated",
	};
	_cleanup_close_ int fd = -1;
	int r = throttle_dir(t, CGROUP_CPUSET, &fd);

	err_set(err, 0, "%s", "");
	if (r < 0)
		return err_set(err, r, "%s", strerror(-r));
	if (!throttle_is_v2(t, CGROUP_CPUSET))
		return err_set(err, -EOPNOTSUPP,
			       "v1 has no partitions; the sets are disjoint, but others may use them");
	return try_partition(t, ledger, fd, words[partition], err);
}
