/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A work whose need of memory is known, and whose speed can be compared: touches a hot part of its memory
 * at random as fast as it can, and now and then a page of the rest.
 *
 *	hotcold MIB HOT_PERMILLE COLD_PER_SECOND DUTY_PERCENT [huge]
 *
 * Says "ready" once all memory is filled (half of each page compresses), then a line each second: ns of
 * CLOCK_MONOTONIC, batches of 1,024 touches made since the start, and p99 and longest of this second's, in us.
 * After each batch it sleeps, the longer the longer that took, so that it works for DUTY percent of the time and its
 * speed is still what the memory allows. Goes on until it is ended. huge: by huge pages where there are any.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <signal.h>
#include <time.h>

#include "base/hist.h"

#define PAGE 4096u
#define HUGE (2u << 20)
#define BATCH 1024u
#define SECOND 1000000000u

struct work {
	volatile unsigned char *memory;
	uint64_t pages, hot, duty;
	double cold_per_s;
	uint64_t state; /* of the random numbers */
	uint64_t batches;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

/* Xorshift, and the high bits of a product in place of a division. */
static uint64_t below(struct work *work, uint64_t limit)
{
	work->state ^= work->state << 13;
	work->state ^= work->state >> 7;
	work->state ^= work->state << 17;
	return (uint64_t)(((unsigned __int128)work->state * limit) >> 64);
}

static unsigned char *map(size_t bytes, bool huge)
{
	unsigned char *at = mmap(NULL, bytes + HUGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED) {
		perror("hotcold: mmap");
		exit(1);
	}
	at = (unsigned char *)(((uintptr_t)at + HUGE - 1) & ~(uintptr_t)(HUGE - 1));
	madvise(at, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	return at;
}

static void fill(struct work *work)
{
	for (uint64_t page = 0; page < work->pages; page++) {
		uint64_t words[PAGE / 16];

		for (size_t i = 0; i < PAGE / 16; i++)
			words[i] = below(work, UINT64_MAX);
		memcpy((unsigned char *)work->memory + page * PAGE, words, sizeof(words));
	}
}

static void batch(struct work *work)
{
	for (uint32_t i = 0; i < BATCH; i++)
		work->memory[below(work, work->hot) * PAGE]++;
	work->batches++;
}

/* Those that are due since `begun_ns`. */
static void touch_cold(struct work *work, uint64_t *touched, uint64_t begun_ns, uint64_t at_ns)
{
	uint64_t due = (uint64_t)(work->cold_per_s * (double)(at_ns - begun_ns) / SECOND);

	if (work->hot == work->pages)
		return;
	for (; *touched < due; (*touched)++)
		work->memory[(work->hot + below(work, work->pages - work->hot)) * PAGE]++;
}

/* When it is over. */
static uint64_t rest(const struct work *work, uint64_t now, uint64_t worked_ns)
{
	uint64_t until = now + worked_ns * (100 - work->duty) / work->duty;
	const struct timespec at = { .tv_sec = (time_t)(until / SECOND),
				     .tv_nsec = (long)(until % SECOND) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
	return now_ns();
}

static void run(struct work *work)
{
	uint64_t begun_ns = now_ns(), from_ns = begun_ns, cold = 0;

	for (uint64_t report_ns = begun_ns + SECOND;; report_ns = from_ns + SECOND) {
		struct hist lasted = { 0 };

		while (from_ns < report_ns) {
			uint64_t started_ns = from_ns;

			batch(work);
			touch_cold(work, &cold, begun_ns, from_ns);
			uint64_t to_ns = now_ns();

			if (hist_record(&lasted, to_ns - from_ns) < 0)
				exit(1);
			from_ns = to_ns;
			if (work->duty < 100)
				from_ns = rest(work, to_ns, to_ns - started_ns);
		}
		printf("%llu %llu %.1f %.1f\n", (unsigned long long)from_ns,
		       (unsigned long long)work->batches,
		       (double)hist_percentile(&lasted, 990) / 1e3, (double)lasted.max / 1e3);
		fflush(stdout);
		hist_free(&lasted);
	}
}

int main(int argc, char **argv)
{
	bool huge = argc == 6 && !strcmp(argv[5], "huge");
	uint64_t mib = argc == 5 + huge ? strtoull(argv[1], NULL, 10) : 0;
	uint64_t hot = mib ? strtoull(argv[2], NULL, 10) : 0;
	struct work work = { .pages = (mib << 20) / PAGE, .state = 88172645463325252u };

	if (!mib || mib > 1 << 20 || !hot || hot > 1000 || atoi(argv[4]) < 1) {
		fputs("usage: hotcold MIB HOT_PERMILLE COLD_PER_SECOND DUTY_PERCENT [huge]\n",
		      stderr);
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	work.hot = work.pages * hot / 1000 ? work.pages * hot / 1000 : 1;
	work.cold_per_s = atof(argv[3]);
	work.duty = (uint64_t)atoi(argv[4]);
	work.memory = map(mib << 20, huge);
	fill(&work);
	puts("ready");
	fflush(stdout);
	run(&work);
}
