/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "account.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

static uint64_t status_number(pid_t pid, const char *key)
{
	char path[32], line[128];
	unsigned long long number = 0;
	size_t length = strlen(key);

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	FILE *status = fopen(path, "re");

	while (status && fgets(line, sizeof(line), status))
		if (!strncmp(line, key, length) && line[length] == ':')
			number = strtoull(line + length + 1, NULL, 10);
	if (status)
		fclose(status);
	return number;
}

struct account account_of(pid_t pid)
{
	char path[32];
	unsigned long long run = 0, wait = 0, slices = 0;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
	FILE *schedstat = fopen(path, "re");

	cr_assert(schedstat && fscanf(schedstat, "%llu %llu %llu", &run, &wait, &slices) == 3, "%s",
		  path);
	fclose(schedstat);
	return (struct account){
		.run_ns = run,
		.wait_ns = wait,
		.slices = slices,
		.nvcsw = status_number(pid, "voluntary_ctxt_switches"),
		.nivcsw = status_number(pid, "nonvoluntary_ctxt_switches"),
	};
}

static bool same(const struct account *a, const struct account *b)
{
	return !memcmp(a, b, sizeof(*a));
}

struct account settled(struct worker *worker, uint32_t slot, struct pfuse_stats *ret)
{
	for (int tries = 0; tries < 1000; tries++) {
		worker_wait_asleep(worker);
		/* First: who looks like asleep may still be on its way off the CPU, not yet counted. */
		bool is_off = !probe_oncpu(probe, slot);
		struct account before = account_of(worker->pid);

		*ret = watch_read(slot);
		struct account after = account_of(worker->pid);

		if (is_off && same(&before, &after))
			return after;
		sleep_ms(1);
	}
	cr_assert_fail("worker %d never rests", worker->pid);
	return (struct account){ 0 };
}

void pin(pid_t pid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	cr_assert(sched_setaffinity(pid, sizeof(set), &set) == 0);
}
