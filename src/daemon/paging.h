/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Moves the memory of groups that were frozen guarded to swap, a slice per turn of the loop and only
 * when nothing else is to be done: a wake never waits for more than one slice.
 */
#ifndef DAEMON_PAGING_H
#define DAEMON_PAGING_H

#include "daemon/daemon.h"

/* The group was frozen, and its policy asks for it. */
void paging_begin(struct daemon *daemon, uint32_t slot);

/* It continues, or is gone: the rest of its memory stays where it is. */
void paging_end(struct member *member);

#endif
