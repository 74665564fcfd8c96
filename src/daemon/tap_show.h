/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What of a trace a person looks at: for each group a track with its decisions and events, tracks for
 * usage, limit and score of each resource, for what it waits for and what it was given, and slices while
 * it is stopped and while its Signal Flag is true. Counters are written when they change, tracks when they are first used.
 *
 * Order: show_open(); show_group() before anything of a slot; the rest in any order; show_end() and then
 * show_again() at the border of two segments; show_close(), which accepts a zeroed struct.
 */
#ifndef DAEMON_TAP_SHOW_H
#define DAEMON_TAP_SHOW_H

#include <stdbool.h>
#include <stdint.h>

#include "core/adaptive.h"
#include "core/cpus.h"
#include "core/fcb.h"
#include "daemon/say.h"
#include "export/pftrace.h"
#include "pfuse/event.h"
#include "pfuse/sample.h"
#include "pfuse/span.h"

struct shown;

struct show {
	struct pftrace *trace; /* borrowed */
	struct shown *slots;
	struct pfuse_span *spans; /* by slot, as last shown; NULL: never */
	uint32_t nslots;
};

int show_open(struct show *show, struct pftrace *trace, uint32_t nslots);

/* `name` is borrowed, and untrusted. */
void show_group(struct show *show, uint32_t slot, const char *name);

/* As it stands after the core was told something. */
void show_fcb(struct show *show, uint32_t slot, const struct fcb *fcb, uint64_t now_ns);

/* What a sample says that the FCB does not keep. */
void show_sample(struct show *show, uint32_t slot, const struct pfuse_sample *sample,
		 uint64_t now_ns);
/* The knee of its curve. */
void show_need(struct show *show, uint32_t slot, const struct adaptive_need *need,
	       uint64_t now_ns);
/* Counters of the kernel, which only grow; a rate is shown from the second on. */
void show_harm(struct show *show, uint32_t slot, uint64_t stall_ns, uint64_t refaults,
	       uint64_t now_ns);
void show_waits(struct show *show, uint32_t slot, const struct pfuse_span *span, uint64_t now_ns);
/* What it was given of the machine's `online` CPUs, and its weight; nothing where neither is asked for. */
void show_cpus(struct show *show, uint32_t slot, const struct cpus_group *group, uint32_t online,
	       uint64_t now_ns);
void show_event(struct show *show, const struct pfuse_event *event);
void show_applied(struct show *show, const struct say_decision *decision, uint64_t now_ns);
void show_lost(struct show *show, const char *what, uint64_t events, uint64_t now_ns);

void show_end(struct show *show, uint64_t now_ns);
void show_again(struct show *show);

void show_close(struct show *show);

#endif
