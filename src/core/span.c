/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/span.h"

#define LAST (PFUSE_SPAN_BUCKETS - 1)

void span_since(const struct pfuse_span *now, const struct pfuse_span *before,
		struct pfuse_span *ret)
{
	struct pfuse_span span = { .burst_ns = now->burst_ns - before->burst_ns,
				   .short_ns = now->short_ns - before->short_ns,
				   .wakeups = now->wakeups - before->wakeups,
				   .migrations = now->migrations - before->migrations,
				   .late = now->late };

	for (int i = 0; i < PFUSE_SPAN_BUCKETS; i++) {
		span.wait[i] = now->wait[i] - before->wait[i];
		span.burst[i] = now->burst[i] - before->burst[i];
	}
	*ret = span;
}

uint64_t span_count(const uint32_t buckets[PFUSE_SPAN_BUCKETS])
{
	uint64_t count = 0;

	for (int i = 0; i < PFUSE_SPAN_BUCKETS; i++)
		count += buckets[i];
	return count;
}

static uint64_t lower_bound(int bucket)
{
	return bucket ? (uint64_t)PFUSE_SPAN_FIRST << (bucket - 1) : 0;
}

static uint64_t width(int bucket)
{
	return bucket ? lower_bound(bucket) : PFUSE_SPAN_FIRST;
}

/* Counts are below 2^32 and widths at most 2^32, so the products fit. */
uint64_t span_quantile_ns(const uint32_t buckets[PFUSE_SPAN_BUCKETS], uint32_t permille)
{
	uint64_t count = span_count(buckets), rank, seen = 0;

	if (!count)
		return 0;
	if (permille > 1000)
		permille = 1000;
	rank = (count * permille + 999) / 1000;
	if (!rank)
		rank = 1;
	for (int i = 0; i < LAST; i++) {
		if (seen + buckets[i] >= rank)
			return lower_bound(i) + width(i) * (rank - seen) / buckets[i];
		seen += buckets[i];
	}
	return lower_bound(LAST);
}

uint64_t span_above(const uint32_t buckets[PFUSE_SPAN_BUCKETS], uint64_t limit_ns)
{
	uint64_t above = 0;

	for (int i = LAST; i >= 0; i--) {
		uint64_t low = lower_bound(i);

		if (limit_ns >= low) {
			uint64_t part = limit_ns - low;

			if (i < LAST && part < width(i))
				above += buckets[i] * (width(i) - part) / width(i);
			return above;
		}
		above += buckets[i];
	}
	return above;
}
