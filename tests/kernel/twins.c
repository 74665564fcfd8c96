/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "twins.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void hand_down(const struct cgroup_tree *tree, uint32_t controllers)
{
	for (unsigned int c = 0; c < CGROUP_CONTROLLERS; c++) {
		char path[300], text[32];

		if (!(controllers & CGROUP_BIT(c)) || tree->serves[c] != tree->v2 || tree->v2 < 0)
			continue;
		snprintf(path, sizeof(path), "%s/cgroup.subtree_control",
			 tree->hierarchies[tree->v2].path);
		snprintf(text, sizeof(text), "+%s", cgroup_controller_name(c));
		hierarchy_write(path, text);
	}
}

/* v1: a new cpuset takes no process before it has CPUs. */
static void fill_cpuset(const struct cgroup_hierarchy *hierarchy, const struct group *group)
{
	char command[PATH_MAX * 2 + 400];

	snprintf(command, sizeof(command),
		 "for f in cpuset.cpus cpuset.mems; do cat '%s'/$f >'%s'/$f; done", hierarchy->path,
		 group->path);
	cr_assert_eq(system(command), 0);
}

void twins_make(struct twins *twins, const char *name, uint32_t controllers)
{
	const struct ledger_options options = { .path = twins->ledger_path };
	const struct cgroup_hierarchy *anchor;
	struct err err = { "" };

	*twins = (struct twins){ .count = 0 };
	cr_assert(!cgroup_tree_open(NULL, &twins->tree, &err), "%s", err.text);
	hand_down(&twins->tree, controllers);
	anchor = &twins->tree.hierarchies[twins->tree.anchor];
	twins->groups[twins->count++] = group_make(NULL, name);

	const char *path = twins->groups[0]->path + strlen(anchor->path) + 1;
	uint32_t bits = cgroup_tree_needed(&twins->tree, controllers);

	for (unsigned int i = 0; i < twins->tree.count; i++)
		if ((int)i != twins->tree.anchor && (bits & 1u << i)) {
			cr_assert_lt(twins->count, TWINS_MAX);
			twins->groups[twins->count++] =
				group_make_at(twins->tree.hierarchies[i].path, path);
			if ((int)i == twins->tree.serves[CGROUP_CPUSET] && (int)i != twins->tree.v2)
				fill_cpuset(&twins->tree.hierarchies[i],
					    twins->groups[twins->count - 1]);
		}
	cr_assert(!cgroup_open(&twins->tree, path, &twins->cgroup, &err), "%s", err.text);
	snprintf(twins->ledger_path, sizeof(twins->ledger_path), "/tmp/pfuse-test-%d/%s", getpid(),
		 name);
	cr_assert(!ledger_open(&options, &twins->ledger, NULL, &err), "%s", err.text);
}

void twins_add(const struct twins *twins, pid_t pid)
{
	for (size_t i = 0; i < twins->count; i++)
		group_add(twins->groups[i], pid);
}

struct worker *twins_worker(const struct twins *twins)
{
	struct worker *worker = worker_start(NULL);

	twins_add(twins, worker->pid);
	return worker;
}

struct ledger_counts twins_restore(const struct twins *twins)
{
	const struct ledger_restore how = { .proc_fd = twins->tree.proc_fd };
	struct ledger_counts counts = { 0 };

	cr_expect_eq(ledger_restore(twins->ledger, &how, &counts), 0);
	return counts;
}

void twins_close(struct twins *twins)
{
	if (!twins->ledger_path[0])
		return;
	ledger_close(twins->ledger);
	cgroup_close(&twins->cgroup);
	cgroup_tree_close(&twins->tree);
	*strrchr(twins->ledger_path, '/') = '\0';
	rmdir(twins->ledger_path);
	*twins = (struct twins){ .count = 0 };
}
