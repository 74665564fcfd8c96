/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The cgroup hierarchies of this machine, as mounted: the v2 tree, v1 trees, or both ("hybrid").
 *
 * Promise: one directory fd per hierarchy, and for each controller the hierarchy that serves it.
 * The *anchor* is the hierarchy that holds the memory controller; groups are named by the inode of
 * their directory there. A hierarchy that is mounted twice counts once: the first mount that shows
 * its root wins, else the first.
 * Ownership: the tree owns its fds and strings; cgroup_tree_close() accepts a zeroed tree.
 * Order: open once, hand down as const, close last. About 2 KiB, on the caller's stack or heap.
 * Made-up trees: `mountinfo` and `proc` name ordinary files; `fs_magic` answers for fstatfs(2).
 */
#ifndef PFUSE_EDGE_CGROUP_TREE_H
#define PFUSE_EDGE_CGROUP_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "pfuse/knobs.h"

enum cgroup_controller {
	CGROUP_MEMORY,
	CGROUP_CPU,
	CGROUP_CPUACCT, /* v2: part of every group's cpu.stat */
	CGROUP_CPUSET,
	CGROUP_IO,	/* v1: blkio */
	CGROUP_FREEZER, /* v2: part of every group but the root */
	CGROUP_PIDS,
	CGROUP_NET_PRIO, /* v1 only */
	CGROUP_CONTROLLERS,
};

#define CGROUP_BIT(controller) (UINT32_C(1) << (controller))

#define CGROUP_HIERARCHIES 16 /* the kernel has 14 controllers; further mounts are named ones */

struct cgroup_hierarchy {
	char *path; /* where it is mounted */
	char *base; /* the part of the hierarchy that the mount shows: "/" */
	int fd;	    /* directory, O_PATH */
	bool v2;
	uint32_t controllers; /* CGROUP_BIT()s that this hierarchy serves */
	char *name;   /* one word of its line in /proc/PID/cgroup; v2: ""; NULL: not known */
	char *device; /* "0:31": tells whether two mounts show one hierarchy */
};

struct cgroup_tree {
	struct cgroup_hierarchy hierarchies[CGROUP_HIERARCHIES];
	unsigned int count;
	int anchor;			/* index in hierarchies; never -1 after a successful open */
	int v2;				/* index, -1: no v2 tree is mounted */
	int serves[CGROUP_CONTROLLERS]; /* index, -1: nobody serves it */
	int proc_fd;
};

struct cgroup_tree_options {
	const char *mountinfo; /* NULL: /proc/self/mountinfo */
	const char *proc;      /* NULL: /proc */
	/* The file system type of a directory, as in statfs.f_type. NULL: asks fstatfs(2). */
	int (*fs_magic)(int fd, uint64_t *ret_magic);
};

/* -ENOENT: no cgroup file system, or none with the memory controller; err says which. */
int cgroup_tree_open(const struct cgroup_tree_options *options, struct cgroup_tree *ret_tree,
		     struct err *err);
void cgroup_tree_close(struct cgroup_tree *tree);

enum pfuse_anchor cgroup_tree_anchor(const struct cgroup_tree *tree);

/* Hybrid: memory is served by v1, and a v2 tree is there for cgroup.freeze and pressure. */
static inline bool cgroup_tree_is_hybrid(const struct cgroup_tree *tree)
{
	return tree->v2 >= 0 && tree->v2 != tree->anchor;
}

/* The name of a controller in messages and in v2's files: "memory", "io"… */
const char *cgroup_controller_name(enum cgroup_controller controller);

/*
 * The bits of hierarchies[] in which a group of ours must exist to be controlled by `controllers`
 * (CGROUP_BIT()s): those that serve one of them, the anchor, and v2.
 */
uint32_t cgroup_tree_needed(const struct cgroup_tree *tree, uint32_t controllers);

#endif
