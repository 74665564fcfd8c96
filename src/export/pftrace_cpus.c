/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Records about the split of CPUs and the weights (core/cpus.h) as messages, and back. */
#include <string.h>

#include "export/pftrace_fields.h"
#include "export/pftrace_inside.h"

#define OWN_FIRST_MAX 1000 /* nice values are -20 to 19 in the kernel, -30 to 29 in a table */

#define MISTAKES_MAX 6 /* the core shifts by it, and counts no further */

#define PUT(member)                                                                                \
	to->member = from->member;                                                                 \
	to->has_##member = from->member != 0;

#define GET(member) to->member = (__typeof__(to->member))from->member;
#define FITS(member) &&from->member == (__typeof__(to->member))from->member

#define PUT_BYTES(member)                                                                          \
	to->has_##member = from->member.size != 0;                                                 \
	to->member = (ProtobufCBinaryData){ .len = from->member.size,                              \
					    .data = (uint8_t *)(uintptr_t)from->member.at };

#define GET_BYTES(member)                                                                          \
	to->member = (struct pftrace_bytes){ .at = from->member.data, .size = from->member.len };

#define TOPOLOGY_BYTES(X) X(online) X(core) X(llc) X(node)

static void pack_topology(const struct pftrace_topology *from, Pftrace__Topology *to)
{
	pftrace__topology__init(to);
	TOPOLOGY_BYTES(PUT_BYTES)
}

/* A machine without a CPU cannot be split. */
static bool get_topology(const Pftrace__Topology *from, struct pftrace_topology *to)
{
	static const struct cpumask none;
	const size_t most = SIZE_IN(workload_topology, core);

	if (!from || from->online.len > sizeof(none) || from->core.len > most ||
	    from->llc.len > most || from->node.len > most || !from->online.len ||
	    memcmp(from->online.data, &none, from->online.len) == 0)
		return false;
	TOPOLOGY_BYTES(GET_BYTES)
	return true;
}

static void pack_rules(const struct pftrace_cpus_rules *rules, Pftrace__CpusRules *to)
{
	const struct workload_policy *from = &rules->policy;

	pftrace__cpus_rules__init(to);
	WORKLOAD_FIELDS(PUT)
	to->has_own_first = rules->own.first != 0;
	to->own_first = rules->own.first;
	to->n_own_weights = rules->own.count;
	to->own_weights = (uint32_t *)(uintptr_t)rules->own.weights;
}

static bool get_rules(const Pftrace__CpusRules *from, struct pftrace_cpus_rules *rules)
{
	struct workload_policy *to = &rules->policy;

	if (!from || from->n_own_weights > PRIO_WEIGHTS_MAX || from->own_first > OWN_FIRST_MAX ||
	    from->own_first < -OWN_FIRST_MAX)
		return false;
	*rules = (struct pftrace_cpus_rules){ .own = { .first = from->own_first,
						       .count = (uint32_t)from->n_own_weights } };
	WORKLOAD_FIELDS(GET)
	for (size_t i = 0; i < from->n_own_weights; i++)
		rules->own.weights[i] = from->own_weights[i];
	return true;
}

static void pack_policy(const struct cpus_policy *from, Pftrace__CpusPolicy *to)
{
	pftrace__cpus_policy__init(to);
	CPUS_POLICY_FIELDS(PUT)
	to->has_table = 1;
	to->table = (ProtobufCBinaryData){ .len = sizeof(from->table),
					   .data = (uint8_t *)(uintptr_t)from->table };
}

static bool get_policy(const Pftrace__CpusPolicy *from, struct cpus_policy *to)
{
	bool fits = from && from->table.len == sizeof(to->table) CPUS_POLICY_FIELDS(FITS);

	if (!fits)
		return false;
	*to = (struct cpus_policy){ 0 };
	CPUS_POLICY_FIELDS(GET)
	memcpy(to->table, from->table.data, sizeof(to->table));
	return to->type < WORKLOAD_ASKED && to->character < PRIO_ASKED;
}

static void pack_state(const struct pftrace_cpus_state *from, Pftrace__CpusState *to)
{
	pftrace__cpus_state__init(to);
	CPUS_STATE_FIELDS(PUT)
	PUT_BYTES(common)
	PUT_BYTES(remainder)
}

static bool get_state(const Pftrace__CpusState *from, struct pftrace_cpus_state *to)
{
	if (!from || from->common.len > sizeof(struct cpumask) ||
	    from->remainder.len > sizeof(struct cpumask))
		return false;
	*to = (struct pftrace_cpus_state){ 0 };
	CPUS_STATE_FIELDS(GET)
	if (to->mistakes > MISTAKES_MAX)
		to->mistakes = MISTAKES_MAX;
	GET_BYTES(common)
	GET_BYTES(remainder)
	return true;
}

void pftrace_pack_cpus(const struct pftrace_record *record, struct pftrace_message *message)
{
	Pftrace__Pfuse *pfuse = &message->pfuse;

	switch (record->kind) {
	case PFTRACE_CPUS_STATE:
		pack_rules(&record->rules, &message->rules);
		pack_state(&record->cpus_state, &message->cpus_state);
		pfuse->cpus_rules = &message->rules;
		pfuse->cpus_state = &message->cpus_state;
		/* fall through */
	case PFTRACE_CPUS_BEGIN:
	case PFTRACE_CPUS_TOPOLOGY:
		pack_topology(&record->topology, &message->topology);
		pfuse->topology = &message->topology;
		break;
	case PFTRACE_CPUS_RULES:
		pack_rules(&record->rules, &message->rules);
		pfuse->cpus_rules = &message->rules;
		break;
	case PFTRACE_CPUS_POLICY:
		pack_policy(&record->cpus_policy, &message->cpus_policy);
		pfuse->cpus_policy = &message->cpus_policy;
		break;
	case PFTRACE_CPUS:
		pfuse->has_goes_on = pfuse->goes_on = record->goes_on;
		break;
	default:
		break;
	}
}

bool pftrace_unpack_cpus(const Pftrace__Pfuse *pfuse, struct pftrace_record *ret)
{
	switch (ret->kind) {
	case PFTRACE_CPUS_STATE:
		return get_topology(pfuse->topology, &ret->topology) &&
		       get_rules(pfuse->cpus_rules, &ret->rules) &&
		       get_state(pfuse->cpus_state, &ret->cpus_state);
	case PFTRACE_CPUS_BEGIN:
	case PFTRACE_CPUS_TOPOLOGY:
		return get_topology(pfuse->topology, &ret->topology);
	case PFTRACE_CPUS_RULES:
		return get_rules(pfuse->cpus_rules, &ret->rules);
	case PFTRACE_CPUS_POLICY:
		return get_policy(pfuse->cpus_policy, &ret->cpus_policy);
	case PFTRACE_CPUS:
		ret->goes_on = pfuse->goes_on != 0;
		return true;
	default: /* of a kind that this version does not know */
		return false;
	}
}
