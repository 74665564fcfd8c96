/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * One decision of the core: which control of which group goes from what to what, why, and on what
 * evidence. The edge carries it out; dry-run leaves out that step and nothing else.
 */
#ifndef PFUSE_VERDICT_H
#define PFUSE_VERDICT_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

enum pfuse_control {
	PFUSE_CTL_RAM,	   /* bytes; PFUSE_UNLIMITED: none */
	PFUSE_CTL_STOP,	   /* 1: stopped, 0: running */
	PFUSE_CTL_CPU,	   /* ns of CPU time per second; PFUSE_UNLIMITED: released */
	PFUSE_CTL_IO_READ, /* bytes per second and disk; PFUSE_UNLIMITED: released */
	PFUSE_CTL_IO_WRITE,
	PFUSE_CTL_NET, /* socket priority, 0..7 */
	PFUSE_CTL_RECLAIM, /* bytes of usage: what is above `to` is to be reclaimed once */
	PFUSE_CONTROLS,
};

enum pfuse_reason {
	PFUSE_WHY_NONE = 0,
	PFUSE_WHY_SCORE_HIGH, /* p-Fusebox: score > 1.0 */
	PFUSE_WHY_SCORE_LOW,  /* p-Fusebox: score < 0.5 */
	PFUSE_WHY_HIGH_WATER, /* usage crossed the high-water share of the limit */
	PFUSE_WHY_LIMIT_HIT,  /* a charge met the limit */
	PFUSE_WHY_CEILING,    /* the limit is at its ceiling: the kernel's own rule holds again */
	PFUSE_WHY_IDLE,	      /* Signal Flag true, and idle for the configured time */
	PFUSE_WHY_TALK,	      /* Signal Flag became false */
	PFUSE_WHY_DEADLINE,   /* stopped for as long as the deadline allows */
	PFUSE_WHY_REQUEST,    /* somebody asked */
	PFUSE_WHY_PARKED,     /* idle for the configured time; the edge sees to it that nothing is lost */
	PFUSE_WHY_DATA,	      /* data waits for the frozen group */
	PFUSE_WHY_SIGNAL,     /* a signal came for the stopped group */
	PFUSE_WHY_ENTERED,    /* a process entered the stopped group */
	PFUSE_WHY_EXIT,	      /* the daemon leaves, or lets go of the group */
	PFUSE_WHY_NEED,	      /* adaptive: more than the hit-ratio curve says that it needs */
	PFUSE_WHY_PROBE,      /* adaptive: no curve, so a small step shows whether it is missed */
	PFUSE_WHY_SHARE,      /* adaptive: memory is short, and others make more of it */
	PFUSE_WHY_HARM,	      /* adaptive: the last step did harm, and is taken back */
	PFUSE_REASONS,
};

struct pfuse_verdict {
	__u64 time_ns;
	__u32 slot;
	__u32 control; /* enum pfuse_control */
	__u64 from;
	__u64 to;
	__u32 reason;  /* enum pfuse_reason */
	__u32 clamped; /* 1: a floor, ceiling or cool-down changed what the rule asked for */
	/*
	 * Evidence. STOP: how long idle or stopped. Else the paper's result, x_n, x_{n-1} and y: in
	 * the unit of the control, NET in bytes per second.
	 */
	double score;
	__u64 size;
	__u64 usage;
	__u64 usage_prev;
	__u64 limit;
	__u64 since_ns; /* length of the idleness or of the stop that led to this verdict */
	__u32 periods;	/* CPU: in the interval, and how many of them met the limit */
	__u32 throttled;
};

#endif
