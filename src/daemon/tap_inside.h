/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the files of the tap share; for nobody else. */
#ifndef DAEMON_TAP_INSIDE_H
#define DAEMON_TAP_INSIDE_H

#include <sys/utsname.h>

#include "daemon/tap.h"
#include "daemon/tap_show.h"
#include "export/pftrace.h"

struct tap {
	struct pftrace *trace;
	struct show show;
	struct utsname system;
	uint64_t ring_lost;
	const char *dump_why; /* flight recorder: to be written at the end of this turn */
	bool failed;	      /* and said */
};

/* Of this turn of the loop; before the first, of the clock. */
uint64_t tap_now_ns(const struct daemon *daemon);

/* What a door was asked and answered; and how the group stands now. */
void tap_put(struct daemon *daemon, struct pftrace_record *record,
	     const struct pfuse_verdict *verdicts, unsigned count);

/* What a segment says of the split: of the machine, as a record, and of a group, within the record of its state. */
void tap_cpus_put_state(struct daemon *daemon);
/* What the group was given, as tracks. */
void tap_cpus_show(struct daemon *daemon, uint32_t slot, uint64_t now_ns);
void tap_cpus_add_state(const struct daemon *daemon, uint32_t slot, struct pftrace_record *record);

#endif
