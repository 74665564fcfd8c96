/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * No CPU, I/O or NET control on any machine: what edge/throttle.h and edge/netprio.h answer until their
 * own files are merged, which replace this one.
 */
#include <errno.h>

#include "edge/netprio.h"
#include "edge/throttle.h"

int throttle_open(const struct cgroup_tree *tree, const struct cgroup *group, struct throttle **ret)
{
	return -ENOENT;
}

void throttle_close(struct throttle *t)
{
}

int throttle_read_cpu(struct throttle *t, struct throttle_cpu *ret)
{
	return -ENOENT;
}

int throttle_read_io(struct throttle *t, struct throttle_io *ret)
{
	return -ENOENT;
}

int throttle_prepare(struct throttle *t, struct ledger *ledger, enum throttle_kind kind)
{
	return -ENOENT;
}

int throttle_set(struct throttle *t, struct ledger *ledger, enum throttle_kind kind, uint64_t limit)
{
	return -ENOENT;
}

int netprio_open(const struct cgroup_tree *tree, const struct cgroup *group, struct probe *probe,
		 uint32_t slot, struct netprio **ret)
{
	return -ENOENT;
}

int netprio_prepare(struct netprio *n, struct ledger *ledger)
{
	return -ENOENT;
}

int netprio_set(struct netprio *n, struct ledger *ledger, uint32_t level)
{
	return -ENOENT;
}

void netprio_close(struct netprio *n)
{
}
