/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The weight by which a group competes for CPU time with its siblings: cpu.weight on v2, cpu.shares on
 * v1. One unit for both: 1 … 10000, 100 being what a group is born with (1024 shares, nice 0).
 *
 * Order: weight_open() → weight_read() whenever wanted → weight_prepare() puts the old value into the
 * ledger, ledger_commit() makes that binding (once for many groups) → weight_set() as often as wanted →
 * ledger_restore() undoes it → weight_close(). Nothing is written without a record: a value that is
 * neither the old one nor ours is somebody else's (-ESTALE, and nothing is written).
 * v1: shares = weight * 1024 / 100, to the nearest, so ratios of small weights are off by up to 5 %
 * (weight 1); v2 keeps the same precision inside the kernel.
 * Ownership: a value of the caller's; `tree` and `group` must outlive it; it holds no descriptor.
 * Errors: -ENOENT no cpu controller for the group · -ENODEV the group is gone, or another has its path ·
 * -ESTALE · -EBUSY the group is idle (cpu.idle = 1), which leaves no weight to set · -ERANGE ·
 * -EINVAL not prepared, or refused by the kernel: weight_why() says what that means.
 *
 * A weight matters among siblings that compete for the same CPUs, and nowhere else. Autogrouping does not
 * matter: it only concerns tasks in the root group.
 */
#ifndef PFUSE_EDGE_WEIGHT_H
#define PFUSE_EDGE_WEIGHT_H

#include <stdint.h>

#include "edge/cgroup.h"
#include "edge/ledger.h"

#define WEIGHT_MIN 1
#define WEIGHT_MAX 10000
#define WEIGHT_DEFAULT 100
#define WEIGHT_RELEASE 0 /* as a weight: what was there before us */

struct weight {
	const struct cgroup_tree *tree;
	const struct cgroup *group;
	uint64_t inode;	 /* of the group's directory; 0: not seen there yet */
	uint32_t record; /* of the ledger; 0: not prepared */
};

/* Cannot fail: a group without the controller is told by what follows. */
void weight_open(const struct cgroup_tree *tree, const struct cgroup *group, struct weight *ret);

int weight_read(struct weight *weight, uint32_t *ret_weight);

/* Not binding before ledger_commit(). After ledger_restore() of the group: open and prepare anew. */
int weight_prepare(struct weight *weight, struct ledger *ledger);
int weight_set(struct weight *weight, struct ledger *ledger, uint32_t value);

/* Zeroes it; changes nothing in the kernel. A zeroed one is allowed. */
void weight_close(struct weight *weight);

/* What a failure means and what to do, in one sentence without a name: static text. */
const char *weight_why(int code);

/*
 * Why weights have no effect on this machine now, in one sentence; NULL: they have. `root_fd`: "/" or a
 * made-up tree. A sched_ext scheduler may or may not heed them; the kernel does not say.
 */
const char *weight_inert(int root_fd);

#endif
