/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "export/player_cpus.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/crc32.h"

/* More are not asked for in practice, and the core's own bound; it shifts by it. */
#define DOUBLINGS_SANE 6

static void copy(void *to, size_t size, const struct pftrace_bytes *from)
{
	memset(to, 0, size);
	if (from->size && from->size <= size)
		memcpy(to, from->at, from->size);
}

static void read_topology(const struct pftrace_topology *from, struct workload_topology *to)
{
	copy(&to->online, sizeof(to->online), &from->online);
	copy(to->core, sizeof(to->core), &from->core);
	copy(to->llc, sizeof(to->llc), &from->llc);
	copy(to->node, sizeof(to->node), &from->node);
}

static int begin(struct player_cpus **ret, struct orchestrator *core,
		 const struct pftrace_topology *topology)
{
	struct player_cpus *cpus = calloc(1, sizeof(*cpus));
	struct workload_topology t;

	if (!cpus)
		return -ENOMEM;
	cpus->groups = calloc(core->nslots, sizeof(*cpus->groups));
	cpus->workload = calloc(core->nslots, sizeof(*cpus->workload));
	cpus->verdicts = calloc(core->nslots, 2 * sizeof(*cpus->verdicts));
	if (!cpus->groups || !cpus->workload || !cpus->verdicts) {
		player_cpus_free(cpus);
		return -ENOMEM;
	}
	read_topology(topology, &t);
	cpus_init(&cpus->core, cpus->groups, cpus->workload, core->nslots, &t);
	orchestrator_cpus_begin(core, &cpus->core);
	*ret = cpus;
	return 0;
}

static void set_rules(struct orchestrator *core, const struct pftrace_cpus_rules *rules)
{
	orchestrator_cpus_rules(core, &rules->policy, &rules->own);
}

/* Of a split that went on before the file began; in the midst of a file it is what is known anyway. */
static int resume(struct player_cpus **cpus, struct orchestrator *core,
		  const struct pftrace_record *record)
{
	const struct pftrace_cpus_state *state = &record->cpus_state;
	int code = *cpus ? 1 : begin(cpus, core, &record->topology);

	if (code)
		return code < 0 ? code : 0;
	set_rules(core, &record->rules);
	(*cpus)->core.next_check_ns = state->next_check_ns;
	(*cpus)->core.looked = state->looked;
	(*cpus)->core.changed = state->changed;
	(*cpus)->core.workload.small = state->small;
	(*cpus)->core.workload.confined = state->confined;
	(*cpus)->core.workload.sharing = state->sharing;
	(*cpus)->core.workload.mistakes = state->mistakes;
	(*cpus)->core.workload.apart = state->apart;
	(*cpus)->core.workload.shared = state->shared;
	copy(&(*cpus)->core.workload.common, sizeof(struct cpumask), &state->common);
	copy(&(*cpus)->core.workload.remainder, sizeof(struct cpumask), &state->remainder);
	return 0;
}

static int give(struct player_cpus *cpus, struct pfuse_verdict ret[PFUSE_CONTROLS])
{
	unsigned n = cpus->count - cpus->given;

	if (n > PFUSE_CONTROLS)
		n = PFUSE_CONTROLS;
	memcpy(ret, cpus->verdicts + cpus->given, n * sizeof(*ret));
	cpus->given += n;
	return (int)n;
}

static int decide(struct player_cpus *cpus, struct orchestrator *core,
		  const struct pftrace_record *record, struct pfuse_verdict ret[PFUSE_CONTROLS])
{
	if (!record->goes_on) {
		cpus->given = 0;
		cpus->count =
			orchestrator_cpus(core, record->time_ns, cpus->verdicts, 2 * core->nslots);
	}
	return give(cpus, ret);
}

static void look(struct orchestrator *core, const struct pftrace_record *record)
{
	struct pfuse_span span;

	copy(&span, sizeof(span), &record->span);
	orchestrator_cpus_look(core, record->slot, &record->sample,
			       record->span.size ? &span : NULL, record->time_ns);
}

int player_cpus_play(struct player_cpus **cpus, struct orchestrator *core,
		     const struct pftrace_record *record, struct pfuse_verdict ret[PFUSE_CONTROLS])
{
	struct workload_topology topology;

	if (record->kind == PFTRACE_CPUS_BEGIN) {
		player_cpus_free(*cpus); /* of a split that was ended, by a configuration that was read again */
		*cpus = NULL;
		orchestrator_cpus_begin(core, NULL);
		return begin(cpus, core, &record->topology);
	}
	if (record->kind == PFTRACE_CPUS_STATE)
		return resume(cpus, core, record);
	if (!*cpus)
		return -EPROTO;
	switch (record->kind) {
	case PFTRACE_CPUS_TOPOLOGY:
		read_topology(&record->topology, &topology);
		orchestrator_cpus_topology(core, &topology);
		return 0;
	case PFTRACE_CPUS_RULES:
		set_rules(core, &record->rules);
		return 0;
	case PFTRACE_CPUS_POLICY:
		orchestrator_cpus_policy(core, record->slot, &record->cpus_policy);
		return 0;
	case PFTRACE_CPUS_LOOK:
		look(core, record);
		return 0;
	case PFTRACE_CPUS:
		return decide(*cpus, core, record, ret);
	default:
		return -EPROTO;
	}
}

/* A byte that is to be a bool is made one: a file may hold anything there. */
static void make_bool(bool *value)
{
	uint8_t byte;

	memcpy(&byte, value, sizeof(byte));
	*value = byte != 0;
}

static void make_control_sane(struct cpus_control *control)
{
	make_bool(&control->let_go);
}

static void make_group_sane(struct cpus_group *group)
{
	make_control_sane(&group->cpus);
	make_control_sane(&group->weight);
	if (group->prio.asked >= PRIO_ASKED)
		group->prio.asked = PRIO_OFF;
	if (group->prio.character >= PFUSE_CHARACTERS)
		group->prio.character = PFUSE_CHARACTER_NONE;
}

static void make_workload_sane(struct workload_group *group)
{
	make_bool(&group->looked);
	make_bool(&group->sized);
	make_bool(&group->moved);
	make_bool(&group->grown);
	make_bool(&group->resized);
	if (group->asked >= WORKLOAD_ASKED)
		group->asked = WORKLOAD_OFF;
	if (group->list >= PFUSE_TYPES)
		group->list = PFUSE_TYPE_NONE;
	if (group->doublings > DOUBLINGS_SANE)
		group->doublings = DOUBLINGS_SANE;
	if (group->cpus > CPUMASK_CPUS)
		group->cpus = CPUMASK_CPUS;
}

int player_cpus_set_state(struct player_cpus *cpus, const struct pftrace_record *record)
{
	const struct pftrace_bytes *group = &record->state.cpus_group;
	const struct pftrace_bytes *workload = &record->state.workload_group;

	if (!group->size && !workload->size)
		return 0;
	if (!cpus)
		return -EPROTO;
	if (group->size != sizeof(*cpus->groups) || workload->size != sizeof(*cpus->workload))
		return -ENOTSUP;
	memcpy(&cpus->groups[record->slot], group->at, group->size);
	memcpy(&cpus->workload[record->slot], workload->at, workload->size);
	make_group_sane(&cpus->groups[record->slot]);
	make_workload_sane(&cpus->workload[record->slot]);
	return 0;
}

uint64_t player_cpus_layout(void)
{
	static const uint32_t offsets[] = {
		sizeof(struct cpus_group),
		sizeof(struct cpus_policy),
		sizeof(struct cpus_control),
		sizeof(struct prio_group),
		sizeof(struct pfuse_span),
		sizeof(struct workload_group),
		offsetof(struct cpus_group, prio),
		offsetof(struct cpus_group, weight),
		offsetof(struct cpus_group, given),
		offsetof(struct cpus_group, given_weight),
		offsetof(struct cpus_group, looked_ns),
		offsetof(struct cpus_group, span),
		offsetof(struct workload_group, window),
		offsetof(struct workload_group, need_now),
		offsetof(struct workload_group, since_shrink),
		offsetof(struct workload_group, own),
	};

	return crc32_of(0, offsets, sizeof(offsets));
}

void player_cpus_free(struct player_cpus *cpus)
{
	if (!cpus)
		return;
	free(cpus->groups);
	free(cpus->workload);
	free(cpus->verdicts);
	free(cpus);
}
