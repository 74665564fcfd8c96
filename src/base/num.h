/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Numbers as the kernel prints them: decimal, unsigned, no sign, no locale. -EINVAL for anything
 * else, -ERANGE above 2^64 - 1.
 */
#ifndef PFUSE_BASE_NUM_H
#define PFUSE_BASE_NUM_H

#include <stdint.h>

/* The number that begins at text; *ret_end, if wanted, is the first byte behind it. */
int num_parse(const char *text, const char **ret_end, uint64_t *ret_value);

/* The whole text is one number, white space around it allowed. */
int num_parse_all(const char *text, uint64_t *ret_value);

/* "key value" at the beginning of a line of a flat-keyed file. -ENOENT: no such key. */
int num_find_key(const char *text, const char *key, uint64_t *ret_value);

#endif
