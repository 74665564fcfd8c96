/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The socket priority of a group: what the queueing disciplines of the network look at first.
 *
 * Order: netprio_open() → netprio_prepare(), then ledger_commit() → netprio_set() … → netprio_close(),
 * which accepts NULL. Errors as in edge/throttle.h.
 */
#ifndef PFUSE_EDGE_NETPRIO_H
#define PFUSE_EDGE_NETPRIO_H

#include <stdint.h>

#include "edge/cgroup.h"
#include "edge/ledger.h"
#include "edge/probe.h"

#define NETPRIO_LEVELS 8 /* socket priorities 0..7 */

struct netprio;

int netprio_open(const struct cgroup_tree *tree, const struct cgroup *group, struct probe *probe,
		 uint32_t slot, struct netprio **ret);
int netprio_prepare(struct netprio *n, struct ledger *ledger);
int netprio_set(struct netprio *n, struct ledger *ledger, uint32_t level);
void netprio_close(struct netprio *n);

#endif
