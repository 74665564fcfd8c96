/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * CPU and I/O limits and figures against what a worker measures itself. Rates are compared with one
 * another within a run, limited and free in turns; the disk is a loop device over a file of the test.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "edge/throttle.h"
#include "twins.h"

#define S UINT64_C(1000000000)
#define CONTROLLERS                                                                                \
	(CGROUP_BIT(CGROUP_CPU) | CGROUP_BIT(CGROUP_CPUACCT) | CGROUP_BIT(CGROUP_CPUSET) |         \
	 CGROUP_BIT(CGROUP_IO))
#define DISK_BYTES (64 * MIB)
#define BLOCK (64UL * 1024)

static struct twins group;
static struct throttle *throttle;
static char disk[64], image[64];

static bool has(enum cgroup_controller controller)
{
	return group.tree.serves[controller] >= 0;
}

static void set_up(void)
{
	rig_init();
	twins_make(&group, "throttle", CONTROLLERS);
	cr_assert_eq(throttle_open(&group.tree, &group.cgroup, &throttle), 0);
}

static void detach_disk(void)
{
	char command[128];

	if (!disk[0])
		return;
	snprintf(command, sizeof(command), "PATH=$PATH:/usr/sbin:/sbin losetup -d %s", disk);
	cr_expect_eq(system(command), 0);
	unlink(image);
	disk[0] = '\0';
}

static void tear_down(void)
{
	throttle_close(throttle);
	throttle = NULL;
	if (group.ledger)
		twins_restore(&group);
	twins_close(&group);
	rig_fini();
	detach_disk();
}

TestSuite(throttle, .init = set_up, .fini = tear_down);

static void prepare(enum throttle_kind kind)
{
	int err = throttle_prepare(throttle, group.ledger, kind);

	cr_assert_eq(err, 0, "%s", throttle_why(throttle, kind, err));
	cr_assert_eq(ledger_commit(group.ledger), 0);
}

static void set(enum throttle_kind kind, uint64_t limit)
{
	int err = throttle_set(throttle, group.ledger, kind, limit);

	cr_assert_eq(err, 0, "%s", throttle_why(throttle, kind, err));
}

/* CPU */

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Spins for `ms` of wall time; the CPU time that it was given, in ns. */
static long job_spin_wall(long ms)
{
	int64_t until = clock_ns(CLOCK_MONOTONIC) + ms * 1000000LL;
	int64_t before = clock_ns(CLOCK_PROCESS_CPUTIME_ID);

	while (clock_ns(CLOCK_MONOTONIC) < until)
		;
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID) - before;
}

static struct throttle_cpu read_cpu(void)
{
	struct throttle_cpu cpu;
	int err = throttle_read_cpu(throttle, &cpu);

	cr_assert_eq(err, 0, "%s", strerror(-err));
	return cpu;
}

Test(throttle, cpu_time_is_limited_counted_and_given_back)
{
	struct worker *worker = twins_worker(&group);
	long free_ns = 0, limited_ns = 0, wall_ns = 0;

	if (!has(CGROUP_CPU))
		TWINS_SKIP(tear_down, "no cpu controller");
	cr_expect_eq(read_cpu().limit_ns, PFUSE_UNLIMITED);
	prepare(THROTTLE_CPU);
	for (int round = 0; round < 3; round++) {
		struct throttle_cpu before = read_cpu(), after;
		long ns = worker_do(worker, job_spin_wall, 400);

		after = read_cpu();
		free_ns += ns;
		cr_expect_eq(after.throttled, before.throttled, "it has no limit");
		/* The kernel counts to the last tick or switch of the worker, which sleeps now. */
		cr_expect_geq((double)(after.usage_ns - before.usage_ns), 0.95 * (double)ns);
		cr_expect_leq((double)(after.usage_ns - before.usage_ns), 1.05 * (double)ns + 5e6);
		set(THROTTLE_CPU, S / 10);
		cr_expect_eq(read_cpu().limit_ns, S / 10);
		before = read_cpu();
		int64_t began = clock_ns(CLOCK_MONOTONIC);

		limited_ns += worker_do(worker, job_spin_wall, 400);
		wall_ns += clock_ns(CLOCK_MONOTONIC) - began;
		after = read_cpu();
		cr_expect_gt(after.throttled, before.throttled);
		cr_expect_gt(after.periods, before.periods);
		cr_expect_gt(after.throttled_ns, before.throttled_ns);
		set(THROTTLE_CPU, PFUSE_UNLIMITED);
		cr_expect_eq(read_cpu().limit_ns, PFUSE_UNLIMITED);
	}
	/*
	 * A tenth, and a period at each end that had not used its share. Busy neighbours take from the free,
	 * which may be little more then: that the limit was in the way is what `throttled` says.
	 */
	cr_expect_lt(limited_ns, wall_ns / 4, "%ld of %ld", limited_ns, wall_ns);
	cr_expect_lt(limited_ns, free_ns, "%ld of %ld", limited_ns, free_ns);
}

Test(throttle, a_childs_share_above_its_parents_is_explained)
{
	struct throttle *parent = throttle, *child;
	struct cgroup cgroup;
	struct err err = { "" };
	char path[PATH_MAX + 32];

	if (!has(CGROUP_CPU))
		TWINS_SKIP(tear_down, "no cpu controller");
	for (size_t i = 0, count = group.count; i < count; i++) {
		struct group *below;

		snprintf(path, sizeof(path), "%s/cgroup.subtree_control", group.groups[i]->path);
		hierarchy_write(path, "+cpu"); /* v2 */
		below = group_make_at(group.groups[i]->path, "child");
		cr_assert_not_null(below);
	}
	snprintf(path, sizeof(path), "%s/child", group.cgroup.path);
	cr_assert_eq(cgroup_open(&group.tree, path, &cgroup, &err), 0, "%s", err.text);
	cr_assert_eq(throttle_open(&group.tree, &cgroup, &child), 0);
	prepare(THROTTLE_CPU);
	set(THROTTLE_CPU, S / 2);
	throttle = child;
	prepare(THROTTLE_CPU);
	set(THROTTLE_CPU, S / 4);
	int code = throttle_set(child, group.ledger, THROTTLE_CPU, S);

	if (group.tree.serves[CGROUP_CPU] == group.tree.v2)
		cr_expect_eq(code, 0, "v2 takes it, and the parent's holds");
	else
		cr_expect_eq(code, -EINVAL);
	cr_expect(code == 0 || strstr(throttle_why(child, THROTTLE_CPU, code), "above it"));
	cr_expect_eq(read_cpu().limit_ns, code ? S / 4 : S, "what was there stays");
	/* Restoring has to find the order in which the kernel takes both. */
	cr_expect_eq(twins_restore(&group).failed, 0);
	cr_expect_eq(read_cpu().limit_ns, PFUSE_UNLIMITED);
	throttle = parent;
	cr_expect_eq(read_cpu().limit_ns, PFUSE_UNLIMITED);
	throttle_close(child);
	cgroup_close(&cgroup);
}

/* cpuset */

static long job_count_cpus(long unused)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) < 0 ? -errno : CPU_COUNT(&set);
}

Test(throttle, cpus_are_set_and_given_back)
{
	if (!has(CGROUP_CPUSET))
		TWINS_SKIP(tear_down, "no cpuset controller");
	struct worker *worker = twins_worker(&group);
	long before = worker_do(worker, job_count_cpus, 0);
	char old[256], now[256];
	int first = sched_getcpu();

	if (before < 2)
		TWINS_SKIP(tear_down, "one CPU");
	cr_assert_eq(throttle_read_cpus(throttle, old, sizeof(old)), 0);
	snprintf(now, sizeof(now), "%d,%d", first, first);
	int err = throttle_set_cpus(throttle, group.ledger, now);

	cr_assert_eq(err, 0, "%s", strerror(-err));
	cr_expect_eq(worker_do(worker, job_count_cpus, 0), 1);
	cr_expect_lt(throttle_set_cpus(throttle, group.ledger, "8190"), 0);
	cr_expect_eq(twins_restore(&group).restored, 1);
	cr_expect_eq(worker_do(worker, job_count_cpus, 0), before);
	cr_assert_eq(throttle_read_cpus(throttle, now, sizeof(now)), 0);
	/* v2: "as the parent" cannot be had back while there are processes, only the same list. */
	cr_expect(!*old || !strcmp(now, old), "%s, was %s", now, old);
}

/* I/O */

static bool attach_disk(void)
{
	char command[256];

	snprintf(image, sizeof(image), "/tmp/pfuse-test-%d.img", getpid());
	snprintf(command, sizeof(command),
		 "PATH=$PATH:/usr/sbin:/sbin; modprobe -q loop; "
		 "dd if=/dev/zero of=%s bs=1M count=%lu status=none && losetup -f --show %s",
		 image, DISK_BYTES / MIB, image);
	FILE *out = popen(command, "r");

	if (!out || !fgets(disk, sizeof(disk), out))
		disk[0] = '\0';
	if (out)
		pclose(out);
	disk[strcspn(disk, "\n")] = '\0';
	if (!disk[0])
		unlink(image);
	return disk[0];
}

static long transfer(long bytes, bool write)
{
	int fd = open(disk, (write ? O_WRONLY : O_RDONLY) | O_DIRECT | O_CLOEXEC);
	void *block = NULL;
	long done = 0;
	int64_t start;

	if (fd < 0 || posix_memalign(&block, 4096, BLOCK))
		return -errno;
	memset(block, 1, BLOCK);
	start = clock_ns(CLOCK_MONOTONIC);
	while (done < bytes) {
		off_t at = done % (long)DISK_BYTES;
		ssize_t n = write ? pwrite(fd, block, BLOCK, at) : pread(fd, block, BLOCK, at);

		if (n != (ssize_t)BLOCK)
			break;
		done += n;
	}
	free(block);
	close(fd);
	return done < bytes ? -EIO : clock_ns(CLOCK_MONOTONIC) - start;
}

/* Without the page cache: counts at once, and for the group on v1 too. ns that it took. */
static long job_read(long bytes)
{
	return transfer(bytes, false);
}

static long job_write(long bytes)
{
	return transfer(bytes, true);
}

static struct throttle_io read_io(void)
{
	struct throttle_io io;
	int err = throttle_read_io(throttle, &io);

	cr_assert_eq(err, 0, "%s", strerror(-err));
	return io;
}

static uint64_t rate(struct worker *worker, worker_job *job, uint64_t bytes)
{
	long ns = worker_do(worker, job, (long)bytes);

	cr_assert_gt(ns, 0, "%s", strerror((int)-ns));
	return (uint64_t)((unsigned __int128)bytes * S / (uint64_t)ns);
}

static void expect_counted(uint64_t before, uint64_t after, uint64_t bytes)
{
	cr_expect_geq(after - before, bytes * 95 / 100, "%llu of %llu",
		      (unsigned long long)(after - before), (unsigned long long)bytes);
	cr_expect_leq(after - before, bytes * 105 / 100, "%llu of %llu",
		      (unsigned long long)(after - before), (unsigned long long)bytes);
}

static void limit_and_release(bool write)
{
	enum throttle_kind kind = write ? THROTTLE_IO_WRITE : THROTTLE_IO_READ;
	worker_job *job = write ? job_write : job_read;
	struct worker *worker = twins_worker(&group);

	read_io();
	prepare(kind);
	for (int round = 0; round < 2; round++) {
		struct throttle_io before = read_io(), after;
		uint64_t free = rate(worker, job, 16 * MIB), limited, again, limit = free / 4;

		after = read_io();
		expect_counted(write ? before.write_bytes : before.read_bytes,
			       write ? after.write_bytes : after.read_bytes, 16 * MIB);
		cr_expect_eq(write ? after.read_bytes - before.read_bytes
				   : after.write_bytes - before.write_bytes,
			     0);
		limit = (limit > 8 * MIB ? 8 * MIB : limit) / BLOCK * BLOCK;
		set(kind, limit);
		after = read_io();
		cr_expect_eq(write ? after.write_limit : after.read_limit, limit);
		cr_expect_eq(write ? after.read_limit : after.write_limit, PFUSE_UNLIMITED);
		/* A second's worth: the kernel grants by slices of a tenth. */
		limited = rate(worker, job, limit);
		cr_expect_leq(limited, limit * 13 / 10, "%llu", (unsigned long long)limited);
		cr_expect_geq(limited, limit / 3, "%llu", (unsigned long long)limited);
		set(kind, PFUSE_UNLIMITED);
		again = rate(worker, job, 16 * MIB);
		cr_expect_gt(again, limited * 3 / 2, "%llu, limited %llu",
			     (unsigned long long)again, (unsigned long long)limited);
	}
	set(kind, 4 * MIB);
	cr_expect_geq(twins_restore(&group).restored, 1);
	cr_expect_eq(read_io().read_limit, PFUSE_UNLIMITED);
	cr_expect_eq(read_io().write_limit, PFUSE_UNLIMITED);
}

static void need_disk(void)
{
	if (!has(CGROUP_IO))
		TWINS_SKIP(tear_down, "no I/O controller");
	if (!attach_disk())
		TWINS_SKIP(tear_down, "no loop device can be made here");
	/* Disks that appear later are looked at when a throttle is opened. */
	throttle_close(throttle);
	cr_assert_eq(throttle_open(&group.tree, &group.cgroup, &throttle), 0);
}

Test(throttle, reading_is_limited_counted_and_given_back)
{
	need_disk();
	limit_and_release(false);
}

Test(throttle, writing_is_limited_counted_and_given_back)
{
	need_disk();
	limit_and_release(true);
}
