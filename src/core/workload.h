/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The dynamic resource manager by workload type: which groups are services and which are scientific, and
 * which CPUs each of them is given.
 *
 * Source: Hwang, Song, Lee, Choi, Yu, Algorithm 1 (monitor) and Algorithm 2 (manage). Each check:
 *	for g in LIST_se: count += usage >= alpha ? 1 : -1	for g in LIST_sc: count += usage < alpha ? 1 : -1
 *	for g in LIST_se with count > beta: count = 0, move to LIST_sc, allocate_PR()
 *	for g in LIST_sc with count > beta: count = 0, allocate_SLA(g), move to LIST_se
 * Readings: the listing adds a guest back to LIST_se in its first branch, its text says LIST_sc, and so
 * do we. count never goes below 0. After allocate_SLA the remainder differs, so allocate_PR runs again;
 * here both are computed once, after all moves. An `auto` group begins in LIST_se: the error that
 * squeezes nobody. A guest has as many virtual CPUs as it computes with, a group has not: usage is the
 * CPU time that its tasks wanted to go on with, of what they could have had (see workload.c).
 *
 * allocate_SLA: the least CPUs such that usage <= utilisation of them and the p99 of the run-queue wait
 * keeps its target; grown at once when that is violated, shrunk slowly, ever more slowly where a shrink
 * was a mistake. A service that needs no more than half a CPU shares the common CPUs with its like, else
 * thirty sleeping containers would take thirty CPUs. Waits count only while it has CPUs of its own.
 * allocate_PR: the other CPUs evenly among the scientific groups: whole ones first, what is left is
 * shared by all of them. Where services need all CPUs (or there is one only), every scientific group may
 * use every CPU by the least weight: that is the idle remainder by time. Without a scientific group
 * nobody is confined.
 *
 * Beyond the paper: sets are whole CPUs, and what a service has and does not use is lost to the others; of two
 * CPUs that can be half the machine. Where more than `waste` of the machine would be lost so, nobody is
 * confined either: services keep what they need by weight, as scientific groups have the least. That goes on as
 * long as it does no harm: when a service waits longer than its target, the sets are parted at once, and
 * stay so for a while, longer after each such mistake. waste of 1000: the paper's rule.
 *
 * Sets change as little as possible; among equals siblings of a core, then the last-level cache, then
 * the node stay together. A service fills up from the lowest CPU, scientific groups from the highest.
 *
 * Order: workload_init(), workload_join() and _leave() at any time, workload_look() per group and check,
 * workload_check(); workload_late() and workload_set_topology() at any time, then workload_place(). The
 * arrays are the caller's, index = slot, slot 0 unused. Nothing can fail; absurd input is clamped.
 */
#ifndef PFUSE_CORE_WORKLOAD_H
#define PFUSE_CORE_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "core/cpumask.h"
#include "pfuse/verdict.h"

/* Domains are numbers below CPUMASK_CPUS, equal where two CPUs share one; of offline CPUs: unused. */
struct workload_topology {
	struct cpumask online;
	uint16_t core[CPUMASK_CPUS]; /* SMT siblings */
	uint16_t llc[CPUMASK_CPUS];
	uint16_t node[CPUMASK_CPUS];
};

struct workload_policy {
	uint64_t check_ns;    /* T_check */
	uint64_t wait_p99_ns; /* of a service; 0: no target */
	uint32_t alpha_permille;
	uint32_t beta;
	uint32_t utilisation_permille; /* of a service's CPUs */
	uint32_t waste_permille;       /* of the machine, that services may keep unused; 1000: any */
};

enum workload_asked {
	WORKLOAD_OFF, /* keeps all CPUs and is not looked at */
	WORKLOAD_AUTO,
	WORKLOAD_SERVICE,
	WORKLOAD_SCIENTIFIC,
	WORKLOAD_ASKED,
};

/* What a group did since the last look. */
struct workload_look {
	uint64_t span_ns; /* 0: no look */
	uint64_t run_ns;
	uint64_t wait_ns;
	uint64_t wait_p99_ns;
	uint32_t waits; /* behind wait_p99_ns */
	uint32_t nvcsw;
	uint32_t nivcsw;
	uint32_t oncpu;		  /* at this moment */
	uint32_t budget_permille; /* of one CPU, that its cpu.max lets it use; 0: all */
	bool stopped;		  /* by us: what it does not do then proves nothing */
};

enum workload_share {
	WORKLOAD_ALONE, /* nobody of another kind on its CPUs */
	WORKLOAD_EVEN,	/* other scientific groups on some of them */
	WORKLOAD_LEAST, /* services, whom it must not disturb */
};

struct workload_group {
	uint8_t asked;	   /* enum workload_asked */
	uint8_t list;	   /* enum pfuse_type */
	uint8_t share;	   /* enum workload_share */
	uint8_t doublings; /* of the patience, after shrinks that were mistakes */
	bool looked;
	bool sized; /* a service: `cpus` is known */
	bool moved; /* by the last check */
	bool grown; /* by an event since the last check: the waits before that prove nothing */
	bool resized;
	uint8_t window; /* checks left in it */
	uint16_t parallel
		[2];	  /* most tasks seen running at once, in this window and the one before */
	uint32_t need[2]; /* most CPU time, by utilisation, in thousandths of a CPU; the same */
	uint32_t need_now;
	uint32_t count;	   /* of Algorithm 1 */
	uint32_t moved_at; /* the count that moved it: evidence */
	uint32_t usage_permille;
	uint32_t cpus;	       /* SLA of a service; 0: shares the common CPUs */
	uint32_t calm;	       /* checks in a row in which fewer would have done */
	uint32_t since_shrink; /* checks; UINT32_MAX: never */
	uint32_t waits;
	uint64_t wait_p99_ns;
	struct cpumask own; /* whole CPUs that it shares with nobody */
	struct cpumask set; /* all that it may use */
};

struct workload {
	struct workload_policy policy;
	struct workload_topology topology;
	struct workload_group *groups;
	uint32_t nslots;
	uint32_t online;	  /* CPUs */
	uint32_t small;		  /* services that share the common CPUs */
	bool confined;		  /* services have CPUs without scientific groups on them */
	bool sharing;		  /* they have not, for that would waste too much */
	uint8_t mistakes;	  /* of sharing: doublings of what follows */
	uint32_t apart;		  /* checks left in which nobody shares, whatever it wastes */
	uint32_t shared;	  /* checks without harm since then */
	struct cpumask common;	  /* of the small services */
	struct cpumask remainder; /* of all scientific groups together */
	/* Scratch of workload_place(). */
	struct cpumask free;
	uint16_t taken[CPUMASK_CPUS]; /* by core */
	uint16_t in_core[CPUMASK_CPUS], in_llc[CPUMASK_CPUS], in_node[CPUMASK_CPUS];
};

void workload_policy_defaults(struct workload_policy *ret_policy);

/* Clears the array. */
void workload_init(struct workload *w, struct workload_group *groups, uint32_t nslots,
		   const struct workload_topology *topology);
void workload_set_policy(struct workload *w, const struct workload_policy *policy);
/* CPUs came or went. */
void workload_set_topology(struct workload *w, const struct workload_topology *topology);

/* A group appears, or is asked to be another; WORKLOAD_OFF and leaving are the same. */
void workload_join(struct workload *w, uint32_t slot, enum workload_asked asked);
void workload_leave(struct workload *w, uint32_t slot);

void workload_look(struct workload *w, uint32_t slot, const struct workload_look *look);
/* Algorithms 1 and 2 over all groups that were looked at since the last check; then placed. */
void workload_check(struct workload *w);
/* Its run-queue wait crossed the target. True: it is owed other CPUs, call workload_place(). */
bool workload_late(struct workload *w, uint32_t slot);
void workload_place(struct workload *w);

/* What a slot may use: all that is online for whoever does not take part. */
const struct cpumask *workload_set(const struct workload *w, uint32_t slot);

/* By what its tasks wanted to go on with, of what they could have had on `given` CPUs. */
uint32_t workload_usage_permille(const struct workload_look *look, uint32_t parallel,
				 uint32_t given);

#endif
