/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The hit-ratio curve of every group under `adaptive`, measured by itself: it comes and goes with the
 * group, intermittently (core/tracking.h), and what it says goes to the core as the group's need.
 * After each session comes edge/age.h, and some time in which what is in use is touched again: nothing that is hot
 * is to be reclaimed then.
 *
 * Order: curves_open() after squeeze_open() and before the probe is opened → curves_choose() for each group
 * under the policy → curves_sample() after each sample of a group that is awake; from then on a timer of
 * the loop measures, one turn of one group at a time and only when nothing else is to be done →
 * curves_end() when the group is gone → curves_close(). All do nothing under another policy, for which
 * nothing is allocated. A group that is idle, stopped or empty is not measured, and then the timer is off.
 *
 * Memory: the probe's slice buffer once, and up to 270 KiB for each of at most CURVES_OPEN_MAX groups at
 * a time: the others wait for one that rests. Of each group with a result 2 KiB stay.
 */
#ifndef DAEMON_CURVES_H
#define DAEMON_CURVES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/cvhrc.h"
#include "daemon/daemon.h"
#include "daemon/say.h"
#include "pfuse/sample.h"

#define CURVES_OPEN_MAX 32

/* The last one that could be believed. */
struct curves_result {
	struct cvhrc_curve curve;
	const char *source; /* a literal */
	uint64_t time_ns;
};

/* What measuring a group came to. */
struct curves_facts {
	const struct curves_result *result; /* NULL: none yet */
	const char *why;		    /* a literal: why there is none */
	uint64_t measured_ns;		    /* time in sessions */
	uint64_t spent_ns;		    /* CPU time */
	uint64_t least_bytes; /* what the group keeps whatever is asked, at its last sample */
	uint32_t sessions;
};

int curves_open(struct daemon *daemon, struct err *err);
void curves_close(struct daemon *daemon);

/* Are page tables to be read? Before the probe is opened. */
bool curves_wanted(const struct daemon *daemon);

void curves_choose(struct daemon *daemon, uint32_t slot);
void curves_sample(struct daemon *daemon, uint32_t slot, const struct pfuse_sample *sample);
void curves_end(struct daemon *daemon, uint32_t slot);

/* False: the group is not under `adaptive`, and *ret says why. */
bool curves_facts(const struct daemon *daemon, uint32_t slot, struct curves_facts *ret);

/* For the line about a decision: NULL, or *room filled. */
const struct say_curve *curves_say(const struct daemon *daemon, uint32_t slot, uint64_t now_ns,
				   struct say_curve *room);

#endif
