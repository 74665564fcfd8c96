/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What groups did since the last check, and what follows for their files. */
#include "daemon/split_inside.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/cpulist.h"
#include "daemon/say.h"
#include "daemon/tap.h"

/* Looking */

/*
 * BPF counts a task when it is switched out, and one that has a CPU to itself never is: the kernel's own
 * sum is exact, and read while the group does anything at all.
 */
static uint64_t run_ns(struct daemon *daemon, uint32_t slot, uint64_t counted_ns)
{
	struct member *member = &daemon->members.at[slot];
	struct split_member *at = &daemon->split->at[slot];
	struct throttle_cpu cpu;

	if (!member->throttle)
		return counted_ns;
	if ((member->awake || !at->run_ns) && !throttle_read_cpu(member->throttle, &cpu) &&
	    cpu.usage_ns)
		at->run_ns = cpu.usage_ns;
	return at->run_ns ? at->run_ns : counted_ns;
}

static void look(struct daemon *daemon, uint32_t slot)
{
	struct probe *probe = daemon->machine.probe;
	struct pfuse_sample sample = { .oncpu = probe_oncpu(probe, slot) };
	struct pfuse_stats stats;
	struct pfuse_span span;

	probe_read(probe, slot, &stats);
	sample.run_ns = run_ns(daemon, slot, stats.run_ns);
	sample.wait_ns = stats.wait_ns;
	sample.nvcsw = stats.nvcsw;
	sample.nivcsw = stats.nivcsw;
	tap_cpus_look(daemon, slot, &sample, probe_read_span(probe, slot, &span) ? NULL : &span,
		      daemon->loop.now_ns);
}

static void look_at_topology(struct daemon *daemon)
{
	struct split *split = daemon->split;
	struct workload_topology topology;
	bool changed = false;

	if (topology_changed(split->root, &split->topology, &changed) || !changed ||
	    topology_read(split->root, &split->topology))
		return;
	split_topology(split, &topology);
	tap_cpus_topology(daemon, &topology);
}

/*
 * Late waits of a service are told while it has CPUs of its own, and while it has none because it should do
 * as well without: only then do they prove anything.
 */
static void arm_waits(struct daemon *daemon, uint32_t slot)
{
	struct split_member *at = &daemon->split->at[slot];
	const struct workload *w = &daemon->split->core.workload;
	bool wanted = (w->confined || w->sharing) &&
		      w->groups[slot].list == PFUSE_TYPE_SERVICE;

	if (wanted)
		probe_arm(daemon->machine.probe, slot, PFUSE_ARM_WAIT);
	else if (at->waits_armed)
		probe_disarm(daemon->machine.probe, slot, PFUSE_ARM_WAIT);
	at->waits_armed = wanted;
}

static void slice_failed(struct daemon *daemon, uint32_t slot, int code)
{
	struct split *split = daemon->split;

	if (!split->said_no_slices)
		say_note(daemon->out, daemon->members.at[slot].name,
			 "its tasks keep the kernel's slice: %s; said once", slice_why(code));
	split->said_no_slices = true;
}

static void release_slices(struct daemon *daemon, struct split_member *at)
{
	slice_close(at->slice);
	at->slice = NULL;
	if (at->slice_record)
		(void)ledger_forget(daemon->machine.ledger, at->slice_record);
	at->slice_record = 0;
}

/* Before a task gets it. */
static int record_slice(struct daemon *daemon, uint32_t slot, uint64_t slice_ns)
{
	struct split_member *at = &daemon->split->at[slot];
	int code = slice_record(&daemon->machine.tree, &daemon->members.at[slot].group,
				daemon->machine.ledger, slice_ns, &at->slice_record);

	at->slice_ns = slice_ns;
	return code ? code : ledger_commit(daemon->machine.ledger);
}

/* Tasks that came since the last check get it now; what is no batch group any more gives it back. */
static void keep_slices(struct daemon *daemon, uint32_t slot)
{
	struct split_member *at = &daemon->split->at[slot];
	bool batch = daemon->split->groups[slot].prio.character == PFUSE_CHARACTER_BATCH;
	uint64_t slice_ns = batch ? split_entry(daemon, slot)->slice_ns : 0;
	struct slice_counts counts;
	int code = 0;

	if (!slice_ns || daemon->machine.dry_run) {
		release_slices(daemon, at);
		return;
	}
	if (at->slice_record && at->slice_ns != slice_ns)
		release_slices(daemon, at);
	if (!at->slice)
		code = slice_open(daemon->machine.tree.proc_fd, &at->slice);
	if (!code && !at->slice_record)
		code = record_slice(daemon, slot, slice_ns);
	if (!code)
		code = slice_apply(at->slice, daemon->members.at[slot].group.fd, slice_ns, &counts);
	if (code && code != -ENODEV)
		slice_failed(daemon, slot, code);
}

static bool is_anybody_awake(const struct daemon *daemon)
{
	for (uint32_t slot = 1; slot < daemon->members.count; slot++)
		if (daemon->members.at[slot].awake && split_group(daemon, slot))
			return true;
	return false;
}

static void look_at_all(struct daemon *daemon)
{
	look_at_topology(daemon);
	for (uint32_t slot = 1; slot < daemon->members.count; slot++) {
		keep_slices(daemon, slot);
		if (!split_group(daemon, slot))
			continue;
		look(daemon, slot);
	}
}

/* Acting */

static int print_set(const struct cpumask *set, char *buf, size_t size)
{
	struct cpulist list = { 0 };

	for (uint32_t cpu = cpumask_next(set, 0); cpu < CPUMASK_CPUS;
	     cpu = cpumask_next(set, cpu + 1))
		cpulist_add(&list, cpu);
	return cpulist_print(&list, buf, size);
}

static int write_set(struct daemon *daemon, uint32_t slot, const struct cpumask *set)
{
	char text[SPLIT_LIST_MAX];
	int code = print_set(set, text, sizeof(text));

	return code ? code
		    : throttle_set_cpus(daemon->members.at[slot].throttle, daemon->machine.ledger,
					text);
}

/*
 * First what a group loses, as far as something is left: then no set grows into another. What is left of
 * a set that moves as a whole is nothing, and such a group is moved at once.
 */
static void shrink_first(struct daemon *daemon, const struct pfuse_verdict *v)
{
	const struct cpumask *given = &daemon->split->groups[v->slot].given;
	struct cpumask left;

	if (v->to == PFUSE_UNLIMITED || cpumask_empty(given) || daemon->machine.dry_run)
		return;
	left = cpumask_and(given, orchestrator_cpu_set(&daemon->core, v->slot));
	if (!cpumask_empty(&left) && !cpumask_equal(&left, given))
		(void)write_set(daemon, v->slot, &left); /* the next write tells what is wrong */
}

/* v2: an empty list is not taken back while there are processes. All CPUs are the same to the group. */
static int release_cpus(struct daemon *daemon, uint32_t slot)
{
	int code = throttle_set_cpus(daemon->members.at[slot].throttle, daemon->machine.ledger,
				     daemon->split->at[slot].cpus_before);

	return code == -ENOSPC
		       ? write_set(daemon, slot, &daemon->split->core.workload.topology.online)
		       : code;
}

static int set_cpus(struct daemon *daemon, const struct pfuse_verdict *v)
{
	if (v->to != PFUSE_UNLIMITED)
		return write_set(daemon, v->slot, orchestrator_cpu_set(&daemon->core, v->slot));
	return cpumask_empty(&daemon->split->groups[v->slot].given) ? 0
								    : release_cpus(daemon, v->slot);
}

/* A partition's CPUs are not given to others before it is none any more. */
static void dissolve(struct daemon *daemon, uint32_t slot)
{
	struct split_member *at = &daemon->split->at[slot];
	struct err err;

	if (at->partitioned)
		(void)throttle_set_partition(daemon->members.at[slot].throttle,
					     daemon->machine.ledger, THROTTLE_MEMBER, &err);
	at->partitioned = false;
}

/* All that it may use it has for itself. */
static bool is_exclusive(const struct split *split, uint32_t slot)
{
	const struct workload_group *w = &split->workload[slot];

	return !cpumask_empty(&w->own) && cpumask_equal(&w->own, &w->set) &&
	       cpumask_equal(&w->own, &split->groups[slot].given);
}

static void partition(struct daemon *daemon, uint32_t slot)
{
	static const enum throttle_partition kinds[] = {
		[CONFIG_PARTITION_ROOT] = THROTTLE_ROOT,
		[CONFIG_PARTITION_ISOLATED] = THROTTLE_ISOLATED,
	};
	struct split_member *at = &daemon->split->at[slot];
	struct member *member = &daemon->members.at[slot];
	struct err err;

	if (at->partitioned || at->no_partition || !is_exclusive(daemon->split, slot))
		return;
	if (throttle_set_partition(member->throttle, daemon->machine.ledger,
				   kinds[daemon_config(daemon)->partition], &err)) {
		at->no_partition = true;
		say_note(daemon->out, member->name, "its CPUs are no partition: %s", err.text);
		return;
	}
	at->partitioned = true;
}

static void partition_all(struct daemon *daemon)
{
	if (daemon_config(daemon)->partition == CONFIG_PARTITION_OFF || daemon->machine.dry_run)
		return;
	for (uint32_t slot = 1; slot < daemon->members.count; slot++)
		partition(daemon, slot);
}

static enum orchestrator_outcome outcome_of(int code)
{
	if (code == 0)
		return ORCHESTRATOR_APPLIED;
	return code == -ESTALE ? ORCHESTRATOR_FOREIGN : ORCHESTRATOR_FAILED;
}

static void count(struct member *member, enum orchestrator_outcome outcome)
{
	member->failed += outcome == ORCHESTRATOR_FAILED;
	member->foreign += outcome == ORCHESTRATOR_FOREIGN;
	member->avoided += outcome == ORCHESTRATOR_DRY;
}

/* A failure is tried again and again, and said once. */
static bool is_worth_saying(struct split_member *at, const struct say_decision *said)
{
	bool *flag = said->verdict->control == PFUSE_CTL_CPUS ? &at->said_cpus_fail
							      : &at->said_weight_fail;
	bool again = *flag;

	*flag = said->outcome == ORCHESTRATOR_FAILED;
	return !(*flag && again);
}

static void carry_out(struct daemon *daemon, const struct pfuse_verdict *v, uint64_t since_ns)
{
	struct member *member = &daemon->members.at[v->slot];
	struct split_member *at = &daemon->split->at[v->slot];
	struct say_decision said = {
		.name = member->name, .verdict = v, .outcome = ORCHESTRATOR_DRY, .why = ""
	};
	char list[SPLIT_LIST_MAX] = "";
	uint64_t done_ns;

	/* A scientific group without a weight does without: it was never ours. */
	if (v->control == PFUSE_CTL_WEIGHT && !at->weighs) {
		said.outcome = ORCHESTRATOR_FOREIGN;
		tap_applied(daemon, &said, since_ns);
		return;
	}
	if (!daemon->machine.dry_run) {
		said.err =
			v->control == PFUSE_CTL_CPUS
				? set_cpus(daemon, v)
				: weight_set(&at->weight, daemon->machine.ledger, (uint32_t)v->to);
		said.outcome = outcome_of(said.err);
	}
	done_ns = clock_now_ns();
	said.took_ns = done_ns > since_ns ? done_ns - since_ns : 0;
	if (v->control == PFUSE_CTL_CPUS && v->to != PFUSE_UNLIMITED)
		(void)print_set(orchestrator_cpu_set(&daemon->core, v->slot), list, sizeof(list));
	said.cpus = list;
	tap_applied(daemon, &said, done_ns);
	count(member, said.outcome);
	if (said.err != -ENODEV && is_worth_saying(at, &said))
		say_decision(daemon->out, &said);
}

void split_act(struct daemon *daemon, uint64_t since_ns)
{
	struct split *split = daemon->split;
	unsigned n = tap_cpus(daemon, daemon->loop.now_ns, split->verdicts,
			      2 * daemon->members.count);

	for (unsigned i = 0; i < n; i++)
		if (split->verdicts[i].control == PFUSE_CTL_WEIGHT)
			carry_out(daemon, &split->verdicts[i], since_ns);
	for (unsigned i = 0; i < n; i++)
		if (split->verdicts[i].control == PFUSE_CTL_CPUS)
			dissolve(daemon, split->verdicts[i].slot);
	for (unsigned i = 0; i < n; i++)
		if (split->verdicts[i].control == PFUSE_CTL_CPUS)
			shrink_first(daemon, &split->verdicts[i]);
	for (unsigned i = 0; i < n; i++)
		if (split->verdicts[i].control == PFUSE_CTL_CPUS)
			carry_out(daemon, &split->verdicts[i], since_ns);
	if (n)
		partition_all(daemon);
}

/* A weight that is as it was before needs no record; what could not be put back keeps its own, for the end. */
void split_let_go(struct daemon *daemon, uint32_t slot)
{
	struct split_member *at = &daemon->split->at[slot];

	if (at->waits_armed)
		probe_disarm(daemon->machine.probe, slot, PFUSE_ARM_WAIT);
	dissolve(daemon, slot);
	release_slices(daemon, at);
	if (at->weight.record && !daemon->split->groups[slot].given_weight)
		(void)ledger_forget(daemon->machine.ledger, at->weight.record);
}

void split_tick(struct daemon *daemon)
{
	uint64_t now_ns = daemon->loop.now_ns;

	if (!daemon->split)
		return;

	bool due = now_ns >= orchestrator_cpus_due(&daemon->core) && is_anybody_awake(daemon);

	if (due)
		look_at_all(daemon);
	split_act(daemon, now_ns);
	for (uint32_t slot = 1; due && slot < daemon->members.count; slot++)
		arm_waits(daemon, slot);
}

/* One that led to nothing, as it came too soon after the last change, is asked for again. */
void split_late(struct daemon *daemon, uint32_t slot, uint64_t since_ns)
{
	if (!daemon->split)
		return;
	split_act(daemon, since_ns);
	if (!daemon->split->workload[slot].grown)
		arm_waits(daemon, slot);
}
