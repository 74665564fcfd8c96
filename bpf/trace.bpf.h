/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Room in the trace ring, and when its reader is woken: once, when a share of the ring is filled. Between
 * that the reader looks by its own timer. A record costs no wake-up by itself: it would cause a switch,
 * which would be a record.
 */
#ifndef TRACE_BPF_H
#define TRACE_BPF_H

#include "pfuse.bpf.h"
#include <pfuse/trace.h>

/* trace.bpf.c defines what the others only declare. */
#ifndef TRACE_DECLARED
#define TRACE_DECLARED extern
#endif

TRACE_DECLARED const volatile struct pfuse_trace_knobs trace_knobs;
/* 1 from the wake-up until the reader has looked. Two CPUs that set it at once wake it twice: harmless. */
TRACE_DECLARED volatile __u32 reader_woken;

/* The size is set between open and load. */
TRACE_DECLARED struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} trace_ring SEC(".maps");

TRACE_DECLARED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pfuse_trace_cpu);
} trace_cpus SEC(".maps");

/* An interrupt may come between: atomic, though nobody else writes. */
static __always_inline void trace_lose(enum pfuse_trace_loss why)
{
	__u32 index = bpf_get_smp_processor_id();
	struct pfuse_trace_cpu *cpu = bpf_map_lookup_elem(&trace_cpus, &index);

	if (cpu)
		__sync_fetch_and_add(&cpu->lost[why], 1);
}

/* Two loads instead of a call: this is done twice per switch. The pointers are trusted (tp_btf). */
static __always_inline void copy_comm(char to[PFUSE_COMM_LEN], const struct task_struct *task)
{
	const __u64 *from = (const void *)task->comm;

	((__u64 *)to)[0] = from[0];
	((__u64 *)to)[1] = from[1];
}

static __always_inline void trace_other(struct pfuse_trace *record, const struct task_struct *task)
{
	record->other.pid = task->pid;
	record->other.tgid = task->tgid;
	copy_comm(record->other.comm, task);
}

/* A record about `task` (NULL: about nobody), its own part and `other` zeroed; NULL: lost, and counted. */
static __always_inline struct pfuse_trace *trace_reserve(__u32 kind, __u32 slot,
							 const struct task_struct *task)
{
	__u64 now = bpf_ktime_get_ns();
	struct pfuse_trace *record = bpf_ringbuf_reserve(&trace_ring, sizeof(*record), 0);

	if (!record) {
		trace_lose(PFUSE_LOSS_RING_FULL);
		return NULL;
	}
	__builtin_memset(record, 0, sizeof(*record));
	record->time_ns = now;
	record->slot = slot;
	record->cpu = bpf_get_smp_processor_id();
	record->kind = kind;
	if (!task)
		return record;
	record->pid = task->pid;
	record->tgid = task->tgid;
	copy_comm(record->comm, task);
	return record;
}

static __always_inline void trace_submit(struct pfuse_trace *record)
{
	__u64 flags = BPF_RB_NO_WAKEUP;

	if (!reader_woken &&
	    bpf_ringbuf_query(&trace_ring, BPF_RB_AVAIL_DATA) >= trace_knobs.wake_bytes) {
		reader_woken = 1;
		flags = BPF_RB_FORCE_WAKEUP;
	}
	bpf_ringbuf_submit(record, flags);
}

#endif
