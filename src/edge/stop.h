/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Stops and continues all processes of a group: by cgroup.freeze (v2, or the v2 twin if it holds
 * exactly the same processes), or by SIGSTOP to each process.
 *
 * Promise: only what we stopped is ever continued. A group that reads frozen before is somebody
 * else's (-EALREADY); a process that is stopped already is left out. Each stop is in the ledger
 * before it happens.
 * Order: stop_check() once per attach or attempt → stop_group() → stop_continue() → … →
 * stop_free(). A zeroed struct stop is a running group.
 * Cost: see the figures for freezing; the wait for `frozen 1` sleeps 40 us at first, since
 * notifications of cgroup.events come up to 10 ms late.
 */
#ifndef PFUSE_EDGE_STOP_H
#define PFUSE_EDGE_STOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "edge/cgroup.h"
#include "edge/ledger.h"
#include "edge/procs.h"

enum stop_mode {
	STOP_AUTO, /* freeze where possible, else signal */
	STOP_FREEZE,
	STOP_SIGNAL,
};

enum stop_process_state { STOP_PROCESS_RUNS, STOP_PROCESS_PENDING, STOP_PROCESS_STOPPED };

struct stop_process {
	pid_t pid;
	uint32_t record; /* ledger handle, kept for the next time */
	enum stop_process_state state;
};

struct stop {
	enum stop_mode how; /* how it is stopped now; STOP_AUTO: it runs */
	uint32_t frozen;    /* ledger handle of the freeze, kept for the next time */
	uint64_t frozen_id; /* inode of the v2 directory that it is about */
	struct stop_process *processes;
	uint32_t count;
	uint32_t room;
};

/*
 * May the group be stopped or squeezed at all? -EPERM with a sentence if it holds, itself or in a
 * group below, one of `never` (PID 1, ourselves and our ancestors, the keeper: stop_never()).
 */
int stop_check(const struct cgroup_tree *tree, const struct cgroup *group,
	       const struct procs_list *never, struct err *err);

/* PID 1, the caller and its ancestors, and the keeper (0: none). */
int stop_never(const struct cgroup_tree *tree, pid_t keeper, struct procs_list *ret_never);

/*
 * -EALREADY: frozen by somebody else, or by us before · -ENODEV: the group is gone · -ENOENT: STOP_FREEZE where there is no
 * cgroup.freeze · -EXDEV: the v2 twin holds other processes · -ETIMEDOUT: did not freeze within
 * deadline_ns, and runs again · -EAGAIN: forks faster than we signal, and runs again.
 */
int stop_group(const struct cgroup_tree *tree, const struct cgroup *group, struct ledger *ledger,
	       enum stop_mode mode, uint64_t deadline_ns, struct stop *stop);

/* A group that runs, or is gone, is no error. */
int stop_continue(const struct cgroup_tree *tree, const struct cgroup *group, struct ledger *ledger,
		  struct stop *stop);

/*
 * For whoever must continue a frozen group at once: stop_open_thaw(), while there is time, gives a file
 * of the caller's; stop_thaw() is one write(2) to it and the ledger after, in place of stop_continue().
 * -EINVAL: stop_group() did not freeze it. A group that is gone is no error of stop_thaw().
 */
int stop_open_thaw(const struct cgroup_tree *tree, const struct cgroup *group,
		   const struct stop *stop, int *ret_fd);
int stop_thaw(int thaw_fd, struct ledger *ledger, struct stop *stop);

void stop_free(struct stop *stop);

#endif
