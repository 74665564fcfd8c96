/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Scheduling, as the importers of ftrace know it, and the names of processes and threads. */
#include <string.h>

#include "core/parse.h"
#include "export/pftrace_inside.h"

#define EVENTS_PER_PACKET 64
#define THREADS_PER_PACKET 64
#define COMM_ESCAPED (PFTRACE_COMM_LEN * 4 + 1)

static void escape_comm(char out[COMM_ESCAPED], const char comm[PFTRACE_COMM_LEN])
{
	parse_escape(out, COMM_ESCAPED, comm, strnlen(comm, PFTRACE_COMM_LEN));
}

/* One event as a message, with its strings. */
struct sched_message {
	Pftrace__FtraceEvent event;
	Pftrace__SchedSwitchFtraceEvent sched_switch;
	Pftrace__SchedWakingFtraceEvent sched_waking;
	char comm[COMM_ESCAPED];
	char next_comm[COMM_ESCAPED];
};

/* Numbers are written also where they are 0: to readers of ftrace, a field that is missing is no 0. */
static void fill_switch(const struct pftrace_sched *from, struct sched_message *to)
{
	Pftrace__SchedSwitchFtraceEvent *message = &to->sched_switch;

	pftrace__sched_switch_ftrace_event__init(message);
	message->prev_comm = to->comm;
	message->has_prev_pid = message->has_prev_prio = message->has_prev_state = 1;
	message->prev_pid = (int32_t)from->pid;
	message->prev_prio = from->prio;
	message->prev_state = from->state;
	message->next_comm = to->next_comm;
	message->has_next_pid = message->has_next_prio = 1;
	message->next_pid = from->next;
	message->next_prio = from->next_prio;
	to->event.sched_switch = message;
}

static void fill_waking(const struct pftrace_sched *from, struct sched_message *to)
{
	Pftrace__SchedWakingFtraceEvent *message = &to->sched_waking;

	pftrace__sched_waking_ftrace_event__init(message);
	message->comm = to->next_comm;
	message->has_pid = message->has_prio = message->has_success = message->has_target_cpu = 1;
	message->pid = from->next;
	message->prio = from->prio;
	message->success = 1;
	message->target_cpu = from->target_cpu;
	to->event.sched_waking = message;
}

static void fill_sched(const struct pftrace *trace, const struct pftrace_sched *from,
		       struct sched_message *to)
{
	escape_comm(to->comm, from->comm);
	escape_comm(to->next_comm, from->next_comm);
	pftrace__ftrace_event__init(&to->event);
	to->event.has_timestamp = to->event.has_pid = 1;
	to->event.timestamp = from->time_ns + trace->boot_ahead;
	to->event.pid = from->pid;
	if (from->is_waking)
		fill_waking(from, to);
	else
		fill_switch(from, to);
}

static void put_bundle(struct pftrace *trace, uint32_t cpu, const struct pftrace_sched *events,
		       unsigned count, bool lost)
{
	Pftrace__TracePacket packet = PFTRACE__TRACE_PACKET__INIT;
	Pftrace__FtraceEventBundle bundle = PFTRACE__FTRACE_EVENT_BUNDLE__INIT;
	struct sched_message messages[EVENTS_PER_PACKET];
	Pftrace__FtraceEvent *pointers[EVENTS_PER_PACKET];

	pftrace_note_clocks(trace);
	for (unsigned i = 0; i < count; i++) {
		fill_sched(trace, &events[i], &messages[i]);
		pointers[i] = &messages[i].event;
	}
	bundle.has_cpu = 1;
	bundle.cpu = cpu;
	bundle.n_event = count;
	bundle.event = pointers;
	bundle.has_lost_events = bundle.lost_events = lost;
	packet.ftrace_events = &bundle;
	trace->last_ns = events[count - 1].time_ns;
	pftrace_put(trace, &packet);
}

void pftrace_sched(struct pftrace *trace, uint32_t cpu, const struct pftrace_sched *events,
		   unsigned count, bool lost)
{
	while (count) {
		unsigned n = count < EVENTS_PER_PACKET ? count : EVENTS_PER_PACKET;

		put_bundle(trace, cpu, events, n, lost);
		events += n;
		count -= n;
		lost = false;
	}
}

/* Of one packet: a thread that is the first of its process stands for the process. */
struct tree {
	Pftrace__ProcessTree message;
	Pftrace__ProcessTree__Process processes[THREADS_PER_PACKET];
	Pftrace__ProcessTree__Thread threads[THREADS_PER_PACKET];
	Pftrace__ProcessTree__Process *process_pointers[THREADS_PER_PACKET];
	Pftrace__ProcessTree__Thread *thread_pointers[THREADS_PER_PACKET];
	char comms[THREADS_PER_PACKET][COMM_ESCAPED];
	char *cmdlines[THREADS_PER_PACKET];
};

static void add_process(struct tree *tree, const struct pftrace_thread *from, unsigned index)
{
	Pftrace__ProcessTree__Process *process = &tree->processes[index];

	pftrace__process_tree__process__init(process);
	process->has_pid = process->has_ppid = 1;
	process->pid = from->tgid;
	process->ppid = from->ppid;
	tree->cmdlines[index] = tree->comms[index];
	process->n_cmdline = 1;
	process->cmdline = &tree->cmdlines[index];
	tree->process_pointers[tree->message.n_processes++] = process;
}

static void add_thread(struct tree *tree, const struct pftrace_thread *from, unsigned index)
{
	Pftrace__ProcessTree__Thread *thread = &tree->threads[index];

	pftrace__process_tree__thread__init(thread);
	thread->has_tid = thread->has_tgid = 1;
	thread->tid = from->tid;
	thread->tgid = from->tgid;
	thread->name = tree->comms[index];
	tree->thread_pointers[tree->message.n_threads++] = thread;
}

static void put_tree(struct pftrace *trace, uint64_t time_ns, const struct pftrace_thread *threads,
		     unsigned count)
{
	Pftrace__TracePacket packet = PFTRACE__TRACE_PACKET__INIT;
	struct tree tree;

	pftrace__process_tree__init(&tree.message);
	tree.message.processes = tree.process_pointers;
	tree.message.threads = tree.thread_pointers;
	for (unsigned i = 0; i < count; i++) {
		escape_comm(tree.comms[i], threads[i].comm);
		if (threads[i].tid == threads[i].tgid)
			add_process(&tree, &threads[i], i);
		add_thread(&tree, &threads[i], i);
	}
	packet.has_timestamp = 1;
	packet.timestamp = time_ns;
	packet.process_tree = &tree.message;
	pftrace_put(trace, &packet);
}

void pftrace_threads(struct pftrace *trace, uint64_t time_ns, const struct pftrace_thread *threads,
		     unsigned count)
{
	while (count) {
		unsigned n = count < THREADS_PER_PACKET ? count : THREADS_PER_PACKET;

		put_tree(trace, time_ns, threads, n);
		threads += n;
		count -= n;
	}
}
