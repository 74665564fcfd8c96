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
#include "daemon/report.h"
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

static struct summary_value limit_mib(uint64_t bytes)
{
	if (bytes == PFUSE_UNLIMITED)
		return summary_unknown("unlimited");
	return summary_known((double)bytes / MIB);
}

static void fill_memory(const struct machine *machine, const struct member *member,
			const struct fcb *fcb, struct summary_group *out)
{
	double usage_mib_s = fcb->totals.usage_byte_s / MIB;

	out->usage_mib_s = summary_known(usage_mib_s);
	out->limit_mib_s = summary_known(fcb->totals.limit_byte_s / MIB);
	out->usage_with_zram_mib_s = summary_known(usage_mib_s + member->zram_byte_s / MIB);
	out->usage_peak_mib = summary_known((double)member->usage_peak / MIB);
	out->limit_first_mib = limit_mib(member->first[CONTROL_LIMIT]);
	out->limit_last_mib = limit_mib(fcb->res[FCB_RAM].limit);
	out->oom_kills = figure(machine, member, CONTROL_OOM_KILLS, 1,
				"this kernel keeps no count per group");
	out->stall_seconds = figure(machine, member, CONTROL_STALL_US, 1e6,
				    "no memory.pressure for this group (PSI is off, or cgroup v1)");
	out->refaults = figure(machine, member, CONTROL_REFAULTS, 1,
			       "memory.stat has no workingset counters here");
}

static void fill_counts(const struct machine *machine, const struct member *member, uint32_t slot,
			struct summary_group *out)
{
	struct pfuse_stats stats;

	for (int i = 0; i < SUMMARY_DECISIONS; i++)
		out->decisions[i] = summary_known(member->decisions[i]);
	for (int i = 0; i < SUMMARY_WAKES; i++)
		out->wakes[i] = summary_known(member->wakes[i]);
	out->wake = summary_latency(&member->wake_ns);
	out->limit = summary_latency(&member->limit_ns);
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

static void fill_group(const struct daemon *daemon, uint32_t slot, struct summary_group *out)
{
	const struct member *member = &daemon->members.at[slot];
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
	fill_counts(&daemon->machine, member, slot, out);
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

	out->policy = config_policy_words[daemon->config->policy];
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
