/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A made-up run: a core, groups that do this and that by a seeded generator, and a daemon that carries
 * verdicts out with more or less success; every call of a door is given to a recorder, as the tap does.
 */
#ifndef TESTS_UNIT_MADE_RUN_H
#define TESTS_UNIT_MADE_RUN_H

#include <stdint.h>

#include "export/pftrace.h"
#include "random.h"

#define MADE_SLOTS 4 /* slot 0 included */

struct made_run {
	struct orchestrator core;
	struct fcb fcbs[MADE_SLOTS];
	struct adaptive adaptive[MADE_SLOTS];
	struct pfuse_sample truth[MADE_SLOTS];
	struct adaptive adaptive[MADE_SLOTS];
	struct cpus cpus; /* of which every group takes part in the split */
	struct cpus_group cpus_groups[MADE_SLOTS];
	struct workload_group workload[MADE_SLOTS];
	struct pfuse_span spans[MADE_SLOTS];
	struct random_state random;
	struct pftrace *trace; /* NULL: not recorded */
	uint64_t began_ns;     /* as the clock stands: a segment of a trace lasts by that clock */
	uint64_t now_ns;
	uint64_t verdicts; /* so far */
	uint64_t cpus_verdicts; /* of them, about CPUs and weights */
	uint64_t reclaims;	/* of them, by `adaptive` */
};

/* Attaches the groups. The trace is borrowed. */
void made_run_begin(struct made_run *run, uint64_t seed, struct pftrace *trace);
/*
 * The last group is under `adaptive` from now on, and measured, and memory is short at times. Not where a
 * trace has several segments: what that policy goes by is in none but the first.
 */
void made_run_adaptive(struct made_run *run);
void made_run_go_on(struct made_run *run, unsigned steps);

/* What a segment begins with, for pftrace_options.again. */
void made_run_again(void *run);

#endif
