/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Protobuf by hand: each number and length comes back, in no more room than was promised. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>

#include "export/wire.h"

static uint64_t read_varint(const uint8_t **at)
{
	uint64_t value = 0;
	unsigned shift = 0;

	do
		value |= (uint64_t)(**at & 0x7f) << shift;
	while (shift += 7, *(*at)++ & 0x80);
	return value;
}

Test(wire, numbers_come_back)
{
	static const uint64_t values[] = { 0, 1, 127, 128, 16383, 16384, 1ull << 63, UINT64_MAX };
	static const uint32_t fields[] = { 1, 15, 16, 2047 };

	for (size_t i = 0; i < 4; i++) {
		for (size_t j = 0; j < 8; j++) {
			uint8_t room[WIRE_NUMBER];
			struct wire wire = { room };
			const uint8_t *at = room;

			wire_uint(&wire, fields[i], values[j]);
			cr_expect_eq(read_varint(&at), fields[i] << 3 | WIRE_VARINT);
			cr_expect_eq(read_varint(&at), values[j]);
			cr_expect_eq(at, wire.at);
			cr_expect_leq(wire.at, room + sizeof(room));
		}
	}
}

Test(wire, what_is_below_0_has_64_bits)
{
	uint8_t room[WIRE_NUMBER];
	struct wire wire = { room };
	const uint8_t *at = room + 1;

	wire_int(&wire, 1, -2);
	cr_expect_eq((int64_t)read_varint(&at), -2);
}

/* A message of any length: its tag, its length, its bytes; and what follows it stands right behind. */
Test(wire, a_message_is_as_long_as_it_says)
{
	static const size_t lengths[] = { 0, 1, 127, 128, 129, 16383, 16384, 2097152 };

	for (size_t i = 0; i < 8; i++) {
		size_t length = lengths[i];
		uint8_t *room = calloc(1, WIRE_TEXT(length) + WIRE_NUMBER);
		struct wire wire = { room };
		uint8_t *opened = wire_open(&wire, 2047);

		for (size_t n = 0; n < length; n++)
			*wire.at++ = (uint8_t)(n * 7 + 1);
		wire_close(&wire, opened);
		cr_expect_leq(wire.at, room + WIRE_TEXT(length));

		const uint8_t *at = room;

		cr_expect_eq(read_varint(&at), 2047u << 3 | WIRE_BYTES);
		cr_expect_eq(read_varint(&at), length);
		for (size_t n = 0; n < length; n++)
			cr_assert_eq(at[n], (uint8_t)(n * 7 + 1), "byte %zu of %zu", n, length);
		cr_expect_eq(at + length, wire.at);
		free(room);
	}
}
