/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "daemon/measure_lru.h"

/* All pages are known, and none by itself: each half of the sample gets half of them. */
static uint32_t half_of(uint64_t pages, int half)
{
	uint64_t part = (pages + (uint64_t)half) / 2;

	return part < UINT32_MAX / 4 ? (uint32_t)part : UINT32_MAX / 4;
}

static uint64_t pages_of(const struct cvhrc *core, unsigned int tag)
{
	return (uint64_t)core->count[CVHRC_MAPPED_EVEN][tag] + core->count[CVHRC_MAPPED_ODD][tag];
}

static void touch(struct cvhrc *core, uint16_t tag, uint64_t pages)
{
	cvhrc_touch(core, CVHRC_MAPPED_EVEN, tag, half_of(pages, 0));
	cvhrc_touch(core, CVHRC_MAPPED_ODD, tag, half_of(pages, 1));
}

static void leave(struct cvhrc *core, uint16_t tag, uint64_t pages)
{
	cvhrc_leave(core, CVHRC_MAPPED_EVEN, tag, half_of(pages, 0));
	cvhrc_leave(core, CVHRC_MAPPED_ODD, tag, half_of(pages, 1));
}

static void arrive(struct cvhrc *core, uint64_t pages)
{
	cvhrc_arrive(core, CVHRC_MAPPED_EVEN, false, half_of(pages, 0));
	cvhrc_arrive(core, CVHRC_MAPPED_ODD, false, half_of(pages, 1));
}

static uint64_t less(uint64_t from, uint64_t n)
{
	return from > n ? from - n : 0;
}

static uint64_t take(struct cvhrc *core, uint16_t tag, uint64_t pages, uint64_t left)
{
	pages = pages < left ? pages : left;
	touch(core, tag, pages);
	return left - pages;
}

/*
 * Of these the kernel tells only that they were not touched in the epoch before. What was touched lately comes
 * back sooner than what was not: so as many of each epoch's pages as came back of the last one's, the latest
 * epochs first. What is left then cannot have been so: a loop, in which the oldest come back.
 */
static void touch_older(struct cvhrc *core, uint16_t previous, double rate, uint64_t left)
{
	double done[CVHRC_TAGS];

	for (uint16_t tag = previous - 1; tag >= CVHRC_BEFORE; tag--) {
		uint64_t before = left;

		left = take(core, tag, (uint64_t)((double)pages_of(core, tag) * rate), left);
		done[tag] = (double)(before - left);
	}
	for (uint16_t tag = CVHRC_BEFORE; left && tag < previous; tag++)
		left = take(core, tag, pages_of(core, tag) - (uint64_t)done[tag], left);
}

static uint64_t older_pages(const struct cvhrc *core, uint16_t previous)
{
	uint64_t pages = 0;

	for (uint16_t tag = CVHRC_BEFORE; tag < previous; tag++)
		pages += pages_of(core, tag);
	return pages;
}

static void leave_oldest(struct cvhrc *core, uint64_t pages)
{
	for (uint16_t tag = CVHRC_BEFORE; pages && tag < cvhrc_now(core); tag++) {
		uint64_t here = pages_of(core, tag) < pages ? pages_of(core, tag) : pages;

		leave(core, tag, here);
		pages -= here;
	}
}

/*
 * What is missing among the older pages was touched, or is there no more: if more is missing than was touched,
 * the rest is gone, the oldest first. What was touched and is not missing is new.
 */
uint64_t measure_lru_feed(struct cvhrc *core, const struct lrugen_pages *pages)
{
	const uint16_t previous = (uint16_t)(cvhrc_now(core) - 1);

	if (!core->begun) {
		arrive(core, measure_lru_pages(pages));
		return 0;
	}
	/* At the second look, the pages of the first are in both. */
	bool first = previous <= CVHRC_FIRST;
	uint64_t last = pages_of(core, previous), all = older_pages(core, previous);
	uint64_t recent = first ? 0 : less(last, pages->before);
	uint64_t old = less(all, pages->older + (first ? pages->before : 0));
	uint64_t gone = less(recent + old, pages->touched);
	uint64_t old_gone = gone < old ? gone : old;

	recent -= gone - old_gone;
	old -= old_gone;
	leave(core, previous, gone - old_gone);
	leave_oldest(core, old_gone);
	touch(core, previous, recent);
	touch_older(core, previous, last ? (double)recent / (double)last : 0, old);
	touch(core, CVHRC_NEVER, less(pages->touched, recent + old));
	return old;
}
