/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The kernel's own generations of pages (edge/lrugen.h) as a source of core/cvhrc.h: for groups whose page
 * tables cannot be read, a part of daemon/measure.h.
 *
 * Coarse: of a page that was used it is known whether it was used in the epoch before, else only that it was
 * not. So the curve is known up to what two epochs touch; beyond, it is a guess from how many came back at all.
 */
#ifndef DAEMON_MEASURE_LRU_H
#define DAEMON_MEASURE_LRU_H

#include "core/cvhrc.h"
#include "edge/lrugen.h"

/* Between cvhrc_begin() and cvhrc_end(): what was touched. Of these, the pages whose place is a guess. */
uint64_t measure_lru_feed(struct cvhrc *core, const struct lrugen_pages *pages);

static inline uint64_t measure_lru_pages(const struct lrugen_pages *pages)
{
	return pages->touched + pages->before + pages->older;
}

#endif
