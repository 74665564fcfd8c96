/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The one table of commands and options: parsing (options.h), --help, the manual page and the shell
 * completion (manual.h) all read it, so they cannot disagree.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/options.h"

#define OPTIONS_MAX 16 /* of one command */

enum option_type {
	OPT_FLAG,
	OPT_DURATION,
	OPT_PATH,
	OPT_ENUM,
	OPT_WORDS, /* some of the words, with commas between: a bit for each */
	OPT_SPAN,  /* a duration that may be short */
	OPT_SIZE,
	OPT_KEEP, /* how many older files */
};

struct option_info {
	const char *name;	  /* without the dashes; NULL ends the list */
	const char *placeholder;  /* of the argument; NULL: takes none */
	const char *help;	  /* one sentence, no full stop */
	const char *const *words; /* OPT_ENUM, OPT_WORDS: those allowed, in the order of values */
	const char *const *later; /* OPT_ENUM: words of later releases; may be NULL */
	size_t offset;		  /* in struct options */
	enum option_type type;
	char letter; /* 0: no short form */
};

struct command_info {
	const char *name;     /* NULL: not a word of the command line */
	const char *synopsis; /* what follows the name */
	const char *brief;
	const char *description;
	const struct option_info *options;
	const char *example;
};

/* By enum command; those without a name are no words of the command line. */
extern const struct command_info commands[COMMANDS];

#endif
