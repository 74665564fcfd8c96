/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "cli/commands.h"
#include "core/parse.h"
#include "edge/ledger.h"
#include "export/rotate.h"

#define FOR_MIN_NS 1000000ULL
#define FOR_MAX_NS (8760ULL * 3600 * 1000000000)
#define SPAN_MAX_NS (3600ULL * 1000000000)
#define SIZE_MIN (1ULL << 16)
#define SIZE_LARGEST (1ULL << 40)
#define RING_LARGEST (1ULL << 30)

/* Optimal string alignment on short words: insert, delete, replace, swap neighbours. */
static unsigned word_distance(const char *a, const char *b)
{
	unsigned char row[3][33] = { 0 };
	size_t la = strlen(a), lb = strlen(b);

	if (la > 32 || lb > 32)
		return 99;
	for (size_t j = 0; j <= lb; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= la; i++) {
		unsigned char *now = row[i % 3], *up = row[(i + 2) % 3], *upup = row[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned best = up[j - 1] + (a[i - 1] != b[j - 1]);

			if (up[j] + 1U < best)
				best = up[j] + 1;
			if (now[j - 1] + 1U < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    upup[j - 2] + 1U < best)
				best = upup[j - 2] + 1;
			now[j] = best;
		}
	}
	return row[la % 3][lb];
}

struct guess {
	const char *word;
	unsigned distance;
};

static void guess_try(struct guess *guess, const char *typed, const char *word)
{
	unsigned distance = word_distance(typed, word);

	if (distance <= 1 + strlen(word) / 3 && (!guess->word || distance < guess->distance))
		*guess = (struct guess){ word, distance };
}

static const char *nearest_command(const char *typed)
{
	struct guess guess = { 0 };

	for (enum command i = 0; i < COMMANDS; i++)
		if (commands[i].name)
			guess_try(&guess, typed, commands[i].name);
	return guess.word;
}

static const char *nearest_option(const struct option_info *options, const char *typed)
{
	struct guess guess = { 0 };

	for (; options->name; options++)
		guess_try(&guess, typed, options->name);
	return guess.word;
}

static enum command find_command(const char *word)
{
	for (enum command i = 0; i < COMMANDS; i++)
		if (commands[i].name && strcmp(commands[i].name, word) == 0)
			return i;
	return CMD_NONE;
}

static int unknown_command(const char *word, struct err *err)
{
	const char *near = nearest_command(word);
	char q[ERR_QUOTED];

	if (near)
		return err_set(err, -EINVAL, "\"%s\" is no command; did you mean \"%s\"?",
			       err_quote(word, q), near);
	return err_set(err, -EINVAL, "\"%s\" is no command; there are: run, doctor, restore, curve, trace, replay, report, help",
		       err_quote(word, q));
}

/* "a, b, c" */
static const char *join_words(const char *const *words, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (; *words && n < size; words++) {
		size_t left = size - n, len = strlen(*words);

		if (len + 3 > left)
			break;
		if (n)
			memcpy(buf + n, ", ", 2), n += 2;
		memcpy(buf + n, *words, len + 1);
		n += len;
	}
	return buf;
}

static int find_word(const char *const *words, const char *word)
{
	for (int i = 0; words && words[i]; i++)
		if (strcmp(words[i], word) == 0)
			return i;
	return -1;
}

static int set_enum(const char *command, const struct option_info *info, const char *arg,
		    int *field, struct err *err)
{
	char allowed[128];
	char q[ERR_QUOTED];
	int value = find_word(info->words, arg);

	if (value >= 0) {
		*field = value;
		return 0;
	}
	join_words(info->words, allowed, sizeof(allowed));
	return err_set(err, -EINVAL, "%s: --%s \"%s\" is %s; allowed: %s", command, info->name,
		       err_quote(arg, q),
		       find_word(info->later, arg) >= 0 ? "not in this release" : "unknown",
		       allowed);
}

/* "switch,wake" */
static int set_words(const char *command, const struct option_info *info, const char *arg,
		     uint32_t *field, struct err *err)
{
	char allowed[128], word[32], q[ERR_QUOTED];
	uint32_t bits = 0;

	for (const char *at = arg;; at++) {
		size_t length = strcspn(at, ",");
		int value = -1;

		if (length < sizeof(word)) {
			memcpy(word, at, length);
			word[length] = '\0';
			value = find_word(info->words, word);
		}
		if (value < 0)
			return err_set(err, -EINVAL,
				       "%s: --%s \"%s\" is unknown; allowed, with commas between: %s",
				       command, info->name, err_quote(arg, q),
				       join_words(info->words, allowed, sizeof(allowed)));
		bits |= 1u << value;
		at += length;
		if (!*at)
			break;
	}
	*field = bits;
	return 0;
}

static int set_span(const char *command, const struct option_info *info, const char *arg,
		    uint64_t *field, struct err *err)
{
	char q[ERR_QUOTED];
	uint64_t ns;

	if (parse_duration(arg, strlen(arg), &ns) && ns > 0 && ns <= SPAN_MAX_NS) {
		*field = ns;
		return 0;
	}
	return err_set(err, -EINVAL,
		       "%s: --%s \"%s\" is no duration; allowed: 1ns to 1h, with a unit (ns, us, ms, s, "
		       "m, h), like 100us",
		       command, info->name, err_quote(arg, q));
}

static int set_duration(const char *command, const struct option_info *info, const char *arg,
			uint64_t *field, struct err *err)
{
	char q[ERR_QUOTED];
	uint64_t ns;

	if (parse_duration(arg, strlen(arg), &ns) && ns >= FOR_MIN_NS && ns <= FOR_MAX_NS) {
		*field = ns;
		return 0;
	}
	return err_set(err, -EINVAL,
		       "%s: --%s \"%s\" is no duration; allowed: 1ms to 8760h, with a unit "
		       "(ms, s, m, h), like 60s or 1.5h",
		       command, info->name, err_quote(arg, q));
}

static int set_size(const char *command, const struct option_info *info, const char *arg,
		    uint64_t *field, struct err *err)
{
	char q[ERR_QUOTED];
	uint64_t bytes;

	if (parse_size(arg, strlen(arg), &bytes) && bytes >= SIZE_MIN && bytes <= SIZE_LARGEST) {
		*field = bytes;
		return 0;
	}
	return err_set(err, -EINVAL, "%s: --%s \"%s\" is no size; allowed: 64K to 1T, like 100M",
		       command, info->name, err_quote(arg, q));
}

static int set_keep(const char *command, const struct option_info *info, const char *arg,
		    uint32_t *field, struct err *err)
{
	char q[ERR_QUOTED];
	const char *end;
	uint64_t number;

	if (num_parse(arg, &end, &number) >= 0 && !*end && number > 0 &&
	    number <= ROTATE_KEEP_MAX) {
		*field = (uint32_t)number;
		return 0;
	}
	return err_set(err, -EINVAL, "%s: --%s \"%s\" is no number of files; allowed: 1 to %d",
		       command, info->name, err_quote(arg, q), ROTATE_KEEP_MAX);
}

static int set_option(const char *command, const struct option_info *info, const char *arg,
		      struct options *options, struct err *err)
{
	void *field = (char *)options + info->offset;

	switch (info->type) {
	case OPT_FLAG:
		*(bool *)field = true;
		return 0;
	case OPT_DURATION:
		return set_duration(command, info, arg, field, err);
	case OPT_ENUM:
		return set_enum(command, info, arg, field, err);
	case OPT_WORDS:
		return set_words(command, info, arg, field, err);
	case OPT_SPAN:
		return set_span(command, info, arg, field, err);
	case OPT_SIZE:
		return set_size(command, info, arg, field, err);
	case OPT_KEEP:
		return set_keep(command, info, arg, field, err);
	case OPT_PATH:
		if (!arg[0])
			return err_set(err, -EINVAL, "%s: --%s needs the name of a file", command,
				       info->name);
		*(const char **)field = arg;
		return 0;
	}
	return -EINVAL;
}

/* getopt's own tables, made from ours. Values from 1 << 8 up are indices of long options. */
struct getopt_tables {
	struct option longs[OPTIONS_MAX + 2];
	char letters[2 * OPTIONS_MAX + 4];
};

#define LONG_BASE 256
#define IS_HELP 'h'

static void make_tables(const struct option_info *infos, struct getopt_tables *t)
{
	size_t n = 0, l = 0;

	t->letters[l++] = '-'; /* GROUPs come in order, as option 1: so `--` keeps its place */
	t->letters[l++] = ':';
	t->letters[l++] = IS_HELP;
	for (; infos[n].name && n < OPTIONS_MAX; n++) {
		t->longs[n] = (struct option){ infos[n].name, infos[n].placeholder ? 1 : 0, NULL,
					       LONG_BASE + (int)n };
		if (!infos[n].letter)
			continue;
		t->letters[l++] = infos[n].letter;
		if (infos[n].placeholder)
			t->letters[l++] = ':';
	}
	t->longs[n++] = (struct option){ "help", 0, NULL, IS_HELP };
	t->longs[n] = (struct option){ 0 };
	t->letters[l] = '\0';
}

static const struct option_info *by_code(const struct option_info *infos, int code)
{
	if (code >= LONG_BASE)
		return &infos[code - LONG_BASE];
	for (; infos->name; infos++)
		if (infos->letter == code)
			return infos;
	return NULL;
}

/* Why getopt_long() returned '?' or ':'. `word` is the element of argv that it looked at. */
static int bad_option(const struct command_info *command, int code, const char *word,
		      struct err *err)
{
	const struct option_info *info = optopt ? by_code(command->options, optopt) : NULL;
	char name[40] = "";
	const char *near;
	char q[ERR_QUOTED];

	if (info && code == ':')
		return err_set(err, -EINVAL, "%s: --%s needs %s", command->name, info->name,
			       info->placeholder);
	if (info || optopt == IS_HELP)
		return err_set(err, -EINVAL, "%s: --%s takes no value", command->name,
			       info ? info->name : "help");
	if (strncmp(word, "--", 2) == 0 && strcspn(word + 2, "=") < sizeof(name)) {
		memcpy(name, word + 2, strcspn(word + 2, "="));
		near = nearest_option(command->options, name);
		if (near)
			return err_set(err, -EINVAL, "%s: no option \"%s\"; did you mean --%s?",
				       command->name, err_quote(word, q), near);
	}
	return err_set(err, -EINVAL, "%s: no option \"%s\"; see pfuse-bpf %s --help", command->name,
		       err_quote(word, q), command->name);
}

static bool is_name_of_later(const char *word)
{
	static const char *const later[] = { "docker:", "podman:", "unit:" };

	for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++)
		if (strncmp(word, later[i], strlen(later[i])) == 0)
			return true;
	return false;
}

/* Behind the FILE of `report`. */
static int add_curve(char *word, struct options *options, struct err *err)
{
	const char *sign = strrchr(word, '=');
	char q[ERR_QUOTED];

	if (!sign || sign == word || !sign[1])
		return err_set(err, -EINVAL,
			       "report: \"%s\" is no GROUP=CURVE, a group of the trace and its curve "
			       "as a file",
			       err_quote(word, q));
	options->groups[options->ngroups++] = word;
	return 0;
}

static int add_group(const struct command_info *command, char *word, struct options *options,
		     struct err *err)
{
	char q[ERR_QUOTED];

	if (options->command == CMD_REPORT && options->file)
		return add_curve(word, options, err);
	if ((options->command == CMD_REPLAY || options->command == CMD_REPORT) && !options->file &&
	    word[0]) {
		options->file = word;
		return 0;
	}
	if (options->command != CMD_RUN && options->command != CMD_CURVE && options->command != CMD_TRACE)
		return err_set(err, -EINVAL, "%s takes no argument \"%s\"; see pfuse-bpf %s --help",
			       command->name, err_quote(word, q), command->name);
	if (!word[0])
		return err_set(err, -EINVAL,
			       "%s: an empty GROUP; name one, like system.slice/nginx.service",
			       command->name);
	if (is_name_of_later(word))
		return err_set(err, -EINVAL,
			       "%s: \"%s\": names of containers and units are not in this "
			       "release; give the path of the cgroup, or pid:N of a process in it",
			       command->name, err_quote(word, q));
	options->groups[options->ngroups++] = word;
	return 0;
}

/* Parses argv[1…], argv[0] being the command's name. */
static int parse_arguments(int argc, char **argv, struct options *options, struct err *err)
{
	const struct command_info *command = &commands[options->command];
	struct getopt_tables tables;
	int code, r, index;

	make_tables(command->options, &tables);
	/* Groups are gathered in argv itself, in the places that getopt has gone past. */
	options->groups = argv + 1;
	opterr = 0;
	optind = 0; /* glibc: start afresh */
	for (;;) {
		optopt = 0;
		index = optind ? optind : 1;
		code = getopt_long(argc, argv, tables.letters, tables.longs, NULL);
		if (code == -1)
			break;
		if (code == IS_HELP) {
			options->topic = options->command;
			options->command = CMD_HELP;
			return 0;
		}
		if (code == '?' || code == ':')
			r = bad_option(command, code, argv[index], err);
		else if (code == 1)
			r = add_group(command, optarg, options, err);
		else
			r = set_option(command->name, by_code(command->options, code), optarg,
				       options, err);
		if (r < 0)
			return r;
	}
	/* getopt ended at the end of argv, or just behind a `--`. */
	if (optind > 1 && strcmp(argv[optind - 1], "--") == 0)
		options->argv = argv + optind;
	return 0;
}

static int check_run(const struct options *options, struct err *err)
{
	if (options->argv && (!options->argv[0] || !options->argv[0][0]))
		return err_set(err, -EINVAL, "run: a COMMAND is expected after --");
	if (!options->argv && !options->ngroups)
		return err_set(
			err, -EINVAL,
			"run: nothing to orchestrate; name a GROUP (cgroup path or pid:N) or "
			"give -- COMMAND");
	return 0;
}

static int check_curve(struct options *options, struct err *err)
{
	if (options->format < 0)
		options->format = CURVE_TEXT;
	if (options->argv)
		return err_set(err, -EINVAL,
			       "curve takes no COMMAND; see pfuse-bpf curve --help");
	if (options->ngroups != 1)
		return err_set(err, -EINVAL,
			       "curve: %s; name one GROUP (cgroup path or pid:N)",
			       options->ngroups ? "one group at a time" : "nothing to measure");
	return 0;
}

static enum trace_format format_by_name(const char *path)
{
	const char *dot = path ? strrchr(path, '.') : NULL;

	if (dot && (!strcmp(dot, ".pftrace") || !strcmp(dot, ".perfetto-trace")))
		return TRACE_PERFETTO;
	return dot && (!strcmp(dot, ".json") || !strcmp(dot, ".jsonl")) ? TRACE_JSON : TRACE_TEXT;
}

static int check_trace(struct options *options, struct err *err)
{
	if (options->format < 0)
		options->format = (int)format_by_name(options->output);
	if (options->format == TRACE_PERFETTO && !options->output)
		return err_set(err, -EINVAL,
			       "trace: --format perfetto needs a file; give one by -o FILE");
	if (options->format == TRACE_PERFETTO && options->min_ns)
		return err_set(err, -EINVAL,
			       "trace: --min-duration is for text and json: with switches missing, "
			       "Perfetto would show what never was");
	if (options->trace_limit && !options->output)
		return err_set(err, -EINVAL,
			       "trace: --limit is for a file that is begun anew; give one by -o FILE");
	if (options->keep && !options->trace_limit)
		return err_set(err, -EINVAL,
			       "trace: --keep needs --limit SIZE: without it there is one file");
	if (options->ring_bytes > RING_LARGEST)
		return err_set(err, -EINVAL, "trace: --ring is at most 1G: it is the kernel's memory");
	if (options->events == 1u << TRACE_TALKS && !options->ngroups)
		return err_set(err, -EINVAL,
			       "trace: talks are those of a group with the rest; name a GROUP");
	return 0;
}

static int check_trace_of_run(const struct options *options, struct err *err)
{
	if ((options->trace_limit || options->flight_ns) && !options->trace)
		return err_set(err, -EINVAL, "run: --%s needs --trace FILE",
			       options->flight_ns ? "flight" : "trace-limit");
	if (options->keep && !options->trace_limit)
		return err_set(err, -EINVAL,
			       "run: --trace-keep needs --trace-limit SIZE: without it there is one "
			       "file");
	if (options->trace_limit && options->flight_ns)
		return err_set(err, -EINVAL,
			       "run: --flight keeps the trace in memory; --trace-limit is for one "
			       "that is written at once; give one of them");
	if (options->trace && strcmp(options->trace, "-") == 0)
		return err_set(err, -EINVAL,
			       "run: --trace needs a file: standard output has the decisions");
	return 0;
}

static int check_replay(const struct options *options, struct err *err)
{
	if (!options->file)
		return err_set(err, -EINVAL,
			       "replay: the FILE is expected that `run --trace FILE` has written");
	return 0;
}

static int check_report(const struct options *options, struct err *err)
{
	if (!options->file)
		return err_set(err, -EINVAL,
			       "report: the FILE is expected that `run --trace FILE` has written");
	if (!options->output)
		return err_set(err, -EINVAL,
			       "report: -o PAGE is expected, where the page goes, like "
			       "-o report.html; -o - is standard output");
	return 0;
}

static int check_help(int argc, char **argv, struct options *options, struct err *err)
{
	options->command = CMD_HELP;
	if (argc < 2)
		return 0;
	if (argc > 2)
		return err_set(err, -EINVAL, "help takes one COMMAND");
	options->topic = find_command(argv[1]);
	if (options->topic == CMD_NONE)
		return unknown_command(argv[1], err);
	return 0;
}

static int parse_command(int argc, char **argv, struct options *options, struct err *err)
{
	int r;

	options->command = find_command(argv[0]);
	if (options->command == CMD_NONE)
		return unknown_command(argv[0], err);
	if (options->command == CMD_HELP && (argc < 2 || argv[1][0] != '-'))
		return check_help(argc, argv, options, err);
	r = parse_arguments(argc, argv, options, err);
	if (r < 0 || options->command == CMD_HELP)
		return r;
	if (options->command == CMD_RUN) {
		r = check_run(options, err);
		return r < 0 ? r : check_trace_of_run(options, err);
	}
	if (options->command == CMD_CURVE)
		return check_curve(options, err);
	if (!options->argv && options->command == CMD_TRACE)
		return check_trace(options, err);
	if (options->argv)
		return err_set(err, -EINVAL, "%s takes no COMMAND; see pfuse-bpf %s --help",
			       argv[0], argv[0]);
	if (options->command == CMD_REPORT)
		return check_report(options, err);
	return options->command == CMD_REPLAY ? check_replay(options, err) : 0;
}

int options_parse(int argc, char **argv, struct options *ret, struct err *err)
{
	struct options options = {
		.policy = -1, .stop = -1, .ledger = LEDGER_DEFAULT_PATH, .format = -1
	};
	char q[ERR_QUOTED];
	int r = 0;

	if (argc < 2)
		return err_set(err, -EINVAL,
			       "a command is expected: run, doctor, restore, curve, trace, replay, report, help; "
			       "see pfuse-bpf --help");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		options.command = CMD_HELP;
	else if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
		options.command = CMD_VERSION;
	else if (argv[1][0] == '-')
		return err_set(err, -EINVAL, "\"%s\": a command comes first; see pfuse-bpf --help",
			       err_quote(argv[1], q));
	else
		r = parse_command(argc - 1, argv + 1, &options, err);
	if (r < 0)
		return r;
	*ret = options;
	return 0;
}

/* Breaks `text` at blanks, so that no line exceeds column 96; goes on at column `indent`. */
static void help_paragraph(const char *text, int indent, FILE *out)
{
	size_t width = 96 - (size_t)indent;

	while (*text) {
		size_t n = strlen(text);

		if (n > width)
			for (n = width; n > 0 && text[n] != ' '; n--)
				;
		if (n == 0)
			n = strcspn(text, " ");
		fprintf(out, "%.*s\n", (int)n, text);
		text += n + strspn(text + n, " ");
		if (*text)
			fprintf(out, "%*s", indent, "");
	}
}

static void help_option(const struct option_info *info, FILE *out)
{
	char left[64], allowed[128], text[320];

	snprintf(left, sizeof(left), "%s%c%s--%s%s%s", info->letter ? "-" : " ",
		 info->letter ? info->letter : ' ', info->letter ? ", " : "  ", info->name,
		 info->placeholder ? " " : "", info->placeholder ? info->placeholder : "");
	snprintf(text, sizeof(text), "%s%s%s%s", info->help, info->words ? " (" : "",
		 info->words ? join_words(info->words, allowed, sizeof(allowed)) : "",
		 info->words ? ")" : "");
	fprintf(out, "  %-24s ", left);
	help_paragraph(text, 27, out);
}

static void help_program(FILE *out)
{
	fputs("Usage: pfuse-bpf COMMAND [OPTION]... [ARGUMENT]...\n"
	      "Orchestrates containers, services and processes by cgroup, and puts back what it "
	      "changed.\n\nCommands:\n",
	      out);
	for (enum command i = 0; i < COMMANDS; i++)
		if (commands[i].name)
			fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].brief);
	fputs("\n  --help     this text; pfuse-bpf COMMAND --help tells more\n"
	      "  --version  the version\n"
	      "\nExamples:\n",
	      out);
	for (enum command i = 0; i < COMMANDS; i++)
		if (commands[i].name)
			fprintf(out, "  pfuse-bpf %s\n", commands[i].example);
	fputs("\nExit status: 0 done, 1 failed, 2 usage, 3 this kernel or privilege lacks "
	      "something.\n",
	      out);
}

void options_help(enum command topic, FILE *out)
{
	const struct command_info *command = &commands[topic];

	if (!command->name) {
		help_program(out);
		return;
	}
	fprintf(out, "Usage: pfuse-bpf %s %s\n", command->name, command->synopsis);
	help_paragraph(command->description, 0, out);
	fputs("\nOptions:\n", out);
	for (const struct option_info *info = command->options; info->name; info++)
		help_option(info, out);
	fprintf(out, "  %-24s this text\n", "    --help");
	fprintf(out, "\nExample:\n  pfuse-bpf %s\n", command->example);
}
