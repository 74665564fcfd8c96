/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Which CPUs: how many each group gets is settled, or follows from that. */
#include "core/workload.h"

#include <stddef.h>

#include "core/arith.h"

struct tally {
	uint32_t small;	     /* services that share */
	uint32_t services;   /* CPUs that services have for themselves */
	uint32_t common;     /* CPUs of the small services */
	uint32_t scientific; /* groups */
	uint64_t need;	     /* of all services, in thousandths of a CPU */
};

static bool is_service(const struct workload_group *g)
{
	return g->list == PFUSE_TYPE_SERVICE && g->sized;
}

static bool is_small(const struct workload_group *g)
{
	return is_service(g) && g->cpus == 0;
}

static struct tally count(const struct workload *w)
{
	struct tally tally = { 0 };
	uint64_t small_need = 0;

	for (uint32_t slot = 1; slot < w->nslots; slot++) {
		const struct workload_group *g = &w->groups[slot];

		tally.scientific += g->list == PFUSE_TYPE_SCIENTIFIC;
		/* CPUs may have gone since: a service that had them all has all that are left. */
		if (!is_service(g))
			continue;
		tally.services += (uint32_t)arith_min(g->cpus, w->online);
		tally.need += arith_max(g->need[0], g->need[1]);
		if (is_small(g)) {
			tally.small++;
			small_need += arith_max(g->need[0], g->need[1]);
		}
	}
	if (tally.small)
		tally.common =
			(uint32_t)arith_max(arith_min((small_need + 999) / 1000, w->online), 1);
	return tally;
}

/* Sets that are parted stay so until it would waste half as much again: needs are never still. */
static bool wastes(const struct workload *w, const struct tally *tally)
{
	uint64_t kept = (tally->services + tally->common) * 1000ull,
		 may = w->online * (uint64_t)w->policy.waste_permille;

	if (w->policy.waste_permille >= 1000 || w->apart)
		return false;
	return kept > tally->need + (w->confined ? may + may / 2 : may);
}

static void put_all(struct workload *w, struct workload_group *g, enum workload_share share)
{
	g->own = (struct cpumask){ { 0 } };
	g->set = w->topology.online;
	g->share = (uint8_t)share;
}

/* Nobody is confined; scientific groups have the least weight where there are services. */
static void place_together(struct workload *w, const struct tally *tally)
{
	bool services = tally->services || tally->common;

	w->confined = false;
	w->common = w->remainder = (struct cpumask){ { 0 } };
	for (uint32_t slot = 1; slot < w->nslots; slot++) {
		struct workload_group *g = &w->groups[slot];

		if (g->list == PFUSE_TYPE_SCIENTIFIC)
			put_all(w, g, services ? WORKLOAD_LEAST : WORKLOAD_EVEN);
		else if (g->list)
			put_all(w, g, WORKLOAD_ALONE);
	}
}

/* Higher is better: CPUs of cores that it has to itself, near those that it has already. */
static unsigned worth(const struct workload *w, uint32_t cpu, bool first)
{
	const struct workload_topology *t = &w->topology;
	uint16_t core = t->core[cpu];

	return (w->in_core[core] ? 16u : 0) + (w->taken[core] == w->in_core[core] ? 8u : 0) +
	       (first || w->in_llc[t->llc[cpu]] ? 4u : 0) +
	       (first || w->in_node[t->node[cpu]] ? 2u : 0);
}

static uint32_t best_of(const struct workload *w, const struct cpumask *from, bool first, bool top)
{
	uint32_t best = CPUMASK_CPUS;
	unsigned best_worth = 0;

	for (uint32_t cpu = cpumask_next(from, 0); cpu < CPUMASK_CPUS;
	     cpu = cpumask_next(from, cpu + 1)) {
		unsigned is = worth(w, cpu, first);

		if (best == CPUMASK_CPUS || is > best_worth || (top && is == best_worth)) {
			best = cpu;
			best_worth = is;
		}
	}
	return best;
}

static void note_own(struct workload *w, uint32_t cpu)
{
	w->in_core[w->topology.core[cpu]]++;
	w->in_llc[w->topology.llc[cpu]]++;
	w->in_node[w->topology.node[cpu]]++;
}

static void look_at_own(struct workload *w, const struct cpumask *own)
{
	memset(w->in_core, 0, sizeof(w->in_core));
	memset(w->in_llc, 0, sizeof(w->in_llc));
	memset(w->in_node, 0, sizeof(w->in_node));
	for (uint32_t cpu = cpumask_next(own, 0); cpu < CPUMASK_CPUS;
	     cpu = cpumask_next(own, cpu + 1))
		note_own(w, cpu);
}

/* Moves the best `n` less those that it has, from `from` (which must be free) into `own`. */
static void take(struct workload *w, struct cpumask *own, const struct cpumask *from, uint32_t n,
		 bool top)
{
	struct cpumask left = cpumask_and(from, &w->free);
	uint32_t has = cpumask_count(own);

	if (has >= n)
		return;
	look_at_own(w, own);
	for (; has < n; has++) {
		uint32_t cpu = best_of(w, &left, has == 0, top);

		if (cpu == CPUMASK_CPUS)
			return;
		cpumask_add(own, cpu);
		cpumask_drop(&left, cpu);
		cpumask_drop(&w->free, cpu);
		w->taken[w->topology.core[cpu]]++;
		note_own(w, cpu);
	}
}

/* Of what it has now, the best `n`. */
static void keep(struct workload *w, struct cpumask *own, uint32_t n, bool top)
{
	struct cpumask before = *own;

	*own = (struct cpumask){ { 0 } };
	take(w, own, &before, n, top);
}

static void clear_room(struct workload *w)
{
	w->free = w->topology.online;
	memset(w->taken, 0, sizeof(w->taken));
}

/* Everybody keeps first, so that nobody takes what another service has already. */
static void place_services(struct workload *w, const struct tally *tally)
{
	for (int round = 0; round < 2; round++) {
		for (uint32_t slot = 1; slot < w->nslots; slot++) {
			struct workload_group *g = &w->groups[slot];

			if (!is_service(g))
				continue;
			if (round == 0)
				keep(w, &g->own, g->cpus, false);
			else
				take(w, &g->own, &w->free, g->cpus, false);
			g->share = WORKLOAD_ALONE;
			g->set = g->own;
		}
		if (round == 0)
			keep(w, &w->common, tally->common, false);
		else
			take(w, &w->common, &w->free, tally->common, false);
	}
	for (uint32_t slot = 1; slot < w->nslots; slot++)
		if (is_small(&w->groups[slot]))
			w->groups[slot].set = w->common;
}

/* allocate_PR(): whole CPUs first; what is left over is everybody's. */
static void place_scientific(struct workload *w, const struct tally *tally)
{
	uint32_t rest = cpumask_count(&w->free), each = rest / tally->scientific;

	w->remainder = w->free;
	for (int round = 0; round < 2; round++)
		for (uint32_t slot = 1; slot < w->nslots; slot++) {
			struct workload_group *g = &w->groups[slot];

			if (g->list != PFUSE_TYPE_SCIENTIFIC)
				continue;
			if (round == 0)
				keep(w, &g->own, each, true);
			else
				take(w, &g->own, &w->free, each, true);
		}
	for (uint32_t slot = 1; slot < w->nslots; slot++) {
		struct workload_group *g = &w->groups[slot];

		if (g->list != PFUSE_TYPE_SCIENTIFIC)
			continue;
		g->set = cpumask_or(&g->own, &w->free);
		g->share = cpumask_empty(&w->free) ? WORKLOAD_ALONE : WORKLOAD_EVEN;
	}
}

/* Services have all CPUs: each its own, and the scientific groups what time they leave on all of them. */
static void spread_scientific(struct workload *w)
{
	w->remainder = (struct cpumask){ { 0 } };
	for (uint32_t slot = 1; slot < w->nslots; slot++)
		if (w->groups[slot].list == PFUSE_TYPE_SCIENTIFIC)
			put_all(w, &w->groups[slot], WORKLOAD_LEAST);
}

/* Not looked at yet: what it needs is not known, so it may use all. */
static void place_unknown(struct workload *w)
{
	for (uint32_t slot = 1; slot < w->nslots; slot++) {
		struct workload_group *g = &w->groups[slot];

		if (g->list == PFUSE_TYPE_SERVICE && !g->sized)
			put_all(w, g, WORKLOAD_ALONE);
	}
}

void workload_place(struct workload *w)
{
	struct tally tally = count(w);
	uint32_t wanted = tally.services + tally.common;

	w->small = tally.small;
	w->sharing = tally.scientific && wanted > 0 && wanted <= w->online && wastes(w, &tally);
	if (!tally.scientific || !w->online || wanted > w->online || w->sharing) {
		place_together(w, &tally);
		return;
	}
	clear_room(w);
	place_services(w, &tally);
	place_unknown(w);
	w->confined = wanted > 0 && wanted < w->online;
	if (wanted < w->online)
		place_scientific(w, &tally);
	else
		spread_scientific(w);
}
