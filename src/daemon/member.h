/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A group under management as the daemon holds it: its edges (directory, RAM records, stop state), its
 * latencies, and what stood in its files when we came. The core's side of it is the FCB of the same slot.
 *
 * Order: member_open() → member_look() → member_prepare(), then ledger_commit() once for all →
 * member_prepare_net(), which needs the probe, and ledger_commit() again → member_sample(),
 * member_carry_out() … → member_close(). Accepts a zeroed member.
 * Under 280 bytes, the path, and what its edges of CPU, I/O and NET and its latencies hold.
 */
#ifndef DAEMON_MEMBER_H
#define DAEMON_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hist.h"
#include "core/orchestrator.h"
#include "edge/cgroup.h"
#include "edge/control.h"
#include "edge/guard.h"
#include "edge/pages.h"
#include "edge/ledger.h"
#include "edge/netprio.h"
#include "edge/probe.h"
#include "edge/reach.h"
#include "edge/stop.h"
#include "edge/throttle.h"
#include "export/summary.h"
#include "pfuse/sample.h"
#include "pfuse/verdict.h"

/* The edges that all members share. Borrowed. */
struct machine {
	struct cgroup_tree tree;
	struct ledger *ledger; /* NULL in a dry run that needs none */
	struct probe *probe;
	struct guards *guards;	 /* NULL: no group is to be frozen guarded */
	struct procs_list never; /* whom we never stop or squeeze */
	enum stop_mode stop_mode;
	bool dry_run;
};

/* The figures that are told as what they grew by: all before swap and CPU time, which are read afresh. */
enum { MEMBER_FIGURES = CONTROL_SWAP };

struct member {
	const char *name; /* GROUP as the user gave it; borrowed */
	struct cgroup group;
	struct control_ram ram;
	struct stop stop;
	struct throttle *throttle; /* NULL: CPU and I/O are not looked at, or not to be had */
	struct netprio *netprio;   /* NULL: does not act on NET */
	struct pages *pages;	   /* NULL: its memory is not being moved out */
	struct reach reach;	   /* what it shares with outsiders, as it was at reach_ns */
	uint64_t reach_ns;	   /* 0: never looked */
	struct hist *wake_ns;	   /* from the reason to continue until it runs; NULL: never yet */
	struct hist *limit_ns;	   /* from the event until the limit is written; or NULL */
	uint64_t first[MEMBER_FIGURES]; /* figures when we came; UINT64_MAX: not to be had */
	uint64_t usage_peak;
	double zram_byte_s; /* what zram spends on its pages, integrated over time */
	uint64_t zram_at_ns;
	uint64_t zram_bytes;
	uint32_t avoided; /* verdicts that a dry run left out */
	uint32_t foreign;
	uint32_t busy;	  /* stops at a bad moment */
	uint32_t refused; /* stops that would not have been safe */
	uint32_t failed;
	uint32_t wakes[SUMMARY_WAKES];
	uint32_t refusal;  /* checksum of the last refusal said; 0: none since it was stopped */
	uint8_t acts;	   /* bits by enum pfuse_control: old values are recorded */
	uint8_t reads;	   /* bits by enum throttle_kind: figures that can be had */
	uint8_t net_level; /* as we set it; 0: not yet */
	bool watches_oom;  /* v1: an eventfd tells when a task waits at the limit */
	bool populated;
	bool awake;	   /* sampled each interval; else an ACTIVE event wakes it */
	bool guarded;	   /* frozen, and machine.guards watches for it */
	bool page_out;	   /* its policy asks for that */
	bool reapply;	   /* likewise: a limit that somebody else set is taken for the old one */
	bool parent_minds; /* a parent continued or killed what we had stopped by signal */
};

_Static_assert(sizeof(struct member) + sizeof(struct fcb) <= 1024,
	       "with its path and edges a further group is to cost little more than 1 KiB");

/* Notes whether anybody is there. For when no event of the probe tells; costs a list of its processes. */
int member_count(struct member *member);

/* Takes over `group`, and notes the figures that stand in its files now. */
int member_open(const struct machine *machine, const char *name, struct cgroup *group,
		struct member *ret, struct err *err);

/*
 * Opens what the policy wants to be looked at of CPU and I/O. Best effort: what cannot be had is not
 * looked at. Again after a new policy.
 */
void member_look(const struct machine *machine, struct member *member,
		 const struct fcb_policy *policy);

/*
 * Old values of all but NET into the ledger, not yet binding. -ENOENT: this group has no such limit;
 * err says what to do.
 */
int member_prepare(const struct machine *machine, struct member *member,
		   const struct fcb_policy *policy, struct err *err);
int member_prepare_net(const struct machine *machine, struct member *member, uint32_t slot,
		       const struct fcb_policy *policy, struct err *err);

/* The policy as far as this member can carry it out: acts on nothing that was not prepared. */
void member_restrict(const struct member *member, struct fcb_policy *policy);

/*
 * A limit that stands already gets its net before the first decision: growth that is faster than we are
 * must not be killed. Watches for tasks that wait at the limit (v1), by an eventfd shared with others.
 */
int member_spread_net(const struct machine *machine, struct member *member, int oom_fd);

/* The figures of this moment, of the resources that are looked at. -ENODEV: the group is gone. */
int member_sample(const struct machine *machine, struct member *member, uint32_t slot,
		  struct pfuse_sample *ret);

/* What became of a verdict. */
struct carried {
	enum orchestrator_outcome outcome;
	int err; /* the edge's; 0: done, or left out */
	/* A sentence, or empty; of what was done: why it changed nothing in the kernel. */
	struct err why;
	/* A talk that nobody told us of, found before a stop; kind 0: none. */
	struct pfuse_event talk;
};

/*
 * Does what the verdict says, or leaves it out in a dry run, and counts it. `since_ns` is when the
 * reason arose (time of the event, or of this turn of the loop).
 */
void member_carry_out(const struct machine *machine, struct member *member,
		      const struct pfuse_verdict *verdict, uint64_t since_ns, struct carried *ret);

/* What BPF holds for it is given back: before its slot is free, and before the probe is closed. */
void member_leave_probe(const struct machine *machine, struct member *member, uint32_t slot);

/* Nothing that comes for it wakes it any more: it was stopped on request, or is no more. */
void member_unguard(const struct machine *machine, struct member *member, uint32_t slot);

/* How much of zram's memory is the group's, by its share of the swapped pages. */
void member_account_zram(const struct machine *machine, struct member *member, uint64_t zram_used,
			 uint64_t swap_used, uint64_t now_ns);

/* A figure as it is now less what it was when we came; false: not to be had. */
bool member_figure(const struct machine *machine, const struct member *member,
		   enum control_figure figure, uint64_t *ret_value);

void member_close(struct member *member);

#endif
