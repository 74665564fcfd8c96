/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What one change of a limit costs, ledger included: control_ram_set() on GROUP, raised and lowered in
 * turn, TIMES times. Prints the median, 99th percentile and mean in microseconds, then restores.
 *
 *	daemon_set LEDGER GROUP [TIMES]
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "edge/cgroup.h"
#include "edge/control.h"
#include "edge/ledger.h"

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int fail(const char *what, int code)
{
	fprintf(stderr, "daemon_set: %s: %d\n", what, code);
	return 1;
}

int main(int argc, char **argv)
{
	size_t times = argc > 3 ? strtoul(argv[3], NULL, 10) : 10000;
	uint64_t *took_ns = calloc(times, sizeof(*took_ns)), sum = 0;
	struct ledger_options options = { .path = argv[1] };
	struct ledger_restore how = { .proc_fd = open("/proc", O_RDONLY | O_DIRECTORY) };
	struct ledger_counts counts;
	struct cgroup_tree tree;
	struct cgroup group;
	struct control_ram ram;
	struct ledger *ledger;
	struct err err;
	int code;

	if (argc < 3 || !times || !took_ns)
		return fail("usage: daemon_set LEDGER GROUP [TIMES]", 2);
	code = cgroup_tree_open(NULL, &tree, &err);
	if (!code)
		code = cgroup_open(&tree, argv[2], &group, &err);
	if (!code)
		code = ledger_open(&options, &ledger, NULL, &err);
	if (code)
		return fail(err.text, code);
	code = control_ram_prepare(&tree, &group, ledger, &ram);
	if (!code)
		code = ledger_commit(ledger);
	for (size_t i = 0; i < times && !code; i++) {
		uint64_t from_ns = clock_now_ns();

		code = control_ram_set(&tree, &group, ledger, &ram, (64ul + i % 1000) << 20, false);
		took_ns[i] = clock_now_ns() - from_ns;
		sum += took_ns[i];
	}
	if (ledger_restore(ledger, &how, &counts) || code)
		fail("control_ram_set or ledger_restore", code);
	ledger_close(ledger);
	qsort(took_ns, times, sizeof(*took_ns), compare);
	printf("p50 %.1f us, p99 %.1f us, mean %.1f us\n", (double)took_ns[times / 2] / 1e3,
	       (double)took_ns[times * 99 / 100] / 1e3, (double)sum / (double)times / 1e3);
	return code != 0;
}
