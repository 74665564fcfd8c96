/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <string.h>

#include "config/take.h"
#include "core/parse.h"

#define TOTAL_ALLOWED "a size above 0, with K, M, G or T, like 8G"

static int take_curve(const struct place *at, const struct raw_curve *raw, struct config *config)
{
	int r;

	if (raw->measure)
		config->curve_measure = raw->measure - 1;
	r = take_permille(at, "curve", "budget", raw->budget, 1, 500, "0.1% to 50%",
			  &config->curve_budget_permille);
	if (r < 0)
		return r;
	/* A need that is ten minutes old is none any more, see core/adaptive.h. */
	return take_duration(at, "curve", "every", raw->every, 1 * S, 540 * S,
			     "a duration from 1s to 9m", &config->curve_every_ns);
}

static int take_memory(const struct place *at, const struct raw_memory *raw, struct config *config)
{
	uint64_t bytes;

	if (raw->total) {
		if (!parse_size(raw->total, strlen(raw->total), &bytes) || bytes == 0 ||
		    bytes >= UINT64_C(1) << 62)
			return bad_value(at, "memory", "total", raw->total, TOTAL_ALLOWED);
		config->memory_total_bytes = bytes;
	}
	return take_permille(at, "memory", "low", raw->low, 0, 500, "0% to 50%",
			     &config->memory_low_permille);
}

int config_take_adaptive(const struct place *at, const struct raw *raw, struct config *config)
{
	int r = take_curve(at, &raw->curve, config);

	return r < 0 ? r : take_memory(at, &raw->memory, config);
}
