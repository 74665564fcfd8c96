/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "cli/doctor.h"

#include <linux/capability.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/err.h"

/* The judgement: facts in, findings out. doctor_facts.c gathers, and knows the machine. */

enum mark {
	MARK_OK,
	MARK_LACKS,
	MARK_NOTE, /* nothing lacks, but the user should know */
};

static const char *const mark_names[] = { "ok", "lacks", "note" };

struct finding {
	const char *area;
	const char *key; /* stable: scripts look for it */
	enum mark mark;
	bool essential;	     /* `run` cannot work without it */
	const char *meaning; /* NULL for ok */
	const char *action;  /* NULL: nothing to be done */
	char value[160];
};

struct report {
	struct finding *findings;
	size_t count;
	size_t room;
	bool no_memory;
};

static struct finding *add(struct report *report, const char *area, const char *key, enum mark mark,
			   const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Never NULL; when memory lacks, what is added is lost and the report says so. */
static struct finding *add(struct report *report, const char *area, const char *key, enum mark mark,
			   const char *format, ...)
{
	static struct finding lost;
	struct finding *finding = &lost;
	va_list args;

	if (report->count == report->room) {
		size_t room = report->room ? 2 * report->room : 32;
		void *bigger = reallocarray(report->findings, room, sizeof(*report->findings));

		report->no_memory |= !bigger;
		if (bigger) {
			report->findings = bigger;
			report->room = room;
		}
	}
	if (report->count < report->room)
		finding = &report->findings[report->count++];
	*finding = (struct finding){ .area = area, .key = key, .mark = mark };
	va_start(args, format);
	vsnprintf(finding->value, sizeof(finding->value), format, args);
	va_end(args);
	return finding;
}

static void explain(struct finding *finding, const char *meaning, const char *action)
{
	finding->meaning = meaning;
	finding->action = action;
}

/* A finding that is ok or lacks, with what its lack means. */
static struct finding *check(struct report *report, const char *area, const char *key, bool ok,
			     const char *yes, const char *no, const char *meaning,
			     const char *action)
{
	struct finding *finding =
		add(report, area, key, ok ? MARK_OK : MARK_LACKS, "%s", ok ? yes : no);

	if (!ok)
		explain(finding, meaning, action);
	return finding;
}

static void check_essential(struct report *report, const char *area, const char *key, bool ok,
			    const char *yes, const char *no, const char *meaning,
			    const char *action)
{
	check(report, area, key, ok, yes, no, meaning, action)->essential = true;
}

static void report_lockdown(struct report *report, enum system_lockdown lockdown)
{
	if (lockdown == LOCKDOWN_CONFIDENTIALITY)
		explain(add(report, "kernel", "lockdown", MARK_NOTE, "confidentiality"),
			"programs that read kernel memory by helper are refused; ours do not need "
			"it",
			NULL);
	else
		add(report, "kernel", "lockdown", MARK_OK, "%s",
		    lockdown == LOCKDOWN_INTEGRITY ? "integrity" : "none");
}

static void report_scheduler(struct report *report, const struct system_info *s)
{
	char q[ERR_QUOTED];

	if (s->sched_ext[0])
		explain(add(report, "kernel", "sched_ext", MARK_NOTE, "active: %s",
			    err_quote(s->sched_ext, q)),
			"that scheduler decides who runs; weights and waits mean what it makes of "
			"them",
			"stop it to compare");
	else
		add(report, "kernel", "sched_ext", MARK_OK, "%s",
		    s->sched_ext_built ? "not active" : "not built into this kernel");
	if (s->autogroup)
		explain(add(report, "kernel", "autogroup", MARK_NOTE, "on"),
			"nice values count within a session only; weights of groups are not "
			"affected",
			"sysctl kernel.sched_autogroup_enabled=0");
	else
		add(report, "kernel", "autogroup", MARK_OK, "off");
}

static void report_kernel(struct report *report, const struct system_info *s)
{
	char q[ERR_QUOTED];

	add(report, "kernel", "release", MARK_OK, "%s", err_quote(s->kernel, q));
	check_essential(report, "kernel", "btf", s->btf, "/sys/kernel/btf/vmlinux", "not there",
			"BPF programs cannot be fitted to this kernel: nothing is observed",
			"use a kernel with CONFIG_DEBUG_INFO_BTF=y");
	report_lockdown(report, s->lockdown);
	check(report, "kernel", "psi", s->psi, "/proc/pressure", "not there, or off",
	      "stall times are not known", "boot with psi=1");
	if (s->tracefs)
		add(report, "kernel", "tracefs", MARK_OK, "mounted");
	else
		explain(add(report, "kernel", "tracefs", MARK_NOTE, "not mounted"),
			"nothing here needs it, but other tracing tools do",
			"mount -t tracefs tracefs /sys/kernel/tracing");
	check(report, "kernel", "pidfd", s->pidfd, "works", "refused",
	      "the end of a process is noticed late", "use kernel 5.3 or later");
	if (s->mglru)
		add(report, "kernel", "mglru", MARK_OK, "on");
	else
		explain(add(report, "kernel", "mglru", MARK_NOTE, "off, or not built"),
			"the kernel picks pages to reclaim by its older lists: somewhat more "
			"refaults",
			"echo y > /sys/kernel/mm/lru_gen/enabled, if it is there");
	report_scheduler(report, s);
}

static void report_capability(struct report *report, const struct system_info *s, const char *key,
			      unsigned capability, const char *meaning)
{
	check(report, "privileges", key, system_capable(s, capability), "held", "not held", meaning,
	      "run as root, outside of an unprivileged container");
}

static void report_privileges(struct report *report, const struct system_info *s)
{
	bool admin = system_capable(s, CAP_SYS_ADMIN);
	bool bpf = admin || (system_capable(s, CAP_BPF) && system_capable(s, CAP_PERFMON));

	check_essential(report, "privileges", "root", s->root, "yes", "no",
			"limits cannot be set, BPF programs cannot be loaded",
			"sudo pfuse-bpf ...");
	check_essential(report, "privileges", "cap_bpf", bpf,
			admin ? "held, by CAP_SYS_ADMIN" : "held, with CAP_PERFMON",
			"not held, or without CAP_PERFMON", "BPF programs cannot be loaded",
			"run as root, outside of an unprivileged container");
	report_capability(report, s, "cap_sys_admin", CAP_SYS_ADMIN,
			  "cgroup files of other owners may be refused");
	report_capability(report, s, "cap_sys_resource", CAP_SYS_RESOURCE,
			  "the number of open files cannot be raised: fewer groups at once");
	report_capability(report, s, "cap_kill", CAP_KILL,
			  "processes of other users cannot be stopped by signal");
	report_capability(report, s, "cap_sys_nice", CAP_SYS_NICE,
			  "no real-time priority: groups are woken later when all CPUs are busy");
	if (s->files_soft >= 1024)
		add(report, "privileges", "open_files", MARK_OK, "%llu, may be raised to %llu",
		    (unsigned long long)s->files_soft, (unsigned long long)s->files_hard);
	else
		explain(add(report, "privileges", "open_files", MARK_LACKS, "%llu",
			    (unsigned long long)s->files_soft),
			"each group needs an open file: only few groups at once",
			"ulimit -n 20000");
}

/* Why each controller matters, in the order of enum cgroup_controller; NULL: not told. */
static const struct {
	const char *lack;
	bool essential;
} controller_needs[CGROUP_CONTROLLERS] = {
	[CGROUP_MEMORY] = { "no memory limit can be set or read: nothing to orchestrate", true },
	[CGROUP_CPU] = { "CPU time cannot be limited; its use is still observed by BPF", false },
	[CGROUP_CPUSET] = { "groups cannot be kept to some CPUs", false },
	[CGROUP_IO] = { "bytes read and written are not known, and cannot be limited", false },
	[CGROUP_PIDS] = { "the number of processes is counted by hand", false },
	[CGROUP_FREEZER] = { "groups are stopped by SIGSTOP, if cgroup.freeze lacks too", false },
};

static void report_controller(struct report *report, const struct system_info *s,
			      enum cgroup_controller controller)
{
	static const char *const places[] = {
		[PLACE_NONE] = "not mounted",
		[PLACE_V1] = "v1",
		[PLACE_V2] = "v2",
		[PLACE_V2_NOT_ENABLED] = "v2, but not handed to the children of the root",
	};
	enum system_place place = s->controllers[controller];
	bool ok = place == PLACE_V1 || place == PLACE_V2;
	struct finding *finding;

	if (!controller_needs[controller].lack)
		return;
	finding = add(report, "controllers", cgroup_controller_name(controller),
		      ok ? MARK_OK : MARK_LACKS, "%s", places[place]);
	finding->essential = controller_needs[controller].essential;
	if (!ok)
		explain(finding, controller_needs[controller].lack,
			place == PLACE_NONE
				? "use a kernel that has it, or mount its hierarchy"
				: "write \"+NAME\" to cgroup.subtree_control of the root");
}

static void report_controllers(struct report *report, const struct system_info *s)
{
	for (int i = 0; i < CGROUP_CONTROLLERS; i++)
		report_controller(report, s, i);
	check(report, "controllers", "cgroup.freeze", s->freeze, "v2",
	      "no v2 tree is mounted, or its groups lack it",
	      "groups are stopped by SIGSTOP: their parents notice, and forks are raced",
	      "mount -t cgroup2 none /sys/fs/cgroup/unified");
}

static void report_swap(struct report *report, const struct system_info *s)
{
	unsigned long long zram = s->zram_bytes >> 20, disk = s->swap_bytes >> 20;

	if (zram || disk)
		add(report, "memory", "swap", MARK_OK, "zram %llu MiB, elsewhere %llu MiB", zram,
		    disk);
	else
		explain(add(report, "memory", "swap", MARK_NOTE, "none"),
			"anonymous memory cannot be paged out: limits only ever bite on page cache",
			"zramctl --find --size 2G, then mkswap and swapon on that device");
	add(report, "memory", "zswap", MARK_OK, "%s", s->zswap ? "on" : "off");
}

/* Another hook that observes the same where this one lacks. */
/* `page_out: on` of a frozen group. */
static void report_page_out(struct report *report, enum pages_how how)
{
	static const char *const by[] = {
		[PAGES_RECLAIM] = "by memory.reclaim",
		[PAGES_FORCE_EMPTY] = "by memory.force_empty",
		[PAGES_ADVISE] = "by process_madvise(), private anonymous memory only",
	};

	if (how == PAGES_NOT)
		explain(add(report, "memory", "page_out", MARK_LACKS,
			    "neither memory.reclaim nor memory.force_empty nor process_madvise()"),
			"a frozen group keeps its memory, whatever page_out says",
			"use a kernel from 5.10 on");
	else
		add(report, "memory", "page_out", MARK_OK, "%s", by[how]);
}

static const struct probe_hook *stand_in(const struct doctor_facts *facts, const char *program)
{
	for (unsigned i = 0; i < facts->nhooks; i++) {
		const struct probe_hook *other = &facts->hooks[i];

		if (other->stands_in_for && strcmp(other->stands_in_for, program) == 0)
			return other;
	}
	return NULL;
}

static void report_hook(struct report *report, const struct doctor_facts *facts,
			const struct probe_hook *hook)
{
	const struct probe_hook *other = stand_in(facts, hook->program);
	bool replaced = !hook->required && (other ? other->available : hook->fallback != NULL);
	struct finding *finding;

	if (hook->available) {
		add(report, "hooks", hook->attach, MARK_OK, "%s", hook->observes);
		return;
	}
	finding = add(report, "hooks", hook->attach, replaced ? MARK_NOTE : MARK_LACKS,
		      "%s: %s%s%s", hook->observes, strerror(-hook->err),
		      replaced ? "; used instead: " : "", replaced ? hook->fallback : "");
	finding->essential = hook->required;
	explain(finding, other && replaced ? "nothing is lost by that" : hook->lack,
		replaced ? NULL : "use a kernel that offers this hook");
}

static void report_hooks(struct report *report, const struct doctor_facts *facts)
{
	if (facts->hooks_err)
		explain(add(report, "hooks", "hooks", MARK_LACKS, "cannot be probed: %s",
			    strerror(-facts->hooks_err)),
			"what can be observed is not known", "run the doctor as root");
	for (unsigned i = 0; i < facts->nhooks; i++)
		if (facts->hooks[i].available || !facts->hooks[i].stands_in_for)
			report_hook(report, facts, &facts->hooks[i]);
}

static bool has_hook(const struct doctor_facts *facts, const char *program)
{
	for (unsigned i = 0; i < facts->nhooks; i++)
		if (strcmp(facts->hooks[i].program, program) == 0)
			return facts->hooks[i].available;
	return false;
}

static bool reads_page_tables(const struct doctor_facts *facts)
{
#if defined(__x86_64__)
	return has_hook(facts, "copy_entries") && has_hook(facts, "list_mappings") &&
	       has_hook(facts, "find_direct_map");
#else
	(void)facts;
	return false;
#endif
}

/* What `curve` takes, the best first; DAMON, which gives a size and no curve, is the last resort. */
static void report_curve_source(struct report *report, const struct doctor_facts *facts)
{
	bool reads = has_hook(facts, "on_pages_read") || has_hook(facts, "on_file_read");

	if (reads_page_tables(facts) && reads)
		add(report, "curve", "source", MARK_OK, "page tables, file reads");
	else if (reads_page_tables(facts))
		explain(add(report, "curve", "source", MARK_NOTE, "page tables"),
			"files that are read and not mapped are no part of a curve", NULL);
	else if (facts->generations)
		explain(add(report, "curve", "source", MARK_NOTE, "mglru"),
			"page tables cannot be read; the kernel's generations give a coarse curve "
			"of groups, and none of single processes",
			"use a kernel on x86-64 that takes programs at iter/task");
	else
		explain(add(report, "curve", "source", MARK_LACKS, "none%s",
			    facts->damon ? "; DAMON gives `curve` a size" : ""),
			"no curve is measured",
			"echo y > /sys/kernel/mm/lru_gen/enabled and mount debugfs, if the kernel "
			"has them");
}

static void report_files(struct report *report, const struct doctor_facts *facts)
{
	char q[ERR_QUOTED];

	if (facts->keeper)
		add(report, "files", "keeper", MARK_OK, "%s", err_quote(facts->keeper, q));
	else {
		struct finding *finding = add(report, "files", "keeper", MARK_LACKS, "not found");

		finding->essential = true;
		explain(finding, "nobody would undo the changes if the daemon is killed",
			"install pfuse-bpf completely");
	}
	if (facts->ledger)
		explain(add(report, "files", "ledger", MARK_NOTE, "%s is there",
			    err_quote(facts->ledger, q)),
			"a run is going on, or one ended without undoing what it changed",
			"pfuse-bpf restore, if none is running");
	else
		add(report, "files", "ledger", MARK_OK, "none left behind");
}

static int key_width(const struct report *report)
{
	size_t width = 0;

	for (size_t i = 0; i < report->count; i++)
		if (strlen(report->findings[i].key) > width)
			width = strlen(report->findings[i].key);
	return (int)width;
}

static void print_finding(const struct finding *finding, int width, FILE *out)
{
	fprintf(out, "  %-6s %-*s  %s\n", mark_names[finding->mark], width, finding->key,
		finding->value);
	if (finding->meaning)
		fprintf(out, "         -> %s%s%s\n", finding->meaning,
			finding->action ? ". To do: " : "", finding->action ? finding->action : "");
}

static void print_essentials(const struct report *report, FILE *out)
{
	const char *before = "run cannot work here; essential and lacking: ";

	for (size_t i = 0; i < report->count; i++) {
		const struct finding *f = &report->findings[i];

		if (f->mark != MARK_LACKS || !f->essential)
			continue;
		fprintf(out, "%s%s", before, f->key);
		before = ", ";
	}
	fputs(before[0] == ',' ? "\n" : "run can work here\n", out);
}

static void print_text(const struct report *report, FILE *out)
{
	const char *area = "";
	int width = key_width(report);

	for (size_t i = 0; i < report->count; i++) {
		if (strcmp(area, report->findings[i].area) != 0)
			fprintf(out, "%s\n", report->findings[i].area);
		area = report->findings[i].area;
		print_finding(&report->findings[i], width, out);
	}
	print_essentials(report, out);
}

static json_t *finding_json(const struct finding *f)
{
	return json_pack("{s:s, s:s, s:s, s:b, s:s, s:s?, s:s?}", "area", f->area, "key", f->key,
			 "state", mark_names[f->mark], "essential", f->essential, "value", f->value,
			 "meaning", f->meaning, "action", f->action);
}

static int print_json(const struct report *report, bool works, FILE *out)
{
	json_t *list = json_array(), *root;
	int r = 0;

	for (size_t i = 0; i < report->count && r == 0; i++)
		r = json_array_append_new(list, finding_json(&report->findings[i]));
	root = json_pack("{s:i, s:s, s:b, s:o}", "schema", 1, "version", PFUSE_VERSION, "run_works",
			 works, "findings", list);
	if (!root || r < 0 || json_dumpf(root, out, JSON_INDENT(2)) < 0)
		r = -1;
	fputc('\n', out);
	json_decref(root);
	return r;
}

static bool run_works(const struct report *report)
{
	for (size_t i = 0; i < report->count; i++)
		if (report->findings[i].essential && report->findings[i].mark == MARK_LACKS)
			return false;
	return true;
}

enum exit_status doctor_report(const struct doctor_facts *facts, bool json, FILE *out)
{
	struct report report = { 0 };
	bool works;
	int r = 0;

	report_kernel(&report, &facts->system);
	report_hooks(&report, facts);
	report_privileges(&report, &facts->system);
	report_controllers(&report, &facts->system);
	report_swap(&report, &facts->system);
	report_curve_source(&report, facts);
	report_page_out(&report, facts->page_out);
	report_files(&report, facts);
	works = run_works(&report);
	if (json)
		r = print_json(&report, works, out);
	else
		print_text(&report, out);
	free(report.findings);
	if (report.no_memory || r < 0) {
		fputs("pfuse-bpf doctor: no memory for the whole report\n", stderr);
		return EXIT_FAILED;
	}
	return works ? EXIT_DONE : EXIT_LACKS;
}
