/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guard_rig.h"

#define SLOTS 8
#define DEADLINE_NS 10000000000ull /* each thread has to get to run, in order to freeze */

struct cgroup_tree guarded_tree;
struct ledger *guarded_ledger;
struct guards *guards;

static struct guarded made[SLOTS];
static uint32_t nmade;
static char ledger_path[64];

void guarded_init(void)
{
	struct ledger_options options = { .path = ledger_path };
	struct err err = { "" }, note = { "" };

	rig_parts = PROBE_PARK;
	rig_init();
	if (!hierarchy_v2_mount())
		RIG_SKIP("no cgroup v2 tree is mounted");
	snprintf(ledger_path, sizeof(ledger_path), "/tmp/pfuse-test-%d/ledger", getpid());
	cr_assert(!cgroup_tree_open(NULL, &guarded_tree, &err), "%s", err.text);
	cr_assert(!ledger_open(&options, &guarded_ledger, &note, &err), "%s", err.text);
	cr_assert(!guards_open(&guarded_tree, probe, SLOTS, &guards, &err), "%s", err.text);
}

void guarded_fini(void)
{
	for (uint32_t i = 0; i < nmade; i++) {
		guard_thaw(guards, &made[i].group, made[i].slot, guarded_ledger, &made[i].stop);
		stop_free(&made[i].stop);
		cgroup_close(&made[i].group);
	}
	nmade = 0;
	guards_close(guards);
	guards = NULL;
	ledger_close(guarded_ledger);
	guarded_ledger = NULL;
	*strrchr(ledger_path, '/') = 0;
	rmdir(ledger_path);
	cgroup_tree_close(&guarded_tree);
	rig_fini();
}

struct guarded *guarded_make(const char *name)
{
	struct guarded *guarded = &made[nmade];
	struct err err = { "" };

	cr_assert_lt(nmade, SLOTS);
	*guarded = (struct guarded){ .slot = ++nmade };
	guarded->anchor = group_make(NULL, name);
	guarded->twin = cgroup_tree_is_hybrid(&guarded_tree)
				? group_make_at(hierarchy_v2_mount(),
						strrchr(guarded->anchor->path, '/') + 1)
				: guarded->anchor;
	cr_assert(!cgroup_open(&guarded_tree, guarded->anchor->path, &guarded->group, &err), "%s",
		  err.text);
	watch(guarded->slot, guarded->anchor);
	return guarded;
}

struct worker *guarded_worker(struct guarded *guarded)
{
	struct worker *worker = worker_start(guarded->anchor);

	if (guarded->twin != guarded->anchor)
		group_add(guarded->twin, worker->pid);
	return worker;
}

int guarded_freeze(struct guarded *guarded, struct err *why)
{
	return guard_freeze(guards, &guarded->group, guarded->slot, guarded_ledger, &guarded->stop,
			    DEADLINE_NS, why);
}

int guarded_freeze_soon(struct guarded *guarded, struct err *why)
{
	int r = guarded_freeze(guarded, why);

	for (unsigned int ms = 1; r == -EAGAIN && ms < 10000; ms *= 2) {
		sleep_ms(ms);
		r = guarded_freeze(guarded, why);
	}
	return r;
}

int guarded_thaw(struct guarded *guarded)
{
	return guard_thaw(guards, &guarded->group, guarded->slot, guarded_ledger, &guarded->stop);
}

bool guarded_is_frozen(const struct guarded *guarded)
{
	return group_stat(guarded->twin, "cgroup.events", "frozen") == 1;
}

static void thaw_it(uint32_t slot, void *context)
{
	*(int *)context = guarded_thaw(&made[slot - 1]);
}

bool guarded_wakes(int ms)
{
	struct pollfd at = { .fd = guards_fd(guards), .events = POLLIN };
	int thawed = 0;

	/* Readable for no group: the guards close what they held. */
	while (poll(&at, 1, ms) > 0) {
		int calls = guards_wakes(guards, thaw_it, &thawed);

		cr_assert_geq(calls, 0);
		cr_assert_eq(thawed, 0);
		if (calls > 0)
			return true;
	}
	return false;
}
