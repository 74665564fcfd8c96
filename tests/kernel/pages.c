/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The page tables of a process say which of its pages were touched, exactly; clearing leaves huge pages
 * whole; what processes share counts once; a process may end at any moment.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "edge/pagescan_inside.h"
#include "rig.h"

#define PAGE 4096UL
#define HUGE (2 * MIB)
#define PAGES 4096
#define FIRST_TAG 2

static void open_pages(void)
{
	rig_parts = PROBE_PAGES | PROBE_ALONE;
	rig_init();
	watch_open(1);
}

TestSuite(pages, .init = open_pages, .fini = rig_fini);

/* Of the worker: where the jobs below put the memory that they touch. */
static char *memory;
static size_t memory_bytes;

static char *map_aligned(size_t bytes, int flags, int fd)
{
	char *at = mmap(NULL, bytes + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *start = (char *)(((uintptr_t)at + HUGE - 1) & ~(HUGE - 1));

	memory_bytes = bytes;
	return mmap(start, bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0);
}

/*
 * The kernel puts new pages on its lists some dozens at a time, and before that MADV_COLD passes them over
 * (seen on 6.1): others push them there.
 */
static void push_out(void)
{
	char *others = mmap(NULL, MIB, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (others != MAP_FAILED)
		munmap(others, MIB);
}

static long map_and_touch(size_t pages, int flags, int fd, int advice)
{
	memory = map_aligned(pages * PAGE, flags, fd);
	if (memory == MAP_FAILED || madvise(memory, memory_bytes, advice) < 0)
		return 0;
	for (size_t i = 0; i < pages; i++)
		memory[i * PAGE] = 1;
	push_out();
	return (long)memory;
}

static long job_map_small(long arg)
{
	return map_and_touch(PAGES, MAP_PRIVATE | MAP_ANONYMOUS, -1, MADV_NOHUGEPAGE);
}

/* So much that what else the process has does not matter. */
static long job_map_large(long arg)
{
	return map_and_touch(8 * PAGES, MAP_PRIVATE | MAP_ANONYMOUS, -1, MADV_NOHUGEPAGE);
}

static long job_map_huge(long arg)
{
	return map_and_touch(PAGES, MAP_PRIVATE | MAP_ANONYMOUS, -1, MADV_HUGEPAGE);
}

static long job_map_file(long arg)
{
	char name[] = "/tmp/pfuse-test-pages-XXXXXX";
	int fd = mkstemp(name);

	if (fd < 0 || unlink(name) < 0 || ftruncate(fd, PAGES * PAGE) < 0)
		return 0;
	return map_and_touch(PAGES, MAP_SHARED, fd, MADV_NORMAL);
}

static long job_map_shared(long arg)
{
	return map_and_touch(PAGES, MAP_SHARED | MAP_ANONYMOUS, -1, MADV_NORMAL);
}

/* A set that no regular mistake produces. */
static bool is_chosen(size_t page)
{
	return (page * 2654435761u >> 16 & 7) < 3;
}

static long job_touch_chosen(long arg)
{
	for (size_t i = 0; i < memory_bytes / PAGE; i++)
		if (is_chosen(i))
			((volatile char *)memory)[i * PAGE];
	return 0;
}

static long job_touch_all(long arg)
{
	for (size_t i = 0; i < memory_bytes / PAGE; i++)
		memory[i * PAGE]++;
	return 0;
}

static long job_touch_one_huge(long which)
{
	memory[(size_t)which * HUGE + 12345]++;
	return 0;
}

/* What the page tables say of [from, from + pages). */
struct seen {
	uint64_t from;
	size_t pages;
	unsigned char *present, *touched;
	size_t huge;
};

static int note_slice(struct reader *reader, void *what)
{
	const struct probe_pages *pages = reader->pages;
	struct seen *seen = what;

	for (uint32_t r = 0; r < pages->walk->records; r++) {
		const struct pfuse_page_record *record = &pages->records[r];
		uint64_t first = (reader_address(reader, record) - seen->from) / PAGE;

		for (size_t i = 0; i < record->count && first < seen->pages; i++) {
			uint64_t entry = record->entries[record->huge ? 0 : i];

			if (first + i >= seen->pages)
				break;
			seen->present[first + i] = entry & 1;
			seen->touched[first + i] = entry >> 5 & 1;
			seen->huge += record->huge;
		}
	}
	return 0;
}

static struct reader *aim_at(const struct worker *worker)
{
	static struct reader reader;
	struct err err = { "" };

	memset(&reader, 0, sizeof(reader));
	reader.pages = probe_pages(probe);
	cr_assert(reader.pages, "the kernel has no page-table programs");
	cr_assert_eq(reader_prepare(reader.pages, &err), 0, "%s", err.text);
	reader.pid = worker->pid;
	reader.pidfd = (int)syscall(SYS_pidfd_open, worker->pid, 0);
	return &reader;
}

static struct seen look(const struct worker *worker, uint64_t from, size_t pages)
{
	struct reader *reader = aim_at(worker);
	const struct source source = { .space = 1 };
	struct seen seen = { from, pages, calloc(pages, 1), calloc(pages, 1), 0 };

	cr_assert_eq(reader_walk(reader, &source, 0, note_slice, &seen), 0);
	close(reader->pidfd);
	return seen;
}

static void forget(struct seen *seen)
{
	free(seen->present);
	free(seen->touched);
}

static size_t count_of(const unsigned char *bits, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += bits[i];
	return count;
}

static void clear(const struct worker *worker, uint64_t from, size_t bytes)
{
	struct iovec range = { (void *)from, bytes };
	int pidfd = (int)syscall(SYS_pidfd_open, worker->pid, 0);

	cr_assert_eq(clear_ranges(pidfd, &range, 1), 0);
	close(pidfd);
}

static void expect_exactly_the_chosen(worker_job *map)
{
	struct worker *worker = worker_start(NULL);
	uint64_t at = (uint64_t)worker_do(worker, map, 0);

	cr_assert(at);
	struct seen seen = look(worker, at, PAGES);

	cr_expect_eq(count_of(seen.present, PAGES), PAGES);
	cr_expect_eq(count_of(seen.touched, PAGES), PAGES);
	forget(&seen);
	clear(worker, at, PAGES * PAGE);
	seen = look(worker, at, PAGES);
	cr_expect_eq(count_of(seen.touched, PAGES), 0, "all is cleared");
	forget(&seen);
	worker_do(worker, job_touch_chosen, 0);
	seen = look(worker, at, PAGES);
	for (size_t i = 0; i < PAGES; i++)
		cr_assert(seen.touched[i] == is_chosen(i), "page %zu: touched %d, seen %d", i,
			  is_chosen(i), seen.touched[i]);
	forget(&seen);
}

Test(pages, the_direct_map_is_found)
{
	const struct probe_pages *pages = probe_pages(probe);
	struct err err = { "" };

	cr_assert(pages);
	cr_assert_eq(reader_prepare(pages, &err), 0, "%s", err.text);
	cr_expect(pages->walk->base >> 63 && pages->walk->base % (1ull << 30) == 0);
	printf("%d levels of page tables\n", pages->walk->five ? 5 : 4);
}

Test(pages, anonymous_memory_tells_exactly_what_was_touched)
{
	expect_exactly_the_chosen(job_map_small);
}

Test(pages, a_mapped_file_tells_exactly_what_was_touched)
{
	expect_exactly_the_chosen(job_map_file);
}

static size_t huge_kib(pid_t pid)
{
	char path[40], line[128];
	size_t kib, sum = 0;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	FILE *file = fopen(path, "re");

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "AnonHugePages: %zu kB", &kib) == 1)
			sum += kib;
	if (file)
		fclose(file);
	return sum;
}

static struct pagescan *scan_group(const struct group *group, int *ret_fd)
{
	struct pagescan *scan = NULL;
	struct err err = { "" };

	*ret_fd = open(group->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	static int proc_fd;

	proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct pagescan_target target = { .proc_fd = proc_fd, .group_fd = *ret_fd };

	cr_assert_eq(pagescan_open(probe, &target, &scan, &err), 0, "%s", err.text);
	return scan;
}

static struct pagescan_result *turn(struct pagescan *scan, uint16_t now, uint32_t rate)
{
	static struct pagescan_result result;
	struct err err = { "" };
	int r = pagescan_epoch(scan, &(struct pagescan_turn){ .now = now, .rate = rate }, &result,
			       &err);

	cr_assert_eq(r, 0, "%s", err.text);
	return &result;
}

static size_t touched_in(const struct pagescan_result *result)
{
	size_t sum = 0;

	for (int half = 0; half < 2; half++)
		for (int tag = 0; tag < PAGESCAN_TAGS; tag++)
			sum += result->counts.touched[half][tag];
	return sum;
}

Test(pages, huge_pages_stay_whole_and_tell_which_of_them_was_touched)
{
	struct group *group = group_make(NULL, "huge");
	struct worker *worker = worker_start(group);
	uint64_t at = (uint64_t)worker_do(worker, job_map_huge, 0);
	size_t before = huge_kib(worker->pid), regions = PAGES * PAGE / HUGE;
	int fd;

	if (before < PAGES * PAGE / 1024)
		RIG_SKIP("the kernel gives no huge pages here: %zu KiB", before);
	struct pagescan *scan = scan_group(group, &fd);

	for (uint16_t now = FIRST_TAG; now < FIRST_TAG + 6; now++)
		turn(scan, now, now & 1 ? 1 : 16);
	cr_expect_eq(huge_kib(worker->pid), before, "huge pages were split");
	turn(scan, FIRST_TAG + 6, 1);
	worker_do(worker, job_touch_one_huge, 3);
	struct seen seen = look(worker, at, PAGES);

	cr_expect_eq(seen.huge, PAGES);
	for (size_t i = 0; i < regions; i++)
		cr_expect(seen.touched[i * 512] == (i == 3), "huge page %zu", i);
	forget(&seen);
	pagescan_close(scan);
	close(fd);
}

static pid_t child;

/* A copy of the worker that sleeps. */
static long job_fork(long arg)
{
	child = fork();
	if (!child) {
		pause();
		_exit(0);
	}
	return child;
}

Test(pages, what_a_fork_shares_counts_once)
{
	struct group *group = group_make(NULL, "fork");
	struct worker *worker = worker_start(group);
	int fd;

	cr_assert(worker_do(worker, job_map_small, 0));
	struct pagescan *scan = scan_group(group, &fd);
	uint64_t alone = turn(scan, FIRST_TAG, 1)->pages;

	cr_expect_geq(alone, PAGES);
	for (int i = 0; i < 3; i++)
		worker_do(worker, job_fork, 0);
	struct pagescan_result *result = turn(scan, FIRST_TAG + 1, 1);

	cr_expect_eq(result->processes, 4);
	cr_expect_lt(result->pages, alone + alone / 8, "%lu alone, %lu with three children", alone,
		     result->pages);
	/* Written to: now there are two of each. */
	worker_do(worker, job_touch_all, 0);
	result = turn(scan, FIRST_TAG + 2, 1);
	cr_expect_geq(result->pages, alone + PAGES);
	cr_expect_lt(result->pages, alone + PAGES + alone / 8);
	pagescan_close(scan);
	close(fd);
}

Test(pages, memory_shared_by_two_processes_counts_once_and_is_cleared_in_the_end)
{
	struct group *group = group_make(NULL, "shared");
	struct worker *worker = worker_start(group);
	int fd;
	uint16_t now = FIRST_TAG;
	struct pagescan_result *result;

	cr_assert(worker_do(worker, job_map_shared, 0));
	worker_do(worker, job_fork, 0);
	struct pagescan *scan = scan_group(group, &fd);

	uint64_t pages = turn(scan, now++, 1)->pages;

	cr_expect(pages >= PAGES && pages < 2 * PAGES, "%lu", pages);
	/* The child maps them as it touches them; the worker's entries alone can be cleared. */
	for (int i = 0; i < 6; i++) {
		worker_do(worker, job_touch_all, 0);
		result = turn(scan, now++, 1);
		cr_expect(result->pages >= PAGES && result->pages < 2 * PAGES);
		cr_expect_geq(touched_in(result), PAGES);
		cr_expect_lt(touched_in(result), PAGES + PAGES / 8);
	}
	result = turn(scan, now++, 1);
	cr_expect_lt(touched_in(result), PAGES / 8, "%zu touched by nobody", touched_in(result));
	pagescan_close(scan);
	close(fd);
}

Test(pages, of_a_sample_the_share_is_known)
{
	struct group *group = group_make(NULL, "share");
	struct worker *worker = worker_start(group);
	int fd;

	cr_assert(worker_do(worker, job_map_large, 0));
	struct pagescan *scan = scan_group(group, &fd);
	uint64_t all = turn(scan, FIRST_TAG, 1)->pages;
	struct pagescan_result *result = turn(scan, FIRST_TAG + 1, 8);

	cr_expect_eq(result->rate, 8);
	cr_expect(result->pages > all - all / 50 && result->pages < all + all / 50,
		  "%lu, by sample %lu", all, result->pages);
	cr_expect(result->sampled_pages < all / 4 && result->sampled_pages > all / 16, "%lu of %lu",
		  result->sampled_pages, all);
	cr_expect_leq(result->state_bytes, 192 * 1024);
	pagescan_close(scan);
	close(fd);
}

/* Of what the kernel need not give: the mapping alone is seen. */
static long job_map_hugetlb(long arg)
{
	void *at = mmap(NULL, 4 * HUGE, PROT_READ,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? 0 : 1;
}

Test(pages, memory_in_hugetlbfs_is_left_out_and_told)
{
	struct group *group = group_make(NULL, "hugetlb");
	struct worker *worker = worker_start(group);
	int fd;
	struct pagescan *scan = scan_group(group, &fd);

	cr_expect_eq(turn(scan, FIRST_TAG, 1)->hugetlb_bytes, 0);
	if (!worker_do(worker, job_map_hugetlb, 0))
		RIG_SKIP("this kernel has no hugetlbfs");
	uint64_t pages = turn(scan, FIRST_TAG + 1, 1)->pages;
	struct pagescan_result *result = turn(scan, FIRST_TAG + 2, 16);

	cr_expect_eq(result->hugetlb_bytes, 4 * HUGE);
	cr_expect_lt(result->pages, pages + 512, "%lu, before %lu", result->pages, pages);
	pagescan_close(scan);
	close(fd);
}

static long job_map_sparse(long arg)
{
	memory = map_aligned(1024 * MIB, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	if (memory == MAP_FAILED || madvise(memory, memory_bytes, MADV_NOHUGEPAGE) < 0)
		return 0;
	for (size_t at = 0; at < memory_bytes; at += HUGE)
		memory[at] = 1;
	return (long)memory;
}

struct killing {
	pid_t pid;
	unsigned int slices;
};

static int kill_after_two(struct reader *reader, void *what)
{
	struct killing *killing = what;

	if (++killing->slices == 2) {
		kill(killing->pid, SIGKILL);
		waitpid(killing->pid, NULL, 0);
	}
	return 0;
}

Test(pages, a_process_that_ends_during_a_walk_ends_the_walk)
{
	struct worker *worker = worker_start(NULL);

	cr_assert(worker_do(worker, job_map_sparse, 0));
	struct reader *reader = aim_at(worker);
	const struct source source = { .space = 1 };
	struct killing killing = { .pid = worker->pid };

	cr_expect_eq(reader_walk(reader, &source, 0, kill_after_two, &killing), -ESRCH);
	cr_expect_eq(killing.slices, 2);
	close(reader->pidfd);
}

Test(pages, a_group_whose_processes_end_is_told)
{
	struct group *group = group_make(NULL, "ends");
	struct worker *worker = worker_start(group), *other = worker_start(group);
	struct pagescan_result result;
	struct err err = { "" };
	int fd;

	cr_assert(worker_do(worker, job_map_small, 0));
	struct pagescan *scan = scan_group(group, &fd);

	cr_expect_eq(turn(scan, FIRST_TAG, 1)->processes, 2);
	worker_end(worker);
	struct pagescan_result *after = turn(scan, FIRST_TAG + 1, 1);

	cr_expect_eq(after->processes, 1);
	cr_expect_lt(after->pages, PAGES, "%lu pages are left", after->pages);
	worker_end(other);
	int r = pagescan_epoch(scan, &(struct pagescan_turn){ .now = FIRST_TAG + 2, .rate = 1 },
			       &result, &err);

	cr_expect_eq(r, -ESRCH);
	pagescan_close(scan);
	close(fd);
}
