/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "edge/pages.h"
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

Test(pages, says_what_the_kernel_lacks)
{
	struct made_up m;
	struct cgroup group;
	struct pages pages = { .fd = -1 };
	struct err err = { "" };

	made_up_new(&m, HYBRID);
	made_up_group(&m, "g", &group);
	made_up_write(&m, "v1/memory/g/memory.usage_in_bytes", "1\n");
	cr_expect_eq(pages_begin(&m.tree, &group, &pages, &err), -EOPNOTSUPP);
	cr_expect(strstr(err.text, "memory.force_empty"), "%s", err.text);
	cr_expect_eq(pages.fd, -1, "untouched");
	cgroup_close(&group);
	made_up_free(&m);
}
