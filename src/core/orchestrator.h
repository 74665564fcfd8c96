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
 * by_limit: its memory cannot be reclaimed by PFUSE_CTL_RECLAIM, so limits below the usage do it.
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

void orchestrator_applied(struct orchestrator *o, const struct pfuse_verdict *verdict,
			  enum orchestrator_outcome outcome, uint64_t now_ns);

/* When orchestrator_timer() must be called for this slot; FCB_NEVER: not at all. */
uint64_t orchestrator_due(const struct orchestrator *o, uint32_t slot);

/* True: no sample is needed until an event of this group arrives or its timer is due. */
bool orchestrator_quiet(const struct orchestrator *o, uint32_t slot);

/* For status and summary; NULL: not attached. Call fcb_account() before reading the totals. */
struct fcb *orchestrator_fcb(const struct orchestrator *o, uint32_t slot);

#endif
