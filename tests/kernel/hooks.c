/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The table of hooks is consistent, the probe opens in both sizes, and closing leaves nothing behind. */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rig.h"

TestSuite(hooks, .fini = rig_fini);

static size_t count_fds(void)
{
	DIR *fds = opendir("/proc/self/fd");
	size_t count = 0;

	while (readdir(fds))
		count++;
	closedir(fds);
	return count;
}

static bool programs_are_gone(void *context)
{
	const struct ids *ids = context;

	return !ids_alive(ids, bpf_prog_get_fd_by_id);
}

static bool maps_are_gone(void *context)
{
	const struct ids *ids = context;

	return !ids_alive(ids, bpf_map_get_fd_by_id);
}

static const struct probe_hook *row(const struct probe_hook *hooks, int count, const char *program)
{
	for (int i = 0; i < count; i++)
		if (!strcmp(hooks[i].program, program))
			return &hooks[i];
	return NULL;
}

Test(hooks, each_row_is_available_or_says_why)
{
	struct probe_hook hooks[PROBE_HOOKS_MAX];
	int count = probe_hooks(hooks);

	cr_assert(count > 0 && count <= PROBE_HOOKS_MAX);
	for (int i = 0; i < count; i++) {
		const struct probe_hook *hook = &hooks[i];

		cr_expect(hook->available == !hook->err && hook->err <= 0, "%s", hook->program);
		cr_expect(hook->attach && hook->observes && hook->lack, "%s", hook->program);
		cr_expect(!hook->required || hook->available, "%s: %d", hook->program, hook->err);
		cr_expect(!hook->used || hook->available, "%s", hook->program);
	}
}

Test(hooks, a_stand_in_is_used_only_without_the_better_one)
{
	struct probe_hook hooks[PROBE_HOOKS_MAX];
	int count = probe_hooks(hooks);

	for (int i = 0; i < count; i++) {
		const char *better = hooks[i].stands_in_for;
		const struct probe_hook *first = better ? row(hooks, count, better) : NULL;

		cr_expect(!better || first, "%s stands in for no row", hooks[i].program);
		bool expected = hooks[i].available && !(first && first->available);

		cr_expect(hooks[i].used == expected, "%s", hooks[i].program);
	}
	const struct probe_hook *task = row(hooks, count, "on_oom_victim");
	const struct probe_hook *pid = row(hooks, count, "on_oom_victim_pid");

	cr_expect(!(task->available && pid->available), "mark_victim has one signature");
}

static void open_use_close(uint32_t slots)
{
	struct probe_hook hooks[PROBE_HOOKS_MAX];
	size_t used = 0, fds = count_fds();
	int count = probe_hooks(hooks);

	for (int i = 0; i < count; i++)
		used += hooks[i].used;
	cr_expect(count_fds() == fds, "probe_hooks() leaks file descriptors");
	rig_parts = PROBE_ALL;
	rig_spans = true;
	watch_open(slots);
	struct ids progs = ids_of_programs(), maps = ids_of_maps(&progs);

	cr_expect(progs.count == used, "%zu attached of %zu", progs.count, used);
	cr_expect_geq(maps.count, 7);
	cr_expect_eq(ids_alive(&progs, bpf_prog_get_fd_by_id), used);
	cr_expect_eq(ids_alive(&maps, bpf_map_get_fd_by_id), maps.count);
	cr_expect(probe_memory_bytes(probe) > slots * sizeof(struct pfuse_group));
	watch_close();
	cr_expect(count_fds() == fds, "probe_close() leaks file descriptors");
	cr_expect(poll_until(programs_are_gone, &progs), "programs stay after probe_close()");
	cr_expect(poll_until(maps_are_gone, &maps), "maps stay after probe_close()");
}

Test(hooks, one_slot)
{
	open_use_close(1);
}

Test(hooks, two_thousand_slots)
{
	open_use_close(2000);
}

Test(hooks, the_last_slot_works_and_the_next_is_refused)
{
	watch_open(2000);
	cr_expect_eq(probe_manage(probe, 2000, 1, 900), 0);
	cr_expect_eq(probe_manage(probe, 2001, 1, 900), -EINVAL);
	cr_expect_eq(probe_manage(probe, 0, 1, 900), -EINVAL);
	cr_expect_eq(probe_manage(probe, 1, 0, 900), -EINVAL);
	cr_expect_eq(probe_unmanage(probe, 1), -EINVAL);
	cr_expect_eq(probe_unmanage(probe, 2000), 0);
	cr_expect_eq(probe_unmanage(probe, 2000), -EINVAL);
}

/* As many groups as were asked for fit: the hash of managed groups has no element less than that. */
Test(hooks, all_slots_can_be_managed_at_once)
{
	watch_open(2000);
	for (uint32_t slot = 1; slot <= 2000; slot++)
		cr_assert_eq(probe_manage(probe, slot, (1ULL << 60) + slot, 900), 0, "slot %u",
			     slot);
}

Test(hooks, closing_nothing_is_allowed)
{
	probe_close(NULL);
}
