/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <stdio.h>

#include "cli/run.h"
#include "daemon/daemon.h"

enum exit_status cmd_run(const struct options *options)
{
	struct daemon daemon;
	struct config config;
	struct err err = { "" };

	config_default(&config);
	if (options->config && config_load(options->config, &config, &err)) {
		fprintf(stderr, "pfuse-bpf: %s\n", err.text);
		return EXIT_FAILED;
	}
	if (options->policy >= 0)
		config_settle(&config, (enum config_policy)options->policy);
	enum exit_status status = daemon_open(&daemon, options, &config, &err);

	if (status == EXIT_DONE)
		status = daemon_loop(&daemon, &err);
	if (err.text[0])
		fprintf(stderr, "pfuse-bpf: %s\n", err.text);
	status = daemon_close(&daemon, status);
	config_free(&config);
	return status;
}
