/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The policy `adaptive` on a group's FCB: takes the next sample to core/adaptive, and what that
 * wants to the arbiter. Called by the orchestrator, once per sample of a group that runs and is
 * looked at.
 */
#ifndef PFUSE_CORE_ADAPTIVE_RAM_H
#define PFUSE_CORE_ADAPTIVE_RAM_H

#include <stdint.h>

#include "core/adaptive.h"
#include "core/fcb.h"
#include "pfuse/sample.h"
#include "pfuse/verdict.h"

/*
 * 0 or 1 verdicts (PFUSE_CTL_RECLAIM or PFUSE_CTL_RAM), `size` being the target. Under `fusebox`
 * the score decides; here it is noted as evidence.
 */
unsigned adaptive_ram(struct adaptive *a, const struct adaptive_setup *setup, struct fcb *fcb,
		      const struct pfuse_sample *sample, uint64_t now_ns,
		      struct pfuse_verdict *ret);

#endif
