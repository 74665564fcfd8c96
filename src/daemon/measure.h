/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The hit-ratio curve of one group while it is measured: edge/pagescan.h feeds core/cvhrc.h.
 *
 * Order: measure_open() → measure_turn() whenever measure_due_ns() has come, from at once on →
 * measure_curve() at any time → measure_close(). The clock is the caller's.
 * Memory: 61 KiB of the core and up to 192 KiB of the edge, on the heap.
 */
#ifndef DAEMON_MEASURE_H
#define DAEMON_MEASURE_H

#include "base/err.h"
#include "core/cvhrc.h"
#include "edge/pagescan.h"

struct measure {
	struct pagescan *scan;
	struct cvhrc core;
	struct cvhrc_advice advice;
	struct pagescan_result last; /* of the latest turn */
	uint64_t begun_ns;	     /* 0: before the first turn */
	uint64_t cleared_ns;	     /* the latest turn */
	uint64_t due_ns;
	uint64_t spent_ns;    /* CPU time of all turns */
	uint64_t counting_ns; /* of the latest one, after the scan */
	uint32_t turns;
	bool pausing; /* what comes next ends a pause, not an epoch */
};

int measure_open(const struct probe *probe, const struct pagescan_target *target,
		 const struct cvhrc_setup *setup, struct measure **ret, struct err *err);
void measure_close(struct measure *measure); /* accepts NULL */

static inline uint64_t measure_due_ns(const struct measure *measure)
{
	return measure->due_ns;
}

/* Errors: as pagescan_epoch(). What was measured before stays. */
int measure_turn(struct measure *measure, uint64_t now_ns, struct err *err);

/* False: nothing was counted yet. */
bool measure_curve(const struct measure *measure, struct cvhrc_curve *ret);

#endif
