/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Did a group talk by an object that it shares with an outsider? The judgement of one finding of a
 * snapshot (edge/reach.h), and of all of them. Pure: findings in, answer out.
 *
 * - Pipe: to share one is no talk, every container's output is such a pipe. Data that moved since the
 *   snapshot before is; so is unread data for the group, for somebody waits for what it does with it.
 *   Where the daemon writes too (its own lines go to the output that it was started with), what moved is
 *   nobody's in particular: a talk, unless each write is heard, for then those of others told themselves.
 * - Terminal: as a pipe, and its writes are not heard.
 * - eventfd: a count that changed or is not 0 is a talk. One that did not change proves nothing (written
 *   and read in between), unless its writes are heard: then it is silent.
 * - Shared memory: a store raises no event, and shared futexes live there, so silence cannot be known.
 */
#ifndef PFUSE_CORE_REACHABLE_H
#define PFUSE_CORE_REACHABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "pfuse/event.h"
#include "pfuse/reach.h"

/* In this order: the answer for many findings is the greatest of theirs. */
enum reachable {
	REACHABLE_SILENT,  /* nothing since the snapshot before */
	REACHABLE_UNKNOWN, /* new since the snapshot before: the next one tells */
	REACHABLE_TALKS,   /* it talked, or can never be known not to */
};

enum reachable reachable_judge(const struct pfuse_reach_finding *finding);

/*
 * `incomplete`: objects were left out (edge/reach.h), which may talk: at least REACHABLE_UNKNOWN.
 * *ret_evidence: the finding that decided, an index; UINT32_MAX if none did.
 */
enum reachable reachable_judge_all(const struct pfuse_reach_finding *findings, uint32_t count,
				   bool incomplete, uint32_t *ret_evidence);

/* The channel by which a finding's object talks, for the evidence of the Signal Flag. */
enum pfuse_channel reachable_channel(const struct pfuse_reach_finding *finding);

#endif
