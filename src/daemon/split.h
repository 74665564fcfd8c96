/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The CPUs of the machine among the groups, and the weights by which they compete: what core/cpus.h
 * decides, carried out. Exists (daemon.split) only while the configuration asks some group for a type or
 * a character: SIGHUP may begin and end it.
 *
 * Order: split_open() before the probe is opened, which has to count spans then → split_watch() once the
 * core has its groups → split_tick() at each tick, before the limits of single groups are set: weights
 * first, then CPUs (a set shrinks before another grows into it), cpu.max last, docs/cpu.md says why →
 * split_late() after a WAIT event → split_close(), which accepts NULL. What was written is undone by the
 * ledger like everything else.
 * Ownership: of the daemon's members it borrows the group and the throttle.
 */
#ifndef DAEMON_SPLIT_H
#define DAEMON_SPLIT_H

#include "daemon/daemon.h"

/* Old values into the ledger, binding; 0 and no split where nobody asks for one. */
int split_open(struct daemon *daemon, struct err *err);
void split_watch(struct daemon *daemon);
void split_close(struct split *split);

/*
 * After SIGHUP: with the first type or character a split begins, for which the programs at the scheduler's
 * hooks are loaded anew; with the last one it ends, and all that it set and held is given back.
 */
void split_policies(struct daemon *daemon);

void split_tick(struct daemon *daemon);
/* `since_ns`: time of the event. */
void split_late(struct daemon *daemon, uint32_t slot, uint64_t since_ns);

/* For the summary; NULL: takes no part. */
const struct cpus_group *split_group(const struct daemon *daemon, uint32_t slot);
/* enum pfuse_type */
uint32_t split_type(const struct daemon *daemon, uint32_t slot);

#endif
