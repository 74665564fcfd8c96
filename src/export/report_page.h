/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The page of a report: one HTML file that needs nothing else. Scripts and styles were put into the
 * program when it was built (cmake/EmbedPage.cmake), with a Content-Security-Policy that names their
 * hashes, so that nothing else can run in it, whatever the data says.
 */
#ifndef EXPORT_REPORT_PAGE_H
#define EXPORT_REPORT_PAGE_H

#include <stddef.h>
#include <stdio.h>

#include "export/report_book.h"

/* After report_book_end(). 0, or -errno of the stream, which is flushed. */
int report_page_write(const struct report_book *book, FILE *out);

/* Generated: what stands before the data, and after it. */
extern const unsigned char report_page_head[];
extern const size_t report_page_head_size;
extern const unsigned char report_page_tail[];
extern const size_t report_page_tail_size;

#endif
