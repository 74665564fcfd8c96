/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The policy `adaptive` as the daemon carries it out: figures for the core's samples, and its
 * wishes to reclaim, a slice at a time, by a thread that waits for the kernel in the loop's place.
 *
 * Order: squeeze_open() after the members are there and before the first is attached;
 * squeeze_choose() after the attach of each; squeeze_fill() for each sample; squeeze_begin() for
 * each PFUSE_CTL_RECLAIM verdict, of which the core hears the outcome when the last slice is done;
 * squeeze_end() when the group is gone; squeeze_halt() before controls are restored and groups are
 * closed. All do nothing under another policy, for which nothing is allocated.
 */
#ifndef DAEMON_SQUEEZE_H
#define DAEMON_SQUEEZE_H

#include <stdint.h>

#include "daemon/daemon.h"
#include "pfuse/sample.h"
#include "pfuse/verdict.h"

int squeeze_open(struct daemon *daemon, struct err *err);
void squeeze_close(struct daemon *daemon);

/* A group whose kernel tells neither stall nor refaults stays under `fusebox`, and that is said. */
void squeeze_choose(struct daemon *daemon, uint32_t slot, struct pfuse_sample *first,
		    uint64_t grace_ns);

void squeeze_fill(const struct daemon *daemon, uint32_t slot, struct pfuse_sample *sample);

/* One at a time for each group: while it lasts, further wishes of this group are ignored. */
void squeeze_begin(struct daemon *daemon, uint32_t slot, const struct pfuse_verdict *verdict,
		   uint64_t since_ns);
void squeeze_end(struct daemon *daemon, uint32_t slot);

/*
 * v1: its limit is that of a slice for an instant, so it is not to be looked at; nor to be set before
 * it is let go.
 */
bool squeeze_holds_limit(const struct daemon *daemon, uint32_t slot);
void squeeze_let_go(struct daemon *daemon, uint32_t slot);

/* The slice under way is waited for, and no other follows. */
void squeeze_halt(struct daemon *daemon);

#endif
