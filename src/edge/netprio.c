/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/netprio.h"

#include "base/cleanup.h"
#include "edge/netprio_inside.h"

int netprio_open(const struct cgroup_tree *tree, const struct cgroup *group, struct probe *probe,
		 uint32_t slot, struct netprio **ret)
{
	_cleanup_free_ struct netprio *n = calloc(1, sizeof(*n));
	_cleanup_close_ int fd = -1;
	int r;

	if (!n)
		return -ENOMEM;
	*n = (struct netprio){
		.tree = tree,
		.group = group,
		.probe = probe,
		.slot = slot,
		.level = NETPRIO_RELEASE,
	};
	r = netprio_v1_open(n);
	n->v1 = r == 0;
	if (r == -ENOENT)
		r = probe ? cgroup_open_v2(tree, group, &fd) : -ENOENT;
	if (r < 0)
		return r == -ENOENT && cgroup_gone(group) ? -ENODEV : r;
	*ret = TAKE_PTR(n);
	return 0;
}

int netprio_prepare(struct netprio *n, struct ledger *ledger)
{
	return n->v1 ? netprio_v1_prepare(n, ledger) : 0;
}

int netprio_set(struct netprio *n, struct ledger *ledger, uint32_t level)
{
	int r;

	if (level >= NETPRIO_LEVELS && level != NETPRIO_RELEASE)
		return -EINVAL;
	if (n->v1)
		r = netprio_v1_set(n, ledger, level);
	else
		r = level == NETPRIO_RELEASE ? netprio_sockets_release(n)
					     : netprio_sockets_hold(n, level);
	if (r == 0)
		n->level = level;
	return r;
}

void netprio_close(struct netprio *n)
{
	if (!n)
		return;
	if (!n->v1)
		netprio_sockets_release(n);
	free(n->devices);
	free(n);
}
