/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * One observation of one group at one time: what the core decides from. Counters are cumulative
 * (the core keeps the last sample and takes differences; 32-bit ones wrap), sizes are in bytes.
 * A resource that is not looked at is 0; a limit of CPU or I/O that is 0 is none.
 * A sample is a value: recorded and replayed, it gives the same verdicts, bit for bit.
 */
#ifndef PFUSE_SAMPLE_H
#define PFUSE_SAMPLE_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

#define PFUSE_UNLIMITED (~(__u64)0) /* "max" of v2, and anything from 2^62 up on v1 */

struct pfuse_sample {
	__u64 ram_usage_bytes;
	__u64 ram_limit_bytes; /* the lower of memory.high and memory.max; PFUSE_UNLIMITED: none */
	__u64 run_ns;
	__u64 wait_ns;
	__u64 net_bytes; /* sent and received */
	/* Of the busiest disk of each interval, summed up: limits hold per disk. 0 where not observed. */
	__u64 io_read_bytes;
	__u64 io_write_bytes;
	__u64 io_read_limit; /* bytes per second and disk; PFUSE_UNLIMITED */
	__u64 io_write_limit;
	__u64 cpu_limit_ns; /* CPU time per second; PFUSE_UNLIMITED */
	__u32 nvcsw;
	__u32 nivcsw;
	__u32 faults;
	__u32 talks;
	__u32 oncpu;	     /* CPUs that run a task of the group at this moment */
	__u32 nprocs;	     /* processes in the group; 0: empty */
	__u32 cpu_periods;   /* in which the group ran under a CPU limit */
	__u32 cpu_throttled; /* of these, the ones in which it met the limit */
	__u32 net_priority;  /* the level that we have set; 0: none */
	__u32 reserved;
	/* Of RAM, for the policy `adaptive` only. */
	__u64 stall_ns;		   /* time in which some task waited for memory (PSI) */
	__u64 refaults;		   /* pages that came back soon after they were taken */
	__u64 host_reclaimed;	   /* pages that the host took for others (kswapd) */
	__u64 anon_bytes;	   /* anonymous and shared memory: goes to swap or nowhere */
	__u64 unreclaimable_bytes; /* kernel memory, locked pages */
	__u64 swap_free_bytes;	   /* that the group may still fill */
};

#endif
