/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What stands between the trace ring and the output: the order of time, times of threads, who is known. */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/cleanup.h"
#include "export/trace_order.h"
#include "export/trace_threads.h"
#include "export/trace_times.h"

#define MS UINT64_C(1000000)
#define UNKNOWN TRACE_TIME_UNKNOWN

static struct pfuse_trace at(uint64_t time_ns, uint32_t pid)
{
	return (struct pfuse_trace){ .time_ns = time_ns, .kind = PFUSE_TR_SWITCH, .pid = pid };
}

struct given {
	uint64_t times[10000];
	uint32_t pids[10000];
	size_t count;
};

static void take(const struct pfuse_trace *record, void *context)
{
	struct given *given = context;

	given->times[given->count] = record->time_ns;
	given->pids[given->count++] = record->pid;
}

static void put(struct trace_order *order, uint64_t time_ns, uint32_t pid)
{
	struct pfuse_trace record = at(time_ns, pid);

	trace_order_put(order, &record);
}

Test(trace_order, gives_in_the_order_of_time_and_holds_back_what_may_be_overtaken)
{
	static struct given given;
	struct trace_order *order;

	cr_assert_eq(trace_order_open(take, &given, &order), 0);
	put(order, 10 * MS, 1);
	put(order, 10 * MS + 2, 2);
	put(order, 10 * MS + 1, 3);
	trace_order_take(order, 10 * MS + 2);
	cr_expect_eq(given.count, 0, "all are new");
	put(order, 10 * MS + 1 + TRACE_ORDER_HOLD_NS, 4);
	trace_order_take(order, 10 * MS + 1 + TRACE_ORDER_HOLD_NS);
	cr_expect_eq(given.count, 2, "those that are older by the hold");
	cr_expect_eq(given.pids[0], 1);
	cr_expect_eq(given.pids[1], 3);
	put(order, 10 * MS, 5);
	cr_expect_eq(given.count, 3, "too late to be put in order: given at once");
	cr_expect_eq(trace_order_late(order), 1);
	trace_order_take(order, UINT64_MAX);
	cr_expect_eq(given.count, 5);
	cr_expect_eq(given.pids[3], 2);
	cr_expect_eq(given.pids[4], 4);
	trace_order_close(order);
}

/* Seen at the edges of a group only: nobody knows what the others did in between. */
Test(trace_times, of_groups_alone_tell_nothing_about_the_rest)
{
	struct pfuse_trace leaves = at(10 * MS, 5), comes = at(30 * MS, 9);
	struct trace_times_of times;
	struct trace_times *all, *some;

	cr_assert_eq(trace_times_open(1, &all), 0);
	cr_assert_eq(trace_times_open(1, &some), 0);
	trace_times_only_groups(some);
	leaves.slot = 1;
	leaves.other.pid = 9;
	comes.next.state = PFUSE_STATE_PREEMPTED;
	comes.other.pid = 5;
	comes.next.next_slot = 1;
	trace_times_note(all, &leaves);
	trace_times_note(some, &leaves);
	times = trace_times_note(all, &comes);
	cr_expect_eq(times.ran_ns, 20 * MS);
	times = trace_times_note(some, &comes);
	cr_expect_eq(times.ran_ns, UNKNOWN, "9 may have been away meanwhile");
	leaves.time_ns = 40 * MS;
	times = trace_times_note(all, &leaves);
	cr_expect_eq(times.ran_ns, 10 * MS);
	cr_expect_eq(times.waited_ns, 10 * MS);
	times = trace_times_note(some, &leaves);
	cr_expect_eq(times.ran_ns, 10 * MS, "5 is in the group, and all of it is seen");
	cr_expect_eq(times.waited_ns, UNKNOWN);
	trace_times_close(all);
	trace_times_close(some);
}

Test(trace_order, of_equal_times_the_first_stays_first)
{
	static struct given given;
	struct trace_order *order;

	cr_assert_eq(trace_order_open(take, &given, &order), 0);
	for (uint32_t pid = 1; pid <= 100; pid++)
		put(order, 7, pid);
	trace_order_take(order, UINT64_MAX);
	for (uint32_t i = 0; i < 100; i++)
		cr_expect_eq(given.pids[i], i + 1);
	trace_order_close(order);
}

Test(trace_order, gives_all_of_more_than_it_can_hold)
{
	static struct given given;
	struct trace_order *order;
	uint64_t last = 0;

	cr_assert_eq(trace_order_open(take, &given, &order), 0);
	for (uint32_t i = 0; i < 10000; i++)
		put(order, 100 + (i ^ 3), i); /* neighbours changed places */
	trace_order_take(order, UINT64_MAX);
	cr_assert_eq(given.count, 10000);
	for (size_t i = 0; i < given.count; i++) {
		cr_assert_leq(last, given.times[i]);
		last = given.times[i];
	}
	cr_expect_eq(trace_order_late(order), 0);
	trace_order_close(order);
}

#define WAKE 1000

/* A switch from one thread to another in this state, or, if `to` is WAKE, a wake of it. */
static const struct step {
	uint64_t time_ns;
	uint32_t cpu, from, to, state;
	uint64_t ran_ns, waited_ns;
	const char *why;
} steps[] = {
	{ 100, 0, 7, 8, 1, UNKNOWN, UNKNOWN, "nobody was seen coming" },
	{ 130, 0, 8, 0, 1, 30, UNKNOWN, "8 ran since 100; nobody waits to be idle" },
	{ 140, 0, 8, WAKE, 0, UNKNOWN, UNKNOWN, "8 may run" },
	{ 145, 0, 8, WAKE, 0, UNKNOWN, UNKNOWN, "woken twice: it waits since the first time" },
	{ 150, 1, 0, 8, 0, UNKNOWN, 10, "on another CPU; the idle task has no time" },
	{ 170, 1, 8, 9, PFUSE_STATE_PREEMPTED, 20, UNKNOWN, "8 is preempted: it waits from now" },
	{ 200, 1, 9, 8, 1, 30, 30, "" },
	{ 200, 1, 8, 9, 0, 0, UNKNOWN, "a slice of no time; 9 slept, its wake was not seen" },
	{ 210, 1, 9, 8, 2, 10, 10, "8 was still runnable" },
	{ 220, 0, 5, 6, 1, UNKNOWN, UNKNOWN, "5 was not what CPU 0 was seen to run" },
};

Test(trace_times, tells_how_long_a_thread_ran_and_waited)
{
	struct trace_times *times;

	cr_assert_eq(trace_times_open(2, &times), 0);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		const struct step *step = &steps[i];
		struct pfuse_trace record = at(step->time_ns, step->from);

		record.cpu = (__u16)step->cpu;
		record.next.state = step->state;
		if (step->to == WAKE)
			record.kind = PFUSE_TR_WAKE;
		else
			record.other.pid = step->to;
		struct trace_times_of of = trace_times_note(times, &record);

		cr_expect_eq(of.ran_ns, step->ran_ns, "%zu: %s", i, step->why);
		cr_expect_eq(of.waited_ns, step->waited_ns, "%zu: %s", i, step->why);
	}
	trace_times_close(times);
}

Test(trace_times, what_was_lost_makes_times_unknown)
{
	struct trace_times *times;
	struct pfuse_trace wake = at(100, 5), come = at(200, 4), go = at(300, 5);

	cr_assert_eq(trace_times_open(1, &times), 0);
	wake.kind = PFUSE_TR_WAKE;
	come.other.pid = 5;
	trace_times_note(times, &wake);
	trace_times_forget(times, 0);
	cr_expect_eq(trace_times_note(times, &come).waited_ns, UNKNOWN);
	trace_times_forget(times, 0);
	cr_expect_eq(trace_times_note(times, &go).ran_ns, UNKNOWN);
	trace_times_close(times);
}

Test(trace_times, a_cpu_that_does_not_exist_is_left_alone)
{
	struct trace_times *times;
	struct pfuse_trace record = at(100, 5);

	cr_assert_eq(trace_times_open(1, &times), 0);
	record.cpu = 1;
	cr_expect_eq(trace_times_note(times, &record).ran_ns, UNKNOWN);
	trace_times_forget(times, 1);
	trace_times_close(times);
}

Test(trace_threads, a_thread_is_new_once_and_again_with_another_name_or_process)
{
	struct trace_threads threads = { 0 };
	const char a[PFUSE_COMM_LEN] = "a", b[PFUSE_COMM_LEN] = "b";

	for (uint32_t tid = 1; tid < 5000; tid++)
		cr_assert(trace_threads_note(&threads, tid * 256, tid, a), "%u", tid);
	for (uint32_t tid = 1; tid < 5000; tid++)
		cr_assert(!trace_threads_note(&threads, tid * 256, tid, a), "%u", tid);
	cr_expect(trace_threads_note(&threads, 256, 1, b));
	cr_expect(!trace_threads_note(&threads, 256, 1, b));
	cr_expect(trace_threads_note(&threads, 256, 2, b), "the number went to another process");
	cr_expect_eq(threads.count, 4999);
	trace_threads_free(&threads);
}
