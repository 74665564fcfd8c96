/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The slice of each task of a group: how long EEVDF lets it run before others get their turn. Longer
 * ones for batch groups mean fewer switches. sched_setattr(2) with a runtime, from Linux 6.12 on.
 *
 * Order: slice_open() → slice_record() and ledger_commit() once → slice_apply() now and at each tick:
 * tasks that came since are found then →
 * slice_close() gives every task that still has our value the kernel's own again.
 * Only tasks of SCHED_OTHER and SCHED_BATCH are touched; one that has a slice of its own is left alone,
 * and so is one that somebody changes after us. Children inherit a slice (the kernel's doing): they
 * hold our value when they are found, and count as set by us.
 * The ledger has one record per group and slice, before any task gets it: tasks that are in the group by then
 * and have that slice lose it again, also those that inherited it. One that left the group keeps it.
 * Ownership: malloc'ed, 4 bytes per task. `group_fd` is a directory of the group in any hierarchy; its
 * descendants are included.
 * Errors: -EOPNOTSUPP this kernel has no slices · -ERANGE · -ENODEV the group is gone · -EPERM.
 */
#ifndef PFUSE_EDGE_SLICE_H
#define PFUSE_EDGE_SLICE_H

#include <stdint.h>

#define SLICE_MIN_NS UINT64_C(100000) /* the kernel's own bounds */
#define SLICE_MAX_NS UINT64_C(100000000)

struct slice;

struct slice_counts {
	uint32_t set;	  /* tasks that have our slice now */
	uint32_t changed; /* of these: by this call */
	uint32_t others;  /* left alone: another policy, or a slice of somebody else's */
};

struct cgroup_tree;
struct cgroup;
struct ledger;

/* *ret_record: of the ledger, binding after ledger_commit(); to be forgotten after slice_close(). */
int slice_record(const struct cgroup_tree *tree, const struct cgroup *group, struct ledger *ledger,
		 uint64_t slice_ns, uint32_t *ret_record);

/* Gives all fair tasks of the group that have this slice the kernel's own. Their number, or -errno. */
int slice_undo(int proc_fd, int group_fd, uint64_t slice_ns);

/* `proc_fd`: a proc file system, held by the caller. -EOPNOTSUPP: slice_why() is the sentence to say. */
int slice_open(int proc_fd, struct slice **ret);
int slice_apply(struct slice *slice, int group_fd, uint64_t slice_ns,
		struct slice_counts *ret_counts);
/* Tasks that ended are no error. NULL is allowed. */
void slice_close(struct slice *slice);

const char *slice_why(int code);

#endif
