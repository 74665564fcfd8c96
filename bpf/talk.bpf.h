/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A talk between a group and an outsider: counted always, told once per arming. Compiled for the trace
 * (PFUSE_TRACE): each is a record.
 */
#ifndef TALK_BPF_H
#define TALK_BPF_H

#include "pfuse.bpf.h"
#ifdef PFUSE_TRACE
#include "trace.bpf.h"
#endif

struct talk {
	__u32 channel;
	__u32 pid; /* of the process whose call this is */
	__u32 peer_pid;
	__u16 peer_port;
	__u16 incoming;
};

#ifdef PFUSE_TRACE

static __always_inline void tell_talk(__u32 slot, const struct talk *talk)
{
	/* In softirq nobody talks who could be named. */
	struct task_struct *task = talk->pid ? bpf_get_current_task_btf() : NULL;
	struct pfuse_trace *record = trace_reserve(PFUSE_TR_TALK, slot, task);

	if (!record)
		return;
	record->talk.channel = talk->channel;
	record->talk.peer_pid = talk->peer_pid;
	record->talk.peer_port = talk->peer_port;
	record->talk.incoming = talk->incoming;
	record->talk.outside = task && group_of_current() != slot;
	trace_submit(record);
}

#else

static __always_inline void tell_talk(__u32 slot, const struct talk *talk)
{
	struct pfuse_stats *count = stats_at(slot);
	struct pfuse_group *group = group_at(slot);

	if (!count || !group)
		return;
	count->talks++; /* may lose one to a softirq on this CPU: it stays a difference above 0 */
	struct pfuse_event *event = event_once(group, slot, PFUSE_EV_TALK, PFUSE_ARM_TALK);

	if (!event)
		return;
	event->talk.channel = talk->channel;
	event->talk.pid = talk->pid;
	event->talk.peer_pid = talk->peer_pid;
	event->talk.peer_port = talk->peer_port;
	event->talk.incoming = talk->incoming;
	bpf_ringbuf_submit(event, 0);
}

#endif
#endif
