/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "daemon/split.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/cpulist.h"
#include "daemon/say.h"
#include "edge/slice.h"
#include "edge/topology.h"
#include "edge/weight.h"

#define LIST_MAX 4000

/* What a group's edges are, by slot. */
struct split_member {
	struct weight weight;
	struct slice *slice; /* NULL: its tasks have the kernel's */
	char *cpus_before;   /* its list when we came; NULL: its CPUs are not ours to set */
	uint64_t run_ns;     /* CPU time, as last read */
	bool weighs;	     /* its weight is ours to set */
	bool said_cpus_fail; /* since the last success */
	bool said_weight_fail;
	bool waits_armed;
};

struct split {
	struct cpus core;
	struct cpus_group *groups;
	struct workload_group *workload;
	struct split_member *at;
	struct pfuse_verdict *verdicts; /* two per slot */
	struct topology topology;
	int root; /* "/" */
	bool said_no_slices;
};

static const struct config_group *entry_of(const struct daemon *daemon, uint32_t slot)
{
	const struct member *member = &daemon->members.at[slot];

	return config_match(daemon_config(daemon), member->name, member->group.path);
}

static bool is_wanted(const struct daemon *daemon)
{
	for (uint32_t slot = 1; slot < daemon->members.count; slot++)
		if (cpus_wanted(&entry_of(daemon, slot)->cpus))
			return true;
	return false;
}

/* The core's topology is the edge's, which it may not include. */
static void give_topology(struct split *split, struct workload_topology *ret)
{
	const struct topology *t = &split->topology;

	memset(ret, 0, sizeof(*ret));
	for (uint32_t cpu = 0; cpu < CPUMASK_CPUS; cpu++)
		if (t->online[cpu])
			cpumask_add(&ret->online, cpu);
	memcpy(ret->core, t->core, sizeof(ret->core));
	memcpy(ret->llc, t->llc, sizeof(ret->llc));
	memcpy(ret->node, t->node, sizeof(ret->node));
}

_Static_assert(TOPOLOGY_CPUS == CPUMASK_CPUS, "the same CPUs");

static int find_topology(struct split *split, struct err *err)
{
	int code = topology_read(split->root, &split->topology);

	if (code)
		return err_set(err, code, "cannot read which CPUs there are from /sys: %s",
			       strerror(-code));
	if (split->topology.beyond)
		fprintf(stderr, "pfuse-bpf: CPUs from %u on are left to nobody's group, going on\n",
			TOPOLOGY_CPUS);
	return 0;
}

static int allocate(struct daemon *daemon, struct split **ret, struct err *err)
{
	uint32_t count = daemon->members.count;
	struct split *split = calloc(1, sizeof(*split));

	if (split) {
		split->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		split->groups = calloc(count, sizeof(*split->groups));
		split->workload = calloc(count, sizeof(*split->workload));
		split->at = calloc(count, sizeof(*split->at));
		split->verdicts = calloc(count, 2 * sizeof(*split->verdicts));
	}
	if (!split || split->root < 0 || !split->groups || !split->workload || !split->at ||
	    !split->verdicts) {
		split_close(split);
		return err_set(err, -ENOMEM, "out of memory for the CPUs of %u groups", count - 1);
	}
	*ret = split;
	return 0;
}

void split_close(struct split *split)
{
	if (!split)
		return;
	for (uint32_t slot = 1; split->at && slot < split->core.workload.nslots; slot++) {
		free(split->at[slot].cpus_before);
		weight_close(&split->at[slot].weight);
		slice_close(split->at[slot].slice);
	}
	if (split->root >= 0)
		close(split->root);
	free(split->groups);
	free(split->workload);
	free(split->at);
	free(split->verdicts);
	free(split);
}

static int lacks(const struct member *member, const char *what, const char *controller,
		 const char *key, struct err *err)
{
	char quoted[ERR_QUOTED];

	return err_set(err, -ENOENT,
		       "%s: its %s cannot be set: the %s controller is not enabled for this group; "
		       "write +%s into its parent's cgroup.subtree_control (v1: make the group in "
		       "that hierarchy), or set %s: off",
		       err_quote(member->name, quoted), what, controller, controller, key);
}

/* Fewer than the machine has: a parent is confined, or a runtime has pinned it. Theirs. */
static bool is_confined(const struct split *split, struct throttle *throttle)
{
	char text[LIST_MAX];
	struct cpulist list;
	bool pinned = false;

	if (throttle_is_pinned(throttle, &pinned) || pinned)
		return true;
	if (throttle_read_effective_cpus(throttle, text, sizeof(text)) ||
	    cpulist_parse(text, &list))
		return true;
	for (uint32_t cpu = 0; cpu < TOPOLOGY_CPUS; cpu++)
		if (split->topology.online[cpu] && !cpulist_has(&list, cpu))
			return true;
	return false;
}

static int prepare_cpus(struct daemon *daemon, struct split *split, uint32_t slot, struct err *err)
{
	struct member *member = &daemon->members.at[slot];
	struct split_member *at = &split->at[slot];
	char text[LIST_MAX];
	int code = 0;

	if (at->cpus_before)
		return 0;
	if (!member->throttle)
		code = throttle_open(&daemon->machine.tree, &member->group, &member->throttle);
	if (!code)
		code = throttle_read_cpus(member->throttle, text, sizeof(text));
	if (code == -ENOENT)
		return lacks(member, "CPUs", "cpuset", "type", err);
	if (code)
		return err_set(err, code, "%s: cannot read its CPUs: %s", member->name,
			       strerror(-code));
	if (is_confined(split, member->throttle)) {
		say_note(daemon->out, member->name,
			 "has not all CPUs of the machine: somebody pinned it, and its CPUs are "
			 "left alone");
		return 0;
	}
	at->cpus_before = strdup(text);
	return at->cpus_before ? 0 : err_set(err, -ENOMEM, "out of memory");
}

/* A type needs weights where CPUs are scarce, but does without. */
static int prepare_weight(struct daemon *daemon, struct split *split, uint32_t slot,
			  struct err *err)
{
	struct member *member = &daemon->members.at[slot];
	struct split_member *at = &split->at[slot];
	uint32_t weight;
	int code;

	if (at->weighs)
		return 0;
	weight_open(&daemon->machine.tree, &member->group, &at->weight);
	code = daemon->machine.dry_run ? weight_read(&at->weight, &weight)
				       : weight_prepare(&at->weight, daemon->machine.ledger);
	at->weighs = code == 0;
	if (code == -ENOENT && entry_of(daemon, slot)->cpus.character != PRIO_OFF)
		return lacks(member, "weight", "cpu", "character", err);
	if (code && code != -ENOENT)
		say_note(daemon->out, member->name, "its weight is left alone: %s",
			 weight_why(code));
	return 0;
}

static int prepare(struct daemon *daemon, struct split *split, uint32_t slot, struct err *err)
{
	const struct cpus_policy *policy = &entry_of(daemon, slot)->cpus;
	int code = 0;

	if (policy->type != WORKLOAD_OFF)
		code = prepare_cpus(daemon, split, slot, err);
	if (!code && cpus_wanted(policy))
		code = prepare_weight(daemon, split, slot, err);
	return code;
}

/* As far as it can be carried out. */
static struct cpus_policy policy_of(const struct daemon *daemon, uint32_t slot)
{
	struct cpus_policy policy = entry_of(daemon, slot)->cpus;

	if (!daemon->split->at[slot].cpus_before)
		policy.type = WORKLOAD_OFF;
	if (!daemon->split->at[slot].weighs)
		policy.character = PRIO_OFF;
	return policy;
}

static int prepare_all(struct daemon *daemon, struct split *split, struct err *err)
{
	int code = 0;

	for (uint32_t slot = 1; slot < daemon->members.count && !code; slot++)
		code = prepare(daemon, split, slot, err);
	if (!code && daemon->machine.ledger && !daemon->machine.dry_run &&
	    ledger_commit(daemon->machine.ledger))
		code = err_set(err, -EIO, "the ledger cannot be written; is the disk full?");
	return code;
}

int split_open(struct daemon *daemon, struct err *err)
{
	struct workload_topology topology;
	const char *inert;
	int code;

	if (!is_wanted(daemon))
		return 0;
	code = allocate(daemon, &daemon->split, err);
	if (!code)
		code = find_topology(daemon->split, err);
	if (code)
		return code;
	give_topology(daemon->split, &topology);
	cpus_init(&daemon->split->core, daemon->split->groups, daemon->split->workload,
		  daemon->members.count, &topology);
	inert = weight_inert(daemon->split->root);
	if (inert)
		fprintf(stderr, "pfuse-bpf: weights may do nothing: %s; going on\n", inert);
	return prepare_all(daemon, daemon->split, err);
}

static void set_policies(struct daemon *daemon)
{
	struct split *split = daemon->split;

	workload_set_policy(&split->core.workload, &daemon_config(daemon)->cpus);
	for (uint32_t slot = 1; slot < daemon->members.count; slot++) {
		struct cpus_policy policy = policy_of(daemon, slot);

		if (!orchestrator_fcb(&daemon->core, slot) || daemon->members.fcbs[slot].removed)
			continue;
		cpus_set_group(&split->core, slot, &policy);
		probe_wait_target(
			daemon->machine.probe, slot,
			policy.type == WORKLOAD_OFF ? 0 : split->core.workload.policy.wait_p99_ns);
	}
}

void split_watch(struct daemon *daemon)
{
	if (!daemon->split)
		return;
	daemon->core.cpus = &daemon->split->core;
	set_policies(daemon);
}

/* What cannot be prepared now is not taken up; who was at it goes on. */
void split_policies(struct daemon *daemon)
{
	struct err err;

	if (!daemon->split) {
		if (is_wanted(daemon))
			fprintf(stderr, "pfuse-bpf: no group had a type or character when this run "
					"began; start it anew to use them, going on\n");
		return;
	}
	if (prepare_all(daemon, daemon->split, &err))
		fprintf(stderr, "pfuse-bpf: %s; going on\n", err.text);
	set_policies(daemon);
}

const struct cpus_group *split_group(const struct daemon *daemon, uint32_t slot)
{
	const struct cpus_group *group =
		daemon->split ? cpus_group(&daemon->split->core, slot) : NULL;

	return group && cpus_wanted(&group->policy) ? group : NULL;
}

uint32_t split_type(const struct daemon *daemon, uint32_t slot)
{
	return daemon->split && slot < daemon->split->core.workload.nslots
		       ? daemon->split->workload[slot].list
		       : PFUSE_TYPE_NONE;
}

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
	orchestrator_cpus_look(&daemon->core, slot, &sample,
			       probe_read_span(probe, slot, &span) ? NULL : &span,
			       daemon->loop.now_ns);
}

static void look_at_topology(struct split *split)
{
	struct workload_topology topology;
	bool changed = false;

	if (topology_changed(split->root, &split->topology, &changed) || !changed ||
	    topology_read(split->root, &split->topology))
		return;
	give_topology(split, &topology);
	cpus_set_topology(&split->core, &topology);
}

/* Late waits of a service are told while it has CPUs of its own: only then do they prove anything. */
static void arm_waits(struct daemon *daemon, uint32_t slot)
{
	struct split_member *at = &daemon->split->at[slot];
	const struct workload *w = &daemon->split->core.workload;
	bool wanted = w->confined && w->groups[slot].list == PFUSE_TYPE_SERVICE;

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

/* Tasks that came since the last check get it now; what is no batch group any more gives it back. */
static void keep_slices(struct daemon *daemon, uint32_t slot)
{
	struct split_member *at = &daemon->split->at[slot];
	bool batch = daemon->split->groups[slot].prio.character == PFUSE_CHARACTER_BATCH;
	uint64_t slice_ns = batch ? entry_of(daemon, slot)->slice_ns : 0;
	struct slice_counts counts;
	int code = 0;

	if (!slice_ns || daemon->machine.dry_run) {
		slice_close(at->slice);
		at->slice = NULL;
		return;
	}
	if (!at->slice)
		code = slice_open(daemon->machine.tree.proc_fd, &at->slice);
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
	look_at_topology(daemon->split);
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
	char text[LIST_MAX];
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
	char list[LIST_MAX] = "";
	uint64_t done_ns;

	/* A scientific group without a weight does without: it was never ours. */
	if (v->control == PFUSE_CTL_WEIGHT && !at->weighs) {
		orchestrator_applied(&daemon->core, v, ORCHESTRATOR_FOREIGN, since_ns);
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
	orchestrator_applied(&daemon->core, v, said.outcome, done_ns);
	count(member, said.outcome);
	if (said.err != -ENODEV && is_worth_saying(at, &said))
		say_decision(daemon->out, &said);
}

static void act(struct daemon *daemon, uint64_t since_ns)
{
	struct split *split = daemon->split;
	unsigned n = orchestrator_cpus(&daemon->core, daemon->loop.now_ns, split->verdicts,
				       2 * daemon->members.count);

	for (unsigned i = 0; i < n; i++)
		if (split->verdicts[i].control == PFUSE_CTL_WEIGHT)
			carry_out(daemon, &split->verdicts[i], since_ns);
	for (unsigned i = 0; i < n; i++)
		if (split->verdicts[i].control == PFUSE_CTL_CPUS)
			shrink_first(daemon, &split->verdicts[i]);
	for (unsigned i = 0; i < n; i++)
		if (split->verdicts[i].control == PFUSE_CTL_CPUS)
			carry_out(daemon, &split->verdicts[i], since_ns);
}

void split_tick(struct daemon *daemon)
{
	uint64_t now_ns = daemon->loop.now_ns;

	if (!daemon->split)
		return;

	bool due = now_ns >= orchestrator_cpus_due(&daemon->core) && is_anybody_awake(daemon);

	if (due)
		look_at_all(daemon);
	act(daemon, now_ns);
	for (uint32_t slot = 1; due && slot < daemon->members.count; slot++)
		arm_waits(daemon, slot);
}

/* One that led to nothing, as it came too soon after the last change, is asked for again. */
void split_late(struct daemon *daemon, uint32_t slot, uint64_t since_ns)
{
	if (!daemon->split)
		return;
	act(daemon, since_ns);
	if (!daemon->split->workload[slot].grown)
		arm_waits(daemon, slot);
}
