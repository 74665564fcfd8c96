/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Page faults, the high-water mark and the limit, on real groups with real limits. Memory is touched
 * one small page at a time, so that usage moves in small steps towards the mark.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "edge/reclaim.h"
#include "twins.h"

TestSuite(memory, .init = rig_init, .fini = rig_fini);

#define LIMIT (64 * MIB)
#define MARK (LIMIT / 10 * 9)
#define READ (LIMIT / 2 * 3) /* into the page cache; the disk of a small guest holds that much */
/* Charges are taken in batches per CPU, kept as credit: usage may run ahead of what was touched. */
#define BATCH_BYTES (4 * MIB)
#define TMPFS_MAGIC 0x01021994
#define RAMFS_MAGIC 0x858458f6
#define OVERLAYFS_MAGIC 0x794c7630

static size_t page(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* In the worker: new anonymous memory, in small pages, each touched; kept until the worker ends. */
static long job_touch(long bytes)
{
	char *at = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);

	if (at == MAP_FAILED)
		return -1;
	madvise(at, (size_t)bytes, MADV_NOHUGEPAGE);
	for (long i = 0; i < bytes; i += (long)page())
		((volatile char *)at)[i] = 1;
	return 0;
}

static long job_minflt(long arg)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

static struct worker *limited_worker(const struct group *group)
{
	group_limit(group, LIMIT);
	return worker_start(group);
}

Test(memory, faults_lie_between_pages_touched_and_the_kernels_count)
{
	struct group *group = group_make(NULL, "faults");
	struct worker *worker = worker_start(group);
	const uint64_t pages = 2000, slack = 200; /* stack, libc, faults taken twice */

	watch(1, group);
	uint64_t ours = watch_read(1).faults, file = group_stat(group, "memory.stat", "pgfault");
	long minflt = worker_do(worker, job_minflt, 0);

	worker_do(worker, job_touch, (long)(pages * page()));
	ours = watch_read(1).faults - ours;
	minflt = worker_do(worker, job_minflt, 0) - minflt;
	file = group_stat(group, "memory.stat", "pgfault") - file;
	cr_expect_geq(ours, pages);
	cr_expect(ours <= (uint64_t)minflt + slack, "ours %lu, process %ld", ours, minflt);
	cr_expect(file == 0 || ours <= file + slack, "ours %lu, memory.stat %lu", ours, file);
}

Test(memory, high_water_is_told_once_per_arming_and_before_an_oom)
{
	struct group *group = group_make(NULL, "water");
	struct worker *worker = limited_worker(group);
	struct pfuse_event event = { 0 };

	watch(1, group);
	probe_arm(probe, 1, PFUSE_ARM_HIGH_WATER);
	worker_do(worker, job_touch, LIMIT / 2);
	cr_expect_eq(watch_events(1, PFUSE_EV_HIGH_WATER, NULL), 0, "told at half of the limit");
	worker_do(worker, job_touch, LIMIT / 100 * 45);
	cr_expect_eq(watch_events(1, PFUSE_EV_HIGH_WATER, &event), 1);
	cr_expect_eq(event.group_id, group->id);
	cr_expect_eq(event.ram.limit_bytes, group_limit_bytes(group));
	cr_expect_geq(event.ram.usage_bytes, MARK);
	cr_expect_leq(event.ram.usage_bytes, MARK + BATCH_BYTES, "told late");
	cr_expect_eq(watch_events(1, PFUSE_EV_OOM_VICTIM, NULL), 0);

	worker_do(worker, job_touch, 16 * (long)page());
	cr_expect_eq(watch_events(1, PFUSE_EV_HIGH_WATER, NULL), 0, "told twice");
	probe_arm(probe, 1, PFUSE_ARM_HIGH_WATER);
	worker_do(worker, job_touch, 16 * (long)page());
	cr_expect_eq(watch_events(1, PFUSE_EV_HIGH_WATER, NULL), 1, "armed again, not told again");
}

Test(memory, a_higher_limit_moves_the_mark)
{
	struct group *group = group_make(NULL, "raise");
	struct worker *worker = limited_worker(group);
	struct pfuse_event event = { 0 };

	watch(1, group);
	worker_do(worker, job_touch, LIMIT / 100 * 95);
	group_limit(group, 2 * LIMIT);
	probe_arm(probe, 1, PFUSE_ARM_HIGH_WATER);
	worker_do(worker, job_touch, LIMIT / 100 * 60);
	cr_expect_eq(watch_events(1, PFUSE_EV_HIGH_WATER, NULL), 0);
	worker_do(worker, job_touch, LIMIT / 100 * 35);
	cr_expect_eq(watch_events(1, PFUSE_EV_HIGH_WATER, &event), 1);
	cr_expect_eq(event.ram.limit_bytes, 2 * LIMIT);
}

Test(memory, a_disarmed_group_is_not_told)
{
	struct group *group = group_make(NULL, "disarmed");
	struct worker *worker = limited_worker(group);

	watch(1, group);
	probe_arm(probe, 1, PFUSE_ARM_HIGH_WATER);
	probe_disarm(probe, 1, PFUSE_ARM_HIGH_WATER);
	worker_do(worker, job_touch, LIMIT / 100 * 96);
	cr_expect_eq(watch_events(1, PFUSE_EV_HIGH_WATER, NULL), 0);
}

Test(memory, an_unlimited_group_has_no_mark)
{
	struct group *group = group_make(NULL, "unlimited");
	struct worker *worker = worker_start(group);

	cr_assert_eq(group_limit_bytes(group), UINT64_MAX);
	watch(1, group);
	probe_arm(probe, 1, PFUSE_ARM_HIGH_WATER | PFUSE_ARM_LIMIT_HIT);
	worker_do(worker, job_touch, LIMIT);
	cr_expect_eq(watch_events(1, PFUSE_EV_HIGH_WATER, NULL), 0);
	cr_expect_eq(watch_events(1, PFUSE_EV_LIMIT_HIT, NULL), 0);
}

Test(memory, a_shadow_limit_is_judged_by_in_its_place)
{
	struct group *group = group_make(NULL, "shadow");
	struct worker *worker = worker_start(group);
	struct pfuse_event event = { 0 };

	watch(1, group);
	probe_shadow_limit(probe, 1, LIMIT);
	probe_arm(probe, 1, PFUSE_ARM_HIGH_WATER);
	worker_do(worker, job_touch, LIMIT / 2);
	cr_expect_eq(watch_events(1, PFUSE_EV_HIGH_WATER, NULL), 0);
	worker_do(worker, job_touch, LIMIT);
	cr_expect_eq(watch_events(1, PFUSE_EV_HIGH_WATER, &event), 1);
	cr_expect_eq(event.ram.limit_bytes, LIMIT);
	cr_expect_geq(event.ram.usage_bytes, MARK);
	cr_expect_leq(event.ram.usage_bytes, MARK + BATCH_BYTES);
}

/* The limit stands at the parent; the child group has a counter of its own, or shares the parent's. */
static void cross_in_child(bool own_counter)
{
	struct group *parent = group_make(NULL, own_counter ? "parent" : "shared");
	struct pfuse_event event = { 0 };

	if (own_counter)
		group_delegate(parent);
	struct group *child = group_make(parent, "child");
	struct worker *worker = worker_start(child);

	group_limit(parent, LIMIT);
	watch(1, parent);
	probe_arm(probe, 1, PFUSE_ARM_HIGH_WATER);
	worker_do(worker, job_touch, LIMIT / 100 * 95);
	cr_expect_eq(watch_events(1, PFUSE_EV_HIGH_WATER, &event), 1);
	cr_expect_eq(event.group_id, parent->id);
	cr_expect_eq(event.ram.limit_bytes, LIMIT);
	cr_expect_geq(event.ram.usage_bytes, MARK);
}

Test(memory, growth_in_a_child_group_is_told_for_the_managed_ancestor)
{
	cross_in_child(true);
}

Test(memory, growth_in_a_child_without_a_counter_too)
{
	cross_in_child(false);
}

/* Only v2 has memory.high; the lower of the two counts. */
Test(memory, memory_high_is_a_limit_too)
{
	const char *why;
	char path[PATH_MAX + 16];

	if (!hierarchy(&why)->v2) {
		cr_log_info("cgroup v1: no memory.high");
		return;
	}
	struct group *group = group_make(NULL, "high");
	struct worker *worker = worker_start(group);
	struct pfuse_event event = { 0 };

	group_limit(group, 2 * LIMIT);
	snprintf(path, sizeof(path), "%s/memory.high", group->path);
	FILE *high = fopen(path, "we");

	cr_assert(high);
	fprintf(high, "%lu", LIMIT);
	cr_assert_eq(fclose(high), 0);
	watch(1, group);
	probe_arm(probe, 1, PFUSE_ARM_HIGH_WATER);
	worker_do(worker, job_touch, LIMIT / 100 * 95);
	cr_expect_eq(watch_events(1, PFUSE_EV_HIGH_WATER, &event), 1);
	cr_expect_eq(event.ram.limit_bytes, LIMIT);
}

/* More than the limit at one stroke, with no fault from user mode: it ends by the OOM killer. */
static long job_populate(long bytes)
{
	void *at = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return at == MAP_FAILED;
}

static void expect_limit_hit(const struct group *group)
{
	struct pfuse_event event = { 0 };

	cr_expect_eq(watch_wait(1, PFUSE_EV_LIMIT_HIT, &event), 1);
	cr_expect_eq(event.group_id, group->id);
	cr_expect_eq(event.ram.limit_bytes, LIMIT);
	cr_expect_geq(event.ram.usage_bytes, MARK);
	cr_expect_eq(watch_events(1, PFUSE_EV_LIMIT_HIT, NULL), 0, "told twice");
}

Test(memory, populating_a_mapping_meets_the_limit)
{
	struct group *group = group_make(NULL, "populate");
	struct worker *worker = limited_worker(group);

	watch(1, group);
	probe_arm(probe, 1, PFUSE_ARM_LIMIT_HIT);
	worker_send(worker, job_populate, 2 * LIMIT);
	expect_limit_hit(group);
}

/* A file whose pages come into the page cache as they are read; unlinked at once. */
static int sparse_file(const char *dir, long bytes)
{
	char path[PATH_MAX];
	struct statfs fs;

	if (!dir || statfs(dir, &fs) < 0 || fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC ||
	    fs.f_type == OVERLAYFS_MAGIC) /* in a guest, its upper layer is a tmpfs */
		return -1;
	snprintf(path, sizeof(path), "%s/pfuse-test-%d", dir, getpid());
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return -1;
	unlink(path);
	if (ftruncate(fd, bytes) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Where every file system is in memory (a guest): the disk that its root was read from. */
static int disk(long bytes)
{
	static const char *const names[] = { "/dev/vda", "/dev/vdb", "/dev/sda", "/dev/nvme0n1" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int fd = open(names[i], O_RDONLY | O_CLOEXEC);

		if (fd >= 0 && lseek(fd, 0, SEEK_END) >= bytes && lseek(fd, 0, SEEK_SET) == 0) {
			posix_fadvise(fd, 0, bytes, POSIX_FADV_DONTNEED);
			return fd;
		}
		if (fd >= 0)
			close(fd);
	}
	return -1;
}

static int cached_fd;

static long job_read(long bytes)
{
	static char buffer[65536];

	for (long done = 0; done < bytes; done += (long)sizeof(buffer))
		if (read(cached_fd, buffer, sizeof(buffer)) <= 0)
			return -1;
	return 0;
}

static bool open_cached(long bytes)
{
	const char *dirs[] = { getenv("PFUSE_BUILD"), "/var/tmp", "/root" };

	cached_fd = -1;
	for (size_t i = 0; cached_fd < 0 && i < sizeof(dirs) / sizeof(dirs[0]); i++)
		cached_fd = sparse_file(dirs[i], bytes);
	if (cached_fd < 0)
		cached_fd = disk(bytes);
	return cached_fd >= 0;
}

Test(memory, page_cache_growth_meets_the_limit)
{
	struct group *group = group_make(NULL, "cache");

	if (!open_cached(READ))
		RIG_SKIP("no file system on a disk to read into the page cache");
	struct worker *worker = limited_worker(group);

	watch(1, group);
	probe_arm(probe, 1, PFUSE_ARM_HIGH_WATER | PFUSE_ARM_LIMIT_HIT);
	cr_expect_eq(worker_do(worker, job_read, READ), 0);
	expect_limit_hit(group);
	close(cached_fd);
}

/* Each takes a slice and no more, and leaves the limit that stood. */
static unsigned int reclaim_in_slices(const struct twins *twins, struct reclaim *reclaim)
{
	const uint64_t limit = group_limit_bytes(twins->groups[0]);
	struct slow_write *slow = NULL;
	struct slow_write_result result;
	struct slow_write_job job;
	unsigned int slices = 0;
	int r = 1;

	cr_assert_eq(slow_write_open(&slow), 0);
	for (; r == 1 && slices < 1000; slices++) {
		uint64_t before = reclaim->after_bytes;

		r = reclaim_next(reclaim, &job);
		if (r <= 0)
			break;
		cr_assert_eq(slow_write_post(slow, &job), 0);
		slow_write_wait(slow, &result);
		r = reclaim_written(reclaim, &result);
		cr_expect_eq(group_limit_bytes(twins->groups[0]), limit, "a limit is left behind");
		cr_expect(reclaim->after_bytes + 4 * MIB + BATCH_BYTES >= before,
			  "%lu MiB at once", (before - reclaim->after_bytes) / MIB);
	}
	cr_expect_eq(r, 0);
	slow_write_close(slow);
	return slices;
}

Test(memory, is_reclaimed_in_slices_below_a_limit_that_stays)
{
	struct control_ram ram;
	struct reclaim reclaim;
	struct twins twins;

	if (!open_cached(READ))
		RIG_SKIP("no file system on a disk to read into the page cache");
	twins_make(&twins, "slices", 0);
	group_limit(twins.groups[0], 2 * READ);
	cr_assert_eq(control_ram_prepare(&twins.tree, &twins.cgroup, twins.ledger, &ram), 0);
	cr_assert_eq(ledger_commit(twins.ledger), 0);
	struct worker *worker = twins_worker(&twins);
	const struct reclaim_target target = { &twins.tree, &twins.cgroup, twins.ledger, &ram };

	cr_expect_eq(worker_do(worker, job_read, READ), 0);
	cr_assert_eq(reclaim_begin(&target, READ / 4, &reclaim), 0);
	cr_assert_geq(reclaim.before_bytes, READ / 2, "its page cache is not its own");
	cr_expect_geq(reclaim_in_slices(&twins, &reclaim), READ / 4 / (4 * MIB));
	cr_expect_leq(reclaim.after_bytes, READ / 4);
	cr_expect_eq(twins_restore(&twins).foreign, 0);
	cr_expect_eq(group_limit_bytes(twins.groups[0]), 2 * READ);
	twins_close(&twins);
	close(cached_fd);
}
