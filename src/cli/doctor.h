/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * `pfuse-bpf doctor`: what this machine can do, what it lacks, what that means and what to do.
 *
 * Gathering and judging are apart: doctor_report() decides from values only, so that tests can show
 * it machines that we do not have.
 */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include <stdio.h>

#include "cli/options.h"
#include "edge/pages.h"
#include "edge/probe.h"
#include "edge/system.h"

struct doctor_facts {
	struct system_info system;
	const struct probe_hook *hooks;
	unsigned nhooks;
	bool generations;   /* lrugen_probe() */
	bool damon;	    /* its files are there */
	int hooks_err;	    /* -errno of probe_hooks(): the hooks are not known */
	const char *keeper; /* path of the keeper; NULL: not found */
	enum pages_how page_out; /* how the memory of a frozen group is moved out */
	const char *ledger; /* path of a ledger left behind; NULL: none */
};

/* Prints the report as text or JSON. EXIT_DONE, or EXIT_LACKS if something essential lacks. */
enum exit_status doctor_report(const struct doctor_facts *facts, bool json, FILE *out);

enum exit_status cmd_doctor(const struct options *options, FILE *out);

#endif
