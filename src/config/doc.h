/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The configuration file as a YAML document: where things stand, and whether it fits a libcyaml
 * schema. libcyaml fills structs well, but in its messages the line is that of the value *before*
 * an unknown key, and it neither lists what is allowed nor minds a second document, deep nesting or
 * a 0 byte inside a string. So the shape is checked first, event by event; then the same schema is
 * compared with libyaml's document, whose nodes know their lines.
 *
 * Order: load → check (config_doc_line() as needed) → free. For src/config/ only.
 */
#ifndef PFUSE_CONFIG_DOC_H
#define PFUSE_CONFIG_DOC_H

#include <stddef.h>

#include <cyaml/cyaml.h>
#include <yaml.h>

#include "base/err.h"

struct config_doc {
	yaml_document_t document;
	char name[ERR_QUOTED];	  /* of the file, escaped */
	const char *const *later; /* words that a later release allows */
};

/* 0, or -EINVAL with "file:line: what is wrong". After 0, config_doc_free() is due. */
int config_doc_load(struct config_doc *doc, const char *name, const void *text, size_t size,
		    struct err *err);
void config_doc_free(struct config_doc *doc);

/* 0, or -EINVAL with the first thing that the schema does not allow, and what it does. */
int config_doc_check(struct config_doc *doc, const struct cyaml_schema_value *schema,
		     struct err *err);

/*
 * The line of a value: of `key` in mapping `section` (NULL: none) of entry `entry` (from 0; −1: the
 * top level) of the list "groups". What is not there: the line of what encloses it.
 */
unsigned config_doc_line(struct config_doc *doc, int entry, const char *section, const char *key);

#endif
