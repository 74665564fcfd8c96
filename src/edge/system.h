/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What this machine is and can do, read from /proc and /sys below a root directory fd (tests give a
 * made-up tree). One call, no state, nothing to free. What cannot be read counts as absent: reading
 * never fails because a kernel lacks a file.
 */
#ifndef EDGE_SYSTEM_H
#define EDGE_SYSTEM_H

#include <stdbool.h>
#include <stdint.h>

#include "edge/cgroup_tree.h"

enum system_lockdown {
	LOCKDOWN_NONE = 0, /* also: securityfs is not mounted, or no such LSM */
	LOCKDOWN_INTEGRITY,
	LOCKDOWN_CONFIDENTIALITY,
};

enum system_place {
	PLACE_NONE = 0,	      /* no hierarchy has it */
	PLACE_V1,	      /* a v1 mount */
	PLACE_V2,	      /* v2, and handed to the children of the root */
	PLACE_V2_NOT_ENABLED, /* v2, but not in the root's cgroup.subtree_control */
};

struct system_info {
	char kernel[65];
	char sched_ext[65]; /* name of the loaded scheduler, untrusted; "": none is active */
	bool root;	    /* effective uid 0 */
	bool btf;
	bool psi;
	bool tracefs;	/* mounted */
	bool autogroup; /* on: nice values count inside a session only */
	bool sched_ext_built;
	bool freeze; /* cgroup.freeze works for groups of the v2 hierarchy */
	bool pidfd;
	bool mglru; /* on */
	bool zswap; /* on */
	enum system_lockdown lockdown;
	enum system_place controllers[CGROUP_CONTROLLERS];
	uint64_t capabilities; /* effective: bit CAP_* of <linux/capability.h> */
	uint64_t zram_bytes;   /* swap on zram */
	uint64_t swap_bytes;   /* swap elsewhere */
	uint64_t files_soft;   /* RLIMIT_NOFILE; UINT64_MAX: unlimited */
	uint64_t files_hard;
};

/*
 * Fills *ret. `tree` says where the controllers are (NULL: no cgroup file system).
 * 0, or -errno if there is no proc below `root_fd`.
 */
int system_read(int root_fd, const struct cgroup_tree *tree, struct system_info *ret);

bool system_capable(const struct system_info *system, unsigned capability);

#endif
