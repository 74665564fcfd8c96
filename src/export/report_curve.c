/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "export/report_curve.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "pfuse/sample.h"

#define FILE_MAX_BYTES (4 << 20)
#define POINTS_MAX 100000

static void drop_json(json_t **json)
{
	json_decref(*json);
}

static void drop_curve(struct report_curve **curve)
{
	report_curve_free(*curve);
}

void report_curve_free(struct report_curve *curve)
{
	if (curve)
		free(curve->points);
	free(curve);
}

static uint64_t size_of(const json_t *value)
{
	return json_is_integer(value) && json_integer_value(value) >= 0
		       ? (uint64_t)json_integer_value(value)
		       : PFUSE_UNLIMITED;
}

static double real_of(const json_t *value)
{
	return json_is_number(value) ? json_number_value(value) : NAN;
}

static bool read_point(const json_t *value, struct report_point *ret)
{
	ret->size_bytes = size_of(json_object_get(value, "size_bytes"));
	ret->hit_ratio = real_of(json_object_get(value, "hit_ratio"));
	return ret->size_bytes != PFUSE_UNLIMITED && ret->hit_ratio >= 0 && ret->hit_ratio <= 1;
}

static int read_points(const json_t *list, struct report_curve *curve)
{
	size_t n = json_array_size(list);

	if (n < 2 || n > POINTS_MAX)
		return -EINVAL;
	curve->points = calloc(n, sizeof(*curve->points));
	if (!curve->points)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct report_point *point = &curve->points[i];

		if (!read_point(json_array_get(list, i), point) ||
		    (i && point->size_bytes <= point[-1].size_bytes))
			return -EINVAL;
	}
	curve->npoints = n;
	return 0;
}

static int read_curve(const json_t *root, struct report_curve **ret)
{
	static const char *const needs[] = { "p90", "p95", "p99" };
	_cleanup_(drop_curve) struct report_curve *curve = calloc(1, sizeof(*curve));
	int r = curve ? read_points(json_object_get(root, "curve"), curve) : -ENOMEM;

	if (r < 0)
		return r;
	curve->knee_bytes = size_of(json_object_get(root, "knee_bytes"));
	curve->resolution_bytes = size_of(json_object_get(root, "resolution_bytes"));
	curve->knee_below_resolution = json_is_true(json_object_get(root, "knee_below_resolution"));
	curve->error = real_of(json_object_get(root, "error"));
	curve->sampled_share = real_of(json_object_get(root, "sampled_share"));
	for (size_t i = 0; i < ARRAY_SIZE(needs); i++)
		curve->need_bytes[i] =
			size_of(json_object_get(json_object_get(root, "need_bytes"), needs[i]));
	*ret = TAKE_PTR(curve);
	return 0;
}

int report_curve_read(const char *path, struct report_curve **ret, struct err *err)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	_cleanup_(drop_json) json_t *root = NULL;
	json_error_t error;
	struct stat st;
	char q[ERR_QUOTED];
	int r;

	if (!file || fstat(fileno(file), &st) < 0)
		return err_set(err, -errno, "%s: cannot read the curve: %s", err_quote(path, q),
			       strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX_BYTES)
		return err_set(err, -EFBIG, "%s: a curve is a regular file of at most 4 MiB",
			       err_quote(path, q));
	root = json_loadf(file, JSON_REJECT_DUPLICATES, &error);
	r = root ? read_curve(root, ret) : -EINVAL;
	if (r < 0)
		return err_set(err, r, "%s: %s", err_quote(path, q),
			       r == -ENOMEM
				       ? "no memory for the curve"
				       : "this is no curve; make one with pfuse-bpf curve GROUP "
					 "--format json");
	return 0;
}
