// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the threads of the chosen groups do, one record each: an object of its own, loaded by `pfuse-bpf
 * trace` alone, with or without a daemon beside it. Not a part of the daemon's object: its programs cost
 * per event what the daemon's are built to avoid, nobody who does not trace should load or even parse
 * them, and what traces must not be ended by the daemon's end.
 *
 * Which group a task is in is found as everywhere (pfuse.bpf.h). A record that does not fit is counted by
 * CPU and left out: nobody waits for the reader. Talks come from peers.bpf.c, compiled a second time.
 *
 * Cannot see: slices and wakes while a thread runs for which the host runs no BPF (some do so for threads
 * of PID 1); a switch from such a thread to one of ours is missing, the one back is not. Faults of system
 * calls that touch user memory, of huge pages that the kernel maps by itself, and faults on architectures
 * without the tracepoint.
 *
 * | program          | hook                        | without it                     |
 * | trace_switch     | tp_btf/sched_switch         | no events of this kind, for    |
 * | trace_waking     | tp_btf/sched_waking         | each; `pfuse-bpf trace` says   |
 * | trace_born       | tp_btf/sched_wakeup_new     | so                             |
 * | trace_fault      | tp_btf/page_fault_user      |                                |
 * | trace_signal     | tp_btf/signal_generate      |                                |
 * | trace_fork       | tp_btf/sched_process_fork   |                                |
 * | trace_exec       | tp_btf/sched_process_exec   |                                |
 * | trace_exit       | tp_btf/sched_process_exit   |                                |
 */
#define TRACE_DECLARED
#include "trace.bpf.h"
#include "ram.bpf.h"
#include "signal.bpf.h"

#define TASK_REPORT 0x7f   /* the states that have a letter: linux/sched.h */
#define TASK_IDLE 0x402	   /* UNINTERRUPTIBLE | NOLOAD */
#define TASK_SHOWN_IDLE 0x80
#define TASK_LIKE_UNINTERRUPTIBLE 0x9000 /* RTLOCK_WAIT, FROZEN */

static __always_inline bool wanted(__u32 slot)
{
	return slot || trace_knobs.everything;
}

/* As sched_switch shows it: include/trace/events/sched.h, __trace_sched_switch_state(). */
static __always_inline __u32 shown_state(bool preempt, __u32 state, const struct task_struct *task)
{
	if (preempt)
		return PFUSE_STATE_PREEMPTED;
	__u32 shown = (state | task->exit_state) & TASK_REPORT;

	if ((state & TASK_IDLE) == TASK_IDLE)
		return TASK_SHOWN_IDLE;
	if (state & TASK_LIKE_UNINTERRUPTIBLE)
		return 2;
	/* the highest bit alone */
	shown |= shown >> 1;
	shown |= shown >> 2;
	shown |= shown >> 4;
	return shown ^ shown >> 1;
}

#define PRIO_FAIR 100 /* below: real time; linux/sched/prio.h */

/*
 * Who leaves is accounted up to now; of a task that is not of the fair policies these are of a time when
 * it was. Slices of single tasks are shown since 6.6, groups where the kernel schedules by them.
 */
static __always_inline void add_turn(struct pfuse_trace *record, const struct task_struct *task)
{
	const struct sched_entity *entity = &task->se, *group = NULL;

	if (!task->pid || task->prio < PRIO_FAIR)
		return;
	record->next.fair = 1;
	record->next.vruntime_ns = entity->vruntime;
	if (bpf_core_field_exists(entity->slice))
		record->next.slice_ns = entity->slice;
	if (bpf_core_field_exists(entity->parent))
		group = entity->parent;
	if (!group)
		return;
	record->next.has_group = 1;
	record->next.group_vruntime_ns = group->vruntime;
}

/* Two of one css_set are in one group in every hierarchy: the second need not be looked up. */
static __always_inline __u32 group_of_next(struct task_struct *prev, __u32 from,
					   struct task_struct *next)
{
	if (!next->pid)
		return 0;
	if (prev->pid && prev->cgroups == next->cgroups)
		return from;
	return group_of(next);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(trace_switch, bool preempt, struct task_struct *prev, struct task_struct *next,
	     unsigned int prev_state)
{
	__u32 from = prev->pid ? group_of(prev) : 0; /* pid 0: the idle task */
	__u32 to = group_of_next(prev, from, next);

	if (!wanted(from) && !wanted(to))
		return 0;
	struct pfuse_trace *record = trace_reserve(PFUSE_TR_SWITCH, from, prev);

	if (!record)
		return 0;
	trace_other(record, next);
	record->next.next_slot = to;
	record->next.prio = prev->prio;
	record->next.next_prio = next->prio;
	record->next.state = shown_state(preempt, prev_state, prev);
	add_turn(record, PLAIN(task_struct, prev));
	trace_submit(record);
	return 0;
}

static __always_inline void trace_wake(struct task_struct *task, bool born)
{
	__u32 slot = group_of(task);
	struct pfuse_trace *record =
		wanted(slot) ? trace_reserve(PFUSE_TR_WAKE, slot, task) : NULL;

	if (!record)
		return;
	trace_other(record, bpf_get_current_task_btf());
	record->wake.prio = task->prio;
	record->wake.cpu = task->thread_info.cpu;
	record->wake.born = born;
	trace_submit(record);
}

SEC("tp_btf/sched_waking")
int BPF_PROG(trace_waking, struct task_struct *task)
{
	trace_wake(task, false);
	return 0;
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(trace_born, struct task_struct *task)
{
	trace_wake(task, true);
	return 0;
}

#define HIGH_WATER_PERMILLE 900 /* of a task that is in no chosen group, in its own group's memory */

static __always_inline bool is_high(struct task_struct *task, __u32 slot, struct ram *ram)
{
	struct pfuse_group *group = slot ? group_at(slot) : NULL;
	struct cgroup_subsys_state *css =
		group ? memory_css_of(task, group->id) : task_memory_css(task);

	if (!css)
		return false;
	read_css_ram(css, ram);
	return ram_above(ram, group ? group->high_water_permille : HIGH_WATER_PERMILLE);
}

SEC("tp_btf/page_fault_user")
int BPF_PROG(trace_fault, unsigned long address)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 slot = group_of(PLAIN(task_struct, task));
	struct ram ram;

	if (!wanted(slot) || !is_high(PLAIN(task_struct, task), slot, &ram))
		return 0;
	struct pfuse_trace *record = trace_reserve(PFUSE_TR_FAULT, slot, task);

	if (!record)
		return 0;
	record->fault.address = address;
	record->fault.usage_pages = ram.usage_bytes / knobs.page_bytes;
	record->fault.limit_pages = ram.limit_bytes / knobs.page_bytes;
	trace_submit(record);
	return 0;
}

/* All, also those that are ignored and that the group sends itself; `result` tells. */
SEC("tp_btf/signal_generate")
int BPF_PROG(trace_signal, int number, struct kernel_siginfo *info, struct task_struct *task,
	     int whole, int result)
{
	__u32 slot = group_of(PLAIN(task_struct, task));
	struct pfuse_trace *record =
		wanted(slot) ? trace_reserve(PFUSE_TR_SIGNAL, slot, task) : NULL;

	if (!record)
		return 0;
	if (sent_by_process(info))
		trace_other(record, bpf_get_current_task_btf());
	record->signal.number = number;
	record->signal.result = result;
	trace_submit(record);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(trace_fork, struct task_struct *parent, struct task_struct *child)
{
	__u32 slot = group_of(PLAIN(task_struct, child));
	struct pfuse_trace *record =
		wanted(slot) ? trace_reserve(PFUSE_TR_FORK, slot, child) : NULL;

	if (!record)
		return 0;
	trace_other(record, parent);
	trace_submit(record);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(trace_exec, struct task_struct *task)
{
	__u32 slot = group_of(PLAIN(task_struct, task));
	struct pfuse_trace *record = wanted(slot) ? trace_reserve(PFUSE_TR_EXEC, slot, task) : NULL;

	if (record)
		trace_submit(record);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(trace_exit, struct task_struct *task)
{
	__u32 slot = group_of(PLAIN(task_struct, task));
	struct pfuse_trace *record = wanted(slot) ? trace_reserve(PFUSE_TR_EXIT, slot, task) : NULL;

	if (!record)
		return 0;
	record->exit.code = task->exit_code;
	trace_submit(record);
	return 0;
}
