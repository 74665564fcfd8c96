/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "export/projection.h"

#include <errno.h>
#include <stdlib.h>

void projection_init(struct projection *projection, const struct config *config,
		     projection_verdict *tell, void *arg)
{
	*projection = (struct projection){
		.config = config, .due_ns = FCB_NEVER, .tell = tell, .arg = arg
	};
	player_init(&projection->player);
}

static void note_due(struct projection *projection, uint32_t slot)
{
	uint64_t due_ns = orchestrator_due(&projection->player.core, slot);

	if (due_ns < projection->due_ns)
		projection->due_ns = due_ns;
}

/* As if everything worked, at once. */
static void carry_out(struct projection *projection, const struct pfuse_verdict *verdicts,
		      unsigned count, uint64_t now_ns)
{
	for (unsigned i = 0; i < count; i++) {
		const struct pfuse_verdict *verdict = &verdicts[i];

		projection->limits[verdict->slot].by_control[verdict->control] = verdict->to;
		projection->tell(projection->arg, verdict);
		orchestrator_applied(&projection->player.core, verdict, ORCHESTRATOR_APPLIED,
				     now_ns);
	}
}

/*
 * Rings until nothing is due any more. A group that is due but not quiet waits for its next sample, as it
 * would for one that the daemon takes then.
 */
static uint64_t ring_slot(struct projection *projection, uint32_t slot, uint64_t now_ns)
{
	struct orchestrator *core = &projection->player.core;
	struct pfuse_verdict verdicts[PFUSE_CONTROLS];
	uint64_t due_ns = orchestrator_due(core, slot), before_ns = 0;

	while (due_ns <= now_ns && due_ns > before_ns) {
		unsigned n = orchestrator_timer(core, slot, due_ns, verdicts);

		carry_out(projection, verdicts, n, due_ns);
		before_ns = due_ns;
		due_ns = orchestrator_due(core, slot);
	}
	return due_ns;
}

/* What time alone brought about since the last record. */
static void ring_due(struct projection *projection, uint64_t now_ns)
{
	if (now_ns < projection->due_ns)
		return;
	projection->due_ns = FCB_NEVER;
	for (uint32_t slot = 1; slot < projection->player.nslots; slot++) {
		uint64_t due_ns = ring_slot(projection, slot, now_ns);

		if (due_ns > now_ns && due_ns < projection->due_ns)
			projection->due_ns = due_ns;
	}
}

/* Without a configuration: `recorded`. */
static const struct fcb_policy *policy_of(const struct projection *projection, uint32_t slot,
					  const struct fcb_policy *recorded)
{
	const struct player_group *group = &projection->player.groups[slot];

	if (!projection->config)
		return recorded;
	return &config_match(projection->config, group->name, group->path)->policy;
}

/* The limits that hold when the projection begins; from then on they are its own. */
static void take_limits(struct projection *projection, uint32_t slot,
			const struct pfuse_sample *sample)
{
	uint64_t *limits = projection->limits[slot].by_control;

	limits[PFUSE_CTL_RAM] = sample->ram_limit_bytes;
	limits[PFUSE_CTL_CPU] = sample->cpu_limit_ns;
	limits[PFUSE_CTL_IO_READ] = sample->io_read_limit;
	limits[PFUSE_CTL_IO_WRITE] = sample->io_write_limit;
	limits[PFUSE_CTL_NET] = sample->net_priority;
}

/* Who took no part when it was recorded has not been looked at, and takes none here. */
static void ask_cpus(struct projection *projection, uint32_t slot,
		     const struct cpus_policy *recorded)
{
	const struct player_group *group = &projection->player.groups[slot];
	const struct cpus_policy *policy = recorded;

	if (projection->config && group->name && cpus_wanted(recorded))
		policy = &config_match(projection->config, group->name, group->path)->cpus;
	orchestrator_cpus_policy(&projection->player.core, slot, policy);
}

static void rule_cpus(struct projection *projection)
{
	const struct config *config = projection->config;

	if (config)
		orchestrator_cpus_rules(&projection->player.core, &config->cpus, &config->own);
}

static void take_limits_of_state(struct projection *projection, uint32_t slot)
{
	struct fcb *fcb = player_fcb(&projection->player, slot);
	uint64_t *limits = projection->limits[slot].by_control;

	if (!fcb)
		return;
	for (unsigned kind = 0; kind < FCB_NET; kind++)
		limits[fcb_control_of((enum fcb_resource_kind)kind)] = fcb->res[kind].limit;
	limits[PFUSE_CTL_NET] = fcb->net_level;
	const struct fcb_policy policy = *policy_of(projection, slot, &fcb->policy);

	orchestrator_policy(&projection->player.core, slot, &policy);
	if (projection->fusebox && projection->player.adaptive)
		projection->player.adaptive[slot].chosen = false;
	if (projection->config && projection->player.cpus)
		ask_cpus(projection, slot, &projection->player.cpus->groups[slot].policy);
}

/* All that one call decided, whose verdicts may take several records. */
static int play_cpus(struct projection *projection, const struct pftrace_record *record)
{
	struct pfuse_verdict some[PFUSE_CONTROLS];
	struct player *player = &projection->player;
	int code;

	if (record->kind == PFTRACE_CPUS && record->goes_on)
		return 0;
	code = player_cpus(player, record, some);
	if (code < 0)
		return code;
	if (record->kind == PFTRACE_CPUS_POLICY)
		ask_cpus(projection, record->slot, &record->cpus_policy);
	else if (record->kind == PFTRACE_CPUS_RULES || record->kind == PFTRACE_CPUS_STATE)
		rule_cpus(projection);
	else if (record->kind == PFTRACE_CPUS)
		carry_out(projection, player->cpus->verdicts, player->cpus->count, record->time_ns);
	return 0;
}

static struct pfuse_sample projected_sample(const struct projection *projection,
					    const struct pftrace_record *record)
{
	const uint64_t *limits = projection->limits[record->slot].by_control;
	struct pfuse_sample sample = record->sample;

	sample.ram_limit_bytes = limits[PFUSE_CTL_RAM];
	sample.cpu_limit_ns = limits[PFUSE_CTL_CPU];
	sample.io_read_limit = limits[PFUSE_CTL_IO_READ];
	sample.io_write_limit = limits[PFUSE_CTL_IO_WRITE];
	sample.net_priority = (uint32_t)limits[PFUSE_CTL_NET];
	return sample;
}

/* Under a limit that is larger here than it was, it was not met: how high the usage is, is looked at. */
static struct pfuse_event projected_event(const struct projection *projection,
					  const struct pftrace_record *record)
{
	uint64_t limit = projection->limits[record->slot].by_control[PFUSE_CTL_RAM];
	struct pfuse_event event = record->event;

	if (event.kind != PFUSE_EV_HIGH_WATER && event.kind != PFUSE_EV_LIMIT_HIT)
		return event;
	if (event.kind == PFUSE_EV_LIMIT_HIT && limit > event.ram.limit_bytes)
		event.kind = PFUSE_EV_HIGH_WATER;
	event.ram.limit_bytes = limit;
	return event;
}

static int set_up(struct projection *projection, const struct pftrace_record *record)
{
	int code = player_prepare(&projection->player, record);

	if (code || projection->limits || !projection->player.nslots)
		return code;
	projection->limits = calloc(projection->player.nslots, sizeof(*projection->limits));
	return projection->limits ? 0 : -ENOMEM;
}

static unsigned play(struct projection *projection, const struct pftrace_record *record,
		     struct pfuse_verdict ret[PFUSE_CONTROLS])
{
	struct orchestrator *core = &projection->player.core;
	uint32_t slot = record->slot;
	struct pfuse_sample sample;
	struct pfuse_event event;

	switch (record->kind) {
	case PFTRACE_ATTACH:
		take_limits(projection, slot, &record->sample);
		orchestrator_attach(core, slot, record->group.id,
				    policy_of(projection, slot, &record->policy), &record->sample,
				    record->time_ns);
		return 0;
	case PFTRACE_POLICY:
		if (!projection->config)
			orchestrator_policy(core, slot, &record->policy);
		return 0;
	case PFTRACE_STATE:
		take_limits_of_state(projection, slot);
		return 0;
	case PFTRACE_DETACH:
		orchestrator_detach(core, slot);
		return 0;
	case PFTRACE_CHOOSE: /* no memory: as under `fusebox` */
		if (!projection->fusebox)
			(void)player_choose(&projection->player, record);
		return 0;
	case PFTRACE_NEED: /* under `fusebox` the core passes over both */
		orchestrator_need(core, slot, &record->need, record->time_ns);
		return 0;
	case PFTRACE_SHARE:
		orchestrator_share(core, slot, record->share_bytes);
		return 0;
	case PFTRACE_SAMPLE:
		sample = projected_sample(projection, record);
		return orchestrator_sample(core, slot, &sample, record->time_ns, ret);
	case PFTRACE_EVENT:
		event = projected_event(projection, record);
		return orchestrator_event(core, &event, record->time_ns, ret);
	case PFTRACE_REQUEST:
		return orchestrator_request(core, slot, record->stop, record->time_ns, ret);
	case PFTRACE_EXIT:
		return orchestrator_exit(core, slot, record->time_ns, ret);
	default:
		return 0;
	}
}

int projection_play(struct projection *projection, const struct pftrace_record *record)
{
	struct pfuse_verdict verdicts[PFUSE_CONTROLS];
	bool is_later_segment = record->kind == PFTRACE_STATE && projection->limits &&
				player_fcb(&projection->player, record->slot);
	int code;

	if (projection->player.nslots)
		ring_due(projection, record->time_ns);
	code = set_up(projection, record);
	if (code || is_later_segment)
		return code;
	if (record->kind >= PFTRACE_CPUS_BEGIN)
		return play_cpus(projection, record);
	unsigned n = play(projection, record, verdicts);

	carry_out(projection, verdicts, n, record->time_ns);
	if (projection->player.nslots)
		note_due(projection, record->slot);
	return 0;
}

void projection_end(struct projection *projection, uint64_t now_ns)
{
	for (uint32_t slot = 1; slot < projection->player.nslots; slot++) {
		struct fcb *fcb = player_fcb(&projection->player, slot);

		if (fcb && !fcb->removed)
			fcb_account(fcb, now_ns);
	}
}

void projection_free(struct projection *projection)
{
	player_free(&projection->player);
	free(projection->limits);
	projection->limits = NULL;
}
