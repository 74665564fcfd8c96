/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/cpus.h"

#include <stddef.h>
#include <string.h>

#include "core/arith.h"
#include "core/span.h"

#define RETRY_NS 1000000000ull
#define RETRY_DOUBLINGS 6
/* After a pause of so many checks (everybody slept), a look is a new starting point. */
#define PAUSE_CHECKS 4
#define SETTLE_NS 20000000ull
#define WEIGHT_LEAST 1
#define WEIGHT_EVEN 100

void cpus_init(struct cpus *c, struct cpus_group *groups, struct workload_group *workload,
	       uint32_t nslots, const struct workload_topology *topology)
{
	memset(groups, 0, nslots * sizeof(*groups));
	memset(c, 0, sizeof(*c));
	c->groups = groups;
	workload_init(&c->workload, workload, nslots, topology);
}

void cpus_set_topology(struct cpus *c, const struct workload_topology *topology)
{
	workload_set_topology(&c->workload, topology);
	c->changed = true;
}

static struct cpus_group *group_of(const struct cpus *c, uint32_t slot)
{
	return slot && slot < c->workload.nslots ? &c->groups[slot] : NULL;
}

const struct cpus_group *cpus_group(const struct cpus *c, uint32_t slot)
{
	return group_of(c, slot);
}

static void ask_prio(struct prio_group *prio, const struct cpus_policy *policy)
{
	struct prio_group defaults;

	prio_defaults(&defaults);
	prio->nice = policy->nice;
	for (int i = 0; i < PFUSE_CHARACTERS; i++)
		prio->table[i] = policy->table[i] ? policy->table[i] : defaults.table[i];
	prio_ask(prio, (enum prio_asked)policy->character);
}

void cpus_set_group(struct cpus *c, uint32_t slot, const struct cpus_policy *policy)
{
	struct cpus_group *g = group_of(c, slot);

	if (!g)
		return;
	g->policy = *policy;
	ask_prio(&g->prio, policy);
	workload_join(&c->workload, slot,
		      g->cpus.let_go ? WORKLOAD_OFF : (enum workload_asked)policy->type);
	c->changed = true;
}

void cpus_forget(struct cpus *c, uint32_t slot)
{
	struct cpus_group *g = group_of(c, slot);

	if (!g)
		return;
	memset(g, 0, sizeof(*g));
	workload_leave(&c->workload, slot);
	c->changed = true;
}

static void look_at_prio(struct cpus *c, uint32_t slot, const struct pfuse_sample *s,
			 const struct pfuse_span *since)
{
	struct cpus_group *g = &c->groups[slot];

	prio_look(&g->prio, &(struct prio_look){
				    .run_ns = arith_sub(s->run_ns, g->run_ns),
				    .short_ns = since->short_ns,
				    .nvcsw = s->nvcsw - g->nvcsw,   /* wraps */
				    .nivcsw = s->nivcsw - g->nivcsw, /* wraps */
				    .wakeups = since->wakeups,
			    });
}

static void look_at_workload(struct cpus *c, uint32_t slot, const struct pfuse_sample *s,
			     const struct pfuse_span *since, struct workload_look *look)
{
	const struct cpus_group *g = &c->groups[slot];

	look->run_ns = arith_sub(s->run_ns, g->run_ns);
	look->wait_ns = arith_sub(s->wait_ns, g->wait_ns);
	look->nvcsw = s->nvcsw - g->nvcsw;    /* wraps */
	look->nivcsw = s->nivcsw - g->nivcsw; /* wraps */
	look->oncpu = s->oncpu;
	look->wait_p99_ns = span_quantile_ns(since->wait, 990);
	look->waits = (uint32_t)arith_min(span_count(since->wait), UINT32_MAX);
	workload_look(&c->workload, slot, look);
}

void cpus_look(struct cpus *c, uint32_t slot, const struct pfuse_sample *sample,
	       const struct pfuse_span *span, uint32_t budget_permille, bool stopped,
	       uint64_t now_ns)
{
	static const struct pfuse_span none;
	struct workload_look look = { .budget_permille = budget_permille, .stopped = stopped };
	struct cpus_group *g = group_of(c, slot);
	struct pfuse_span since;

	if (!g || !cpus_wanted(&g->policy) || now_ns <= g->looked_ns)
		return;
	look.span_ns = now_ns - g->looked_ns;
	span = span ? span : &none;
	span_since(span, &g->span, &since);
	if (g->looked_ns && look.span_ns <= PAUSE_CHECKS * c->workload.policy.check_ns)
		look_at_workload(c, slot, sample, &since, &look);
	/* How it works does not depend on how long it slept. */
	if (g->looked_ns)
		look_at_prio(c, slot, sample, &since);
	c->looked = true;
	g->looked_ns = now_ns;
	g->run_ns = sample->run_ns;
	g->wait_ns = sample->wait_ns;
	g->nvcsw = sample->nvcsw;
	g->nivcsw = sample->nivcsw;
	g->span = *span;
}

void cpus_late(struct cpus *c, uint32_t slot, uint64_t now_ns)
{
	const struct cpus_group *g = group_of(c, slot);

	if (g && now_ns >= arith_add(g->given_ns, SETTLE_NS) && workload_late(&c->workload, slot))
		c->changed = true;
}

static bool may_try(const struct cpus_control *control, uint64_t now_ns)
{
	return !control->let_go && now_ns >= control->retry_ns;
}

static struct pfuse_verdict verdict(const struct cpus *c, uint32_t slot, enum pfuse_control control,
				    uint64_t now_ns)
{
	const struct workload_group *w = &c->workload.groups[slot];
	const struct prio_group *p = &c->groups[slot].prio;

	return (struct pfuse_verdict){
		.time_ns = now_ns,
		.slot = slot,
		.control = control,
		.is = control == PFUSE_CTL_CPUS ? w->list : p->character,
		.usage = w->usage_permille,
		.limit = c->workload.policy.alpha_permille,
		.wait_p99_ns = w->wait_p99_ns,
		.count = w->count,
		.short_permille = p->short_permille,
		.voluntary_permille = p->voluntary_permille,
		.wakeups = p->wakeups,
	};
}

static uint64_t number(const struct cpumask *mask)
{
	return cpumask_empty(mask) ? PFUSE_UNLIMITED : cpumask_count(mask);
}

/* What is to be given; empty: released. */
static struct cpumask wished_set(const struct cpus *c, uint32_t slot)
{
	const struct cpumask *set = workload_set(&c->workload, slot);

	return cpumask_equal(set, &c->workload.topology.online) ? (struct cpumask){ { 0 } } : *set;
}

static enum pfuse_reason why_set(const struct workload_group *w)
{
	if (w->moved)
		return PFUSE_WHY_TYPE;
	if (w->list == PFUSE_TYPE_NONE)
		return PFUSE_WHY_REQUEST;
	return w->list == PFUSE_TYPE_SERVICE ? PFUSE_WHY_SLA : PFUSE_WHY_REMAINDER;
}

static bool decide_set(struct cpus *c, uint32_t slot, uint64_t now_ns, struct pfuse_verdict *ret)
{
	struct workload_group *w = &c->workload.groups[slot];
	struct cpus_group *g = &c->groups[slot];
	struct cpumask wish = wished_set(c, slot);

	if (!may_try(&g->cpus, now_ns) || (cpumask_equal(&wish, &g->given) && !w->moved))
		return false;
	*ret = verdict(c, slot, PFUSE_CTL_CPUS, now_ns);
	ret->from = number(&g->given);
	ret->to = number(&wish);
	ret->reason = why_set(w);
	if (w->moved)
		ret->count = w->moved_at;
	w->resized = false;
	return true;
}

/* *ret_why is written only where it is not released. */
static uint32_t wished_weight(const struct cpus *c, uint32_t slot, enum pfuse_reason *ret_why,
			      bool *ret_cut)
{
	const struct workload_group *w = &c->workload.groups[slot];
	uint32_t prio = prio_wish(&c->groups[slot].prio, &c->own, ret_cut);
	bool scientific = w->list == PFUSE_TYPE_SCIENTIFIC;

	*ret_why = PFUSE_WHY_REMAINDER;
	if (scientific && w->share == WORKLOAD_LEAST) {
		*ret_cut = false;
		return WEIGHT_LEAST;
	}
	if (prio) {
		*ret_why = PFUSE_WHY_CHARACTER;
		return prio;
	}
	return scientific && w->share == WORKLOAD_EVEN ? WEIGHT_EVEN : 0;
}

static bool decide_weight(struct cpus *c, uint32_t slot, uint64_t now_ns, struct pfuse_verdict *ret)
{
	struct cpus_group *g = &c->groups[slot];
	enum pfuse_reason why;
	bool cut;
	uint32_t wish = wished_weight(c, slot, &why, &cut);

	if (!may_try(&g->weight, now_ns) || wish == g->given_weight)
		return false;
	*ret = verdict(c, slot, PFUSE_CTL_WEIGHT, now_ns);
	ret->from = g->given_weight;
	ret->to = wish;
	ret->reason = why;
	ret->clamped = cut;
	if (why == PFUSE_WHY_REMAINDER)
		ret->is = PFUSE_CHARACTER_NONE;
	return true;
}

unsigned cpus_decide(struct cpus *c, uint64_t now_ns, struct pfuse_verdict *ret, unsigned max)
{
	unsigned n = 0;

	if (c->looked) {
		workload_check(&c->workload);
		c->next_check_ns = arith_add(now_ns, c->workload.policy.check_ns);
	} else if (c->changed) {
		workload_place(&c->workload);
	}
	c->changed = c->looked = false;
	for (uint32_t slot = 1; slot < c->workload.nslots && n < max; slot++) {
		n += decide_weight(c, slot, now_ns, &ret[n]);
		if (n < max)
			n += decide_set(c, slot, now_ns, &ret[n]);
	}
	return n;
}

static void count_change(struct cpus_control *control, uint64_t from, uint64_t to)
{
	control->failures = 0;
	control->retry_ns = 0;
	control->ups += to > from;
	control->downs += to < from;
}

static void carried_out(struct cpus *c, const struct pfuse_verdict *v, uint64_t now_ns)
{
	struct cpus_group *g = &c->groups[v->slot];

	if (v->control == PFUSE_CTL_WEIGHT) {
		count_change(&g->weight, v->from, v->to);
		g->given_weight = (uint32_t)v->to;
		return;
	}
	count_change(&g->cpus, v->from, v->to);
	g->given = wished_set(c, v->slot);
	g->given_ns = now_ns;
	g->moves += v->reason == PFUSE_WHY_TYPE;
	c->workload.groups[v->slot].moved = false;
}

static void back_off(struct cpus_control *control, uint64_t now_ns)
{
	uint32_t doublings = (uint32_t)arith_min(control->failures, RETRY_DOUBLINGS);

	control->retry_ns = arith_add(now_ns, RETRY_NS << doublings);
	control->failures = (uint8_t)arith_min(control->failures + 1u, UINT8_MAX);
}

static void let_go(struct cpus *c, const struct pfuse_verdict *v)
{
	struct cpus_group *g = &c->groups[v->slot];

	if (v->control == PFUSE_CTL_WEIGHT) {
		g->weight.let_go = true;
		return;
	}
	g->cpus.let_go = true;
	g->given = (struct cpumask){ { 0 } };
	workload_leave(&c->workload, v->slot);
	c->changed = true;
}

void cpus_applied(struct cpus *c, const struct pfuse_verdict *verdict, enum cpus_outcome outcome,
		  uint64_t now_ns)
{
	struct cpus_group *g = group_of(c, verdict->slot);

	if (!g)
		return;
	switch (outcome) {
	case CPUS_APPLIED:
		carried_out(c, verdict, now_ns);
		break;
	case CPUS_FAILED:
		back_off(verdict->control == PFUSE_CTL_WEIGHT ? &g->weight : &g->cpus, now_ns);
		break;
	case CPUS_FOREIGN:
		let_go(c, verdict);
		break;
	}
}
