/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/workload.h"

#include <string.h>

#include "core/arith.h"

#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull

/* How long "recently" is: two windows of so many checks. */
#define WINDOW 8
/* Fewer CPUs only after so many checks in which they would have done: growth is at once. */
#define PATIENCE 10
#define DOUBLINGS 6
/* Waits of services that share with scientific groups proved harm: so many checks without, at first. */
#define APART 30
/* The p99 of fewer waits than that is a single wait; BPF's event tells of the second late one. */
#define WAITS_MIN 16
/* Thousandths of a CPU: a service that needs no more shares the common CPUs. */
#define SMALL 500
/* What a burst of CPU time may exceed one CPU by, as the edges of an interval are never sharp. */
#define TOLERANCE 100

void workload_policy_defaults(struct workload_policy *ret_policy)
{
	*ret_policy = (struct workload_policy){
		.check_ns = NS_PER_S,
		.wait_p99_ns = 10 * NS_PER_MS,
		.alpha_permille = 800,
		.beta = 3,
		.utilisation_permille = 700,
		.waste_permille = 100,
	};
}

void workload_set_policy(struct workload *w, const struct workload_policy *policy)
{
	struct workload_policy *p = &w->policy;

	*p = *policy;
	p->check_ns = arith_max(p->check_ns, 1);
	p->alpha_permille = (uint32_t)arith_min(arith_max(p->alpha_permille, 1), 1000);
	p->utilisation_permille = (uint32_t)arith_min(arith_max(p->utilisation_permille, 1), 1000);
	p->waste_permille = (uint32_t)arith_min(p->waste_permille, 1000);
}

void workload_set_topology(struct workload *w, const struct workload_topology *topology)
{
	w->topology = *topology;
	w->online = cpumask_count(&topology->online);
	for (uint32_t cpu = 0; cpu < CPUMASK_CPUS; cpu++) {
		w->topology.core[cpu] %= CPUMASK_CPUS;
		w->topology.llc[cpu] %= CPUMASK_CPUS;
		w->topology.node[cpu] %= CPUMASK_CPUS;
	}
}

void workload_init(struct workload *w, struct workload_group *groups, uint32_t nslots,
		   const struct workload_topology *topology)
{
	struct workload_policy policy;

	memset(groups, 0, nslots * sizeof(*groups));
	*w = (struct workload){ .groups = groups, .nslots = nslots };
	workload_policy_defaults(&policy);
	workload_set_policy(w, &policy);
	workload_set_topology(w, topology);
}

static struct workload_group *group_of(const struct workload *w, uint32_t slot)
{
	return slot && slot < w->nslots ? &w->groups[slot] : NULL;
}

void workload_leave(struct workload *w, uint32_t slot)
{
	struct workload_group *g = group_of(w, slot);

	if (g)
		memset(g, 0, sizeof(*g));
}

/* Becoming a service (again): how many CPUs it needs is found out anew. */
static void put_into(struct workload_group *g, enum pfuse_type list)
{
	g->list = (uint8_t)list;
	g->count = 0;
	g->calm = 0;
	g->doublings = 0;
	g->since_shrink = UINT32_MAX;
	g->sized = false;
}

void workload_join(struct workload *w, uint32_t slot, enum workload_asked asked)
{
	struct workload_group *g = group_of(w, slot);
	enum pfuse_type list =
		asked == WORKLOAD_SCIENTIFIC ? PFUSE_TYPE_SCIENTIFIC : PFUSE_TYPE_SERVICE;

	if (!g || g->asked == asked)
		return;
	if (asked == WORKLOAD_OFF || asked >= WORKLOAD_ASKED) {
		workload_leave(w, slot);
		return;
	}
	/* Whoever was sorted already goes on from there when it is asked to be sorted. */
	if (!g->list || (asked != WORKLOAD_AUTO && g->list != list)) {
		g->moved = g->list != PFUSE_TYPE_NONE;
		g->moved_at = 0;
		put_into(g, list);
	}
	g->asked = (uint8_t)asked;
}

/* Permille of one CPU. By double: the product would leave u64 after half a year of CPU time. */
static uint32_t rate_permille(uint64_t ns, uint64_t span_ns)
{
	uint64_t permille = arith_from_double((double)ns * 1000 / (double)arith_max(span_ns, 1));

	return (uint32_t)arith_min(permille, CPUMASK_CPUS * 1000);
}

/*
 * A task that is kept from a CPU after it was preempted wanted to go on; one that waits after a wake-up
 * is late, but might have slept again at once. The switches tell in what proportion waits are of the one
 * kind or the other. Without that, a hog among hogs looks half idle, and a service that is starved looks
 * like a hog.
 */
static uint64_t wanted_ns(const struct workload_look *look)
{
	double switches = (double)look->nvcsw + look->nivcsw;

	if (look->nivcsw == 0)
		return look->run_ns;
	return arith_add(look->run_ns,
			 arith_from_double((double)look->wait_ns * look->nivcsw / switches));
}

/*
 * "Could have had": no more CPUs than it was given, and no more than tasks of it were seen running at
 * once; so a program of one thread is busy when that thread is, on however many CPUs. And no more than
 * its cpu.max, if any.
 */
uint32_t workload_usage_permille(const struct workload_look *look, uint32_t parallel,
				 uint32_t given)
{
	uint32_t run = rate_permille(look->run_ns, look->span_ns);
	uint64_t could = arith_max(parallel, (run + 999 - TOLERANCE) / 1000);

	could = arith_max(arith_min(could, given), 1) * 1000;
	if (look->budget_permille)
		could = arith_min(could, look->budget_permille);
	return (uint32_t)arith_min(rate_permille(wanted_ns(look), look->span_ns) * 1000ull / could,
				   1000);
}

static void turn_window(struct workload_group *g)
{
	if (g->window) {
		g->window--;
		return;
	}
	g->window = WINDOW - 1;
	g->need[1] = g->need[0];
	g->parallel[1] = g->parallel[0];
	g->need[0] = 0;
	g->parallel[0] = 0;
}

static uint32_t need_of(const struct workload_group *g)
{
	return (uint32_t)arith_max(g->need[0], g->need[1]);
}

void workload_look(struct workload *w, uint32_t slot, const struct workload_look *look)
{
	struct workload_group *g = group_of(w, slot);
	uint32_t oncpu = (uint32_t)arith_min(look->oncpu, CPUMASK_CPUS);
	uint32_t given;

	if (!g || !g->list || look->stopped || look->span_ns == 0)
		return;
	turn_window(g);
	g->parallel[0] = (uint16_t)arith_max(g->parallel[0], oncpu);
	given = cpumask_empty(&g->set) ? w->online : cpumask_count(&g->set);
	g->usage_permille = workload_usage_permille(
		look, (uint32_t)arith_max(g->parallel[0], g->parallel[1]), given);
	g->need_now = (uint32_t)(rate_permille(look->run_ns, look->span_ns) * 1000ull /
				 w->policy.utilisation_permille);
	g->need[0] = (uint32_t)arith_max(g->need[0], g->need_now);
	g->wait_p99_ns = look->wait_p99_ns;
	g->waits = look->waits;
	g->looked = true;
}

/* Algorithm 1. */
static void monitor(const struct workload *w, struct workload_group *g)
{
	bool busy = g->usage_permille >= w->policy.alpha_permille;
	bool misfit = g->list == PFUSE_TYPE_SERVICE ? busy : !busy;

	if (misfit && g->count < UINT32_MAX)
		g->count++;
	else if (!misfit && g->count)
		g->count--;
}

/* Algorithm 2, without the allocation: that is done once for all moves. */
static void manage(const struct workload *w, struct workload_group *g)
{
	if (g->count <= w->policy.beta)
		return;
	g->moved = true;
	g->moved_at = g->count;
	put_into(g, g->list == PFUSE_TYPE_SERVICE ? PFUSE_TYPE_SCIENTIFIC : PFUSE_TYPE_SERVICE);
}

static uint32_t cpus_for(const struct workload *w, uint32_t need)
{
	uint32_t cpus = need <= SMALL ? 0 : (need + 999) / 1000;

	return (uint32_t)arith_min(cpus, w->online);
}

static uint32_t patience(const struct workload_group *g)
{
	return PATIENCE << g->doublings;
}

/* A growth soon after a shrink: that was a mistake, and the next one is to come later. */
static void grow(struct workload *w, struct workload_group *g, uint32_t cpus)
{
	cpus = (uint32_t)arith_min(cpus, w->online);
	g->calm = 0;
	if (cpus <= g->cpus)
		return;
	if (g->since_shrink <= 2 * patience(g))
		g->doublings = (uint8_t)arith_min(g->doublings + 1u, DOUBLINGS);
	else if (g->doublings)
		g->doublings--;
	g->since_shrink = UINT32_MAX;
	g->cpus = cpus;
	g->resized = true;
}

/* The next more. A small service that has the common CPUs to itself has those already. */
static uint32_t one_more(const struct workload *w, const struct workload_group *g)
{
	if (g->cpus || w->small > 1)
		return g->cpus + 1;
	return cpumask_count(&w->common) + 1;
}

/* A quarter of what is too much at a time. */
static uint32_t fewer(const struct workload *w, const struct workload_group *g)
{
	uint32_t least = cpus_for(w, need_of(g));

	return g->cpus > least ? g->cpus - (g->cpus - least + 3) / 4 : g->cpus;
}

/* Enough of them, and of the CPUs as they are given now. */
static bool is_late(const struct workload *w, const struct workload_group *g)
{
	return w->policy.wait_p99_ns && g->waits >= WAITS_MIN && !g->grown &&
	       g->wait_p99_ns > w->policy.wait_p99_ns;
}

/* Where scientific groups are on its CPUs, its waits do not tell how it would do without them. */
static bool waits_tell(const struct workload *w, const struct workload_group *g)
{
	return w->confined && w->policy.wait_p99_ns && g->waits >= WAITS_MIN && !g->grown;
}

static void shrink_slowly(struct workload *w, struct workload_group *g)
{
	uint32_t cpus = fewer(w, g);

	if (cpus == g->cpus || (waits_tell(w, g) && g->wait_p99_ns > w->policy.wait_p99_ns / 2)) {
		g->calm = 0;
		return;
	}
	if (++g->calm <= patience(g))
		return;
	g->cpus = cpus;
	g->calm = 0;
	g->since_shrink = 0;
	g->resized = true;
}

/* allocate_SLA() of a service that stays one, and of one that has just become one. */
static void size(struct workload *w, struct workload_group *g)
{
	uint32_t cpus = cpus_for(w, g->sized ? g->need_now : need_of(g));
	bool late = w->confined && is_late(w, g);

	if (!g->sized) {
		g->cpus = cpus;
		g->sized = g->resized = true;
		return;
	}
	if (g->since_shrink < UINT32_MAX)
		g->since_shrink++;
	if (late || cpus > g->cpus)
		grow(w, g, (uint32_t)arith_max(cpus, late ? one_more(w, g) : 0));
	else
		shrink_slowly(w, g);
}

/* Sharing was a mistake. A mistake soon after another: it is to be tried later. */
static void part(struct workload *w)
{
	w->apart = (uint32_t)APART << w->mistakes;
	w->mistakes = (uint8_t)arith_min(w->mistakes + 1u, DOUBLINGS);
	w->shared = 0;
}

static void count_shared(struct workload *w)
{
	if (w->apart)
		w->apart--;
	if (!w->sharing || ++w->shared < (uint32_t)APART << w->mistakes)
		return;
	w->shared = 0;
	if (w->mistakes)
		w->mistakes--;
}

void workload_check(struct workload *w)
{
	bool harm = false;

	count_shared(w);
	for (uint32_t slot = 1; slot < w->nslots; slot++) {
		struct workload_group *g = &w->groups[slot];

		if (!g->list || !g->looked)
			continue;
		if (g->asked == WORKLOAD_AUTO) {
			monitor(w, g);
			manage(w, g);
		}
		if (g->list == PFUSE_TYPE_SERVICE) {
			harm = harm || (w->sharing && g->sized && is_late(w, g));
			size(w, g);
		}
		g->looked = g->grown = false;
	}
	if (harm)
		part(w);
	workload_place(w);
}

/* Once per check: the next waits have to show first what this CPU was worth. */
bool workload_late(struct workload *w, uint32_t slot)
{
	struct workload_group *g = group_of(w, slot);

	if (!g || g->list != PFUSE_TYPE_SERVICE || !g->sized || g->grown || !w->policy.wait_p99_ns)
		return false;
	if (w->sharing) {
		g->grown = true;
		part(w);
		return true;
	}
	if (!w->confined || g->cpus >= w->online)
		return false;
	g->grown = true;
	grow(w, g, one_more(w, g));
	return true;
}

const struct cpumask *workload_set(const struct workload *w, uint32_t slot)
{
	const struct workload_group *g = group_of(w, slot);

	return g && g->list && !cpumask_empty(&g->set) ? &g->set : &w->topology.online;
}
