/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The part of the door that is about the machine as a whole. */
#include "core/orchestrator.h"

#include <stddef.h>

#include "core/arith.h"

#define NS_PER_PERMILLE 1000000 /* of one CPU, per second */

void orchestrator_cpus_begin(struct orchestrator *o, struct cpus *cpus)
{
	o->cpus = cpus;
}

void orchestrator_cpus_rules(struct orchestrator *o, const struct workload_policy *policy,
			     const struct prio_own *own)
{
	if (!o->cpus)
		return;
	workload_set_policy(&o->cpus->workload, policy);
	o->cpus->own = *own;
}

void orchestrator_cpus_policy(struct orchestrator *o, uint32_t slot,
			      const struct cpus_policy *policy)
{
	if (o->cpus)
		cpus_set_group(o->cpus, slot, policy);
}

void orchestrator_cpus_topology(struct orchestrator *o, const struct workload_topology *topology)
{
	if (o->cpus)
		cpus_set_topology(o->cpus, topology);
}

uint64_t orchestrator_cpus_due(const struct orchestrator *o)
{
	return o->cpus ? o->cpus->next_check_ns : FCB_NEVER;
}

/* A limit of p-Fusebox's or of the user's: less than one task of it could use otherwise. */
static uint32_t cpu_budget_permille(const struct fcb *fcb)
{
	uint64_t limit_ns = fcb->res[FCB_CPU].limit;

	if (fcb->policy.mode[FCB_CPU] == FCB_OFF || limit_ns == PFUSE_UNLIMITED)
		return 0;
	return (uint32_t)arith_min(arith_max(limit_ns / NS_PER_PERMILLE, 1), UINT32_MAX);
}

void orchestrator_cpus_look(struct orchestrator *o, uint32_t slot,
			    const struct pfuse_sample *sample, const struct pfuse_span *span,
			    uint64_t now_ns)
{
	const struct fcb *fcb = orchestrator_fcb(o, slot);

	if (fcb && !fcb->removed && o->cpus)
		cpus_look(o->cpus, slot, sample, span, cpu_budget_permille(fcb), fcb->stopped,
			  now_ns);
}

unsigned orchestrator_cpus(struct orchestrator *o, uint64_t now_ns, struct pfuse_verdict *ret,
			   unsigned max)
{
	return o->cpus ? cpus_decide(o->cpus, now_ns, ret, max) : 0;
}

const struct cpumask *orchestrator_cpu_set(const struct orchestrator *o, uint32_t slot)
{
	return o->cpus ? workload_set(&o->cpus->workload, slot) : NULL;
}
