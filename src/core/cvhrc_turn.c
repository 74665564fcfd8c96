/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/cvhrc_turn.h"

/* Of a share of pages: below that nothing is made of it, however many they are. */
#define MARGIN 0.02
#define SIGMAS 2

static double more(double a, double b)
{
	return a > b ? a - b : 0;
}

/* Is `more` no chance? The pages of an age are mostly the same ones for some epochs. */
static bool is_clear(const struct cvhrc_ages *ages, unsigned age, double more)
{
	double q = ages->touched[age] / ages->count[age], chance = more - MARGIN;

	return chance > 0 &&
	       chance * chance * ages->count[age] > SIGMAS * SIGMAS * ages->epochs * q * (1 - q);
}

void cvhrc_turn_note(struct cvhrc_ages *ages, const double count[CVHRC_AGES],
		     const double touched[CVHRC_AGES])
{
	for (unsigned age = 0; age < CVHRC_AGES; age++) {
		ages->count[age] += count[age] - ages->count[age] / CVHRC_AGES_EPOCHS;
		ages->touched[age] += touched[age] - ages->touched[age] / CVHRC_AGES_EPOCHS;
	}
	ages->epochs += 1 - ages->epochs / CVHRC_AGES_EPOCHS;
}

bool cvhrc_turn_find(const struct cvhrc_ages *ages, struct cvhrc_turn *ret)
{
	double q[CVHRC_AGES], first, second, n, left;

	for (unsigned age = 0; age < CVHRC_AGES; age++)
		q[age] = ages->count[age] > 0 ? ages->touched[age] / ages->count[age] : 0;
	if (!(ages->count[0] > 0 && ages->count[1] > 0))
		return false;
	/* What the others do, carried on from older ages. */
	second = q[2] + more(q[2], q[3]);
	first = second + more(second, q[2]);
	if (!(second < 1 && first < 1 && is_clear(ages, 1, q[1] - (q[0] + q[2]) / 2)))
		return false;
	left = more(q[1], second) / (1 - second) * ages->count[1];
	n = (more(q[0], first) * ages->count[0] + left) / (1 - first);
	n = n < ages->count[0] ? n : ages->count[0];
	/* Else it takes two epochs or more, and shows in the tags. */
	if (!(left > 0 && is_clear(ages, 0, (n - left) / ages->count[0])))
		return false;
	ret->pages[0] = n / ages->count[0];
	ret->pages[1] = left / ages->count[1];
	ret->touched[0] = n - left < ages->touched[0] ? (n - left) / ages->touched[0] : 1;
	ret->touched[1] = left < ages->touched[1] ? left / ages->touched[1] : 1;
	return true;
}
