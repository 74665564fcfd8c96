/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/rate.h"

#include "core/arith.h"

#define THROTTLED_PERMILLE 100 /* of the periods: from there on the CPU limit is in the way */

static bool is_throttled(const struct fcb *fcb)
{
	return (uint64_t)fcb->throttled * 1000 > (uint64_t)fcb->periods * THROTTLED_PERMILLE;
}

static bool is_saturated(const struct fcb *fcb, enum fcb_resource_kind kind)
{
	const struct fcb_resource *r = &fcb->res[kind];

	if (kind == FCB_NET || r->limit == PFUSE_UNLIMITED)
		return false;
	if (kind == FCB_CPU && is_throttled(fcb))
		return true;
	return fusebox_mark(r->usage, fcb->policy.high_water_permille) > r->limit;
}

struct fusebox rate_rule(const struct fcb *fcb, enum fcb_resource_kind kind,
			 enum pfuse_reason *ret_reason)
{
	const struct fcb_resource *r = &fcb->res[kind];
	struct fusebox_bounds bounds = fcb_bounds(fcb, kind);
	struct fusebox rule;

	if (is_saturated(fcb, kind)) {
		*ret_reason = PFUSE_WHY_HIGH_WATER;
		return fusebox_grow(r->usage, r->usage_prev, r->limit, &bounds);
	}
	rule = fusebox_step(r->usage, r->usage_prev, r->limit, &bounds);
	*ret_reason = rule.direction == FUSEBOX_GROW ? PFUSE_WHY_SCORE_HIGH : PFUSE_WHY_SCORE_LOW;
	return rule;
}

uint32_t rate_level(const struct fcb *fcb, const struct fusebox *rule)
{
	const struct fcb_policy *p = &fcb->policy;
	uint64_t level = fcb->net_level;

	if (rule->direction == FUSEBOX_GROW)
		level = arith_add(level, 1);
	else if (rule->direction == FUSEBOX_SHRINK)
		level = arith_sub(level, 1);
	return (uint32_t)arith_min(arith_max(level, p->net_low), p->net_high);
}
