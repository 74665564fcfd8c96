/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "export/player.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/crc32.h"

/* More in a row do not come: the control is let go. The core shifts by it. */
#define CHANGES_SANE 16

void player_init(struct player *player)
{
	*player = (struct player){ 0 };
}

/*
 * A state is the struct as it lay in the recorder's memory. Members that were moved, added or resized
 * change some of these numbers; a change of meaning alone comes with a new version.
 */
uint64_t player_layout(void)
{
	static const uint32_t offsets[] = {
		sizeof(struct fcb),
		sizeof(struct fcb_policy),
		sizeof(struct fcb_resource),
		sizeof(struct fcb_control),
		sizeof(struct fcb_totals),
		sizeof(struct fcb_last),
		sizeof(struct signalflag),
		sizeof(struct adaptive),
		offsetof(struct adaptive, phase),
		offsetof(struct adaptive, until_ns),
		offsetof(struct adaptive, usage_bytes),
		offsetof(struct adaptive, last),
		offsetof(struct adaptive, steps),
		FCB_RESOURCES,
		PFUSE_CONTROLS,
		offsetof(struct fcb, policy),
		offsetof(struct fcb, res),
		offsetof(struct fcb, flag),
		offsetof(struct fcb, control),
		offsetof(struct fcb, totals),
		offsetof(struct fcb, last),
		offsetof(struct fcb, peak),
		offsetof(struct fcb, sampled_ns),
		offsetof(struct fcb, active_ns),
		offsetof(struct fcb, probe_end_ns),
		offsetof(struct fcb, overdue),
		offsetof(struct fcb, fresh),
	};

	return (crc32_of(0, offsets, sizeof(offsets)) ^ player_cpus_layout()) << 32 |
	       crc32_of(0, PFUSE_VERSION, sizeof(PFUSE_VERSION));
}

/* Another machine in the same file: a later segment, whose states are those that hold already. */
static int set_up(struct player *player, const struct pftrace_machine *machine)
{
	struct fcb *fcbs;
	struct player_group *groups;

	if (player->nslots)
		return machine->slots == player->nslots ? 0 : -EPROTO;
	fcbs = calloc(machine->slots, sizeof(*fcbs));
	groups = calloc(machine->slots, sizeof(*groups));
	if (!fcbs || !groups) {
		free(fcbs);
		free(groups);
		return -ENOMEM;
	}
	player->fcbs = fcbs;
	player->groups = groups;
	player->nslots = machine->slots;
	orchestrator_init(&player->core, fcbs, machine->slots, machine->ram_bytes,
			  machine->page_bytes);
	player->core.ncpus = machine->cpus;
	return 0;
}

static int name_group(struct player *player, uint32_t slot, const struct pftrace_group *group)
{
	struct player_group *known = &player->groups[slot];
	char *name = strdup(group->name), *path = strdup(group->path);

	if (!name || !path) {
		free(name);
		free(path);
		return -ENOMEM;
	}
	free(known->name);
	free(known->path);
	*known = (struct player_group){ .name = name, .path = path, .attached = true };
	return 0;
}

/* A byte that is to be a bool is made one: a file may hold anything there. */
static void make_bool(bool *value)
{
	uint8_t byte;

	memcpy(&byte, value, sizeof(byte));
	*value = byte != 0;
}

static void make_sane(struct fcb *fcb)
{
	make_bool(&fcb->stopped);
	make_bool(&fcb->requested);
	make_bool(&fcb->removed);
	make_bool(&fcb->still);
	make_bool(&fcb->settled);
	for (unsigned i = 0; i < ARRAY_SIZE(fcb->control); i++) {
		make_bool(&fcb->control[i].let_go);
		make_bool(&fcb->control[i].written);
		if (fcb->control[i].changes > CHANGES_SANE)
			fcb->control[i].changes = CHANGES_SANE;
	}
	if (fcb->overdue >= PFUSE_REASONS)
		fcb->overdue = PFUSE_WHY_NONE;
	for (unsigned i = 0; i < FCB_RESOURCES; i++)
		if (fcb->policy.mode[i] > FCB_ACT)
			fcb->policy.mode[i] = FCB_OFF;
	if (fcb->policy.freeze > FCB_FREEZE_GUARDED)
		fcb->policy.freeze = FCB_FREEZE_OFF;
	if (fcb->policy.foreign > FCB_FOREIGN_REAPPLY)
		fcb->policy.foreign = FCB_FOREIGN_LET_GO;
}

static int have_adaptive(struct player *player)
{
	static const struct adaptive_setup defaults;

	if (player->adaptive)
		return 0;
	player->adaptive = calloc(player->nslots, sizeof(*player->adaptive));
	if (!player->adaptive)
		return -ENOMEM;
	orchestrator_adaptive(&player->core, player->adaptive, &defaults);
	return 0;
}

static int set_adaptive(struct player *player, const struct pftrace_record *record)
{
	const struct pftrace_bytes *state = &record->state.adaptive;
	struct adaptive *a;
	int code;

	if (!state->size)
		return 0;
	if (state->size != sizeof(*a))
		return -ENOTSUP;
	code = have_adaptive(player);
	if (code)
		return code;
	a = &player->adaptive[record->slot];
	memcpy(a, state->at, sizeof(*a));
	make_bool(&a->chosen);
	make_bool(&a->by_limit);
	make_bool(&a->failing);
	if (a->phase > ADAPTIVE_COOL)
		a->phase = ADAPTIVE_READY;
	return 0;
}

static int set_state(struct player *player, const struct pftrace_record *record)
{
	const struct orchestrator *core = &player->core;
	struct fcb *fcb = &player->fcbs[record->slot];
	struct fcb state;
	int code;

	if (record->state.layout != player_layout() || record->state.size != sizeof(state))
		return -ENOTSUP;
	memcpy(&state, record->state.fcb, sizeof(state));
	if (!record->slot || state.slot != record->slot || !state.group_id)
		return -EPROTO;
	/* A state in the midst of a file is what the core has come to anyway. */
	if (fcb->group_id)
		return 0;
	code = set_adaptive(player, record);
	if (!code)
		code = player_cpus_set_state(player->cpus, record);
	if (code)
		return code;
	make_sane(&state);
	state.page_bytes = core->page_bytes;
	state.ncpus = core->ncpus;
	*fcb = state;
	return 0;
}

static int prepare_group(struct player *player, const struct pftrace_record *record)
{
	switch (record->kind) {
	case PFTRACE_ATTACH:
	case PFTRACE_GROUP:
		return record->slot ? name_group(player, record->slot, &record->group) : -EPROTO;
	case PFTRACE_STATE:
		return set_state(player, record);
	case PFTRACE_DETACH:
		player->groups[record->slot].attached = false;
		return 0;
	default:
		return 0;
	}
}

int player_prepare(struct player *player, const struct pftrace_record *record)
{
	if (record->kind == PFTRACE_MACHINE)
		return set_up(player, &record->machine);
	if (record->slot >= player->nslots)
		return -EPROTO;
	if (!player->first_ns)
		player->first_ns = record->time_ns;
	if (record->time_ns > player->now_ns)
		player->now_ns = record->time_ns;
	return prepare_group(player, record);
}

int player_choose(struct player *player, const struct pftrace_record *record)
{
	const struct pftrace_choose *choose = &record->choose;
	struct orchestrator *core = &player->core;
	int code = have_adaptive(player);

	if (code)
		return code;
	orchestrator_choose(core, record->slot, choose->adaptive, choose->by_limit, &record->sample,
			    choose->grace_ns, record->time_ns);
	return 0;
}

int player_cpus(struct player *player, const struct pftrace_record *record,
		struct pfuse_verdict ret[PFUSE_CONTROLS])
{
	return player->nslots ? player_cpus_play(&player->cpus, &player->core, record, ret)
			      : -EPROTO;
}

static int answer(unsigned verdicts)
{
	return (int)verdicts;
}

int player_play(struct player *player, const struct pftrace_record *record,
		struct pfuse_verdict ret[PFUSE_CONTROLS])
{
	struct orchestrator *core = &player->core;
	uint64_t now_ns = record->time_ns;
	uint32_t slot = record->slot;
	int code = player_prepare(player, record);

	if (code)
		return code;
	switch (record->kind) {
	case PFTRACE_ATTACH:
		orchestrator_attach(core, slot, record->group.id, &record->policy, &record->sample,
				    now_ns);
		return 0;
	case PFTRACE_POLICY:
		orchestrator_policy(core, slot, &record->policy);
		return 0;
	case PFTRACE_DETACH:
		orchestrator_detach(core, slot);
		return 0;
	case PFTRACE_CHOOSE:
		return player_choose(player, record);
	case PFTRACE_NEED:
		orchestrator_need(core, slot, &record->need, now_ns);
		return 0;
	case PFTRACE_SHARE:
		orchestrator_share(core, slot, record->share_bytes);
		return 0;
	case PFTRACE_SAMPLE:
		return answer(orchestrator_sample(core, slot, &record->sample, now_ns, ret));
	case PFTRACE_EVENT:
		return answer(orchestrator_event(core, &record->event, now_ns, ret));
	case PFTRACE_TIMER:
		return answer(orchestrator_timer(core, slot, now_ns, ret));
	case PFTRACE_REQUEST:
		return answer(orchestrator_request(core, slot, record->stop, now_ns, ret));
	case PFTRACE_EXIT:
		return answer(orchestrator_exit(core, slot, now_ns, ret));
	case PFTRACE_APPLIED:
		orchestrator_applied(core, &record->applied.verdict, record->applied.outcome,
				     now_ns);
		return 0;
	default:
		return record->kind >= PFTRACE_CPUS_BEGIN ? player_cpus(player, record, ret) : 0;
	}
}

struct fcb *player_fcb(struct player *player, uint32_t slot)
{
	return player->nslots ? orchestrator_fcb(&player->core, slot) : NULL;
}

void player_free(struct player *player)
{
	for (uint32_t slot = 0; slot < player->nslots; slot++) {
		free(player->groups[slot].name);
		free(player->groups[slot].path);
	}
	free(player->groups);
	free(player->fcbs);
	free(player->adaptive);
	player_cpus_free(player->cpus);
	*player = (struct player){ 0 };
}
