/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * One step of one group: a sample is taken and handed to the core, what the core decides is carried out, the
 * core is told how that went, and the user. Called by the loop with the time of its turn in loop.now_ns; knows
 * nothing of where the turn came from.
 *
 * A group that turns out to be gone is forgotten: its FCB says `removed`, and every call here does nothing.
 * Errors: none; what could not be done is said, or tried again at the next interval.
 */
#ifndef DAEMON_STEP_H
#define DAEMON_STEP_H

#include "daemon/daemon.h"

/* The group is sampled each interval from now on. */
void step_awaken(struct daemon *daemon, struct member *member);

/*
 * After the core was asked anything about a slot: when does it want to be asked again? What is due still
 * (a sample that could not be taken) is asked again a little later: the loop must never spin.
 */
void step_note_due(struct daemon *daemon, uint32_t slot);

void step_sample(struct daemon *daemon, uint32_t slot);

/* since_ns: of what led to the verdicts. */
void step_carry_out(struct daemon *daemon, uint32_t slot, const struct pfuse_verdict *verdicts,
		    unsigned count, uint64_t since_ns);

void step_forget(struct daemon *daemon, uint32_t slot);

#endif
