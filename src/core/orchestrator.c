/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/orchestrator.h"

#include <stddef.h>
#include <string.h>

#include "core/adaptive_ram.h"
#include "core/arbiter.h"
#include "core/arith.h"
#include "core/freezer.h"
#include "core/fusebox.h"
#include "core/rate.h"
#include "core/signalflag.h"

/*
 * Back-off after a failed verdict: the base, doubled with each failure in a row (up to 64 times). A
 * shrink or a stop that fails costs only what it would have saved; a group that cannot be continued
 * is in trouble, so that is tried again after 16 ms, and at least once a second.
 */
#define RETRY_NS 1000000000ull
#define RETRY_CONTINUE_NS 16000000ull
#define RETRY_REFUSED_NS 10000000000ull

void orchestrator_init(struct orchestrator *o, struct fcb *fcbs, uint32_t nslots,
		       uint64_t machine_ram_bytes, uint32_t page_bytes)
{
	memset(fcbs, 0, nslots * sizeof(*fcbs));
	*o = (struct orchestrator){
		.fcbs = fcbs,
		.nslots = nslots,
		.page_bytes = page_bytes ? page_bytes : 4096,
		.machine_ram_bytes = machine_ram_bytes,
		.ncpus = 1,
	};
}

void orchestrator_move(struct orchestrator *o, struct fcb *fcbs, uint32_t nslots)
{
	o->fcbs = fcbs;
	o->nslots = nslots;
}

struct fcb *orchestrator_fcb(const struct orchestrator *o, uint32_t slot)
{
	if (slot == 0 || slot >= o->nslots || !o->fcbs[slot].group_id)
		return NULL;
	return &o->fcbs[slot];
}

/* The group of a slot, if anything can still be decided for it. */
static struct fcb *live(const struct orchestrator *o, uint32_t slot)
{
	struct fcb *fcb = orchestrator_fcb(o, slot);

	return fcb && !fcb->removed ? fcb : NULL;
}

/* Every door opens with this: the totals are brought up to date, and time never runs backwards. */
static uint64_t enter(struct fcb *fcb, uint64_t now_ns)
{
	fcb_account(fcb, now_ns);
	return arith_max(now_ns, fcb->accounted_ns);
}

void orchestrator_attach(struct orchestrator *o, uint32_t slot, uint64_t group_id,
			 const struct fcb_policy *policy, const struct pfuse_sample *first,
			 uint64_t now_ns)
{
	if (slot == 0 || slot >= o->nslots || group_id == 0)
		return;
	fcb_init(&o->fcbs[slot], group_id, first, now_ns);
	o->fcbs[slot].slot = slot;
	o->fcbs[slot].page_bytes = o->page_bytes;
	o->fcbs[slot].ncpus = o->ncpus;
	fcb_set_policy(&o->fcbs[slot], policy, o->machine_ram_bytes);
}

void orchestrator_adaptive(struct orchestrator *o, struct adaptive *adaptive,
			   const struct adaptive_setup *setup)
{
	o->adaptive = adaptive;
	o->adaptive_setup = *setup;
	adaptive_setup_complete(&o->adaptive_setup);
}

/* NULL: this group's policy is `fusebox`. */
static struct adaptive *adaptive_of(const struct orchestrator *o, uint32_t slot)
{
	return o->adaptive && slot < o->nslots && o->adaptive[slot].chosen ? &o->adaptive[slot]
									    : NULL;
}

void orchestrator_choose(struct orchestrator *o, uint32_t slot, bool adaptive, bool by_limit,
			 const struct pfuse_sample *first, uint64_t grace_ns, uint64_t now_ns)
{
	struct fcb *fcb = orchestrator_fcb(o, slot);

	if (!fcb || !o->adaptive)
		return;
	o->adaptive[slot].chosen = adaptive;
	o->adaptive[slot].by_limit = by_limit;
	adaptive_start(&o->adaptive[slot], &o->adaptive_setup, first, grace_ns, now_ns);
	fcb_settle(fcb, PFUSE_CTL_RAM, false);
}

void orchestrator_need(struct orchestrator *o, uint32_t slot, const struct adaptive_need *need,
		       uint64_t now_ns)
{
	struct adaptive *a = adaptive_of(o, slot);
	struct fcb *fcb = live(o, slot);

	if (!a || !fcb)
		return;
	adaptive_need(a, &o->adaptive_setup, need, now_ns);
	fcb_settle(fcb, PFUSE_CTL_RAM, false);
}

void orchestrator_share(struct orchestrator *o, uint32_t slot, uint64_t share_bytes)
{
	struct adaptive *a = adaptive_of(o, slot);
	struct fcb *fcb = live(o, slot);

	if (!a || !fcb || a->share_bytes == share_bytes)
		return;
	a->share_bytes = share_bytes;
	fcb_settle(fcb, PFUSE_CTL_RAM, false);
}

void orchestrator_policy(struct orchestrator *o, uint32_t slot, const struct fcb_policy *policy)
{
	struct fcb *fcb = orchestrator_fcb(o, slot);

	if (!fcb)
		return;
	fcb_set_policy(fcb, policy, o->machine_ram_bytes);
	freezer_policy_changed(fcb);
}

void orchestrator_detach(struct orchestrator *o, uint32_t slot)
{
	struct fcb *fcb = orchestrator_fcb(o, slot);

	if (!fcb)
		return;
	memset(fcb, 0, sizeof(*fcb));
	if (o->adaptive)
		memset(&o->adaptive[slot], 0, sizeof(o->adaptive[slot]));
	if (o->cpus)
		cpus_forget(o->cpus, slot);
}

static void note_score(struct fcb *fcb, enum fcb_resource_kind kind, const struct fusebox *rule)
{
	fcb->res[kind].score = rule->score;
	fcb->res[kind].size = rule->size;
}

static void cool_down(struct fcb *fcb, enum pfuse_control control, uint64_t now_ns)
{
	uint64_t until_ns = arith_add(now_ns, fcb->policy.cool_down_ns);

	fcb->control[control].retry_ns = arith_max(fcb->control[control].retry_ns, until_ns);
}

/* What the rule found about a limit, as evidence into the FCB and as a wish to the arbiter. */
static unsigned settle_limit(struct fcb *fcb, enum fcb_resource_kind kind,
			     const struct fusebox *rule, enum pfuse_reason reason, uint64_t now_ns,
			     struct pfuse_verdict *ret)
{
	struct arbiter_wish wish = {
		.to = rule->limit,
		.reason = reason,
		.grow = rule->direction == FUSEBOX_GROW,
		.clamped = rule->clamped,
	};
	unsigned nwishes = rule->direction != FUSEBOX_HOLD && fcb->policy.mode[kind] == FCB_ACT;
	enum pfuse_control control = fcb_control_of(kind);
	enum arbiter_result result;

	note_score(fcb, kind, rule);
	result = arbiter_limit(fcb, control, &wish, nwishes, now_ns, ret);
	fcb_settle(fcb, control, result == ARBITER_SETTLED);
	if (result != ARBITER_VERDICT)
		return 0;
	ret->limit = rule->y;
	return 1;
}

static unsigned ram_by_sample(struct fcb *fcb, uint64_t now_ns, struct pfuse_verdict *ret)
{
	const struct fcb_resource *ram = &fcb->res[FCB_RAM];
	struct fusebox_bounds bounds = fcb_bounds(fcb, FCB_RAM);
	enum pfuse_reason reason;
	struct fusebox rule;

	rule = fusebox_step(ram->usage, ram->usage_prev, ram->limit, &bounds);
	reason = rule.direction == FUSEBOX_GROW ? PFUSE_WHY_SCORE_HIGH : PFUSE_WHY_SCORE_LOW;
	return settle_limit(fcb, FCB_RAM, &rule, reason, now_ns, ret);
}

/*
 * Rates are noisy, and their events are samples: every growth that the rule asks for begins a
 * cool-down, also one that changes nothing because there is no limit, or the level is the highest.
 * But not during a back-off: a growth waits for its end, and would put it off again and again.
 */
static void rate_cool_down(struct fcb *fcb, enum pfuse_control control, const struct fusebox *rule,
			   uint64_t now_ns)
{
	if (rule->direction == FUSEBOX_GROW && !fcb->control[control].failures)
		cool_down(fcb, control, now_ns);
}

static unsigned rate_by_sample(struct fcb *fcb, enum fcb_resource_kind kind, uint64_t now_ns,
			       struct pfuse_verdict *ret)
{
	enum pfuse_reason reason;
	struct fusebox rule = rate_rule(fcb, kind, &reason);

	rate_cool_down(fcb, fcb_control_of(kind), &rule, now_ns);
	return settle_limit(fcb, kind, &rule, reason, now_ns, ret);
}

/*
 * The virtual limit moves with the level, and on alone where the level is at the end of its range: it
 * must follow the traffic, so that the next change of the traffic is seen as one. It stands while the
 * level has to wait, since each of its moves is worth one level.
 */
static unsigned net_by_sample(struct fcb *fcb, uint64_t now_ns, struct pfuse_verdict *ret)
{
	enum pfuse_reason reason;
	struct fusebox rule = rate_rule(fcb, FCB_NET, &reason);
	struct arbiter_wish wish = { .to = rate_level(fcb, &rule),
				     .reason = reason,
				     .grow = rule.direction == FUSEBOX_GROW };
	unsigned nwishes = rule.direction != FUSEBOX_HOLD && fcb->policy.mode[FCB_NET] == FCB_ACT;
	enum arbiter_result result;

	note_score(fcb, FCB_NET, &rule);
	rate_cool_down(fcb, PFUSE_CTL_NET, &rule, now_ns);
	result = arbiter_level(fcb, &wish, nwishes, now_ns, ret);
	fcb_settle(fcb, PFUSE_CTL_NET, result == ARBITER_SETTLED);
	if (result == ARBITER_VERDICT)
		ret->limit = rule.y;
	if (result != ARBITER_WAIT)
		fcb->res[FCB_NET].limit = rule.limit;
	return result == ARBITER_VERDICT;
}

static unsigned limit_by_sample(const struct orchestrator *o, struct fcb *fcb,
				const struct pfuse_sample *sample, enum fcb_resource_kind kind,
				uint64_t now_ns, struct pfuse_verdict *ret)
{
	struct adaptive *a = adaptive_of(o, fcb->slot);

	if (fcb->stopped || fcb->policy.mode[kind] == FCB_OFF) {
		fcb_settle(fcb, fcb_control_of(kind), true);
		return 0;
	}
	switch (kind) {
	case FCB_RAM:
		return a ? adaptive_ram(a, &o->adaptive_setup, fcb, sample, now_ns, ret)
			 : ram_by_sample(fcb, now_ns, ret);
	case FCB_NET:
		return net_by_sample(fcb, now_ns, ret);
	default:
		return rate_by_sample(fcb, kind, now_ns, ret);
	}
}

/*
 * Reading: the paper computes no score while the Signal Flag is true, since signals control the
 * process then. Here that holds while the group is stopped. A group that talks to nobody but works
 * is not controlled by signals either, and must not lose its limit control: it is driven by score.
 */
static unsigned limits_by_sample(const struct orchestrator *o, struct fcb *fcb,
				 const struct pfuse_sample *sample, uint64_t now_ns,
				 struct pfuse_verdict *ret)
{
	unsigned n = 0;

	for (unsigned kind = 0; kind < FCB_RESOURCES; kind++)
		n += limit_by_sample(o, fcb, sample, (enum fcb_resource_kind)kind, now_ns, &ret[n]);
	return n;
}

/*
 * HIGH_WATER and LIMIT_HIT: grow at once, also while the group is stopped (the kernel may charge it
 * then, and the event will not come again).
 *
 * The event names the limit it was emitted under. That may be older than the limit now (several
 * events of one crossing, or an event on its way while the limit was raised), or larger (a dry run
 * lowered ours only in thought). The larger of both is right in each case: a late event about a
 * limit that has been raised since must not grow it a second time, unless the usage stands high
 * under it as well.
 */
static unsigned ram_by_event(struct fcb *fcb, const struct pfuse_event *ev, uint64_t now_ns,
			     struct pfuse_verdict *ret)
{
	struct fcb_resource *ram = &fcb->res[FCB_RAM];
	struct fusebox_bounds bounds = fcb_bounds(fcb, FCB_RAM);
	uint64_t limit = arith_min(arith_max(ram->limit, ev->ram.limit_bytes), bounds.ceiling);
	bool hit = ev->kind == PFUSE_EV_LIMIT_HIT && ev->ram.limit_bytes >= ram->limit;
	struct fusebox rule;

	fcb_ram_usage(fcb, ev->ram.usage_bytes, now_ns);
	fcb->still = false;
	if (fcb->policy.mode[FCB_RAM] == FCB_OFF)
		return 0;
	if (!hit && fusebox_mark(ram->usage, bounds.high_water_permille) <= limit &&
	    fusebox_score(ram->usage, ram->usage_prev, limit) <= FUSEBOX_GROW_ABOVE)
		return 0;
	cool_down(fcb, PFUSE_CTL_RAM, now_ns);
	rule = fusebox_grow(ram->usage, ram->usage_prev, limit, &bounds);
	return settle_limit(fcb, FCB_RAM, &rule, hit ? PFUSE_WHY_LIMIT_HIT : PFUSE_WHY_HIGH_WATER,
			    now_ns, ret);
}

unsigned orchestrator_sample(struct orchestrator *o, uint32_t slot,
			     const struct pfuse_sample *sample, uint64_t now_ns,
			     struct pfuse_verdict ret_verdicts[PFUSE_CONTROLS])
{
	struct fcb *fcb = live(o, slot);
	unsigned n;

	if (!fcb)
		return 0;
	now_ns = enter(fcb, now_ns);
	fcb_sample(fcb, sample, now_ns);
	n = limits_by_sample(o, fcb, sample, now_ns, ret_verdicts);
	return n + freezer_decide(fcb, true, now_ns, &ret_verdicts[n]);
}

/* ACTIVE is no activity in the sense of idleness: how much the group does, the next sample says. */
static unsigned by_kind(struct orchestrator *o, struct fcb *fcb, const struct pfuse_event *ev,
			uint64_t now_ns, struct pfuse_verdict *ret)
{
	switch (ev->kind) {
	case PFUSE_EV_HIGH_WATER:
	case PFUSE_EV_LIMIT_HIT:
		return ram_by_event(fcb, ev, now_ns, ret);
	case PFUSE_EV_TALK:
		signalflag_event(&fcb->flag, ev, now_ns);
		if (ev->talk.probe == PFUSE_PROBE_NO)
			freezer_used(fcb, now_ns);
		if (ev->time_ns >= fcb->stopped_since_ns)
			freezer_wake(fcb, PFUSE_WHY_TALK);
		break;
	case PFUSE_EV_WAKE:
		freezer_wake(fcb, PFUSE_WHY_DATA);
		break;
	case PFUSE_EV_SIGNAL:
		freezer_wake(fcb, PFUSE_WHY_SIGNAL);
		break;
	case PFUSE_EV_ENTERED:
		freezer_wake(fcb, PFUSE_WHY_ENTERED);
		break;
	case PFUSE_EV_ACTIVE:
		if (fcb->still)
			fcb->woken_ns = arith_min(ev->time_ns, now_ns);
		fcb->still = false;
		return 0;
	case PFUSE_EV_EMPTY:
		fcb->last.nprocs = 0;
		break;
	case PFUSE_EV_POPULATED:
		fcb->last.nprocs = 1; /* the next sample says how many */
		fcb->active_ns = now_ns;
		fcb->still = false;
		return 0;
	case PFUSE_EV_REMOVED:
		fcb->removed = true;
		if (o->cpus)
			cpus_forget(o->cpus, fcb->slot);
		return 0;
	case PFUSE_EV_OOM_VICTIM:
		fcb->totals.oom_kills++;
		fcb->still = false;
		return 0;
	}
	return freezer_decide(fcb, false, now_ns, ret);
}

/* What follows, orchestrator_cpus() decides. */
static void late(struct orchestrator *o, uint32_t slot, uint64_t now_ns)
{
	if (o->cpus)
		cpus_late(o->cpus, slot, now_ns);
}

unsigned orchestrator_event(struct orchestrator *o, const struct pfuse_event *event,
			    uint64_t now_ns, struct pfuse_verdict ret_verdicts[PFUSE_CONTROLS])
{
	struct fcb *fcb = live(o, event->slot);

	if (!fcb)
		o->ignored[ORCHESTRATOR_BAD_SLOT]++;
	else if (fcb->group_id != event->group_id)
		o->ignored[ORCHESTRATOR_BAD_ID]++;
	else if (event->kind == 0 || event->kind >= PFUSE_EV_KINDS)
		o->ignored[ORCHESTRATOR_BAD_KIND]++;
	else if (event->kind == PFUSE_EV_WAIT)
		late(o, event->slot, now_ns);
	else
		return by_kind(o, fcb, event, enter(fcb, now_ns), ret_verdicts);
	return 0;
}

/* A quiet that nothing has ended proves idleness up to now, without a sample. */
unsigned orchestrator_timer(struct orchestrator *o, uint32_t slot, uint64_t now_ns,
			    struct pfuse_verdict ret_verdicts[PFUSE_CONTROLS])
{
	struct fcb *fcb = live(o, slot);

	if (!fcb)
		return 0;
	now_ns = enter(fcb, now_ns);
	return freezer_decide(fcb, freezer_quiet(fcb), now_ns, ret_verdicts);
}

unsigned orchestrator_request(struct orchestrator *o, uint32_t slot, bool stop, uint64_t now_ns,
			      struct pfuse_verdict ret_verdicts[PFUSE_CONTROLS])
{
	struct fcb *fcb = live(o, slot);

	if (!fcb)
		return 0;
	now_ns = enter(fcb, now_ns);
	return freezer_ask(fcb, stop, PFUSE_WHY_REQUEST, now_ns, ret_verdicts);
}

unsigned orchestrator_exit(struct orchestrator *o, uint32_t slot, uint64_t now_ns,
			   struct pfuse_verdict ret_verdicts[PFUSE_CONTROLS])
{
	struct fcb *fcb = live(o, slot);

	if (!fcb)
		return 0;
	return freezer_ask(fcb, false, PFUSE_WHY_EXIT, enter(fcb, now_ns), ret_verdicts);
}

/* What is left of a back-off that is over: no more than the cool-down, if one began meanwhile. */
static void succeeded(struct fcb *fcb, struct fcb_control *control, bool is_stop, uint64_t now_ns)
{
	uint64_t most_ns = arith_add(now_ns, fcb->policy.cool_down_ns);

	if (is_stop)
		control->retry_ns = 0;
	else if (control->failures)
		control->retry_ns = arith_min(control->retry_ns, most_ns);
	control->failures = 0;
}

static void stop_carried_out(struct fcb *fcb, const struct pfuse_verdict *v, uint64_t now_ns)
{
	if (v->to)
		freezer_stopped(fcb, v->reason, now_ns);
	else
		freezer_continued(fcb, v->reason, now_ns);
}

/* If the kernel shows another limit next, it is the truth: memory.max below memory.high. */
static void limit_carried_out(struct fcb *fcb, const struct pfuse_verdict *v, bool dry)
{
	struct fcb_resource *r = &fcb->res[fcb_resource_of((enum pfuse_control)v->control)];

	r->limit = v->to;
	if (dry)
		return;
	r->limit_seen = v->to;
	fcb->control[v->control].written = true;
}

static void level_carried_out(struct fcb *fcb, const struct pfuse_verdict *v, bool dry)
{
	fcb->net_level = (uint32_t)v->to;
	if (!dry)
		fcb->last.net_priority = (uint32_t)v->to;
}

static void carried_out(struct fcb *fcb, const struct pfuse_verdict *v, bool dry, uint64_t now_ns)
{
	struct fcb_control *control = &fcb->control[v->control];

	succeeded(fcb, control, v->control == PFUSE_CTL_STOP, now_ns);
	if (v->to > v->from)
		control->ups++;
	else
		control->downs++;
	if (v->control == PFUSE_CTL_STOP)
		stop_carried_out(fcb, v, now_ns);
	else if (v->control == PFUSE_CTL_NET)
		level_carried_out(fcb, v, dry);
	else
		limit_carried_out(fcb, v, dry);
}

/* A bad moment passes as quickly as the group is idle again; what makes a stop unsafe stays for long. */
static uint64_t retry_base_ns(const struct fcb *fcb, const struct pfuse_verdict *v,
			      enum orchestrator_outcome outcome)
{
	if (v->control == PFUSE_CTL_STOP && !v->to)
		return RETRY_CONTINUE_NS;
	if (outcome == ORCHESTRATOR_BUSY)
		return arith_min(fcb->policy.idle_ns, RETRY_NS);
	return outcome == ORCHESTRATOR_REFUSED ? RETRY_REFUSED_NS : RETRY_NS;
}

static void count_failure(struct fcb *fcb, enum orchestrator_outcome outcome)
{
	if (outcome == ORCHESTRATOR_BUSY)
		fcb->totals.busy++;
	else if (outcome == ORCHESTRATOR_REFUSED)
		fcb->totals.refused++;
	else
		fcb->totals.failed++;
}

static void failed(struct fcb *fcb, const struct pfuse_verdict *v,
		   enum orchestrator_outcome outcome, uint64_t now_ns)
{
	struct fcb_control *control = &fcb->control[v->control];
	bool is_continue = v->control == PFUSE_CTL_STOP && !v->to;
	uint64_t base = retry_base_ns(fcb, v, outcome);
	uint32_t doublings = (uint32_t)arith_min(control->failures, FCB_RETRY_DOUBLINGS);
	uint64_t retry_ns = arith_add(now_ns, base << doublings);

	count_failure(fcb, outcome);
	control->failures = (uint8_t)arith_min(control->failures + 1u, UINT8_MAX);
	if (v->control != PFUSE_CTL_STOP)
		retry_ns = arith_max(retry_ns, control->retry_ns);
	control->retry_ns = retry_ns;
	if (is_continue)
		freezer_overdue(fcb, v->reason);
}

static enum cpus_outcome cpus_outcome_of(enum orchestrator_outcome outcome)
{
	switch (outcome) {
	case ORCHESTRATOR_APPLIED:
	case ORCHESTRATOR_DRY:
		return CPUS_APPLIED;
	case ORCHESTRATOR_FOREIGN:
		return CPUS_FOREIGN;
	default:
		return CPUS_FAILED;
	}
}

/* A step of `adaptive`, by whichever control, has come to its window, or failed. */
static void note_step(const struct orchestrator *o, const struct pfuse_verdict *v,
		      enum orchestrator_outcome outcome, uint64_t now_ns)
{
	struct adaptive *a = adaptive_of(o, v->slot);
	bool done = outcome == ORCHESTRATOR_APPLIED || outcome == ORCHESTRATOR_DRY;

	if (a && (v->reason == PFUSE_WHY_NEED || v->reason == PFUSE_WHY_PROBE ||
		  v->reason == PFUSE_WHY_SHARE))
		adaptive_carried_out(a, &o->adaptive_setup, done, now_ns);
}

void orchestrator_applied(struct orchestrator *o, const struct pfuse_verdict *verdict,
			  enum orchestrator_outcome outcome, uint64_t now_ns)
{
	struct fcb *fcb = orchestrator_fcb(o, verdict->slot);

	if (!fcb || verdict->control >= PFUSE_CONTROLS)
		return;
	if (verdict->control == PFUSE_CTL_CPUS || verdict->control == PFUSE_CTL_WEIGHT) {
		if (o->cpus)
			cpus_applied(o->cpus, verdict, cpus_outcome_of(outcome), now_ns);
		return;
	}
	now_ns = enter(fcb, now_ns);
	note_step(o, verdict, outcome, now_ns);
	if (verdict->control == PFUSE_CTL_RECLAIM) {
		if (outcome == ORCHESTRATOR_APPLIED || outcome == ORCHESTRATOR_DRY)
			fcb->control[PFUSE_CTL_RAM].downs++;
		else if (outcome == ORCHESTRATOR_FOREIGN)
			fcb->control[PFUSE_CTL_RAM].let_go = true;
		else
			count_failure(fcb, outcome);
		return;
	}
	switch (outcome) {
	case ORCHESTRATOR_APPLIED:
	case ORCHESTRATOR_DRY:
		carried_out(fcb, verdict, outcome == ORCHESTRATOR_DRY, now_ns);
		break;
	case ORCHESTRATOR_FAILED:
	case ORCHESTRATOR_BUSY:
	case ORCHESTRATOR_REFUSED:
		failed(fcb, verdict, outcome, now_ns);
		break;
	case ORCHESTRATOR_FOREIGN:
		fcb->control[verdict->control].let_go = true;
		if (verdict->control == PFUSE_CTL_STOP)
			freezer_continued(fcb, PFUSE_WHY_REQUEST, now_ns);
		break;
	}
}

uint64_t orchestrator_due(const struct orchestrator *o, uint32_t slot)
{
	const struct fcb *fcb = live(o, slot);

	return fcb ? freezer_due_ns(fcb) : FCB_NEVER;
}

bool orchestrator_quiet(const struct orchestrator *o, uint32_t slot)
{
	const struct fcb *fcb = live(o, slot);

	return !fcb || freezer_quiet(fcb);
}
