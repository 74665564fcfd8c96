/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Programs of the kinds that the paper on priority tables runs, and a video player's rhythm.
 *
 *	programs fibo N                   the N-th Fibonacci number by plain recursion; 0: again and again
 *	programs ray WIDTH FRAMES         spheres and a floor with shadows and one reflection, c-ray's kind of work
 *	programs video PERIOD_US BURST_US works so much CPU time at the beginning of each period, for ever
 *
 * The first two print what they found, so that nothing of the work can be left out.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* fibo */

static unsigned long fibonacci(unsigned n)
{
	return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static int fibo(long n, long unused)
{
	(void)unused;
	do
		printf("%lu\n", fibonacci(n ? (unsigned)n : 32));
	while (!n);
	return 0;
}

/* ray */

struct vector {
	double x, y, z;
};

struct sphere {
	struct vector centre;
	double radius;
};

static const struct sphere spheres[] = {
	{ { 0, 1, 6 }, 1 },	  { { 2, 0.7, 5 }, 0.7 },  { { -2, 0.8, 5 }, 0.8 },
	{ { 0.8, 0.4, 3 }, 0.4 }, { { -1, 0.3, 3 }, 0.3 },
};

static const struct vector light = { -0.577, 0.577, -0.577 };

static struct vector along(struct vector from, struct vector to, double t)
{
	return (struct vector){ from.x + to.x * t, from.y + to.y * t, from.z + to.z * t };
}

static double dot(struct vector a, struct vector b)
{
	return a.x * b.x + a.y * b.y + a.z * b.z;
}

/* The nearest hit at a distance above 0; HUGE_VAL: none. */
static double hit(const struct sphere *s, struct vector from, struct vector to)
{
	struct vector rel = along(from, s->centre, -1);
	double b = dot(rel, to), d = b * b - dot(rel, rel) + s->radius * s->radius;
	double t = d < 0 ? -1 : -b - sqrt(d);

	return t > 1e-6 ? t : HUGE_VAL;
}

static const struct sphere *nearest(struct vector from, struct vector to, double *ret_t)
{
	const struct sphere *found = NULL;

	*ret_t = HUGE_VAL;
	for (size_t i = 0; i < sizeof(spheres) / sizeof(spheres[0]); i++) {
		double t = hit(&spheres[i], from, to);

		if (t < *ret_t) {
			*ret_t = t;
			found = &spheres[i];
		}
	}
	return found;
}

static double shade(struct vector from, struct vector to, int depth)
{
	double t, floor = to.y < 0 ? -from.y / to.y : HUGE_VAL, lit;
	const struct sphere *s = nearest(from, to, &t);
	struct vector at, normal = { 0, 1, 0 };

	if (t == HUGE_VAL && floor == HUGE_VAL)
		return 0.2;
	at = along(from, to, t < floor ? t : floor);
	if (t < floor) {
		normal = along(at, s->centre, -1);
		normal = along((struct vector){ 0 }, normal, 1 / s->radius);
	}
	lit = dot(normal, light);
	if (lit < 0 || nearest(at, light, &t))
		lit = 0;
	if (depth)
		lit += 0.3 * shade(at, along(to, normal, -2 * dot(to, normal)), depth - 1);
	return 0.1 + 0.7 * lit;
}

static int ray(long width, long frames)
{
	const struct vector eye = { 0, 1, -2 };
	double sum = 0;

	for (long frame = 0; frame < frames; frame++)
		for (long pixel = 0; pixel < width * width; pixel++) {
			struct vector to = { (double)(pixel % width) / (double)width - 0.5,
					     0.5 - (double)(pixel / width) / (double)width, 1 };

			to = along((struct vector){ 0 }, to, 1 / sqrt(dot(to, to)));
			sum += shade(eye, to, 3);
		}
	printf("%.6f\n", sum / (double)(width * width));
	return 0;
}

/* video */

static long long now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* A frame that comes late is not made up for: the next period begins at its own time. */
static int video(long period_us, long burst_us)
{
	long long next = now_ns(CLOCK_MONOTONIC);

	for (;;) {
		long long until = now_ns(CLOCK_THREAD_CPUTIME_ID) + burst_us * 1000LL;

		while (now_ns(CLOCK_THREAD_CPUTIME_ID) < until)
			;
		while (next <= now_ns(CLOCK_MONOTONIC))
			next += period_us * 1000LL;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME,
				&(struct timespec){ next / 1000000000, next % 1000000000 }, NULL);
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(long a, long b);
		int arguments;
	} programs[] = { { "fibo", fibo, 1 }, { "ray", ray, 2 }, { "video", video, 2 } };

	for (size_t i = 0; argc > 2 && i < sizeof(programs) / sizeof(programs[0]); i++)
		if (!strcmp(argv[1], programs[i].name) && argc == 2 + programs[i].arguments)
			return programs[i].run(strtol(argv[2], NULL, 10),
					       argc > 3 ? strtol(argv[3], NULL, 10) : 0);
	fprintf(stderr, "usage: programs fibo N | ray WIDTH FRAMES | video PERIOD_US BURST_US\n");
	return 2;
}
