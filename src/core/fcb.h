/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The p-Fusebox Control Block: all that the core knows about one group.
 *
 * Source: the p-Fusebox paper, Resource Monitor: one FCB per registered process with five kinds of
 * information, RAM, CPU, I/O, NET and the Signal Flag. Here a process is a group (cgroup).
 *
 * This module keeps the books (usages, rates, activity, totals) and decides nothing. The caller
 * owns the memory; an FCB holds no pointer, so an array of them may be moved by memcpy. All zero
 * means "not attached". Times in ns of one clock that the caller reads; a time before the last one
 * counts as the last one. Nothing can fail: absurd input is clamped.
 */
#ifndef PFUSE_CORE_FCB_H
#define PFUSE_CORE_FCB_H

#include <stdbool.h>
#include <stdint.h>

#include "core/fusebox.h"
#include "core/signalflag.h"
#include "pfuse/sample.h"
#include "pfuse/verdict.h"

#define FCB_NEVER UINT64_MAX
#define FCB_RETRY_DOUBLINGS 6 /* the back-off after failures is doubled so many times at most */

enum fcb_resource_kind {
	FCB_RAM, /* bytes */
	FCB_CPU, /* ns of CPU time per second */
	FCB_IO,	 /* bytes per second */
	FCB_NET, /* bytes per second */
	FCB_RESOURCES,
};

enum fcb_mode {
	FCB_OFF,     /* not looked at */
	FCB_OBSERVE, /* usage and score, no verdict */
	FCB_ACT,     /* this release acts on RAM only; elsewhere it is the same as observe */
};

enum fcb_freeze {
	FCB_FREEZE_OFF,	     /* stopped on request only */
	FCB_FREEZE_ISOLATED, /* stopped when idle and the Signal Flag is true */
	FCB_FREEZE_GUARDED, /* frozen when idle, whoever it talks with; woken by what it waits for */
};

/* What the user may set per group. */
struct fcb_policy {
	uint64_t ram_floor_bytes;
	uint64_t ram_ceiling_bytes; /* 0, or more than the machine has: the machine's RAM */
	uint64_t idle_ns;	    /* how long idle before it is stopped */
	uint64_t deadline_ns;	    /* longest stop; FCB_NEVER: no deadline */
	uint64_t window_ns;	    /* observation window of the Signal Flag */
	uint64_t
		probe_ns; /* guarded: what ends within this time after a wake does not reset idleness */
	uint64_t cool_down_ns; /* no shrink for so long after a growth by event */
	uint32_t high_water_permille;
	uint32_t idle_cpu_permille;  /* less than this share of one CPU counts as idle */
	uint8_t mode[FCB_RESOURCES]; /* enum fcb_mode */
	uint8_t freeze;		     /* enum fcb_freeze */
};

struct fcb_resource {
	uint64_t usage;	     /* x_n */
	uint64_t usage_prev; /* x_{n-1} */
	uint64_t limit;	     /* PFUSE_UNLIMITED: none */
	uint64_t size;	     /* of the last score; 0 where there is no limit */
	double score;
};

/* One control that verdicts are about, as far as the attempts to set it have come. */
struct fcb_control {
	uint64_t retry_ns; /* after a failure: not before then */
	uint32_t failures; /* in a row */
	bool let_go;	   /* somebody else changed it: theirs now */
};

enum fcb_decision {
	FCB_GROWN,
	FCB_SHRUNK,
	FCB_STOPPED,
	FCB_CONTINUED,
	FCB_FAILED,  /* verdicts that the edge could not carry out */
	FCB_BUSY,    /* stops that came at a bad moment: tried again soon */
	FCB_REFUSED, /* stops that would have been unsafe for this group */
	FCB_DECISIONS,
};

/*
 * Sums for the summary. Usage and limit are step functions: what was read last holds until the next
 * reading. byte * ns leaves u64 after two seconds at 8 GiB, and KiB * ms loses what lies between
 * two events less than 1 ms apart, so the sums are doubles, in byte * s: 2^53 distinct values make
 * the error of a billion additions smaller than 1e-6 of the sum, and they cannot overflow.
 *
 * An unlimited group counts with its ceiling: less than what it reserves in truth, so that no
 * saving is claimed for writing down a limit where there was none.
 */
struct fcb_totals {
	double usage_byte_s;
	double limit_byte_s;
	uint64_t observed_ns;
	uint64_t stopped_ns; /* of finished stops, see fcb_stopped_ns() */
	uint32_t decisions[FCB_DECISIONS];
	uint32_t oom_kills;
};

struct fcb {
	uint64_t group_id; /* 0: not attached */
	uint32_t slot;
	uint32_t page_bytes;
	struct fcb_policy policy;
	struct fcb_resource res[FCB_RESOURCES];
	struct signalflag flag;
	struct fcb_control control[PFUSE_CONTROLS];
	struct fcb_totals totals;
	struct pfuse_sample last;
	uint64_t limit_seen; /* the RAM limit as the kernel last showed it */
	uint64_t attached_ns;
	uint64_t sampled_ns;	   /* time of `last` */
	uint64_t accounted_ns;	   /* the totals are complete up to here */
	uint64_t active_ns;	   /* the last activity seen: idle since then */
	uint64_t woken_ns;	   /* ACTIVE event since the last sample; 0: none */
	uint64_t grown_ns;	   /* the last growth by event; 0: none */
	uint64_t stopped_since_ns; /* meaningful while stopped */
	uint64_t probe_end_ns;	   /* after a wake: what was done up to here may be a mere probe */
	uint8_t overdue; /* enum pfuse_reason of a continue that is due, or has failed; 0: none */
	bool stopped;
	bool requested; /* stopped by request: ends by request only */
	bool removed;	/* the directory is gone */
	bool still;	/* nothing ran since the sample before the last, and nothing since */
	bool settled;	/* the last RAM decision was "no change", and would be again */
};

_Static_assert(sizeof(struct fcb) <= 704, "a further group costs less than 1 KiB in the daemon");

/* RAM act, others observe, floor 16 MiB, high water 90 %, idle 10 s, deadline 25 s: see fcb.c. */
void fcb_policy_defaults(struct fcb_policy *ret_policy, uint64_t machine_ram_bytes);

/* A fresh FCB whose group is first seen in this sample. */
void fcb_init(struct fcb *fcb, uint64_t group_id, const struct pfuse_sample *first,
	      uint64_t now_ns);

/* Takes a policy over, clamped to what makes sense on this machine. Keeps all state. */
void fcb_set_policy(struct fcb *fcb, const struct fcb_policy *policy, uint64_t machine_ram_bytes);

/* The next sample: usages, rates, activity, talks, totals. */
void fcb_sample(struct fcb *fcb, const struct pfuse_sample *sample, uint64_t now_ns);

/* RAM usage as an event tells it: the same shift of x_n and x_{n-1} as a sample. */
void fcb_ram_usage(struct fcb *fcb, uint64_t usage_bytes, uint64_t now_ns);

/* Brings the sums of usage and limit up to now_ns. */
void fcb_account(struct fcb *fcb, uint64_t now_ns);

/* All stops, the current one included. */
uint64_t fcb_stopped_ns(const struct fcb *fcb, uint64_t now_ns);

struct fusebox_bounds fcb_bounds(const struct fcb *fcb);

#endif
