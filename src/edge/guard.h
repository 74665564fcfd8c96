/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The guarded freezer: freezes a group only if all its threads wait, watches for it what they wait
 * for, and continues it as soon as there is something for it. So nothing is lost: what comes while it
 * is frozen waits in the kernel, and wakes it.
 *
 * Order: guards_open() → guard_freeze() → guards_fd() is readable: guards_wakes(), whose handler calls
 * guard_thaw() → … → guards_close(). A deadline of the caller's is the second way to continue: timeouts of
 * the group, signals to it and the end of a child outside of it do not wake it.
 * guard_thaw() is one write(2) before anything else: no allocation, no look into /proc. The process that
 * calls it wants SCHED_FIFO, or it waits behind whoever is busy. The duplicates are closed a moment later,
 * by the next guards_wakes() (guards_fd() is made readable for it): on one CPU whoever was woken would wait
 * for that.
 * A frozen group costs one descriptor, one per process and one per file that is waited for, and 32
 * bytes and 8 per descriptor. Processes must be in the initial pid namespace's view (-EOPNOTSUPP
 * otherwise): BPF tells pids as the kernel counts them.
 */
#ifndef PFUSE_EDGE_GUARD_H
#define PFUSE_EDGE_GUARD_H

#include <stdint.h>

#include "base/err.h"
#include "edge/cgroup.h"
#include "edge/ledger.h"
#include "edge/probe.h"
#include "edge/stop.h"

struct guards;

/* `tree` and `probe` must outlive the guards; slots are those of probe_manage(), 1 … slots. */
int guards_open(const struct cgroup_tree *tree, struct probe *probe, uint32_t slots,
		struct guards **ret_guards, struct err *err);
/* Continues nothing: the caller has. NULL is allowed. */
void guards_close(struct guards *guards);

/* Readable: a frozen group has something to do. */
int guards_fd(const struct guards *guards);
typedef void guard_handler(uint32_t slot, void *context);
/*
 * Calls handle() for each such group, which must continue it: it may not be told again. The number of
 * calls, which may be 0, or -errno.
 */
int guards_wakes(struct guards *guards, guard_handler *handle, void *context);

/*
 * 0: frozen, and watched. -EAGAIN: busy, or there is input already (`why`: the thread and its call) ·
 * -EPERM: it cannot be watched, and will not be as it is (`why`: io_uring, ptrace, an unknown call, too
 * many files) · errors of stop_group(). In every failure the group runs again.
 * Repeated attempts on a busy group disturb it (EINTR): wait longer after each.
 */
int guard_freeze(struct guards *guards, const struct cgroup *group, uint32_t slot,
		 struct ledger *ledger, struct stop *stop, uint64_t deadline_ns, struct err *why);

/*
 * Continues; what is held for the group goes soon after. A group that is not frozen, or gone, is no error. On failure
 * nothing is watched any more, and stop_continue() may be tried.
 */
int guard_thaw(struct guards *guards, const struct cgroup *group, uint32_t slot,
	       struct ledger *ledger, struct stop *stop);

/*
 * The group ended, or was continued by other means (stop_continue()): closes what is held for it.
 */
void guard_forget(struct guards *guards, uint32_t slot);

/* For information: the shortest time that a thread of the frozen group asked to wait; else UINT64_MAX. */
uint64_t guard_timeout_ns(const struct guards *guards, uint32_t slot);
/* Descriptors that are held for the frozen group. */
uint32_t guard_descriptors(const struct guards *guards, uint32_t slot);

#endif
