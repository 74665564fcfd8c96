/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/peers.h"

#include <string.h>

static bool is_within(const uint8_t address[16], const struct peers_prefix *prefix)
{
	unsigned whole = prefix->bits / 8, rest = prefix->bits % 8;
	uint8_t mask = (uint8_t)(0xff00 >> rest);

	if (memcmp(address, prefix->address, whole) != 0)
		return false;
	return rest == 0 || ((address[whole] ^ prefix->address[whole]) & mask) == 0;
}

bool peers_have(const struct peers *peers, const struct pfuse_event *event)
{
	uint8_t address[16];

	if (event->talk.where != PFUSE_WHERE_REMOTE)
		return event->talk.where == PFUSE_WHERE_LOCAL && peers->local;
	memcpy(address, event->talk.address, sizeof(address));
	for (uint32_t i = 0; i < peers->count && i < PEERS_MAX; i++)
		if (is_within(address, &peers->prefixes[i]))
			return true;
	return false;
}
