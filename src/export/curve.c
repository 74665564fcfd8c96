/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "export/curve.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

char *curve_size_text(double bytes, char out[CURVE_SIZE_TEXT])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	unsigned int unit = 0;

	while (bytes >= 1023.95 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		bytes /= 1024;
		unit++;
	}
	snprintf(out, CURVE_SIZE_TEXT, "%.*f %s", unit && bytes < 99.95, bytes, units[unit]);
	return out;
}

int curve_csv(const struct curve_report *report, FILE *out)
{
	const struct cvhrc_curve *curve = report->curve;

	fputs("size_bytes,hit_ratio\n", out);
	for (uint32_t i = 0; i < curve->npoints; i++)
		fprintf(out, "%llu,%.6f\n", (unsigned long long)curve->points[i].size_bytes,
			curve->points[i].hit_ratio);
	return ferror(out) ? -EIO : 0;
}

static json_t *points(const struct cvhrc_curve *curve)
{
	json_t *array = json_array();

	for (uint32_t i = 0; array && i < curve->npoints; i++)
		json_array_append_new(array, json_pack("{s:I, s:f}", "size_bytes",
						       (json_int_t)curve->points[i].size_bytes,
						       "hit_ratio", curve->points[i].hit_ratio));
	return array;
}

static int add_left_out(json_t *root, const struct curve_report *report)
{
	return json_object_set_new(root, "left_out",
				   json_pack("{s:I, s:I, s:I}", "hugetlb_bytes",
					     (json_int_t)report->left_out.hugetlb_bytes,
					     "giant_bytes",
					     (json_int_t)report->left_out.giant_bytes, "reads",
					     (json_int_t)report->left_out.reads));
}

const char *curve_doubt_text(enum cvhrc_doubt doubt)
{
	switch (doubt) {
	case CVHRC_NO_REUSE:
		return "no page was touched twice";
	case CVHRC_FEW_EPOCHS:
		return "measured too short: longer, with --for";
	case CVHRC_VAGUE:
		return "many pages came back for the first time: measure longer";
	case CVHRC_INEXACT:
		return "the error is large: too little was seen of what the group uses";
	default:
		return "";
	}
}

int curve_json(const struct curve_report *report, FILE *out)
{
	const struct cvhrc_curve *curve = report->curve;
	json_t *root = json_pack("{s:s, s:I, s:f, s:f, s:b, s:s, s:I, s:I, s:b, s:{s:I, s:I, s:I}, s:o}",
				 "source", report->source, "resolution_bytes",
				 (json_int_t)curve->resolution_bytes, "sampled_share",
				 curve->sampled_share, "error", curve->error, "confident",
				 (int)curve->confident, "doubt", curve_doubt_text(curve->doubt),
				 "knee_bytes", (json_int_t)curve->knee_bytes, "knee_curvature_bytes",
				 (json_int_t)curve->knee_curvature_bytes, "knee_below_resolution",
				 (int)curve->knee_below_resolution, "need_bytes", "p90",
				 (json_int_t)curve->need_bytes[CVHRC_P90], "p95",
				 (json_int_t)curve->need_bytes[CVHRC_P95], "p99",
				 (json_int_t)curve->need_bytes[CVHRC_P99], "curve", points(curve));

	if (!root || add_left_out(root, report) < 0) {
		json_decref(root);
		return -ENOMEM;
	}
	int r = json_dumpf(root, out, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) < 0 ? -EIO : 0;

	json_decref(root);
	fputc('\n', out);
	return r == 0 && ferror(out) ? -EIO : r;
}
