/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A split of CPUs on machines that are simulated: the decisions are those of core/workload.h, what comes of
 * them is a model. For tools/bench/split-machines.
 *
 *	split_machines [PHASES [US [SEED]]]
 *
 * The machine: CPUs in cores of siblings, caches and nodes, all equally fast. Time goes by in ticks of 0.1 ms;
 * each CPU runs the task with the least virtual time that may run there and waits for it, for 3 ms at most or until
 * one that has less by that much wakes up; a task that wakes goes to an idle CPU, else to the shortest queue, and a
 * CPU that is idle takes from the longest. A group's weight is shared by its tasks that can run, as the kernel
 * shares it among its CPUs. So a group with a task on each CPU is weak on every one of them.
 * The work: services whose requests of 1 ms come at random times, a quarter of the machine in all, and one code
 * with a thread on each CPU that it may use when it starts: `barrier`, in phases of US (2000) of each CPU of the
 * machine, each thread waits for all others at their end; `free`, the same work without them.
 * Each run is made three times: shared by default, managed, and managed with `waste` at 100 % (sets always).
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hist.h"
#include "core/workload.h"

#define TICK_US 100
#define TICKS_PER_S (1000000 / TICK_US)
#define SLICE_US 3000
#define REQUEST_US 1000
#define SETTLE_S 5
#define SERVICES 2
#define CODE (SERVICES + 1) /* its slot */
#define SLOTS (CODE + 1)
#define TASKS 512
#define NS_PER_US 1000ull

struct machine {
	const char *name;
	uint32_t nodes, cores, siblings; /* cores of each node */
};

struct work {
	uint32_t phases, phase_us;
	uint64_t seed;
};

struct task {
	uint32_t slot, cpu;
	double vruntime;
	uint32_t left_us;      /* 0: sleeps */
	uint32_t ran_us;       /* of its slice */
	uint64_t woken, asked; /* ticks; asked: when its request came */
	bool on, waits;	       /* on: it has a CPU now; waits: since it woke it has had none */
};

struct group {
	double rate; /* requests per tick; 0: the code */
	double weight;
	uint32_t ready;
	uint64_t run_us, wait_us;
	uint32_t switches;
	struct hist waits; /* us */
	struct hist latency;
};

struct simulation {
	struct workload workload;
	struct workload_group books[SLOTS];
	struct group groups[SLOTS];
	struct task tasks[TASKS];
	uint32_t ntasks, cpus, queued[CPUMASK_CPUS];
	double floor
		[CPUMASK_CPUS]; /* virtual time of whoever ran last: what a newcomer begins with */
	struct task *current[CPUMASK_CPUS];
	uint64_t tick, random, idle_us;
	bool managed, barrier;
	uint32_t phases, phase_us, threads, arrived;
	uint64_t began, ended;
};

static double uniform(struct simulation *s)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return (double)(s->random >> 11) / (double)(1ull << 53);
}

static bool may_run(const struct simulation *s, const struct task *task, uint32_t cpu)
{
	return !s->managed || cpumask_has(workload_set(&s->workload, task->slot), cpu);
}

/* A CPU for a task that wakes: its last one if that is idle, any idle one, the shortest queue. */
static uint32_t place(const struct simulation *s, const struct task *task)
{
	uint32_t best = UINT32_MAX, least = UINT32_MAX;

	for (uint32_t cpu = 0; cpu < s->cpus; cpu++) {
		uint32_t length = 2 * s->queued[cpu] + (cpu != task->cpu);

		if (may_run(s, task, cpu) && length < least) {
			least = length;
			best = cpu;
		}
	}
	return best;
}

/* Virtual times of two CPUs have nothing to do with each other: what a task is ahead or behind goes along. */
static void move(struct simulation *s, struct task *task, uint32_t cpu)
{
	task->vruntime += s->floor[cpu] - s->floor[task->cpu];
	task->cpu = cpu;
}

static void wake(struct simulation *s, struct task *task, uint32_t work_us)
{
	double least;

	move(s, task, place(s, task));
	least = s->floor[task->cpu] - SLICE_US; /* who slept gets no more credit than that */
	task->vruntime = task->vruntime > least ? task->vruntime : least;
	task->left_us = work_us;
	task->woken = task->asked = s->tick;
	task->waits = true;
	s->queued[task->cpu]++;
	s->groups[task->slot].ready++;
}

static struct task *sleeper_of(struct simulation *s, uint32_t slot)
{
	for (uint32_t i = 0; i < s->ntasks; i++)
		if (s->tasks[i].slot == slot && !s->tasks[i].left_us)
			return &s->tasks[i];
	if (s->ntasks == TASKS)
		return NULL; /* overload: the request is lost, and not in the latencies */
	s->tasks[s->ntasks] = (struct task){ .slot = slot, .vruntime = s->floor[0] };
	return &s->tasks[s->ntasks++];
}

static void arrive(struct simulation *s)
{
	for (uint32_t slot = 1; slot <= SERVICES; slot++) {
		for (double n = s->groups[slot].rate; n > 0; n--) {
			struct task *task = uniform(s) < n ? sleeper_of(s, slot) : NULL;

			if (task)
				wake(s, task, REQUEST_US);
		}
	}
}

static void begin_phase(struct simulation *s)
{
	uint32_t work_us = s->phase_us * s->cpus / s->threads;

	for (uint32_t i = 0; i < s->ntasks; i++)
		if (s->tasks[i].slot == CODE)
			wake(s, &s->tasks[i], s->barrier ? work_us : work_us * s->phases);
	s->arrived = 0;
}

static void start_code(struct simulation *s)
{
	struct cpumask set =
		s->managed ? *workload_set(&s->workload, CODE) : s->workload.topology.online;

	s->threads = cpumask_count(&set);
	for (uint32_t i = 0; i < s->threads; i++)
		s->tasks[s->ntasks++] = (struct task){ .slot = CODE, .vruntime = s->floor[0] };
	s->began = s->tick;
	begin_phase(s);
}

static void done(struct simulation *s, struct task *task)
{
	struct group *group = &s->groups[task->slot];

	s->queued[task->cpu]--;
	s->current[task->cpu] = NULL;
	task->on = false;
	group->ready--;
	group->switches++;
	if (task->slot != CODE) {
		if (s->began)
			(void)hist_record(&group->latency, (s->tick + 1 - task->asked) * TICK_US);
		return;
	}
	if (++s->arrived < s->threads)
		return;
	if (s->barrier && --s->phases)
		begin_phase(s);
	else
		s->ended = s->tick + 1;
}

static struct task *next_on(struct simulation *s, uint32_t cpu)
{
	struct task *best = NULL;

	for (uint32_t i = 0; i < s->ntasks; i++) {
		struct task *task = &s->tasks[i];

		if (task->left_us && task->cpu == cpu && !task->on &&
		    (!best || task->vruntime < best->vruntime))
			best = task;
	}
	return best;
}

/* For a CPU that has nothing to do: a task that waits elsewhere, from the longest queue. */
static struct task *steal(struct simulation *s, uint32_t cpu)
{
	struct task *best = NULL;

	for (uint32_t i = 0; i < s->ntasks; i++) {
		struct task *task = &s->tasks[i];

		if (task->left_us && !task->on && may_run(s, task, cpu) &&
		    (!best || s->queued[task->cpu] > s->queued[best->cpu]))
			best = task;
	}
	if (best) {
		s->queued[best->cpu]--;
		s->queued[cpu]++;
		move(s, best, cpu);
	}
	return best;
}

static void choose(struct simulation *s, uint32_t cpu)
{
	struct task *current = s->current[cpu], *next = next_on(s, cpu);
	bool over = current && current->ran_us >= SLICE_US;

	if (current && !(next && ((over && next->vruntime < current->vruntime) ||
				  next->vruntime + SLICE_US < current->vruntime)))
		return;
	if (!next)
		next = steal(s, cpu);
	if (current)
		current->on = false;
	s->current[cpu] = next;
	if (!next)
		return;
	s->floor[cpu] = next->vruntime > s->floor[cpu] ? next->vruntime : s->floor[cpu];
	next->on = true;
	next->ran_us = 0;
	if (next->waits)
		(void)hist_record(&s->groups[next->slot].waits, (s->tick - next->woken) * TICK_US);
	next->waits = false;
}

static void run_tick(struct simulation *s)
{
	for (uint32_t cpu = 0; cpu < s->cpus; cpu++)
		choose(s, cpu);
	for (uint32_t i = 0; i < s->ntasks; i++)
		if (s->tasks[i].left_us && !s->tasks[i].on)
			s->groups[s->tasks[i].slot].wait_us += TICK_US;
	for (uint32_t cpu = 0; cpu < s->cpus; cpu++) {
		struct task *task = s->current[cpu];

		if (!task) {
			s->idle_us += s->began ? TICK_US : 0;
			continue;
		}
		struct group *group = &s->groups[task->slot];

		task->left_us -= task->left_us < TICK_US ? task->left_us : TICK_US;
		task->ran_us += TICK_US;
		task->vruntime += TICK_US * (double)group->ready / group->weight;
		group->run_us += TICK_US;
		if (!task->left_us)
			done(s, task);
	}
	s->tick++;
}

/* Tasks that lost their CPU go where they may. */
static void evict(struct simulation *s)
{
	for (uint32_t i = 0; i < s->ntasks; i++) {
		struct task *task = &s->tasks[i];

		if (!task->left_us || may_run(s, task, task->cpu))
			continue;
		if (task->on)
			s->current[task->cpu] = NULL;
		task->on = false;
		s->queued[task->cpu]--;
		move(s, task, place(s, task));
		s->queued[task->cpu]++;
	}
}

static void check(struct simulation *s)
{
	for (uint32_t slot = 1; slot < SLOTS; slot++) {
		struct group *group = &s->groups[slot];
		uint32_t oncpu = 0;

		for (uint32_t cpu = 0; cpu < s->cpus; cpu++)
			oncpu += s->current[cpu] && s->current[cpu]->slot == slot;
		const struct workload_look look = {
			.span_ns = TICKS_PER_S * TICK_US * NS_PER_US,
			.run_ns = group->run_us * NS_PER_US,
			.wait_ns = group->wait_us * NS_PER_US,
			.wait_p99_ns = hist_percentile(&group->waits, 990) * NS_PER_US,
			.waits = (uint32_t)group->waits.total,
			.nvcsw = group->switches,
			.oncpu = oncpu,
		};
		workload_look(&s->workload, slot, &look);
		group->run_us = group->wait_us = group->switches = 0;
		hist_free(&group->waits);
	}
	workload_check(&s->workload);
	workload_place(&s->workload);
	for (uint32_t slot = 1; slot < SLOTS; slot++)
		s->groups[slot].weight =
			s->workload.groups[slot].share == WORKLOAD_LEAST ? 0.01 : 1;
	evict(s);
}

static struct workload_topology topology_of(const struct machine *machine)
{
	uint32_t cores = machine->nodes * machine->cores;
	struct workload_topology t = { 0 };

	for (uint32_t cpu = 0; cpu < cores * machine->siblings; cpu++) {
		cpumask_add(&t.online, cpu);
		t.core[cpu] = (uint16_t)(cpu % cores);
		t.llc[cpu] = t.node[cpu] = (uint16_t)(cpu % cores / machine->cores);
	}
	return t;
}

static void simulate(struct simulation *s, const struct machine *machine, bool barrier, int waste,
		     const struct work *work)
{
	const struct workload_topology topology = topology_of(machine);

	for (uint32_t slot = 0; slot < SLOTS; slot++) {
		hist_free(&s->groups[slot].waits);
		hist_free(&s->groups[slot].latency);
	}
	memset(s, 0, sizeof(*s));
	s->random = work->seed * 0x9e3779b97f4a7c15ull | 1;
	s->managed = waste >= 0;
	s->barrier = barrier;
	s->phases = work->phases;
	s->phase_us = work->phase_us;
	workload_init(&s->workload, s->books, SLOTS, &topology);
	if (s->managed)
		s->workload.policy.waste_permille = (uint32_t)waste;
	s->cpus = s->workload.online;
	for (uint32_t slot = 1; slot < SLOTS; slot++) {
		s->groups[slot].weight = 1;
		workload_join(&s->workload, slot,
			      slot == CODE ? WORKLOAD_SCIENTIFIC : WORKLOAD_SERVICE);
	}
	for (uint32_t slot = 1; slot <= SERVICES; slot++)
		s->groups[slot].rate = 0.25 / SERVICES * s->cpus * TICK_US / REQUEST_US;
	workload_place(&s->workload);
	while (!s->ended) {
		if (s->managed && s->tick % TICKS_PER_S == TICKS_PER_S - 1)
			check(s);
		if (s->tick == SETTLE_S * TICKS_PER_S)
			start_code(s);
		arrive(s);
		run_tick(s);
	}
}

static void print_row(const struct simulation *s, const struct machine *machine, const char *how,
		      double *shared_s)
{
	double seconds = (double)(s->ended - s->began) / TICKS_PER_S, p99 = 0;
	char sets[64] = "all", less[32] = "-";

	if (s->managed)
		snprintf(sets, sizeof(sets), "%s%u+%u, %u",
			 s->workload.sharing ? "by weight: " : "",
			 cpumask_count(workload_set(&s->workload, 1)),
			 cpumask_count(workload_set(&s->workload, 2)),
			 cpumask_count(workload_set(&s->workload, CODE)));
	if (*shared_s > 0)
		snprintf(less, sizeof(less), "%+.1f %%", (seconds / *shared_s - 1) * 100);
	else
		*shared_s = seconds;
	for (uint32_t slot = 1; slot <= SERVICES; slot++) {
		double own = (double)hist_percentile(&s->groups[slot].latency, 990) / 1000;

		p99 = own > p99 ? own : p99;
	}
	printf("%s|%s|%s|%s|%.2f|%s|%.1f|%.1f %%\n", machine->name, s->barrier ? "barrier" : "free",
	       how, sets, seconds, less, p99, (double)s->idle_us / 1e4 / (seconds * s->cpus));
}

int main(int argc, char **argv)
{
	static const struct machine machines[] = {
		{ "2 CPUs", 1, 2, 1 },
		{ "8 CPUs: 4 cores of 2", 1, 4, 2 },
		{ "16 CPUs: 2 nodes of 4 cores of 2", 2, 4, 2 },
		{ "64 CPUs: 2 nodes of 16 cores of 2", 2, 16, 2 },
	};
	static const struct {
		const char *name;
		int waste;
	} ways[] = { { "shared", -1 }, { "managed", 100 }, { "sets", 1000 } };
	static struct simulation s;
	const struct work work = {
		.phases = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 2000,
		.phase_us = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 2000,
		.seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1,
	};

	if (!work.phases || work.phase_us < TICK_US) {
		fputs("split_machines [PHASES [US [SEED]]]\n", stderr);
		return 2;
	}
	puts("machine|code|how|CPUs of the services and the code|seconds|against shared|p99, "
	     "ms|idle");
	for (size_t m = 0; m < sizeof(machines) / sizeof(machines[0]); m++) {
		for (int barrier = 1; barrier >= 0; barrier--) {
			double shared_s = 0;

			for (size_t way = 0; way < sizeof(ways) / sizeof(ways[0]); way++) {
				simulate(&s, &machines[m], barrier, ways[way].waste, &work);
				print_row(&s, &machines[m], ways[way].name, &shared_s);
			}
		}
	}
	return 0;
}
