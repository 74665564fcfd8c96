/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A guarded group: the same name in the hierarchy of the memory controller and in the v2 tree, and the
 * guards that freeze it. Suites: `TestSuite(NAME, .init = guarded_init, .fini = guarded_fini)`.
 */
#ifndef TESTS_KERNEL_GUARD_RIG_H
#define TESTS_KERNEL_GUARD_RIG_H

#include "edge/guard.h"
#include "rig.h"

struct guarded {
	struct group *anchor;
	struct group *twin; /* the anchor itself where that is v2 */
	struct cgroup group;
	struct stop stop;
	uint32_t slot;
};

extern struct cgroup_tree guarded_tree;
extern struct ledger *guarded_ledger;
extern struct guards *guards;

void guarded_init(void);
void guarded_fini(void);

struct guarded *guarded_make(const char *name);
struct worker *guarded_worker(struct guarded *guarded);

/* guard_freeze() once. */
int guarded_freeze(struct guarded *guarded, struct err *why);
/* Until it is not busy any more, for up to 10 s. */
int guarded_freeze_soon(struct guarded *guarded, struct err *why);
int guarded_thaw(struct guarded *guarded);
bool guarded_is_frozen(const struct guarded *guarded); /* as the kernel says */

/* Is a wake told within `ms`? Then all groups that are told of are continued. */
bool guarded_wakes(int ms);

#endif
