/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The command line, from one table of commands and options: parsing, --help, the manual page and
 * the shell completion (manual.h) all read that table, so they cannot disagree.
 *
 * Parsing is strict: what is not understood is refused, with what is allowed. Every string in
 * struct options points into argv; there is nothing to free. argv is reordered (GROUPs move
 * forward), its strings are not changed.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/complaint.h"
#include "config.h"

#define PFUSE_LEDGER_DEFAULT "/run/pfuse-bpf/ledger"

/* What the program exits with. A service manager must not restart after USAGE and LACKS. */
enum exit_status {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_LACKS = 3, /* this kernel or privilege lacks something */
};

enum command {
	CMD_NONE = 0,
	CMD_RUN,
	CMD_DOCTOR,
	CMD_RESTORE,
	CMD_HELP,    /* --help, `help COMMAND`, `COMMAND --help`: `topic` says of what */
	CMD_VERSION, /* --version */
	COMMANDS,
};

struct options {
	enum command command;
	enum command topic;   /* of CMD_HELP; CMD_NONE: of the program */
	const char *config;   /* -c FILE; NULL: none */
	const char *summary;  /* --summary FILE; NULL: none */
	const char *ledger;   /* never NULL */
	uint64_t for_ns;      /* --for; 0: until told to stop */
	int policy;	      /* enum config_policy; -1: as the configuration says */
	int stop;	      /* enum config_stop; -1: as the configuration says */
	bool dry_run;
	bool quiet;
	bool json;
	bool intact;
	char **groups; /* ngroups of them, as given */
	size_t ngroups;
	char **argv; /* after `--`, NULL-terminated; NULL: no COMMAND */
};

/*
 * Fills *ret. 0, or -EINVAL with one line in *c that says what is wrong and what is allowed: print
 * it and exit with EXIT_USAGE.
 */
int options_parse(int argc, char **argv, struct options *ret, struct complaint *c);

/* The help text of a command; CMD_NONE: of the program. */
void options_help(enum command topic, FILE *out);

/* For the generators of manual page and completion. */
enum option_type {
	OPT_FLAG,
	OPT_DURATION,
	OPT_PATH,
	OPT_ENUM,
};

struct option_info {
	const char *name;	    /* without the dashes; NULL ends the list */
	const char *placeholder;    /* of the argument; NULL: takes none */
	const char *help;	    /* one sentence, no full stop */
	const char *const *words;   /* OPT_ENUM: the allowed words, in the order of their values */
	const char *const *later;   /* OPT_ENUM: words of later releases; may be NULL */
	size_t offset;		    /* in struct options */
	enum option_type type;
	char letter;		    /* 0: no short form */
};

struct command_info {
	const char *name;     /* NULL: not a word of the command line */
	const char *synopsis; /* what follows the name */
	const char *brief;
	const char *description;
	const struct option_info *options;
	const char *example;
};

const struct command_info *options_command(enum command command);

#endif
