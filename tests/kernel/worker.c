/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rig.h"

#define WORKERS_MAX 16

struct order {
	worker_job *job; /* the worker is a fork of the test: same addresses */
	long arg;
};

static struct worker *started[WORKERS_MAX];
static size_t nstarted;

static void __attribute__((noreturn)) obey(int from, int to)
{
	struct order order;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(from, &order, sizeof(order)) == sizeof(order)) {
		long result = order.job(order.arg);

		if (write(to, &result, sizeof(result)) != sizeof(result))
			break;
	}
	_exit(0);
}

struct worker *worker_start(const struct group *group)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	int orders[2], results[2];

	cr_assert(worker && nstarted < WORKERS_MAX);
	cr_assert(pipe(orders) == 0 && pipe(results) == 0);
	worker->pid = fork();
	cr_assert(worker->pid >= 0);
	if (!worker->pid) {
		close(orders[1]);
		close(results[0]);
		obey(orders[0], results[1]);
	}
	close(orders[0]);
	close(results[1]);
	worker->to = orders[1];
	worker->from = results[0];
	started[nstarted++] = worker;
	if (group)
		group_add(group, worker->pid);
	worker_do(worker, job_nothing, 0);
	worker_wait_asleep(worker);
	return worker;
}

void worker_send(struct worker *worker, worker_job *job, long arg)
{
	struct order order = { .job = job, .arg = arg };

	cr_assert(write(worker->to, &order, sizeof(order)) == sizeof(order));
}

long worker_receive(struct worker *worker)
{
	long result;

	cr_assert(read(worker->from, &result, sizeof(result)) == sizeof(result),
		  "worker %d ended before it answered", worker->pid);
	return result;
}

long worker_do(struct worker *worker, worker_job *job, long arg)
{
	worker_send(worker, job, arg);
	return worker_receive(worker);
}

static bool is_asleep(void *context)
{
	const struct worker *worker = context;
	char path[32], state = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", worker->pid);
	FILE *stat = fopen(path, "re");

	if (!stat || fscanf(stat, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	if (stat)
		fclose(stat);
	return state == 'S';
}

void worker_wait_asleep(const struct worker *worker)
{
	cr_assert(poll_until(is_asleep, (void *)worker), "worker %d does not sleep", worker->pid);
}

void worker_end(struct worker *worker)
{
	kill(worker->pid, SIGKILL);
	waitpid(worker->pid, NULL, 0);
	close(worker->to);
	close(worker->from);
	for (size_t i = 0; i < nstarted; i++)
		if (started[i] == worker)
			started[i] = NULL;
	while (nstarted && !started[nstarted - 1])
		nstarted--;
	free(worker);
}

void workers_end_all(void)
{
	while (nstarted) /* which worker_end() lowers */
		worker_end(started[nstarted - 1]);
}

long job_nothing(long arg)
{
	return arg;
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

long job_spin_ms(long ms)
{
	int64_t until = clock_ns(CLOCK_PROCESS_CPUTIME_ID) + ms * 1000000LL;

	while (clock_ns(CLOCK_PROCESS_CPUTIME_ID) < until)
		;
	return 0;
}

long job_nap_ms(long ms)
{
	sleep_ms((unsigned int)ms);
	return 0;
}
