/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The one door to the core: samples, events and timers in, verdicts out.
 *
 * Source: the p-Fusebox paper, Orchestrator. The Signal Flag decides between the two means: true
 * and idle, the group is controlled by signals (STOP); otherwise by its limits, by score: RAM, CPU,
 * I/O and, as a priority, NET.
 *
 * Order of calls. For each slot: attach; then any mix of sample, event, timer, request, each
 * returning 0..PFUSE_CONTROLS verdicts; after each verdict the caller carries it out (or not: a dry
 * run) and says at once how that went with orchestrator_applied(); detach. Until then the FCB holds
 * the old state, so a verdict that was not reported is given again.
 *
 * A quiet group costs nothing: while orchestrator_quiet() is true the caller need not sample it. To
 * lose no wake-up in between, set PFUSE_ARM_ACTIVE first and take the sample that finds it quiet
 * after. After every call the caller asks orchestrator_due() and sets one timer.
 *
 * The CPUs of the machine are split, and weights set, where the caller gave a struct cpus
 * (orchestrator_cpus_begin()), the rules and the groups' policies: from orchestrator_cpus_due() on it looks at every group that takes part, by orchestrator_cpus_look(), then
 * asks orchestrator_cpus() once for all; also after an event, which may have changed something at once.
 *
 * Ownership: the array of FCBs is the caller's, index = slot, slot 0 is unused. It may be moved
 * between calls (orchestrator_move()). Errors: there are none. A slot out of range or not attached
 * gives no verdict; a bad event is counted by kind of badness. Times: one clock (CLOCK_MONOTONIC,
 * as in events), read once per turn by the caller. The same calls give the same verdicts, bit for
 * bit.
 */
#ifndef PFUSE_CORE_ORCHESTRATOR_H
#define PFUSE_CORE_ORCHESTRATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "core/cpus.h"
#include "core/adaptive.h"
#include "core/fcb.h"
#include "pfuse/event.h"
#include "pfuse/sample.h"
#include "pfuse/verdict.h"

enum orchestrator_ignored {
	ORCHESTRATOR_BAD_SLOT, /* out of range, or free: the group was detached meanwhile */
	ORCHESTRATOR_BAD_ID,   /* the slot belongs to another group by now */
	ORCHESTRATOR_BAD_KIND,
	ORCHESTRATOR_IGNORED,
};

enum orchestrator_outcome {
	ORCHESTRATOR_APPLIED,
	ORCHESTRATOR_FAILED,  /* the old value stands; tried again later, ever less often */
	ORCHESTRATOR_FOREIGN, /* somebody else changed the control: theirs from now on */
	ORCHESTRATOR_BUSY, /* a stop at a bad moment, undone: tried again soon, ever less often */
	ORCHESTRATOR_REFUSED, /* a stop that is not safe for this group as it is now, or not ours */
	ORCHESTRATOR_DRY,     /* not carried out; decide on as if it were */
};

struct orchestrator {
	struct fcb *fcbs;
	uint32_t nslots; /* slot 0 included */
	uint32_t page_bytes;
	uint64_t machine_ram_bytes;
	uint32_t ncpus; /* of the machine: 1 until the caller sets it, before it attaches groups */
	struct cpus *cpus; /* the caller's; NULL: no CPUs are split and no weights set */
	uint64_t ignored[ORCHESTRATOR_IGNORED];
	struct adaptive *adaptive; /* of the caller, by slot; NULL: all under `fusebox` */
	struct adaptive_setup adaptive_setup;
};

/* Clears the array. page_bytes: 0 stands for 4096. */
void orchestrator_init(struct orchestrator *o, struct fcb *fcbs, uint32_t nslots,
		       uint64_t machine_ram_bytes, uint32_t page_bytes);

/* The caller has copied the FCBs to a larger array whose new part is zeroed. */
void orchestrator_move(struct orchestrator *o, struct fcb *fcbs, uint32_t nslots);

/*
 * The policy `adaptive` (core/adaptive.h) is to be had: `adaptive` is an array of nslots, zeroed, moved
 * and grown like the FCBs (and set anew after that). Before the attach of the groups that choose it.
 */
void orchestrator_adaptive(struct orchestrator *o, struct adaptive *adaptive,
			   const struct adaptive_setup *setup);

/*
 * After attach: the RAM of this group is under `adaptive` from now on, or under `fusebox` again.
 * by_limit: what PFUSE_CTL_RECLAIM does is done by way of the RAM limit, so not once that is somebody else's.
 * grace_ns: how long the group is left alone first.
 */
void orchestrator_choose(struct orchestrator *o, uint32_t slot, bool adaptive, bool by_limit,
			 const struct pfuse_sample *first, uint64_t grace_ns, uint64_t now_ns);

/*
 * A curve says what the group needs; and, where memory is short, what its share is (0: it is not). No
 * verdict: the next sample has it. A group that is quiet must be sampled for that.
 */
void orchestrator_need(struct orchestrator *o, uint32_t slot, const struct adaptive_need *need,
		       uint64_t now_ns);
void orchestrator_share(struct orchestrator *o, uint32_t slot, uint64_t share_bytes);

/* group_id must not be 0, and first is the starting point: it gives no verdict. */
void orchestrator_attach(struct orchestrator *o, uint32_t slot, uint64_t group_id,
			 const struct fcb_policy *policy, const struct pfuse_sample *first,
			 uint64_t now_ns);
void orchestrator_policy(struct orchestrator *o, uint32_t slot, const struct fcb_policy *policy);
void orchestrator_detach(struct orchestrator *o, uint32_t slot);

unsigned orchestrator_sample(struct orchestrator *o, uint32_t slot,
			     const struct pfuse_sample *sample, uint64_t now_ns,
			     struct pfuse_verdict ret_verdicts[PFUSE_CONTROLS]);
unsigned orchestrator_event(struct orchestrator *o, const struct pfuse_event *event,
			    uint64_t now_ns, struct pfuse_verdict ret_verdicts[PFUSE_CONTROLS]);
unsigned orchestrator_timer(struct orchestrator *o, uint32_t slot, uint64_t now_ns,
			    struct pfuse_verdict ret_verdicts[PFUSE_CONTROLS]);

/*
 * Somebody asks for a stop or a continue. A requested stop ends by request (or exit, or when the
 * group empties), neither by talk nor at the deadline: who asks for it answers for it.
 */
unsigned orchestrator_request(struct orchestrator *o, uint32_t slot, bool stop, uint64_t now_ns,
			      struct pfuse_verdict ret_verdicts[PFUSE_CONTROLS]);

/* The daemon leaves, or is about to detach: continue what is stopped. Limits are the ledger's. */
unsigned orchestrator_exit(struct orchestrator *o, uint32_t slot, uint64_t now_ns,
			   struct pfuse_verdict ret_verdicts[PFUSE_CONTROLS]);

/* `cpus` is the caller's, initialised with the machine's CPUs by cpus_init(). */
void orchestrator_cpus_begin(struct orchestrator *o, struct cpus *cpus);
/* The rules for all groups, and the user's own priority table; again when they change. */
void orchestrator_cpus_rules(struct orchestrator *o, const struct workload_policy *policy,
			     const struct prio_own *own);
/* A group joins, leaves (all off), or is asked to be another. */
void orchestrator_cpus_policy(struct orchestrator *o, uint32_t slot,
			      const struct cpus_policy *policy);
/* CPUs came or went. */
void orchestrator_cpus_topology(struct orchestrator *o, const struct workload_topology *topology);

/* FCB_NEVER: nobody takes part. */
uint64_t orchestrator_cpus_due(const struct orchestrator *o);
/* As cpus_look(): `span` may be NULL. */
void orchestrator_cpus_look(struct orchestrator *o, uint32_t slot,
			    const struct pfuse_sample *sample, const struct pfuse_span *span,
			    uint64_t now_ns);
/* Verdicts about PFUSE_CTL_CPUS and _WEIGHT of any group, reported by orchestrator_applied() as all are. */
unsigned orchestrator_cpus(struct orchestrator *o, uint64_t now_ns, struct pfuse_verdict *ret,
			   unsigned max);
/* The set that a verdict about PFUSE_CTL_CPUS means; without a struct cpus: NULL. */
const struct cpumask *orchestrator_cpu_set(const struct orchestrator *o, uint32_t slot);

void orchestrator_applied(struct orchestrator *o, const struct pfuse_verdict *verdict,
			  enum orchestrator_outcome outcome, uint64_t now_ns);

/* When orchestrator_timer() must be called for this slot; FCB_NEVER: not at all. */
uint64_t orchestrator_due(const struct orchestrator *o, uint32_t slot);

/* True: no sample is needed until an event of this group arrives or its timer is due. */
bool orchestrator_quiet(const struct orchestrator *o, uint32_t slot);

/* For status and summary; NULL: not attached. Call fcb_account() before reading the totals. */
struct fcb *orchestrator_fcb(const struct orchestrator *o, uint32_t slot);

#endif
