/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Writes seeds for the fuzzer into the directory that it is given: short runs that were made up. */
#include <stdio.h>
#include <stdlib.h>

#include "../unit/made_run.h"

static int make(const char *directory, unsigned number, unsigned steps, uint64_t size_limit)
{
	char path[4096];
	struct made_run run;
	struct pftrace_options options = {
		.path = path, .size_limit = size_limit, .again = made_run_again, .arg = &run
	};
	struct pftrace *trace;
	struct err err;

	snprintf(path, sizeof(path), "%s/run-%u.pftrace", directory, number);
	if (pftrace_open(&options, &trace, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	made_run_begin(&run, number + 1, trace);
	made_run_go_on(&run, steps);
	pftrace_close(trace);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	return make(argv[1], 0, 0, 0) || make(argv[1], 1, 3, 0) || make(argv[1], 2, 20, 0) ||
	       make(argv[1], 3, 40, 6000);
}
