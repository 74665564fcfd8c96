/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Reads a hit-ratio curve as `pfuse-bpf curve --format json` writes it: an object with `curve`, a list of
 * { "size_bytes", "hit_ratio" } by growing size, and beside it knee_bytes, knee_below_resolution,
 * resolution_bytes, error, sampled_share and need_bytes { p90, p95, p99 }, each of which may be null or
 * missing. The file is untrusted: at most 4 MiB and 100,000 points, ratios within 0 and 1.
 */
#ifndef EXPORT_REPORT_CURVE_H
#define EXPORT_REPORT_CURVE_H

#include "base/err.h"
#include "export/report_book.h"

/* *ret is the caller's, for report_book_curve(). -errno with a sentence in *err. */
int report_curve_read(const char *path, struct report_curve **ret, struct err *err);
void report_curve_free(struct report_curve *curve); /* accepts NULL */

#endif
