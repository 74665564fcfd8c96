/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The groups of a trace, opened by the names that the user gave. pid:N is the group in which that process
 * is; nothing is moved, made or changed.
 *
 * Order: trace_groups_open() → … → trace_groups_close(), which accepts a zeroed or half-open one.
 */
#ifndef CLI_TRACE_GROUPS_H
#define CLI_TRACE_GROUPS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "edge/cgroup.h"

struct trace_groups {
	struct cgroup_tree tree;
	struct cgroup *at;  /* by slot; slot 0 is unused */
	const char **names; /* by slot, as given; borrowed */
	uint32_t slots;	    /* slot 0 included */
};

int trace_groups_open(char *const *names, size_t count, struct trace_groups *ret, struct err *err);
void trace_groups_close(struct trace_groups *groups);

#endif
