/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The file reads of a group that is measured: edge/reads.h feeds core/cvhrc_files.h, within the epochs of
 * daemon/measure.h, whose part this is.
 *
 * Order, per epoch: measure_files_begin(), pagescan_epoch(), measure_files_take(). A zeroed one, or one of a
 * kernel or probe that tells nothing of reads, does nothing.
 */
#ifndef DAEMON_MEASURE_FILES_H
#define DAEMON_MEASURE_FILES_H

#include "base/err.h"
#include "core/cvhrc_files.h"
#include "edge/filestat.h"
#include "edge/pagescan.h"
#include "edge/reads.h"

struct measure_files {
	struct reads *reads;	  /* NULL: none are seen */
	struct cvhrc_files *core; /* NULL: nothing was read yet */
	const struct pagescan *scan;
	struct reads_result last;
	struct filestat stat, before; /* of the group: now, and when we came */
	uint64_t dropped;	      /* in all */
	uint64_t refaulted;	      /* of known pages, in the sample, in this epoch */
	struct cvhrc *to;	      /* while pages are taken */
	int group_fd;		      /* -1: processes, of which no such figures are known */
	bool failed;
};

int measure_files_open(struct measure_files *files, const struct probe *probe,
		       const struct pagescan_target *target, struct pagescan *scan,
		       struct err *err);
void measure_files_close(struct measure_files *files);

void measure_files_begin(struct measure_files *files);
/* Between cvhrc_begin() and cvhrc_end(), whose totals it completes. */
void measure_files_take(struct measure_files *files, struct cvhrc *core, bool renumbered,
			struct cvhrc_totals *totals);

/* Nothing is seen between; the places of the pages stay. -errno: a kernel that refuses now tells no more. */
void measure_files_rest(struct measure_files *files);
int measure_files_resume(struct measure_files *files);

/* Pages of files that are in memory and not mapped, if the group reads files. */
uint64_t measure_files_resident(const struct measure_files *files);

#endif
