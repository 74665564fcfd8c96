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
#define TALK_MEMOS PFUSE_TRACE_TALK_MEMOS
#else
#define TALK_MEMOS PFUSE_TALK_MEMOS
#endif

struct talk {
	__u32 channel;
	__u32 pid; /* of the process whose call this is */
	__u32 peer_pid;
	__u16 peer_port;
	__u16 incoming;
	__u32 where; /* enum pfuse_where */
	__u32 address[4];
};

static __always_inline struct talk_memo *talk_memo_of(__u64 cookie)
{
	__u32 index = bpf_get_smp_processor_id() * TALK_MEMOS +
		      (__u32)(cookie & (TALK_MEMOS - 1));

	return bpf_map_lookup_elem(&talk_memos, &index);
}

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

/*
 * Only of two that nobody traces: of the others each message is a record of its own, for which all of it is
 * found out.
 */
static __always_inline bool count_again(__u32 own, __u32 peer)
{
	return own == peer;
}

#else

static __always_inline bool waits_for_talk(__u32 slot)
{
	struct pfuse_group *group = slot ? group_at(slot) : NULL;

	return group && (group->arm & PFUSE_ARM_TALK);
}

static __always_inline void count_talk(__u32 slot)
{
	struct pfuse_stats *count = slot ? stats_at(slot) : NULL;

	if (count)
		count->talks++;
}

/* Two that are known to talk do so again. False, and nothing is done: somebody is to be told of it. */
static __always_inline bool count_again(__u32 own, __u32 peer)
{
	if (own == peer)
		return true;
	if (waits_for_talk(own) || waits_for_talk(peer))
		return false;
	count_talk(own);
	count_talk(peer);
	return true;
}

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
	event->talk.where = talk->where;
	__builtin_memcpy(event->talk.address, talk->address, sizeof(talk->address));
	bpf_ringbuf_submit(event, 0);
}

#endif
#endif
