/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Whose visits to a guarded group are health checks: a list of addresses and prefixes, and `local` for
 * everybody on this machine. Whoever came from elsewhere has used the group.
 *
 * Addresses are of IPv6, those of IPv4 mapped into it (::ffff:0:0/96), in network order, as in TALK events.
 * A peer on this machine is known as local and not by its address. Pure; an array of the caller's.
 */
#ifndef PFUSE_CORE_PEERS_H
#define PFUSE_CORE_PEERS_H

#include <stdbool.h>
#include <stdint.h>

#include "pfuse/event.h"

#define PEERS_MAX 32

struct peers_prefix {
	uint8_t address[16];
	uint8_t bits; /* 0 to 128 */
};

struct peers {
	bool local;
	uint32_t count;
	struct peers_prefix prefixes[PEERS_MAX];
};

/* Of a TALK event: was it one of these? A peer of whom nothing is known is none of them. */
bool peers_have(const struct peers *peers, const struct pfuse_event *event);

#endif
