/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * One existing group: a directory of the anchor hierarchy, held open, and its path below the
 * hierarchy's root. The same path in other hierarchies (the v2 *twin* on hybrid hosts) is opened
 * when it is needed: ten thousand groups must fit below RLIMIT_NOFILE.
 *
 * Promise: a path is untrusted. It must lie inside a cgroup file system; symlinks are not followed,
 * ".." and the root group are refused, each with its own sentence.
 * Identity: `id` is the inode number of the directory, which is the kernel's cgroup id on 64-bit.
 * A group that was removed stays harmless: its files answer -ENOENT or -ENODEV (cgroup_gone()).
 * Ownership: cgroup_close() closes and frees; it accepts a zeroed or closed group.
 * 24 bytes and the path.
 */
#ifndef PFUSE_EDGE_CGROUP_H
#define PFUSE_EDGE_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "edge/cgroup_tree.h"

#define CGROUP_PATH_MAX 2048 /* bytes, with the 0; longer paths are refused */

struct cgroup {
	uint64_t id;
	char *path; /* below the hierarchy's root: "docker/1234"; NULL: closed */
	int fd;	    /* the anchor directory */
};

/*
 * `path`: absolute ("/sys/fs/cgroup/memory/x/y", a path in any mounted hierarchy) or relative to
 * the hierarchy ("x/y").
 * Errors: -EINVAL empty, "..", or a control character · -ENAMETOOLONG · -EXDEV outside the cgroup
 * file systems · -EOPNOTSUPP the root group · -ENOENT no such group, or not in the anchor ·
 * -ELOOP a symlink · -ENOTDIR.
 */
int cgroup_open(const struct cgroup_tree *tree, const char *path, struct cgroup *ret_group,
		struct err *err);
void cgroup_close(struct cgroup *group);

/* "x//./y/" or an absolute path → "x/y" (malloc'ed), checked as above, but not opened. */
int cgroup_normalize(const struct cgroup_tree *tree, const char *path, char **ret_path,
		     struct err *err);

/* The same path in another hierarchy (index in tree->hierarchies): a directory fd of the caller's. */
int cgroup_open_in(const struct cgroup_tree *tree, const struct cgroup *group, int hierarchy,
		   int *ret_fd);

/*
 * The same, and the same directory each time: *inode is 0 at first and learnt. -ENODEV: the group is
 * gone, or another has its path. -ENOENT: it never had a directory there.
 */
int cgroup_open_known(const struct cgroup_tree *tree, const struct cgroup *group, int hierarchy,
		      uint64_t *inode, int *ret_fd);

/* Where v2's files of the group are: the group itself, or its twin. -ENOENT: it has none. */
int cgroup_open_v2(const struct cgroup_tree *tree, const struct cgroup *group, int *ret_fd);

/* The directory was removed. */
bool cgroup_gone(const struct cgroup *group);

/* Processes in the group, those in groups below it included. */
int cgroup_count_procs(const struct cgroup *group, uint32_t *ret_count);

#endif
