/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The data of a report as one JSON object, safe to stand inside a <script> element of a page: in no
 * string is there a `<`, `>`, `&`, a control character, U+2028 or U+2029 as it is. Names are escaped
 * before that as everywhere (parse_escape()), so a reader sees what cannot be seen.
 *
 * Times are seconds since the beginning of the trace. Figures of series are in KiB, KiB/s, and ms of CPU
 * time per second; those of decisions in the units of pfuse/verdict.h. A figure that is not known is
 * null, and so is no limit. A series that was never known is left out; one that never changes is a list
 * of one value. The page's own format.js and charts.js are the readers; `schema` is raised when they
 * must change.
 */
#ifndef EXPORT_REPORT_JSON_H
#define EXPORT_REPORT_JSON_H

#include <stdio.h>

#include "export/report_book.h"

#define REPORT_SCHEMA 1

/* After report_book_end(). Failures of the stream are the stream's: ask ferror(). */
void report_json(const struct report_book *book, FILE *out);

/* One string with its quotes; NULL: null. */
void report_json_string(const char *text, FILE *out);

#endif
