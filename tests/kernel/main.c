/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * One test after the other (they share a machine), a visible skip, and nothing left behind: Criterion
 * alone runs tests in parallel and exits 0 when all of them were skipped.
 */
#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <criterion/options.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rig.h"

static size_t skipped;

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
	skipped = stats->tests_skipped;
}

static const char *why_not(void)
{
	const char *why = NULL;

	if (geteuid() != 0)
		return "needs root";
	if (access("/sys/kernel/btf/vmlinux", R_OK) < 0)
		return "the kernel has no BTF";
	return hierarchy(&why) ? NULL : why;
}

static void name_groups_after_this_process(void)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	setenv("PFUSE_TEST_PID", pid, 1);
}

int main(int argc, char *argv[])
{
	if (argc == 2 &&
	    !strcmp(argv[1], "--do-nothing")) /* for tests that need something to exec */
		return 0;
	const char *why = why_not();

	if (why) {
		fprintf(stderr, "SKIP: %s\n", why);
		return 77;
	}
	name_groups_after_this_process();
	struct criterion_test_set *tests = criterion_initialize();
	int status = 0;

	criterion_options.jobs = 1;
	if (criterion_handle_args(argc, argv, true))
		status = !criterion_run_all_tests(tests);
	criterion_finalize(tests);
	groups_sweep();
	return !status && skipped ? 77 : status;
}
