/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The command line: what is understood, what is refused, and in which words. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/cleanup.h"
#include "cli/commands.h"
#include "cli/manual.h"
#include "cli/options.h"
#include "edge/ledger.h"

#define S UINT64_C(1000000000)
#define WORDS_MAX 24

/* A command line in one string; `''` is the empty word. */
struct line {
	char text[512];
	char *argv[WORDS_MAX + 1];
	int argc;
};

static void split(struct line *line, const char *text)
{
	snprintf(line->text, sizeof(line->text), "pfuse-bpf %s", text);
	line->argc = 0;
	for (char *word = strtok(line->text, " "); word; word = strtok(NULL, " "))
		line->argv[line->argc++] = strcmp(word, "''") == 0 ? word + 2 : word;
	line->argv[line->argc] = NULL;
}

static const struct refusal {
	const char *line;
	const char *message;
} refusals[] = {
	{ "", "a command is expected: run, doctor, restore, curve, trace, replay, report, help; see pfuse-bpf --help" },
	{ "ran web", "\"ran\" is no command; did you mean \"run\"?" },
	{ "dcotor", "\"dcotor\" is no command; did you mean \"doctor\"?" },
	{ "orchestrate", "\"orchestrate\" is no command; there are: run, doctor, restore, curve, trace, replay, report, help" },
	{ "--quiet run", "\"--quiet\": a command comes first; see pfuse-bpf --help" },
	{ "run",
	  "run: nothing to orchestrate; name a GROUP (cgroup path or pid:N) or give -- COMMAND" },
	{ "run docker:web", "run: \"docker:web\": names of containers and units are not in this release; "
			    "give the path of the cgroup, or pid:N of a process in it" },
	{ "run --dry-run", "run: nothing to orchestrate; name a GROUP (cgroup path or pid:N) "
			   "or give -- COMMAND" },
	{ "run --", "run: a COMMAND is expected after --" },
	{ "run web --", "run: a COMMAND is expected after --" },
	{ "run web -- ''", "run: a COMMAND is expected after --" },
	{ "run ''", "run: an empty GROUP; name one, like system.slice/nginx.service" },
	{ "run --flight 5s web", "run: --flight needs --trace FILE" },
	{ "run --trace-limit 5M web", "run: --trace-limit needs --trace FILE" },
	{ "run --trace - web",
	  "run: --trace needs a file: standard output has the decisions" },
	{ "run --trace t --trace-limit 5 web",
	  "run: --trace-limit \"5\" is no size; allowed: 64K to 1T, like 100M" },
	{ "run --trace t --trace-limit 5M --flight 5s web",
	  "run: --flight keeps the trace in memory; --trace-limit is for one that is written at once; "
	  "give one of them" },
	{ "replay", "replay: the FILE is expected that `run --trace FILE` has written" },
	{ "replay a b", "replay takes no argument \"b\"; see pfuse-bpf replay --help" },
	{ "replay ''", "replay takes no argument \"\"; see pfuse-bpf replay --help" },
	{ "run --for -1 web",
	  "run: --for \"-1\" is no duration; allowed: 1ms to 8760h, with a unit "
	  "(ms, s, m, h), like 60s or 1.5h" },
	{ "run --for 60 web",
	  "run: --for \"60\" is no duration; allowed: 1ms to 8760h, with a unit "
	  "(ms, s, m, h), like 60s or 1.5h" },
	{ "run --for 0s web",
	  "run: --for \"0s\" is no duration; allowed: 1ms to 8760h, with a unit "
	  "(ms, s, m, h), like 60s or 1.5h" },
	{ "run --for 9000h web",
	  "run: --for \"9000h\" is no duration; allowed: 1ms to 8760h, with a "
	  "unit (ms, s, m, h), like 60s or 1.5h" },
	{ "run web --for", "run: --for needs DURATION" },
	{ "run web -c", "run: --config needs FILE" },
	{ "run --policy best web", "run: --policy \"best\" is unknown; allowed: fusebox, adaptive" },
	{ "run --policy= web", "run: --policy \"\" is unknown; allowed: fusebox, adaptive" },
	{ "run --stop kill web", "run: --stop \"kill\" is unknown; allowed: auto, freeze, signal" },
	{ "run --summary= web", "run: --summary needs the name of a file" },
	{ "run --sumary=x web", "run: no option \"--sumary=x\"; did you mean --summary?" },
	{ "run --policies web", "run: no option \"--policies\"; did you mean --policy?" },
	{ "run --xyzzy web", "run: no option \"--xyzzy\"; see pfuse-bpf run --help" },
	{ "run -x web", "run: no option \"-x\"; see pfuse-bpf run --help" },
	{ "run -qx web", "run: no option \"-qx\"; see pfuse-bpf run --help" },
	{ "run --quiet=yes web", "run: --quiet takes no value" },
	{ "run --help=me", "run: --help takes no value" },
	{ "run --json web", "run: no option \"--json\"; see pfuse-bpf run --help" },
	{ "run --\033[2J web", "run: no option \"--\\x1b[2J\"; see pfuse-bpf run --help" },
	{ "doctor web", "doctor takes no argument \"web\"; see pfuse-bpf doctor --help" },
	{ "doctor --jsn", "doctor: no option \"--jsn\"; did you mean --json?" },
	{ "doctor -- true", "doctor takes no COMMAND; see pfuse-bpf doctor --help" },
	{ "restore all", "restore takes no argument \"all\"; see pfuse-bpf restore --help" },
	{ "restore --ledger=", "restore: --ledger needs the name of a file" },
	{ "curve", "curve: nothing to measure; name one GROUP (cgroup path or pid:N)" },
	{ "curve a b", "curve: one group at a time; name one GROUP (cgroup path or pid:N)" },
	{ "curve --for 0s web",
	  "curve: --for \"0s\" is no duration; allowed: 1ms to 8760h, with a unit "
	  "(ms, s, m, h), like 60s or 1.5h" },
	{ "curve --format png web",
	  "curve: --format \"png\" is unknown; allowed: text, csv, json, svg" },
	{ "curve -o", "curve: --output needs FILE" },
	{ "curve --output= web", "curve: --output needs the name of a file" },
	{ "curve --json web", "curve: no option \"--json\"; see pfuse-bpf curve --help" },
	{ "curve ''", "curve: an empty GROUP; name one, like system.slice/nginx.service" },
	{ "curve podman:web",
	  "curve: \"podman:web\": names of containers and units are not in this release; "
	  "give the path of the cgroup, or pid:N of a process in it" },
	{ "curve web -- true", "curve takes no COMMAND; see pfuse-bpf curve --help" },
	{ "trace ''", "trace: an empty GROUP; name one, like system.slice/nginx.service" },
	{ "trace --format svg web",
	  "trace: --format \"svg\" is unknown; allowed: text, json, perfetto" },
	{ "trace --format perfetto web",
	  "trace: --format perfetto needs a file; give one by -o FILE" },
	{ "trace --events switch,sleep web",
	  "trace: --events \"switch,sleep\" is unknown; allowed, with commas between: switch, wake, "
	  "fault, talk, signal, life" },
	{ "trace --events wake, web", "trace: --events \"wake,\" is unknown; allowed, with commas "
				      "between: switch, wake, fault, talk, signal, life" },
	{ "trace --events talk",
	  "trace: talks are those of a group with the rest; name a GROUP" },
	{ "trace --min-duration 5 web",
	  "trace: --min-duration \"5\" is no duration; allowed: 1ns to 1h, with a unit (ns, us, ms, "
	  "s, m, h), like 100us" },
	{ "trace --min-duration 5us -o x.pftrace web",
	  "trace: --min-duration is for text and json: with switches missing, Perfetto would show "
	  "what never was" },
	{ "trace --limit 5M web",
	  "trace: --limit is for a file that is begun anew; give one by -o FILE" },
	{ "trace --keep 3 -o x web", "trace: --keep needs --limit SIZE: without it there is one file" },
	{ "trace --limit 5M --keep 0 -o x web",
	  "trace: --keep \"0\" is no number of files; allowed: 1 to 999" },
	{ "run --trace x --trace-keep 3 web",
	  "run: --trace-keep needs --trace-limit SIZE: without it there is one file" },
	{ "trace --ring 1K web", "trace: --ring \"1K\" is no size; allowed: 64K to 1T, like 100M" },
	{ "trace --ring 2G web", "trace: --ring is at most 1G: it is the kernel's memory" },
	{ "trace web -- true", "trace takes no COMMAND; see pfuse-bpf trace --help" },
	{ "report", "report: the FILE is expected that `run --trace FILE` has written" },
	{ "report x.pftrace", "report: -o PAGE is expected, where the page goes, like -o report.html; "
			      "-o - is standard output" },
	{ "report x -o", "report: --output needs PAGE" },
	{ "report x y -o z",
	  "report: \"y\" is no GROUP=CURVE, a group of the trace and its curve as a file" },
	{ "report x y= -o z",
	  "report: \"y=\" is no GROUP=CURVE, a group of the trace and its curve as a file" },
	{ "report '' -o z", "report takes no argument \"\"; see pfuse-bpf report --help" },
	{ "report x -o z -- true", "report takes no COMMAND; see pfuse-bpf report --help" },
	{ "help rum", "\"rum\" is no command; did you mean \"run\"?" },
	{ "help run doctor", "help takes one COMMAND" },
};

Test(options, refusals)
{
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		struct options options = { .ngroups = 77 };
		struct err err = { "" };
		struct line line;

		split(&line, refusals[i].line);
		cr_assert_eq(options_parse(line.argc, line.argv, &options, &err), -EINVAL, "%s",
			     refusals[i].line);
		cr_assert_str_eq(err.text, refusals[i].message);
		cr_assert_eq(options.ngroups, 77, "untouched on failure");
	}
}

static void parse(struct line *line, const char *text, struct options *ret);

static const struct trace_row {
	const char *line;
	int format;
} formats[] = {
	{ "trace", TRACE_TEXT },
	{ "trace -o x", TRACE_TEXT },
	{ "trace -o x.txt", TRACE_TEXT },
	{ "trace -o x.json", TRACE_JSON },
	{ "trace -o a.json/x.jsonl", TRACE_JSON },
	{ "trace -o x.pftrace", TRACE_PERFETTO },
	{ "trace -o x.perfetto-trace", TRACE_PERFETTO },
	{ "trace --format text -o x.pftrace", TRACE_TEXT },
	{ "trace --format perfetto -o x", TRACE_PERFETTO },
};

Test(options, the_format_of_a_trace_is_that_of_its_file)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct options options;
		struct line line;

		parse(&line, formats[i].line, &options);
		cr_expect_eq(options.format, formats[i].format, "%s", formats[i].line);
	}
}

Test(options, a_trace)
{
	struct options options;
	struct line line;

	parse(&line, "trace --events wake,life --min-duration 100us --ring 1M --all a b", &options);
	cr_expect_eq(options.command, CMD_TRACE);
	cr_expect_eq(options.events, 1u << TRACE_WAKES | 1u << TRACE_LIFE);
	cr_expect_eq(options.min_ns, 100000);
	cr_expect_eq(options.ring_bytes, 1u << 20);
	cr_expect(options.all);
	cr_expect_eq(options.ngroups, 2);
	cr_expect_str_eq(options.groups[1], "b");
	parse(&line, "trace", &options);
	cr_expect_eq(options.events, 0);
	cr_expect_eq(options.ngroups, 0);
}

static void parse(struct line *line, const char *text, struct options *ret)
{
	struct err err = { "" };

	split(line, text);
	cr_assert_eq(options_parse(line->argc, line->argv, ret, &err), 0, "%s: %s", text, err.text);
}

Test(options, defaults)
{
	struct options o;
	struct line line;

	parse(&line, "run web", &o);
	cr_assert_eq(o.command, CMD_RUN);
	cr_assert_eq(o.policy, -1);
	cr_assert_eq(o.stop, -1);
	cr_assert_eq(o.for_ns, 0);
	cr_assert_str_eq(o.ledger, LEDGER_DEFAULT_PATH);
	cr_assert(!o.config && !o.summary && !o.dry_run && !o.quiet && !o.argv);
	cr_assert_eq(o.ngroups, 1);
	cr_assert_str_eq(o.groups[0], "web");
}

Test(options, groups_and_options_in_any_order)
{
	struct options o;
	struct line line;

	parse(&line,
	      "run a/b -c f.yaml c/d --for 1.5h --policy fusebox --stop signal pid:3 -q "
	      "--summary=s.json --ledger l --dry-run /x/*",
	      &o);
	cr_assert_eq(o.ngroups, 4);
	cr_assert_str_eq(o.groups[0], "a/b");
	cr_assert_str_eq(o.groups[1], "c/d");
	cr_assert_str_eq(o.groups[2], "pid:3");
	cr_assert_str_eq(o.groups[3], "/x/*");
	cr_assert_str_eq(o.config, "f.yaml");
	cr_assert_str_eq(o.summary, "s.json");
	cr_assert_str_eq(o.ledger, "l");
	cr_assert_eq(o.for_ns, 5400 * S);
	cr_assert_eq(o.policy, CONFIG_FUSEBOX);
	cr_assert_eq(o.stop, CONFIG_STOP_SIGNAL);
	cr_assert(o.quiet && o.dry_run && !o.argv);
}

Test(options, command_behind_two_dashes_is_left_alone)
{
	struct options o;
	struct line line;

	parse(&line, "run web -q -- sleep --for -1 -- x", &o);
	cr_assert_eq(o.ngroups, 1);
	cr_assert_str_eq(o.groups[0], "web");
	cr_assert_eq(o.for_ns, 0);
	cr_assert_str_eq(o.argv[0], "sleep");
	cr_assert_str_eq(o.argv[3], "--");
	cr_assert_str_eq(o.argv[4], "x");
	cr_assert_null(o.argv[5]);
	parse(&line, "run -- true", &o);
	cr_assert_eq(o.ngroups, 0);
	cr_assert_str_eq(o.argv[0], "true");
}

Test(options, other_commands)
{
	struct options o;
	struct line line;

	parse(&line, "doctor --json", &o);
	cr_assert(o.command == CMD_DOCTOR && o.json);
	parse(&line, "restore --intact --dry-run --ledger /tmp/l", &o);
	cr_assert(o.command == CMD_RESTORE && o.intact && o.dry_run);
	cr_assert_str_eq(o.ledger, "/tmp/l");
	parse(&line, "curve --for 5s web -o f.svg --format svg", &o);
	cr_assert(o.command == CMD_CURVE && o.for_ns == 5 * S && o.format == CURVE_SVG);
	cr_assert_str_eq(o.output, "f.svg");
	cr_assert(o.ngroups == 1 && strcmp(o.groups[0], "web") == 0);
	parse(&line, "curve pid:7", &o);
	cr_assert(o.format == CURVE_TEXT && !o.output && !o.for_ns);
	parse(&line, "report x.pftrace web=c.json -o y.html", &o);
	cr_assert(o.command == CMD_REPORT && o.ngroups == 1);
	cr_assert_str_eq(o.file, "x.pftrace");
	cr_assert_str_eq(o.groups[0], "web=c.json");
	cr_assert_str_eq(o.output, "y.html");
	parse(&line, "--version", &o);
	cr_assert_eq(o.command, CMD_VERSION);
}

static const struct {
	const char *line;
	enum command topic;
} helps[] = {
	{ "--help", CMD_NONE },
	{ "-h", CMD_NONE },
	{ "help", CMD_NONE },
	{ "help run", CMD_RUN },
	{ "run --help", CMD_RUN },
	{ "run web -h --xyzzy", CMD_RUN },
	{ "doctor --help", CMD_DOCTOR },
	{ "help restore", CMD_RESTORE },
	{ "curve --help", CMD_CURVE },
	{ "help help", CMD_HELP },
	{ "help --help", CMD_HELP },
};

Test(options, help)
{
	for (size_t i = 0; i < ARRAY_SIZE(helps); i++) {
		struct options o;
		struct line line;

		parse(&line, helps[i].line, &o);
		cr_assert_eq(o.command, CMD_HELP, "%s", helps[i].line);
		cr_assert_eq(o.topic, helps[i].topic, "%s", helps[i].line);
	}
}

static char *written_by(void (*write)(FILE *out))
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	write(out);
	fclose(out);
	return text;
}

static char *help_of(enum command topic)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	options_help(topic, out);
	fclose(out);
	return text;
}

/* roff writes "-" as "\-". */
static char *without_backslashes(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++)
		if (*from != '\\')
			*to++ = *from;
	*to = '\0';
	return text;
}

Test(options, one_table_feeds_all_texts)
{
	_cleanup_free_ char *man = without_backslashes(written_by(manual_page));
	_cleanup_free_ char *bash = written_by(manual_completion);
	_cleanup_free_ char *program = help_of(CMD_NONE);

	for (enum command i = 0; i < COMMANDS; i++) {
		const struct option_info *info = commands[i].options;
		_cleanup_free_ char *help = help_of(i);
		size_t n = 0;

		if (!commands[i].name)
			continue;
		cr_assert(strstr(program, commands[i].brief));
		cr_assert(strstr(man, commands[i].description));
		for (; info[n].name; n++) {
			char option[64];

			snprintf(option, sizeof(option), "--%s", info[n].name);
			cr_assert(strstr(help, option), "%s", option);
			cr_assert(strstr(man, option), "%s", option);
			cr_assert(strstr(bash, option), "%s", option);
		}
		cr_assert_lt(n, OPTIONS_MAX);
	}
}

Test(options, completion_is_a_shell_program)
{
	_cleanup_free_ char *bash = written_by(manual_completion);
	FILE *shell = popen("bash -n -", "w");

	cr_assert_not_null(shell);
	fputs(bash, shell);
	cr_assert_eq(pclose(shell), 0);
}
