/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * One record of the trace ring, as bpf/trace.bpf.c writes it and as `pfuse-bpf trace` reads it. Not the
 * daemon's events (event.h): those are rare and told once per arming, these are every one.
 *
 * Shape: 104 bytes, fixed-width, no implicit padding, native endianness. `pid` is a thread's id, `tgid` its
 * process's, both in the first pid namespace. Times are CLOCK_MONOTONIC in nanoseconds, taken before the
 * room in the ring is: records of two CPUs may be out of order by as much as that takes.
 * Names are untrusted bytes: escape them before printing.
 */
#ifndef PFUSE_TRACE_H
#define PFUSE_TRACE_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif
#include <pfuse/event.h>

enum pfuse_trace_kind {
	PFUSE_TR_SWITCH = 1, /* the thread leaves its CPU; `next` gets it */
	PFUSE_TR_WAKE,	     /* the thread may run again; `other` woke it */
	PFUSE_TR_FAULT,	     /* page fault while usage is above the high-water mark */
	PFUSE_TR_TALK,	     /* a message to or from a process outside the group */
	PFUSE_TR_SIGNAL,     /* for the thread; `other` sent it */
	PFUSE_TR_FORK,	     /* the thread is new; `other` made it */
	PFUSE_TR_EXEC,	     /* it runs another program, and has its name already */
	PFUSE_TR_EXIT,
	PFUSE_TR_KINDS,
};

#define PFUSE_TR_BIT(kind) (1u << (kind))

/* Why a record is not there. Each CPU counts its own. */
enum pfuse_trace_loss {
	PFUSE_LOSS_RING_FULL, /* the reader is behind */
	PFUSE_LOSSES,
};

/* Of a switch, as the kernel's own tracepoint shows it: 0 runs on, else one bit; see TASK_REPORT. */
#define PFUSE_STATE_PREEMPTED 0x100

/* The other thread of a record; pid 0: none, or the idle task. */
struct pfuse_trace_other {
	__u32 pid;
	__u32 tgid;
	char comm[PFUSE_COMM_LEN];
};

struct pfuse_trace {
	__u64 time_ns;
	__u32 slot; /* of the thread's group; 0: of none that was chosen */
	__u16 cpu;  /* where it was seen */
	__u16 kind; /* enum pfuse_trace_kind */
	__u32 pid;
	__u32 tgid;
	char comm[PFUSE_COMM_LEN];
	struct pfuse_trace_other other;
	union {
		struct {
			__u32 next_slot;
			__s16 prio;
			__s16 next_prio;
			__u32 state; /* in which the thread leaves: 0, one bit, or preempted */
			__u32 fair;  /* 1: the thread is of the fair policies, and these are known */
			__s64 vruntime_ns; /* it may lie below 0, where a run queue begins */
			__s64 group_vruntime_ns; /* of its group among the groups on this CPU */
			__u32 slice_ns;	     /* 0: this kernel does not tell */
			__u32 has_group; /* 1: it is in a group, and group_vruntime_ns is known */
		} next;
		struct {
			__s32 prio;
			__u32 cpu; /* on which it ran last, or is to run */
			__u32 born; /* 1: for the first time */
			__u32 pad;
		} wake;
		struct {
			__u64 address;
			__u32 usage_pages;
			__u32 limit_pages;
		} fault;
		struct {
			__u32 channel;	 /* enum pfuse_channel */
			__u32 peer_pid;	 /* 0: not known */
			__u16 peer_port; /* host order; 0: none */
			__u16 incoming;	 /* 1: the outsider talked to the group */
			__u32 outside;	 /* 1: the thread is the outsider's: its peer is the group */
		} talk;
		struct {
			__u32 number; /* 1 .. 64 */
			__u32 result; /* 0 delivered, 1 ignored, 2 pending already, else lost */
			__u32 pad[2];
		} signal;
		struct {
			__u32 code; /* as wait(2) gives it */
			__u32 pad[3];
		} exit;
		__u8 bytes[40];
	};
};

_Static_assert(sizeof(struct pfuse_trace) == 104, "the trace ring's record is 104 bytes");

/* Element cpu of the array `trace_cpus`: one writer, its CPU. */
struct pfuse_trace_cpu {
	__u64 lost[PFUSE_LOSSES];
	__u64 reserved[7];
};

_Static_assert(sizeof(struct pfuse_trace_cpu) == 64, "one cache line");

/*
 * Sockets remembered per CPU, 32 bytes each: a power of two. More than the daemon's, for while somebody
 * traces a message between two that are not traced is to cost nearly nothing.
 */
#define PFUSE_TRACE_TALK_MEMOS 512

/* Set between open and load. */
struct pfuse_trace_knobs {
	__u32 everything; /* 1: also what is in no chosen group */
	__u32 wake_bytes; /* the reader is woken when so much waits */
};

#endif
