/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * When a group is stopped, and when it is continued.
 *
 * Source: the p-Fusebox paper, control by signals (SIGSTOP, SIGCONT). Reading: a group is stopped
 * when its Signal Flag is true and it has been idle for policy.idle_ns; it is continued when it
 * talks, when somebody asks, when it empties, and at the latest after policy.deadline_ns. After a
 * continue the full idle time must pass again. A requested stop knows neither talk nor deadline.
 *
 * Guarded (ours, not the paper's): stopped when idle, whether it talks or not, for the edge lets it
 * rest only where everything that it waits for will wake it. A wake or a pulse at the deadline after
 * which it does next to nothing for policy.probe_ns does not reset its idleness, unless it is known that who
 * came was none of those whose health checks are to be passed over.
 *
 * Works on one FCB; the verdict goes through the arbiter. How a group is stopped is the edge's
 * matter.
 */
#ifndef PFUSE_CORE_FREEZER_H
#define PFUSE_CORE_FREEZER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/fcb.h"
#include "pfuse/verdict.h"

/* Nothing runs in the group, and an ACTIVE event will tell when that ends: no sample is needed. */
bool freezer_quiet(const struct fcb *fcb);

/* When time alone will change something for this group; FCB_NEVER: it will not. */
uint64_t freezer_due_ns(const struct fcb *fcb);

/*
 * What state and time ask for. idle_proven: it is known, from a sample taken now or from a quiet
 * that nothing ended, that the group was idle up to now_ns; without that, it is only ever
 * continued.
 */
bool freezer_decide(const struct fcb *fcb, bool idle_proven, uint64_t now_ns,
		    struct pfuse_verdict *ret_verdict);

/* Somebody asks for this (PFUSE_WHY_REQUEST, PFUSE_WHY_EXIT). */
bool freezer_ask(struct fcb *fcb, bool stop, enum pfuse_reason reason, uint64_t now_ns,
		 struct pfuse_verdict *ret_verdict);

/* The policy has changed: a stop that it does not allow any more is due to end. */
void freezer_policy_changed(struct fcb *fcb);

/* Something came for the group: if it is stopped, and not by request, it is to continue. */
void freezer_wake(struct fcb *fcb, enum pfuse_reason reason);

/*
 * Guarded: who talks with it is no health check. Its idleness begins anew, now or, if it is stopped, when
 * it continues.
 */
void freezer_used(struct fcb *fcb, uint64_t now_ns);

/* What became of a verdict: the group is stopped, is continued, or could not be continued. */
void freezer_stopped(struct fcb *fcb, enum pfuse_reason reason, uint64_t now_ns);
void freezer_continued(struct fcb *fcb, enum pfuse_reason reason, uint64_t now_ns);
void freezer_overdue(struct fcb *fcb, enum pfuse_reason reason);

#endif
