/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/member.h"
#include "daemon/stopping.h"

#define STOP_WITHIN_NS                                                                             \
	100000000ull /* a freeze that takes longer is rolled back: it may never end */

static uint64_t figure_or_none(const struct machine *machine, const struct cgroup *group,
			       enum control_figure figure)
{
	uint64_t value;

	return control_read(&machine->tree, group, figure, &value) ? UINT64_MAX : value;
}

int member_open(const struct machine *machine, const char *name, struct cgroup *group,
		struct member *ret, struct err *err)
{
	struct member member = { .name = name, .group = *group, .awake = true };
	char quoted[ERR_QUOTED];
	uint32_t nprocs = 0;
	int code = stop_check(&machine->tree, group, &machine->never, err);

	if (code)
		return code;
	code = cgroup_count_procs(group, &nprocs);
	if (code)
		return err_set(err, code, "%s: cannot read its processes: %s",
			       err_quote(name, quoted), strerror(-code));
	for (int figure = 0; figure < MEMBER_FIGURES; figure++)
		member.first[figure] = figure_or_none(machine, group, figure);
	member.populated = nprocs > 0;
	member.usage_peak =
		member.first[CONTROL_USAGE] == UINT64_MAX ? 0 : member.first[CONTROL_USAGE];
	*ret = member;
	*group = (struct cgroup){ .fd = -1 };
	return 0;
}

int member_prepare(const struct machine *machine, struct member *member, struct err *err)
{
	char quoted[ERR_QUOTED];

	member->acts_on_ram = true;
	if (machine->dry_run)
		return 0;
	int code =
		control_ram_prepare(&machine->tree, &member->group, machine->ledger, &member->ram);

	if (code == -ENOENT)
		return err_set(
			err, code,
			"%s: the memory controller is not enabled for this group; write +memory "
			"into its parent's cgroup.subtree_control, or set ram: { mode: off }",
			err_quote(member->name, quoted));
	if (code)
		return err_set(err, code, "%s: cannot record its memory limit: %s",
			       err_quote(member->name, quoted), strerror(-code));
	return 0;
}

int member_spread_net(const struct machine *machine, struct member *member, int oom_fd)
{
	uint64_t limit = member->first[CONTROL_LIMIT];

	if (!member->acts_on_ram || machine->dry_run)
		return 0;
	member->watches_oom = control_ram_watch_oom(&machine->tree, &member->group, oom_fd) == 0;
	if (limit == PFUSE_UNLIMITED)
		return 0;
	return control_ram_set(&machine->tree, &member->group, machine->ledger, &member->ram, limit,
			       false);
}

static void fill_counters(const struct pfuse_stats *stats, struct pfuse_sample *sample)
{
	sample->run_ns = stats->run_ns;
	sample->wait_ns = stats->wait_ns;
	sample->net_bytes = stats->tx_bytes + stats->rx_bytes;
	sample->nvcsw = stats->nvcsw;
	sample->nivcsw = stats->nivcsw;
	sample->faults = stats->faults;
	sample->talks = stats->talks;
}

int member_sample(const struct machine *machine, struct member *member, uint32_t slot,
		  struct pfuse_sample *ret)
{
	struct pfuse_sample sample = { .nprocs = member->populated };
	struct pfuse_stats stats;
	uint64_t usage = 0, limit = PFUSE_UNLIMITED;
	int err = control_read(&machine->tree, &member->group, CONTROL_USAGE, &usage);

	if (err == -ENOENT && cgroup_gone(&member->group))
		return -ENODEV;
	if (err && err != -ENOENT)
		return err;
	err = control_read(&machine->tree, &member->group, CONTROL_LIMIT, &limit);
	if (err && err != -ENOENT)
		return err;
	probe_read(machine->probe, slot, &stats);
	fill_counters(&stats, &sample);
	sample.oncpu = probe_oncpu(machine->probe, slot);
	sample.ram_usage_bytes = usage;
	sample.ram_limit_bytes = limit;
	if (usage > member->usage_peak)
		member->usage_peak = usage;
	*ret = sample;
	return 0;
}

static int set_ram(const struct machine *machine, struct member *member,
		   const struct pfuse_verdict *verdict)
{
	return control_ram_set(&machine->tree, &member->group, machine->ledger, &member->ram,
			       verdict->to, verdict->reason == PFUSE_WHY_CEILING);
}

static int freeze_guarded(const struct machine *machine, struct member *member, uint32_t slot,
			  struct err *why)
{
	if (!machine->guards)
		return err_set(why, -EOPNOTSUPP, "nothing here can watch for it");
	int err = guard_freeze(machine->guards, &member->group, slot, machine->ledger,
			       &member->stop, STOP_WITHIN_NS, why);

	member->guarded = err == 0;
	return err;
}

/* The fast way; where it fails, the one that looks at everything. */
static int continue_group(const struct machine *machine, struct member *member, uint32_t slot)
{
	bool guarded = member->guarded;

	member->guarded = false;
	if (guarded &&
	    guard_thaw(machine->guards, &member->group, slot, machine->ledger, &member->stop) == 0)
		return 0;
	return stop_continue(&machine->tree, &member->group, machine->ledger, &member->stop);
}

static int stop_unguarded(const struct machine *machine, struct member *member, struct err *why)
{
	const struct cgroup_tree *tree = &machine->tree;
	struct ledger *ledger = machine->ledger;
	int err;

	if (member->parent_minds)
		return machine->stop_mode == STOP_SIGNAL
			       ? err_set(why, -EPERM, "a parent in it minds signals")
			       : stop_group(tree, &member->group, ledger, STOP_FREEZE,
					    STOP_WITHIN_NS, &member->stop);
	err = stop_group(tree, &member->group, ledger, machine->stop_mode, STOP_WITHIN_NS,
			 &member->stop);
	/* A KVM guest never freezes, but it stops by signal. */
	if (err == -ETIMEDOUT && machine->stop_mode == STOP_AUTO)
		err = stop_group(tree, &member->group, ledger, STOP_SIGNAL, STOP_WITHIN_NS,
				 &member->stop);
	return err;
}

/* Who comes, signals or talks from here on is told: nothing falls between the look and the stop. */
static int set_stop(const struct machine *machine, struct member *member,
		    const struct pfuse_verdict *verdict, struct carried *ret)
{
	int err;

	if (!verdict->to) {
		probe_disarm(machine->probe, verdict->slot, STOPPING_ARMS);
		return continue_group(machine, member, verdict->slot);
	}
	probe_arm(machine->probe, verdict->slot, STOPPING_ARMS);
	err = stopping_look_around(machine, member, verdict, &ret->talk, &ret->why);
	if (!err)
		err = verdict->reason == PFUSE_WHY_PARKED
			      ? freeze_guarded(machine, member, verdict->slot, &ret->why)
			      : stop_unguarded(machine, member, &ret->why);
	if (err == -EALREADY)
		err_set(&ret->why, err, "somebody else has frozen it");
	if (err)
		probe_disarm(machine->probe, verdict->slot, STOPPING_ARMS);
	return err;
}

static enum orchestrator_outcome outcome_of(int err, const struct pfuse_verdict *verdict)
{
	bool guarded = verdict->reason == PFUSE_WHY_PARKED;
	bool stops = verdict->control == PFUSE_CTL_STOP && verdict->to;

	switch (err) {
	case 0:
		return ORCHESTRATOR_APPLIED;
	case -ESTALE:
		return ORCHESTRATOR_FOREIGN;
	case -EALREADY:
		return ORCHESTRATOR_REFUSED;
	case -EBUSY:
		return stops ? ORCHESTRATOR_BUSY : ORCHESTRATOR_FAILED;
	case -EAGAIN:
	case -ETIMEDOUT:
		return guarded ? ORCHESTRATOR_BUSY : ORCHESTRATOR_FAILED;
	case -EPERM:
		return stops ? ORCHESTRATOR_REFUSED : ORCHESTRATOR_FAILED;
	case -EOPNOTSUPP:
	case -ENOENT:
	case -EXDEV:
		return guarded ? ORCHESTRATOR_REFUSED : ORCHESTRATOR_FAILED;
	default:
		return ORCHESTRATOR_FAILED;
	}
}

static enum summary_decision kind_of(const struct pfuse_verdict *verdict)
{
	if (verdict->control == PFUSE_CTL_STOP)
		return verdict->to ? SUMMARY_STOPPED : SUMMARY_CONTINUED;
	return verdict->to > verdict->from ? SUMMARY_GROWN : SUMMARY_SHRUNK;
}

static enum summary_wake wake_of(enum pfuse_reason reason)
{
	switch (reason) {
	case PFUSE_WHY_TALK:
		return SUMMARY_WAKE_TALK;
	case PFUSE_WHY_DATA:
		return SUMMARY_WAKE_DATA;
	case PFUSE_WHY_SIGNAL:
	case PFUSE_WHY_ENTERED:
		return SUMMARY_WAKE_SIGNAL;
	case PFUSE_WHY_DEADLINE:
		return SUMMARY_WAKE_DEADLINE;
	case PFUSE_WHY_REQUEST:
		return SUMMARY_WAKE_REQUEST;
	default:
		return SUMMARY_WAKE_EXIT;
	}
}

static void count(struct member *member, const struct pfuse_verdict *verdict,
		  enum orchestrator_outcome outcome, uint64_t took_ns)
{
	bool by_event =
		verdict->reason == PFUSE_WHY_HIGH_WATER || verdict->reason == PFUSE_WHY_LIMIT_HIT;

	static const int in_vain[] = { [ORCHESTRATOR_FAILED] = SUMMARY_FAILED,
				       [ORCHESTRATOR_FOREIGN] = SUMMARY_FOREIGN,
				       [ORCHESTRATOR_BUSY] = SUMMARY_BUSY,
				       [ORCHESTRATOR_REFUSED] = SUMMARY_REFUSED };

	if (outcome != ORCHESTRATOR_APPLIED && outcome != ORCHESTRATOR_DRY) {
		member->decisions[in_vain[outcome]]++;
		return;
	}
	member->decisions[kind_of(verdict)]++;
	if (outcome == ORCHESTRATOR_DRY)
		member->decisions[SUMMARY_AVOIDED]++;
	if (kind_of(verdict) == SUMMARY_CONTINUED)
		member->wakes[wake_of(verdict->reason)]++;
	if (outcome != ORCHESTRATOR_APPLIED)
		return;
	if (kind_of(verdict) == SUMMARY_CONTINUED &&
	    (verdict->reason == PFUSE_WHY_TALK || verdict->reason == PFUSE_WHY_DATA))
		(void)hist_record(&member->wake_ns,
				  took_ns); /* no memory: a figure less, going on */
	if (by_event)
		(void)hist_record(&member->limit_ns, took_ns);
}

void member_carry_out(const struct machine *machine, struct member *member,
		      const struct pfuse_verdict *verdict, uint64_t since_ns, struct carried *ret)
{
	*ret = (struct carried){ .outcome = ORCHESTRATOR_DRY };
	if (!machine->dry_run) {
		ret->err = verdict->control == PFUSE_CTL_RAM
				   ? set_ram(machine, member, verdict)
				   : set_stop(machine, member, verdict, ret);
		ret->outcome = outcome_of(ret->err, verdict);
	}
	count(member, verdict, ret->outcome, clock_now_ns() - since_ns);
}

void member_unguard(const struct machine *machine, struct member *member, uint32_t slot)
{
	if (member->guarded)
		guard_forget(machine->guards, slot);
	member->guarded = false;
}

void member_account_zram(const struct machine *machine, struct member *member, uint64_t zram_used,
			 uint64_t swap_used, uint64_t now_ns)
{
	uint64_t swapped = 0;

	if (member->zram_at_ns)
		member->zram_byte_s +=
			(double)member->zram_bytes * (double)(now_ns - member->zram_at_ns) / 1e9;
	if (swap_used && zram_used)
		(void)control_read(&machine->tree, &member->group, CONTROL_SWAP, &swapped);
	member->zram_bytes =
		swapped ? (uint64_t)((double)zram_used * (double)swapped / (double)swap_used) : 0;
	member->zram_at_ns = now_ns;
}

bool member_figure(const struct machine *machine, const struct member *member,
		   enum control_figure figure, uint64_t *ret_value)
{
	uint64_t value = figure_or_none(machine, &member->group, figure);

	if ((int)figure >= MEMBER_FIGURES || value == UINT64_MAX ||
	    member->first[figure] == UINT64_MAX)
		return false;
	*ret_value = value > member->first[figure] ? value - member->first[figure] : 0;
	return true;
}

void member_close(struct member *member)
{
	hist_free(&member->wake_ns);
	hist_free(&member->limit_ns);
	free(member->reach.findings);
	stop_free(&member->stop);
	cgroup_close(&member->group);
}
