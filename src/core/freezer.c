/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/freezer.h"

#include "core/arbiter.h"
#include "core/arith.h"
#include "core/signalflag.h"

bool freezer_quiet(const struct fcb *fcb)
{
	return fcb->still && (fcb->stopped || fcb->settled);
}

/*
 * From when on a group may be stopped, if nothing happens until then. One function for timer,
 * sample and due time: a timer that fires when due, and finds that it is not, would spin.
 */
static uint64_t stop_due_ns(const struct fcb *fcb)
{
	const struct fcb_policy *p = &fcb->policy;
	uint64_t due_ns;

	if (p->freeze == FCB_FREEZE_OFF || fcb->last.nprocs == 0)
		return FCB_NEVER;
	due_ns = arith_add(fcb->active_ns, p->idle_ns);
	if (p->freeze == FCB_FREEZE_ISOLATED)
		due_ns = arith_max(due_ns, signalflag_due_ns(&fcb->flag, p->window_ns));
	return arith_max(due_ns, fcb->control[PFUSE_CTL_STOP].retry_ns);
}

static uint64_t continue_due_ns(const struct fcb *fcb)
{
	if (fcb->overdue)
		return fcb->control[PFUSE_CTL_STOP].retry_ns;
	if (fcb->requested)
		return FCB_NEVER;
	return arith_add(fcb->stopped_since_ns, fcb->policy.deadline_ns);
}

uint64_t freezer_due_ns(const struct fcb *fcb)
{
	if (fcb->control[PFUSE_CTL_STOP].let_go)
		return FCB_NEVER;
	if (fcb->stopped)
		return continue_due_ns(fcb);
	/* The end of a probe asks for a sample of its own: what comes later is no probe any more. */
	if (fcb->sampled_ns < fcb->probe_end_ns)
		return fcb->probe_end_ns;
	/* A group that is sampled is stopped by its sample: only that proves that it is idle. */
	return freezer_quiet(fcb) ? stop_due_ns(fcb) : FCB_NEVER;
}

static bool is_stop_due(const struct fcb *fcb, uint64_t now_ns)
{
	uint64_t due_ns = stop_due_ns(fcb);

	return due_ns != FCB_NEVER && now_ns >= due_ns;
}

static bool is_deadline(const struct fcb *fcb, uint64_t now_ns)
{
	uint64_t due_ns = continue_due_ns(fcb);

	return !fcb->overdue && due_ns != FCB_NEVER && now_ns >= due_ns;
}

static unsigned continue_wishes(const struct fcb *fcb, uint64_t now_ns, struct arbiter_wish *wishes)
{
	enum signalflag_state flag;
	unsigned n = 0;

	flag = signalflag_state(&fcb->flag, fcb->policy.window_ns, now_ns);
	/* An emptied group that stays stopped would stop whatever is started in it next. */
	if (fcb->last.nprocs == 0)
		wishes[n++] = (struct arbiter_wish){ .reason = PFUSE_WHY_EXIT };
	if (flag == SIGNALFLAG_TALKS && !fcb->requested &&
	    fcb->policy.freeze == FCB_FREEZE_ISOLATED)
		wishes[n++] = (struct arbiter_wish){ .reason = PFUSE_WHY_TALK };
	if (is_deadline(fcb, now_ns))
		wishes[n++] = (struct arbiter_wish){ .reason = PFUSE_WHY_DEADLINE };
	if (fcb->overdue)
		wishes[n++] = (struct arbiter_wish){ .reason = fcb->overdue };
	return n;
}

bool freezer_decide(const struct fcb *fcb, bool idle_proven, uint64_t now_ns,
		    struct pfuse_verdict *ret_verdict)
{
	struct arbiter_wish wishes[4];
	unsigned n = 0;

	if (fcb->stopped)
		n = continue_wishes(fcb, now_ns, wishes);
	else if (idle_proven && is_stop_due(fcb, now_ns))
		wishes[n++] = (struct arbiter_wish){
			.to = 1,
			.reason = fcb->policy.freeze == FCB_FREEZE_GUARDED ? PFUSE_WHY_PARKED
									   : PFUSE_WHY_IDLE,
		};
	return arbiter_stop(fcb, wishes, n, now_ns, ret_verdict) == ARBITER_VERDICT;
}

bool freezer_ask(struct fcb *fcb, bool stop, enum pfuse_reason reason, uint64_t now_ns,
		 struct pfuse_verdict *ret_verdict)
{
	struct arbiter_wish wish = { .to = stop, .reason = reason };

	if (stop && fcb->last.nprocs == 0)
		return false;
	if (stop && fcb->stopped) {
		/* The stop at hand becomes a requested one, and is not to be continued any more. */
		fcb->requested = true;
		fcb->overdue = PFUSE_WHY_NONE;
	}
	if (!stop)
		fcb->active_ns = now_ns;
	return arbiter_stop(fcb, &wish, 1, now_ns, ret_verdict) == ARBITER_VERDICT;
}

void freezer_policy_changed(struct fcb *fcb)
{
	if (fcb->policy.freeze == FCB_FREEZE_OFF)
		freezer_wake(fcb, PFUSE_WHY_REQUEST);
}

void freezer_wake(struct fcb *fcb, enum pfuse_reason reason)
{
	if (fcb->stopped && !fcb->requested && !fcb->overdue)
		freezer_overdue(fcb, reason);
}

#define USED FCB_NEVER /* of probe_end_ns, in a stopped group */

void freezer_used(struct fcb *fcb, uint64_t now_ns)
{
	if (fcb->policy.freeze != FCB_FREEZE_GUARDED)
		return;
	fcb->probe_end_ns = fcb->stopped ? USED : arith_min(fcb->probe_end_ns, now_ns);
	if (!fcb->stopped)
		fcb->active_ns = arith_max(fcb->active_ns, now_ns);
}

/* A stopped group is still by definition, whatever it did until now. */
void freezer_stopped(struct fcb *fcb, enum pfuse_reason reason, uint64_t now_ns)
{
	fcb->stopped = true;
	fcb->stopped_since_ns = now_ns;
	fcb->probe_end_ns = 0;
	fcb->requested = reason == PFUSE_WHY_REQUEST;
	fcb->still = true;
}

/*
 * A probe: as much idleness is kept as makes the group a candidate again when the probe's time is over,
 * unless it turns out to be more than that.
 */
static uint64_t active_since(const struct fcb *fcb, enum pfuse_reason reason, uint64_t now_ns)
{
	const struct fcb_policy *p = &fcb->policy;

	if (p->freeze != FCB_FREEZE_GUARDED || reason == PFUSE_WHY_REQUEST ||
	    fcb->probe_end_ns == USED)
		return now_ns;
	return arith_sub(now_ns, arith_sub(p->idle_ns, p->probe_ns));
}

void freezer_continued(struct fcb *fcb, enum pfuse_reason reason, uint64_t now_ns)
{
	if (!fcb->stopped)
		return;
	fcb->totals.stopped_ns = fcb_stopped_ns(fcb, now_ns);
	fcb->stopped = false;
	fcb->requested = false;
	fcb->overdue = PFUSE_WHY_NONE;
	fcb->still = false;
	fcb->woken_ns = now_ns;
	fcb->active_ns = active_since(fcb, reason, now_ns);
	fcb->probe_end_ns = 0;
	if (fcb->active_ns < now_ns)
		fcb->probe_end_ns = arith_add(now_ns, fcb->policy.probe_ns);
}

void freezer_overdue(struct fcb *fcb, enum pfuse_reason reason)
{
	fcb->overdue = (uint8_t)reason;
}
