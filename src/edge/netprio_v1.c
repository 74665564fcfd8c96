/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* net_prio.ifpriomap: "eth0 5" per interface of the initial network namespace. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "edge/netprio_inside.h"

#define FILE_NAME "net_prio.ifpriomap"
#define LINE_MAX (IFNAMSIZ + 16)

static int open_dir(struct netprio *n, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r = cgroup_open_in(n->tree, n->group, n->tree->serves[CGROUP_NET_PRIO], &fd);

	if (r == 0 && fstat(fd, &st) < 0)
		r = -errno;
	if (r < 0)
		return r == -ENOENT && n->inode ? -ENODEV : r;
	if (n->inode && n->inode != st.st_ino)
		return -ENODEV;
	n->inode = st.st_ino;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int netprio_v1_open(struct netprio *n)
{
	_cleanup_close_ int fd = -1;
	int r = open_dir(n, &fd);

	if (r == 0 && faccessat(fd, FILE_NAME, F_OK, 0) < 0)
		r = -errno;
	return r;
}

static int add_device(struct netprio *n, const char *name, size_t length)
{
	struct netprio_device *devices;

	if (length == 0 || length >= IFNAMSIZ || n->ndevices == NETPRIO_DEVICES_MAX)
		return 0;
	for (uint32_t i = 0; i < n->ndevices; i++)
		if (strncmp(n->devices[i].name, name, length) == 0 && !n->devices[i].name[length])
			return 0;
	devices = reallocarray(n->devices, n->ndevices + 1, sizeof(*devices));
	if (!devices)
		return -ENOMEM;
	n->devices = devices;
	devices += n->ndevices++;
	*devices = (struct netprio_device){ .record = 0 };
	memcpy(devices->name, name, length);
	return 0;
}

/* The device's line in the file, and the value in it. */
static uint64_t level_in(const struct netprio_device *device, const char *text, char line[LINE_MAX])
{
	char key[LINE_MAX];

	snprintf(key, sizeof(key), "%s 0", device->name);
	if (ledger_line(FILE_NAME, key, text, line, LINE_MAX) < 0)
		strcpy(line, key);
	return ledger_value(FILE_NAME, line);
}

static int record(struct netprio *n, struct ledger *ledger, struct netprio_device *device,
		  const char *text)
{
	char line[LINE_MAX];
	const struct ledger_entry entry = {
		.kind = LEDGER_FILE,
		.mount = n->tree->hierarchies[n->tree->serves[CGROUP_NET_PRIO]].path,
		.path = n->group->path,
		.group_id = n->inode,
		.file = FILE_NAME,
		.old = line,
	};

	level_in(device, text, line);
	return ledger_append(ledger, &entry, &device->record);
}

/* Reads the file and records the interfaces that have no record. */
static int look(struct netprio *n, struct ledger *ledger, char **ret_text, int *ret_fd)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -1;
	int r = open_dir(n, &fd);

	if (r == 0)
		r = fd_load_at(fd, FILE_NAME, &text);
	for (const char *line = text; r == 0 && *line;) {
		r = add_device(n, line, strcspn(line, " \n"));
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	for (uint32_t i = 0; r == 0 && i < n->ndevices; i++)
		if (!n->devices[i].record)
			r = record(n, ledger, &n->devices[i], text);
	if (r < 0)
		return r == -ENOENT ? -ENODEV : r;
	*ret_text = TAKE_PTR(text);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int netprio_v1_prepare(struct netprio *n, struct ledger *ledger)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -1;

	return look(n, ledger, &text, &fd);
}

/* The line to write: the level, or what was there before us. */
static int line_for(struct ledger *ledger, const struct netprio_device *device, uint32_t level,
		    char line[LINE_MAX])
{
	if (level == NETPRIO_RELEASE)
		return ledger_old(ledger, device->record, line, LINE_MAX);
	snprintf(line, LINE_MAX, "%s %u", device->name, level);
	return 0;
}

/* Without `fd`: only names the value. An interface that is gone has nothing to be undone. */
static int set_device(struct ledger *ledger, struct netprio_device *device, uint32_t level,
		      const char *text, int fd)
{
	char line[LINE_MAX], present[LINE_MAX];
	uint64_t now = level_in(device, text, present);
	int r = line_for(ledger, device, level, line);

	if (r < 0)
		return r;
	if (fd < 0)
		return ledger_intend(ledger, device->record, now, ledger_value(FILE_NAME, line));
	if (now == ledger_value(FILE_NAME, line))
		return 0;
	r = fd_write_at(fd, FILE_NAME, line);
	if (r != -ENODEV || faccessat(fd, "cgroup.procs", F_OK, 0) < 0)
		return r;
	return ledger_forget(ledger, TAKE(device->record, 0));
}

int netprio_v1_set(struct netprio *n, struct ledger *ledger, uint32_t level)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -1;
	int r = look(n, ledger, &text, &fd);

	if (r == 0)
		r = ledger_commit(ledger);
	for (uint32_t i = 0; r == 0 && i < n->ndevices; i++)
		r = set_device(ledger, &n->devices[i], level, text, -1);
	for (uint32_t i = 0; r == 0 && i < n->ndevices; i++)
		r = set_device(ledger, &n->devices[i], level, text, fd);
	return r;
}
