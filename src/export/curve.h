/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A hit-ratio curve for people and programs: a plot in the terminal, CSV, JSON, SVG.
 *
 * JSON: source (text), resolution_bytes, sampled_share (0..1), error (of hit_ratio), confident,
 * doubt (text: why not; empty if it is), knee_bytes, knee_curvature_bytes, knee_below_resolution,
 * need_bytes { p90, p95, p99 }, curve: an array of { size_bytes, hit_ratio } from size 0 on, ascending.
 * CSV: the same curve under a headline.
 *
 * left_out: { hugetlb_bytes, giant_bytes, reads }, as in struct curve_report.
 *
 * The group's name is borrowed and may hold any bytes: it is escaped here. 0, or -errno.
 */
#ifndef EXPORT_CURVE_H
#define EXPORT_CURVE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/cvhrc.h"

struct curve_report {
	const char *group;
	const char *source;
	const struct cvhrc_curve *curve;
	double seconds; /* that were measured */
	double cost;	/* CPU time of the measuring, share of one CPU */
	uint32_t processes;
	struct {
		uint64_t hugetlb_bytes; /* mapped, not used */
		uint64_t giant_bytes;	/* mapped by entries of 1 GiB, of the sample */
		uint64_t reads;		/* pages of files in the sample whose reads found no room */
	} left_out;
};

/* "1.5 MiB": three digits or four. */
#define CURVE_SIZE_TEXT 24
char *curve_size_text(double bytes, char out[CURVE_SIZE_TEXT]);

/* Why the curve should not be believed, for people; empty if it should. */
const char *curve_doubt_text(enum cvhrc_doubt doubt);

/* columns: of the terminal; utf8: what it can show. */
int curve_text(const struct curve_report *report, unsigned int columns, bool utf8, FILE *out);
int curve_csv(const struct curve_report *report, FILE *out);
int curve_json(const struct curve_report *report, FILE *out);
int curve_svg(const struct curve_report *report, FILE *out);

#endif
