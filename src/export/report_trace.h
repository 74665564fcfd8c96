/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Reads a trace file into the book of a report. The records are played to a core of their own, as a
 * replay does, and what that core has on its books is what the curves show: usage, limit and score of
 * each resource, and the sums. Decisions are the recorded ones.
 *
 * The file is read twice, first to count, so that the second time memory is bounded: all groups
 * together keep at most about 160,000 rows and 60,000 decisions, each group its fair share: some 20 MB
 * of page for 10,000 groups, and all there is of a few.
 *
 * A file that was cut or damaged is read as far as it goes, with a note in the book. Errors, with a
 * sentence in *err: -errno of opening, -EINVAL no trace, -ENODATA a trace without records of a run,
 * -ENOTSUP one that begins in the middle of a run of another build, -ENOMEM.
 */
#ifndef EXPORT_REPORT_TRACE_H
#define EXPORT_REPORT_TRACE_H

#include "base/err.h"
#include "export/report_book.h"

int report_trace_read(const char *path, struct report_book *ret, struct err *err);

#endif
