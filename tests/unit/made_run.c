/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "made_run.h"

#include <string.h>

#include "base/clock.h"
#include "export/player.h"

#define S 1000000000ull
#define MIB (1ull << 20)
#define MADE_CPUS 4
#define ID(slot) (4711 + (slot))

static const char *const names[MADE_SLOTS] = { NULL, "web", "batch/\x1b[31m", "db\nfake" };

static void put_machine(struct made_run *run, bool continues)
{
	struct pftrace_record record = { .time_ns = run->now_ns,
					 .kind = PFTRACE_MACHINE,
					 .machine = { .version = PFUSE_VERSION,
						      .kernel = "6.1.0",
						      .ram_bytes = run->core.machine_ram_bytes,
						      .interval_ns = S,
						      .page_bytes = 4096,
						      .cpus = run->core.ncpus,
						      .slots = MADE_SLOTS,
						      .continues = continues } };

	pftrace_record(run->trace, &record);
}

static void put(struct made_run *run, struct pftrace_record *record,
		const struct pfuse_verdict *verdicts, unsigned count)
{
	run->verdicts += count;
	for (unsigned i = 0; i < count; i++) {
		run->cpus_verdicts += verdicts[i].control == PFUSE_CTL_CPUS ||
				      verdicts[i].control == PFUSE_CTL_WEIGHT;
		run->reclaims += verdicts[i].control == PFUSE_CTL_RECLAIM;
	}
	if (!run->trace)
		return;
	record->time_ns = run->now_ns;
	record->nverdicts = count;
	if (count)
		memcpy(record->verdicts, verdicts, count * sizeof(*verdicts));
	pftrace_record(run->trace, record);
}

/* The lucky case is the frequent one. */
static enum orchestrator_outcome some_outcome(struct made_run *run)
{
	uint64_t dice = random_below(&run->random, 16);

	return dice <= ORCHESTRATOR_REFUSED && dice != ORCHESTRATOR_FOREIGN
		       ? (enum orchestrator_outcome)dice
		       : ORCHESTRATOR_APPLIED;
}

static void make_true(struct made_run *run, const struct pfuse_verdict *verdict)
{
	struct pfuse_sample *truth = &run->truth[verdict->slot];

	if (verdict->control == PFUSE_CTL_RAM)
		truth->ram_limit_bytes = verdict->to;
	if (verdict->control == PFUSE_CTL_CPU)
		truth->cpu_limit_ns = verdict->to;
	if (verdict->control == PFUSE_CTL_NET)
		truth->net_priority = (uint32_t)verdict->to;
}

static void carry_out(struct made_run *run, const struct pfuse_verdict *verdicts, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct pftrace_record record = { .kind = PFTRACE_APPLIED,
						 .slot = verdicts[i].slot,
						 .applied = { verdicts[i], some_outcome(run) } };

		run->now_ns += random_below(&run->random, 100000);
		if (record.applied.outcome == ORCHESTRATOR_APPLIED)
			make_true(run, &verdicts[i]);
		orchestrator_applied(&run->core, &verdicts[i], record.applied.outcome, run->now_ns);
		put(run, &record, verdicts, 0);
	}
}

/* Its memory is under `adaptive`. */
static void choose(struct made_run *run, uint32_t slot)
{
	struct pftrace_record record = { .kind = PFTRACE_CHOOSE,
					 .slot = slot,
					 .sample = run->truth[slot],
					 .choose = { .adaptive = true, .grace_ns = S } };

	orchestrator_choose(&run->core, slot, true, false, &record.sample, S, run->now_ns);
	put(run, &record, NULL, 0);
}

static void attach(struct made_run *run, uint32_t slot)
{
	struct pftrace_record record = { .kind = PFTRACE_ATTACH,
					 .slot = slot,
					 .group = { ID(slot), names[slot], "/some/where" } };

	fcb_policy_defaults(&record.policy, 0);
	record.policy.mode[FCB_CPU] = FCB_ACT;
	record.policy.mode[FCB_NET] = FCB_ACT;
	record.policy.freeze = slot % 2 ? FCB_FREEZE_ISOLATED : FCB_FREEZE_GUARDED;
	record.policy.idle_ns = record.policy.window_ns = 3 * S;
	run->truth[slot] = (struct pfuse_sample){ .ram_usage_bytes = 40 * MIB,
						  .ram_limit_bytes = 256 * MIB,
						  .cpu_limit_ns = PFUSE_UNLIMITED,
						  .io_read_limit = PFUSE_UNLIMITED,
						  .io_write_limit = PFUSE_UNLIMITED,
						  .nprocs = 1 };
	record.sample = run->truth[slot];
	orchestrator_attach(&run->core, slot, ID(slot), &record.policy, &record.sample,
			    run->now_ns);
	put(run, &record, NULL, 0);
	if (slot == 1)
		choose(run, slot);
}

/* A curve says something of the group under `adaptive`, and memory is short, or not any more. */
static void measured(struct made_run *run)
{
	struct pftrace_record record = { .kind = PFTRACE_NEED, .slot = 1 };
	struct pftrace_record share = { .kind = PFTRACE_SHARE, .slot = 1 };
	/* Of its own: what else happens is to stay what it is without. */
	struct random_state own = { run->verdicts + 1 };

	record.need = (struct adaptive_need){
		.knee_bytes = (1 + random_below(&own, 64)) * MIB,
		.resolution_bytes = random_below(&own, 32) * MIB,
		.unseen_bytes = random_below(&own, 2) * 8 * MIB,
		.below_resolution = random_below(&own, 2) != 0,
		.confident = random_below(&own, 4) != 0,
	};
	orchestrator_need(&run->core, record.slot, &record.need, run->now_ns);
	put(run, &record, NULL, 0);
	share.share_bytes = random_below(&own, 3) * 24 * MIB;
	orchestrator_share(&run->core, share.slot, share.share_bytes);
	put(run, &share, NULL, 0);
}

static struct pftrace_topology topology_of(const struct workload_topology *t)
{
	return (struct pftrace_topology){ .online = { &t->online, 1 },
					  .core = { t->core, 2 * MADE_CPUS },
					  .llc = { t->llc, 2 },
					  .node = { t->node, 1 } };
}

static void make_topology(struct made_run *run, uint32_t cpus, struct workload_topology *ret)
{
	*ret = (struct workload_topology){ 0 };
	for (uint32_t cpu = 0; cpu < cpus; cpu++) {
		cpumask_add(&ret->online, cpu);
		ret->core[cpu] = (uint16_t)(cpu / 2);
	}
}

/* By chance a CPU goes or comes back. */
static void change_topology(struct made_run *run)
{
	struct pftrace_record record = { .kind = PFTRACE_CPUS_TOPOLOGY };
	struct workload_topology t;

	make_topology(run, MADE_CPUS - (uint32_t)random_below(&run->random, 2), &t);
	record.topology = topology_of(&t);
	orchestrator_cpus_topology(&run->core, &t);
	put(run, &record, NULL, 0);
}

static void ask_cpus(struct made_run *run, uint32_t slot)
{
	struct pftrace_record record = {
		.kind = PFTRACE_CPUS_POLICY,
		.slot = slot,
		.cpus_policy = { .type = slot == 3 ? WORKLOAD_SCIENTIFIC : WORKLOAD_AUTO,
				 .character = slot == 2 ? PRIO_BATCH : PRIO_AUTO,
				 .nice = (int8_t)(random_below(&run->random, 20) - 10),
				 .table = { 0, PRIO_OWN, PRIO_GROUPED2, PRIO_REFINED } }
	};

	orchestrator_cpus_policy(&run->core, slot, &record.cpus_policy);
	put(run, &record, NULL, 0);
}

static void begin_split(struct made_run *run)
{
	struct pftrace_record record = { .kind = PFTRACE_CPUS_BEGIN };
	struct workload_topology t;

	make_topology(run, MADE_CPUS, &t);
	cpus_init(&run->cpus, run->cpus_groups, run->workload, MADE_SLOTS, &t);
	record.topology = topology_of(&t);
	orchestrator_cpus_begin(&run->core, &run->cpus);
	put(run, &record, NULL, 0);
	record.kind = PFTRACE_CPUS_RULES;
	record.rules.own = (struct prio_own){ .first = -1, .count = 3, .weights = { 4, 2, 1 } };
	workload_policy_defaults(&record.rules.policy);
	record.rules.policy.beta = 1;
	orchestrator_cpus_rules(&run->core, &record.rules.policy, &record.rules.own);
	put(run, &record, NULL, 0);
	for (uint32_t slot = 1; slot < MADE_SLOTS; slot++)
		ask_cpus(run, slot);
}

static void look(struct made_run *run, uint32_t slot)
{
	struct pftrace_record record = { .kind = PFTRACE_CPUS_LOOK,
					 .slot = slot,
					 .sample = run->truth[slot] };
	struct pfuse_span *span = &run->spans[slot];

	span->wait[random_below(&run->random, PFUSE_SPAN_BUCKETS)] += 20;
	span->burst[random_below(&run->random, PFUSE_SPAN_BUCKETS)] += 5;
	span->wakeups += (uint32_t)random_below(&run->random, 50);
	record.sample.oncpu = 1 + (uint32_t)random_below(&run->random, 3);
	record.sample.run_ns = run->now_ns / 4 * slot; /* 0.25 to 0.75 CPUs, so two kinds */
	if (slot != 2)
		record.span = (struct pftrace_bytes){ span, sizeof(*span) };
	orchestrator_cpus_look(&run->core, slot, &record.sample, slot == 2 ? NULL : span,
			       run->now_ns);
	put(run, &record, NULL, 0);
}

static void split(struct made_run *run)
{
	struct pfuse_verdict verdicts[2 * MADE_SLOTS];
	struct pftrace_record record = { .kind = PFTRACE_CPUS };
	unsigned n;

	for (uint32_t slot = 1; slot < MADE_SLOTS; slot++)
		look(run, slot);
	n = orchestrator_cpus(&run->core, run->now_ns, verdicts, 2 * MADE_SLOTS);
	put(run, &record, verdicts, n);
	carry_out(run, verdicts, n);
}

void made_run_begin(struct made_run *run, uint64_t seed, struct pftrace *trace)
{
	*run = (struct made_run){ .random = { seed }, .trace = trace };
	run->now_ns = run->began_ns = clock_now_ns();
	orchestrator_init(&run->core, run->fcbs, MADE_SLOTS, 4096 * MIB, 4096);
	orchestrator_adaptive(&run->core, run->adaptive, &(struct adaptive_setup){ 0 });
	run->core.ncpus = 2;
	if (trace)
		put_machine(run, false);
	for (uint32_t slot = 1; slot < MADE_SLOTS; slot++)
		attach(run, slot);
	begin_split(run);
}

/* Busy and idle times in turn, so that there is something to stop and to continue. */
static void sample(struct made_run *run, uint32_t slot)
{
	struct pftrace_record record = { .kind = PFTRACE_SAMPLE, .slot = slot };
	struct pfuse_sample *truth = &run->truth[slot];
	struct pfuse_verdict verdicts[PFUSE_CONTROLS];
	unsigned n;

	if ((run->now_ns - run->began_ns) / S / 20 % 2) {
		truth->ram_usage_bytes = (20 + random_below(&run->random, 200)) * MIB;
		truth->run_ns += random_below(&run->random, S);
		truth->net_bytes += random_below(&run->random, 10 * MIB);
		truth->nvcsw += 10;
		truth->talks += (uint32_t)random_below(&run->random, 2);
	}
	record.sample = *truth;
	n = orchestrator_sample(&run->core, slot, truth, run->now_ns, verdicts);
	put(run, &record, verdicts, n);
	carry_out(run, verdicts, n);
}

static void event(struct made_run *run, uint32_t slot)
{
	struct pftrace_record record = { .kind = PFTRACE_EVENT, .slot = slot };
	struct pfuse_verdict verdicts[PFUSE_CONTROLS];
	struct pfuse_event *ev = &record.event;
	unsigned n;

	*ev = (struct pfuse_event){ .time_ns = run->now_ns - random_below(&run->random, 100000),
				    .group_id = ID(slot),
				    .slot = slot };
	do
		ev->kind = 1 + (uint32_t)random_below(&run->random, PFUSE_EV_KINDS - 1);
	while (ev->kind == PFUSE_EV_REMOVED);
	if (ev->kind <= PFUSE_EV_LIMIT_HIT) {
		ev->ram.usage_bytes = run->truth[slot].ram_usage_bytes;
		ev->ram.limit_bytes = run->truth[slot].ram_limit_bytes;
	}
	n = orchestrator_event(&run->core, ev, run->now_ns, verdicts);
	put(run, &record, verdicts, n);
	carry_out(run, verdicts, n);
}

static void timer(struct made_run *run, uint32_t slot)
{
	struct pftrace_record record = { .kind = PFTRACE_TIMER, .slot = slot };
	struct pfuse_verdict verdicts[PFUSE_CONTROLS];
	unsigned n = orchestrator_timer(&run->core, slot, run->now_ns, verdicts);

	put(run, &record, verdicts, n);
	carry_out(run, verdicts, n);
}

static void request(struct made_run *run, uint32_t slot)
{
	struct pftrace_record record = { .kind = PFTRACE_REQUEST, .slot = slot };
	struct pfuse_verdict verdicts[PFUSE_CONTROLS];
	unsigned n;

	record.stop = random_below(&run->random, 2) != 0;
	n = orchestrator_request(&run->core, slot, record.stop, run->now_ns, verdicts);
	put(run, &record, verdicts, n);
	carry_out(run, verdicts, n);
}

void made_run_go_on(struct made_run *run, unsigned steps)
{
	for (unsigned i = 0; i < steps; i++) {
		uint32_t slot = 1 + (uint32_t)random_below(&run->random, MADE_SLOTS - 1);
		uint64_t dice = random_below(&run->random, 40);

		run->now_ns += random_below(&run->random, S / 2);
		if (dice == 0)
			request(run, slot);
		else if (dice < 6)
			event(run, slot);
		else if (dice < 12)
			timer(run, slot);
		else if (dice < 18)
			split(run);
		else if (dice == 18)
			ask_cpus(run, slot);
		else if (dice == 19)
			change_topology(run);
		else
			sample(run, slot);
		if (dice == 20)
			measured(run);
		if (run->trace)
			pftrace_flush(run->trace);
	}
}

static void put_split(struct made_run *run)
{
	const struct cpus *c = &run->cpus;
	struct pftrace_record record = {
		.time_ns = run->now_ns,
		.kind = PFTRACE_CPUS_STATE,
		.topology = topology_of(&c->workload.topology),
		.rules = { c->workload.policy, c->own },
		.cpus_state = { .next_check_ns = c->next_check_ns,
				.common = { &c->workload.common, sizeof(c->workload.common) },
				.remainder = { &c->workload.remainder,
					       sizeof(c->workload.remainder) },
				.small = c->workload.small,
				.confined = c->workload.confined,
				.sharing = c->workload.sharing,
				.mistakes = c->workload.mistakes,
				.apart = c->workload.apart,
				.shared = c->workload.shared,
				.looked = c->looked,
				.changed = c->changed },
	};

	pftrace_record(run->trace, &record);
}

void made_run_again(void *arg)
{
	struct made_run *run = arg;

	put_machine(run, true);
	put_split(run);
	for (uint32_t slot = 1; slot < MADE_SLOTS; slot++) {
		struct pftrace_record record = { .time_ns = run->now_ns,
						 .slot = slot,
						 .kind = PFTRACE_GROUP,
						 .group = { ID(slot), names[slot],
							    "/some/where" } };

		pftrace_record(run->trace, &record);
		record.kind = PFTRACE_STATE;
		record.state = (struct pftrace_state){ player_layout(), &run->fcbs[slot],
						       sizeof(run->fcbs[slot]) };
		record.state.adaptive =
			(struct pftrace_bytes){ &run->adaptive[slot], sizeof(run->adaptive[slot]) };
		record.state.cpus_group = (struct pftrace_bytes){ &run->cpus_groups[slot],
								  sizeof(run->cpus_groups[slot]) };
		record.state.workload_group =
			(struct pftrace_bytes){ &run->workload[slot], sizeof(run->workload[slot]) };
		pftrace_record(run->trace, &record);
	}
}
