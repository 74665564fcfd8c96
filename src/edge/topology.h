/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Which CPUs are online and what they share: core (SMT siblings), last-level cache, NUMA node. From
 * sysfs below a root directory fd ("/", or a made-up tree), as plain arrays by CPU number.
 *
 * Domains are named by the lowest online CPU in them (core, llc) or by the node's number, so two CPUs
 * share one exactly when the entries are equal. Entries of CPUs that are offline mean nothing (0).
 * What sysfs does not tell, or tells absurdly, is filled in so that nothing is wrongly separated or
 * joined: a core of its own for each CPU; the node as the last-level cache; node 0. `missing` says
 * which of them was filled in for at least one online CPU.
 * CPUs from TOPOLOGY_CPUS on are left out and counted in `beyond`.
 * A value of 7 KiB, all zero where it means nothing: compare with memcmp().
 */
#ifndef PFUSE_EDGE_TOPOLOGY_H
#define PFUSE_EDGE_TOPOLOGY_H

#include <stdbool.h>
#include <stdint.h>

#define TOPOLOGY_CPUS 1024

enum topology_part {
	TOPOLOGY_CORE = 1 << 0,
	TOPOLOGY_LLC = 1 << 1,
	TOPOLOGY_NODE = 1 << 2,
};

struct topology {
	uint32_t ncpus;	  /* 1 + the highest CPU that is online */
	uint32_t nonline; /* CPUs that are online */
	uint32_t beyond;  /* online, but left out */
	uint32_t missing; /* enum topology_part */
	bool online[TOPOLOGY_CPUS];
	uint16_t core[TOPOLOGY_CPUS];
	uint16_t llc[TOPOLOGY_CPUS];
	uint16_t node[TOPOLOGY_CPUS];
};

/* -ENOENT: sysfs names no online CPUs; -EBADMSG: it names them absurdly. */
int topology_read(int root_fd, struct topology *ret);

/*
 * Did CPUs come or go since? One small file is read, so this may be asked once per tick; the rest
 * follows from topology_read().
 */
int topology_changed(int root_fd, const struct topology *topology, bool *ret_changed);

#endif
