/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * How far apart touches lie that come within one epoch of each other: what accessed bits do not show,
 * but the numbers of pages that are touched in one, two and four epochs do.
 *
 * N(g) pages are touched within a time of g epochs. Where each page is touched at random at a rate of its
 * own, of the first touches per epoch those that come no later than g <= 1 after the page's last touch are
 *	H(g) = sum of 1 - exp(-r g) - r g exp(-r g) = N(g) - g N'(g),
 * and N(g) is their distance (the average eviction time, Hu et al. 2016). N(1), N(2) and N(4) are known. In
 * logarithms the slope of N rises to 1 towards short times, in which nothing is touched twice. What is
 * missing to 1 falls by the octave, by half where use is even, by less where some pages are hot: by as
 * much as from the octave above one epoch to the next, it is taken on. Of a sweep nothing is missing, and H is
 * 0; one that turns within two epochs is taken out before.
 *
 * Pure; owns nothing. Numbers may be anything: then share is 0, and there is no window.
 */
#ifndef PFUSE_CORE_CVHRC_WINDOW_H
#define PFUSE_CORE_CVHRC_WINDOW_H

#define CVHRC_WINDOW_STEPS 32

struct cvhrc_window {
	double share;				/* of the touches told: within one epoch */
	double hits[CVHRC_WINDOW_STEPS + 1];	/* H(g) / H(1), ascending from 0 to 1 */
	double pages[CVHRC_WINDOW_STEPS + 1];	/* N(g) */
};

/* touches: in this epoch, of pages that were touched in the one before. */
void cvhrc_window_open(struct cvhrc_window *window, double one, double two, double four,
		       double touches);
/* So many pages more per epoch are touched by a sweep. */
void cvhrc_window_sweep(struct cvhrc_window *window, double pages);

/* The distance below which this share (0..1) of the touches within one epoch lies. */
double cvhrc_window_pages(const struct cvhrc_window *window, double share);

#endif
