/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The command line, read by the table of commands.h.
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

#include "base/err.h"
#include "config/config.h"

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
	CMD_CURVE,
	CMD_TRACE,
	CMD_REPLAY,
	CMD_REPORT,
	CMD_HELP,    /* --help, `help COMMAND`, `COMMAND --help`: `topic` says of what */
	CMD_VERSION, /* --version */
	COMMANDS,
};

/* curve --format */
enum curve_format {
	CURVE_TEXT = 0,
	CURVE_CSV,
	CURVE_JSON,
	CURVE_SVG,
};

enum trace_format {
	TRACE_TEXT = 0,
	TRACE_JSON,
	TRACE_PERFETTO,
};

/* Words of --events. */
enum trace_events {
	TRACE_SWITCHES = 0,
	TRACE_WAKES,
	TRACE_FAULTS,
	TRACE_TALKS,
	TRACE_SIGNALS,
	TRACE_LIFE,
};

/* curve --source */
enum curve_source {
	CURVE_AUTO = 0,
	CURVE_PAGE_TABLES,
	CURVE_MGLRU,
	CURVE_DAMON,
};

struct options {
	enum command command;
	enum command topic;  /* of CMD_HELP; CMD_NONE: of the program */
	const char *config;  /* -c FILE; NULL: none */
	const char *summary; /* --summary FILE; NULL: none */
	const char *ledger;  /* never NULL */
	const char *output;  /* -o FILE; NULL: none */
	const char *trace;   /* --trace FILE; NULL: none */
	const char *file;    /* of `replay` and `report` */
	uint64_t trace_limit; /* --trace-limit, of `trace` --limit, in bytes; 0: none */
	uint32_t keep;	      /* --trace-keep, of `trace` --keep: older files; 0: one */
	uint64_t flight_ns;   /* --flight; 0: the trace is written at once */
	uint64_t for_ns;     /* --for; 0: until told to stop */
	int policy;	     /* enum config_policy; -1: as the configuration says */
	int stop;	     /* enum config_stop; -1: as the configuration says */
	uint64_t min_ns;     /* --min-duration; 0: none */
	uint64_t ring_bytes; /* --ring; 0: the default */
	uint32_t events;     /* --events: bits 1 << enum trace_events; 0: all */
	int format;	     /* of `curve`, enum curve_format; of `trace`, enum trace_format, by the name of `output` if
			      * not given */
	int source;	     /* of `curve`, enum curve_source */
	bool all;
	bool dry_run;
	bool quiet;
	bool json;
	bool intact;
	char **groups; /* ngroups of them, as given; CMD_REPORT: GROUP=CURVE */
	size_t ngroups;
	char **argv; /* after `--`, NULL-terminated; NULL: no COMMAND */
};

/*
 * Fills *ret. 0, or -EINVAL with one line in *err that says what is wrong and what is allowed:
 * print it and exit with EXIT_USAGE.
 */
int options_parse(int argc, char **argv, struct options *ret, struct err *err);

/* The help text of a command; CMD_NONE: of the program. */
void options_help(enum command topic, FILE *out);

#endif
