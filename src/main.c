/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <stdio.h>

#include "cli/curve.h"
#include "cli/doctor.h"
#include "cli/options.h"
#include "cli/replay.h"
#include "cli/report.h"
#include "cli/restore.h"
#include "cli/run.h"
#include "cli/trace.h"

int main(int argc, char **argv)
{
	struct options options;
	struct err err;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (options_parse(argc, argv, &options, &err)) {
		fprintf(stderr, "pfuse-bpf: %s\n", err.text);
		return EXIT_USAGE;
	}
	switch (options.command) {
	case CMD_RUN:
		return cmd_run(&options);
	case CMD_DOCTOR:
		return cmd_doctor(&options, stdout);
	case CMD_RESTORE:
		return cmd_restore(&options, stdout);
	case CMD_CURVE:
		return cmd_curve(&options);
	case CMD_TRACE:
		return cmd_trace(&options);
	case CMD_REPLAY:
		return cmd_replay(&options, stdout);
	case CMD_REPORT:
		return cmd_report(&options, stdout);
	case CMD_VERSION:
		puts("pfuse-bpf " PFUSE_VERSION);
		return EXIT_DONE;
	default:
		options_help(options.topic, stdout);
		return EXIT_DONE;
	}
}
