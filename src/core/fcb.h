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
	FCB_RAM,     /* bytes */
	FCB_CPU,     /* ns of CPU time per second */
	FCB_IO_READ, /* bytes per second, of the busiest disk */
	FCB_IO_WRITE,
	FCB_NET, /* bytes per second, sent and received; its limit is virtual, see core/rate.h */
	FCB_RESOURCES,
};

enum fcb_mode {
	FCB_OFF,     /* not looked at */
	FCB_OBSERVE, /* usage and score, no verdict */
	FCB_ACT,
};

enum fcb_freeze {
	FCB_FREEZE_OFF,	     /* stopped on request only */
	FCB_FREEZE_ISOLATED, /* stopped when idle and the Signal Flag is true */
	FCB_FREEZE_GUARDED, /* frozen when idle, whoever it talks with; woken by what it waits for */
};

/* When somebody else changes a limit of ours. */
enum fcb_foreign {
	FCB_FOREIGN_AUTO,    /* the value from before us is set again; another value is let go */
	FCB_FOREIGN_LET_GO,  /* it is theirs from then on */
	FCB_FOREIGN_REAPPLY, /* ours is set again; theirs is what comes back when we leave */
};

/* What the user may set per group. */
struct fcb_policy {
	uint64_t ram_floor_bytes;
	uint64_t ram_ceiling_bytes; /* 0, or more than the machine has: the machine's RAM */
	uint64_t idle_ns;	    /* how long idle before it is stopped */
	uint64_t deadline_ns;	    /* longest stop; FCB_NEVER: no deadline */
	uint64_t window_ns;	    /* observation window of the Signal Flag */
	uint64_t probe_ns;     /* guarded: what ends so soon after a wake is no use of the group */
	uint64_t cool_down_ns; /* no shrink for so long after a growth; RAM: by event */
	uint32_t high_water_permille;
	uint32_t idle_cpu_permille;    /* less than this share of one CPU counts as idle */
	uint32_t cpu_floor_permille;   /* of one CPU */
	uint32_t cpu_ceiling_permille; /* 0, or more than the machine has: its CPUs */
	uint32_t io_floor_kib;	       /* per second, disk and direction */
	uint32_t io_ceiling_kib;       /* 0: none is known, see fcb_bounds() */
	uint8_t net_low;	       /* socket priorities, 0..7 */
	uint8_t net_high;
	uint8_t freeze : 4;	     /* enum fcb_freeze */
	uint8_t foreign : 4;	     /* enum fcb_foreign */
	uint8_t mode[FCB_RESOURCES]; /* enum fcb_mode */
};

struct fcb_resource {
	uint64_t usage;	     /* x_n */
	uint64_t usage_prev; /* x_{n-1} */
	uint64_t limit;	     /* y; PFUSE_UNLIMITED: none */
	uint64_t limit_seen; /* as the kernel last showed it */
	uint64_t size;	     /* of the last score */
	double score;
};

/* One control that verdicts are about, as far as the attempts to set it have come. */
struct fcb_control {
	/*
	 * The back-off after a failure, and the cool-down after a growth, whichever is longer: no
	 * shrink and no stop before then. One time for both, since a group has six controls.
	 */
	uint64_t retry_ns;
	uint32_t ups;	  /* carried out: limit grown, level raised, group stopped */
	uint32_t downs;	  /* carried out: limit shrunk, level lowered, group continued */
	uint8_t failures; /* in a row; stays at 255 */
	bool let_go;	  /* somebody else changed it: theirs now */
	bool written;	  /* by us since the last sample: what that shows need not be what we wrote */
	uint8_t changes;  /* by others, in a row, see fcb.c */
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
	uint32_t busy;	     /* stops that came at a bad moment: tried again soon */
	uint32_t refused;    /* stops that would have been unsafe for this group */
	uint32_t failed;     /* verdicts that the edge could not carry out */
	uint32_t oom_kills;
	uint32_t cpu_periods; /* in which the group ran under a CPU limit */
	uint32_t cpu_throttled;
};

/* What is left of the last sample: what the next one is compared with. */
struct fcb_last {
	uint64_t run_ns;
	uint64_t net_bytes;
	uint64_t io_read_bytes;
	uint64_t io_write_bytes;
	uint32_t faults;
	uint32_t talks;
	uint32_t nprocs;
	uint32_t cpu_periods;
	uint32_t cpu_throttled;
	uint32_t net_priority;
};

struct fcb {
	uint64_t group_id; /* 0: not attached */
	uint32_t slot;
	uint32_t page_bytes;
	uint32_t ncpus;	    /* of the machine; 0 counts as 1 */
	uint32_t net_level; /* socket priority that we have set, or think of in a dry run */
	struct fcb_policy policy;
	struct fcb_resource res[FCB_RESOURCES];
	struct signalflag flag;
	struct fcb_control control[PFUSE_CONTROLS];
	struct fcb_totals totals;
	struct fcb_last last;
	/* From FCB_IO_READ on: the highest rate so far, see fcb_bounds(). */
	uint64_t peak[FCB_RESOURCES - FCB_IO_READ];
	uint32_t periods; /* of the CPU in the last interval, for the rule and as evidence */
	uint32_t throttled;
	uint64_t sampled_ns;	   /* time of `last` */
	uint64_t accounted_ns;	   /* the totals are complete up to here */
	uint64_t active_ns;	   /* the last activity seen: idle since then */
	uint64_t woken_ns;	   /* ACTIVE event since the last sample; 0: none */
	uint64_t stopped_since_ns; /* meaningful while stopped */
	uint64_t probe_end_ns;	   /* after a wake: what was done up to here may be a mere probe */
	uint8_t overdue; /* enum pfuse_reason of a continue that is due, or has failed; 0: none */
	bool stopped;
	bool requested; /* stopped by request: ends by request only */
	bool removed;	/* the directory is gone */
	bool still;	/* nothing ran since the sample before the last, and nothing since */
	bool settled; /* for every control: the last decision was "no change", and would be again */
	uint8_t unsettled; /* bits by enum pfuse_control: those for which it is not so */
	uint8_t fresh; /* bits by enum fcb_resource_kind: looked at again from the next sample on */
};

_Static_assert(sizeof(struct fcb) <= 752,
	       "with its struct member, path and edges a further group is to cost 1 KiB or less");

/*
 * RAM act, others observe; floors 16 MiB, 50 ms of CPU per second, 1 MiB/s; high water 90 %, idle 10 s,
 * deadline 25 s, priorities 0 to 6: see fcb.c.
 */
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

/* The control of a resource, and the resource of a control that is not PFUSE_CTL_STOP. */
enum pfuse_control fcb_control_of(enum fcb_resource_kind kind);
enum fcb_resource_kind fcb_resource_of(enum pfuse_control control);

/*
 * Where the limit of a resource may lie. Always finite, floor <= ceiling.
 * Reading: Algorithm 1 needs a limit y, and an unlimited resource has none, so its ceiling stands for
 * it. That is what the machine has of RAM and CPU. What a disk can do is not known: there it is twice
 * the highest rate seen so far, at which a group that goes on as it did at its best scores 0.5 and is
 * left alone, and at least 64 MiB/s (a slow disk), so that the first rate, which may be tiny, is not
 * taken for the best. NET: the same, at least 64 KiB/s; no machine has a limit there at all.
 */
struct fusebox_bounds fcb_bounds(const struct fcb *fcb, enum fcb_resource_kind kind);

/* Limits are multiples of it: what is written must read back the same, and less is noise. */
uint64_t fcb_grain(const struct fcb *fcb, enum fcb_resource_kind kind);

/*
 * At its ceiling the limit is lifted: nobody configured that ceiling, it only stands for "unlimited".
 * RAM never: its limit stays, and the edge releases the brake.
 */
bool fcb_lifts_at_ceiling(const struct fcb *fcb, enum fcb_resource_kind kind);

/* The last decision about this control was (not) "no change, and none as long as nothing happens". */
void fcb_settle(struct fcb *fcb, enum pfuse_control control, bool settled);

#endif
