/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A process that grows: touches START MiB, waits, then grows to TO MiB, then holds it.
 *
 *	hog [--on-line] [--populate] START_MIB TO_MIB [RATE_MIB_PER_S [WAIT_S [HOLD_S]]]
 *
 * RATE 0 (the default): one step, as fast as the machine can. Says "at START" and "at TO" on stdout.
 * --on-line: grows once a line, or the end, comes on stdin. --populate: grows by one mmap() with
 * MAP_POPULATE, whose pages come without a fault of user mode, and touches them then.
 * Exit 0 when it lived to the end; 1 when memory could not be had; killed when the kernel kills it.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MIB (1ul << 20)

struct hog {
	size_t start_mib, to_mib;
	double rate, wait, hold;
	bool on_line, populate;
};

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

static char *map(size_t mib, int flags)
{
	char *at = mmap(NULL, mib * MIB, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	if (at != MAP_FAILED)
		return at;
	perror("hog: mmap");
	exit(1);
}

/* One MiB at a time; with a rate, waits whenever it is ahead of it. */
static void touch(char *at, size_t mib, double rate)
{
	double start = now();

	for (size_t i = 0; i < mib; i++) {
		memset(at + i * MIB, 1, MIB);
		double ahead = rate > 0 ? (double)(i + 1) / rate - (now() - start) : 0;

		if (ahead > 0)
			nap(ahead);
	}
}

static void grow(const struct hog *hog)
{
	size_t mib = hog->to_mib - hog->start_mib;

	touch(map(mib, hog->populate ? MAP_POPULATE : 0), mib, hog->rate);
}

static void parse(int argc, char **argv, struct hog *ret)
{
	struct hog hog = { .start_mib = 10, .to_mib = 410 };
	int i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		hog.on_line |= !strcmp(argv[i], "--on-line");
		hog.populate |= !strcmp(argv[i], "--populate");
	}
	if (i < argc)
		hog.start_mib = strtoul(argv[i++], NULL, 10);
	if (i < argc)
		hog.to_mib = strtoul(argv[i++], NULL, 10);
	hog.rate = i < argc ? atof(argv[i++]) : 0;
	hog.wait = i < argc ? atof(argv[i++]) : 0;
	hog.hold = i < argc ? atof(argv[i++]) : 0;
	*ret = hog;
}

int main(int argc, char **argv)
{
	struct hog hog;

	parse(argc, argv, &hog);
	touch(map(hog.start_mib ? hog.start_mib : 1, 0), hog.start_mib, 0);
	printf("at %zu\n", hog.start_mib);
	fflush(stdout);
	if (hog.on_line)
		for (int c = getchar(); c != EOF && c != '\n';)
			c = getchar();
	nap(hog.wait);
	double before = now();

	grow(&hog);
	printf("at %zu, %.0f MiB/s\n", hog.to_mib, (double)(hog.to_mib - hog.start_mib) / (now() - before));
	fflush(stdout);
	nap(hog.hold);
	return 0;
}
