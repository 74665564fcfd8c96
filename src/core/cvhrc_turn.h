/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Loops that come round within one to two epochs. Longer ones leave an age of which nearly all pages come
 * back; of these a part comes back after one epoch already, and looks like hot pages.
 *
 * A loop over l pages, n of them per epoch, n < l < 2n: of those that the last epoch touched, 2n - l are
 * touched now; of those that only the one before it touched, all l - n; of older ones there are none. Where each
 * page is touched at random, how often pages come back falls with their age and bends upwards, so the share at the
 * age of two is at most the mean of those of one and three. More is a loop. What the other pages would do at these
 * ages is carried on from older ones; the rest is the loop's, which gives l - n, then n. Pages that are touched in
 * each epoch are counted to it: they are of no older age. So n lies between l - n and all that an epoch touches.
 *
 * Pure; owns nothing. Numbers may be anything: then no loop is found.
 */
#ifndef PFUSE_CORE_CVHRC_TURN_H
#define PFUSE_CORE_CVHRC_TURN_H

#include <stdbool.h>

#define CVHRC_AGES 4
#define CVHRC_AGES_EPOCHS 16 /* that the means are over */

/* Sums over about as many epochs: pages in the sample by age, 0: last touched in the epoch before. */
struct cvhrc_ages {
	double count[CVHRC_AGES];
	double touched[CVHRC_AGES]; /* of these */
	double epochs;
};

/* Of the youngest two ages, the shares that are a loop's: of the pages, and of those that are touched. */
struct cvhrc_turn {
	double pages[2];
	double touched[2];
};

void cvhrc_turn_note(struct cvhrc_ages *ages, const double count[CVHRC_AGES],
		     const double touched[CVHRC_AGES]);

/* False: there is none. */
bool cvhrc_turn_find(const struct cvhrc_ages *ages, struct cvhrc_turn *ret);

#endif
