/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the core was told and what it answered, one record per call of one of its doors, in the order of
 * the calls. Fed to a fresh core in that order (export/player.h), records give the same verdicts, bit for
 * bit; that is all that a replay needs, and a report as well.
 *
 * A file begins with PFTRACE_MACHINE, followed, if machine.continues, by PFTRACE_CPUS_STATE, where CPUs are
 * split or weights set, and by a PFTRACE_GROUP and a PFTRACE_STATE for each group; else each group begins
 * with PFTRACE_ATTACH, and the split with PFTRACE_CPUS_BEGIN. The same sequence may come
 * again later in a file (flight recorder): the groups and their states are those that hold then.
 *
 * Shapes: times are CLOCK_MONOTONIC in ns. Strings and byte ranges of a record that was read belong to the
 * reader and hold until its next call; they come from outside, so escape them before printing. Numbers
 * of a record that was read are within the ranges of their enums; slots are below machine.slots.
 */
#ifndef EXPORT_PFTRACE_RECORD_H
#define EXPORT_PFTRACE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cpus.h"
#include "core/fcb.h"
#include "core/orchestrator.h"
#include "pfuse/event.h"
#include "pfuse/sample.h"
#include "pfuse/verdict.h"

#define PFTRACE_FORMAT 1 /* raised when a record changes its meaning */

enum pftrace_kind {
	PFTRACE_MACHINE = 1, /* machine: before everything else */
	PFTRACE_ATTACH,	     /* group, policy, sample: orchestrator_attach() */
	PFTRACE_POLICY,	     /* policy: orchestrator_policy() */
	PFTRACE_DETACH,	     /* orchestrator_detach() */
	PFTRACE_SAMPLE,	     /* sample, verdicts: orchestrator_sample() */
	PFTRACE_EVENT,	     /* event, verdicts: orchestrator_event() */
	PFTRACE_TIMER,	     /* verdicts: orchestrator_timer() */
	PFTRACE_REQUEST,     /* stop, verdicts: orchestrator_request() */
	PFTRACE_EXIT,	     /* verdicts: orchestrator_exit() */
	PFTRACE_APPLIED,     /* applied: orchestrator_applied() */
	PFTRACE_GROUP,	     /* group: of the state that follows */
	PFTRACE_STATE,	     /* state: the FCB of a group that was attached before the file began */
	PFTRACE_LOST,	     /* lost: what is not in the file */
	PFTRACE_CHOOSE,	     /* choose, sample: orchestrator_choose(), of the policy `adaptive` */
	PFTRACE_NEED,	     /* need: orchestrator_need() */
	PFTRACE_SHARE,	     /* share_bytes: orchestrator_share() */
	/* Of the split, core/cpus.h: */
	PFTRACE_CPUS_BEGIN = 70, /* topology: orchestrator_cpus_begin() */
	PFTRACE_CPUS_TOPOLOGY,	 /* topology: orchestrator_cpus_topology() */
	PFTRACE_CPUS_RULES,	 /* rules: orchestrator_cpus_rules() */
	PFTRACE_CPUS_POLICY,	 /* cpus_policy: orchestrator_cpus_policy() */
	PFTRACE_CPUS_LOOK,	 /* sample, span: orchestrator_cpus_look() */
	PFTRACE_CPUS,		 /* verdicts: orchestrator_cpus(); see pftrace_decides_on() */
	PFTRACE_CPUS_STATE,	 /* topology, rules, cpus_state: of a split that went on before */
	PFTRACE_KINDS,
};

enum pftrace_loss {
	PFTRACE_LOSS_RING, /* the kernel had no room for an event */
	PFTRACE_LOSS_FILE, /* the file could not be written */
	PFTRACE_LOSSES,
};

struct pftrace_machine {
	const char *version; /* of pfuse-bpf that wrote it */
	const char *kernel;
	uint64_t ram_bytes;
	uint64_t interval_ns;
	uint32_t page_bytes;
	uint32_t cpus;
	uint32_t slots;	 /* slot 0 included */
	uint32_t policy; /* enum config_policy */
	bool dry_run;
	bool continues; /* the core was at work before: groups and states follow */
};

struct pftrace_group {
	uint64_t id;
	const char *name; /* GROUP as the user gave it */
	const char *path; /* of the cgroup */
};

struct pftrace_applied {
	struct pfuse_verdict verdict;
	enum orchestrator_outcome outcome;
};

/* With the defaults of struct adaptive_setup. */
struct pftrace_choose {
	bool adaptive;
	bool by_limit;
	uint64_t grace_ns;
};

struct pftrace_bytes {
	const void *at;
	size_t size;
};

struct pftrace_state {
	uint64_t layout;
	const void *fcb;
	size_t size;
	struct pftrace_bytes adaptive; /* size 0: has none, as have those below */
	struct pftrace_bytes cpus_group;
	struct pftrace_bytes workload_group;
};

/* What is longer in memory has 0s behind that. */
struct pftrace_topology {
	struct pftrace_bytes online;
	struct pftrace_bytes core, llc, node;
};

struct pftrace_cpus_rules {
	struct workload_policy policy;
	struct prio_own own;
};

struct pftrace_cpus_state {
	uint64_t next_check_ns;
	struct pftrace_bytes common, remainder;
	uint32_t small;
	bool confined, looked, changed;
	bool sharing;
	uint8_t mistakes;
	uint32_t apart, shared;
};

struct pftrace_lost {
	uint64_t events;
	enum pftrace_loss why;
};

/* Which members hold depends on the kind, see there. */
struct pftrace_record {
	uint64_t time_ns;
	enum pftrace_kind kind;
	uint32_t slot; /* 0: of no group */
	uint32_t nverdicts;
	struct pfuse_verdict verdicts[PFUSE_CONTROLS];
	struct pftrace_machine machine;
	struct pftrace_group group;
	struct fcb_policy policy;
	struct pfuse_sample sample;
	struct pfuse_event event;
	struct pftrace_applied applied;
	struct pftrace_state state;
	struct pftrace_lost lost;
	struct pftrace_choose choose;
	struct adaptive_need need;
	uint64_t share_bytes;
	struct pftrace_topology topology;
	struct pftrace_cpus_rules rules;
	struct cpus_policy cpus_policy;
	struct pftrace_cpus_state cpus_state;
	struct pftrace_bytes span; /* size 0: nobody counted it */
	bool stop;
	bool goes_on; /* the verdicts before belong to the same call */
};

/* One call decides for all groups: as many records as it needs, the last of which is not full. */
static inline bool pftrace_decides_on(const struct pftrace_record *record)
{
	return record->kind == PFTRACE_CPUS && record->nverdicts == PFUSE_CONTROLS;
}

#endif
