// SPDX-License-Identifier: GPL-2.0-only
/*
 * Groups that empty, fill and go; processes that enter, exec, exit and are chosen by the OOM killer;
 * signals that come from outside.
 *
 * Ids of cgroups are unique within one hierarchy only, so events of other hierarchies are left out by
 * the root's number.
 *
 * Signals: told are those that a task of an armed group gets from a process outside it other than the
 * daemon, and from the kernel. Left out are those that the target ignores, except SIGCONT, which continues
 * a stopped process even so. A parent that watches its stopped child shows as SIGCONT or SIGKILL with
 * PFUSE_SIGNAL_BY_PARENT.
 *
 * Cannot see: which group a task left (a move within the group counts as entering it); on kernels before
 * 6.8 the OOM victim itself: there the event names the group of the task that ran out of memory; whether
 * a thread other than the one that the kernel chose blocks a signal.
 *
 * | program          | hook                           | without it                                  |
 * | on_populated     | tp_btf/cgroup_notify_populated | emptiness is seen at the next sample        |
 * | on_rmdir         | tp_btf/cgroup_rmdir            | removal is seen at the next read or write   |
 * | on_exec, on_exit | tp_btf/sched_process_*         | no exec and exit counts                     |
 * | on_signal        | tp_btf/signal_generate         | signals wait until the group continues      |
 * | on_moved         | tp_btf/cgroup_attach_task      | who enters is seen when it runs             |
 * | on_fork          | tp_btf/sched_process_fork      | the same, for clone(2) into a group         |
 * | on_oom_victim    | tp_btf/mark_victim (task)      | on_oom_victim_pid                           |
 * | on_oom_victim_pid | tp_btf/mark_victim (pid)      | kills are counted from the group's file     |
 */
#include "signal.bpf.h"

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
	tell_life(PLAIN(cgroup, cgroup), populated ? PFUSE_EV_POPULATED : PFUSE_EV_EMPTY);
	return 0;
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(on_rmdir, struct cgroup *cgroup, const char *path)
{
	tell_life(PLAIN(cgroup, cgroup), PFUSE_EV_REMOVED);
	return 0;
}

static __always_inline __u32 current_pid(void)
{
	return bpf_get_current_pid_tgid() >> 32;
}

static __always_inline void tell_entered(__u32 slot, struct task_struct *task, __u32 how)
{
	struct pfuse_group *group = slot ? group_at(slot) : NULL;

	if (!group || current_pid() == knobs.daemon_pid)
		return;
	struct pfuse_event *event = event_once(group, slot, PFUSE_EV_ENTERED, PFUSE_ARM_ENTERED);

	if (!event)
		return;
	event->entered.pid = task->tgid;
	event->entered.by = current_pid();
	event->entered.how = how;
	bpf_core_read(&event->entered.comm, sizeof(event->entered.comm), &task->comm);
	bpf_ringbuf_submit(event, 0);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task)
{
	__u32 slot = group_of(PLAIN(task_struct, task));
	struct pfuse_stats *count = slot ? stats_at(slot) : NULL;

	if (!count)
		return 0;
	count->execs++;
	tell_entered(slot, task, PFUSE_ENTRY_EXEC);
	return 0;
}

/* Each hierarchy tells of its own moves. */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(on_moved, struct cgroup *to, const char *path, struct task_struct *task,
	     bool threadgroup)
{
	struct cgroup *cgroup = PLAIN(cgroup, to);

	if (cgroup->root->hierarchy_id == (int)knobs.hierarchy_id)
		tell_entered(nearest_managed(cgroup), task, PFUSE_ENTRY_MOVED);
	return 0;
}

/* A child is born in its parent's group unless clone(2) says otherwise. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	__u32 slot = group_of(PLAIN(task_struct, child));

	if (slot && slot != group_of(PLAIN(task_struct, parent)))
		tell_entered(slot, child, PFUSE_ENTRY_BORN);
	return 0;
}

#define SIGCHLD 17
#define SIGCONT 18
#define SIG_IGN 1
#define TRACE_SIGNAL_IGNORED 1
#define TRACE_SIGNAL_OVERFLOW_FAIL 3

/* An element of an array by a number that is not constant: read, for the verifier wants constants. */
static __always_inline bool handles(struct task_struct *task, __u32 number)
{
	void *actions = (void *)BPF_CORE_READ(task, sighand) +
			bpf_core_field_offset(struct sighand_struct, action);
	struct k_sigaction *action =
		actions + (__u64)(number - 1) * bpf_core_type_size(struct k_sigaction);

	return (__u64)BPF_CORE_READ(action, sa.sa_handler) > SIG_IGN;
}

static __always_inline __u32 signal_flags(struct task_struct *task, __u32 number, bool by_process)
{
	__u32 flags = by_process ? 0 : PFUSE_SIGNAL_BY_KERNEL;

	if (by_process && task->real_parent->tgid == (int)current_pid())
		flags |= PFUSE_SIGNAL_BY_PARENT;
	if (task->blocked.sig[0] & 1ull << (number - 1))
		flags |= PFUSE_SIGNAL_BLOCKED;
	return handles(task, number) ? flags | PFUSE_SIGNAL_HANDLED : flags;
}

static __always_inline void tell_signal(__u32 slot, struct task_struct *task, __u32 number,
					bool by_process)
{
	struct pfuse_group *group = group_at(slot);
	struct pfuse_event *event =
		group ? event_once(group, slot, PFUSE_EV_SIGNAL, PFUSE_ARM_SIGNAL) : NULL;

	if (!event)
		return;
	event->signal.number = number;
	event->signal.pid = task->tgid;
	event->signal.sender = by_process ? current_pid() : 0;
	event->signal.flags = signal_flags(task, number, by_process);
	bpf_ringbuf_submit(event, 0);
}

/*
 * In an interrupt the current process is anybody, so a signal of the kernel is told whoever that is. Not
 * so SIGCHLD: it comes from the child, and when we stop a group, children in it stop and tell parents in
 * it.
 */
SEC("tp_btf/signal_generate")
int BPF_PROG(on_signal, int number, struct kernel_siginfo *info, struct task_struct *task,
	     int whole, int result)
{
	__u32 slot = group_of(PLAIN(task_struct, task));

	if (!slot || number < 1 || number > 64 || result == TRACE_SIGNAL_OVERFLOW_FAIL ||
	    (result == TRACE_SIGNAL_IGNORED && number != SIGCONT))
		return 0;
	bool by_process = sent_by_process(info);

	if (by_process && current_pid() == knobs.daemon_pid)
		return 0;
	if ((by_process || number == SIGCHLD) && group_of_current() == slot)
		return 0;
	tell_signal(slot, task, number, by_process);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	if (task->pid != task->tgid)
		return 0;
	__u32 slot = group_of(PLAIN(task_struct, task));
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
	struct pfuse_event *event = victim_event(group_of(PLAIN(task_struct, task)), task->tgid);

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
