/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the policy `adaptive` looks at and does: the figures of a group's memory that are no part of
 * a usual sample, and reclaim, a slice at a time: by memory.reclaim, and on v1 by a limit below the usage
 * that stands for an instant (control_dip_begin()).
 *
 * reclaim_look() reads memory.stat once, memory.pressure and the swap files. Reclaiming: reclaim_begin() →
 * while it says 1: reclaim_next() gives the next write, which may keep the writer waiting (edge/slow_write.h) →
 * reclaim_written() → the usage before and after are in the struct. A slice is as large as took 2 to 4 ms
 * so far, 4 MiB at most. It may be left after any reclaim_written(): nothing is left that would have to be
 * undone. Units: bytes, pages, ns.
 */
#ifndef PFUSE_EDGE_RECLAIM_H
#define PFUSE_EDGE_RECLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "edge/cgroup.h"
#include "edge/control.h"
#include "edge/slow_write.h"

/* 0: not to be had here. */
struct reclaim_facts {
	uint64_t stall_ns;
	uint64_t refaults;	      /* pages */
	uint64_t host_reclaimed;      /* pages, by kswapd */
	uint64_t anon_bytes;	      /* shared memory included */
	uint64_t mapped_bytes; /* anonymous, and of files and shared memory what is mapped */
	uint64_t unreclaimable_bytes; /* of the kernel, and locked */
	uint64_t swap_free_bytes;     /* of the machine, within the group's own limit */
	bool tells_harm;	      /* stall or refaults are to be had */
};

/* -ENODEV: the group is gone. What it lacks is 0. */
int reclaim_look(const struct cgroup_tree *tree, const struct cgroup *group,
		 struct reclaim_facts *ret_facts);

/* Of the machine, without swapping; 0: not to be had. */
uint64_t reclaim_machine_available(const struct cgroup_tree *tree);

/* Is there a memory.reclaim? Else (v1) a limit below the usage does it. */
bool reclaim_available(const struct cgroup_tree *tree, const struct cgroup *group);

/* Whose memory; all borrowed. ledger, ram: for v1 alone, where they may not be NULL. */
struct reclaim_target {
	const struct cgroup_tree *tree;
	const struct cgroup *group;
	struct ledger *ledger;
	const struct control_ram *ram;
};

struct reclaim {
	struct reclaim_target target;
	uint64_t to_bytes; /* usage to come down to */
	uint64_t before_bytes;
	uint64_t after_bytes; /* after the latest slice */
	uint64_t slice_bytes; /* the next one */
	struct control_dip dip; /* v1: of the one under way */
};

/* -ENODEV: the group is gone. */
int reclaim_begin(const struct reclaim_target *target, uint64_t to_bytes,
		  struct reclaim *ret_reclaim);

/* 1: *ret is to be written · 0: done. Errors as below. */
int reclaim_next(struct reclaim *reclaim, struct slow_write_job *ret);

/*
 * 1: there is more to do · 0: done · -EAGAIN: the kernel finds no more to reclaim · -ESTALE: v1, somebody
 * else changed the limit · -errno.
 */
int reclaim_written(struct reclaim *reclaim, const struct slow_write_result *result);

#endif
