// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPU time, run-queue wait and switches per group.
 *
 * No clock is read and nothing is hashed: the scheduler keeps sum_exec_runtime and run_delay per task,
 * so at each switch the difference since the task was switched in is all there is to add. When
 * trace_sched_switch fires, `prev` has been accounted up to now, and the wait that ends for `next` is
 * added to its run_delay only after the hook: we see it at its switch-out.
 *
 * Cannot see: the slice that is still running (the daemon sees in `cpus` that it runs), slices that
 * began where the program did not run (some hosts run no BPF for threads of PID 1; each such slice of a
 * managed task is counted as UNSEEN_SWITCH), and the part of a wait that a task spent on a run queue
 * from which it was moved: the scheduler adds that before the hook.
 *
 * | program   | hook                | without it                              |
 * | on_switch | tp_btf/sched_switch | no idleness, no CPU figures: required   |
 */
#include "pfuse.bpf.h"

static __always_inline void count_slice(const struct pfuse_cpu *cpu, struct task_struct *prev,
					bool voluntary)
{
	struct pfuse_stats *count = stats_at(cpu->slot);

	if (!count)
		return;
	count->run_ns += prev->se.sum_exec_runtime - cpu->exec_ns;
	count->wait_ns += prev->sched_info.run_delay - cpu->delay_ns;
	if (voluntary)
		count->nvcsw++;
	else
		count->nivcsw++;
}

static __always_inline void tell_active(__u32 slot)
{
	struct pfuse_group *group = group_at(slot);

	if (!group)
		return;
	struct pfuse_event *event = event_once(group, slot, PFUSE_EV_ACTIVE, PFUSE_ARM_ACTIVE);

	if (event)
		bpf_ringbuf_submit(event, 0);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next,
	     unsigned int prev_state)
{
	__u32 index = bpf_get_smp_processor_id();
	struct pfuse_cpu *cpu = bpf_map_lookup_elem(&cpus, &index);

	if (!cpu)
		return 0;
	if (cpu->pid != (__u32)prev->pid) {
		if (prev->pid && group_of(PLAIN(task_struct, prev)))
			drop(PFUSE_DROP_UNSEEN_SWITCH);
	} else if (cpu->slot) {
		count_slice(cpu, prev, !preempt && prev_state);
	}

	__u32 slot = next->pid ? group_of(next) : 0; /* pid 0: the idle task */

	barrier(); /* who sees that the task is off the CPU sees its slice counted */
	cpu->pid = next->pid;
	cpu->slot = slot;
	if (!slot)
		return 0;
	cpu->exec_ns = next->se.sum_exec_runtime;
	cpu->delay_ns = next->sched_info.run_delay;
	tell_active(slot);
	return 0;
}
