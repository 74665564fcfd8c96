/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Protobuf by hand, for the few messages that are written hundreds of thousands of times per second: a general
 * packer, which walks a description of each message twice, took most of a recorder's time.
 *
 * The caller has room for all that it writes; WIRE_NUMBER and WIRE_TEXT() say how much that is at most. A
 * message within another one is written between wire_open() and wire_close(). Field numbers up to 2047.
 */
#ifndef EXPORT_WIRE_H
#define EXPORT_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define WIRE_NUMBER 12u			  /* a number, its field's number included */
#define WIRE_TEXT(length) (7u + (length)) /* a text or message of that many bytes, the same */

struct wire {
	uint8_t *at;
};

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

static inline void wire_varint(struct wire *wire, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		*wire->at++ = (uint8_t)(value | 0x80);
	*wire->at++ = (uint8_t)value;
}

static inline void wire_tag(struct wire *wire, uint32_t field, enum wire_type type)
{
	wire_varint(wire, field << 3 | type);
}

static inline void wire_uint(struct wire *wire, uint32_t field, uint64_t value)
{
	wire_tag(wire, field, WIRE_VARINT);
	wire_varint(wire, value);
}

/* int32 and int64 alike: below 0 as 64 bits. */
static inline void wire_int(struct wire *wire, uint32_t field, int64_t value)
{
	wire_uint(wire, field, (uint64_t)value);
}

static inline void wire_double(struct wire *wire, uint32_t field, double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	wire_tag(wire, field, WIRE_FIXED64);
	for (unsigned i = 0; i < 64; i += 8)
		*wire->at++ = (uint8_t)(bits >> i);
}

static inline void wire_text(struct wire *wire, uint32_t field, const char *text, size_t length)
{
	wire_tag(wire, field, WIRE_BYTES);
	wire_varint(wire, length);
	memcpy(wire->at, text, length);
	wire->at += length;
}

/* Most are shorter than 128 bytes: there is room for such a length, and what is longer is moved. */
static inline uint8_t *wire_open(struct wire *wire, uint32_t field)
{
	wire_tag(wire, field, WIRE_BYTES);
	return ++wire->at;
}

static inline void wire_close(struct wire *wire, uint8_t *opened)
{
	size_t length = (size_t)(wire->at - opened), more = 0;

	for (size_t rest = length >> 7; rest; rest >>= 7)
		more++;
	if (more)
		memmove(opened + more, opened, length);
	wire->at = opened - 1;
	wire_varint(wire, length);
	wire->at += length;
}

#endif
