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

int member_count(struct member *member)
{
	uint32_t nprocs = 0;
	int err = cgroup_count_procs(&member->group, &nprocs);

	if (!err)
		member->populated = nprocs > 0;
	return err;
}

int member_open(const struct machine *machine, const char *name, struct cgroup *group,
		struct member *ret, struct err *err)
{
	struct member member = { .name = name, .group = *group, .awake = true };
	char quoted[ERR_QUOTED];
	int code = stop_check(&machine->tree, group, &machine->never, err);

	if (code)
		return code;
	code = member_count(&member);
	if (code)
		return err_set(err, code, "%s: cannot read its processes: %s",
			       err_quote(name, quoted), strerror(-code));
	for (int figure = 0; figure < MEMBER_FIGURES; figure++)
		member.first[figure] = figure_or_none(machine, group, figure);
	member.usage_peak =
		member.first[CONTROL_USAGE] == UINT64_MAX ? 0 : member.first[CONTROL_USAGE];
	*ret = member;
	*group = (struct cgroup){ .fd = -1 };
	return 0;
}

/* I/O is one reading for both directions. */
void member_look(const struct machine *machine, struct member *member,
		 const struct fcb_policy *policy)
{
	bool cpu = policy->mode[FCB_CPU] != FCB_OFF;
	bool io = policy->mode[FCB_IO_READ] != FCB_OFF || policy->mode[FCB_IO_WRITE] != FCB_OFF;

	if ((cpu || io) && !member->throttle &&
	    throttle_open(&machine->tree, &member->group, &member->throttle))
		member->throttle = NULL;
	member->reads = 0;
	if (member->throttle && cpu)
		member->reads |= 1 << THROTTLE_CPU;
	if (member->throttle && io)
		member->reads |= 1 << THROTTLE_IO_READ;
}

/* What a control is called in the configuration, and the controller that has it. */
static const struct {
	const char *key;
	const char *controller;
} names[PFUSE_CONTROLS] = {
	[PFUSE_CTL_RAM] = { "ram", "memory" },	 [PFUSE_CTL_CPU] = { "cpu", "cpu" },
	[PFUSE_CTL_IO_READ] = { "io", "io" },	 [PFUSE_CTL_IO_WRITE] = { "io", "io" },
	[PFUSE_CTL_NET] = { "net", "net_prio" },
};

static int cannot_prepare(const struct member *member, enum pfuse_control control, int code,
			  struct err *err)
{
	char quoted[ERR_QUOTED];

	if (code == -ENOENT && control == PFUSE_CTL_NET)
		return err_set(err, code,
			       "%s: its socket priority cannot be set on this machine; set net: { "
			       "mode: observe }",
			       err_quote(member->name, quoted));
	if (code == -ENOENT)
		return err_set(
			err, code,
			"%s: the %s controller is not enabled for this group; write +%s into "
			"its parent's cgroup.subtree_control (v1: make the group in that "
			"hierarchy), or set %s: { mode: %s }",
			err_quote(member->name, quoted), names[control].controller,
			names[control].controller, names[control].key,
			control == PFUSE_CTL_RAM ? "off" : "observe");
	return err_set(err, code, "%s: cannot record its %s limit: %s",
		       err_quote(member->name, quoted), names[control].key, strerror(-code));
}

static enum throttle_kind throttle_of(enum pfuse_control control)
{
	switch (control) {
	case PFUSE_CTL_IO_READ:
		return THROTTLE_IO_READ;
	case PFUSE_CTL_IO_WRITE:
		return THROTTLE_IO_WRITE;
	default:
		return THROTTLE_CPU;
	}
}

/* A dry run must find what is missing too; and to act on what cannot be read would be to act blindly. */
static int prepare_throttle(const struct machine *machine, struct member *member,
			    enum throttle_kind kind)
{
	struct throttle_cpu cpu;
	struct throttle_io io;
	int err;

	if (!member->throttle)
		return -ENOENT;
	err = kind == THROTTLE_CPU ? throttle_read_cpu(member->throttle, &cpu)
				   : throttle_read_io(member->throttle, &io);
	if (err || machine->dry_run)
		return err;
	return throttle_prepare(member->throttle, machine->ledger, kind);
}

static int prepare(const struct machine *machine, struct member *member, enum pfuse_control control)
{
	if (control != PFUSE_CTL_RAM)
		return prepare_throttle(machine, member, throttle_of(control));
	if (machine->dry_run)
		return 0;
	return control_ram_prepare(&machine->tree, &member->group, machine->ledger, &member->ram);
}

int member_prepare(const struct machine *machine, struct member *member,
		   const struct fcb_policy *policy, struct err *err)
{
	for (unsigned kind = 0; kind < FCB_NET; kind++) {
		enum pfuse_control control = fcb_control_of((enum fcb_resource_kind)kind);
		int code;

		if (policy->mode[kind] != FCB_ACT)
			continue;
		code = prepare(machine, member, control);
		if (code)
			return cannot_prepare(member, control, code, err);
		member->acts |= (uint8_t)(1 << control);
	}
	return 0;
}

int member_prepare_net(const struct machine *machine, struct member *member, uint32_t slot,
		       const struct fcb_policy *policy, struct err *err)
{
	int code = 0;

	if (policy->mode[FCB_NET] != FCB_ACT)
		return 0;
	if (!machine->dry_run)
		code = netprio_open(&machine->tree, &member->group, machine->probe, slot,
				    &member->netprio);
	if (!machine->dry_run && !code)
		code = netprio_prepare(member->netprio, machine->ledger);
	if (code)
		return cannot_prepare(member, PFUSE_CTL_NET, code, err);
	member->acts |= 1 << PFUSE_CTL_NET;
	return 0;
}

void member_restrict(const struct member *member, struct fcb_policy *policy)
{
	for (unsigned kind = 0; kind < FCB_RESOURCES; kind++)
		if (policy->mode[kind] == FCB_ACT &&
		    !(member->acts & 1 << fcb_control_of((enum fcb_resource_kind)kind)))
			policy->mode[kind] = FCB_OBSERVE;
}

int member_spread_net(const struct machine *machine, struct member *member, int oom_fd)
{
	uint64_t limit = member->first[CONTROL_LIMIT];

	if (!(member->acts & 1 << PFUSE_CTL_RAM) || machine->dry_run)
		return 0;
	member->watches_oom = control_ram_watch_oom(&machine->tree, &member->group, oom_fd) == 0;
	if (limit == PFUSE_UNLIMITED)
		return 0;
	int err = control_ram_set(&machine->tree, &member->group, machine->ledger, &member->ram,
				  limit, false);

	return err < 0 ? err : 0;
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

/*
 * No such controller, or no directory in its hierarchy any more: not read again, for a counter that
 * came back would seem to have grown by all it ever counted.
 */
static int read_failed(struct member *member, enum throttle_kind kind, int err)
{
	if (err != -ENOENT && err != -ENODEV)
		return err;
	member->reads &= (uint8_t) ~(1 << kind);
	return 0;
}

static int fill_cpu(struct member *member, struct pfuse_sample *sample)
{
	struct throttle_cpu cpu;
	int err;

	if (!(member->reads & 1 << THROTTLE_CPU))
		return 0;
	err = throttle_read_cpu(member->throttle, &cpu);
	if (err)
		return read_failed(member, THROTTLE_CPU, err);
	sample->cpu_limit_ns = cpu.limit_ns;
	sample->cpu_periods = cpu.periods;
	sample->cpu_throttled = cpu.throttled;
	return 0;
}

/* A disk that the group began to use after the limit was set gets it too. What fails comes again. */
static void keep_up(const struct machine *machine, struct member *member, enum throttle_kind kind,
		    uint64_t limit)
{
	enum pfuse_control control =
		kind == THROTTLE_IO_READ ? PFUSE_CTL_IO_READ : PFUSE_CTL_IO_WRITE;

	if (!machine->dry_run && member->acts & 1 << control &&
	    throttle_io_lags(member->throttle, kind))
		(void)throttle_set(member->throttle, machine->ledger, kind, limit);
}

static int fill_io(const struct machine *machine, struct member *member,
		   struct pfuse_sample *sample)
{
	struct throttle_io io;
	int err;

	if (!(member->reads & 1 << THROTTLE_IO_READ))
		return 0;
	err = throttle_read_io(member->throttle, &io);
	if (err)
		return read_failed(member, THROTTLE_IO_READ, err);
	sample->io_read_bytes = io.read_bytes;
	sample->io_write_bytes = io.write_bytes;
	sample->io_read_limit = io.read_limit;
	sample->io_write_limit = io.write_limit;
	keep_up(machine, member, THROTTLE_IO_READ, io.read_limit);
	keep_up(machine, member, THROTTLE_IO_WRITE, io.write_limit);
	return 0;
}

int member_sample(const struct machine *machine, struct member *member, uint32_t slot,
		  struct pfuse_sample *ret)
{
	struct pfuse_sample sample = { .nprocs = member->populated,
				       .cpu_limit_ns = PFUSE_UNLIMITED,
				       .io_read_limit = PFUSE_UNLIMITED,
				       .io_write_limit = PFUSE_UNLIMITED,
				       .net_priority = member->net_level };
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
	err = fill_cpu(member, &sample);
	if (!err)
		err = fill_io(machine, member, &sample);
	if (err)
		return err;
	/* In this order: a slice that ends meanwhile is then in one of the two. */
	sample.oncpu = probe_oncpu(machine->probe, slot);
	probe_read(machine->probe, slot, &stats);
	fill_counters(&stats, &sample);
	sample.ram_usage_bytes = usage;
	sample.ram_limit_bytes = limit;
	if (usage > member->usage_peak)
		member->usage_peak = usage;
	*ret = sample;
	return 0;
}

static int set_ram(const struct machine *machine, struct member *member,
		   const struct pfuse_verdict *verdict, struct err *why)
{
	bool release = verdict->reason == PFUSE_WHY_CEILING;
	int err = control_ram_set(&machine->tree, &member->group, machine->ledger, &member->ram,
				  verdict->to, release);

	if (err == 1)
		err_set(why, 0, "but not below what it uses by now");
	if (err != -ESTALE || !member->reapply)
		return err < 0 ? err : 0;
	err = control_ram_adopt(&machine->tree, &member->group, machine->ledger, &member->ram);
	if (!err)
		err = control_ram_set(&machine->tree, &member->group, machine->ledger, &member->ram,
				      verdict->to, release);
	if (err >= 0)
		err_set(why, 0, "over what somebody else had set, which comes back when we leave");
	return err < 0 ? err : 0;
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

/* No memory: a figure less, going on. */
static void record(struct hist **hist, uint64_t ns)
{
	if (!*hist)
		*hist = calloc(1, sizeof(**hist));
	if (*hist)
		(void)hist_record(*hist, ns);
}

static void count(struct member *member, const struct pfuse_verdict *verdict,
		  enum orchestrator_outcome outcome, uint64_t took_ns)
{
	bool by_event =
		verdict->control == PFUSE_CTL_RAM &&
		(verdict->reason == PFUSE_WHY_HIGH_WATER || verdict->reason == PFUSE_WHY_LIMIT_HIT);
	bool continued = verdict->control == PFUSE_CTL_STOP && !verdict->to;

	member->failed += outcome == ORCHESTRATOR_FAILED;
	member->busy += outcome == ORCHESTRATOR_BUSY;
	member->refused += outcome == ORCHESTRATOR_REFUSED;
	member->foreign += outcome == ORCHESTRATOR_FOREIGN;
	member->avoided += outcome == ORCHESTRATOR_DRY;
	if (outcome != ORCHESTRATOR_APPLIED && outcome != ORCHESTRATOR_DRY)
		return;
	if (continued)
		member->wakes[wake_of(verdict->reason)]++;
	if (outcome != ORCHESTRATOR_APPLIED)
		return;
	if (continued && (verdict->reason == PFUSE_WHY_TALK || verdict->reason == PFUSE_WHY_DATA))
		record(&member->wake_ns, took_ns);
	if (by_event)
		record(&member->limit_ns, took_ns);
}

static int set_throttle(const struct machine *machine, struct member *member,
			const struct pfuse_verdict *verdict, struct err *why)
{
	enum throttle_kind kind = throttle_of((enum pfuse_control)verdict->control);
	int err;

	if (!member->throttle)
		return -ENOENT;
	err = throttle_set(member->throttle, machine->ledger, kind, verdict->to);
	if (!err && kind != THROTTLE_CPU && !throttle_io_used(member->throttle))
		err_set(why, 0, "in thought: it has used no disk yet; said once");
	return err;
}

static int set_net(const struct machine *machine, struct member *member, uint32_t level)
{
	int err = member->netprio ? netprio_set(member->netprio, machine->ledger, level) : -ENOENT;

	if (!err)
		member->net_level = (uint8_t)level;
	return err;
}

static int carry_out(const struct machine *machine, struct member *member,
		     const struct pfuse_verdict *verdict, struct carried *ret)
{
	switch (verdict->control) {
	case PFUSE_CTL_RAM:
		return set_ram(machine, member, verdict, &ret->why);
	case PFUSE_CTL_STOP:
		return set_stop(machine, member, verdict, ret);
	case PFUSE_CTL_NET:
		return set_net(machine, member, (uint32_t)verdict->to);
	default:
		return set_throttle(machine, member, verdict, &ret->why);
	}
}

void member_carry_out(const struct machine *machine, struct member *member,
		      const struct pfuse_verdict *verdict, uint64_t since_ns, struct carried *ret)
{
	*ret = (struct carried){ .outcome = ORCHESTRATOR_DRY };
	if (!machine->dry_run) {
		ret->err = carry_out(machine, member, verdict, ret);
		/* Gone in the hierarchy of this control alone: the group itself lives on. */
		if (ret->err == -ENODEV && verdict->control > PFUSE_CTL_STOP &&
		    !cgroup_gone(&member->group))
			ret->err = -ENOENT;
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

void member_leave_probe(const struct machine *machine, struct member *member, uint32_t slot)
{
	member_unguard(machine, member, slot);
	netprio_close(member->netprio);
	member->netprio = NULL;
	reach_release(machine->probe, &member->reach);
	(void)probe_unmanage(machine->probe, slot);
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

static void free_hist(struct hist **hist)
{
	if (*hist)
		hist_free(*hist);
	free(*hist);
	*hist = NULL;
}

void member_close(struct member *member)
{
	free_hist(&member->wake_ns);
	free_hist(&member->limit_ns);
	netprio_close(member->netprio);
	throttle_close(member->throttle);
	free(member->reach.findings);
	stop_free(&member->stop);
	cgroup_close(&member->group);
}
