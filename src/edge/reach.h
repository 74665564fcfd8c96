/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Snapshots of what a group shares with processes outside it: pipes and FIFOs, terminals, eventfds, shared
 * memory.
 *
 * When: a group is a candidate to be stopped, at most every few seconds; two snapshots tell whether data
 * moved in between (core/reachable.h judges). A snapshot walks the files and the mappings of the group,
 * and then those of all processes of this machine only if the group has something that an outsider could
 * have. What is seen and what is left out as harmless: bpf/reach.bpf.c.
 *
 * The caller waits: a walk takes about 0.15 us per open file or 0.4 us per mapping. So each walk over
 * everybody takes 5 to 11 ms per 1,000 small processes (35 files and 28 mappings each; kernel 6.18, 2
 * virtual CPUs).
 *
 * Ownership: a struct reach per group, {0} at first; it holds the findings of its last snapshot, 104 bytes
 * each, and nothing else. reach_release() frees them and makes it {0} again. Errors: negative errno, and
 * then the last snapshot still stands.
 */
#ifndef EDGE_REACH_H
#define EDGE_REACH_H

#include <stdbool.h>
#include <stdint.h>

#include "edge/probe.h"
#include "pfuse/reach.h"

/* Objects of the group that are looked at; some 100 bytes each are held while a snapshot is taken. */
#define REACH_OBJECTS_MAX 4096
#define REACH_FINDINGS_MAX 256

struct reach {
	struct pfuse_reach_finding *findings;
	uint32_t count;
	bool incomplete; /* there is more than the two bounds above allow */
};

/* Where to look for what the group has, and for what. */
struct reach_scope {
	const pid_t *pids; /* its processes; NULL: search them among all, which takes a walk each */
	uint32_t count;
	int proc_fd; /* with pids: a proc file system, that tells which of them have threads */
	bool memory_only; /* mappings alone: no pipes, terminals, eventfds */
};

/*
 * `slot`: of the group, not 0. -ENOENT: this kernel lacks an iterator, so nothing is known. The same probe
 * serves one call at a time.
 * Findings of pipes and eventfds are watched from then on where the kernel has the hooks for it.
 */
int reach_take(struct probe *probe, uint32_t slot, const struct reach_scope *scope,
	       struct reach *reach);

/* Before the group's slot is given to another group. */
void reach_release(struct probe *probe, struct reach *reach);

#endif
