/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "edge/reclaim.h"
#include "made_up.h"

static const char v2_stat[] =
	"anon 1000000\nfile 5000000\nkernel 900000\nkernel_stack 10000\n"
	"pagetables 20000\nsec_pagetables 1\npercpu 300\nsock 4\nshmem 50000\n"
	"unevictable 600000\nslab_reclaimable 77777\nslab_unreclaimable 80000\n"
	"workingset_refault_anon 7\nworkingset_refault_file 30\n"
	"pgsteal_kswapd 11\npgsteal_direct 999\n";

static const char v1_stat[] = "cache 1\nrss 2\nshmem 3\nunevictable 4\nworkingset_refault_anon 5\n"
			      "workingset_refault_file 6\ntotal_cache 10\ntotal_rss 4000000\n"
			      "total_shmem 30000\ntotal_unevictable 600000\n";

/* From here on the machine has a proc/meminfo of its own. */
static void swap_is(struct made_up *m, const char *line)
{
	char text[128];

	if (!made_up_has(m, "proc")) {
		made_up_dir(m, "proc");
		snprintf(text, sizeof(text), "%s/proc", m->dir);
		close(m->tree.proc_fd);
		m->tree.proc_fd = open(text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}

	snprintf(text, sizeof(text), "MemTotal:  100 kB\nSwapTotal: 9 kB\n%s\nDirty: 3 kB\n", line);
	made_up_write(m, "proc/meminfo", text);
}

Test(reclaim, looks_at_v2)
{
	struct reclaim_facts f;
	struct made_up m;
	struct cgroup group;

	made_up_new(&m, V2);
	made_up_group(&m, "g", &group);
	made_up_write(&m, "v2/g/memory.stat", v2_stat);
	made_up_write(&m, "v2/g/memory.pressure",
		      "some avg10=0.00 avg60=0.00 avg300=0.00 total=42\nfull total=1\n");
	swap_is(&m, "SwapFree:       2048 kB");
	cr_assert_eq(reclaim_look(&m.tree, &group, &f), 0);
	cr_expect_eq(f.anon_bytes, 1050000, "shared memory too");
	cr_expect_eq(f.unreclaimable_bytes, 10000 + 20000 + 1 + 300 + 4 + 80000 + 600000);
	cr_expect_eq(f.refaults, 37);
	cr_expect_eq(f.host_reclaimed, 11);
	cr_expect_eq(f.stall_ns, 42000);
	cr_expect(f.tells_harm);
	cr_expect_eq(f.swap_free_bytes, 2048 * 1024, "no limit of its own");
	made_up_write(&m, "v2/g/memory.swap.max", "1000000\n");
	made_up_write(&m, "v2/g/memory.swap.current", "400000\n");
	cr_assert_eq(reclaim_look(&m.tree, &group, &f), 0);
	cr_expect_eq(f.swap_free_bytes, 600000);
	made_up_write(&m, "v2/g/memory.swap.max", "max\n");
	cr_assert_eq(reclaim_look(&m.tree, &group, &f), 0);
	cr_expect_eq(f.swap_free_bytes, 2048 * 1024);
	made_up_write(&m, "v2/g/memory.swap.max", "0\n");
	cr_assert_eq(reclaim_look(&m.tree, &group, &f), 0);
	cr_expect_eq(f.swap_free_bytes, 0);
	cgroup_close(&group);
	made_up_free(&m);
}

Test(reclaim, looks_at_v1)
{
	struct reclaim_facts f;
	struct made_up m;
	struct cgroup group;

	made_up_new(&m, V1);
	made_up_group(&m, "g", &group);
	made_up_write(&m, "v1/memory/g/memory.stat", v1_stat);
	made_up_write(&m, "v1/memory/g/memory.swappiness", "60\n");
	swap_is(&m, "SwapFree:       2048 kB");
	cr_assert_eq(reclaim_look(&m.tree, &group, &f), 0);
	cr_expect_eq(f.anon_bytes, 4030000);
	cr_expect_eq(f.unreclaimable_bytes, 600000);
	cr_expect_eq(f.refaults, 11);
	cr_expect_eq(f.stall_ns, 0);
	cr_expect(f.tells_harm, "refaults are enough");
	cr_expect_eq(f.swap_free_bytes, 2048 * 1024);
	cr_expect(!reclaim_available(&m.tree, &group));
	made_up_write(&m, "v1/memory/g/memory.swappiness", "0\n");
	cr_assert_eq(reclaim_look(&m.tree, &group, &f), 0);
	cr_expect_eq(f.swap_free_bytes, 0);
	cgroup_close(&group);
	made_up_free(&m);
}

Test(reclaim, says_what_is_not_told)
{
	struct reclaim_facts f = { .refaults = 77 };
	struct made_up m;
	struct cgroup group;

	made_up_new(&m, V2);
	made_up_group(&m, "g", &group);
	made_up_remove(&m, "v2/g/memory.stat");
	cr_expect_eq(reclaim_look(&m.tree, &group, &f), -ENOENT);
	cr_expect_eq(f.refaults, 77, "untouched");
	made_up_remove(&m, "v2/g/memory.pressure");
	made_up_write(&m, "v2/g/memory.stat", "anon 5\n");
	cr_assert_eq(reclaim_look(&m.tree, &group, &f), 0);
	cr_expect(!f.tells_harm);
	swap_is(&m, "SwapFree: lots");
	cr_assert_eq(reclaim_look(&m.tree, &group, &f), 0);
	cr_expect_eq(f.swap_free_bytes, 0);
	cgroup_close(&group);
	made_up_free(&m);
}

/* The thread that waits is left out. */
static int step(struct reclaim *reclaim)
{
	struct slow_write_result result = { 0 };
	struct slow_write_job job;
	int r = reclaim_next(reclaim, &job);

	if (r <= 0)
		return r;
	result.result = fd_write_at(job.dirfd, job.file, job.text);
	if (job.after[0])
		result.after = fd_write_at(job.dirfd, job.file, job.after);
	return reclaim_written(reclaim, &result);
}

/* The kernel's part: what was asked for is in the file, and the usage is what the test says. */
Test(reclaim, slice_by_slice_down_to_the_mark)
{
	struct made_up m;
	struct cgroup group;
	struct reclaim r;

	made_up_new(&m, V2);
	made_up_group(&m, "g", &group);
	made_up_write(&m, "v2/g/memory.reclaim", "");
	made_up_write(&m, "v2/g/memory.current", "20000000\n");
	cr_expect(reclaim_available(&m.tree, &group));
	cr_assert_eq(reclaim_begin(&(struct reclaim_target){ &m.tree, &group, NULL, NULL },
				   13000000, &r), 0);
	made_up_write(&m, "v2/g/memory.current", "15800000\n");
	cr_expect_eq(step(&r), 1);
	cr_expect_str_eq(made_up_read(&m, "v2/g/memory.reclaim"), "1048576");
	r.slice_bytes = 4 << 20;
	made_up_write(&m, "v2/g/memory.current", "12999999\n");
	cr_expect_eq(step(&r), 0);
	cr_expect(strncmp(made_up_read(&m, "v2/g/memory.reclaim"), "2800000", 7) == 0,
		  "the rest: %s", made_up_read(&m, "v2/g/memory.reclaim"));
	cr_expect_eq(r.before_bytes, 20000000);
	cr_expect_eq(r.after_bytes, 12999999);
	made_up_write(&m, "v2/g/memory.reclaim", "untouched");
	cr_expect_eq(step(&r), 0, "there already");
	cr_expect_str_eq(made_up_read(&m, "v2/g/memory.reclaim"), "untouched");
	cgroup_close(&group);
	made_up_free(&m);
}

Test(reclaim, fails_without_the_file)
{
	struct made_up m;
	struct cgroup group;
	struct reclaim r;

	made_up_new(&m, V2);
	made_up_group(&m, "g", &group);
	made_up_write(&m, "v2/g/memory.current", "20000000\n");
	cr_expect(!reclaim_available(&m.tree, &group));
	const struct reclaim_target target = { &m.tree, &group, NULL, NULL };

	cr_assert_eq(reclaim_begin(&target, 1000000, &r), 0);
	cr_expect_eq(step(&r), -ENOENT);
	made_up_remove(&m, "v2/g/memory.current");
	cr_expect(reclaim_begin(&target, 1000000, &r) < 0);
	cgroup_close(&group);
	made_up_free(&m);
}

/* How the next slice follows from how long the last one took: it is never written all at once. */
Test(reclaim, slices_grow_and_shrink_with_what_they_take)
{
	struct made_up m;
	struct cgroup group;
	struct reclaim r;
	uint64_t usage = 400 << 20, largest = 0;
	char text[32];

	made_up_new(&m, V2);
	made_up_group(&m, "g", &group);
	made_up_write(&m, "v2/g/memory.reclaim", "");
	made_up_write(&m, "v2/g/memory.current", "419430400\n");
	const struct reclaim_target target = { &m.tree, &group, NULL, NULL };

	cr_assert_eq(reclaim_begin(&target, 1 << 20, &r), 0);
	for (unsigned int i = 0; i < 20; i++) {
		largest = r.slice_bytes > largest ? r.slice_bytes : largest;
		snprintf(text, sizeof(text), "%" PRIu64 "\n", usage -= 1 << 20);
		made_up_write(&m, "v2/g/memory.current", text);
		cr_assert_eq(step(&r), 1);
	}
	cr_expect_eq(largest, 4 << 20, "a made-up file takes no time");
	cgroup_close(&group);
	made_up_free(&m);
}

/* v1: by a limit that is gone again when the call returns. */
Test(reclaim, dips_into_a_limit_on_v1)
{
	struct control_ram ram;
	struct made_up m;
	struct cgroup group;
	struct reclaim r;

	made_up_new(&m, V1);
	made_up_group(&m, "g", &group);
	made_up_remove(&m, "v1/memory/g/memory.oom_control");
	made_up_write(&m, "v1/memory/g/memory.limit_in_bytes", "30003200\n");
	made_up_write(&m, "v1/memory/g/memory.usage_in_bytes", "20000000\n");
	made_up_ledger(&m);
	cr_assert_eq(control_ram_prepare(&m.tree, &group, m.ledger, &ram), 0);
	cr_assert_eq(ledger_commit(m.ledger), 0);
	const struct reclaim_target target = { &m.tree, &group, m.ledger, &ram };

	cr_assert_eq(reclaim_begin(&target, 13000000, &r), 0);
	cr_expect_eq(step(&r), 1);
	cr_expect_str_eq(made_up_read(&m, "v1/memory/g/memory.limit_in_bytes"), "30003200");
	made_up_write(&m, "v1/memory/g/memory.usage_in_bytes", "12000000\n");
	cr_expect_eq(step(&r), 0);
	made_up_write(&m, "v1/memory/g/memory.limit_in_bytes", "25006080\n");
	cr_assert_eq(reclaim_begin(&target, 5000000, &r), 0);
	cr_expect_eq(step(&r), -ESTALE, "somebody else's limit");
	cr_expect_str_eq(made_up_read(&m, "v1/memory/g/memory.limit_in_bytes"), "25006080");
	cgroup_close(&group);
	made_up_free(&m);
}
