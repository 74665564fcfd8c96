/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * How the tasks of a group are scheduled, as distributions: what BPF counts and the daemon reads through
 * mmap(2), with no system call. Only while the daemon asked for it (knobs.spans).
 *
 * `spans` is an array of struct pfuse_span, one per group and possible CPU: element slot * ncpus + cpu,
 * four cache lines with one writer, its CPU. Counters only grow and wrap; readers take differences
 * (core/span.h) and may see one wait or burst more in one field than in another.
 *
 * Buckets are octaves of nanoseconds: bucket 0 holds what is below PFUSE_SPAN_FIRST, bucket i from 1 on
 * [PFUSE_SPAN_FIRST << (i - 1), PFUSE_SPAN_FIRST << i), and the last one also what is longer (4.3 s).
 */
#ifndef PFUSE_SPAN_H
#define PFUSE_SPAN_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

#define PFUSE_SPAN_BUCKETS 24
#define PFUSE_SPAN_FIRST 1024  /* ns */
#define PFUSE_SPAN_SHORT (1024ull << 14) /* ns: shorter bursts are short; a frame of a display */
#define PFUSE_SPAN_BURSTS 4096 /* preempted tasks to remember: a power of two, 64 KiB */

struct pfuse_span {
	/* Run-queue waits: one for each time that a task of the group was given a CPU, counted when
	 * it leaves the CPU.
	 */
	__u32 wait[PFUSE_SPAN_BUCKETS];
	/* Bursts: CPU time from a wake-up until the task sleeps again, summed over preemptions. */
	__u32 burst[PFUSE_SPAN_BUCKETS];
	__u64 burst_ns;	  /* of all bursts that ended */
	__u64 short_ns;	  /* of those shorter than PFUSE_SPAN_SHORT */
	__u32 wakeups;	  /* bursts that began, counted when the task leaves the CPU first */
	__u32 migrations; /* to another CPU; 0 where the kernel does not tell (probe_hooks()) */
	__u32 late; /* no counter: punctual waits that are still wanted, see wait_target_ns in
		     * pfuse/stats.h; of several CPUs, the most */
	__u32 reserved[9];
};

_Static_assert(sizeof(struct pfuse_span) == 256, "four cache lines");

#endif
