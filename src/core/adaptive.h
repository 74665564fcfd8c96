/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The policy `adaptive`: a group keeps the memory that its hit-ratio curve says it needs, and gives
 * back the rest in steps, each of which is measured before the next.
 *
 *	target = max(need * headroom, unreclaimable + floor)
 *
 * and where memory is short at most the group's share (core/shares.h), but not below the latter.
 *
 * need is the knee of the curve (where that lies below the resolution: the resolution, an upper
 * bound). Without a curve the target is unreclaimable + floor, and the steps are a hundredth of the
 * usage: they feel their way, and what hurts ends them. So are the steps where a curve says nothing:
 * through memory that it did not see (unseen_bytes: files that are read and not mapped, the kernel's
 * own), and, of a group without one, below its share. Unreclaimable is what the kernel says, and
 * the anonymous memory that free swap cannot take: without swap, all of it.
 *
 * One step: so many bytes are reclaimed; then, over a window, the stall and the refaults are
 * compared with what they were before. What exceeds the budget is harm: the step is taken back (a
 * limit that stands is raised, the level before is the lowest for a while), and the next waits for
 * a cool-down that doubles with each harm and halves with each step that did none. Refaults of
 * pages that the host's own reclaim took are not ours: they stop the next step, but double nothing.
 * No step while a curve is awaited (pending): a blind one takes hot pages as well as others, and what measuring
 * has cleared looks cold.
 * No step in the grace after the start, nor while the usage grows and a window after that: the load
 * phase is not squeezed.
 * Growth is not decided here: limits grow by the events of the high-water mark, as under `fusebox`.
 *
 * Ownership: an array of the caller's, index = slot, no pointer inside; all zero is a group without
 * a need under the policy `fusebox`. Order: adaptive_start(), then adaptive_need() and
 * adaptive_sample() in any order, adaptive_carried_out() after each step that was. Times in ns of
 * the caller's clock. Errors: none; a sample that does not tell stall and refaults (0) shows no
 * harm, so the caller must not use it.
 */
#ifndef PFUSE_CORE_ADAPTIVE_H
#define PFUSE_CORE_ADAPTIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "pfuse/sample.h"
#include "pfuse/verdict.h"

/* What a curve says, as far as the policy wants to know: filled from struct cvhrc_curve. */
struct adaptive_need {
	uint64_t knee_bytes;
	uint64_t resolution_bytes;
	uint64_t unseen_bytes; /* in use, and the curve says nothing of it */
	bool below_resolution;
	bool confident; /* else it changes nothing */
	bool pending;	/* there is no curve yet, but soon there will be: no step before */
};

/* For all groups. 0 stands for the default, in parentheses. */
struct adaptive_setup {
	uint32_t headroom_permille; /* of the need, itself included (1250) */
	uint32_t step_permille;	    /* of what is above the target, in one step (333) */
	uint32_t stall_permille;    /* budget: stall more than before, of the window (10) */
	uint32_t refaults_per_s; /* budget: refaults more than before (32), or one in 32 of the step */
	uint64_t window_ns;	    /* a step is measured for so long (2 s) */
	uint64_t cool_down_ns;	    /* after the first harm (10 s) */
	uint64_t cool_down_max_ns;  /* (600 s) */
	uint64_t need_age_ns;	    /* a need that is older is none any more (600 s) */
};

enum adaptive_phase {
	ADAPTIVE_GRACE, /* until until_ns: no step */
	ADAPTIVE_READY,
	ADAPTIVE_WINDOW, /* until until_ns: a step is being measured */
	ADAPTIVE_COOL,	 /* until until_ns: a step did harm */
};

/* Counters of the kernel, at one time. */
struct adaptive_mark {
	uint64_t time_ns;
	uint64_t stall_ns;
	uint64_t refaults;
	uint64_t host_reclaimed; /* pages */
};

struct adaptive {
	bool chosen;	      /* this group's policy is `adaptive` */
	bool by_limit;	      /* no memory.reclaim: a step takes the RAM limit to hand (cgroup v1) */
	uint8_t phase;	      /* enum adaptive_phase */
	bool failing;	      /* the last step could not be carried out */
	uint64_t need_bytes;  /* with headroom; 0: not known */
	uint64_t need_ns;     /* when it came */
	uint64_t unseen_bytes; /* as it was then */
	uint64_t pending_until_ns; /* no step: a curve is about to come, or to be given up */
	uint64_t share_bytes; /* most that it may have; 0: memory is not short */
	uint64_t until_ns;
	uint64_t cool_down_ns; /* the next one */
	uint64_t level_bytes;  /* usage before the last step */
	uint64_t lowest_bytes; /* no step below this until lowest_until_ns: it hurt there */
	uint64_t lowest_until_ns;
	uint64_t usage_bytes;	   /* at the last sample */
	double stall_before;	   /* ns per second, running mean outside of windows */
	double refaults_before;	   /* per second */
	struct adaptive_mark last; /* the last sample */
	struct adaptive_mark step; /* the last step */
	uint32_t steps, harms, host_harms;
};

/* What the group is, besides the sample. */
struct adaptive_view {
	uint64_t usage_bytes;
	uint64_t floor_bytes;
	uint64_t ceiling_bytes;
	uint64_t page_bytes;
};

enum adaptive_act {
	ADAPTIVE_SETTLED, /* nothing, and nothing as long as nothing happens */
	ADAPTIVE_WAIT,	  /* nothing now */
	ADAPTIVE_SHRINK,  /* reclaim what is above to_bytes */
	ADAPTIVE_REVERT, /* the last step did harm: a limit below the level before must be raised */
};

struct adaptive_step {
	enum adaptive_act act;
	enum pfuse_reason reason;
	uint64_t to_bytes; /* SHRINK: the usage to come down to; REVERT: the one to make room for */
	uint64_t target;   /* whole pages, in floor .. ceiling */
};

/* All fields at their defaults where they are 0, and what makes no sense clamped. */
void adaptive_setup_complete(struct adaptive_setup *setup);

/* Keeps `chosen` and `by_limit`. */
void adaptive_start(struct adaptive *a, const struct adaptive_setup *setup,
		    const struct pfuse_sample *first, uint64_t grace_ns, uint64_t now_ns);

/* A curve result has come. */
void adaptive_need(struct adaptive *a, const struct adaptive_setup *setup,
		   const struct adaptive_need *need, uint64_t now_ns);

/* Where the group should come to. */
uint64_t adaptive_target(const struct adaptive *a, const struct adaptive_setup *setup,
			 const struct adaptive_view *view, const struct pfuse_sample *sample,
			 uint64_t now_ns);

/* Takes the books on; what is to be done. */
struct adaptive_step adaptive_sample(struct adaptive *a, const struct adaptive_setup *setup,
				     const struct adaptive_view *view,
				     const struct pfuse_sample *sample, uint64_t now_ns);

/* A SHRINK was carried out, or could not be. */
void adaptive_carried_out(struct adaptive *a, const struct adaptive_setup *setup, bool done,
			  uint64_t now_ns);

#endif
