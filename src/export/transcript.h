/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Verdicts as text of which every byte is determined: two transcripts of the same decisions are equal
 * byte for byte, and two that differ show where. Also the short words for what a trace speaks of.
 *
 * A line: time since the beginning of the trace in s with 9 digits, group (escaped), control, from, to,
 * reason, and the evidence as name=number, all in the units of pfuse/verdict.h; "max": no limit.
 */
#ifndef EXPORT_TRANSCRIPT_H
#define EXPORT_TRANSCRIPT_H

#include <stdint.h>
#include <stdio.h>

#include "core/orchestrator.h"
#include "pfuse/verdict.h"

#define TRANSCRIPT_LINE 640 /* bytes that hold any line, its newline and 0 included */

/* Words without blanks; "?" for a number out of range. Literals. */
const char *transcript_control(uint32_t control); /* "ram" */
const char *transcript_reason(uint32_t reason);	  /* "score-low" */
const char *transcript_event(uint32_t kind);	  /* "high-water" */
const char *transcript_outcome(uint32_t outcome); /* "applied" */
/* What a verdict does: "ram up", "stop", "continue". */
const char *transcript_move(const struct pfuse_verdict *verdict);

/* Ends in a newline. `name` is untrusted; NULL: the slot's number instead. Returns the length. */
size_t transcript_verdict(char out[TRANSCRIPT_LINE], const struct pfuse_verdict *verdict,
			  const char *name, uint64_t start_ns);

#endif
