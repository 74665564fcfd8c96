/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The hit-ratio curve of one group while it is measured: edge/pagescan.h feeds core/cvhrc.h, and so does
 * edge/reads.h where the probe has PROBE_READS and target.slot is set.
 *
 * Where page tables cannot be read, the kernel's generations stand in (daemon/measure_lru.h), if target.path
 * says whose.
 *
 * Order: measure_open() → measure_turn() whenever measure_due_ns() has come, from at once on →
 * measure_curve() at any time → measure_close(). Who measures intermittently: measure_put_off() after a
 * turn, measure_rest() and measure_resume() at both ends of a rest. The clock is the caller's.
 * Memory, on the heap: 75 KiB here, up to 130 KiB of the edge, and 48 KiB more for a group that reads files.
 */
#ifndef DAEMON_MEASURE_H
#define DAEMON_MEASURE_H

#include "base/err.h"
#include "core/cvhrc.h"
#include "daemon/measure_files.h"
#include "daemon/measure_lru.h"
#include "edge/pagescan.h"

struct measure {
	struct pagescan *scan; /* NULL: by lru */
	struct lrugen *lru;    /* NULL: by scan */
	double lru_uses, lru_guesses;
	struct measure_files files;
	struct cvhrc core;
	struct cvhrc_advice advice;
	struct pagescan_result last; /* of the latest turn */
	uint64_t begun_ns;	     /* 0: before the first turn */
	uint64_t cleared_ns;	     /* the latest turn */
	uint64_t due_ns;
	uint64_t spent_ns;    /* CPU time of all turns */
	uint64_t turn_ns;     /* of the latest one */
	uint64_t counting_ns; /* of that, after the scan */
	uint32_t turns;
	bool pausing; /* what comes next ends a pause, not an epoch */
	bool resumed; /* the latest turn did */
};

int measure_open(const struct probe *probe, const struct pagescan_target *target,
		 const struct cvhrc_setup *setup, struct measure **ret, struct err *err);
/* By the kernel's generations and nothing else: of target, path alone counts. */
int measure_open_lru(const struct pagescan_target *target, const struct cvhrc_setup *setup,
		     struct measure **ret, struct err *err);
void measure_close(struct measure *measure); /* accepts NULL */

static inline uint64_t measure_due_ns(const struct measure *measure)
{
	return measure->due_ns;
}

/* Errors: as pagescan_epoch(). What was measured before stays. */
int measure_turn(struct measure *measure, uint64_t now_ns, struct err *err);

/* No turn before until_ns, unless an epoch was waited for and has just begun. */
void measure_put_off(struct measure *measure, uint64_t until_ns);
/* No turn comes for long: what observes on its own account ceases. Then the next is due, and says nothing of when
 * pages were touched since the latest. */
void measure_rest(struct measure *measure);
void measure_resume(struct measure *measure, uint64_t now_ns);

/* Of files that are read and not mapped, and in the curve; in memory now. */
uint64_t measure_files_bytes(const struct measure *measure);

/* What it rests on, for people: "page tables, file reads". */
const char *measure_source(const struct measure *measure);

/* False: nothing was counted yet. */
bool measure_curve(const struct measure *measure, struct cvhrc_curve *ret);

#endif
