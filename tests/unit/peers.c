/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/peers.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

static struct pfuse_event from(const char *address)
{
	struct pfuse_event event = { .kind = PFUSE_EV_TALK };
	uint8_t bytes[16] = { [10] = 0xff, [11] = 0xff };

	event.talk.where = PFUSE_WHERE_REMOTE;
	if (inet_pton(AF_INET, address, bytes + 12) != 1)
		cr_assert_eq(inet_pton(AF_INET6, address, bytes), 1, "%s", address);
	memcpy(event.talk.address, bytes, sizeof(bytes));
	return event;
}

static void add(struct peers *peers, const char *address, uint8_t bits)
{
	struct pfuse_event event = from(address);
	struct peers_prefix *prefix = &peers->prefixes[peers->count++];

	memcpy(prefix->address, event.talk.address, sizeof(prefix->address));
	prefix->bits = bits;
}

Test(peers, prefixes)
{
	static const struct {
		const char *prefix;
		uint8_t bits;
		const char *address;
		bool is_in;
	} table[] = {
		{ "10.0.0.0", 104, "10.255.0.1", true },
		{ "10.0.0.0", 104, "11.0.0.0", false },
		{ "10.1.2.128", 121, "10.1.2.255", true },
		{ "10.1.2.128", 121, "10.1.2.127", false },
		{ "10.1.2.3", 128, "10.1.2.3", true },
		{ "10.1.2.3", 128, "10.1.2.2", false },
		{ "0.0.0.0", 96, "203.0.113.9", true },
		{ "0.0.0.0", 96, "2001:db8::1", false },
		{ "::", 0, "2001:db8::1", true },
		{ "::", 0, "10.0.0.1", true },
		{ "2001:db8::", 33, "2001:db8:7fff::1", true },
		{ "2001:db8::", 33, "2001:db8:8000::1", false },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct pfuse_event event = from(table[i].address);
		struct peers peers = { 0 };

		add(&peers, "192.0.2.1", 128); /* the second counts as well */
		add(&peers, table[i].prefix, table[i].bits);
		cr_expect_eq(peers_have(&peers, &event), table[i].is_in, "%s in %s/%u",
			     table[i].address, table[i].prefix, table[i].bits);
	}
}

Test(peers, local_is_a_word_and_no_address)
{
	struct peers nobody = { 0 }, local = { .local = true }, everywhere = { 0 };
	struct pfuse_event remote = from("127.0.0.1"), here = remote, unknown = remote;

	add(&everywhere, "::", 0);
	here.talk.where = PFUSE_WHERE_LOCAL;
	unknown.talk.where = PFUSE_WHERE_UNKNOWN;
	cr_expect(peers_have(&local, &here));
	cr_expect_not(peers_have(&local, &remote));
	cr_expect_not(peers_have(&everywhere, &here));
	cr_expect_not(peers_have(&everywhere, &unknown));
	cr_expect_not(peers_have(&local, &unknown));
	cr_expect_not(peers_have(&nobody, &here));
	cr_expect_not(peers_have(&nobody, &remote));
}
