/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/adaptive_ram.h"

#include "core/arbiter.h"
#include "core/arith.h"
#include "core/fusebox.h"

static struct adaptive_view view_of(const struct fcb *fcb)
{
	return (struct adaptive_view){
		.usage_bytes = fcb->res[FCB_RAM].usage,
		.floor_bytes = fcb->policy.ram_floor_bytes,
		.ceiling_bytes = fcb->policy.ram_ceiling_bytes,
		.page_bytes = fcb->page_bytes,
	};
}

/* The group stands at the mark of its limit already: no event will come for that. */
static bool must_grow(const struct fcb *fcb)
{
	const struct fcb_resource *ram = &fcb->res[FCB_RAM];

	return ram->limit < fcb->policy.ram_ceiling_bytes &&
	       fusebox_mark(ram->usage, fcb->policy.high_water_permille) > ram->limit;
}

static struct arbiter_wish wish_of(const struct fcb *fcb, const struct adaptive *a,
				   const struct adaptive_step *step, const struct fusebox *growth)
{
	struct arbiter_wish wish = { .to = step->to_bytes, .reason = step->reason };

	if (must_grow(fcb))
		wish = (struct arbiter_wish){ .to = growth->limit,
					      .reason = PFUSE_WHY_HIGH_WATER,
					      .grow = true,
					      .clamped = growth->clamped };
	else if (step->act == ADAPTIVE_REVERT)
		wish = (struct arbiter_wish){
			.to = fusebox_mark(step->to_bytes, fcb->policy.high_water_permille),
			.reason = step->reason,
			.grow = true,
		};
	return wish;
}

unsigned adaptive_ram(struct adaptive *a, const struct adaptive_setup *setup, struct fcb *fcb,
		      const struct pfuse_sample *sample, uint64_t now_ns, struct pfuse_verdict *ret)
{
	struct fcb_resource *ram = &fcb->res[FCB_RAM];
	struct adaptive_view view = view_of(fcb);
	struct adaptive_step step = adaptive_sample(a, setup, &view, sample, now_ns);
	struct fusebox_bounds bounds = fcb_bounds(fcb, FCB_RAM);

	if (a->by_limit && fcb->control[PFUSE_CTL_RAM].let_go && step.act == ADAPTIVE_SHRINK)
		step.act = ADAPTIVE_SETTLED;
	struct fusebox growth = fusebox_grow(ram->usage, ram->usage_prev, ram->limit, &bounds);
	struct arbiter_wish wish = wish_of(fcb, a, &step, &growth);
	bool wants = wish.grow || step.act == ADAPTIVE_SHRINK;
	enum arbiter_result result = ARBITER_SETTLED;

	ram->score = growth.score;
	ram->size = step.target;
	if (wants && fcb->policy.mode[FCB_RAM] == FCB_ACT)
		result = wish.grow ? arbiter_limit(fcb, PFUSE_CTL_RAM, &wish, 1, now_ns, ret)
				   : arbiter_reclaim(fcb, &wish, now_ns, ret);
	fcb_settle(fcb, PFUSE_CTL_RAM, step.act == ADAPTIVE_SETTLED && result == ARBITER_SETTLED);
	return result == ARBITER_VERDICT;
}
