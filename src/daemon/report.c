/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "daemon/curves.h"
#include "daemon/report.h"
#include "daemon/scarce.h"
#include "daemon/split.h"
#include "edge/zram.h"

#define MIB 1048576.0

void report_account(struct daemon *daemon)
{
	_cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	uint64_t zram_used = 0, swap_used = 0;

	if (zram_read(root, &zram_used, &swap_used))
		return;
	for (uint32_t slot = 1; slot < daemon->members.count; slot++)
		if (daemon->members.fcbs[slot].group_id && !daemon->members.fcbs[slot].removed)
			member_account_zram(&daemon->machine, &daemon->members.at[slot], zram_used,
					    swap_used, daemon->loop.now_ns);
}

static struct summary_value figure(const struct machine *machine, const struct member *member,
				   enum control_figure which, double unit, const char *reason)
{
	uint64_t value;

	if (cgroup_gone(&member->group))
		return summary_unknown("the group was removed before the end");
	if (!member_figure(machine, member, which, &value))
		return summary_unknown(reason);
	return summary_known((double)value / unit);
}

static const struct {
	enum fcb_resource_kind kind;
	double unit;
} resources[SUMMARY_RESOURCES] = {
	[SUMMARY_RAM] = { FCB_RAM, MIB },	  [SUMMARY_CPU] = { FCB_CPU, 1e9 },
	[SUMMARY_IO_READ] = { FCB_IO_READ, MIB }, [SUMMARY_IO_WRITE] = { FCB_IO_WRITE, MIB },
	[SUMMARY_NET] = { FCB_NET, MIB },
};

static struct summary_value limit_in(uint64_t limit, double unit)
{
	if (limit == PFUSE_UNLIMITED)
		return summary_unknown("unlimited");
	return summary_known((double)limit / unit);
}

static void fill_resource(const struct fcb *fcb, enum summary_resource_kind which,
			  struct summary_resource *out)
{
	enum fcb_resource_kind kind = resources[which].kind;
	const struct fcb_control *control = &fcb->control[fcb_control_of(kind)];
	const struct fcb_resource *r = &fcb->res[kind];
	const char *off = "mode: off";

	out->grown = summary_known(control->ups);
	out->shrunk = summary_known(control->downs);
	out->limit = limit_in(r->limit, resources[which].unit);
	out->usage = out->score = out->size = summary_unknown(off);
	if (fcb->policy.mode[kind] == FCB_OFF)
		return;
	out->usage = summary_known((double)r->usage / resources[which].unit);
	out->score = summary_known(r->score);
	out->size = summary_known((double)r->size / resources[which].unit);
}

/* Up to now, not to the last sample: the edges are read once more. */
static void fill_throttle(struct member *member, const struct fcb *fcb, struct summary_group *out)
{
	static const char *const none = "no such controller for this group, or mode: off";
	struct throttle_cpu cpu;
	struct throttle_io io;

	out->cpu_periods = out->cpu_throttled = summary_unknown(none);
	out->io_read_bytes = out->io_write_bytes = summary_unknown(none);
	if (member->reads & 1 << THROTTLE_CPU && !throttle_read_cpu(member->throttle, &cpu)) {
		out->cpu_periods = summary_known(fcb->totals.cpu_periods +
						 (double)(cpu.periods - fcb->last.cpu_periods));
		out->cpu_throttled =
			summary_known(fcb->totals.cpu_throttled +
				      (double)(cpu.throttled - fcb->last.cpu_throttled));
	}
	if (member->reads & 1 << THROTTLE_IO_READ && !throttle_read_io(member->throttle, &io)) {
		out->io_read_bytes = summary_known((double)io.read_bytes);
		out->io_write_bytes = summary_known((double)io.write_bytes);
	}
}

static void fill_resources(struct member *member, const struct fcb *fcb, struct summary_group *out)
{
	for (unsigned i = 0; i < SUMMARY_RESOURCES; i++)
		fill_resource(fcb, (enum summary_resource_kind)i, &out->resources[i]);
	out->net_priority = summary_known(fcb->net_level);
	fill_throttle(member, fcb, out);
}

static void fill_split(const struct daemon *daemon, uint32_t slot, struct summary_group *out)
{
	static const char *const types[PFUSE_TYPES] = { NULL, "service", "scientific" };
	static const char *const characters[PFUSE_CHARACTERS] = { NULL, "interactive", "batch",
								  "mixed" };
	const struct cpus_group *group = split_group(daemon, slot);

	out->cpus = out->cpus_moves = out->cpus_grown = out->cpus_shrunk = out->weight =
		summary_unknown("no type or character was asked for");
	if (!group)
		return;
	out->type = types[split_type(daemon, slot) % PFUSE_TYPES];
	out->character = characters[group->prio.character % PFUSE_CHARACTERS];
	out->cpus_moves = summary_known(group->moves);
	out->cpus_grown = summary_known(group->cpus.ups);
	out->cpus_shrunk = summary_known(group->cpus.downs);
	out->cpus = cpumask_empty(&group->given) ? summary_unknown("not confined")
						 : summary_known(cpumask_count(&group->given));
	out->weight = group->given_weight ? summary_known(group->given_weight)
					  : summary_unknown("as found");
}

static void fill_memory(const struct machine *machine, const struct member *member,
			const struct fcb *fcb, struct summary_group *out)
{
	double usage_mib_s = fcb->totals.usage_byte_s / MIB;

	out->usage_mib_s = summary_known(usage_mib_s);
	out->limit_mib_s = summary_known(fcb->totals.limit_byte_s / MIB);
	out->usage_with_zram_mib_s = summary_known(usage_mib_s + member->zram_byte_s / MIB);
	out->usage_peak_mib = summary_known((double)member->usage_peak / MIB);
	out->limit_first_mib = limit_in(member->first[CONTROL_LIMIT], MIB);
	out->limit_last_mib = limit_in(fcb->res[FCB_RAM].limit, MIB);
	out->oom_kills = figure(machine, member, CONTROL_OOM_KILLS, 1,
				"this kernel keeps no count per group");
	out->stall_seconds = figure(machine, member, CONTROL_STALL_US, 1e6,
				    "no memory.pressure for this group (PSI is off, or cgroup v1)");
	out->refaults = figure(machine, member, CONTROL_REFAULTS, 1,
			       "memory.stat has no workingset counters here");
}

static void fill_decisions(const struct member *member, const struct fcb *fcb,
			   struct summary_group *out)
{
	static const struct hist never;

	out->decisions[SUMMARY_GROWN] = summary_known(fcb->control[PFUSE_CTL_RAM].ups);
	out->decisions[SUMMARY_SHRUNK] = summary_known(fcb->control[PFUSE_CTL_RAM].downs);
	out->decisions[SUMMARY_STOPPED] = summary_known(fcb->control[PFUSE_CTL_STOP].ups);
	out->decisions[SUMMARY_CONTINUED] = summary_known(fcb->control[PFUSE_CTL_STOP].downs);
	out->decisions[SUMMARY_AVOIDED] = summary_known(member->avoided);
	out->decisions[SUMMARY_FOREIGN] = summary_known(member->foreign);
	out->decisions[SUMMARY_FAILED] = summary_known(member->failed);
	out->decisions[SUMMARY_BUSY] = summary_known(member->busy);
	out->decisions[SUMMARY_REFUSED] = summary_known(member->refused);
	for (int i = 0; i < SUMMARY_WAKES; i++)
		out->wakes[i] = summary_known(member->wakes[i]);
	out->wake = summary_latency(member->wake_ns ? member->wake_ns : &never);
	out->limit = summary_latency(member->limit_ns ? member->limit_ns : &never);
}

static void fill_counts(const struct machine *machine, uint32_t slot, struct summary_group *out)
{
	struct pfuse_stats stats;

	probe_read(machine->probe, slot, &stats);
	out->cpu_seconds = summary_known((double)stats.run_ns / 1e9);
	out->wait_seconds = summary_known((double)stats.wait_ns / 1e9);
	out->switches_voluntary = summary_known(stats.nvcsw);
	out->switches_involuntary = summary_known(stats.nivcsw);
	out->faults = summary_known(stats.faults);
	out->tx_bytes = summary_known((double)stats.tx_bytes);
	out->rx_bytes = summary_known((double)stats.rx_bytes);
	out->talks = summary_known(stats.talks);
}

static struct summary_value mib(uint64_t bytes)
{
	return summary_known((double)bytes / MIB);
}

static void fill_result(const struct curves_result *result, uint64_t now_ns, struct summary_curve *out)
{
	const struct cvhrc_curve *curve = &result->curve;

	out->knee_mib = mib(curve->knee_bytes);
	out->knee_curvature_mib = mib(curve->knee_curvature_bytes);
	out->resolution_mib = mib(curve->resolution_bytes);
	out->need_p90_mib = mib(curve->need_bytes[CVHRC_P90]);
	out->need_p95_mib = mib(curve->need_bytes[CVHRC_P95]);
	out->need_p99_mib = mib(curve->need_bytes[CVHRC_P99]);
	out->error = summary_known(curve->error);
	out->age_seconds = summary_known((double)(now_ns - result->time_ns) / 1e9);
}

static void fill_curve(const struct daemon *daemon, uint32_t slot, struct summary_group *out)
{
	double managed_s = out->seconds.value;
	struct curves_facts facts;
	bool measures = curves_facts(daemon, slot, &facts);
	const struct summary_value none = summary_unknown(facts.why);
	uint64_t share = scarce_share(daemon, slot);

	out->curve = (struct summary_curve){ none, none, none, none, none, none,
					     none, none, none, none, none, none };
	out->curve.share_mib = share ? mib(share) : summary_unknown("memory is not short");
	if (measures) {
		out->curve.sessions = summary_known(facts.sessions);
		out->curve.measured_seconds = summary_known((double)facts.measured_ns / 1e9);
	}
	if (measures && managed_s > 0)
		out->curve.cost = summary_known((double)facts.spent_ns / 1e9 / managed_s);
	if (!facts.result)
		return;
	out->curve_source = facts.result->source;
	fill_result(facts.result, daemon->loop.now_ns, &out->curve);
}

static void fill_group(const struct daemon *daemon, uint32_t slot, struct summary_group *out)
{
	struct member *member = &daemon->members.at[slot];
	struct fcb *fcb = &daemon->members.fcbs[slot];

	out->name = member->name;
	out->path = member->group.path;
	out->id = member->group.id;
	if (!fcb->removed)
		fcb_account(fcb, daemon->loop.now_ns);
	out->seconds = summary_known((double)fcb->totals.observed_ns / 1e9);
	out->stopped_seconds =
		summary_known((double)fcb_stopped_ns(fcb, daemon->loop.now_ns) / 1e9);
	fill_memory(&daemon->machine, member, fcb, out);
	fill_resources(member, fcb, out);
	fill_decisions(member, fcb, out);
	fill_counts(&daemon->machine, slot, out);
	fill_split(daemon, slot, out);
	fill_curve(daemon, slot, out);
}

static double cpu_seconds(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) < 0)
		return 0;
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void fill_daemon(const struct daemon *daemon, const char *release,
			struct summary_daemon *out)
{
	const struct machine *machine = &daemon->machine;
	uint64_t bytes;

	out->policy = config_policy_words[daemon_policy(daemon)];
	out->version = PFUSE_VERSION;
	out->kernel = release;
	out->hierarchy = cgroup_tree_anchor(&machine->tree) == PFUSE_ANCHOR_V2 ? "v2" : "v1";
	out->dry_run = machine->dry_run;
	out->seconds = summary_known((double)(daemon->loop.now_ns - daemon->loop.started_ns) / 1e9);
	out->cpu_seconds = summary_known(cpu_seconds());
	out->private_bytes = procs_private_bytes(machine->tree.proc_fd, getpid(), &bytes)
				     ? summary_unknown("no smaps_rollup")
				     : summary_known((double)bytes);
	out->bpf_bytes = summary_known((double)probe_memory_bytes(machine->probe));
	out->events = summary_known((double)daemon->loop.events);
	out->wakeups = summary_known((double)daemon->loop.turns);
	for (int why = 0; why < PFUSE_DROPS; why++)
		out->drops[why] = summary_known((double)probe_drops(machine->probe, why));
}

int report(struct daemon *daemon)
{
	uint32_t ngroups = daemon->members.count - 1;
	_cleanup_free_ struct summary_group *groups =
		calloc(ngroups ? ngroups : 1, sizeof(*groups));
	struct summary summary = { .groups = groups, .ngroups = ngroups };
	struct utsname name;
	struct err err;
	int code;

	if (!groups || uname(&name) < 0) {
		fprintf(stderr, "pfuse-bpf: no summary: out of memory\n");
		return -ENOMEM;
	}
	daemon->loop.now_ns = clock_now_ns();
	report_account(daemon);
	fill_daemon(daemon, name.release, &summary.daemon);
	for (uint32_t slot = 1; slot <= ngroups; slot++)
		fill_group(daemon, slot, &groups[slot - 1]);
	code = daemon->out ? summary_print(&summary, daemon->out) : 0;
	if (daemon->options->summary && summary_write(&summary, daemon->options->summary, &err)) {
		fprintf(stderr, "pfuse-bpf: %s\n", err.text);
		code = -EIO;
	}
	return code;
}
