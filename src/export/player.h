/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Plays records (pftrace_record.h) to a core of its own, with no edge.
 *
 * Order of calls: player_init(); player_play() for each record, in the order of the file;
 * player_free(), which accepts a zeroed player. In between, player_fcb() and player_name() tell about a
 * slot; after a SAMPLE, the FCB has usage, limit and score of each resource, and its totals are those up
 * to player->now_ns (call fcb_account() before reading them).
 *
 * As recorded: the answers of the core are to be the recorded ones. Errors: -EPROTO, a record that cannot
 * stand there (a group before the machine, say); -ENOTSUP, a state of another build; -ENOMEM.
 */
#ifndef EXPORT_PLAYER_H
#define EXPORT_PLAYER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/orchestrator.h"
#include "export/pftrace_record.h"
#include "export/player_cpus.h"

struct player_group {
	char *name; /* owned; NULL: never attached */
	char *path;
	bool attached;
};

struct player {
	struct orchestrator core;
	struct fcb *fcbs;	     /* index = slot */
	struct player_group *groups; /* the same; they stay when a group is detached */
	struct adaptive *adaptive;   /* the same; NULL: no group is under that policy */
	struct player_cpus *cpus;    /* NULL: no CPUs are split, no weights set */
	uint32_t nslots;	     /* 0: no PFTRACE_MACHINE yet */
	uint64_t first_ns;	     /* of the first record that has a time */
	uint64_t now_ns;	     /* of the last one */
};

void player_init(struct player *player);

/* The core's answer: 0..PFUSE_CONTROLS verdicts, or -errno. */
int player_play(struct player *player, const struct pftrace_record *record,
		struct pfuse_verdict ret_verdicts[PFUSE_CONTROLS]);

/* NULL: nothing is attached there. */
struct fcb *player_fcb(struct player *player, uint32_t slot);

/* The checks and the bookkeeping of player_play() alone, for who calls the core differently (what-if). */
int player_prepare(struct player *player, const struct pftrace_record *record);

/* The kinds PFTRACE_CPUS_BEGIN to PFTRACE_CPUS_STATE alone: as player_play(). */
int player_cpus(struct player *player, const struct pftrace_record *record,
		struct pfuse_verdict ret_verdicts[PFUSE_CONTROLS]);

/* PFTRACE_CHOOSE alone. 0, or -ENOMEM. */
int player_choose(struct player *player, const struct pftrace_record *record);

/* What identifies the layout of a state in this build. */
uint64_t player_layout(void);

void player_free(struct player *player);

#endif
