/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What is decided for the machine as a whole: which group gets which CPUs (core/workload.h), and by what
 * weight it competes on them (core/prio.h), merged to at most one verdict per group and control. Reached
 * through the door, core/orchestrator.h, which explains the calls.
 *
 * CPUS: the workload's set; PFUSE_UNLIMITED where that is every CPU. A group that moves between the
 * lists gets a verdict even where its CPUs stay as they are.
 * WEIGHT, the first that applies:
 *	1. the least (1): a scientific group on the CPUs of services
 *	2. the priority table of its character
 *	3. the weight that groups are born with (100): scientific groups that share CPUs evenly
 *	4. released: what was there before us
 * Neither contradicts the CPU limit of p-Fusebox: that is a ceiling of time on whatever CPUs there are.
 *
 * A control that failed is tried again after a second, ever less often; one that somebody else changed is
 * let go, and a group whose CPUs are somebody else's takes no part in the split any more.
 * Ownership: both arrays are the caller's, index = slot, slot 0 unused. Under 1.2 KB per group, which
 * exist only where some group is asked for a type or a character. Nothing can fail.
 */
#ifndef PFUSE_CORE_CPUS_H
#define PFUSE_CORE_CPUS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/prio.h"
#include "core/workload.h"
#include "pfuse/sample.h"
#include "pfuse/span.h"
#include "pfuse/verdict.h"

/* What the user may set per group; all zero: no part in any of it. */
struct cpus_policy {
	uint8_t type;	   /* enum workload_asked */
	uint8_t character; /* enum prio_asked */
	int8_t nice;
	uint8_t table[PFUSE_CHARACTERS]; /* enum prio_table; 0: the default */
};

static inline bool cpus_wanted(const struct cpus_policy *policy)
{
	return policy->type != WORKLOAD_OFF || policy->character != PRIO_OFF;
}

/* As far as the attempts to set a control have come. */
struct cpus_control {
	uint64_t retry_ns; /* no attempt before then */
	uint32_t ups;	   /* carried out: more CPUs, or a higher weight */
	uint32_t downs;
	uint8_t failures; /* in a row; stays at 255 */
	bool let_go;	  /* somebody else changed it: theirs now */
};

struct cpus_group {
	struct cpus_policy policy;
	struct prio_group prio;
	struct cpus_control cpus;
	struct cpus_control weight;
	struct cpumask given;  /* carried out; empty: released */
	uint64_t given_ns;     /* when */
	uint32_t given_weight; /* 0: released */
	uint32_t moves;	       /* between the lists */
	/* The last look: what the next one is compared with. */
	uint64_t looked_ns; /* 0: never */
	uint64_t run_ns;
	uint64_t wait_ns;
	uint32_t nvcsw;
	uint32_t nivcsw;
	struct pfuse_span span;
};

struct cpus {
	struct workload workload;
	struct cpus_group *groups;
	struct prio_own own;
	uint64_t next_check_ns;
	bool looked;  /* since the last check */
	bool changed; /* who takes part, or what CPUs there are */
};

void cpus_init(struct cpus *c, struct cpus_group *groups, struct workload_group *workload,
	       uint32_t nslots, const struct workload_topology *topology);
void cpus_set_topology(struct cpus *c, const struct workload_topology *topology);

/* A group joins, leaves (all off), or is asked to be another. */
void cpus_set_group(struct cpus *c, uint32_t slot, const struct cpus_policy *policy);
/* It is no more. */
void cpus_forget(struct cpus *c, uint32_t slot);

/*
 * From next_check_ns on, each group that takes part. Of the sample: run, wait, switches, oncpu. `span`:
 * NULL where nobody counts it.
 */
void cpus_look(struct cpus *c, uint32_t slot, const struct pfuse_sample *sample,
	       const struct pfuse_span *span, uint32_t budget_permille, bool stopped,
	       uint64_t now_ns);
/* Its run-queue wait crossed the target. Right after its CPUs changed that is still about the old ones. */
void cpus_late(struct cpus *c, uint32_t slot, uint64_t now_ns);

/*
 * After looks: a check (Algorithms 1 and 2). What does not fit into `ret` is decided by the next call, as
 * is what was not reported with cpus_applied().
 */
unsigned cpus_decide(struct cpus *c, uint64_t now_ns, struct pfuse_verdict *ret, unsigned max);

/* `outcome`: enum orchestrator_outcome as applied, failed, and the rest. */
enum cpus_outcome { CPUS_APPLIED, CPUS_FAILED, CPUS_FOREIGN };

void cpus_applied(struct cpus *c, const struct pfuse_verdict *verdict, enum cpus_outcome outcome,
		  uint64_t now_ns);

/* NULL: no such slot. */
const struct cpus_group *cpus_group(const struct cpus *c, uint32_t slot);

#endif
