/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * When the hit-ratio curve of a group is measured: intermittently.
 *
 * Source: Zhao et al., "Low cost working set size tracking" (USENIX ATC 2011): a working set is tracked
 * while it changes, and left alone while it is steady. Here a session goes on until the knee stands
 * still; then comes a rest, twice as long each time the next session finds the same knee. A group
 * that grows, or whose pages come back (refaults), is looked at again before its rest is over.
 *
 * The budget is a debt: each turn adds the CPU time that it took, time pays it off at the budget's rate,
 * and no turn begins while more is owed than one turn costs. A rest saves nothing up.
 *
 * Order: tracking_init(); tracking_wants() at each sample while no session is on; tracking_begin(); after
 * each turn of the session tracking_turn(); tracking_stop() where a session ends from outside (the group
 * is idle, stopped or empty). Times in ns of the caller's clock. The caller's memory, no pointer inside.
 */
#ifndef PFUSE_CORE_TRACKING_H
#define PFUSE_CORE_TRACKING_H

#include <stdbool.h>
#include <stdint.h>

#include "core/cvhrc.h"

/* 0 stands for the default, in parentheses. */
struct tracking_setup {
	uint32_t budget_permille; /* what measuring may cost, of the time that passes (10) */
	uint64_t every_ns;	  /* longest rest (300 s) */
};

enum tracking_phase {
	TRACKING_NEVER, /* no session yet */
	TRACKING_ON,
	TRACKING_REST, /* until until_ns at the latest */
};

struct tracking {
	uint8_t phase; /* enum tracking_phase */
	bool told;     /* in this session: there is a knee that can be believed */
	uint64_t since_ns;
	uint64_t until_ns;
	uint64_t rest_ns; /* the last rest; 0: none yet */
	uint64_t knee_bytes;
	uint64_t knee_before; /* of the session before; 0: none */
	uint64_t usage_bytes; /* at the last sample */
	uint64_t least_usage; /* since the rest began */
	uint64_t refaults;    /* when the rest began */
	uint64_t debt_ns;
	uint64_t paid_ns; /* time up to which the debt was paid off */
	uint64_t still_ns; /* when the knee was told */
	uint32_t steady;   /* turns since then */
};

/* What the group is at the time of a sample. */
struct tracking_view {
	uint64_t usage_bytes;
	uint64_t floor_bytes; /* with no more than that, nothing would follow from a curve */
	uint64_t refaults;
	uint64_t page_bytes;
};

struct tracking_answer {
	bool tell;		/* the curve is news */
	bool rest;		/* the session is over */
	uint64_t not_before_ns; /* of the next turn; 0: whenever it is due */
};

void tracking_setup_complete(struct tracking_setup *setup);

void tracking_init(struct tracking *t, uint64_t now_ns);

/* True: a session is worth its cost now. */
bool tracking_wants(struct tracking *t, const struct tracking_view *view, uint64_t now_ns);

void tracking_begin(struct tracking *t, uint64_t now_ns);

/* A turn took spent_ns. curve: as it is now; NULL: nothing was counted yet. */
struct tracking_answer tracking_turn(struct tracking *t, const struct tracking_setup *setup,
				     const struct cvhrc_curve *curve, uint64_t spent_ns,
				     uint64_t now_ns);

/* The rest that has begun counts from now on: what came after the session took its time. */
void tracking_rest_from(struct tracking *t, uint64_t now_ns);

/* The next session may begin after for_ns. */
void tracking_stop(struct tracking *t, uint64_t for_ns, uint64_t now_ns);

#endif
