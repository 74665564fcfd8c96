/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/arbiter.h"

#include <stddef.h>

#include "core/arith.h"
#include "core/fusebox.h"

static struct pfuse_verdict verdict(const struct fcb *fcb, enum pfuse_control control,
				    uint64_t now_ns)
{
	const struct fcb_resource *ram = &fcb->res[FCB_RAM];

	return (struct pfuse_verdict){
		.time_ns = now_ns,
		.slot = fcb->slot,
		.control = control,
		.score = ram->score,
		.size_bytes = ram->size,
		.usage_bytes = ram->usage,
		.usage_prev_bytes = ram->usage_prev,
		.limit_bytes = arith_min(ram->limit, fcb->policy.ram_ceiling_bytes),
	};
}

static const struct arbiter_wish *strongest(const struct arbiter_wish *wishes, unsigned nwishes)
{
	const struct arbiter_wish *best = NULL;

	for (unsigned i = 0; i < nwishes; i++) {
		const struct arbiter_wish *w = &wishes[i];

		if (!best || w->grow > best->grow || (w->grow == best->grow && w->to > best->to))
			best = w;
	}
	return best;
}

/* Rules 2, 3 and 5: into the bounds, up to whole pages (floor and ceiling are whole already). */
static uint64_t bounded(const struct fcb *fcb, uint64_t to)
{
	const struct fcb_policy *p = &fcb->policy;
	uint64_t mark = fusebox_mark(fcb->res[FCB_RAM].usage, p->high_water_permille);

	to = arith_max(arith_max(to, mark), p->ram_floor_bytes);
	return arith_min(arith_page_up(to, fcb->page_bytes), p->ram_ceiling_bytes);
}

/*
 * Less than a page cannot be set, and less than 1 % is no decision but noise: every write of a
 * limit makes the kernel walk the group (and costs a line in the ledger, the trace and the log),
 * while 1 % of a limit is far below what one sample of usage says. One exception: usage at the
 * mark. There the smallest growth arms the high-water event again, and that one grows by as much as
 * it takes.
 */
static bool is_noise(const struct fcb *fcb, uint64_t from, uint64_t to)
{
	const struct fcb_resource *ram = &fcb->res[FCB_RAM];
	uint64_t change = to > from ? to - from : from - to;

	if (to > from && fusebox_mark(ram->usage, fcb->policy.high_water_permille) > from)
		return false;
	return change < fcb->page_bytes || change < from / 100;
}

static enum arbiter_result shrink_allowed(const struct fcb *fcb, uint64_t to, uint64_t now_ns)
{
	const struct fcb_control *control = &fcb->control[PFUSE_CTL_RAM];
	const struct fcb_policy *p = &fcb->policy;
	uint64_t mark = fusebox_mark(fcb->res[FCB_RAM].usage, p->high_water_permille);

	/* The ceiling lies below what is in use: it does not squeeze either. */
	if (to < mark)
		return ARBITER_SETTLED;
	if (fcb->grown_ns && now_ns < arith_add(fcb->grown_ns, p->cool_down_ns))
		return ARBITER_WAIT;
	/* It has failed for two minutes: no reason to keep a sleeping group under observation. */
	if (now_ns < control->retry_ns)
		return control->failures > FCB_RETRY_DOUBLINGS ? ARBITER_SETTLED : ARBITER_WAIT;
	return ARBITER_VERDICT;
}

enum arbiter_result arbiter_ram(const struct fcb *fcb, const struct arbiter_wish *wishes,
				unsigned nwishes, uint64_t now_ns,
				struct pfuse_verdict *ret_verdict)
{
	const struct arbiter_wish *w = strongest(wishes, nwishes);
	uint64_t from = fcb->res[FCB_RAM].limit;
	enum arbiter_result result = ARBITER_VERDICT;
	uint64_t to;

	if (!w || fcb->control[PFUSE_CTL_RAM].let_go)
		return ARBITER_SETTLED;
	to = bounded(fcb, w->to);
	/* A bound may not turn a wish into its opposite: "grow" from unlimited to the ceiling. */
	if (w->grow ? to <= from : to >= from)
		return ARBITER_SETTLED;
	if (is_noise(fcb, from, to))
		return ARBITER_SETTLED;
	if (!w->grow)
		result = shrink_allowed(fcb, to, now_ns);
	if (result != ARBITER_VERDICT)
		return result;
	*ret_verdict = verdict(fcb, PFUSE_CTL_RAM, now_ns);
	ret_verdict->from = from;
	ret_verdict->to = to;
	ret_verdict->reason = w->reason;
	ret_verdict->clamped = w->clamped || to != arith_page_up(w->to, fcb->page_bytes);
	if (w->grow && to == fcb->policy.ram_ceiling_bytes) {
		ret_verdict->reason = PFUSE_WHY_CEILING;
		ret_verdict->clamped = 1;
	}
	return ARBITER_VERDICT;
}

/*
 * Lower is stronger. Continues first: a stop that comes a second late costs some memory, a continue
 * that comes late costs somebody's connection.
 */
static unsigned stop_rank(const struct arbiter_wish *w)
{
	static const uint8_t rank[PFUSE_REASONS] = {
		[PFUSE_WHY_EXIT] = 1,	  [PFUSE_WHY_REQUEST] = 2, [PFUSE_WHY_DATA] = 3,
		[PFUSE_WHY_TALK] = 4,	  [PFUSE_WHY_SIGNAL] = 5,  [PFUSE_WHY_ENTERED] = 6,
		[PFUSE_WHY_DEADLINE] = 7, [PFUSE_WHY_IDLE] = 8,	   [PFUSE_WHY_PARKED] = 9,
	};

	return (w->to ? PFUSE_REASONS : 0) + (w->reason < PFUSE_REASONS ? rank[w->reason] : 0);
}

/* The stop of an idle group waits for the back-off; a continue and a request never do. */
enum arbiter_result arbiter_stop(const struct fcb *fcb, const struct arbiter_wish *wishes,
				 unsigned nwishes, uint64_t now_ns,
				 struct pfuse_verdict *ret_verdict)
{
	const struct fcb_control *control = &fcb->control[PFUSE_CTL_STOP];
	const struct arbiter_wish *w = NULL;

	for (unsigned i = 0; i < nwishes; i++)
		if (!w || stop_rank(&wishes[i]) < stop_rank(w))
			w = &wishes[i];
	if (!w || control->let_go || (w->to != 0) == fcb->stopped)
		return ARBITER_SETTLED;
	if (w->to && w->reason != PFUSE_WHY_REQUEST && now_ns < control->retry_ns)
		return ARBITER_WAIT;
	*ret_verdict = verdict(fcb, PFUSE_CTL_STOP, now_ns);
	ret_verdict->from = fcb->stopped;
	ret_verdict->to = !fcb->stopped;
	ret_verdict->reason = w->reason;
	ret_verdict->since_ns =
		arith_sub(now_ns, fcb->stopped ? fcb->stopped_since_ns : fcb->active_ns);
	return ARBITER_VERDICT;
}
