/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What BPF counts and the daemon reads through mmap(2), with no system call.
 *
 * `stats` is an array of struct pfuse_stats, one per group and possible CPU: element
 * slot * ncpus + cpu. Each element is one cache line and has one writer, its CPU, so counters are
 * plain additions. They only grow; the 32-bit ones wrap, and readers take differences.
 * `groups` is an array of struct pfuse_group, one per slot: written by the daemon, except that BPF
 * clears `arm` bits (atomically) as it emits the event that a bit asks for.
 * Slot 0 is never a group: it means "not managed".
 */
#ifndef PFUSE_STATS_H
#define PFUSE_STATS_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

struct pfuse_stats {
	__u64 run_ns;  /* CPU time, from the scheduler's own sum_exec_runtime, at each switch-out */
	__u64 wait_ns; /* run-queue wait, from the scheduler's own run_delay, at each switch-out */
	__u64 tx_bytes; /* sent on sockets */
	__u64 rx_bytes; /* received on sockets */
	__u32 nvcsw;	/* voluntary switches: the task slept */
	__u32 nivcsw;	/* involuntary switches: the task was preempted */
	__u32 faults;	/* page faults from user mode */
	__u32 talks;	/* messages to or from processes outside the group */
	__u32 execs;
	__u32 exits; /* of whole processes */
	__u32 reserved[2];
};

_Static_assert(sizeof(struct pfuse_stats) == 64, "one cache line");

/* One event per transition: BPF emits while the bit is set, and clears it; the daemon sets it again. */
enum pfuse_arm {
	PFUSE_ARM_HIGH_WATER = 1 << 0,
	PFUSE_ARM_LIMIT_HIT = 1 << 1,
	PFUSE_ARM_TALK = 1 << 2,
	PFUSE_ARM_ACTIVE = 1 << 3,
	PFUSE_ARM_SIGNAL = 1 << 4,
	PFUSE_ARM_ENTERED = 1 << 5,
	PFUSE_ARM_WAIT = 1 << 6, /* needs knobs.spans and wait_target_ns */
};

struct pfuse_group {
	__u64 id;		   /* 0: the slot is free */
	__u32 arm;		   /* enum pfuse_arm, atomic */
	__u32 high_water_permille; /* share of the limit at which HIGH_WATER is due */
	__u64 shadow_limit_bytes;  /* dry run: the limit to judge by; 0: the kernel's own */
	__u32 net_level;	   /* 1 + the priority at which sockets are held; 0: they are not */
	__u32 pad;
	/*
	 * Of the run-queue wait; 0: none. A wait above it is late. WAIT is due when, on one CPU, a
	 * late one comes with fewer than PFUSE_LATE_WEIGHT punctual ones since the last late one: so
	 * at the second of them, when p99 is above the target.
	 */
	__u64 wait_target_ns;
	__u64 reserved[3];
};

#define PFUSE_LATE_WEIGHT 99

_Static_assert(sizeof(struct pfuse_group) == 64, "one cache line");

/* With each socket that had a priority of its own when we came: value of `wishes`. */
struct pfuse_wish {
	__u32 priority; /* that the socket gets back */
	__u32 slot;	/* of the group by whose level it is held */
};

/* What a CPU runs now: element cpu of the array `cpus`, written by that CPU at each switch. */
struct pfuse_cpu {
	__u32 slot;	/* 0: nothing of ours */
	__u32 pid;	/* of the thread switched in */
	__u64 exec_ns;	/* its sum_exec_runtime then */
	__u64 delay_ns; /* its run_delay then, without the wait that just ended */
	__u64 reserved[5];
};

_Static_assert(sizeof(struct pfuse_cpu) == 64, "one cache line");

/* What was not counted or not told, and why. Shown in the summary: a number above 0 is a finding. */
enum pfuse_drop {
	PFUSE_DROP_RING_FULL,	  /* no room in the ring; the arm bit was set again */
	PFUSE_DROP_UNSEEN_SWITCH, /* a task was switched out that was not seen being switched in */
	PFUSE_DROP_DEEP_GROUP,	  /* a task lies deeper below its group than PFUSE_MAX_DEPTH */
	PFUSE_DROPS,
};

#define PFUSE_MAX_DEPTH 16 /* levels between a task's cgroup and its managed ancestor */

#endif
