/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The threads of processes, by name, as /proc shows them now. Best effort: who comes or goes meanwhile may
 * be missing. comm is untrusted bytes. Errors: -ESRCH for a process that is gone, else -errno.
 */
#ifndef PFUSE_EDGE_THREADS_H
#define PFUSE_EDGE_THREADS_H

#include <sys/types.h>

#include "edge/procs.h"

struct thread_name {
	pid_t tid;
	pid_t tgid;
	pid_t ppid; /* of the process */
	char comm[PROCS_COMM];
};

typedef void threads_each_fn(void *arg, const struct thread_name *thread);

int threads_of_process(int proc_fd, pid_t pid, threads_each_fn *each, void *arg);
/* Of the processes in the group and in groups below it. */
int threads_of_group(int proc_fd, int group_fd, threads_each_fn *each, void *arg);
int threads_of_all(int proc_fd, threads_each_fn *each, void *arg);

#endif
