// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPU time, run-queue wait and switches per group; where the daemon asked for spans, also how long single
 * waits and bursts are, wake-ups and migrations.
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
 * A burst is the CPU time from a wake-up until the task sleeps again. Most are one slice, which needs no
 * memory; one that is cut by a preemption leaves where it began in `bursts`. Its key, pid and number of
 * voluntary switches so far, names this burst and no other, so nothing has to be cleaned up when tasks
 * sleep, move or end. Two preempted tasks whose pids are a multiple of PFUSE_SPAN_BURSTS apart share an
 * element: what the first one ran before is then lost to its burst, which counts as one more wake-up.
 * No hook at wake-ups: each burst begins with one, and is seen when its first slice ends.
 *
 * | program    | hook                      | without it                              |
 * | on_switch  | tp_btf/sched_switch       | no idleness, no CPU figures: required   |
 * | on_migrate | tp_btf/sched_migrate_task | migrations are not counted              |
 */
#include "pfuse.bpf.h"

#define LAST_BUCKET (PFUSE_SPAN_BUCKETS - 1)

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

/*
 * The bucket of pfuse/span.h: the number of bits of ns / PFUSE_SPAN_FIRST. Without branches, which the
 * verifier would have to follow in each combination.
 */
static __always_inline __u32 bucket_of(__u64 ns)
{
	__u64 rest = ns / PFUSE_SPAN_FIRST, bits, step;

	if (rest >> 32)
		return LAST_BUCKET;
	bits = (0xffffull - rest) >> 63 << 4;
	rest >>= bits;
	step = (0xffull - rest) >> 63 << 3;
	rest >>= step;
	bits += step;
	step = (0xfull - rest) >> 63 << 2;
	rest >>= step;
	bits += step;
	step = (0x3ull - rest) >> 63 << 1;
	rest >>= step;
	bits += step;
	step = (0x1ull - rest) >> 63;
	rest >>= step;
	return bits + step + rest;
}

static __always_inline void count_in(__u32 buckets[PFUSE_SPAN_BUCKETS], __u64 ns)
{
	__u32 bucket = bucket_of(ns);

	buckets[bucket < LAST_BUCKET ? bucket : LAST_BUCKET]++;
}

static __always_inline void tell_late(struct pfuse_group *group, __u32 slot, __u64 wait_ns,
				      __u32 pid)
{
	struct pfuse_event *event = event_once(group, slot, PFUSE_EV_WAIT, PFUSE_ARM_WAIT);

	if (!event)
		return;
	event->wait.wait_ns = wait_ns;
	event->wait.target_ns = group->wait_target_ns;
	event->wait.cpu = bpf_get_smp_processor_id();
	event->wait.pid = pid;
	bpf_ringbuf_submit(event, 0);
}

/* See struct pfuse_group.wait_target_ns. */
static __always_inline void judge_wait(struct pfuse_span *span, __u32 slot, __u64 wait_ns,
				       __u32 pid)
{
	struct pfuse_group *group = group_at(slot);

	if (!group || !group->wait_target_ns)
		return;
	if (wait_ns <= group->wait_target_ns) {
		if (span->late)
			span->late--;
		return;
	}
	bool second = span->late;

	span->late = PFUSE_LATE_WEIGHT; /* no more: what is long over is not to be made up for */
	if (second)
		tell_late(group, slot, wait_ns, pid);
}

/*
 * Two CPUs may write one element at one time, for tasks that share it: one burst is then measured from
 * somewhere else. Rare, and one count among many.
 */
static __always_inline void count_burst(struct pfuse_span *span, const struct pfuse_cpu *cpu,
					struct task_struct *task, bool voluntary)
{
	__u32 pid = task->pid, sleeps = (__u32)task->nvcsw - voluntary,
	      index = pid & (PFUSE_SPAN_BURSTS - 1);
	struct burst *burst = bpf_map_lookup_elem(&bursts, &index);
	__u64 now_ns = task->se.sum_exec_runtime, began_ns = cpu->exec_ns;

	if (!burst)
		return;
	if (burst->pid == pid && burst->sleeps == sleeps && burst->began_ns <= began_ns) {
		began_ns = burst->began_ns;
	} else {
		span->wakeups++;
		if (!voluntary)
			*burst = (struct burst){ pid, sleeps, began_ns };
	}
	if (!voluntary)
		return;
	span->burst_ns += now_ns - began_ns;
	if (now_ns - began_ns < PFUSE_SPAN_SHORT)
		span->short_ns += now_ns - began_ns;
	count_in(span->burst, now_ns - began_ns);
}

/* Not inline: where nobody asked for spans, on_switch is to have no register less. */
static __noinline void count_span(const struct pfuse_cpu *cpu, struct task_struct *prev,
				  bool preempt, unsigned int prev_state)
{
	struct pfuse_span *span = span_at(cpu->slot);
	__u64 wait_ns = prev->sched_info.run_delay - cpu->delay_ns;

	if (!span)
		return;
	count_in(span->wait, wait_ns);
	judge_wait(span, cpu->slot, wait_ns, prev->pid);
	count_burst(span, cpu, prev, !preempt && prev_state);
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
		/* While this is replaced by itself with other knobs, the second one finds all done. */
		if (prev->pid && !replacing_switch && group_of(PLAIN(task_struct, prev)))
			drop(PFUSE_DROP_UNSEEN_SWITCH);
	} else if (cpu->slot) {
		count_slice(cpu, prev, !preempt && prev_state);
		if (knobs.spans)
			count_span(cpu, prev, preempt, prev_state);
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

SEC("tp_btf/sched_migrate_task")
int BPF_PROG(on_migrate, struct task_struct *task, int to)
{
	__u32 slot = group_of(task);
	struct pfuse_span *span = slot ? span_at(slot) : NULL;

	if (span)
		span->migrations++;
	return 0;
}
