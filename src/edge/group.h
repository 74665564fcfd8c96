/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Groups of our own, below `pfuse/` in every needed hierarchy: for `run -- COMMAND` and for `pid:N`.
 *
 * Promise: only directories below `pfuse` are created, and only `pfuse/cgroup.subtree_control` is
 * changed. Each new directory and each moved process is in the ledger before it happens, so that
 * ledger_restore() moves processes back and removes the directories.
 * Order: group_create() → group_move() … → ledger_restore() of the group's path, or group_remove().
 */
#ifndef PFUSE_EDGE_GROUP_H
#define PFUSE_EDGE_GROUP_H

#include <sys/types.h>

#include "edge/cgroup.h"
#include "edge/ledger.h"

#define GROUP_PARENT LEDGER_PARENT

/*
 * Makes pfuse/NAME in the hierarchies that serve `controllers` (CGROUP_BIT()s; memory is always
 * meant) and in v2. For throttles: CPU and CPUACCT, CPUSET, IO, NET_PRIO. A leftover without processes is used again; with processes: -EEXIST.
 * -ENOTSUP: v2's root does not hand a controller down; err says what to write where.
 */
int group_create(const struct cgroup_tree *tree, struct ledger *ledger, const char *name,
		 uint32_t controllers, struct cgroup *ret_group, struct err *err);

/* Moves a process (0: the caller) into the group, in every hierarchy where the group exists. */
int group_move(const struct cgroup_tree *tree, const struct cgroup *group, pid_t pid);

/*
 * The same, with the place that it comes from in the ledger before: ledger_restore() brings it back,
 * and with it whatever else is in the group then (what it forked). A process that is gone is no error.
 */
int group_take_in(const struct cgroup_tree *tree, const struct cgroup *group, struct ledger *ledger,
		  pid_t pid);

/* Removes the group's directories everywhere, and `pfuse` if it is empty then. -EBUSY: in use. */
int group_remove(const struct cgroup_tree *tree, const char *path);

/*
 * The group for `pid:N`. If N's own group is not the root and holds nothing but N and its
 * descendants, it is used in place; otherwise pfuse/pid-N is made and they are moved there.
 * -EPERM: PID 1, a kernel thread, ourselves or an ancestor of ours · -ESRCH: no such process.
 * Memory that was charged before the move stays charged where it was.
 */
int group_from_pid(const struct cgroup_tree *tree, struct ledger *ledger, pid_t pid,
		   uint32_t controllers, struct cgroup *ret_group, struct err *err);

#endif
