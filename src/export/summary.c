/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "export/summary.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/replace.h"
#include "export/summary_fields.h"

/* Sections of one object, like "decisions", are objects of their own. */
static json_t *section_of(json_t *object, const char *section)
{
	json_t *inner;

	if (!section)
		return object;
	inner = json_object_get(object, section);
	if (!inner) {
		json_object_set_new(object, section, json_object());
		inner = json_object_get(object, section);
	}
	return inner;
}

static int add_unknown(json_t *object, const char *name, const char *reason)
{
	char key[64];

	snprintf(key, sizeof(key), "%s_reason", name);
	if (json_object_set_new(object, name, json_null()) < 0)
		return -ENOMEM;
	return json_object_set_new(object, key, json_string(reason)) < 0 ? -ENOMEM : 0;
}

/* Half away from zero, for |value| below 2^63. Not round(3): libm would cost every process 10 KiB. */
static json_int_t nearest(double value)
{
	return (json_int_t)(value < 0 ? value - 0.5 : value + 0.5);
}

/* To six decimals, which is all that is there above 9e9. */
static double short_real(double value)
{
	return fabs(value) > 9e9 ? value : (double)nearest(value * 1e6) / 1e6;
}

static int add_value(json_t *object, const struct summary_field *field,
		     const struct summary_value *value)
{
	json_t *number;

	if (!value->known)
		return add_unknown(object, field->name,
				   value->reason ? value->reason : "not measured");
	if (!isfinite(value->value) || fabs(value->value) > 9e15)
		return add_unknown(object, field->name, "out of range");
	if (field->integer)
		number = json_integer(nearest(value->value));
	else
		number = json_real(short_real(value->value));
	return json_object_set_new(object, field->name, number) < 0 ? -ENOMEM : 0;
}

static int add_fields(json_t *object, const struct summary_field *fields, const void *base)
{
	for (; fields->name; fields++) {
		json_t *section = section_of(object, fields->section);
		const void *value = (const char *)base + fields->offset;

		if (!section || add_value(section, fields, value) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int add_text(json_t *object, const char *name, const char *text)
{
	_cleanup_free_ char *escaped = NULL;

	if (!text)
		return add_unknown(object, name, "not known");
	escaped = summary_escape(text);
	if (!escaped)
		return -ENOMEM;
	return json_object_set_new(object, name, json_string(escaped)) < 0 ? -ENOMEM : 0;
}

static json_t *daemon_json(const struct summary_daemon *daemon)
{
	json_t *object = json_object();

	if (!object || add_text(object, "version", daemon->version) < 0 ||
	    add_text(object, "kernel", daemon->kernel) < 0 ||
	    add_text(object, "hierarchy", daemon->hierarchy) < 0 ||
	    add_text(object, "policy", daemon->policy) < 0 ||
	    json_object_set_new(object, "dry_run", json_boolean(daemon->dry_run)) < 0 ||
	    add_fields(object, summary_daemon_fields, daemon) < 0) {
		json_decref(object);
		return NULL;
	}
	return object;
}

static json_t *group_json(const struct summary_group *group)
{
	json_t *object = json_object();
	char id[24];

	/* As text: a 64-bit id does not survive readers that keep numbers as doubles. */
	snprintf(id, sizeof(id), "%llu", (unsigned long long)group->id);
	if (!object || add_text(object, "name", group->name) < 0 ||
	    add_text(object, "path", group->path) < 0 || add_text(object, "id", id) < 0 ||
	    add_text(object, "type", group->type) < 0 ||
	    add_text(object, "character", group->character) < 0 ||
	    add_text(object, "curve_source", group->curve_source) < 0 ||
	    add_fields(object, summary_group_fields, group) < 0) {
		json_decref(object);
		return NULL;
	}
	return object;
}

static int fill_root(json_t *root, const struct summary *summary)
{
	json_t *groups = json_array();

	if (json_object_set_new(root, "schema", json_integer(SUMMARY_SCHEMA)) < 0 ||
	    json_object_set_new(root, "daemon", daemon_json(&summary->daemon)) < 0) {
		json_decref(groups);
		return -ENOMEM;
	}
	if (json_object_set_new(root, "groups", groups) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < summary->ngroups; i++)
		if (json_array_append_new(groups, group_json(&summary->groups[i])) < 0)
			return -ENOMEM;
	return 0;
}

char *summary_json(const struct summary *summary)
{
	json_t *root = json_object();
	char *text = NULL;

	if (root && fill_root(root, summary) == 0)
		text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
	json_decref(root);
	return text;
}

struct summary_latency summary_latency(const struct hist *nanoseconds)
{
	struct summary_latency latency = {
		.count = summary_known((double)nanoseconds->total),
		.p50_us = summary_unknown("no such event"),
		.p99_us = summary_unknown("no such event"),
	};

	if (nanoseconds->total) {
		latency.p50_us = summary_known((double)hist_percentile(nanoseconds, 500) / 1e3);
		latency.p99_us = summary_known((double)hist_percentile(nanoseconds, 990) / 1e3);
	}
	return latency;
}

static int cannot_write(const char *path, int r, struct err *err)
{
	char q[ERR_QUOTED];

	return err_set(err, r, "%s: cannot write the summary: %s%s", err_quote(path, q),
		       strerror(-r), r == -ENOENT ? "; create its directory first" : "");
}

int summary_check_writable(const char *path, struct err *err)
{
	char q[ERR_QUOTED];
	int r = replace_check(path);

	if (r == -EINVAL)
		return err_set(err, -EINVAL,
			       "%s: the summary must go to a regular file, and this is none",
			       err_quote(path, q));
	return r < 0 ? cannot_write(path, r, err) : 0;
}

int summary_write(const struct summary *summary, const char *path, struct err *err)
{
	_cleanup_free_ char *text = summary_json(summary);
	struct replace file;
	int r;

	if (!text)
		return cannot_write(path, -ENOMEM, err);
	r = replace_begin(&file, path);
	if (r < 0)
		return cannot_write(path, r, err);
	fputs(text, file.file);
	fputc('\n', file.file);
	r = replace_commit(&file);
	return r < 0 ? cannot_write(path, r, err) : 0;
}
