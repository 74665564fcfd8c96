/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The part of a player (export/player.h) that splits CPUs and sets weights: exists from the first record
 * about that on; PFTRACE_CPUS_BEGIN begins anew. For the player and for who calls its core differently (what-if).
 *
 * Order: player_cpus_play() for each record of its kinds. The verdicts of PFTRACE_CPUS are decided with the
 * first of the records that hold them and given out, PFUSE_CONTROLS at a time, with it and those that go on.
 * Errors: 0 or a count; -EPROTO: a record that cannot stand there; -ENOTSUP: a state of another build; -ENOMEM.
 */
#ifndef EXPORT_PLAYER_CPUS_H
#define EXPORT_PLAYER_CPUS_H

#include "core/orchestrator.h"
#include "export/pftrace_record.h"

struct player_cpus {
	struct cpus core;
	struct cpus_group *groups; /* by slot, as are the others */
	struct workload_group *workload;
	struct pfuse_verdict *verdicts; /* of the last call: two per slot */
	unsigned count;
	unsigned given; /* of them */
};

/* `*cpus`: NULL before the first. The core's struct cpus is set to it. */
int player_cpus_play(struct player_cpus **cpus, struct orchestrator *core,
		     const struct pftrace_record *record, struct pfuse_verdict ret[PFUSE_CONTROLS]);

/* What PFTRACE_STATE says of the slot; a state that holds nothing of it changes nothing. */
int player_cpus_set_state(struct player_cpus *cpus, const struct pftrace_record *record);

/* What identifies the layout of the structs of a group. */
uint64_t player_cpus_layout(void);

void player_cpus_free(struct player_cpus *cpus);

#endif
