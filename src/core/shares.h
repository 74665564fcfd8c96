/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Several groups and too little memory: who gets how much, so that all together hit most often.
 *
 * Source: the purpose of CvHRC (Kim, Noh): each group keeps what it makes use of, and disturbs the
 * others least. The next page goes to the group whose curve is the steepest there; so in the end
 * all stand at one slope (hits per second and page), or at a bound of theirs. Curves that are not
 * concave are taken by their hull: a group gets a step of its curve as a whole, or what is left for
 * it.
 *
 * One call; the array is the caller's, the curves are borrowed. Sizes in bytes.
 */
#ifndef PFUSE_CORE_SHARES_H
#define PFUSE_CORE_SHARES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/cvhrc.h"

struct share {
	const struct cvhrc_curve *curve; /* NULL: not known; gets what it may, if there is enough */
	uint64_t least_bytes;		 /* what it keeps in any case */
	uint64_t most_bytes;		 /* more it has no use for */
	uint64_t ret_bytes;
};

/* False: not even the least of all is there; then each gets its least. */
bool shares_divide(struct share *shares, uint32_t n, uint64_t total_bytes);

#endif
