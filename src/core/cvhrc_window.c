/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/cvhrc_window.h"

#include <stdint.h>
#include <string.h>

/* Below one epoch that are looked at; the rest is one step. */
#define OCTAVES 8.0

/* By the bits of a double; between powers of two by atanh's series: off by less than 1e-6. */
static double log2_of(double x)
{
	uint64_t bits;
	double m, z, zz;
	int exponent;

	memcpy(&bits, &x, sizeof(bits));
	exponent = (int)(bits >> 52 & 0x7ff) - 1023;
	bits = (bits & 0xfffffffffffffull) | 0x3ff0000000000000ull;
	memcpy(&m, &bits, sizeof(m));
	z = (m - 1) / (m + 1);
	zz = z * z;
	return exponent +
	       2.8853900817779268 * z * (1 + zz * (1.0 / 3 + zz * (1.0 / 5 + zz * (1.0 / 7 + zz / 9))));
}

/* -64 < x <= 0 */
static double exp2_of(double x)
{
	double y = x * (0.6931471805599453 / 256), f = 1 + y + y * y / 2;

	for (unsigned i = 0; i < 8; i++)
		f *= f;
	return f;
}

/* log2 N(2^x) / N(1), x <= 0: the integral of 1 - bend * ratio^x. */
static double fall(double x, double bend, double log_ratio)
{
	double natural = log_ratio * 0.6931471805599453;

	if (natural < 1e-4)
		return x * (1 - bend);
	return x + bend * (1 - exp2_of(x * log_ratio)) / natural;
}

void cvhrc_window_open(struct cvhrc_window *window, double one, double two, double four,
		       double touches)
{
	double first, second, bend, log_ratio, near;

	memset(window, 0, sizeof(*window));
	if (!(one >= 1 && two > one && four > two && four < 1e15 && touches > 0))
		return;
	/* What is missing to slope 1 in the middle of the first octave, and of the second. */
	first = 1 - log2_of(two / one);
	second = 1 - log2_of(four / two);
	if (!(first > 0 && first < 1))
		return;
	log_ratio = second > first ? log2_of(second / first) : 0;
	log_ratio = log_ratio < 1 ? log_ratio : 1;
	bend = first * exp2_of(-log_ratio / 2);
	near = one * bend;
	window->share = near < touches ? near / touches : 1;
	for (unsigned i = 0; i <= CVHRC_WINDOW_STEPS; i++) {
		double x = -OCTAVES * (CVHRC_WINDOW_STEPS - i) / CVHRC_WINDOW_STEPS;
		double share = exp2_of(fall(x, bend, log_ratio));

		window->pages[i] = i ? one * share : 0;
		window->hits[i] = i ? share * exp2_of(x * log_ratio) : 0;
	}
}

void cvhrc_window_sweep(struct cvhrc_window *window, double pages)
{
	for (unsigned i = 1; i <= CVHRC_WINDOW_STEPS; i++)
		window->pages[i] +=
			pages * exp2_of(-OCTAVES * (CVHRC_WINDOW_STEPS - i) / CVHRC_WINDOW_STEPS);
}

double cvhrc_window_pages(const struct cvhrc_window *window, double share)
{
	unsigned i = 1;
	double step;

	while (i < CVHRC_WINDOW_STEPS && window->hits[i] < share)
		i++;
	step = window->hits[i] - window->hits[i - 1];
	step = step > 0 ? (share - window->hits[i - 1]) / step : 0;
	step = step < 1 ? step : 1;
	return window->pages[i - 1] + (window->pages[i] - window->pages[i - 1]) * step;
}
