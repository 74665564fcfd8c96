/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What Algorithm 1 asks for where usage is a rate: CPU, I/O and NET. RAM is the orchestrator's own.
 *
 * Source: the p-Fusebox paper, Algorithm 1, with x = usage per second in the interval, y = limit.
 * Reading, CPU and I/O: the kernel holds x <= y, so a group that wants more than y scores exactly 1.0,
 * "no change", and would stay squeezed for ever. So a limit whose high-water share is used, or, CPU,
 * that was met in more than a tenth of the periods, grows as at RAM's high-water mark (fusebox_grow(),
 * reason PFUSE_WHY_HIGH_WATER). The periods count besides the mean since a burst that is cut off every
 * time uses little in the mean. An unlimited resource is never at its mark.
 * Reading, NET: no kernel has a byte limit that could be set, only priorities. The rule moves a virtual
 * limit, which is kept in the FCB; each time it raises it, the priority of the group's sockets goes
 * one level up, each time it lowers it, one level down. Its x is a running mean over some eight
 * intervals: traffic jumps from second to second, the trend term turns each drop of an eighth into
 * "shrink", and a priority that follows every jump helps nobody. But silence is 0 at once.
 *
 * Pure functions of the FCB. kind is not FCB_RAM.
 */
#ifndef PFUSE_CORE_RATE_H
#define PFUSE_CORE_RATE_H

#include "core/fcb.h"
#include "core/fusebox.h"
#include "pfuse/verdict.h"

/* *ret_reason is meaningless where the rule asks for no change. */
struct fusebox rate_rule(const struct fcb *fcb, enum fcb_resource_kind kind,
			 enum pfuse_reason *ret_reason);

/* The level that a move of the virtual limit asks for, within the policy's range. */
uint32_t rate_level(const struct fcb *fcb, const struct fusebox *rule);

#endif
