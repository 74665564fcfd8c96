/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "cli/commands.h"
#include "edge/ledger.h"

#include <stddef.h>

#define AT(field) offsetof(struct options, field)

static const struct option_info run_options[] = {
	{ .name = "config",
	  .letter = 'c',
	  .placeholder = "FILE",
	  .type = OPT_PATH,
	  .offset = AT(config),
	  .help = "read the configuration from FILE (YAML)" },
	{ .name = "dry-run",
	  .type = OPT_FLAG,
	  .offset = AT(dry_run),
	  .help = "observe and decide, but change nothing; what would be done is printed and "
		  "counted" },
	{ .name = "policy",
	  .placeholder = "POLICY",
	  .type = OPT_ENUM,
	  .offset = AT(policy),
	  .words = config_policy_words,
	  .help = "the rule that decides about memory; overrides the configuration (adaptive)" },
	{ .name = "for",
	  .placeholder = "DURATION",
	  .type = OPT_DURATION,
	  .offset = AT(for_ns),
	  .help = "end after DURATION, like 60s or 1.5h; without it, run until told to stop" },
	{ .name = "summary",
	  .placeholder = "FILE",
	  .type = OPT_PATH,
	  .offset = AT(summary),
	  .help = "write a summary of the run to FILE (JSON) at the end" },
	{ .name = "trace",
	  .placeholder = "FILE",
	  .type = OPT_PATH,
	  .offset = AT(trace),
	  .help = "record into FILE what is observed and decided, for `pfuse-bpf replay` and for "
		  "the Perfetto UI" },
	{ .name = "trace-limit",
	  .placeholder = "SIZE",
	  .type = OPT_SIZE,
	  .offset = AT(trace_limit),
	  .help = "at SIZE, like 100M, FILE (x.pftrace) becomes the older one (x.1.pftrace) and is "
		  "begun anew" },
	{ .name = "trace-keep",
	  .placeholder = "N",
	  .type = OPT_KEEP,
	  .offset = AT(keep),
	  .help = "with --trace-limit: keep N older files, x.1.pftrace being the newest of them "
		  "(default 1)" },
	{ .name = "flight",
	  .placeholder = "DURATION",
	  .type = OPT_DURATION,
	  .offset = AT(flight_ns),
	  .help = "keep the last DURATION of the trace in memory; FILE is written on SIGUSR2, and "
		  "when a process was killed for want of memory" },
	{ .name = "stop",
	  .placeholder = "HOW",
	  .type = OPT_ENUM,
	  .offset = AT(stop),
	  .words = config_stop_words,
	  .help = "how idle groups are stopped: cgroup freezer, signals, or what the kernel has" },
	{ .name = "ledger",
	  .placeholder = "FILE",
	  .type = OPT_PATH,
	  .offset = AT(ledger),
	  .help = "keep the old values of what is changed in FILE "
		  "(default " LEDGER_DEFAULT_PATH ")" },
	{ .name = "quiet",
	  .letter = 'q',
	  .type = OPT_FLAG,
	  .offset = AT(quiet),
	  .help = "print errors only" },
	{ 0 },
};

static const struct option_info doctor_options[] = {
	{ .name = "json", .type = OPT_FLAG, .offset = AT(json), .help = "print JSON" },
	{ 0 },
};

static const struct option_info restore_options[] = {
	{ .name = "ledger",
	  .placeholder = "FILE",
	  .type = OPT_PATH,
	  .offset = AT(ledger),
	  .help = "restore from FILE (default " LEDGER_DEFAULT_PATH ")" },
	{ .name = "intact",
	  .type = OPT_FLAG,
	  .offset = AT(intact),
	  .help = "of a damaged ledger, restore from the records that are intact" },
	{ .name = "dry-run",
	  .type = OPT_FLAG,
	  .offset = AT(dry_run),
	  .help = "list what would be restored, change nothing" },
	{ 0 },
};

static const char *const curve_formats[] = { "text", "csv", "json", "svg", NULL };

static const char *const curve_sources[] = { "auto", "page-tables", "mglru", "damon", NULL };

static const struct option_info curve_options[] = {
	{ .name = "for",
	  .placeholder = "DURATION",
	  .type = OPT_DURATION,
	  .offset = AT(for_ns),
	  .help = "measure for DURATION (default 60s); Ctrl-C ends it early, with what there is" },
	{ .name = "format",
	  .placeholder = "FORMAT",
	  .type = OPT_ENUM,
	  .offset = AT(format),
	  .words = curve_formats,
	  .help = "how the curve is printed" },
	{ .name = "source",
	  .placeholder = "SOURCE",
	  .type = OPT_ENUM,
	  .offset = AT(source),
	  .words = curve_sources,
	  .help = "what tells which pages are used: the page tables, the kernel's multi-gen LRU, "
		  "which is coarse, or DAMON, which gives a size and no curve; auto (the default): "
		  "the first that this kernel allows" },
	{ .name = "output",
	  .letter = 'o',
	  .placeholder = "FILE",
	  .type = OPT_PATH,
	  .offset = AT(output),
	  .help = "write to FILE instead of standard output" },
	{ 0 },
};

static const char *const format_words[] = {
	[TRACE_TEXT] = "text",
	[TRACE_JSON] = "json",
	[TRACE_PERFETTO] = "perfetto",
	[TRACE_PERFETTO + 1] = NULL,
};
static const char *const event_words[] = {
	[TRACE_SWITCHES] = "switch", [TRACE_WAKES] = "wake",	 [TRACE_FAULTS] = "fault",
	[TRACE_TALKS] = "talk",	     [TRACE_SIGNALS] = "signal", [TRACE_LIFE] = "life",
	[TRACE_LIFE + 1] = NULL,
};

static const struct option_info trace_options[] = {
	{ .name = "output",
	  .letter = 'o',
	  .placeholder = "FILE",
	  .type = OPT_PATH,
	  .offset = AT(output),
	  .help = "write to FILE instead of standard output" },
	{ .name = "format",
	  .placeholder = "FORMAT",
	  .type = OPT_ENUM,
	  .offset = AT(format),
	  .words = format_words,
	  .help = "what is written; without it, FILE.pftrace is perfetto, FILE.json is json, all "
		  "else is text" },
	{ .name = "for",
	  .placeholder = "DURATION",
	  .type = OPT_DURATION,
	  .offset = AT(for_ns),
	  .help = "end after DURATION, like 10s; without it, run until told to stop" },
	{ .name = "events",
	  .placeholder = "LIST",
	  .type = OPT_WORDS,
	  .offset = AT(events),
	  .words = event_words,
	  .help = "only these kinds, with commas between" },
	{ .name = "min-duration",
	  .placeholder = "SPAN",
	  .type = OPT_SPAN,
	  .offset = AT(min_ns),
	  .help = "of the switches, only those where the thread ran, or the next one waited, for "
		  "so long; for text and json" },
	{ .name = "all",
	  .type = OPT_FLAG,
	  .offset = AT(all),
	  .help = "also what happens outside of the groups" },
	{ .name = "limit",
	  .placeholder = "SIZE",
	  .type = OPT_SIZE,
	  .offset = AT(trace_limit),
	  .help = "at SIZE, like 100M, FILE (x.pftrace) becomes the older one (x.1.pftrace) and is "
		  "begun anew" },
	{ .name = "keep",
	  .placeholder = "N",
	  .type = OPT_KEEP,
	  .offset = AT(keep),
	  .help = "with --limit: keep N older files (default 1)" },
	{ .name = "ring",
	  .placeholder = "SIZE",
	  .type = OPT_SIZE,
	  .offset = AT(ring_bytes),
	  .help = "room for what was not written yet, like 32M (default 8M)" },
	{ .name = "quiet",
	  .letter = 'q',
	  .type = OPT_FLAG,
	  .offset = AT(quiet),
	  .help = "print errors only, no progress and no summary" },
	{ 0 },
};

static const struct option_info replay_options[] = {
	{ .name = "policy",
	  .placeholder = "POLICY",
	  .type = OPT_ENUM,
	  .offset = AT(policy),
	  .words = config_policy_words,
	  .help = "what this rule would have decided" },
	{ .name = "config",
	  .letter = 'c',
	  .placeholder = "FILE",
	  .type = OPT_PATH,
	  .offset = AT(config),
	  .help = "what would have been decided under this configuration" },
	{ .name = "quiet",
	  .letter = 'q',
	  .type = OPT_FLAG,
	  .offset = AT(quiet),
	  .help = "print only the result, not each decision" },
	{ 0 },
};

static const struct option_info report_options[] = {
	{ .name = "output",
	  .letter = 'o',
	  .placeholder = "PAGE",
	  .type = OPT_PATH,
	  .offset = AT(output),
	  .help = "write the page to PAGE, like report.html; - is standard output" },
	{ 0 },
};

static const struct option_info no_options[] = { { 0 } };

const struct command_info commands[COMMANDS] = {
	[CMD_RUN] = {
		.name = "run", .synopsis = "[OPTION]... [GROUP]... [-- COMMAND...]",
		.brief = "orchestrate groups until told to stop",
		.description =
			"Manages each GROUP: a cgroup path (absolute, or relative to the "
			"hierarchy), or pid:N, which is used in place if it has a group of its own "
			"and is moved to one for the time otherwise. After --, COMMAND is started in a fresh group and orchestrated "
			"until it ends, and its exit status is returned. Everything that was "
			"changed is put back at the end, also if the program is killed.",
		.options = run_options,
		.example = "run --dry-run --for 60s system.slice/nginx.service",
	},
	[CMD_DOCTOR] = {
		.name = "doctor", .synopsis = "[--json]",
		.brief = "tell what this machine can do, what it lacks, and what to do about it",
		.description =
			"Probes the kernel, its hooks, controllers and privileges, and names the "
			"fallback where something lacks. Exits with 3 if something essential does.",
		.options = doctor_options,
		.example = "doctor",
	},
	[CMD_RESTORE] = {
		.name = "restore", .synopsis = "[OPTION]...",
		.brief = "undo what a run left behind, after a power cut or a double kill",
		.description =
			"Restores the limits and continues the groups that the ledger names. What "
			"somebody else has changed since is theirs and is left alone.",
		.options = restore_options,
		.example = "restore --dry-run",
	},
	[CMD_CURVE] = {
		.name = "curve", .synopsis = "[OPTION]... GROUP",
		.brief = "measure how much memory a group needs: its hit-ratio curve",
		.description =
			"Watches which pages the processes of GROUP (a cgroup path, or pid:N for a "
			"process and its descendants) touch, and tells which share of the touches "
			"would hit if it had less memory, where more memory stops to pay (the knee), "
			"and how much 90, 95 and 99 % of the hits need. Nothing is changed, except "
			"that accessed bits in page tables are cleared.",
		.options = curve_options,
		.example = "curve --for 60s system.slice/nginx.service",
	},
	[CMD_TRACE] = {
		.name = "trace", .synopsis = "[OPTION]... [GROUP]...",
		.brief = "show what the threads of groups do, live or into a file",
		.description =
			"Tells each switch and wake of the threads in each GROUP (without one: of all), "
			"page faults above 90 % of its memory limit, messages to and from outside, "
			"signals, and processes that begin and end, until told to stop. A trace for the "
			"Perfetto UI is written with -o FILE.pftrace. pid:N is the group in which that "
			"process is. Changes nothing, needs no running daemon and disturbs none. What "
			"came faster than it could be written is counted and told.",
		.options = trace_options,
		.example = "trace --for 10s -o web.pftrace system.slice/nginx.service",
	},
	[CMD_REPLAY] = {
		.name = "replay", .synopsis = "[OPTION]... FILE",
		.brief = "make the decisions of a recorded run again, or those of another configuration",
		.description =
			"Gives the program that decides what FILE says that it was given, prints what it "
			"decides, and compares it with what it decided then: exit status 0 if every "
			"byte is the same. With another policy or configuration, prints what differs, "
			"and what the run would have come to as far as a replay can know. Needs no "
			"privilege and changes nothing. - is standard input.",
		.options = replay_options,
		.example = "replay --quiet web.pftrace",
	},
	[CMD_REPORT] = {
		.name = "report", .synopsis = "FILE [GROUP=CURVE]... -o PAGE",
		.brief = "make a page for a browser of a recorded run",
		.description =
			"Reads a trace that run --trace FILE has recorded and writes one HTML page: the "
			"curves of each group, its decisions with their reasons, and the sums. The page "
			"is complete in itself and loads nothing from anywhere. CURVE is a file with "
			"the hit-ratio curve of GROUP (curve --format json), shown with that group.",
		.options = report_options,
		.example = "report web.pftrace -o report.html",
	},
	[CMD_HELP] = {
		.name = "help", .synopsis = "[COMMAND]",
		.brief = "explain a command",
		.description = "Prints the help of COMMAND, or of the program.",
		.options = no_options,
		.example = "help run",
	},
};
