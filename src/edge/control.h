/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The figures and the RAM limit of a group, the same on v1 and v2: tables say which file of which
 * hierarchy holds what.
 *
 * Figures: control_read(). A figure that this kernel or hierarchy lacks is -ENOENT; a group that is
 * gone is -ENODEV.
 * RAM limit: control_ram_prepare() puts the old values into the ledger, ledger_commit() makes that
 * binding (once for many groups), then control_ram_set() as often as wanted. What we wrote is
 * remembered by the ledger alone; a file that holds neither the old value nor one of ours was
 * changed by somebody else: -ESTALE, and nothing is written. ledger_restore() undoes everything.
 * The net: a group that meets a limit of ours is never killed for it. v2: memory.high = limit is
 * the brake, and memory.max lies a gap above it. v1: oom_kill_disable, so a task that hits the limit
 * waits until the limit is raised (watch control_ram_watch_oom()). With `release` (the limit is at
 * its ceiling) the kernel's own rule holds again.
 * Units: bytes; limits are rounded down to pages, as the kernel does.
 */
#ifndef PFUSE_EDGE_CONTROL_H
#define PFUSE_EDGE_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "edge/cgroup.h"
#include "edge/ledger.h"
#include "pfuse/sample.h"

enum control_figure {
	CONTROL_USAGE,	  /* bytes */
	CONTROL_LIMIT,	  /* bytes; the lower of memory.high and memory.max; PFUSE_UNLIMITED */
	CONTROL_REFAULTS, /* pages, anonymous and file */
	CONTROL_OOM_KILLS,
	CONTROL_STALL_US, /* microseconds in which some task waited for memory */
	CONTROL_SWAP,	  /* bytes */
	CONTROL_CPU_NS,
	CONTROL_FIGURES,
};

const char *control_figure_name(enum control_figure figure);
int control_read(const struct cgroup_tree *tree, const struct cgroup *group,
		 enum control_figure figure, uint64_t *ret_value);

#define CONTROL_RAM_FILES 3

/* Handles of the ledger's records, 0: no such file. Zeroed: not prepared. */
struct control_ram {
	uint32_t records[CONTROL_RAM_FILES];
};

/* Not binding before ledger_commit(). -ENOENT: the group has no memory limit here. */
int control_ram_prepare(const struct cgroup_tree *tree, const struct cgroup *group,
			struct ledger *ledger, struct control_ram *ret_ram);

/*
 * 1: done, but higher than asked for: on v2 the limit is not set below what is used by now, for the writer
 * would have to reclaim that · -ESTALE: somebody else changed it · -EBUSY: v1, usage cannot be brought
 * below the limit · -ENODEV: the group is gone. On v2 memory.max is not lowered below usage + gap (that would kill).
 */
int control_ram_set(const struct cgroup_tree *tree, const struct cgroup *group,
		    struct ledger *ledger, const struct control_ram *ram, uint64_t limit_bytes,
		    bool release);

/*
 * v1: the kernel reclaims down to a limit before it takes that, and the writer waits for it. control_dip_begin()
 * makes all ready, and names the ledger both values → whoever may wait writes `to` and, whatever became of
 * that, `back` to CONTROL_DIP_FILE → control_dip_end(): what stood is back, the net too. In between a task
 * that meets the limit waits. -ESTALE and -ENODEV as above; v2: -ENOENT.
 */
#define CONTROL_DIP_FILE "memory.limit_in_bytes"

struct control_dip {
	uint64_t standing[CONTROL_RAM_FILES];
	char to[24], back[24];
};

int control_dip_begin(const struct cgroup_tree *tree, const struct cgroup *group,
		      struct ledger *ledger, const struct control_ram *ram, uint64_t bytes,
		      struct control_dip *ret);
int control_dip_end(const struct cgroup *group, struct ledger *ledger,
		    const struct control_ram *ram, const struct control_dip *dip);

/*
 * After -ESTALE: what somebody else set is the old value from now on, that ledger_restore() puts back.
 * Binding when it returns.
 */
int control_ram_adopt(const struct cgroup_tree *tree, const struct cgroup *group,
		      struct ledger *ledger, struct control_ram *ram);

/*
 * v1: from now on the eventfd, which many groups may share, becomes readable when a task of this group
 * waits at the limit; control_ram_waits() tells whether one does at this moment. v2: -ENOENT.
 */
int control_ram_watch_oom(const struct cgroup_tree *tree, const struct cgroup *group, int eventfd);
bool control_ram_waits(const struct cgroup *group);

#endif
