/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The inside of a split, for split.c (who takes part) and split_act.c (looking and acting) only. */
#ifndef DAEMON_SPLIT_INSIDE_H
#define DAEMON_SPLIT_INSIDE_H

#include "daemon/split.h"
#include "edge/slice.h"
#include "edge/topology.h"
#include "edge/weight.h"

#define SPLIT_LIST_MAX 4000 /* bytes of a list of CPUs */

/* What a group's edges are, by slot. */
struct split_member {
	struct weight weight;
	struct slice *slice; /* NULL: its tasks have the kernel's */
	uint64_t slice_ns;   /* that the record is about */
	uint32_t slice_record; /* of the ledger; 0: none */
	char *cpus_before;   /* its list when we came; NULL: its CPUs are not ours to set */
	uint64_t run_ns;     /* CPU time, as last read */
	bool weighs;	     /* its weight is ours to set */
	bool said_cpus_fail; /* since the last success */
	bool said_weight_fail;
	bool waits_armed;
	bool partitioned;  /* its CPUs are kept from everybody else */
	bool no_partition; /* the kernel does not; said */
};

struct split {
	struct cpus core;
	struct cpus_group *groups;
	struct workload_group *workload;
	struct split_member *at;
	struct pfuse_verdict *verdicts; /* two per slot */
	struct topology topology;
	int root; /* "/" */
	bool said_no_slices;
};

/* The configuration's entry for the group. */
const struct config_group *split_entry(const struct daemon *daemon, uint32_t slot);

/* split_act.c: what the core wants now, carried out; and whatever a group still has, as the split ends. */
void split_act(struct daemon *daemon, uint64_t since_ns);
void split_let_go(struct daemon *daemon, uint32_t slot);

/* The core's topology is the edge's, which it may not include. */
void split_topology(const struct split *split, struct workload_topology *ret);

#endif
