/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Where memory is short, groups under `adaptive` get shares of it by what their curves say that a further
 * page brings (core/shares.h), and the core is told each.
 *
 * Memory is short when the groups together would use more than the configured total, or when the machine has
 * less available than the configured part; the latter until it has a quarter more than that. A share is
 * an upper bound of what a group's memory is reclaimed down to; nobody's growth is held back by it.
 *
 * Order: scarce_open() after squeeze_open() → scarce_tick() at each tick of the loop → scarce_close(). While
 * no group is awake nobody looks, and nothing follows.
 */
#ifndef DAEMON_SCARCE_H
#define DAEMON_SCARCE_H

#include <stdint.h>

#include "daemon/daemon.h"

int scarce_open(struct daemon *daemon, struct err *err);
void scarce_close(struct daemon *daemon);

void scarce_tick(struct daemon *daemon);

/* 0: none. */
uint64_t scarce_share(const struct daemon *daemon, uint32_t slot);

#endif
