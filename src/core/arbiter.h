/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Several systems may want one group: the arbiter merges their wishes to at most one verdict per
 * control, within what must hold whoever wishes.
 *
 * RAM, in this order:
 *   1. A growth beats every shrink, and is never delayed; of several wishes the largest limit wins.
 *   2. No limit below the floor, nor at or below the mark at which the present usage would count as
 *      high: a shrink can neither squeeze what is in use nor cross the mark by itself.
 *   3. No limit above the ceiling. A growth that ends there has reason PFUSE_WHY_CEILING: the edge
 *      releases its brake, and the kernel's own rule (OOM kill at the limit) holds again.
 *   4. No shrink within the cool-down after a growth by event, nor during the back-off.
 *   5. Whole pages, and no change that is only noise (see arbiter.c).
 * STOP: a continue beats every stop; among equals the order of `stop_rank` in arbiter.c.
 * A control that was let go gives no verdict.
 *
 * Reads the FCB, changes nothing. *ret_verdict is written only with ARBITER_VERDICT.
 */
#ifndef PFUSE_CORE_ARBITER_H
#define PFUSE_CORE_ARBITER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/fcb.h"
#include "pfuse/verdict.h"

struct arbiter_wish {
	uint64_t to;
	uint32_t reason; /* enum pfuse_reason */
	bool grow;	 /* RAM: wants more (or less) than there is */
	bool clamped;	 /* the wish is cut already */
};

enum arbiter_result {
	ARBITER_SETTLED, /* no change, and none as long as nothing happens */
	ARBITER_WAIT,	 /* no change now, but maybe later by time alone */
	ARBITER_VERDICT,
};

enum arbiter_result arbiter_ram(const struct fcb *fcb, const struct arbiter_wish *wishes,
				unsigned nwishes, uint64_t now_ns,
				struct pfuse_verdict *ret_verdict);

enum arbiter_result arbiter_stop(const struct fcb *fcb, const struct arbiter_wish *wishes,
				 unsigned nwishes, uint64_t now_ns,
				 struct pfuse_verdict *ret_verdict);

#endif
