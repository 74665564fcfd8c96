/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Scheduling, as the importers of ftrace know it (written by hand: export/wire.h), and the names of processes and threads. */
#include <string.h>

#include "core/parse.h"
#include "export/pftrace_inside.h"

#define EVENTS_PER_PACKET 64
#define THREADS_PER_PACKET 64
#define COMM_ESCAPED (PFTRACE_COMM_LEN * 4 + 1)

/* Field numbers, as in pftrace.proto. */
enum {
	PACKET_FTRACE = 1,
	BUNDLE_CPU = 1,
	BUNDLE_EVENT = 2,
	BUNDLE_LOST = 3,
	EVENT_TIMESTAMP = 1,
	EVENT_PID = 2,
	EVENT_SWITCH = 4,
	EVENT_WAKING = 20,
	SWITCH_PREV_COMM = 1,
	SWITCH_PREV_PID = 2,
	SWITCH_PREV_PRIO = 3,
	SWITCH_PREV_STATE = 4,
	SWITCH_NEXT_COMM = 5,
	SWITCH_NEXT_PID = 6,
	SWITCH_NEXT_PRIO = 7,
	WAKING_COMM = 1,
	WAKING_PID = 2,
	WAKING_PRIO = 3,
	WAKING_SUCCESS = 4,
	WAKING_CPU = 5,
};

/* Two names, eight numbers, two messages. */
#define EVENT_MOST (2 * WIRE_TEXT(COMM_ESCAPED) + 8 * WIRE_NUMBER + 2 * WIRE_TEXT(0))
#define BUNDLE_MOST (WIRE_TEXT(0) + 2 * WIRE_NUMBER + EVENTS_PER_PACKET * EVENT_MOST)

static size_t escape_comm(char out[COMM_ESCAPED], const char comm[PFTRACE_COMM_LEN])
{
	return parse_escape(out, COMM_ESCAPED, comm, strnlen(comm, PFTRACE_COMM_LEN));
}

static void put_comm(struct wire *wire, uint32_t field, const char comm[PFTRACE_COMM_LEN])
{
	char escaped[COMM_ESCAPED];

	wire_text(wire, field, escaped, escape_comm(escaped, comm));
}

/* Numbers are written also where they are 0: to readers of ftrace, a field that is missing is no 0. */
static void put_switch(struct wire *wire, const struct pftrace_sched *from)
{
	uint8_t *opened = wire_open(wire, EVENT_SWITCH);

	put_comm(wire, SWITCH_PREV_COMM, from->comm);
	wire_int(wire, SWITCH_PREV_PID, (int32_t)from->pid);
	wire_int(wire, SWITCH_PREV_PRIO, from->prio);
	wire_int(wire, SWITCH_PREV_STATE, from->state);
	put_comm(wire, SWITCH_NEXT_COMM, from->next_comm);
	wire_int(wire, SWITCH_NEXT_PID, from->next);
	wire_int(wire, SWITCH_NEXT_PRIO, from->next_prio);
	wire_close(wire, opened);
}

static void put_waking(struct wire *wire, const struct pftrace_sched *from)
{
	uint8_t *opened = wire_open(wire, EVENT_WAKING);

	put_comm(wire, WAKING_COMM, from->next_comm);
	wire_int(wire, WAKING_PID, from->next);
	wire_int(wire, WAKING_PRIO, from->prio);
	wire_int(wire, WAKING_SUCCESS, 1);
	wire_int(wire, WAKING_CPU, from->target_cpu);
	wire_close(wire, opened);
}

static void put_sched(const struct pftrace *trace, struct wire *wire,
		      const struct pftrace_sched *from)
{
	uint8_t *opened = wire_open(wire, BUNDLE_EVENT);

	wire_uint(wire, EVENT_TIMESTAMP, from->time_ns + trace->boot_ahead);
	wire_uint(wire, EVENT_PID, from->pid);
	if (from->is_waking)
		put_waking(wire, from);
	else
		put_switch(wire, from);
	wire_close(wire, opened);
}

static void put_bundle(struct pftrace *trace, uint32_t cpu, const struct pftrace_sched *events,
		       unsigned count, bool lost)
{
	struct wire wire;

	pftrace_note_clocks(trace);
	trace->last_ns = events[count - 1].time_ns;
	if (!pftrace_begin(trace, 0, BUNDLE_MOST, &wire))
		return;
	uint8_t *opened = wire_open(&wire, PACKET_FTRACE);

	wire_uint(&wire, BUNDLE_CPU, cpu);
	for (unsigned i = 0; i < count; i++)
		put_sched(trace, &wire, &events[i]);
	if (lost)
		wire_uint(&wire, BUNDLE_LOST, true);
	wire_close(&wire, opened);
	pftrace_end(trace, &wire);
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
