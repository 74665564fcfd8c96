/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/arbiter.h"

#include <stddef.h>

#include "core/arith.h"
#include "core/fusebox.h"

/* STOP has no usage of its own; RAM's is what a stop is about. */
static struct pfuse_verdict verdict(const struct fcb *fcb, enum pfuse_control control,
				    uint64_t now_ns)
{
	enum fcb_resource_kind kind =
		control == PFUSE_CTL_STOP ? FCB_RAM : fcb_resource_of(control);
	const struct fcb_resource *r = &fcb->res[kind];
	struct fusebox_bounds bounds = fcb_bounds(fcb, kind);

	return (struct pfuse_verdict){
		.time_ns = now_ns,
		.slot = fcb->slot,
		.control = control,
		.score = r->score,
		.size = r->size,
		.usage = r->usage,
		.usage_prev = r->usage_prev,
		.limit = arith_min(r->limit, bounds.ceiling),
		.periods = kind == FCB_CPU ? fcb->periods : 0,
		.throttled = kind == FCB_CPU ? fcb->throttled : 0,
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

/* What the rules are about: one limit of one group. */
struct limit {
	const struct fcb *fcb;
	const struct fcb_control *control;
	enum fcb_resource_kind kind;
	struct fusebox_bounds bounds;
	uint64_t mark; /* the smallest limit at which the present usage is not high */
	uint64_t grain;
};

static struct limit limit_of(const struct fcb *fcb, enum pfuse_control control)
{
	enum fcb_resource_kind kind = fcb_resource_of(control);

	return (struct limit){
		.fcb = fcb,
		.control = &fcb->control[control],
		.kind = kind,
		.bounds = fcb_bounds(fcb, kind),
		.mark = fusebox_mark(fcb->res[kind].usage, fcb->policy.high_water_permille),
		.grain = fcb_grain(fcb, kind),
	};
}

/* Rules 2, 3 and 5: into the bounds, up to whole grains (floor and ceiling are whole already). */
static uint64_t bounded(const struct limit *l, const struct arbiter_wish *w)
{
	uint64_t to = arith_max(arith_max(w->to, l->mark), l->bounds.floor);

	to = arith_min(arith_page_up(to, l->grain), l->bounds.ceiling);
	if (to == l->bounds.ceiling && fcb_lifts_at_ceiling(l->fcb, l->kind))
		to = PFUSE_UNLIMITED;
	return to;
}

/*
 * Less than a grain cannot be set, and less than 1 % is no decision but noise: every write of a
 * limit makes the kernel walk the group (and costs a line in the ledger, the trace and the log),
 * while 1 % of a limit is far below what one sample of usage says. One exception: usage at the
 * mark. There the smallest growth arms RAM's high-water event again, and that one grows by as much
 * as it takes.
 */
static bool is_noise(const struct limit *l, uint64_t from, uint64_t to)
{
	uint64_t change = to > from ? to - from : from - to;

	if (to > from && l->mark > from)
		return false;
	return change < l->grain || change < from / 100;
}

/* It has failed for two minutes: no reason to keep a sleeping group under observation. */
static enum arbiter_result back_off(const struct fcb_control *control)
{
	return control->failures > FCB_RETRY_DOUBLINGS ? ARBITER_SETTLED : ARBITER_WAIT;
}

static enum arbiter_result shrink_allowed(const struct limit *l, uint64_t to, uint64_t now_ns)
{
	/* The ceiling lies below what is in use: it does not squeeze either. */
	if (to < l->mark)
		return ARBITER_SETTLED;
	return now_ns < l->control->retry_ns ? back_off(l->control) : ARBITER_VERDICT;
}

static enum arbiter_result growth_allowed(const struct fcb_control *control, uint64_t now_ns)
{
	if (control->failures && now_ns < control->retry_ns)
		return back_off(control);
	return ARBITER_VERDICT;
}

static enum arbiter_result change_allowed(const struct limit *l, bool grow, uint64_t to,
					  uint64_t now_ns)
{
	if (!grow)
		return shrink_allowed(l, to, now_ns);
	return l->kind == FCB_RAM ? ARBITER_VERDICT : growth_allowed(l->control, now_ns);
}

enum arbiter_result arbiter_limit(const struct fcb *fcb, enum pfuse_control control,
				  const struct arbiter_wish *wishes, unsigned nwishes,
				  uint64_t now_ns, struct pfuse_verdict *ret_verdict)
{
	const struct arbiter_wish *w = strongest(wishes, nwishes);
	struct limit l = limit_of(fcb, control);
	uint64_t from = fcb->res[l.kind].limit, to;
	enum arbiter_result result;

	if (!w || l.control->let_go)
		return ARBITER_SETTLED;
	to = bounded(&l, w);
	/* A bound may not turn a wish into its opposite: "grow" from unlimited to the ceiling. */
	if ((w->grow ? to <= from : to >= from) || is_noise(&l, from, to))
		return ARBITER_SETTLED;
	result = change_allowed(&l, w->grow, to, now_ns);
	if (result != ARBITER_VERDICT)
		return result;
	*ret_verdict = verdict(fcb, control, now_ns);
	ret_verdict->from = from;
	ret_verdict->to = to;
	ret_verdict->reason = w->reason;
	ret_verdict->clamped = w->clamped || to != arith_page_up(w->to, l.grain);
	if (w->grow && to >= l.bounds.ceiling) {
		ret_verdict->reason = PFUSE_WHY_CEILING;
		ret_verdict->clamped = 1;
	}
	return ARBITER_VERDICT;
}

enum arbiter_result arbiter_reclaim(const struct fcb *fcb, const struct arbiter_wish *wish,
				    uint64_t now_ns, struct pfuse_verdict *ret_verdict)
{
	uint64_t from = fcb->res[FCB_RAM].usage;
	uint64_t to = arith_max(wish->to, fcb->policy.ram_floor_bytes);

	if (to >= from)
		return ARBITER_SETTLED;
	if (now_ns < fcb->control[PFUSE_CTL_RAM].retry_ns)
		return ARBITER_WAIT;
	*ret_verdict = verdict(fcb, PFUSE_CTL_RAM, now_ns);
	ret_verdict->control = PFUSE_CTL_RECLAIM;
	ret_verdict->from = from;
	ret_verdict->to = to;
	ret_verdict->reason = wish->reason;
	ret_verdict->clamped = wish->clamped || to != wish->to;
	return ARBITER_VERDICT;
}

enum arbiter_result arbiter_level(const struct fcb *fcb, const struct arbiter_wish *wishes,
				  unsigned nwishes, uint64_t now_ns,
				  struct pfuse_verdict *ret_verdict)
{
	const struct fcb_control *control = &fcb->control[PFUSE_CTL_NET];
	const struct arbiter_wish *w = strongest(wishes, nwishes);
	uint64_t from = fcb->net_level;
	enum arbiter_result result;

	if (!w || control->let_go || (w->grow ? w->to <= from : w->to >= from))
		return ARBITER_SETTLED;
	if (w->grow)
		result = growth_allowed(control, now_ns);
	else
		result = now_ns < control->retry_ns ? back_off(control) : ARBITER_VERDICT;
	if (result != ARBITER_VERDICT)
		return result;
	*ret_verdict = verdict(fcb, PFUSE_CTL_NET, now_ns);
	ret_verdict->from = from;
	ret_verdict->to = w->to;
	ret_verdict->reason = w->reason;
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
