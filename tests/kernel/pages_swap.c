/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A page that is swapped keeps its place: when it is touched again, it comes back with the tag that it had. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "edge/pages_advise.h"
#include "edge/pagescan.h"
#include "rig.h"

#define PAGE 4096UL
#define PAGES 4096
#define MOST (PAGES - PAGES / 16)
#define FIRST_TAG 2

static void open_pages(void)
{
	rig_parts = PROBE_PAGES | PROBE_ALONE;
	rig_init();
	watch_open(1);
}

TestSuite(pages_swap, .init = open_pages, .fini = rig_fini);

static char *memory; /* of the worker */

static long job_touch_all(long arg)
{
	if (!memory) {
		memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		madvise(memory, PAGES * PAGE, MADV_NOHUGEPAGE);
	}
	for (size_t i = 0; i < PAGES; i++)
		memory[i * PAGE]++;
	return 0;
}

static long job_page_out(long arg)
{
	return madvise(memory, PAGES * PAGE, MADV_PAGEOUT);
}

static bool has_swap(void)
{
	char line[256];
	int lines = 0;
	FILE *swaps = fopen("/proc/swaps", "re");

	while (swaps && fgets(line, sizeof(line), swaps))
		lines++;
	if (swaps)
		fclose(swaps);
	return lines > 1;
}

static struct pagescan_result result;

static void turn(struct pagescan *scan, uint16_t now)
{
	const struct pagescan_turn turn = { .now = now, .rate = 1 };
	struct err err = { "" };

	cr_assert_eq(pagescan_epoch(scan, &turn, &result, &err), 0, "%s", err.text);
}

static size_t with_tag(const uint32_t counts[2][PAGESCAN_TAGS], uint16_t tag)
{
	return counts[0][tag] + counts[1][tag];
}

/* A group with one process, and what scans it. */
struct scanned {
	struct worker *worker;
	int group_fd, proc_fd;
	struct pagescan *scan;
};

static struct scanned scan_open(void)
{
	struct group *group = group_make(NULL, "swap");
	struct scanned s = {
		.worker = worker_start(group),
		.group_fd = open(group->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
	};
	const struct pagescan_target target = { .proc_fd = s.proc_fd, .group_fd = s.group_fd };
	struct err err = { "" };

	cr_assert_eq(pagescan_open(probe, &target, &s.scan, &err), 0, "%s", err.text);
	return s;
}

static void scan_close(const struct scanned *s)
{
	pagescan_close(s->scan);
	close(s->group_fd);
	close(s->proc_fd);
}

Test(pages_swap, a_swapped_page_keeps_its_place)
{
	if (!has_swap())
		RIG_SKIP("no swap");
	struct scanned s = scan_open();

	turn(s.scan, FIRST_TAG);
	worker_do(s.worker, job_touch_all, 0);
	turn(s.scan, FIRST_TAG + 1);
	cr_expect_geq(with_tag(result.counts.touched, PAGESCAN_NEVER), PAGES, "new pages");
	cr_assert_eq(worker_do(s.worker, job_page_out, 0), 0);
	turn(s.scan, FIRST_TAG + 2);
	cr_assert_geq(result.swapped_pages, MOST, "%lu are swapped", result.swapped_pages);
	cr_expect_lt(with_tag(result.counts.left, FIRST_TAG + 1), PAGES / 16);
	worker_do(s.worker, job_touch_all, 0);
	turn(s.scan, FIRST_TAG + 3);
	cr_expect_geq(with_tag(result.counts.touched, FIRST_TAG + 1), MOST,
		      "%zu came back with their tag",
		      with_tag(result.counts.touched, FIRST_TAG + 1));
	cr_expect_lt(result.swapped_pages, PAGES / 16);
	scan_close(&s);
}

/* What stands in where the kernel has neither memory.reclaim nor memory.force_empty. */
Test(pages_swap, the_fallback_moves_the_memory_of_a_group_out)
{
	if (!has_swap())
		RIG_SKIP("no swap");
	struct scanned s = scan_open();
	uint64_t bytes = 0;

	worker_do(s.worker, job_touch_all, 0);
	turn(s.scan, FIRST_TAG);
	cr_expect_lt(result.swapped_pages, PAGES / 16);
	cr_assert_eq(pages_advise(s.proc_fd, s.group_fd, &bytes), 0);
	cr_expect_geq(bytes, PAGES * PAGE);
	turn(s.scan, FIRST_TAG + 1);
	cr_expect_geq(result.swapped_pages, MOST, "%lu are swapped", result.swapped_pages);
	scan_close(&s);
}
