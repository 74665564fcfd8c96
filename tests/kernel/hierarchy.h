/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Where groups with a memory controller can be made on this machine: the v1 memory hierarchy where one
 * is mounted, else the v2 tree, with the controller enabled for children of its root. No test framework
 * here: the benchmarks use it too.
 */
#ifndef TESTS_KERNEL_HIERARCHY_H
#define TESTS_KERNEL_HIERARCHY_H

#include <stdbool.h>
#include <stdint.h>

struct hierarchy {
	char mount[256];
	bool v2;
	uint32_t id; /* 0 for v2, else the number in /proc/cgroups */
};

/* NULL when this machine has none; `ret_why` then says so. */
const struct hierarchy *hierarchy(const char **ret_why);
/* Where the v2 tree is mounted, also when the memory controller is elsewhere; NULL: nowhere. */
const char *hierarchy_v2_mount(void);
bool hierarchy_enable_memory(const char *dir);		 /* for the children of `dir`, on v2 */
int hierarchy_write(const char *path, const char *text); /* 0 or -errno */

#endif
