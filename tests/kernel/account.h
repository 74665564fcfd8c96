/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the kernel itself says of one thread, for tests that compare ours with it: both are read while the
 * thread sleeps, so its last slice is closed.
 */
#ifndef TESTS_KERNEL_ACCOUNT_H
#define TESTS_KERNEL_ACCOUNT_H

#include "rig.h"

struct account {
	uint64_t run_ns;
	uint64_t wait_ns;
	uint64_t nvcsw;
	uint64_t nivcsw;
	uint64_t slices; /* times that it was given a CPU */
};

struct account account_of(pid_t pid);

/* Both views of a sleeping worker at one moment: the kernel's did not change around ours. */
struct account settled(struct worker *worker, uint32_t slot, struct pfuse_stats *ret);

void pin(pid_t pid, int cpu);

#endif
