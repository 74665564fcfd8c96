/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The inside of netprio.c, netprio_v1.c (net_prio.ifpriomap) and netprio_sockets.c (BPF) only. */
#ifndef PFUSE_EDGE_NETPRIO_INSIDE_H
#define PFUSE_EDGE_NETPRIO_INSIDE_H

#include <net/if.h>
#include <stdbool.h>

#include "edge/netprio.h"

#define NETPRIO_DEVICES_MAX 4096   /* interfaces per group; further ones are left as they are */
#define NETPRIO_SOCKETS_MAX 100000 /* looked at in one walk: some 5 us each */

struct netprio_device {
	char name[IFNAMSIZ];
	uint32_t record; /* handle of the ledger; 0: none */
};

struct netprio {
	const struct cgroup_tree *tree;
	const struct cgroup *group;
	struct probe *probe;
	uint32_t slot;
	uint32_t level; /* that we set; NETPRIO_RELEASE: none */
	bool v1;
	/* v1 */
	uint64_t inode; /* of the group's directory there */
	struct netprio_device *devices;
	uint32_t ndevices;
	/* BPF */
	bool attached;
	int links[PROBE_NET_LINKS];
};

int netprio_v1_open(struct netprio *n); /* -ENOENT: the group has no directory there */
int netprio_v1_prepare(struct netprio *n, struct ledger *ledger);
int netprio_v1_set(struct netprio *n, struct ledger *ledger, uint32_t level);

int netprio_sockets_hold(struct netprio *n, uint32_t level);
int netprio_sockets_release(struct netprio *n);

#endif
