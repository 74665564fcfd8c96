/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The figures of a summary, one line each: where they stand in the JSON and in the structs. Private
 * to the summary's own files.
 */
#ifndef EXPORT_SUMMARY_FIELDS_H
#define EXPORT_SUMMARY_FIELDS_H

#include "export/summary.h"

struct summary_field {
	const char *section; /* name of the inner object; NULL: the object itself */
	const char *name;    /* NULL ends the list */
	size_t offset;	     /* of its struct summary_value */
	bool integer;
};

extern const struct summary_field summary_daemon_fields[];
extern const struct summary_field summary_group_fields[];

/* A printable ASCII copy of untrusted bytes, to be freed; NULL: no memory. */
char *summary_escape(const char *text);

#endif
