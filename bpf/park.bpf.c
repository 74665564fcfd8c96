// SPDX-License-Identifier: GPL-2.0-only
/*
 * Observes what each thread of a group is about: its system call, the arguments, and what the call
 * returned when the freezer interrupted it. Runs only when it is read, right after the group froze.
 *
 * Cannot see: what a call is about that works on through io_uring (told as a bit), and what happens to a
 * thread that is not frozen (the registers then are those of the last entry into the kernel).
 *
 * iter/task   one record per thread of the group `walked_slot` and of the groups below it
 *
 * Kernel memory is read through BTF pointers, never by probe_read: loads under lockdown too.
 */
#include "pfuse.bpf.h"
#include <pfuse/park.h>

#define TASK_STATE_STOPPED 0x4 /* linux/sched.h: __TASK_STOPPED */
#define TASK_FLAG_EXITING 0x4
#define TASK_FLAG_IO_WORKER 0x10
#define TASK_FLAG_USER_WORKER 0x4000 /* vhost, from 6.4 on */
#define TASK_FLAG_KTHREAD 0x200000

/*
 * Not group_of(): a group may lie below the one that is asked for and be managed by itself. By the
 * process: the freezer of the v2 tree takes whole processes, whose threads may be apart on v1.
 */
static __always_inline bool is_below(struct task_struct *task, __u64 id)
{
	struct cgroup *cgroup = task_cgroup(task->group_leader);

	for (int depth = 0; depth < PFUSE_MAX_DEPTH; depth++) {
		if (cgroup->kn->id == id)
			return true;
		struct cgroup_subsys_state *parent = cgroup->self.parent;

		if (!parent)
			return false;
		cgroup = parent->cgroup;
	}
	return false;
}

#if defined(__TARGET_ARCH_x86)

#define TS_COMPAT 0x2 /* asm/thread_info.h: the call came by the 32-bit entry */

static __always_inline void read_call(struct task_struct *task, struct pfuse_thread *thread)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);

	thread->ip = regs->ip;
	thread->nr = (__s64)regs->orig_ax;
	thread->ax = (__s64)regs->ax;
	thread->args[0] = regs->di;
	thread->args[1] = regs->si;
	thread->args[2] = regs->dx;
	thread->args[3] = regs->r10;
	thread->args[4] = regs->r8;
	thread->args[5] = regs->r9;
	if (task->thread_info.status & TS_COMPAT)
		thread->bits |= PFUSE_THREAD_OTHER_ABI;
}

#elif defined(__TARGET_ARCH_arm64)

#define PSTATE_AARCH32 0x10

/*
 * Here the kernel forgets the call and moves the program back to its SVC instruction before it lets the
 * freezer in. So nr is what x8 holds, whatever the thread does, and edge/park.c looks at the instruction.
 */
static __always_inline void read_call(struct task_struct *task, struct pfuse_thread *thread)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);

	thread->ip = regs->pc;
	thread->nr = (__s64)regs->regs[8];
	thread->ax = (__s64)regs->regs[0];
	thread->args[0] = regs->orig_x0;
	thread->args[1] = regs->regs[1];
	thread->args[2] = regs->regs[2];
	thread->args[3] = regs->regs[3];
	thread->args[4] = regs->regs[4];
	thread->args[5] = regs->regs[5];
	if (regs->pstate & PSTATE_AARCH32)
		thread->bits |= PFUSE_THREAD_OTHER_ABI;
}

#endif

/*
 * The kernel's note for restart_syscall is a union of what poll, futex and the sleeps need. poll's begins
 * with its own first two arguments and 0 or 1; futex's with its address, and flags of which one that is
 * never 1 is always set. clock_nanosleep may pass for a poll of no files, which waits for the same.
 */
static __always_inline __u16 restart_of(struct task_struct *task, const struct pfuse_thread *thread)
{
	__u64 address = (__u64)task->restart_block.poll.ufds;
	__u32 second = (__u32)task->restart_block.poll.nfds;
	__u32 third = (__u32)task->restart_block.poll.has_timeout;

	if (address != thread->args[0])
		return PFUSE_RESTART_SLEEP;
	if (third <= 1 && second == (__u32)thread->args[1])
		return PFUSE_RESTART_POLL;
	if (second == (__u32)thread->args[2])
		return PFUSE_RESTART_FUTEX;
	return PFUSE_RESTART_SLEEP;
}

/* Blocked ones too: a signalfd tells of them. */
static __always_inline bool has_signal(struct task_struct *task)
{
	return task->pending.signal.sig[0] | task->signal->shared_pending.signal.sig[0];
}

static __always_inline __u16 state_bits(struct task_struct *task)
{
	__u32 flags = task->flags;
	__u16 bits = 0;

	if (task->ptrace)
		bits |= PFUSE_THREAD_PTRACED;
	if (bpf_core_field_exists(task->io_uring) && task->io_uring)
		bits |= PFUSE_THREAD_IO_URING;
	if (task->files != task->group_leader->files)
		bits |= PFUSE_THREAD_OWN_FILES;
	if (has_signal(task))
		bits |= PFUSE_THREAD_SIGNAL;
	if (task->__state & TASK_STATE_STOPPED)
		bits |= PFUSE_THREAD_STOPPED;
	if (flags & TASK_FLAG_EXITING)
		bits |= PFUSE_THREAD_EXITING;
	if (flags & (TASK_FLAG_KTHREAD | TASK_FLAG_USER_WORKER | TASK_FLAG_IO_WORKER))
		bits |= PFUSE_THREAD_KERNEL;
	return bits;
}

SEC("iter/task")
int walk_parked(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct pfuse_thread thread = {};

	if (!task || task->exit_state)
		return 0;
	struct pfuse_group *group = group_at(walked_slot);

	if (!group || !group->id || !is_below(PLAIN(task_struct, task), group->id))
		return 0;
	thread.tgid = task->tgid;
	thread.tid = task->pid;
	thread.bits = state_bits(PLAIN(task_struct, task));
	read_call(task, &thread);
	thread.restart = restart_of(PLAIN(task_struct, task), &thread);
	bpf_seq_write(ctx->meta->seq, &thread, sizeof(thread));
	return 0;
}
