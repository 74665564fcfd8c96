/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "cli/manual.h"

#include <string.h>

#include "cli/commands.h"
#include "config/config.h"
#include "edge/ledger.h"

/* Text of ours, but roff gives a meaning to '-', '\\' and a leading '.' or '\''. */
static void roff(FILE *out, const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", out);
	for (; *text; text++) {
		if (*text == '-')
			fputs("\\-", out);
		else if (*text == '\\')
			fputs("\\e", out);
		else
			fputc(*text, out);
	}
}

static void roff_option(FILE *out, const struct option_info *info)
{
	fputs(".TP\n", out);
	if (info->letter)
		fprintf(out, "\\fB\\-%c\\fR, ", info->letter);
	fputs("\\fB\\-\\-", out);
	roff(out, info->name);
	fputs("\\fR", out);
	if (info->placeholder)
		fprintf(out, " \\fI%s\\fR", info->placeholder);
	fputc('\n', out);
	roff(out, info->help);
	if (info->words) {
		fputs(": ", out);
		for (const char *const *word = info->words; *word; word++)
			fprintf(out, "%s\\fB%s\\fR", word == info->words ? "" : ", ", *word);
	}
	fputc('\n', out);
}

static void roff_command(FILE *out, const struct command_info *command)
{
	fprintf(out, ".SS \"%s ", command->name);
	roff(out, command->synopsis);
	fputs("\"\n", out);
	roff(out, command->description);
	fputc('\n', out);
	for (const struct option_info *info = command->options; info->name; info++)
		roff_option(out, info);
	fputs(".PP\nExample: \\fBpfuse\\-bpf ", out);
	roff(out, command->example);
	fputs("\\fR\n", out);
}

/* "groups[].ram.floor": the sections of a group lie below the list. */
static void roff_key(FILE *out, const struct config_key *key)
{
	fputs(".TP\n\\fB", out);
	if (key->section && strcmp(key->section, "groups") != 0)
		fprintf(out, "groups[].%s.", key->section);
	else if (key->section)
		fputs("groups[].", out);
	roff(out, key->name);
	fputs("\\fR: \\fI", out);
	roff(out, key->values);
	fputs("\\fR\n", out);
	roff(out, key->help);
	fputc('\n', out);
}

static void roff_configuration(FILE *out)
{
	fputs(".SH CONFIGURATION\n"
	      "The file of \\fB\\-\\-config\\fR is YAML; what it leaves out has the default in "
	      "parentheses.\n",
	      out);
	for (const struct config_key *key = config_keys; key->name; key++)
		roff_key(out, key);
}

void manual_page(FILE *out)
{
	/* No date: the page is the same for the same source. */
	fputs(".TH PFUSE\\-BPF 8 \"\" \"pfuse\\-bpf " PFUSE_VERSION "\" \"System administration\"\n"
	      ".SH NAME\n"
	      "pfuse\\-bpf \\- orchestrate containers, services and processes by cgroup\n"
	      ".SH SYNOPSIS\n",
	      out);
	for (enum command i = 0; i < COMMANDS; i++) {
		if (!commands[i].name)
			continue;
		fprintf(out, ".B pfuse\\-bpf %s\n", commands[i].name);
		roff(out, commands[i].synopsis);
		fputs("\n.br\n", out);
	}
	fputs(".SH DESCRIPTION\n"
	      "Observes groups of processes with BPF programs, decides by their use of memory, "
	      "CPU, "
	      "disks and\n"
	      "network and by their conversations, and sets limits and stops or continues them. "
	      "Every decision is "
	      "printed\n"
	      "with its reason, and undone at the end.\n"
	      ".SH COMMANDS\n",
	      out);
	for (enum command i = 0; i < COMMANDS; i++)
		if (commands[i].name)
			roff_command(out, &commands[i]);
	roff_configuration(out);
	fputs(".SH EXIT STATUS\n"
	      ".TP\n0\ndone\n.TP\n1\nfailed\n.TP\n2\nthe command line is wrong\n"
	      ".TP\n3\nthis kernel or privilege lacks something that is needed\n"
	      ".PP\nWith \\fB\\-\\- COMMAND\\fR: the exit status of COMMAND.\n"
	      ".SH FILES\n.TP\n",
	      out);
	roff(out, LEDGER_DEFAULT_PATH);
	fputs("\nthe old values of what a run has changed\n", out);
}

static void shell_options(FILE *out, const struct command_info *command)
{
	fprintf(out, "\t%s) options='", command->name);
	for (const struct option_info *info = command->options; info->name; info++) {
		if (info->letter)
			fprintf(out, "-%c ", info->letter);
		fprintf(out, "--%s ", info->name);
	}
	fputs("--help' ;;\n", out);
}

/* What completes the argument of each option: words, files, or nothing. */
static void shell_arguments(FILE *out, const struct command_info *command)
{
	for (const struct option_info *info = command->options; info->name; info++) {
		if (!info->placeholder)
			continue;
		fprintf(out, "\t%s/--%s", command->name, info->name);
		if (info->letter)
			fprintf(out, "|%s/-%c", command->name, info->letter);
		fputs(") ", out);
		if (info->type == OPT_PATH)
			fputs("COMPREPLY=($(compgen -f -- \"$cur\")); ", out);
		if (info->type == OPT_ENUM || info->type == OPT_WORDS) {
			fputs("COMPREPLY=($(compgen -W '", out);
			for (const char *const *word = info->words; *word; word++)
				fprintf(out, "%s ", *word);
			fputs("' -- \"$cur\")); ", out);
		}
		fputs("return ;;\n", out);
	}
}

void manual_completion(FILE *out)
{
	fputs("# bash completion for pfuse-bpf, made from its table of commands\n"
	      "_pfuse_bpf()\n{\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	      "\tlocal command=${COMP_WORDS[1]} options= commands='",
	      out);
	for (enum command i = 0; i < COMMANDS; i++)
		if (commands[i].name)
			fprintf(out, "%s ", commands[i].name);
	fputs("'\n\tCOMPREPLY=()\n"
	      "\tif ((COMP_CWORD == 1)); then\n"
	      "\t\tCOMPREPLY=($(compgen -W \"$commands --help --version\" -- \"$cur\"))\n"
	      "\t\treturn\n\tfi\n"
	      "\tcase $command/$prev in\n",
	      out);
	for (enum command i = 0; i < COMMANDS; i++)
		if (commands[i].name)
			shell_arguments(out, &commands[i]);
	fputs("\thelp/help) COMPREPLY=($(compgen -W \"$commands\" -- \"$cur\")) ; return ;;\n"
	      "\tesac\n\tcase $command in\n",
	      out);
	for (enum command i = 0; i < COMMANDS; i++)
		if (commands[i].name)
			shell_options(out, &commands[i]);
	fputs("\tesac\n"
	      "\tCOMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
	      "}\ncomplete -F _pfuse_bpf pfuse-bpf\n",
	      out);
}
