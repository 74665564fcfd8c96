/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * One line that says what went wrong, where, and what to do. The function that notices fills it in;
 * the caller at the top prints it, once. No allocation: it works when memory is what lacks.
 *
 * Text that does not fit is cut at the end. Untrusted parts are escaped by the one who puts them
 * in: complain_quote() gives a bounded, escaped copy.
 */
#ifndef BASE_COMPLAINT_H
#define BASE_COMPLAINT_H

#include <stddef.h>

struct complaint {
	char text[512]; /* "" : nothing to complain about */
};

/* An escaped copy of an untrusted string, in quotation marks, cut after some 100 characters. */
struct quoted {
	char text[128];
};

/* Writes the line and returns `err` (a negative errno), so that it can be `return complain(…)`. */
int complain(struct complaint *c, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* complain_quote(&(struct quoted){ 0 }, s) is a string that lives as long as the enclosing block. */
const char *complain_quote(struct quoted *q, const char *s);

#endif
