/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Who takes part, and what stood in their files. */
#include "daemon/split_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cpulist.h"
#include "daemon/say.h"
#include "daemon/tap.h"

const struct config_group *split_entry(const struct daemon *daemon, uint32_t slot)
{
	const struct member *member = &daemon->members.at[slot];

	return config_match(daemon_config(daemon), member->name, member->group.path);
}

static bool is_wanted(const struct daemon *daemon)
{
	for (uint32_t slot = 1; slot < daemon->members.count; slot++)
		if (cpus_wanted(&split_entry(daemon, slot)->cpus))
			return true;
	return false;
}

void split_topology(const struct split *split, struct workload_topology *ret)
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
	char text[SPLIT_LIST_MAX];
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
	char text[SPLIT_LIST_MAX];
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
	if (code == -ENOENT && split_entry(daemon, slot)->cpus.character != PRIO_OFF)
		return lacks(member, "weight", "cpu", "character", err);
	if (code && code != -ENOENT)
		say_note(daemon->out, member->name, "its weight is left alone: %s",
			 weight_why(code));
	return 0;
}

static int prepare(struct daemon *daemon, struct split *split, uint32_t slot, struct err *err)
{
	const struct cpus_policy *policy = &split_entry(daemon, slot)->cpus;
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
	struct cpus_policy policy = split_entry(daemon, slot)->cpus;

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
	split_topology(daemon->split, &topology);
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

	tap_cpus_rules(daemon, &daemon_config(daemon)->cpus, &daemon_config(daemon)->own);
	for (uint32_t slot = 1; slot < daemon->members.count; slot++) {
		struct cpus_policy policy = policy_of(daemon, slot);

		if (!orchestrator_fcb(&daemon->core, slot) || daemon->members.fcbs[slot].removed)
			continue;
		tap_cpus_policy(daemon, slot, &policy);
		probe_wait_target(
			daemon->machine.probe, slot,
			policy.type == WORKLOAD_OFF ? 0 : split->core.workload.policy.wait_p99_ns);
	}
}

void split_watch(struct daemon *daemon)
{
	if (!daemon->split)
		return;
	tap_cpus_begin(daemon, &daemon->split->core);
	set_policies(daemon);
}

/* As at the start; spans are counted from here on. */
static int begin(struct daemon *daemon, struct err *err)
{
	int code = split_open(daemon, err);

	if (!code)
		code = probe_count_spans(daemon->machine.probe, true, err);
	if (!code)
		split_watch(daemon);
	return code;
}

/* Of a split that never ran, or has given back what it set. */
static void end(struct daemon *daemon)
{
	struct err err;

	for (uint32_t slot = 1; slot < daemon->members.count; slot++)
		split_let_go(daemon, slot);
	tap_cpus_begin(daemon, NULL);
	split_close(daemon->split);
	daemon->split = NULL;
	if (!daemon_records_spans(daemon) &&
	    probe_count_spans(daemon->machine.probe, false, &err))
		fprintf(stderr, "pfuse-bpf: %s; spans are counted for nobody, going on\n", err.text);
}

/* What cannot be prepared now is not taken up; who was at it goes on. */
void split_policies(struct daemon *daemon)
{
	bool wanted = is_wanted(daemon);
	struct err err;

	if (!daemon->split && !wanted)
		return;
	if (!daemon->split) {
		if (!begin(daemon, &err))
			return;
		fprintf(stderr, "pfuse-bpf: no CPUs are split and no weights set: %s; going on\n",
			err.text);
		if (daemon->split)
			end(daemon);
		return;
	}
	if (prepare_all(daemon, daemon->split, &err))
		fprintf(stderr, "pfuse-bpf: %s; going on\n", err.text);
	set_policies(daemon);
	if (wanted)
		return;
	split_act(daemon, daemon->loop.now_ns);
	end(daemon);
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
