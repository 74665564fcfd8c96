/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * One line per decision: time, group, control, from → to, reason, evidence. Names are untrusted and
 * come escaped; numbers carry their units.
 */
#ifndef DAEMON_SAY_H
#define DAEMON_SAY_H

#include <stdio.h>

#include "core/orchestrator.h"
#include "pfuse/event.h"
#include "pfuse/verdict.h"

#define SAY_NAME 100 /* bytes of an escaped name on a line */

/* What the decisions of `adaptive` go by. */
struct say_curve {
	uint64_t knee_bytes;
	uint64_t age_ns;
	double error; /* of the hit ratio, mean */
	const char *source;
	bool below_resolution; /* the knee is an upper bound */
};

/* `err` is the edge's, 0 if it was carried out or left out. `took_ns`: from the reason to the end. */
struct say_decision {
	const char *name;
	const struct pfuse_verdict *verdict;
	enum orchestrator_outcome outcome;
	int err;
	const char *why; /* the edge's sentence, or empty; instead of how long it took */
	uint64_t took_ns;
	const char *cpus; /* the list that goes with PFUSE_CTL_CPUS; NULL or empty: none */
	const struct signalflag *flag; /* evidence of the last talk; NULL: none */
	const struct say_curve *curve; /* NULL: none was measured */
};

void say_decision(FILE *out, const struct say_decision *decision);

/* A line that is no decision: the group was removed, a process was killed, … */
void say_note(FILE *out, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* "64.0 MiB", "unlimited" */
const char *say_bytes(uint64_t bytes, char out[24]);
/* "1.2 %", "not known": of a curve whose two halves could not be compared */
const char *say_error(double error, char out[24]);
/* "850 us", "12.3 ms", "4.5 s" */
const char *say_duration(uint64_t ns, char out[24]);

#endif
