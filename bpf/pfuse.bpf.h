/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every observation shares: the maps, "which group is this task in", "count", "tell".
 *
 * Task -> group: the id of a task's cgroup in the anchor hierarchy is looked up in `memos`, a small
 * direct-mapped table per CPU. A miss walks up to the nearest managed ancestor and remembers the
 * answer, which holds until the daemon changes the managed set and raises `generation`: ids are never
 * reused, and a task that moves has another one. Cheaper than task storage (no allocation per task,
 * no helper call) and nothing has to be told when tasks or cgroups come and go.
 */
#ifndef PFUSE_BPF_H
#define PFUSE_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include <pfuse/event.h>
#include <pfuse/knobs.h>
#include <pfuse/pages.h>
#include <pfuse/reach.h>
#include <pfuse/reads.h>
#include <pfuse/span.h>
#include <pfuse/stats.h>

/* maps.bpf.c defines what all the others only declare. */
#ifndef DECLARED
#define DECLARED extern
#endif

DECLARED const volatile struct pfuse_knobs knobs;
DECLARED volatile __u32 generation;
DECLARED volatile __u32 claims; /* how often a port of `ports` came into other hands */
DECLARED volatile __u64 drops[PFUSE_DROPS];
DECLARED volatile __u32 walked_slot; /* the group that an iterator's walk is about */
DECLARED volatile struct pfuse_reach_walk reach_walk;
DECLARED volatile struct pfuse_pages_walk pages_walk;
DECLARED volatile __u32 reader_pids_used; /* elements of reader_pids */
DECLARED volatile __u32 replacing_switch; /* on_switch may be attached twice */

/* One entry of `memo`. Torn entries need two interrupts by other programs of ours on one CPU between
 * two stores, and cost one misplaced count until the second store: harmless.
 */
struct memo {
	__u64 id;     /* of a cgroup */
	__u64 answer; /* generation << 32 | slot */
};

/* What was found out about a socket, see peers.bpf.c. Torn entries: as above. */
struct talk_memo {
	__u64 cookie; /* of the socket, never reused */
	__u64 about;  /* whom it is connected with */
	__u64 when;   /* (generation + claims) << 32 | the clock's tick */
	__u32 own;    /* slot of the process whose call it was */
	__u32 peer;   /* slot of its peer; 0: an outsider */
};

/* A task that was preempted in its burst. */
struct burst {
	__u32 pid;
	__u32 sleeps;	/* its nvcsw then: with the pid, this burst and no other */
	__u64 began_ns; /* its sum_exec_runtime when it had woken up */
};

/* A port on this machine and the group that was last seen using it. */
struct port_key {
	__u32 netns; /* inode number */
	__u16 port;  /* host order */
	__u16 proto; /* IPPROTO_* */
};

/* Sizes of 1 are set by the daemon between open and load: groups attached and possible CPUs are known
 * only then.
 */
DECLARED struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} events SEC(".maps");

DECLARED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pfuse_stats);
} stats SEC(".maps");

DECLARED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pfuse_group);
} groups SEC(".maps");

DECLARED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pfuse_cpu);
} cpus SEC(".maps");

DECLARED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pfuse_span);
} spans SEC(".maps");

/* Bursts that go on, see sched.bpf.c: by the low bits of the pid. */
DECLARED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct burst);
} bursts SEC(".maps");

DECLARED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, __u32);
} managed SEC(".maps");

DECLARED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct memo);
} memos SEC(".maps");

DECLARED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct talk_memo);
} talk_memos SEC(".maps");

DECLARED struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct port_key);
	__type(value, __u32);
} ports SEC(".maps");

/* Objects that a group shares with outsiders, by its last snapshot: its slot and PFUSE_REACHED_READS. */
DECLARED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct pfuse_reach_key);
	__type(value, __u32);
} reached SEC(".maps");

/* Of one element each unless page tables are to be read. */
DECLARED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pfuse_page_range);
} page_ranges SEC(".maps");

DECLARED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pfuse_page_record);
} page_records SEC(".maps");

/* Of one element each unless file reads are to be noted: see pfuse/reads.h. */
DECLARED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pfuse_reader);
} readers SEC(".maps");

DECLARED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pfuse_read_bucket);
} read_buckets SEC(".maps");

DECLARED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pfuse_read_run);
} read_runs SEC(".maps");

/* Process → slot, for what is measured and is no group. */
DECLARED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} reader_pids SEC(".maps");

static __always_inline void drop(enum pfuse_drop why)
{
	__sync_fetch_and_add(&drops[why], 1);
}

static __always_inline struct pfuse_group *group_at(__u32 slot)
{
	return bpf_map_lookup_elem(&groups, &slot);
}

static __always_inline struct pfuse_stats *stats_at(__u32 slot)
{
	__u32 index = slot * knobs.ncpus + bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&stats, &index);
}

static __always_inline struct pfuse_span *span_at(__u32 slot)
{
	__u32 index = slot * knobs.ncpus + bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&spans, &index);
}

/*
 * The same object, as a pointer that the verifier does not trust. For each pointer that is read through a
 * trusted one, and for each way to get there, it searches all types of the kernel by name, several times:
 * that was half of our start. Costs a call; not for what runs at each switch.
 */
void *plain_pointer(void *object, __u32 type) __hidden;
#define PLAIN(type, object) \
	((struct type *)plain_pointer((void *)(object),                                            \
				      knobs.cast_##type ? knobs.cast_##type                        \
							: bpf_core_type_id_kernel(struct type)))

/* The task's cgroup_subsys_state of the memory controller. */
static __always_inline struct cgroup_subsys_state *task_memory_css(struct task_struct *task)
{
	return task->cgroups->subsys[bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id)];
}

static __always_inline struct cgroup *task_cgroup(struct task_struct *task)
{
	if (knobs.anchor == PFUSE_ANCHOR_V1_MEMORY)
		return task_memory_css(task)->cgroup;
	return task->cgroups->dfl_cgrp;
}

static __always_inline struct memo *memo_of(__u64 id)
{
	__u32 index =
		bpf_get_smp_processor_id() * knobs.memo_entries + (id & (knobs.memo_entries - 1));

	return bpf_map_lookup_elem(&memos, &index);
}

static __always_inline bool memo_holds(const struct memo *memo, __u64 id)
{
	return memo->id == id && memo->answer >> 32 == generation;
}

static __always_inline void memo_store(struct memo *memo, __u64 id, __u32 gen, __u32 slot)
{
	memo->id = 0;
	barrier();
	memo->answer = (__u64)gen << 32 | slot;
	barrier();
	memo->id = id;
}

/* The nearest managed group at or above `cgroup`; 0: none. */
static __noinline __u32 nearest_managed(struct cgroup *cgroup)
{
	for (int depth = 0; depth < PFUSE_MAX_DEPTH; depth++) {
		__u64 id = cgroup->kn->id;
		__u32 *slot = bpf_map_lookup_elem(&managed, &id);

		if (slot)
			return *slot;
		struct cgroup_subsys_state *parent = cgroup->self.parent;

		if (!parent)
			return 0;
		cgroup = parent->cgroup;
	}
	drop(PFUSE_DROP_DEEP_GROUP);
	return 0;
}

/* The slot of the group that `task` counts for; 0: not managed. */
static __always_inline __u32 group_of(struct task_struct *task)
{
	struct cgroup *cgroup = task_cgroup(task);
	__u64 id = cgroup->kn->id;
	__u32 gen = generation;
	struct memo *memo = memo_of(id);

	if (!memo)
		return 0;
	if (memo_holds(memo, id))
		return (__u32)memo->answer;
	__u32 slot = nearest_managed(cgroup);

	memo_store(memo, id, gen, slot);
	return slot;
}

static __always_inline __u32 group_of_current(void)
{
	return group_of(PLAIN(task_struct, bpf_get_current_task_btf()));
}

/* True for exactly one caller per arming. */
static __always_inline bool take_arm(struct pfuse_group *group, __u32 bit)
{
	return (group->arm & bit) && (__sync_fetch_and_and(&group->arm, ~bit) & bit);
}

/* Room for an event, filled but for its own part; NULL when there is none (counted). */
static __always_inline struct pfuse_event *event_reserve(__u32 kind, __u32 slot, __u64 id)
{
	struct pfuse_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		drop(PFUSE_DROP_RING_FULL);
		return NULL;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->time_ns = bpf_ktime_get_ns();
	event->group_id = id;
	event->kind = kind;
	event->slot = slot;
	return event;
}

/* As event_reserve(), once per arming: a full ring arms the group again, so the next occasion tells. */
static __always_inline struct pfuse_event *event_once(struct pfuse_group *group, __u32 slot,
						      __u32 kind, __u32 bit)
{
	if (!take_arm(group, bit))
		return NULL;
	struct pfuse_event *event = event_reserve(kind, slot, group->id);

	if (!event)
		__sync_fetch_and_or(&group->arm, bit);
	return event;
}

#endif
