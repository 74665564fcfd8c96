/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * One value of the configuration file: parsed, compared with what is allowed, written. A text of
 * NULL is a key that is not given, and leaves the field as it is; so a field holds its default
 * first. Errors: -EINVAL with one sentence, "file:line: section.key: ... is not allowed; allowed:
 * ..."; the field is then unchanged. `section` NULL: the key stands in no section.
 *
 * config_take() turns the whole file into a struct config, config_take_group() one entry of
 * `groups`, which holds the defaults before.
 */
#ifndef PFUSE_CONFIG_TAKE_H
#define PFUSE_CONFIG_TAKE_H

#include <stdint.h>

#include "config/config.h"
#include "config/doc.h"
#include "config/schema.h"

#define MS UINT64_C(1000000)
#define S (1000 * MS)
#define HOUR (3600 * S)

/* Where a value stands in the file, for messages. */
struct place {
	struct config_doc *doc;
	struct err *err;
	int entry; /* of groups; −1: the top level */
};

void take_word(int raw, uint8_t *field);
int take_duration(const struct place *at, const char *section, const char *key, const char *text,
		  uint64_t min, uint64_t max, const char *allowed, uint64_t *field);
/* Whole numbers only; a minus sign where `min` allows it. */
int take_number(const struct place *at, const char *section, const char *key, const char *text,
		int64_t min, int64_t max, const char *allowed, int64_t *field);
int take_permille(const struct place *at, const char *section, const char *key, const char *text,
		  uint32_t min, uint32_t max, const char *allowed, uint32_t *field);

int take_peers(const struct place *at, const char *key, const char *text, struct peers **field);

/* The error for a value of the caller's own kind. */
int bad_value(const struct place *at, const char *section, const char *key, const char *text,
	      const char *allowed);

int config_take_group(const struct place *at, const struct raw_group *raw,
		      struct config_group *group);
/* curve and memory, of the policy `adaptive`. */
int config_take_adaptive(const struct place *at, const struct raw *raw, struct config *config);
int config_take(struct config_doc *doc, const struct raw *raw, struct config *config,
		struct err *err);

#endif
