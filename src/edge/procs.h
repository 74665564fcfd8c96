/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Processes, as /proc and cgroup.procs show them. Every function takes the directory fd of a proc
 * file system (tree->proc_fd), so that tests can make one up.
 *
 * A pid alone is not an identity: pid and start time are. comm and paths are untrusted bytes.
 * Errors: -ESRCH for a process that is gone, -EBADMSG for a file that does not parse.
 */
#ifndef PFUSE_EDGE_PROCS_H
#define PFUSE_EDGE_PROCS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "edge/cgroup_tree.h"

#define PROCS_COMM 64 /* 15 bytes for programs, up to 63 for kernel workers */

struct procs_stat {
	pid_t pid;
	pid_t ppid;
	uint64_t starttime; /* clock ticks after boot: with the pid, an identity */
	uint64_t cpu_ns;    /* user and system time of all threads */
	uint32_t flags;	    /* PF_… of the kernel */
	uint32_t threads;
	char state;
	char comm[PROCS_COMM];
};

struct procs_list {
	pid_t *pids;
	uint32_t count;
	uint32_t room;
};

static inline bool procs_is_kernel_thread(const struct procs_stat *stat)
{
	return stat->flags & 0x00200000; /* PF_KTHREAD */
}

/* Stopped by a signal or by a tracer. */
static inline bool procs_is_stopped(const struct procs_stat *stat)
{
	return stat->state == 'T' || stat->state == 't';
}

static inline bool procs_is_dead(const struct procs_stat *stat)
{
	return stat->state == 'Z' || stat->state == 'X' || stat->state == 'x';
}

/* The text of /proc/PID/stat. comm may hold anything, also ") R 1 (" and newlines. */
int procs_parse_stat(const char *text, struct procs_stat *ret_stat);
int procs_read_stat(int proc_fd, pid_t pid, struct procs_stat *ret_stat);

void procs_list_free(struct procs_list *list);
int procs_list_add(struct procs_list *list, pid_t pid);
void procs_list_sort(struct procs_list *list);
bool procs_list_has(const struct procs_list *sorted, pid_t pid);

/* Calls each() for every process listed in the group; a process may come twice while it moves. */
int procs_each(int group_fd, bool deep, int (*each)(void *arg, pid_t pid), void *arg);

/* The processes of the group at group_fd; deep: of the groups below it too. Sorted, each once. */
int procs_of_group(int group_fd, bool deep, struct procs_list *ret_list);

/* The process and all its descendants, found by parent pids. Sorted. */
int procs_tree(int proc_fd, pid_t pid, struct procs_list *ret_list);

/* The process, its parent and so on up to PID 1. Sorted. */
int procs_ancestors(int proc_fd, pid_t pid, struct procs_list *ret_list);

/*
 * The process's group in one hierarchy, relative to its mount ("" for the root), malloc'ed.
 * -EXDEV: the group is not below what the mount shows.
 */
int procs_cgroup(int proc_fd, pid_t pid, const struct cgroup_hierarchy *hierarchy, char **ret_path);

/* Memory that would be free if the process were gone: Private_Clean + Private_Dirty. */
int procs_private_bytes(int proc_fd, pid_t pid, uint64_t *ret_bytes);

/* A pidfd of this very process: -ESRCH if the pid belongs to another start time now. */
int procs_open_pidfd(int proc_fd, pid_t pid, uint64_t starttime, int *ret_fd);

#endif
