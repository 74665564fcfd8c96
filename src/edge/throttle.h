/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The CPU and I/O limits of a group: reading what it used and what limit stands, and setting limits.
 *
 * Order: throttle_open() → [throttle_prepare() per kind, then ledger_commit() once for all groups] →
 * throttle_read_…(), throttle_set() … → throttle_close(), which accepts NULL and undoes nothing: that
 * is the ledger's.
 * Units: ns of CPU time per second; bytes per second and disk. PFUSE_UNLIMITED: no limit.
 * Errors: -ENOENT no such controller for the group · -ENODEV the group is gone · -ESTALE somebody
 * else changed the control, and nothing is written.
 */
#ifndef PFUSE_EDGE_THROTTLE_H
#define PFUSE_EDGE_THROTTLE_H

#include <stdint.h>

#include "edge/cgroup.h"
#include "edge/ledger.h"
#include "pfuse/sample.h"

enum throttle_kind { THROTTLE_CPU, THROTTLE_IO_READ, THROTTLE_IO_WRITE, THROTTLE_KINDS };

struct throttle_cpu {
	uint64_t limit_ns; /* CPU time per second allowed; PFUSE_UNLIMITED */
	uint64_t usage_ns;
	uint32_t periods;
	uint32_t throttled;
	uint64_t throttled_ns;
};

struct throttle_io {
	uint64_t read_bytes; /* sum over intervals of the busiest device's growth */
	uint64_t write_bytes;
	uint64_t read_limit; /* bytes/s per device; PFUSE_UNLIMITED */
	uint64_t write_limit;
};

/* Per group; opaque, malloc'ed when a group acts on or observes CPU or I/O. */
struct throttle;

int throttle_open(const struct cgroup_tree *tree, const struct cgroup *group,
		  struct throttle **ret);
void throttle_close(struct throttle *t);

int throttle_read_cpu(struct throttle *t, struct throttle_cpu *ret);
int throttle_read_io(struct throttle *t, struct throttle_io *ret);

/* Not binding before ledger_commit(). */
int throttle_prepare(struct throttle *t, struct ledger *ledger, enum throttle_kind kind);
/* PFUSE_UNLIMITED releases. */
int throttle_set(struct throttle *t, struct ledger *ledger, enum throttle_kind kind,
		 uint64_t limit);

#endif
