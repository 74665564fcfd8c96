/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Does every thread of a frozen group wait, and for what? From the registers (bpf/park.bpf.c) and, for
 * arrays and times, the memory of the processes (process_vm_readv(2)).
 *
 * A thread is *parked* if the freezer interrupted it in a wait that the kernel knows how to resume, in a
 * call of the table in park.c. Anything else is busy (-EAGAIN: its call had completed or is a short one
 * that begins again, as clone3; it runs, a signal waits) or cannot be watched from outside (-EPERM: io_uring, ptrace, an unknown call, a futex
 * that others share, too many files). The sentence names thread and call.
 * Not seen: the end of a child outside the group, and signals that come while it is frozen. Both wait
 * until the group is continued; neither is lost.
 *
 * Order: park_read() after the group froze → use → again, as often as wanted → park_free(). A zeroed
 * struct park is empty; its memory is used again by the next park_read().
 */
#ifndef PFUSE_EDGE_PARK_H
#define PFUSE_EDGE_PARK_H

#include <stdint.h>

#include "base/err.h"
#include "edge/probe.h"
#include "edge/procs.h"
#include "pfuse/park.h"

#define PARK_FILES_MAX 512 /* that a group may wait for, each counted once per process */
#define PARK_NEVER UINT64_MAX

/* A file that a process waits for. */
struct park_wait {
	pid_t pid;
	int fd;
	uint32_t events; /* EPOLLIN and the like; level */
};

struct park {
	struct park_wait *waits; /* by pid; each (pid, fd) once */
	uint32_t count;
	uint32_t room;
	struct procs_list pids; /* whose threads were seen, ascending */
	uint32_t threads;
	uint64_t timeout_ns; /* the shortest time that a thread asked to wait; PARK_NEVER */
};

/*
 * Walks the threads of the group that probe_manage() knows as `slot`. -ENOENT: this kernel has no such
 * iterator. On failure `park` holds what was found so far, which is of no use.
 */
int park_read(struct probe *probe, uint32_t slot, struct park *park, struct err *why);

/* One thread: adds what it waits for. */
int park_thread(const struct pfuse_thread *thread, struct park *park, struct err *why);

void park_free(struct park *park);

#endif
