/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A test group in several hierarchies at once, as throttles need it: the anchor's, and by the same path
 * those of other controllers and v2's. Everything goes with rig_fini().
 */
#ifndef TESTS_KERNEL_TWINS_H
#define TESTS_KERNEL_TWINS_H

#include "edge/cgroup.h"
#include "edge/ledger.h"
#include "rig.h"

#define TWINS_MAX 8

struct twins {
	struct group *groups[TWINS_MAX]; /* the anchor's first */
	size_t count;
	struct cgroup_tree tree;
	struct cgroup cgroup;
	struct ledger *ledger;
	char ledger_path[64];
};

/* On v2 the controllers are handed down from the root first, as systemd does: they stay so. */
void twins_make(struct twins *twins, const char *name, uint32_t controllers);
void twins_add(const struct twins *twins, pid_t pid);
/* A worker of the group. */
struct worker *twins_worker(const struct twins *twins);
/* ledger_restore(): what was done to the group is undone; returns what was restored. */
struct ledger_counts twins_restore(const struct twins *twins);
void twins_close(struct twins *twins);

/* A skip passes over the suite's .fini. */
#define TWINS_SKIP(tear_down, ...)                                                                 \
	do {                                                                                       \
		tear_down();                                                                       \
		RIG_SKIP(__VA_ARGS__);                                                             \
	} while (0)

#endif
