/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The priority of a group's sockets (SO_PRIORITY, skb->priority): what queueing disciplines sort by.
 *
 * Where v1's net_prio hierarchy is mounted and has the group: net_prio.ifpriomap, one level for every
 * interface of the initial network namespace, through the ledger like any other control. The kernel
 * then marks packets that have no priority of their own.
 * Else: BPF at the group's v2 directory (its twin on hybrid). New sockets are born with the level, and
 * sockets that exist get it by pidfd_getfd(2). What the application asks for meanwhile by SO_PRIORITY
 * (0 … 6) or IP_TOS succeeds and is remembered, but the level holds; reading SO_PRIORITY shows the
 * level. TCP connections that the group accepts get the level too. Releasing gives each socket what it
 * had, or what the application asked for last. That memory is in the kernel, 8 bytes and a header per
 * socket that has a record, and goes with the socket.
 * Not covered: sockets of other families than IPv4 and IPv6 · sockets that were made in another group
 * and passed in are set, but not held · connections that wait to be accepted while the level changes, until it changes again ·
 * priorities of 7 and more, which need CAP_NET_ADMIN: whoever has it may do as it likes · IP_TOS on an
 * IPv6 socket, and priorities given per packet (cmsg).
 * Nothing stays behind: the programs are held by file descriptors, so they go with us however we end.
 * After a crash of ours sockets keep the last level, which is harmless: it orders packets, and limits
 * nothing. v1's file is undone by the ledger.
 *
 * Order: netprio_open() after probe_manage() of the slot → netprio_prepare(), ledger_commit() →
 * netprio_set() … → netprio_close() before probe_close(). `tree`, `group` and `probe` must outlive it.
 * Errors: -ENOENT neither net_prio nor a v2 directory · -EOPNOTSUPP the kernel refused the programs ·
 * -EPERM another program at an ancestor allows none below it · -ENODEV the group is gone ·
 * -ESTALE (v1) somebody else changed it.
 */
#ifndef PFUSE_EDGE_NETPRIO_H
#define PFUSE_EDGE_NETPRIO_H

#include <stdint.h>

#include "edge/cgroup.h"
#include "edge/ledger.h"
#include "edge/probe.h"

#define NETPRIO_LEVELS 8	   /* socket priorities 0 … 7; 0 is every socket's at birth */
#define NETPRIO_RELEASE UINT32_MAX /* as a level: what was before us */

struct netprio;

/* `probe` may be NULL where net_prio serves the group. */
int netprio_open(const struct cgroup_tree *tree, const struct cgroup *group, struct probe *probe,
		 uint32_t slot, struct netprio **ret);

/* Not binding before ledger_commit(). */
int netprio_prepare(struct netprio *n, struct ledger *ledger);

/* For sockets that are there and those to come. A process that ends meanwhile is no error. */
int netprio_set(struct netprio *n, struct ledger *ledger, uint32_t level);

/* Releases, if that was not done (v1's file is the ledger's business). NULL is allowed. */
void netprio_close(struct netprio *n);

#endif
