/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Several systems may want one group: the arbiter merges their wishes to at most one verdict per
 * control, within what must hold whoever wishes.
 *
 * Limits (RAM, CPU, I/O), in this order:
 *   1. A growth beats every shrink, and RAM's is never delayed; of several wishes the largest limit
 *      wins.
 *   2. No limit below the floor, nor at or below the mark at which the present usage would count as
 *      high: a shrink can neither squeeze what is in use nor cross the mark by itself.
 *   3. No limit above the ceiling. A growth that ends there has reason PFUSE_WHY_CEILING. RAM: the edge
 *      releases its brake, and the kernel's own rule (OOM kill at the limit) holds again. CPU and I/O:
 *      a ceiling that somebody configured is kept as limit; one that stands for "unlimited" is not
 *      worth writing, so the control is released (PFUSE_UNLIMITED).
 *   4. No shrink within the cool-down after a growth, nor during the back-off. Nobody dies for want
 *      of CPU or I/O, so their growths wait for the back-off too.
 *   5. Whole pages (or grains), and no change that is only noise (see arbiter.c).
 * NET: a level, one up or down at a time; rule 4 as for I/O.
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
	bool grow;	 /* not STOP: wants more (or less) than there is */
	bool clamped;	 /* the wish is cut already */
};

enum arbiter_result {
	ARBITER_SETTLED, /* no change, and none as long as nothing happens */
	ARBITER_WAIT,	 /* no change now, but maybe later by time alone */
	ARBITER_VERDICT,
};

/* RAM, CPU, I/O: wish.to is a limit. */
enum arbiter_result arbiter_limit(const struct fcb *fcb, enum pfuse_control control,
				  const struct arbiter_wish *wishes, unsigned nwishes,
				  uint64_t now_ns, struct pfuse_verdict *ret_verdict);

/* RECLAIM: wish.to is the usage to come down to; not within the cool-down after a growth of RAM. */
enum arbiter_result arbiter_reclaim(const struct fcb *fcb, const struct arbiter_wish *wish,
				    uint64_t now_ns, struct pfuse_verdict *ret_verdict);

/* NET: wish.to is a level. */
enum arbiter_result arbiter_level(const struct fcb *fcb, const struct arbiter_wish *wishes,
				  unsigned nwishes, uint64_t now_ns,
				  struct pfuse_verdict *ret_verdict);

enum arbiter_result arbiter_stop(const struct fcb *fcb, const struct arbiter_wish *wishes,
				 unsigned nwishes, uint64_t now_ns,
				 struct pfuse_verdict *ret_verdict);

#endif
