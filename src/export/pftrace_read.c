/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "export/pftrace_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "export/pftrace_inside.h"

#define HEADER_MAX 6	   /* tag and length of a packet */
#define RECORD_MAX 65536   /* a name and a path of 4 KiB each, and some numbers */
#define ARENA_BYTES 262144 /* what such a record, decoded, needs is less */

#define FIELD_CLOCK_SNAPSHOT 6
#define REALTIME_ID 1 /* public numbers, not the kernel's */
#define MONOTONIC_ID 3
#define FIELD_TIMESTAMP 8
#define FIELD_PFUSE 2001

/* Where a decoded record lies; emptied for the next one. */
struct arena {
	uint8_t *at;
	size_t used;
};

struct pftrace_reader {
	int fd; /* -1: everything is in the buffer */
	bool at_end;
	bool owns_buffer;
	uint8_t *buffer;
	size_t size;
	size_t start; /* of what was not looked at yet */
	size_t end;
	size_t packet_bytes; /* of the last one, its header included */
	uint32_t slots;	     /* of the machine; 0: not known yet */
	struct arena arena;
	ProtobufCAllocator allocator;
	struct pftrace_result result;
};

/* A range of bytes inside a packet. */
struct span {
	const uint8_t *at;
	const uint8_t *end;
};

static void *arena_alloc(void *context, size_t size)
{
	struct arena *arena = context;
	size_t start = (arena->used + 15) & ~(size_t)15;

	if (start > ARENA_BYTES || size > ARENA_BYTES - start)
		return NULL;
	arena->used = start + size;
	return arena->at + start;
}

static void arena_free(void *context, void *pointer)
{
}

static int make_reader(struct pftrace_reader **ret)
{
	struct pftrace_reader *reader = calloc(1, sizeof(*reader));

	if (reader)
		reader->arena.at = malloc(ARENA_BYTES);
	if (!reader || !reader->arena.at) {
		free(reader);
		return -ENOMEM;
	}
	reader->fd = -1;
	reader->allocator = (ProtobufCAllocator){ .alloc = arena_alloc,
						  .free = arena_free,
						  .allocator_data = &reader->arena };
	*ret = reader;
	return 0;
}

/* At least `wanted` bytes from start on, if the file has so many. */
static int fill(struct pftrace_reader *reader, size_t wanted)
{
	if (reader->end - reader->start >= wanted || reader->at_end)
		return 0;
	memmove(reader->buffer, reader->buffer + reader->start, reader->end - reader->start);
	reader->end -= reader->start;
	reader->start = 0;
	while (reader->end < wanted && !reader->at_end) {
		ssize_t n =
			read(reader->fd, reader->buffer + reader->end, reader->size - reader->end);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		reader->end += (size_t)n;
		reader->at_end = n == 0;
	}
	return 0;
}

static int open_file(const char *path, struct pftrace_reader *reader)
{
	reader->size = PFTRACE_PACKET_MAX + HEADER_MAX;
	reader->buffer = malloc(reader->size);
	reader->owns_buffer = true;
	if (!reader->buffer)
		return -ENOMEM;
	/* O_NONBLOCK: a FIFO is read to its end if it has one, and waited for by nobody. */
	reader->fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
				       : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	return reader->fd < 0 ? -errno : fill(reader, HEADER_MAX);
}

int pftrace_reader_open(const char *path, struct pftrace_reader **ret, struct err *err)
{
	struct pftrace_reader *reader;
	char quoted[ERR_QUOTED];
	int code = make_reader(&reader);

	if (code)
		return err_set(err, code, "out of memory");
	code = open_file(path, reader);
	if (code)
		err_set(err, code, "%s: cannot read the trace: %s", err_quote(path, quoted),
			strerror(-code));
	else if (reader->end == 0)
		code = err_set(err, -EINVAL, "%s: the file is empty; a trace was not begun",
			       err_quote(path, quoted));
	else if (reader->buffer[0] != 0x0a)
		code = err_set(err, -EINVAL,
			       "%s: this is no trace; expected a file that `pfuse-bpf run --trace` "
			       "has written",
			       err_quote(path, quoted));
	if (code) {
		pftrace_reader_close(reader);
		return code;
	}
	*ret = reader;
	return 0;
}

int pftrace_reader_open_memory(const void *data, size_t size, struct pftrace_reader **ret)
{
	int code = make_reader(ret);

	if (code)
		return code;
	(*ret)->buffer = (uint8_t *)(uintptr_t)data; /* only ever read */
	(*ret)->size = (*ret)->end = size;
	(*ret)->at_end = true;
	return 0;
}

/* A varint of at most 64 bits; false: it does not end, or is longer. */
static bool take_varint(struct span *span, uint64_t *ret)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 70 && span->at < span->end; shift += 7) {
		uint8_t byte = *span->at++;

		if (shift == 63 && byte > 1)
			return false;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret = value;
			return true;
		}
	}
	return false;
}

static bool take_bytes(struct span *span, uint64_t size, struct span *ret)
{
	if (size > (uint64_t)(span->end - span->at))
		return false;
	*ret = (struct span){ span->at, span->at + size };
	span->at += size;
	return true;
}

/* One field of a packet: its number, and its value or its bytes. */
struct field {
	uint64_t number;
	enum wire_type type;
	uint64_t value;
	struct span bytes;
};

static bool take_field(struct span *span, struct field *ret)
{
	uint64_t tag, size;

	if (!take_varint(span, &tag) || tag >> 3 == 0 || tag >> 3 > UINT32_MAX >> 3)
		return false;
	ret->number = tag >> 3;
	ret->type = (enum wire_type)(tag & 7);
	switch (ret->type) {
	case WIRE_VARINT:
		return take_varint(span, &ret->value);
	case WIRE_FIXED64:
		return take_bytes(span, 8, &ret->bytes);
	case WIRE_FIXED32:
		return take_bytes(span, 4, &ret->bytes);
	case WIRE_BYTES:
		return take_varint(span, &size) && take_bytes(span, size, &ret->bytes);
	default:
		return false;
	}
}

/* One of a snapshot: Clock.clock_id and Clock.timestamp. */
static void note_clock(struct span clock, uint64_t *real_ns, uint64_t *monotonic_ns)
{
	uint64_t numbers[3] = { 0 };
	struct field field;

	while (clock.at < clock.end && take_field(&clock, &field))
		if (field.type == WIRE_VARINT && field.number <= 2)
			numbers[field.number] = field.value;
	if (numbers[1] == REALTIME_ID)
		*real_ns = numbers[2];
	if (numbers[1] == MONOTONIC_ID)
		*monotonic_ns = numbers[2];
}

/* What is odd about a snapshot spoils no record. */
static void note_clocks(struct pftrace_result *result, struct span snapshot)
{
	uint64_t real_ns = 0, monotonic_ns = 0;
	struct field field;

	while (snapshot.at < snapshot.end && take_field(&snapshot, &field))
		if (field.number == 1 && field.type == WIRE_BYTES)
			note_clock(field.bytes, &real_ns, &monotonic_ns);
	if (!monotonic_ns || real_ns <= monotonic_ns || real_ns > INT64_MAX)
		return;
	if (!result->wall_offset_ns)
		result->wall_offset_ns = (int64_t)(real_ns - monotonic_ns);
	result->wall_moved_ns = (int64_t)(real_ns - monotonic_ns) - result->wall_offset_ns;
}

/* What is ours in a packet; pfuse->at stays NULL where there is nothing. */
static bool look_into(struct pftrace_result *result, struct span packet, uint64_t *ret_time_ns,
		      struct span *ret_pfuse)
{
	struct field field;

	while (packet.at < packet.end) {
		if (!take_field(&packet, &field))
			return false;
		if (field.number == FIELD_CLOCK_SNAPSHOT && field.type == WIRE_BYTES)
			note_clocks(result, field.bytes);
		if (field.number == FIELD_TIMESTAMP && field.type == WIRE_VARINT)
			*ret_time_ns = field.value;
		if (field.number == FIELD_PFUSE && field.type == WIRE_BYTES)
			*ret_pfuse = field.bytes;
	}
	return true;
}

static int end_damaged(struct pftrace_reader *reader, const char *why)
{
	reader->result.damaged = true;
	reader->result.why = why;
	reader->at_end = true;
	reader->start = reader->end;
	return 0;
}

static int end_cut(struct pftrace_reader *reader)
{
	reader->result.cut = true;
	reader->start = reader->end;
	return 0;
}

/* 1: *ret is the length of a packet; 0: the file ends inside it; -1: no packet is so long. */
static int take_length(struct span *span, size_t *ret)
{
	size_t size = 0;

	for (unsigned shift = 0; shift < 7 * (HEADER_MAX - 1); shift += 7) {
		if (span->at == span->end)
			return 0;
		size |= (size_t)(*span->at & 0x7f) << shift;
		if (!(*span->at++ & 0x80)) {
			*ret = size;
			return size <= PFTRACE_PACKET_MAX ? 1 : -1;
		}
	}
	return -1;
}

/* 1: *ret is the next packet; 0: there is none. */
static int next_packet(struct pftrace_reader *reader, struct span *ret)
{
	struct span header;
	size_t size, header_bytes;
	int code = fill(reader, HEADER_MAX);

	if (code)
		return code;
	if (reader->start == reader->end)
		return 0;
	header = (struct span){ reader->buffer + reader->start, reader->buffer + reader->end };
	if (*header.at++ != 0x0a)
		return end_damaged(reader, "bytes that are no packet");
	code = take_length(&header, &size);
	if (code <= 0)
		return code ? end_damaged(reader, "a packet that is longer than any")
			    : end_cut(reader);
	header_bytes = (size_t)(header.at - (reader->buffer + reader->start));
	code = fill(reader, header_bytes + size);
	if (code)
		return code;
	if (reader->end - reader->start < header_bytes + size)
		return end_cut(reader);
	ret->at = reader->buffer + reader->start + header_bytes;
	ret->end = ret->at + size;
	reader->start += header_bytes + size;
	reader->packet_bytes = header_bytes + size;
	return 1;
}

static bool fits_machine(struct pftrace_reader *reader, const struct pftrace_record *record)
{
	if (record->kind == PFTRACE_MACHINE)
		reader->slots = record->machine.slots;
	return record->slot < reader->slots;
}

static bool decode(struct pftrace_reader *reader, struct span pfuse, uint64_t time_ns,
		   struct pftrace_record *ret, const char **ret_why)
{
	Pftrace__Pfuse *message = NULL;

	reader->arena.used = 0;
	*ret_why = "a record that cannot be decoded";
	if (pfuse.end - pfuse.at <= RECORD_MAX)
		message = pftrace__pfuse__unpack(&reader->allocator, (size_t)(pfuse.end - pfuse.at),
						 pfuse.at);
	if (!message || !pftrace_unpack(message, time_ns, ret, ret_why))
		return false;
	*ret_why = "a record of a group that cannot be, or before that of the machine";
	return fits_machine(reader, ret);
}

int pftrace_reader_next(struct pftrace_reader *reader, struct pftrace_record *ret)
{
	struct span packet = { NULL, NULL }, pfuse;
	const char *why;
	uint64_t time_ns;
	int more;

	while ((more = next_packet(reader, &packet)) > 0) {
		pfuse = (struct span){ NULL, NULL };
		time_ns = 0;
		if (!look_into(&reader->result, packet, &time_ns, &pfuse))
			return end_damaged(reader, "a packet whose fields do not fit into it");
		if (pfuse.at && !decode(reader, pfuse, time_ns, ret, &why))
			return end_damaged(reader, why);
		reader->result.packets++;
		reader->result.records += pfuse.at != NULL;
		reader->result.bytes += reader->packet_bytes;
		if (pfuse.at)
			return 1;
	}
	return more;
}

struct pftrace_result pftrace_reader_result(const struct pftrace_reader *reader)
{
	return reader->result;
}

void pftrace_reader_close(struct pftrace_reader *reader)
{
	if (!reader)
		return;
	if (reader->fd >= 0)
		close(reader->fd);
	if (reader->owns_buffer)
		free(reader->buffer);
	free(reader->arena.at);
	free(reader);
}
