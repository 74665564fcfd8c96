/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The trace ring against what the kernel and the test itself know: every switch of a thread is told once,
 * each CPU's in order, and what does not fit is counted to the last one.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "edge/tracer.h"
#include "talk.h"

static void end_tracers(void);

TestSuite(trace, .fini = end_tracers);

#define ALL_KINDS (PFUSE_TR_BIT(PFUSE_TR_KINDS) - 1 - 1)
#define SEEN_MAX 65536
#define TRACERS 2

/* What a tracer told. */
struct seen {
	struct tracer *tracer;
	struct pfuse_trace *records;
	size_t count;
};

static struct seen seen[TRACERS];

static void end_tracers(void)
{
	rig_fini();
	for (int i = 0; i < TRACERS; i++) {
		tracer_close(seen[i].tracer);
		free(seen[i].records);
		seen[i] = (struct seen){ 0 };
	}
}

/* A tracer of `group` as slot 1; NULL: of everything. */
static struct seen *begin(int which, const struct group *group, uint32_t kinds, size_t ring_bytes)
{
	const char *why;
	const struct tracer_config config = {
		.anchor = hierarchy(&why)->v2 ? PFUSE_ANCHOR_V2 : PFUSE_ANCHOR_V1_MEMORY,
		.slots = 1,
		.kinds = kinds,
		.everything = !group,
		.ring_bytes = ring_bytes,
	};
	struct seen *of = &seen[which];
	struct err err = { "" };

	of->records = calloc(SEEN_MAX, sizeof(*of->records));
	cr_assert(of->records);
	cr_assert(!tracer_open(&config, &of->tracer, &err), "tracer_open: %s", err.text);
	cr_assert(!group || !tracer_add(of->tracer, 1, group->id, 900));
	cr_assert(!tracer_start(of->tracer, &err), "tracer_start: %s", err.text);
	return of;
}

static void keep(const struct pfuse_trace *record, void *context)
{
	struct seen *of = context;

	/* Of a whole machine there may be more than any test looks at. */
	if (of->count < SEEN_MAX)
		of->records[of->count++] = *record;
}

static void look(struct seen *of)
{
	int taken;

	do
		taken = tracer_consume(of->tracer, 1000, keep, of);
	while (taken > 0);
	cr_assert_eq(taken, 0, "tracer_consume: %s", strerror(-taken));
}

static void stop_and_look(struct seen *of)
{
	tracer_stop(of->tracer);
	look(of);
}

static uint64_t lost(const struct seen *of)
{
	uint64_t sum = 0;

	for (uint32_t cpu = 0; cpu < tracer_cpus(of->tracer); cpu++)
		sum += tracer_lost(of->tracer, cpu, PFUSE_LOSS_RING_FULL);
	return sum;
}

/* Records of `kind` about the thread `pid` (0: any); the last of them in *ret, if wanted. */
static size_t count_of(const struct seen *of, uint32_t kind, pid_t pid, struct pfuse_trace *ret)
{
	size_t count = 0;

	for (size_t i = 0; i < of->count; i++) {
		const struct pfuse_trace *record = &of->records[i];

		if (record->kind != kind || (pid && record->pid != (uint32_t)pid))
			continue;
		count++;
		if (ret)
			*ret = *record;
	}
	return count;
}

/* The kernel's own counts of a thread. */
struct switches {
	unsigned long voluntary;
	unsigned long involuntary;
};

static struct switches switches_of(pid_t pid)
{
	struct switches switches = { 0 };
	char path[32], line[128];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	FILE *status = fopen(path, "re");

	cr_assert(status);
	while (fgets(line, sizeof(line), status)) {
		sscanf(line, "voluntary_ctxt_switches: %lu", &switches.voluntary);
		sscanf(line, "nonvoluntary_ctxt_switches: %lu", &switches.involuntary);
	}
	fclose(status);
	return switches;
}

static size_t count_voluntary(const struct seen *of, pid_t pid)
{
	size_t count = 0;

	for (size_t i = 0; i < of->count; i++)
		count += of->records[i].kind == PFUSE_TR_SWITCH &&
			 of->records[i].pid == (uint32_t)pid && of->records[i].next.state &&
			 of->records[i].next.state != PFUSE_STATE_PREEMPTED;
	return count;
}

static long job_naps(long naps)
{
	for (long i = 0; i < naps; i++)
		job_nap_ms(1);
	return naps;
}

/* It sleeps, as its state says, and has been switched out, as its counts say by no longer growing. */
static struct switches settled(const struct worker *worker)
{
	for (int tries = 0; tries < 1000; tries++) {
		worker_wait_asleep(worker);
		struct switches before = switches_of(worker->pid);

		sleep_ms(2);
		struct switches after = switches_of(worker->pid);

		if (before.voluntary == after.voluntary && before.involuntary == after.involuntary)
			return after;
	}
	cr_assert_fail("worker %d never rests", worker->pid);
	return (struct switches){ 0 };
}

#define NAPS 100

/* The daemon's programs are loaded at the same time: neither minds the other. */
Test(trace, every_switch_of_a_thread_is_told_once, .init = rig_init)
{
	struct group *group = group_make(NULL, "naps");
	struct worker *worker = worker_start(group);
	struct seen *of = begin(0, group, PFUSE_TR_BIT(PFUSE_TR_SWITCH), TRACER_RING_BYTES);
	struct switches before = settled(worker);
	struct pfuse_trace last = { 0 };

	look(of);
	of->count = 0;
	worker_do(worker, job_naps, NAPS);
	worker_do(worker, job_spin_ms, 60); /* so that somebody preempts it */
	struct switches after = settled(worker);

	stop_and_look(of);
	size_t voluntary = count_voluntary(of, worker->pid);
	size_t all = count_of(of, PFUSE_TR_SWITCH, worker->pid, &last);

	cr_expect_eq(voluntary, after.voluntary - before.voluntary, "%zu, kernel %lu", voluntary,
		     after.voluntary - before.voluntary);
	cr_expect_eq(all - voluntary, after.involuntary - before.involuntary, "%zu, kernel %lu",
		     all - voluntary, after.involuntary - before.involuntary);
	/* Where the machine is slow, a nap of 1 ms may be over before the thread is switched out. */
	cr_expect_gt(voluntary, NAPS / 2);
	cr_expect_eq(lost(of), 0);
	cr_expect_eq(last.slot, 1);
	cr_expect_eq(last.tgid, (uint32_t)worker->pid);
	cr_expect_eq(last.next.state, 1, "S");
	cr_expect_eq(last.next.prio, 120 + getpriority(PRIO_PROCESS, (id_t)worker->pid));
}

static void expect_order(const struct seen *of)
{
	uint64_t last_ns[256] = { 0 };

	for (size_t i = 0; i < of->count; i++) {
		const struct pfuse_trace *record = &of->records[i];

		cr_assert(record->cpu < 256 && last_ns[record->cpu] <= record->time_ns,
			  "record %zu of CPU %u goes back in time", i, record->cpu);
		last_ns[record->cpu] = record->time_ns;
	}
}

/*
 * Two rings see the same: of one nobody reads. What it holds and what it lost is what the other holds. Once
 * it was emptied it takes more.
 */
Test(trace, what_does_not_fit_is_counted)
{
	struct group *group = group_make(NULL, "full");
	struct worker *worker = worker_start(group);
	uint32_t kinds = PFUSE_TR_BIT(PFUSE_TR_SWITCH);
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);

	settled(worker);
	struct seen *large = begin(0, group, kinds, TRACER_RING_BYTES);
	struct seen *small = begin(1, group, kinds, page);

	worker_do(worker, job_naps, NAPS);
	settled(worker);
	look(small);
	cr_expect_gt(lost(small), 0);
	cr_expect_eq(small->count, page / (sizeof(struct pfuse_trace) + 8));
	uint64_t before = lost(small);

	worker_do(worker, job_naps, 3);
	settled(worker);
	stop_and_look(small);
	stop_and_look(large);
	cr_expect_eq(lost(small), before);
	cr_expect_eq(lost(large), 0);
	cr_expect_eq(small->count + lost(small), large->count, "%zu + %lu, of %zu", small->count,
		     lost(small), large->count);
}

Test(trace, only_chosen_groups_are_told_and_each_cpu_in_order)
{
	struct group *chosen = group_make(NULL, "chosen"), *child = group_make(chosen, "child");
	struct group *other = group_make(NULL, "other");
	struct worker *inside = worker_start(child), *outside = worker_start(other);

	settled(outside);
	uint32_t scheduling = PFUSE_TR_BIT(PFUSE_TR_SWITCH) | PFUSE_TR_BIT(PFUSE_TR_WAKE);
	struct seen *of = begin(0, chosen, scheduling, TRACER_RING_BYTES);
	struct seen *all = begin(1, NULL, PFUSE_TR_BIT(PFUSE_TR_SWITCH), TRACER_RING_BYTES);

	worker_send(outside, job_naps, 20);
	worker_do(inside, job_naps, 20);
	worker_receive(outside);
	stop_and_look(of);
	stop_and_look(all);
	for (size_t i = 0; i < of->count; i++) {
		const struct pfuse_trace *record = &of->records[i];

		cr_expect(record->slot == 1 ||
				  (record->kind == PFUSE_TR_SWITCH && record->next.next_slot == 1),
			  "record %zu of kind %u is of another group", i, record->kind);
	}
	expect_order(of);
	expect_order(all);
	cr_expect_gt(count_of(of, PFUSE_TR_SWITCH, inside->pid, NULL), 10);
	cr_expect_gt(count_of(all, PFUSE_TR_SWITCH, inside->pid, NULL), 10);
	cr_expect_gt(count_of(all, PFUSE_TR_SWITCH, outside->pid, NULL), 10);
}

#define WAKES 20

Test(trace, a_wake_names_who_woke)
{
	struct group *group = group_make(NULL, "wake");
	struct worker *worker = worker_start(group);
	struct seen *of = begin(0, group, PFUSE_TR_BIT(PFUSE_TR_WAKE), TRACER_RING_BYTES);
	size_t ours = 0;

	for (int i = 0; i < WAKES; i++) {
		settled(worker);
		worker_do(worker, job_nothing, 0);
	}
	stop_and_look(of);
	for (size_t i = 0; i < of->count; i++)
		ours += of->records[i].pid == (uint32_t)worker->pid &&
			of->records[i].other.tgid == (uint32_t)getpid();
	cr_expect_eq(ours, WAKES);
	cr_expect_eq(of->count, count_of(of, PFUSE_TR_WAKE, worker->pid, NULL));
}

/* In the worker: a child that runs another program and ends with 0, and one that ends with 3. */
static long job_children(long arg)
{
	pid_t child = fork();

	if (!child) {
		execl("/proc/self/exe", "exe", "--do-nothing", (char *)NULL);
		_exit(127);
	}
	waitpid(child, NULL, 0);
	child = fork();
	if (!child)
		_exit(3);
	waitpid(child, NULL, 0);
	return child;
}

static void expect_life(const struct seen *of, pid_t parent, pid_t second)
{
	struct pfuse_trace record = { 0 };

	cr_expect_eq(count_of(of, PFUSE_TR_FORK, 0, NULL), 2);
	cr_expect_eq(count_of(of, PFUSE_TR_FORK, second, &record), 1);
	cr_expect_eq(record.other.pid, (uint32_t)parent);
	cr_expect_eq(count_of(of, PFUSE_TR_EXEC, 0, &record), 1);
	cr_expect_str_eq(record.comm, "exe");
	cr_expect_eq(count_of(of, PFUSE_TR_EXIT, 0, NULL), 2);
	cr_expect_eq(count_of(of, PFUSE_TR_EXIT, second, &record), 1);
	cr_expect_eq(record.exit.code, 3 << 8);
}

Test(trace, processes_are_told_from_birth_to_end_and_signals_with_their_sender)
{
	struct group *group = group_make(NULL, "life");
	struct worker *worker = worker_start(group);
	uint32_t kinds = PFUSE_TR_BIT(PFUSE_TR_FORK) | PFUSE_TR_BIT(PFUSE_TR_EXEC) |
			 PFUSE_TR_BIT(PFUSE_TR_EXIT) | PFUSE_TR_BIT(PFUSE_TR_SIGNAL);
	struct seen *of = begin(0, group, kinds, TRACER_RING_BYTES);
	pid_t second = (pid_t)worker_do(worker, job_children, 0);
	struct pfuse_trace record = { 0 };

	look(of);
	expect_life(of, worker->pid, second);
	of->count = 0;
	kill(worker->pid, SIGWINCH);
	look(of);
	cr_expect_eq(count_of(of, PFUSE_TR_SIGNAL, worker->pid, &record), 1);
	cr_expect_eq(record.signal.number, SIGWINCH);
	cr_expect_eq(record.signal.result, 1, "ignored");
	cr_expect_eq(record.other.tgid, (uint32_t)getpid());
	kill(worker->pid, SIGKILL);
	stop_and_look(of);
	cr_expect_eq(count_of(of, PFUSE_TR_SIGNAL, worker->pid, &record), 2);
	cr_expect_eq(record.signal.number, SIGKILL);
	cr_expect_eq(record.signal.result, 0, "delivered");
}

#define LIMIT (64 * MIB)

static long job_touch(long bytes)
{
	long page = sysconf(_SC_PAGESIZE);
	volatile char *at = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return -1;
	madvise((void *)at, (size_t)bytes, MADV_NOHUGEPAGE);
	for (long i = 0; i < bytes; i += page)
		at[i] = 1;
	return 0;
}

Test(trace, faults_above_the_high_water_mark_are_told)
{
	struct group *group = group_make(NULL, "fault");

	group_limit(group, LIMIT);
	struct worker *worker = worker_start(group);
	struct seen *of = begin(0, group, PFUSE_TR_BIT(PFUSE_TR_FAULT), TRACER_RING_BYTES);
	struct pfuse_trace record = { 0 };

	if (tracer_missing(of->tracer))
		RIG_SKIP("this architecture does not tell page faults");
	cr_assert_eq(worker_do(worker, job_touch, LIMIT / 2), 0);
	look(of);
	cr_expect_eq(of->count, 0, "half of the limit is below the mark");
	cr_assert_eq(worker_do(worker, job_touch, LIMIT / 100 * 46), 0);
	stop_and_look(of);
	cr_expect_gt(count_of(of, PFUSE_TR_FAULT, worker->pid, &record), 100);
	cr_expect_eq(record.fault.limit_pages, LIMIT / (size_t)sysconf(_SC_PAGESIZE));
	cr_expect_geq(record.fault.usage_pages, record.fault.limit_pages / 10 * 9);
}

#define TALKS 5

Test(trace, each_talk_with_an_outsider_is_told)
{
	const struct talk_case row = { "", UNIX_STREAM, NULL, IN_A, OUTSIDE, SILENT };
	struct group *group = group_make(NULL, "talk");
	struct worker *client = worker_start(group), *server = worker_start(NULL);
	struct seen *of = begin(0, group, PFUSE_TR_BIT(PFUSE_TR_TALK), TRACER_RING_BYTES);
	struct pfuse_trace record = { 0 };

	if (tracer_missing(of->tracer))
		RIG_SKIP("this kernel does not show talks");
	talk_meet(&row, client, server);
	look(of);
	of->count = 0;
	for (int i = 0; i < TALKS; i++)
		talk_exchange(&row, client, server);
	talk_part(&row, client, server);
	stop_and_look(of);
	cr_expect_geq(count_of(of, PFUSE_TR_TALK, client->pid, &record), TALKS);
	cr_expect_eq(record.talk.channel, PFUSE_CH_UNIX);
	cr_expect_eq(record.talk.peer_pid, (uint32_t)server->pid);
	cr_expect_eq(record.slot, 1);
	cr_expect_eq(record.talk.outside, 0);
	cr_expect_geq(count_of(of, PFUSE_TR_TALK, server->pid, &record), 1, "the answers");
	cr_expect_eq(record.talk.outside, 1);
	cr_expect_eq(record.talk.incoming, 1);
}

/* Programs of this process, and how many of them there were before. */
struct loaded {
	struct ids programs;
	size_t before;
};

static bool ours_are_gone(void *context)
{
	const struct loaded *loaded = context;

	return ids_alive(&loaded->programs, bpf_prog_get_fd_by_id) == loaded->before;
}

Test(trace, a_trace_that_is_closed_leaves_nothing_loaded)
{
	struct group *group = group_make(NULL, "gone");
	struct loaded loaded = { .before = ids_of_programs().count };

	begin(0, group, ALL_KINDS, TRACER_RING_BYTES);
	loaded.programs = ids_of_programs();
	cr_expect_gt(loaded.programs.count, loaded.before);
	tracer_close(seen[0].tracer);
	seen[0].tracer = NULL;
	cr_expect(poll_until(ours_are_gone, &loaded));
}
