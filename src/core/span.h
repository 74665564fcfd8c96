/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Reading the histograms of pfuse/span.h: what happened between two looks, and its quantiles.
 *
 * Pure arithmetic; nothing can fail. An octave is a factor of two: within a bucket the values are taken
 * as spread evenly, so a quantile is off by less than a factor of two, and mostly by much less.
 */
#ifndef PFUSE_CORE_SPAN_H
#define PFUSE_CORE_SPAN_H

#include <stdint.h>

#include "pfuse/span.h"

/* ret = now - before, field by field; `ret` may be one of them. `late` is that of `now`. */
void span_since(const struct pfuse_span *now, const struct pfuse_span *before,
		struct pfuse_span *ret);

uint64_t span_count(const uint32_t buckets[PFUSE_SPAN_BUCKETS]);

/*
 * The value, in ns, that `permille` of the counted ones do not exceed: 500 the median, 990 p99.
 * 0: nothing was counted. What lies in the last bucket counts as its lower bound.
 */
uint64_t span_quantile_ns(const uint32_t buckets[PFUSE_SPAN_BUCKETS], uint32_t permille);

/*
 * How many of the counted ones exceed `limit_ns`; the bucket in which the limit lies gives the part
 * of it above, rounded down.
 */
uint64_t span_above(const uint32_t buckets[PFUSE_SPAN_BUCKETS], uint64_t limit_ns);

#endif
