/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "export/pftrace.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "export/pftrace_inside.h"

#define SEQUENCE_ID 1
#define STATE_CLEARED 1
#define STATE_NEEDED 2

#define CLOCK_ID_REALTIME 1
#define CLOCK_ID_MONOTONIC 3
#define CLOCK_ID_BOOTTIME 6

#define TYPE_SLICE_BEGIN 1
#define TYPE_SLICE_END 2
#define TYPE_INSTANT 3
#define TYPE_COUNTER 4

/* What drifts is off by no more than it drifts in that time. */
#define CLOCKS_EVERY_NS 10000000000ull
/* No drift: the machine was suspended, or somebody set the clock. */
#define SUSPENDED_NS 1000000ull
#define SET_NS 10000000ull
#define MOMENT_NS 100000ull
#define MOMENT_TRIES 10

/* Field numbers, as in pftrace.proto, of what is written by hand. */
enum {
	PACKET_TIMESTAMP = 8,
	PACKET_SEQUENCE_ID = 10,
	PACKET_TRACK_EVENT = 11,
	PACKET_SEQUENCE_FLAGS = 13,
	EVENT_CATEGORY_IIDS = 3,
	EVENT_NOTES = 4,
	EVENT_TYPE = 9,
	EVENT_NAME_IID = 10,
	EVENT_TRACK = 11,
	EVENT_NAME = 23,
	EVENT_COUNTER = 30,
	EVENT_COUNTER_DOUBLE = 44,
	NOTE_NAME_IID = 1,
	NOTE_BOOL = 2,
	NOTE_UINT = 3,
	NOTE_INT = 4,
	NOTE_DOUBLE = 5,
	NOTE_STRING = 6,
	NOTE_NAME = 10,
};

#define MEMORY_DEFAULT (16u << 20)
#define MEMORY_MIN (64u << 10)

/* 0: the packet has none of its own. */
static void note_time(struct pftrace *trace, uint64_t time_ns)
{
	if (time_ns)
		trace->last_ns = time_ns;
	if (!trace->segment_ns)
		trace->segment_ns = trace->last_ns;
}

void pftrace_put(struct pftrace *trace, Pftrace__TracePacket *packet)
{
	packet->has_trusted_packet_sequence_id = 1;
	packet->trusted_packet_sequence_id = SEQUENCE_ID;
	packet->has_sequence_flags = 1;
	packet->sequence_flags = trace->is_new_sequence ? STATE_CLEARED : STATE_NEEDED;
	if (trace->is_new_sequence && trace->out.lost > trace->lost_before) {
		packet->has_previous_packet_dropped = packet->previous_packet_dropped = 1;
		trace->lost_before = trace->out.lost;
	}
	note_time(trace, packet->has_timestamp_clock_id ? 0 : packet->timestamp);
	trace->is_new_sequence = false;
	out_put(&trace->out, &packet->base);
}

bool pftrace_begin(struct pftrace *trace, uint64_t time_ns, size_t most, struct wire *ret)
{
	note_time(trace, time_ns);
	ret->at = out_begin(&trace->out, 3 * WIRE_NUMBER + most);
	if (!ret->at)
		return false;
	if (time_ns)
		wire_uint(ret, PACKET_TIMESTAMP, time_ns);
	wire_uint(ret, PACKET_SEQUENCE_ID, SEQUENCE_ID);
	wire_uint(ret, PACKET_SEQUENCE_FLAGS, STATE_NEEDED);
	return true;
}

void pftrace_end(struct pftrace *trace, const struct wire *wire)
{
	out_end(&trace->out, wire->at);
}

static uint64_t read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static struct pftrace_clocks clocks_of(const struct pftrace *trace)
{
	struct pftrace_clocks clocks;

	if (trace->options.clocks) {
		trace->options.clocks(&clocks);
		return clocks;
	}
	/* Whoever is preempted in between would read clocks of two moments. */
	for (int tries = 0; tries < MOMENT_TRIES; tries++) {
		clocks.monotonic_ns = read_clock(CLOCK_MONOTONIC);
		clocks.boottime_ns = read_clock(CLOCK_BOOTTIME);
		clocks.realtime_ns = read_clock(CLOCK_REALTIME);
		if (read_clock(CLOCK_MONOTONIC) - clocks.monotonic_ns <= MOMENT_NS)
			break;
	}
	return clocks;
}

/* The clocks are the first packet of a segment: what every other packet leaves out stands here. */
static void put_clocks(struct pftrace *trace, const struct pftrace_clocks *clocks)
{
	const struct {
		uint32_t id;
		uint64_t time_ns;
	} all[] = { { CLOCK_ID_MONOTONIC, clocks->monotonic_ns },
		    { CLOCK_ID_BOOTTIME, clocks->boottime_ns },
		    { CLOCK_ID_REALTIME, clocks->realtime_ns } };
	Pftrace__TracePacket packet = PFTRACE__TRACE_PACKET__INIT;
	Pftrace__TracePacketDefaults defaults = PFTRACE__TRACE_PACKET_DEFAULTS__INIT;
	Pftrace__ClockSnapshot snapshot = PFTRACE__CLOCK_SNAPSHOT__INIT;
	Pftrace__ClockSnapshot__Clock values[3], *pointers[3];

	for (unsigned i = 0; i < 3; i++) {
		values[i] = (Pftrace__ClockSnapshot__Clock)PFTRACE__CLOCK_SNAPSHOT__CLOCK__INIT;
		values[i].has_clock_id = values[i].has_timestamp = 1;
		values[i].clock_id = all[i].id;
		values[i].timestamp = all[i].time_ns;
		pointers[i] = &values[i];
	}
	trace->clocks_ns = clocks->monotonic_ns;
	trace->boot_ahead = clocks->boottime_ns - clocks->monotonic_ns;
	trace->real_ahead = clocks->realtime_ns - clocks->monotonic_ns;
	snapshot.n_clocks = 3;
	snapshot.clocks = pointers;
	packet.clock_snapshot = &snapshot;
	packet.has_timestamp = packet.has_timestamp_clock_id = 1;
	packet.timestamp = clocks->boottime_ns;
	packet.timestamp_clock_id = CLOCK_ID_BOOTTIME;
	if (trace->is_new_sequence) {
		defaults.has_timestamp_clock_id = 1;
		defaults.timestamp_clock_id = CLOCK_ID_MONOTONIC;
		packet.trace_packet_defaults = &defaults;
		packet.has_first_packet_on_sequence = packet.first_packet_on_sequence =
			!trace->out.in_memory || trace->out.packets == 0;
	}
	pftrace_put(trace, &packet);
}

static bool have_moved(uint64_t from, uint64_t to, uint64_t by_ns)
{
	return (from > to ? from - to : to - from) > by_ns;
}

void pftrace_note_clocks(struct pftrace *trace)
{
	struct pftrace_clocks now = clocks_of(trace);

	if (have_moved(trace->boot_ahead, now.boottime_ns - now.monotonic_ns, SUSPENDED_NS) ||
	    have_moved(trace->real_ahead, now.realtime_ns - now.monotonic_ns, SET_NS) ||
	    trace->last_ns >= trace->clocks_ns + CLOCKS_EVERY_NS)
		put_clocks(trace, &now);
}

static void begin_segment(struct pftrace *trace)
{
	struct pftrace_clocks now = clocks_of(trace);

	trace->iids = 0;
	for (unsigned i = 0; i < INTERNED_MAX; i++)
		trace->interned[i].literal = NULL;
	trace->is_new_sequence = true;
	trace->last_ns = trace->segment_ns = 0;
	put_clocks(trace, &now);
}

int pftrace_open(const struct pftrace_options *options, struct pftrace **ret, struct err *err)
{
	size_t memory = options->memory_bytes ? options->memory_bytes : MEMORY_DEFAULT;
	struct pftrace *trace = calloc(1, sizeof(*trace));
	char quoted[ERR_QUOTED];
	int code;

	if (!trace)
		return err_set(err, -ENOMEM, "out of memory for the trace");
	trace->options = *options;
	if (memory < MEMORY_MIN)
		memory = MEMORY_MIN;
	code = out_open(&trace->out, options->path, options->flight_ns ? memory : 0, err);
	if (!code && options->size_limit && !out_is_regular(&trace->out)) {
		out_close(&trace->out);
		code = err_set(err, -EINVAL,
			       "%s: is no regular file, and cannot be begun anew at a size",
			       err_quote(options->path, quoted));
	}
	if (code) {
		free(trace);
		return code;
	}
	trace->out.keep = options->keep ? options->keep : 1;
	begin_segment(trace);
	*ret = trace;
	return 0;
}

/* Where the literal stands or would stand; NULL: the table is full. */
static struct interned *find_interned(struct pftrace *trace, enum interned_kind kind,
				      const char *literal)
{
	size_t start = ((uintptr_t)literal >> 2) * 0x9e3779b1u + kind;

	for (size_t i = 0; i < INTERNED_MAX; i++) {
		struct interned *entry = &trace->interned[(start + i) % INTERNED_MAX];

		if (!entry->literal || (entry->literal == literal && entry->kind == kind))
			return entry;
	}
	return NULL;
}

/* Whoever uses a name for the first time has it declared before, by a packet of its own. */
static void declare_name(struct pftrace *trace, enum interned_kind kind,
			 const struct interned *entry)
{
	Pftrace__TracePacket packet = PFTRACE__TRACE_PACKET__INIT;
	Pftrace__InternedData data = PFTRACE__INTERNED_DATA__INIT;
	Pftrace__InternedName name = PFTRACE__INTERNED_NAME__INIT, *pointer = &name;

	name.has_iid = 1;
	name.iid = entry->iid;
	name.name = (char *)entry->literal;
	data.n_event_categories = kind == INTERNED_CATEGORY;
	data.n_event_names = kind == INTERNED_EVENT;
	data.n_debug_annotation_names = kind == INTERNED_NOTE;
	data.event_categories = data.event_names = data.debug_annotation_names = &pointer;
	packet.interned_data = &data;
	pftrace_put(trace, &packet);
}

/* 0: not interned. */
static uint32_t intern(struct pftrace *trace, enum interned_kind kind, const char *literal)
{
	struct interned *entry = literal ? find_interned(trace, kind, literal) : NULL;

	if (!entry)
		return 0;
	if (!entry->literal) {
		*entry = (struct interned){ literal, kind, ++trace->iids };
		declare_name(trace, kind, entry);
	}
	return entry->iid;
}

/* What is known by its number, or else by its name. */
struct name {
	uint32_t iid;
	const char *text;
};

static struct name name_of(struct pftrace *trace, enum interned_kind kind, const char *literal)
{
	uint32_t iid = intern(trace, kind, literal);

	return (struct name){ iid, iid ? NULL : literal };
}

static size_t name_most(const struct name *name)
{
	return name->text ? WIRE_TEXT(strlen(name->text)) : WIRE_NUMBER;
}

static void put_name(struct wire *wire, const struct name *name, uint32_t iid_field,
		     uint32_t text_field)
{
	if (name->iid)
		wire_uint(wire, iid_field, name->iid);
	else if (name->text)
		wire_text(wire, text_field, name->text, strlen(name->text));
}

static size_t note_most(const struct name *name, const struct pftrace_note *note)
{
	return WIRE_TEXT(name_most(name)) +
	       (note->type == PFTRACE_AS_STRING ? WIRE_TEXT(strlen(note->string_value))
						: WIRE_NUMBER);
}

static void put_note(struct wire *wire, const struct name *name, const struct pftrace_note *note)
{
	uint8_t *opened = wire_open(wire, EVENT_NOTES);

	put_name(wire, name, NOTE_NAME_IID, NOTE_NAME);
	switch (note->type) {
	case PFTRACE_AS_UINT:
		wire_uint(wire, NOTE_UINT, note->uint_value);
		break;
	case PFTRACE_AS_INT:
		wire_int(wire, NOTE_INT, note->int_value);
		break;
	case PFTRACE_AS_DOUBLE:
		wire_double(wire, NOTE_DOUBLE, note->double_value);
		break;
	case PFTRACE_AS_BOOL:
		wire_uint(wire, NOTE_BOOL, note->bool_value);
		break;
	case PFTRACE_AS_STRING:
		wire_text(wire, NOTE_STRING, note->string_value, strlen(note->string_value));
		break;
	}
	wire_close(wire, opened);
}

/* What each event has: its own message, which the caller closes. */
static bool begin_event(struct pftrace *trace, uint64_t time_ns, size_t most, struct wire *wire,
			uint8_t **ret_opened)
{
	if (!pftrace_begin(trace, time_ns, WIRE_TEXT(most), wire))
		return false;
	*ret_opened = wire_open(wire, PACKET_TRACK_EVENT);
	return true;
}

static void happen(struct pftrace *trace, const struct pftrace_happening *what, uint32_t type)
{
	unsigned nnotes = what->nnotes < PFTRACE_NOTES_MAX ? what->nnotes : PFTRACE_NOTES_MAX;
	uint32_t category = intern(trace, INTERNED_CATEGORY, what->category);
	struct name name = name_of(trace, INTERNED_EVENT, what->name), names[PFTRACE_NOTES_MAX];
	size_t most = 3 * WIRE_NUMBER + name_most(&name);
	uint8_t *opened;
	struct wire wire;

	for (unsigned i = 0; i < nnotes; i++) {
		names[i] = name_of(trace, INTERNED_NOTE, what->notes[i].name);
		most += note_most(&names[i], &what->notes[i]);
	}
	if (!begin_event(trace, what->time_ns, most, &wire, &opened))
		return;
	if (category)
		wire_uint(&wire, EVENT_CATEGORY_IIDS, category);
	for (unsigned i = 0; i < nnotes; i++)
		put_note(&wire, &names[i], &what->notes[i]);
	wire_uint(&wire, EVENT_TYPE, type);
	put_name(&wire, &name, EVENT_NAME_IID, EVENT_NAME);
	wire_uint(&wire, EVENT_TRACK, what->track);
	wire_close(&wire, opened);
	pftrace_end(trace, &wire);
}

void pftrace_slice_begin(struct pftrace *trace, const struct pftrace_happening *what)
{
	happen(trace, what, TYPE_SLICE_BEGIN);
}

void pftrace_instant(struct pftrace *trace, const struct pftrace_happening *what)
{
	happen(trace, what, TYPE_INSTANT);
}

void pftrace_slice_end(struct pftrace *trace, uint64_t track, uint64_t time_ns)
{
	happen(trace, &(struct pftrace_happening){ .time_ns = time_ns, .track = track },
	       TYPE_SLICE_END);
}

static bool begin_counter(struct pftrace *trace, uint64_t track, uint64_t time_ns,
			  struct wire *wire, uint8_t **ret_opened)
{
	if (!begin_event(trace, time_ns, 3 * WIRE_NUMBER, wire, ret_opened))
		return false;
	wire_uint(wire, EVENT_TYPE, TYPE_COUNTER);
	wire_uint(wire, EVENT_TRACK, track);
	return true;
}

void pftrace_counter(struct pftrace *trace, uint64_t track, uint64_t time_ns, int64_t value)
{
	uint8_t *opened;
	struct wire wire;

	if (!begin_counter(trace, track, time_ns, &wire, &opened))
		return;
	wire_int(&wire, EVENT_COUNTER, value);
	wire_close(&wire, opened);
	pftrace_end(trace, &wire);
}

void pftrace_counter_double(struct pftrace *trace, uint64_t track, uint64_t time_ns, double value)
{
	uint8_t *opened;
	struct wire wire;

	if (!begin_counter(trace, track, time_ns, &wire, &opened))
		return;
	wire_double(&wire, EVENT_COUNTER_DOUBLE, value);
	wire_close(&wire, opened);
	pftrace_end(trace, &wire);
}

static void put_track(struct pftrace *trace, uint64_t uuid, uint64_t parent, const char *name,
		      Pftrace__CounterDescriptor *counter)
{
	Pftrace__TracePacket packet = PFTRACE__TRACE_PACKET__INIT;
	Pftrace__TrackDescriptor track = PFTRACE__TRACK_DESCRIPTOR__INIT;

	track.has_uuid = 1;
	track.uuid = uuid;
	track.has_parent_uuid = parent != 0;
	track.parent_uuid = parent;
	track.name = (char *)name;
	track.counter = counter;
	packet.track_descriptor = &track;
	pftrace_put(trace, &packet);
}

void pftrace_track(struct pftrace *trace, uint64_t uuid, uint64_t parent, const char *name)
{
	put_track(trace, uuid, parent, name, NULL);
}

void pftrace_counter_track(struct pftrace *trace, uint64_t uuid, uint64_t parent, const char *name,
			   enum pftrace_unit unit, const char *unit_name)
{
	Pftrace__CounterDescriptor counter = PFTRACE__COUNTER_DESCRIPTOR__INIT;

	counter.has_unit = unit != PFTRACE_NO_UNIT;
	counter.unit = unit;
	counter.unit_name = (char *)unit_name;
	put_track(trace, uuid, parent, name, &counter);
}

void pftrace_record(struct pftrace *trace, const struct pftrace_record *record)
{
	Pftrace__TracePacket packet = PFTRACE__TRACE_PACKET__INIT;
	struct pftrace_message message;

	pftrace_pack(record, &message);
	packet.has_timestamp = 1;
	packet.timestamp = record->time_ns;
	packet.pfuse = &message.pfuse;
	pftrace_put(trace, &packet);
}

/* In memory, a segment is also over when it fills up: what does not fit any more is lost. */
static bool is_over(const struct pftrace *trace)
{
	const struct pftrace_options *options = &trace->options;
	const struct out *out = &trace->out;
	const struct out_buffer *buffer = &out->buffers[out->current];

	if (out->in_memory)
		return out->full || buffer->used >= buffer->size - buffer->size / 4 ||
		       trace->last_ns >= trace->segment_ns + options->flight_ns;
	return options->size_limit && out->file_bytes + buffer->used >= options->size_limit;
}

/* A limit so small that what a segment begins with fills it: then it holds no more than that. */
static void turn_over(struct pftrace *trace)
{
	const struct pftrace_options *options = &trace->options;
	struct pftrace_record lost = { .time_ns = trace->last_ns,
				       .kind = PFTRACE_LOST,
				       .lost = { .events = trace->out.lost - trace->lost_before,
						 .why = PFTRACE_LOSS_FILE } };

	if (options->end)
		options->end(options->arg);
	out_segment(&trace->out);
	begin_segment(trace);
	if (options->again)
		options->again(options->arg);
	if (lost.lost.events)
		pftrace_record(trace, &lost);
}

void pftrace_flush(struct pftrace *trace)
{
	if (trace->out.error) {
		out_flush(&trace->out);
		return;
	}
	pftrace_note_clocks(trace);
	if (is_over(trace))
		turn_over(trace);
	out_flush(&trace->out);
}

int pftrace_dump(struct pftrace *trace, struct err *err)
{
	if (!trace->out.in_memory)
		return err_set(err, -EINVAL, "the trace is in its file already");
	return out_dump(&trace->out, err);
}

int pftrace_error(const struct pftrace *trace)
{
	return trace->out.error;
}

uint64_t pftrace_packets(const struct pftrace *trace)
{
	return trace->out.packets;
}

uint64_t pftrace_bytes(const struct pftrace *trace)
{
	return trace->out.bytes;
}

uint64_t pftrace_lost(const struct pftrace *trace)
{
	return trace->out.lost;
}

void pftrace_close(struct pftrace *trace)
{
	if (!trace)
		return;
	out_close(&trace->out);
	free(trace);
}
