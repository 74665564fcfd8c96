/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Which CPUs and memory nodes a group may use. */
#include "edge/throttle.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/num.h"
#include "edge/throttle_inside.h"

#define IDS 8192      /* the kernel's largest NR_CPUS */
#define LIST_MAX 4000 /* bytes: what a record of the ledger holds */

struct set {
	uint8_t bits[IDS / 8];
};

static bool has(const struct set *set, unsigned int id)
{
	return id < IDS && set->bits[id / 8] >> id % 8 & 1;
}

/* "0-3,8"; the kernel's own strides ("0-31:1/2") are not taken. */
static int parse(const char *text, struct set *set)
{
	text += strspn(text, " \n");
	while (*text) {
		uint64_t first, last;
		int r = num_parse(text, &text, &first);

		last = first;
		if (r == 0 && *text == '-')
			r = num_parse(text + 1, &text, &last);
		if (r < 0 || last < first || last >= IDS)
			return -EINVAL;
		for (uint64_t id = first; id <= last; id++)
			set->bits[id / 8] |= (uint8_t)(1u << id % 8);
		text += strspn(text, " \n");
		if (*text && *text++ != ',')
			return -EINVAL;
	}
	return 0;
}

static int print(const struct set *set, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (unsigned int id = 0; id < IDS; id++) {
		unsigned int first = id;
		int n;

		if (!has(set, id))
			continue;
		while (has(set, id + 1))
			id++;
		n = snprintf(buf + used, size - used, first == id ? "%s%u" : "%s%u-%u",
			     used ? "," : "", first, id);
		if (n < 0 || (size_t)n >= size - used)
			return -EFBIG;
		used += (size_t)n;
	}
	return 0;
}

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
	struct set wanted = { { 0 } };
	char next[LIST_MAX], present[LIST_MAX];
	_cleanup_close_ int fd = -1;
	int r = parse(list, &wanted);

	if (r == 0)
		r = print(&wanted, next, sizeof(next));
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
