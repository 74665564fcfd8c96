/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Uses a known share of one CPU.
 *
 *	burn PERMILLE MS [PERMILLE MS]...
 *
 * For MS of wall time each, so much CPU time that its share of the time since the phase began is PERMILLE:
 * what it was kept from it makes up for, within the phase. Prints a line as each phase begins and one at
 * the end: the time (CLOCK_REALTIME, ms) and the CPU time of this process until then (us).
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static long long clock_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static void say(void)
{
	printf("%lld %lld\n", clock_us(CLOCK_REALTIME) / 1000, clock_us(CLOCK_PROCESS_CPUTIME_ID));
	fflush(stdout);
}

static void phase(long permille, long ms)
{
	const struct timespec rest = { .tv_nsec = 2000000 };
	long long start = clock_us(CLOCK_MONOTONIC), used = clock_us(CLOCK_PROCESS_CPUTIME_ID), now;

	while ((now = clock_us(CLOCK_MONOTONIC)) < start + ms * 1000LL)
		if (clock_us(CLOCK_PROCESS_CPUTIME_ID) - used >= (now - start) * permille / 1000)
			nanosleep(&rest, NULL);
}

int main(int argc, char **argv)
{
	if (argc < 3 || argc % 2 == 0) {
		fprintf(stderr, "usage: burn PERMILLE MS [PERMILLE MS]...\n");
		return 2;
	}
	for (int i = 1; i < argc; i += 2) {
		say();
		phase(strtol(argv[i], NULL, 10), strtol(argv[i + 1], NULL, 10));
	}
	say();
	return 0;
}
