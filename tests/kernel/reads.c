/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * File pages that a group reads with read(2) are noted, each once, with whether they came into memory since;
 * other groups' are not; pages that are mapped as well are left to the page tables. On ramfs, whose pages are
 * in the page cache, and which every kernel has.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "edge/pagescan.h"
#include "edge/reads.h"
#include "rig.h"

#define PAGE 4096UL
#define PAGES 2048UL
#define BIG_PAGES 32768UL
#define SLOT 1

static char dir[] = "/tmp/pfuse-test-reads-XXXXXX";
static char path[sizeof(dir) + 8];
static int proc_fd;

static void open_reads(void)
{
	rig_parts = PROBE_PAGES | PROBE_READS | PROBE_ALONE;
	rig_init();
	watch_open(2);
	cr_assert(mkdtemp(dir));
	cr_assert_eq(mount("none", dir, "ramfs", 0, NULL), 0, "%s", strerror(errno));
	snprintf(path, sizeof(path), "%s/file", dir);
	proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void close_reads(void)
{
	rig_fini(); /* ends who has the file open */
	umount2(dir, MNT_DETACH);
	rmdir(dir);
	close(proc_fd);
}

TestSuite(reads, .init = open_reads, .fini = close_reads);

static char buffer[64 * PAGE];

static void make_file(size_t pages)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	for (size_t i = 0; i < pages; i++)
		cr_assert_eq(write(fd, buffer, PAGE), (ssize_t)PAGE);
	close(fd);
}

/* Jobs of workers, which open the file by its path. */

static long job_write(long pages)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	long done = 0;

	while (done < pages && write(fd, buffer, PAGE) == (ssize_t)PAGE)
		done++;
	close(fd);
	return done;
}

static bool is_chosen(size_t page)
{
	return (page * 2654435761u >> 16 & 7) < 3;
}

static long job_read_chosen(long times)
{
	int fd = open(path, O_RDONLY);
	long bytes = 0;

	for (long t = 0; t < times; t++)
		for (size_t i = 0; i < PAGES; i++)
			if (is_chosen(i))
				bytes += pread(fd, buffer, 1, (off_t)(i * PAGE));
	close(fd);
	return bytes;
}

static long job_read_all(long at_once)
{
	int fd = open(path, O_RDONLY);
	long got, pages = 0;

	while ((got = read(fd, buffer, (size_t)at_once * PAGE)) > 0)
		pages += got / (long)PAGE;
	close(fd);
	return pages;
}

static long job_map_half(long pages)
{
	int fd = open(path, O_RDONLY);
	char *at = mmap(NULL, (size_t)pages * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	long sum = 0;

	if (at == MAP_FAILED || madvise(at, (size_t)pages * PAGE, MADV_RANDOM) < 0)
		return 0;
	/* Neighbours are mapped with it, so all of one half and nothing of the other. */
	for (long i = 0; i < pages / 2; i++)
		sum += ((volatile char *)at)[(size_t)i * PAGE];
	return 1 + sum;
}

/* What was given, by page of the file. */
struct seen {
	uint64_t file;
	size_t pages;
	unsigned char *read, *added;
	size_t strangers;
};

static struct seen see(size_t pages)
{
	struct stat stat_of;

	cr_assert_eq(stat(path, &stat_of), 0);
	/* A device's number is short here: 12 and 20 bits in the kernel. */
	uint32_t device = (uint32_t)(major(stat_of.st_dev) << 20 | minor(stat_of.st_dev));

	return (struct seen){ pfuse_read_file(device, stat_of.st_ino), pages, calloc(pages, 1),
			      calloc(pages, 1), 0 };
}

static void forget(struct seen *seen)
{
	free(seen->read);
	free(seen->added);
}

static void note(void *context, uint32_t hash, bool added)
{
	struct seen *seen = context;

	for (size_t i = 0; i < seen->pages; i++)
		if (pfuse_read_hash(seen->file, i) == hash) {
			seen->read[i]++;
			seen->added[i] += added;
			return;
		}
	seen->strangers++;
}

static size_t count_of(const unsigned char *bits, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += bits[i];
	return count;
}

static struct reads *open_for(const struct group *group)
{
	struct reads *reads = NULL;
	struct err err = { "" };

	if (group)
		watch(SLOT, group);
	cr_assert_eq(reads_open(probe, SLOT, proc_fd, &reads, &err), 0, "%s", err.text);
	return reads;
}

static struct reads_result take(struct reads *reads, struct seen *seen)
{
	struct reads_result result;

	reads_take(reads, note, seen, &result);
	return result;
}

Test(reads, exactly_the_pages_that_were_read_each_once)
{
	struct group *group = group_make(NULL, "reads");
	struct worker *worker = worker_start(group), *stranger = worker_start(NULL);

	make_file(PAGES);
	struct reads *reads = open_for(group);
	struct seen seen = see(PAGES);

	cr_assert(worker_do(worker, job_read_chosen, 3));
	worker_do(stranger, job_read_all, 1);
	struct reads_result result = take(reads, &seen);

	for (size_t i = 0; i < PAGES; i++)
		cr_assert_eq(seen.read[i], is_chosen(i), "page %zu", i);
	cr_expect_eq(count_of(seen.added, PAGES), 0, "they were in memory before");
	cr_expect_eq(result.sampled, count_of(seen.read, PAGES) + seen.strangers);
	cr_expect_lt(seen.strangers, 64, "files that the worker opened besides");
	cr_expect_eq(result.dropped, 0);
	forget(&seen);
	seen = see(PAGES);
	take(reads, &seen);
	cr_expect_eq(count_of(seen.read, PAGES), 0, "they are given once");
	forget(&seen);
	reads_close(reads);
	cr_expect_eq(probe_reads(probe)->users, 0);
}

Test(reads, large_reads_are_noted_whole)
{
	struct group *group = group_make(NULL, "large");
	struct worker *worker = worker_start(group);

	make_file(PAGES - 1); /* the last read goes beyond the end */
	struct reads *reads = open_for(group);
	struct seen seen = see(PAGES);

	cr_assert_eq(worker_do(worker, job_read_all, 64), PAGES - 1);
	take(reads, &seen);
	cr_expect_eq(count_of(seen.read, PAGES), PAGES - 1);
	cr_expect_eq(seen.read[PAGES - 1], 0, "beyond the end of the file");
	forget(&seen);
	reads_close(reads);
}

Test(reads, what_came_into_memory_since_is_told)
{
	struct group *group = group_make(NULL, "added");
	struct worker *worker = worker_start(group);
	struct reads *reads = open_for(group);

	cr_assert_eq(worker_do(worker, job_write, PAGES / 2), PAGES / 2);
	struct seen seen = see(PAGES);

	take(reads, &seen); /* not read yet: kept for the next */
	cr_expect_eq(count_of(seen.read, PAGES), 0);
	worker_do(worker, job_read_all, 1);
	take(reads, &seen);
	cr_expect_eq(count_of(seen.read, PAGES), PAGES / 2);
	cr_expect_eq(count_of(seen.added, PAGES), PAGES / 2);
	forget(&seen);
	reads_close(reads);
}

Test(reads, nothing_is_attached_while_all_rest)
{
	struct group *group = group_make(NULL, "rest");
	struct worker *worker = worker_start(group);

	make_file(PAGES);
	struct reads *reads = open_for(group);
	struct seen seen = see(PAGES);

	reads_lower(reads, UINT32_MAX / 2);
	worker_do(worker, job_read_all, 1);
	reads_rest(reads);
	cr_expect_eq(probe_reads(probe)->users, 0);
	worker_do(worker, job_read_all, 1);
	cr_assert_eq(reads_resume(reads), 0);
	take(reads, &seen);
	cr_expect_eq(count_of(seen.read, PAGES), 0, "from before the rest, or in it");
	worker_do(worker, job_read_all, 1);
	take(reads, &seen);
	cr_expect(count_of(seen.read, PAGES) > PAGES / 3, "seen again");
	cr_expect(count_of(seen.read, PAGES) < PAGES * 2 / 3, "by the threshold from before");
	forget(&seen);
	reads_rest(reads);
	reads_close(reads);
	cr_expect_eq(probe_reads(probe)->users, 0);
}

Test(reads, a_process_is_followed_where_there_is_no_group)
{
	struct worker *worker = worker_start(NULL), *other = worker_start(NULL);

	make_file(PAGES);
	struct reads *reads = open_for(NULL);
	struct seen seen = see(PAGES);

	cr_assert_eq(reads_follow(reads, &worker->pid, 1), 0);
	worker_do(other, job_read_all, 1);
	take(reads, &seen);
	cr_expect_eq(count_of(seen.read, PAGES), 0);
	worker_do(worker, job_read_chosen, 1);
	take(reads, &seen);
	for (size_t i = 0; i < PAGES; i++)
		cr_assert_eq(seen.read[i], is_chosen(i), "page %zu", i);
	forget(&seen);
	reads_close(reads);
}

Test(reads, of_more_pages_than_have_room_a_sample_is_noted)
{
	struct group *group = group_make(NULL, "sample");
	struct worker *worker = worker_start(group);

	make_file(BIG_PAGES);
	struct reads *reads = open_for(group);
	struct seen seen = see(0); /* by their number is enough */

	cr_assert_eq(worker_do(worker, job_read_all, 64), BIG_PAGES);
	struct reads_result result = take(reads, &seen);
	double share = reads_threshold(reads) / 4294967296.0, wanted = BIG_PAGES * share;

	cr_expect(share > 0.05 && share < 0.5, "%g", share);
	cr_expect(result.sampled > wanted * 0.9 && result.sampled < wanted * 1.1, "%u of %g",
		  result.sampled, wanted);
	cr_expect_lt(result.dropped, BIG_PAGES / 500, "%lu", result.dropped);
	forget(&seen);
	reads_close(reads);
}

Test(reads, a_mapped_page_is_left_to_the_page_tables)
{
	struct group *group = group_make(NULL, "mapped");
	struct worker *worker = worker_start(group);
	static struct pagescan_result result;
	struct pagescan *scan = NULL;
	struct err err = { "" };

	make_file(PAGES);
	struct reads *reads = open_for(group);
	const struct pagescan_target target = {
		.proc_fd = proc_fd,
		.group_fd = open(group->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
	};
	const struct pagescan_turn turn = { .now = 2, .rate = 16 };

	cr_assert_eq(pagescan_open(probe, &target, &scan, &err), 0, "%s", err.text);
	pagescan_note_mappings(scan, reads_note_mapping, reads);
	cr_assert(worker_do(worker, job_map_half, PAGES));
	cr_assert_eq(worker_do(worker, job_read_all, 16), PAGES);
	reads_begin(reads);
	cr_assert_eq(pagescan_epoch(scan, &turn, &result, &err), 0, "%s", err.text);
	struct seen seen = see(PAGES);
	struct reads_result taken = take(reads, &seen);
	size_t first = count_of(seen.read, PAGES / 2),
	       second = count_of(seen.read + PAGES / 2, PAGES / 2);

	/* The kernel maps the neighbours of a page with it, up to 16. */
	cr_expect_eq(first, 0);
	cr_expect(second >= PAGES / 2 - 16, "%zu", second);
	cr_expect_geq(taken.mapped, PAGES / 2);
	forget(&seen);
	pagescan_close(scan);
	close(target.group_fd);
	reads_close(reads);
}
