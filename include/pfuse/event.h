/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * One rare event, as BPF writes it into the ring buffer `events` and as the daemon reads it.
 *
 * Shape: 64 bytes, fixed-width, no implicit padding, native endianness. The length and the kind are
 * checked by edge/probe.c before anybody looks inside. Times are CLOCK_MONOTONIC in nanoseconds
 * (bpf_ktime_get_ns()), so they compare with the daemon's now_ns. Groups are named by id (inode of
 * the cgroup directory in the anchor hierarchy, see knobs.h): paths are reused, ids are not.
 */
#ifndef PFUSE_EVENT_H
#define PFUSE_EVENT_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

#define PFUSE_COMM_LEN 16 /* TASK_COMM_LEN of the kernel */

enum pfuse_event_kind {
	PFUSE_EV_HIGH_WATER = 1, /* ram: usage crossed the high-water share of the limit */
	PFUSE_EV_LIMIT_HIT,	 /* ram: the kernel reclaims because a charge met the limit */
	PFUSE_EV_TALK,		 /* talk: the group talked with a process outside itself */
	PFUSE_EV_ACTIVE,	 /* a task of a group that slept was given a CPU */
	PFUSE_EV_EMPTY,		 /* the last process left the group */
	PFUSE_EV_POPULATED,	 /* the first process entered the group */
	PFUSE_EV_REMOVED,	 /* the group's directory is gone */
	PFUSE_EV_OOM_VICTIM,	 /* task: the OOM killer chose a process of the group */
	PFUSE_EV_WAKE,		 /* data waits for a group that is frozen guarded (from the edge) */
	PFUSE_EV_SIGNAL,  /* signal: one for a process of the group, from outside, not ours */
	PFUSE_EV_ENTERED, /* entered: a process came into the group, or became another */
	PFUSE_EV_WAIT,	  /* wait: the p99 of the run-queue wait crossed its target */
	PFUSE_EV_KINDS,
};

enum pfuse_signal_flag {
	PFUSE_SIGNAL_BY_PARENT = 1 << 0, /* the sender is the parent of the target */
	PFUSE_SIGNAL_HANDLED = 1 << 1,	 /* the target has a handler: it waits for it to run */
	PFUSE_SIGNAL_BLOCKED = 1 << 2,	 /* the thread blocks it: another, or signalfd, takes it */
	PFUSE_SIGNAL_BY_KERNEL = 1 << 3, /* a timer, a child that ended, a fault: no sender */
};

enum pfuse_entry {
	PFUSE_ENTRY_MOVED =
		1,	  /* written into cgroup.procs or tasks, of the group or of one below */
	PFUSE_ENTRY_BORN, /* clone(2) from outside, CLONE_INTO_CGROUP */
	PFUSE_ENTRY_EXEC, /* a process of the group started another program */
};

/* How a group talked. The peer of a TALK event is a port for INET channels, a pid for UNIX. */
enum pfuse_channel {
	PFUSE_CH_NONE = 0,
	PFUSE_CH_TCP,
	PFUSE_CH_UDP,
	PFUSE_CH_UNIX,
	PFUSE_CH_OTHER, /* another socket family, or one whose peer cannot be told */
	PFUSE_CH_PIPE,	/* or FIFO */
	PFUSE_CH_EVENTFD,
	PFUSE_CH_TTY, /* the other end of a pseudo-terminal */
	PFUSE_CH_SHM, /* a shared mapping that somebody may write */
	PFUSE_CHANNELS,
};

enum pfuse_where {
	PFUSE_WHERE_UNKNOWN = 0,
	PFUSE_WHERE_LOCAL, /* a process of this machine, by whatever address */
	PFUSE_WHERE_REMOTE,
};

/* Filled in by the daemon, where a list says whose visits are health checks. */
enum pfuse_probe {
	PFUSE_PROBE_UNASKED = 0,
	PFUSE_PROBE_YES,
	PFUSE_PROBE_NO,
};

struct pfuse_event {
	__u64 time_ns;
	__u64 group_id;
	__u32 kind; /* enum pfuse_event_kind */
	__u32 slot; /* index in `groups`; believe it only if groups[slot].id == group_id */
	union {
		struct {
			__u64 usage_bytes;
			__u64 limit_bytes; /* the lower of memory.high and memory.max */
		} ram;
		struct {
			__u32 channel;	 /* enum pfuse_channel */
			__u32 pid;	 /* thread group id of the talker, as BPF sees it */
			__u32 peer_pid;	 /* 0: not known */
			__u16 peer_port; /* host order; 0: none */
			__u16 incoming;	 /* 1: the outsider talked to the group */
			__u32 where;	 /* enum pfuse_where, of the peer */
			__u32 probe;	 /* enum pfuse_probe */
			__u32 address[4]; /* of a remote peer: IPv6 or mapped, network order */
		} talk;
		struct {
			__u32 pid;
			__u32 pad;
			char comm[PFUSE_COMM_LEN]; /* untrusted bytes: escape before printing */
		} task;
		struct {
			__u32 number; /* 1 .. 64 */
			__u32 pid;    /* the target's thread group */
			__u32 sender; /* thread group; 0: the kernel */
			__u32 flags;  /* enum pfuse_signal_flag */
		} signal;
		struct {
			__u32 pid;
			__u32 by;  /* who moved it; else the same as pid, or its parent */
			__u32 how; /* enum pfuse_entry */
			__u32 pad;
			char comm[PFUSE_COMM_LEN]; /* of pid; untrusted bytes */
		} entered;
		struct {
			__u64 wait_ns;	 /* the one that was too long */
			__u64 target_ns; /* wait_target_ns */
			__u32 cpu;
			__u32 pid; /* of the thread that waited */
		} wait;
		__u8 bytes[40];
	};
};

_Static_assert(sizeof(struct pfuse_event) == 64, "the ring's record is 64 bytes");

#endif
