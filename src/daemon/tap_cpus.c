/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The doors of the split: which CPUs a group may use, and by what weight. */
#include "daemon/tap_inside.h"

#include <string.h>

static struct pftrace_bytes trimmed(const void *at, size_t size)
{
	const uint8_t *bytes = at;

	while (size && !bytes[size - 1])
		size--;
	return (struct pftrace_bytes){ at, size };
}

static struct pftrace_topology topology_of(const struct workload_topology *t)
{
	return (struct pftrace_topology){ .online = trimmed(&t->online, sizeof(t->online)),
					  .core = trimmed(t->core, sizeof(t->core)),
					  .llc = trimmed(t->llc, sizeof(t->llc)),
					  .node = trimmed(t->node, sizeof(t->node)) };
}

static struct pftrace_record record_of(enum pftrace_kind kind, uint32_t slot, uint64_t now_ns)
{
	return (struct pftrace_record){ .time_ns = now_ns, .kind = kind, .slot = slot };
}

void tap_cpus_show(struct daemon *daemon, uint32_t slot, uint64_t now_ns)
{
	const struct cpus *cpus = daemon->core.cpus;

	if (cpus && slot)
		show_cpus(&daemon->tap->show, slot, &cpus->groups[slot], cpus->workload.online,
			  now_ns);
}

void tap_cpus_begin(struct daemon *daemon, struct cpus *cpus)
{
	struct pftrace_record record;

	orchestrator_cpus_begin(&daemon->core, cpus);
	if (!daemon->tap || !cpus) /* nothing is asked of it any more, and the next one begins with a record */
		return;
	record = record_of(PFTRACE_CPUS_BEGIN, 0, tap_now_ns(daemon));
	record.topology = topology_of(&cpus->workload.topology);
	tap_put(daemon, &record, NULL, 0);
}

void tap_cpus_rules(struct daemon *daemon, const struct workload_policy *policy,
		    const struct prio_own *own)
{
	struct pftrace_record record;

	orchestrator_cpus_rules(&daemon->core, policy, own);
	if (!daemon->tap)
		return;
	record = record_of(PFTRACE_CPUS_RULES, 0, tap_now_ns(daemon));
	record.rules = (struct pftrace_cpus_rules){ .policy = *policy, .own = *own };
	tap_put(daemon, &record, NULL, 0);
}

void tap_cpus_policy(struct daemon *daemon, uint32_t slot, const struct cpus_policy *policy)
{
	struct pftrace_record record;

	orchestrator_cpus_policy(&daemon->core, slot, policy);
	if (!daemon->tap)
		return;
	record = record_of(PFTRACE_CPUS_POLICY, slot, tap_now_ns(daemon));
	record.cpus_policy = *policy;
	tap_put(daemon, &record, NULL, 0);
	tap_cpus_show(daemon, slot, record.time_ns);
}

void tap_cpus_topology(struct daemon *daemon, const struct workload_topology *topology)
{
	struct pftrace_record record;

	orchestrator_cpus_topology(&daemon->core, topology);
	if (!daemon->tap)
		return;
	record = record_of(PFTRACE_CPUS_TOPOLOGY, 0, tap_now_ns(daemon));
	record.topology = topology_of(topology);
	tap_put(daemon, &record, NULL, 0);
}

/* A span of which nothing was counted yet is one nevertheless. */
static struct pftrace_bytes span_of(const struct pfuse_span *span)
{
	struct pftrace_bytes bytes =
		span ? trimmed(span, sizeof(*span)) : (struct pftrace_bytes){ 0 };

	if (span && !bytes.size)
		bytes.size = 1;
	return bytes;
}

void tap_cpus_look(struct daemon *daemon, uint32_t slot, const struct pfuse_sample *sample,
		   const struct pfuse_span *span, uint64_t now_ns)
{
	struct pftrace_record record;

	orchestrator_cpus_look(&daemon->core, slot, sample, span, now_ns);
	if (!daemon->tap)
		return;
	record = record_of(PFTRACE_CPUS_LOOK, slot, now_ns);
	record.sample = *sample;
	record.span = span_of(span);
	tap_put(daemon, &record, NULL, 0);
}

/* One that is not full ends what belongs together, so a full last one is followed by an empty one. */
static void put_verdicts(struct daemon *daemon, const struct pfuse_verdict *verdicts, unsigned n,
			 uint64_t now_ns)
{
	struct pftrace_record record = record_of(PFTRACE_CPUS, 0, now_ns);
	unsigned count;

	do {
		count = n < PFUSE_CONTROLS ? n : PFUSE_CONTROLS;
		tap_put(daemon, &record, verdicts, count);
		record.goes_on = true;
		verdicts += count;
		n -= count;
	} while (count == PFUSE_CONTROLS);
}

/* It is asked in every turn, and nearly always there was nothing to decide by. */
unsigned tap_cpus(struct daemon *daemon, uint64_t now_ns, struct pfuse_verdict *ret, unsigned max)
{
	const struct cpus *cpus = daemon->core.cpus;
	bool matters = cpus && (cpus->looked || cpus->changed);
	unsigned n = orchestrator_cpus(&daemon->core, now_ns, ret, max);

	if (daemon->tap && (matters || n))
		put_verdicts(daemon, ret, n, now_ns);
	return n;
}

void tap_cpus_put_state(struct daemon *daemon)
{
	const struct cpus *cpus = daemon->core.cpus;
	struct pftrace_record record;

	if (!cpus)
		return;
	record = record_of(PFTRACE_CPUS_STATE, 0, tap_now_ns(daemon));
	record.topology = topology_of(&cpus->workload.topology);
	record.rules =
		(struct pftrace_cpus_rules){ .policy = cpus->workload.policy, .own = cpus->own };
	record.cpus_state = (struct pftrace_cpus_state){
		.next_check_ns = cpus->next_check_ns,
		.common = trimmed(&cpus->workload.common, sizeof(cpus->workload.common)),
		.remainder = trimmed(&cpus->workload.remainder, sizeof(cpus->workload.remainder)),
		.small = cpus->workload.small,
		.confined = cpus->workload.confined,
		.sharing = cpus->workload.sharing,
		.mistakes = cpus->workload.mistakes,
		.apart = cpus->workload.apart,
		.shared = cpus->workload.shared,
		.looked = cpus->looked,
		.changed = cpus->changed,
	};
	pftrace_record(daemon->tap->trace, &record);
}

void tap_cpus_add_state(const struct daemon *daemon, uint32_t slot, struct pftrace_record *record)
{
	const struct cpus *cpus = daemon->core.cpus;

	if (!cpus)
		return;
	record->state.cpus_group =
		(struct pftrace_bytes){ &cpus->groups[slot], sizeof(*cpus->groups) };
	record->state.workload_group = (struct pftrace_bytes){ &cpus->workload.groups[slot],
							       sizeof(struct workload_group) };
}
