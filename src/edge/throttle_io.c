/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* I/O: bytes per second and device. Everything here exists twice: [0] is reading, [1] is writing. */
#include "edge/throttle.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/num.h"
#include "edge/throttle_inside.h"

#define SYS_DEVICES "/sys/dev/block"
#define SYS_DISKS "/sys/block"

static const char *const v1_limit_files[2] = { "blkio.throttle.read_bps_device",
					       "blkio.throttle.write_bps_device" };
static const char *const v2_keys[2] = { "rbps", "wbps" };

static const char *limit_file(const struct throttle *t, int dir)
{
	return throttle_is_v2(t, CGROUP_IO) ? "io.max" : v1_limit_files[dir];
}

/* "8:0 rbps=1048576" or "8:0 1048576"; PFUSE_UNLIMITED as the kernel takes it. */
static void print_limit(const struct throttle *t, const struct throttle_device *device, int dir,
			uint64_t limit, char *buf, size_t size)
{
	bool v2 = throttle_is_v2(t, CGROUP_IO);
	char number[24];

	snprintf(number, sizeof(number), "%llu", (unsigned long long)limit);
	snprintf(buf, size, "%u:%u %s%s%s", device->major, device->minor, v2 ? v2_keys[dir] : "",
		 v2 ? "=" : "",
		 limit != PFUSE_UNLIMITED ? number
		 : v2			  ? "max"
					  : "0");
}

/* Devices */

static bool device_exists(const struct throttle_device *device)
{
	char path[64];

	snprintf(path, sizeof(path), SYS_DEVICES "/%u:%u", device->major, device->minor);
	return access(path, F_OK) == 0;
}

/* zram0, ram3: memory. A device that sysfs does not know is taken for a disk. */
static bool is_memory(const struct throttle_device *device)
{
	char path[64], target[PATH_MAX];
	const char *name;
	ssize_t n;

	snprintf(path, sizeof(path), SYS_DEVICES "/%u:%u", device->major, device->minor);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	name = strrchr(target, '/');
	name = name ? name + 1 : target;
	return strncmp(name, "zram", 4) == 0 || strncmp(name, "ram", 3) == 0;
}

static bool is_left_out(const struct throttle_device *device)
{
	return device->memory || device->gone;
}

static struct throttle_device *find_device(struct throttle *t, uint32_t major, uint32_t minor)
{
	struct throttle_device *devices;

	for (uint32_t i = 0; i < t->ndevices; i++)
		if (t->devices[i].major == major && t->devices[i].minor == minor)
			return &t->devices[i];
	if (t->ndevices == THROTTLE_DEVICES_MAX)
		return NULL;
	devices = reallocarray(t->devices, t->ndevices + 1, sizeof(*devices));
	if (!devices)
		return NULL;
	t->devices = devices;
	devices += t->ndevices++;
	*devices = (struct throttle_device){
		.major = major,
		.minor = minor,
		.limits = { PFUSE_UNLIMITED, PFUSE_UNLIMITED },
	};
	devices->memory = is_memory(devices);
	return devices;
}

/* Counters: one look at all devices of the group. */

struct look {
	struct throttle *t;
	uint64_t growth[2]; /* of the busiest device */
};

/* A counter that went back belongs to another device of that number, or was reset. */
static void count(struct look *look, struct throttle_device *device, int dir, uint64_t bytes)
{
	uint64_t before = bytes < device->bytes[dir] ? 0 : device->bytes[dir];

	device->bytes[dir] = bytes;
	if (bytes == before)
		return;
	if (device->gone) /* device-mapper gives numbers away again */
		device->gone = false;
	if (!device->memory && bytes - before > look->growth[dir])
		look->growth[dir] = bytes - before;
}

static bool key_is(const char *at, const char *key)
{
	return strncmp(at, key, strlen(key)) == 0;
}

/* v2: "8:0 rbytes=1 wbytes=2 rios=…", v1: "8:0 Read 1". False: another line, or no counter. */
static bool parse_counter(const char **at, int *ret_dir, uint64_t *ret_bytes)
{
	static const char *const keys[][2] = { { "rbytes=", "wbytes=" }, { "Read ", "Write " } };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		for (int dir = 0; dir < 2; dir++)
			if (key_is(*at, keys[i][dir])) {
				*ret_dir = dir;
				return num_parse(*at + strlen(keys[i][dir]), at, ret_bytes) == 0;
			}
	return false;
}

static void count_line(struct look *look, const char *line, const char *end)
{
	uint64_t major, minor, bytes;
	int dir;

	if (num_parse(line, &line, &major) < 0 || *line++ != ':' ||
	    num_parse(line, &line, &minor) < 0 || major > UINT32_MAX || minor > UINT32_MAX)
		return;
	while (line < end) {
		struct throttle_device *device;

		line += strspn(line, " ");
		if (!parse_counter(&line, &dir, &bytes)) {
			line += strcspn(line, " \n");
			if (*line == '\n')
				return;
			continue;
		}
		/* A device on which nothing was done is none that the group uses. */
		device = bytes ? find_device(look->t, (uint32_t)major, (uint32_t)minor) : NULL;
		if (device)
			count(look, device, dir, bytes);
	}
}

static int look_at_devices(struct throttle *t, int fd)
{
	const char *file = throttle_is_v2(t, CGROUP_IO)
				   ? "io.stat"
				   : "blkio.throttle.io_service_bytes_recursive";
	struct look look = { .t = t };
	_cleanup_free_ char *text = NULL;
	int r = fd_load_at(fd, file, &text);

	if (r < 0)
		return r;
	for (char *line = text; *line;) {
		char *end = line + strcspn(line, "\n");

		count_line(&look, line, end);
		line = *end ? end + 1 : end;
	}
	for (int dir = 0; dir < 2 && t->looked; dir++)
		t->bytes[dir] += look.growth[dir];
	t->looked = true;
	return 0;
}

/*
 * Since 6.10 v1 counts on a disk only after a throttle file was written for it: no number is no
 * limit, but by then the kernel has looked at the device. The root group's file, for there it costs
 * no memory. Elsewhere, and where it is not permitted, this changes nothing.
 */
static void wake_disk(int root, const char *name)
{
	char path[PATH_MAX], text[64], line[80];

	snprintf(path, sizeof(path), SYS_DISKS "/%s/size", name);
	if (fd_read_one_at(AT_FDCWD, path, text, sizeof(text)) < 0 || strcmp(text, "0\n") == 0)
		return;
	snprintf(path, sizeof(path), SYS_DISKS "/%s/dev", name);
	if (fd_read_one_at(AT_FDCWD, path, text, sizeof(text)) < 0)
		return;
	snprintf(line, sizeof(line), "%.*s none", (int)strcspn(text, "\n"), text);
	fd_write_at(root, v1_limit_files[0], line);
}

void throttle_wake_io(const struct cgroup_tree *tree)
{
	int hierarchy = tree->serves[CGROUP_IO];
	_cleanup_closedir_ DIR *disks = NULL;
	struct dirent *entry;

	if (hierarchy < 0 || tree->hierarchies[hierarchy].v2 ||
	    faccessat(tree->hierarchies[hierarchy].fd, v1_limit_files[0], W_OK, 0) < 0)
		return;
	disks = opendir(SYS_DISKS);
	while (disks && (entry = readdir(disks)))
		if (entry->d_name[0] != '.' && !key_is(entry->d_name, "zram") &&
		    !key_is(entry->d_name, "ram"))
			wake_disk(tree->hierarchies[hierarchy].fd, entry->d_name);
}

/* Limits */

/* What the limit files of one direction hold. */
struct limits {
	const char *file;
	char *text;
};

static void free_limits(struct limits *limits)
{
	free(limits->text);
}

static int read_limits(struct throttle *t, int fd, int dir, struct limits *ret)
{
	ret->file = limit_file(t, dir);
	return fd_load_at(fd, ret->file, &ret->text);
}

/* The device's line, and the value in it. */
static uint64_t limit_in(const struct throttle *t, const struct limits *limits,
			 const struct throttle_device *device, int dir, char line[80])
{
	char key[80];

	print_limit(t, device, dir, PFUSE_UNLIMITED, key, sizeof(key));
	if (ledger_line(limits->file, key, limits->text, line, 80) < 0)
		snprintf(line, 80, "%s", key);
	return ledger_value(limits->file, line);
}

static int lowest_limit(struct throttle *t, int fd, int dir, uint64_t *ret)
{
	_cleanup_(free_limits) struct limits limits = { 0 };
	uint64_t lowest = PFUSE_UNLIMITED;
	bool any = false;
	char line[80];
	int r = read_limits(t, fd, dir, &limits);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < t->ndevices; i++) {
		uint64_t limit = limit_in(t, &limits, &t->devices[i], dir, line);

		if (is_left_out(&t->devices[i]))
			continue;
		any = true;
		lowest = limit < lowest ? limit : lowest;
	}
	*ret = any ? lowest : t->wanted[dir];
	return 0;
}

int throttle_read_io(struct throttle *t, struct throttle_io *ret)
{
	_cleanup_close_ int fd = -1;
	struct throttle_io io;
	int r = throttle_dir(t, CGROUP_IO, &fd);

	if (r < 0)
		return r;
	r = look_at_devices(t, fd);
	if (r == 0)
		r = lowest_limit(t, fd, 0, &io.read_limit);
	if (r == 0)
		r = lowest_limit(t, fd, 1, &io.write_limit);
	if (r < 0)
		return throttle_gone(fd, r);
	io.read_bytes = t->bytes[0];
	io.write_bytes = t->bytes[1];
	*ret = io;
	return 0;
}

/* Records for the devices that have none. */
static int record_devices(struct throttle *t, struct ledger *ledger, const struct limits *limits,
			  int dir)
{
	char line[80];

	for (uint32_t i = 0; i < t->ndevices; i++) {
		struct throttle_device *device = &t->devices[i];
		int r;

		if (is_left_out(device) || device->records[dir])
			continue;
		limit_in(t, limits, device, dir, line);
		r = throttle_record(t, ledger, CGROUP_IO, limits->file, line,
				    &device->records[dir]);
		if (r < 0)
			return r;
	}
	return 0;
}

static int open_io(struct throttle *t, int dir, struct limits *limits, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	int r = throttle_dir(t, CGROUP_IO, &fd);

	if (r < 0)
		return r;
	r = look_at_devices(t, fd);
	if (r == 0)
		r = read_limits(t, fd, dir, limits);
	if (r < 0)
		return throttle_gone(fd, r);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int throttle_prepare_io(struct throttle *t, struct ledger *ledger, int dir)
{
	_cleanup_(free_limits) struct limits limits = { 0 };
	_cleanup_close_ int fd = -1;
	int r = open_io(t, dir, &limits, &fd);

	return r < 0 ? r : record_devices(t, ledger, &limits, dir);
}

/* The device is no more, and with it its limit: there is nothing to undo. */
static void leave_out(struct ledger *ledger, struct throttle_device *device)
{
	device->gone = true;
	for (int dir = 0; dir < 2; dir++) {
		device->limits[dir] = PFUSE_UNLIMITED;
		if (device->records[dir])
			ledger_forget(ledger, TAKE(device->records[dir], 0));
	}
}

/* What is to stand there: the limit, or what was there before us. */
static int value_for(struct ledger *ledger, const struct limits *limits,
		     const struct throttle_device *device, int dir, uint64_t limit, uint64_t *ret)
{
	char old[80];
	int r = 0;

	*ret = limit;
	if (limit == PFUSE_UNLIMITED) {
		r = ledger_old(ledger, device->records[dir], old, sizeof(old));
		if (r == 0)
			*ret = ledger_value(limits->file, old);
	}
	return r;
}

/* `write` false: all devices are looked at before the first is written, so -ESTALE leaves all alone. */
static int set_device(struct throttle *t, struct ledger *ledger, const struct limits *limits,
		      struct throttle_device *device, int dir, uint64_t limit, int write_fd)
{
	char line[80];
	uint64_t present = limit_in(t, limits, device, dir, line), next;
	int r = value_for(ledger, limits, device, dir, limit, &next);

	if (r == 0 && write_fd < 0)
		r = ledger_intend(ledger, device->records[dir], present, next);
	if (r == 0 && write_fd >= 0 && next != present) {
		print_limit(t, device, dir, next, line, sizeof(line));
		r = throttle_gone(write_fd, fd_write_at(write_fd, limits->file, line));
		if (r == -ENODEV && faccessat(write_fd, "cgroup.procs", F_OK, 0) < 0)
			return r;
	}
	if ((r == -ENODEV || r == -ESTALE) && !device_exists(device)) {
		leave_out(ledger, device);
		return 0;
	}
	if (r == 0 && write_fd >= 0)
		device->limits[dir] = limit;
	return r;
}

static int set_devices(struct throttle *t, struct ledger *ledger, const struct limits *limits,
		       int dir, uint64_t limit, int write_fd)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < t->ndevices; i++)
		if (!is_left_out(&t->devices[i]))
			r = set_device(t, ledger, limits, &t->devices[i], dir, limit, write_fd);
	return r;
}

int throttle_set_io(struct throttle *t, struct ledger *ledger, int dir, uint64_t limit)
{
	_cleanup_(free_limits) struct limits limits = { 0 };
	_cleanup_close_ int fd = -1;
	int r = open_io(t, dir, &limits, &fd);

	if (r < 0)
		return r;
	/* 0 would be "none" on v1 and is refused on v2. */
	limit = limit ? limit : 1;
	r = record_devices(t, ledger, &limits, dir);
	if (r == 0)
		r = ledger_commit(ledger);
	if (r == 0)
		r = set_devices(t, ledger, &limits, dir, limit, -1);
	if (r == 0)
		r = set_devices(t, ledger, &limits, dir, limit, fd);
	if (r == 0)
		t->wanted[dir] = limit;
	return throttle_gone(fd, r);
}

bool throttle_io_used(const struct throttle *t)
{
	for (uint32_t i = 0; i < t->ndevices; i++)
		if (!is_left_out(&t->devices[i]))
			return true;
	return false;
}

bool throttle_io_lags(const struct throttle *t, enum throttle_kind kind)
{
	int dir = kind == THROTTLE_IO_WRITE;

	for (uint32_t i = 0; kind != THROTTLE_CPU && i < t->ndevices; i++)
		if (!is_left_out(&t->devices[i]) && t->devices[i].limits[dir] != t->wanted[dir])
			return true;
	return false;
}
