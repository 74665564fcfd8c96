/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A process that grows: touches START MiB, waits, then grows to TO MiB, then holds it.
 *
 *	hog START_MIB TO_MIB [RATE_MIB_PER_S [WAIT_S [HOLD_S]]]
 *
 * RATE 0 (the default): one step, as fast as the machine can. Says "at START" and "at TO" on stdout.
 * Exit 0 when it lived to the end; 1 when memory could not be had; killed when the kernel kills it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MIB (1ul << 20)

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void nap(double seconds)
{
	struct timespec t = { .tv_sec = (time_t)seconds };

	t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
	nanosleep(&t, NULL);
}

/* One MiB at a time; with a rate, waits whenever it is ahead of it. */
static void touch(char *at, size_t from_mib, size_t to_mib, double rate)
{
	double start = now();

	for (size_t i = from_mib; i < to_mib; i++) {
		memset(at + i * MIB, 1, MIB);
		double ahead = rate > 0 ? (double)(i + 1 - from_mib) / rate - (now() - start) : 0;

		if (ahead > 0)
			nap(ahead);
	}
}

int main(int argc, char **argv)
{
	size_t start = argc > 1 ? strtoul(argv[1], NULL, 10) : 10;
	size_t to = argc > 2 ? strtoul(argv[2], NULL, 10) : 410;
	double rate = argc > 3 ? atof(argv[3]) : 0;
	double wait = argc > 4 ? atof(argv[4]) : 0;
	double hold = argc > 5 ? atof(argv[5]) : 0;
	char *at = mmap(NULL, to * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED) {
		perror("hog: mmap");
		return 1;
	}
	touch(at, 0, start, 0);
	printf("at %zu\n", start);
	fflush(stdout);
	nap(wait);
	double before = now();

	touch(at, start, to, rate);
	printf("at %zu, %.0f MiB/s\n", to, (double)(to - start) / (now() - before));
	fflush(stdout);
	nap(hold);
	return 0;
}
