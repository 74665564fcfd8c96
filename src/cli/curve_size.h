/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * `pfuse-bpf curve` where DAMON is all there is, or is asked for: how much is used, a size and no curve.
 *
 * Order: curve_size_open() → curve_size_look() whenever due_ns has come → curve_size_text_out() or curve_size_json() →
 * curve_size_close(). The size is the mean of all looks but the first two, in which DAMON finds its regions.
 * JSON: source, working_set_bytes, processes, confident (false), doubt. Errors: -errno with a sentence.
 */
#ifndef CLI_CURVE_SIZE_H
#define CLI_CURVE_SIZE_H

#include <stdio.h>

#include "edge/damon.h"
#include "edge/pagescan.h"

struct curve_size {
	struct damon *damon;
	uint64_t due_ns;
	uint64_t sum_bytes, last_bytes;
	uint32_t looks;
	uint32_t processes;
};

int curve_size_open(struct curve_size *size, const struct pagescan_target *target, uint64_t now_ns,
		    struct err *err);
void curve_size_close(struct curve_size *size);

int curve_size_look(struct curve_size *size, uint64_t now_ns, struct err *err);
uint64_t curve_size_bytes(const struct curve_size *size);

int curve_size_text_out(const struct curve_size *size, FILE *out);
int curve_size_json(const struct curve_size *size, FILE *out);

#endif
