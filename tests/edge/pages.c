/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "edge/pages.h"
#include "edge/pages_advise.h"
#include "made_up.h"

Test(pages, reclaims_slice_by_slice_until_usage_stays)
{
	struct made_up m;
	struct cgroup group;
	struct pages pages;
	struct err err;

	made_up_new(&m, V2);
	made_up_group(&m, "g", &group);
	made_up_write(&m, "v2/g/memory.current", "9000000\n");
	made_up_write(&m, "v2/g/memory.reclaim", "");
	cr_assert_eq(pages_begin(&m.tree, &group, &pages, &err), 0, "%s", err.text);
	cr_expect_eq(pages.before_bytes, 9000000);
	made_up_write(&m, "v2/g/memory.current", "5000000\n");
	cr_expect_eq(pages_step(&pages), 1, "it fell");
	cr_expect_str_eq(made_up_read(&m, "v2/g/memory.reclaim"), "4M");
	cr_expect_eq(pages.after_bytes, 5000000);
	cr_expect_eq(pages_step(&pages), 0, "it stays");
	made_up_remove(&m, "v2/g/memory.reclaim");
	cr_expect_eq(pages_step(&pages), -ENOENT);
	pages_end(&pages);
	cr_expect_eq(pages_step(&pages), 0);
	pages_end(&pages);
	cgroup_close(&group);
	made_up_free(&m);
}

static int step_to_the_end(struct pages *pages)
{
	int r = 1;

	for (int i = 0; r == 1 && i < 10000; i++) {
		r = pages_step(pages);
		clock_sleep_us(1000);
	}
	return r;
}

Test(pages, forces_empty_in_a_child)
{
	struct made_up m;
	struct cgroup group;
	struct pages pages;
	struct err err;

	made_up_new(&m, HYBRID);
	made_up_group(&m, "g", &group);
	made_up_write(&m, "v1/memory/g/memory.usage_in_bytes", "9000000\n");
	made_up_write(&m, "v1/memory/g/memory.force_empty", "");
	cr_assert_eq(pages_begin(&m.tree, &group, &pages, &err), 0, "%s", err.text);
	cr_expect_eq(step_to_the_end(&pages), 0);
	cr_expect_str_eq(made_up_read(&m, "v1/memory/g/memory.force_empty"), "0");
	cr_expect_eq(pages_step(&pages), 0, "once");
	pages_end(&pages);
	cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1, "no child is left");
	cgroup_close(&group);
	made_up_free(&m);
}

/* Neither file: each process is asked by itself, in a child. What that moves: tests/kernel/pages_swap.c. */
Test(pages, asks_process_by_process_where_nothing_else_is_to_be_had)
{
	struct made_up m;
	struct cgroup group;
	struct pages pages = { .fd = -1 };
	struct err err = { "" };

	made_up_new(&m, HYBRID);
	made_up_group(&m, "g", &group);
	made_up_write(&m, "v1/memory/g/memory.usage_in_bytes", "1\n");
	cr_assert(pages_advise_available());
	cr_expect_eq(pages_find_how(group.fd), PAGES_ADVISE);
	cr_assert_eq(pages_begin(&m.tree, &group, &pages, &err), 0, "%s", err.text);
	cr_expect_eq(step_to_the_end(&pages), 0, "an empty group");
	pages_end(&pages);
	made_up_write(&m, "v1/memory/g/memory.force_empty", "");
	cr_expect_eq(pages_find_how(group.fd), PAGES_FORCE_EMPTY);
	made_up_write(&m, "v1/memory/g/memory.reclaim", "");
	cr_expect_eq(pages_find_how(group.fd), PAGES_RECLAIM);
	cgroup_close(&group);
	made_up_free(&m);
}

Test(pages, advises_private_anonymous_memory_only)
{
	const size_t bytes = 8 << 20;
	uint64_t empty = 0, advised = 0;
	struct made_up m;
	struct cgroup group;
	char pid[16];

	made_up_new(&m, V2);
	made_up_group(&m, "g", &group);
	snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	made_up_write(&m, "v2/g/cgroup.procs", pid);
	int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	cr_assert_eq(pages_advise(proc, group.fd, &empty), 0);
	char *private = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	cr_assert(private != MAP_FAILED && shared != MAP_FAILED);
	cr_assert_eq(pages_advise(proc, group.fd, &advised), 0);
	cr_expect_geq(advised, empty + bytes);
	cr_expect_lt(advised, empty + 2 * bytes, "%lu after %lu", advised, empty);
	made_up_write(&m, "v2/g/cgroup.procs", "4194304\n");
	advised = 77;
	cr_expect_eq(pages_advise(proc, group.fd, &advised), 0, "a process that has ended");
	cr_expect_eq(advised, 0);
	munmap(private, bytes);
	munmap(shared, bytes);
	close(proc);
	cgroup_close(&group);
	made_up_free(&m);
}
