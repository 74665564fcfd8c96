/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The first reading of a trace: which groups there are, by slot and time, and how much there is of each,
 * so that the second reading (report_trace.c) can keep its memory within a budget.
 *
 * A slot is used again when its group has left, and a file may tell of a group once more in its midst
 * (see pftrace_record.h): report_slots_begins() says whether a record begins a group that is new, and the
 * slots map then leads to its index, 0, 1, … in the order of beginning. The second reading has a map
 * of its own, led by the same functions. All zero is an empty survey. Errors: -ENOMEM, or -errno with a
 * sentence.
 */
#ifndef EXPORT_REPORT_SURVEY_H
#define EXPORT_REPORT_SURVEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "export/pftrace_read.h"

struct report_slots {
	uint32_t *groups; /* by slot: index + 1; 0: none */
	uint64_t *ids;
	uint32_t nslots;
};

struct report_tally {
	uint64_t rows; /* at most */
	uint64_t decisions;
};

struct report_survey {
	struct report_slots slots;
	struct report_tally *tallies; /* by index */
	size_t ngroups;
	size_t room;
	uint64_t begin_ns;
	uint64_t end_ns;
	struct pftrace_result result;
};

int report_slots_grow(struct report_slots *slots, uint32_t nslots);
bool report_slots_begins(const struct report_slots *slots, const struct pftrace_record *record);
void report_slots_settle(struct report_slots *slots, const struct pftrace_record *record,
			 uint64_t index);
/* The index of the group that the record is about; -1: none. */
int64_t report_slots_group(const struct report_slots *slots, const struct pftrace_record *record);
void report_slots_free(struct report_slots *slots);

/* -ENODATA: a trace, but of no run. */
int report_survey_file(const char *path, struct report_survey *ret, struct err *err);

/* The most that each group may keep so that all together keep no more than the budget. */
uint64_t report_survey_share(const struct report_survey *survey, bool decisions, uint64_t budget,
			     uint64_t most, uint64_t least);
void report_survey_free(struct report_survey *survey);

#endif
