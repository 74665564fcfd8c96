/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Reference strings of known workloads, the exact curve of each by Mattson's stack, and the
 * accessed bits that a scanner would have found: what the estimate of core/cvhrc is compared with.
 *
 * Order: refstring_open(), refstring_epoch() once per epoch, then the results; refstring_close().
 * Pages are numbered from 0; all were touched once, in that order, before the first epoch. The
 * exact curve is that of the first touches per epoch, after the warm-up, in which the scanner
 * learns where the pages are.
 */
#ifndef PFUSE_TEST_REFSTRING_H
#define PFUSE_TEST_REFSTRING_H

#include <stdbool.h>
#include <stdint.h>

#include "random.h"

enum refstring_kind {
	REF_UNIFORM,
	REF_LOOP,
	REF_ZIPF,    /* by `alpha`, pages permuted */
	REF_HOTCOLD, /* an eighth is hot; 1 access in 8 sweeps the rest */
	REF_PHASES,  /* uniform on the lower half, then on the upper quarter */
	REF_MIX,     /* Zipf 0.99 on a half, a loop on a quarter, uniform on a quarter */
};

struct refstring_spec {
	enum refstring_kind kind;
	double alpha;
	uint32_t pages;
	uint32_t per_epoch; /* accesses */
	uint32_t warm_up;   /* epochs before the first that counts */
	uint32_t epochs;    /* that count */
};

struct refstring {
	struct refstring_spec spec;
	struct random_state random;
	uint32_t epoch; /* 1, 2 ... */
	uint64_t t;	/* accesses so far */
	uint64_t loop;
	double *cdf;
	uint32_t *perm;
	uint32_t *tree; /* Fenwick, by time of the last touch */
	uint64_t tree_size;
	uint64_t *last; /* by page */
	bool *touched;	/* by page: the accessed bits of the epoch */
	double *hist;	/* exact, by distance */
	double refs;
};

void refstring_open(struct refstring *r, const struct refstring_spec *spec);
void refstring_epoch(struct refstring *r);
void refstring_close(struct refstring *r);

/*
 * Exact hit ratio at a size in pages, and the knee as cvhrc.h defines it (slope 250, of `pages`).
 */
double refstring_hit_ratio(const struct refstring *r, uint32_t pages);
uint32_t refstring_knee(const struct refstring *r);

#endif
