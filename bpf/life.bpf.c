// SPDX-License-Identifier: GPL-2.0-only
/*
 * Groups that empty, fill and go; processes that exec, exit and are chosen by the OOM killer.
 *
 * Ids of cgroups are unique within one hierarchy only, so events of other hierarchies are left out by
 * the root's number.
 *
 * Cannot see: moves between groups (nothing depends on them), and on kernels before 6.8 the OOM victim
 * itself: there the event names the group of the task that ran out of memory.
 *
 * | program          | hook                           | without it                                  |
 * | on_populated     | tp_btf/cgroup_notify_populated | emptiness is seen at the next sample        |
 * | on_rmdir         | tp_btf/cgroup_rmdir            | removal is seen at the next read or write   |
 * | on_exec, on_exit | tp_btf/sched_process_*         | no exec and exit counts                     |
 * | on_oom_victim    | tp_btf/mark_victim (task)      | on_oom_victim_pid                           |
 * | on_oom_victim_pid | tp_btf/mark_victim (pid)      | kills are counted from the group's file     |
 */
#include "pfuse.bpf.h"

static __always_inline __u32 slot_of_cgroup(struct cgroup *cgroup, __u64 *ret_id)
{
	if (cgroup->root->hierarchy_id != (int)knobs.hierarchy_id)
		return 0;
	*ret_id = cgroup->kn->id;
	__u32 *slot = bpf_map_lookup_elem(&managed, ret_id);

	return slot ? *slot : 0;
}

static __always_inline void tell_life(struct cgroup *cgroup, __u32 kind)
{
	__u64 id = 0;
	__u32 slot = slot_of_cgroup(cgroup, &id);

	if (!slot)
		return;
	struct pfuse_event *event = event_reserve(kind, slot, id);

	if (event)
		bpf_ringbuf_submit(event, 0);
}

SEC("tp_btf/cgroup_notify_populated")
int BPF_PROG(on_populated, struct cgroup *cgroup, const char *path, int populated)
{
	tell_life(cgroup, populated ? PFUSE_EV_POPULATED : PFUSE_EV_EMPTY);
	return 0;
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(on_rmdir, struct cgroup *cgroup, const char *path)
{
	tell_life(cgroup, PFUSE_EV_REMOVED);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task)
{
	__u32 slot = group_of(task);
	struct pfuse_stats *count = slot ? stats_at(slot) : NULL;

	if (count)
		count->execs++;
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	if (task->pid != task->tgid)
		return 0;
	__u32 slot = group_of(task);
	struct pfuse_stats *count = slot ? stats_at(slot) : NULL;

	if (count)
		count->exits++;
	return 0;
}

static __always_inline struct pfuse_event *victim_event(__u32 slot, __u32 pid)
{
	struct pfuse_group *group = slot ? group_at(slot) : NULL;

	if (!group)
		return NULL;
	struct pfuse_event *event = event_reserve(PFUSE_EV_OOM_VICTIM, slot, group->id);

	if (event)
		event->task.pid = pid;
	return event;
}

SEC("tp_btf/mark_victim")
int BPF_PROG(on_oom_victim, struct task_struct *task)
{
	struct pfuse_event *event = victim_event(group_of(task), task->tgid);

	if (!event)
		return 0;
	bpf_core_read(&event->task.comm, sizeof(event->task.comm), &task->comm);
	bpf_ringbuf_submit(event, 0);
	return 0;
}

SEC("tp_btf/mark_victim")
int BPF_PROG(on_oom_victim_pid, int pid)
{
	struct pfuse_event *event = victim_event(group_of_current(), pid);

	if (event)
		bpf_ringbuf_submit(event, 0);
	return 0;
}
