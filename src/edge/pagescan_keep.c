/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What is kept of the sample: for each page the tag of the epoch that touched it last. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "edge/pagescan_inside.h"

/* Bits of an entry, x86-64. */
#define ENTRY_PRESENT 0x1
#define ENTRY_ACCESSED 0x20
#define ENTRY_LEAF 0x80
#define ENTRY_NO_ACCESS 0x100 /* resident, but reading it faults */
#define ENTRY_SPECIAL 0x200   /* not the group's memory: the page of zeros, devices */

#define OF_OBJECT (1ull << 63)

static uint64_t mix(uint64_t x)
{
	x *= 0x9e3779b97f4a7c15ull;
	x = (x ^ x >> 32) * 0xd6e8feb86659fd93ull;
	return x ^ x >> 32;
}

static uint32_t room_for(bool shared)
{
	size_t each = sizeof(struct chunk);

	if (shared)
		each += sizeof(*((struct keep *)0)->frames);
	return (uint32_t)(KEEP_BYTES / each);
}

int keep_open(struct keep *keep, uint32_t processes)
{
	*keep = (struct keep){ .room = room_for(processes > 1) };
	/* The kernel gives pages as they are written. */
	keep->chunks = calloc(room_for(false), sizeof(*keep->chunks));
	if (!keep->chunks)
		return -ENOMEM;
	return processes > 1 ? keep_share(keep) : 0;
}

void keep_close(struct keep *keep)
{
	free(keep->chunks);
	free(keep->frames);
	keep->chunks = NULL;
	keep->frames = NULL;
}

uint64_t keep_bytes(const struct keep *keep)
{
	size_t each = sizeof(*keep->chunks) + (keep->frames ? sizeof(*keep->frames) : 0);

	return sizeof(*keep) + keep->count * each;
}

static uint16_t *head_of(struct keep *keep, uint64_t number)
{
	return &keep->heads[mix(number) % KEEP_HEADS];
}

static struct chunk *at_link(const struct keep *keep, uint16_t link)
{
	return link ? &keep->chunks[link - 1] : NULL;
}

static struct chunk *find(struct keep *keep, uint64_t number, uint16_t space)
{
	struct chunk *chunk = at_link(keep, *head_of(keep, number));

	while (chunk && (chunk->number != number || chunk->space != space))
		chunk = at_link(keep, chunk->next);
	return chunk;
}

static void unlink_chunk(struct keep *keep, struct chunk *chunk)
{
	uint16_t *link = head_of(keep, chunk->number);

	while (at_link(keep, *link) != chunk)
		link = &keep->chunks[*link - 1].next;
	*link = chunk->next;
	chunk->used = 0;
	chunk->next = (uint16_t)keep->free;
	keep->free = (uint32_t)(chunk - keep->chunks) + 1;
	keep->live--;
}

/* Chunks beyond a room that became smaller are never given again. */
static struct chunk *new_chunk(struct keep *keep)
{
	struct chunk *chunk;

	if (keep->live >= keep->room)
		return NULL;
	while ((chunk = at_link(keep, (uint16_t)keep->free))) {
		keep->free = chunk->next;
		if (chunk - keep->chunks < keep->room)
			return chunk;
	}
	return keep->count < keep->room ? &keep->chunks[keep->count++] : NULL;
}

static struct chunk *add(struct keep *keep, uint64_t number, uint16_t space, uint8_t half)
{
	struct chunk *chunk = new_chunk(keep);

	if (!chunk) {
		keep->full = true;
		return NULL;
	}
	uint16_t *head = head_of(keep, number);

	*chunk = (struct chunk){
		.number = number, .space = space, .next = *head, .half = half, .used = 1
	};
	*head = (uint16_t)(chunk - keep->chunks) + 1;
	keep->live++;
	return chunk;
}

static void leave(struct keep *keep, struct chunk *chunk, unsigned int i)
{
	keep->counts->left[chunk->half][chunk->tags[i]]++;
	chunk->tags[i] = PAGESCAN_NEVER;
}

static void drop(struct keep *keep, struct chunk *chunk)
{
	for (unsigned int i = 0; i < PFUSE_PAGES_CHUNK; i++)
		if (chunk->tags[i])
			leave(keep, chunk, i);
	unlink_chunk(keep, chunk);
}

int keep_share(struct keep *keep)
{
	if (keep->frames)
		return 0;
	keep->frames = calloc(room_for(true), sizeof(*keep->frames));
	if (!keep->frames)
		return -ENOMEM;
	keep->room = room_for(true);
	keep->shrunk = keep->count > keep->room;
	return 0;
}

/* Those that have no frames: rare, a group that was one process and becomes more. */
static void drop_beyond(struct keep *keep)
{
	for (uint32_t i = keep->room; i < keep->count; i++)
		if (keep->chunks[i].used)
			drop(keep, &keep->chunks[i]);
	keep->shrunk = false;
}

static void renumber(struct keep *keep, const uint16_t *renumbered)
{
	for (uint32_t c = 0; c < keep->count; c++)
		for (unsigned int i = 0; i < PFUSE_PAGES_CHUNK; i++)
			keep->chunks[c].tags[i] = renumbered[keep->chunks[c].tags[i]];
}

void keep_begin(struct keep *keep, const struct pagescan_turn *turn, struct pagescan_counts *counts)
{
	keep->counts = counts;
	keep->now = turn->now;
	keep->turn++;
	keep->full = false;
	keep->entries[0] = keep->entries[1] = 0;
	keep->arriving |= keep->unstuck;
	keep->unstuck = false;
	if (turn->renumbered)
		renumber(keep, turn->renumbered);
	if (keep->shrunk)
		drop_beyond(keep);
}

/* Entries */

static uint64_t entry_at(const struct pfuse_page_record *record, unsigned int i)
{
	return record->entries[record->huge ? 0 : i];
}

static bool is_resident(const struct pfuse_page_record *record, uint64_t entry)
{
	return entry & (ENTRY_PRESENT | ENTRY_NO_ACCESS | (record->huge ? ENTRY_LEAF : 0));
}

static bool is_nothing(const struct pfuse_page_record *record, uint64_t entry)
{
	return !entry || (is_resident(record, entry) && entry & ENTRY_SPECIAL);
}

uint32_t keep_count(const struct pfuse_page_record *record)
{
	uint32_t count = 0;

	for (unsigned int i = 0; i < record->count; i++)
		count += !is_nothing(record, entry_at(record, i));
	return count;
}

/* 16 bits of the frame, never 0. */
static uint16_t frame_of(const struct pfuse_page_record *record, unsigned int i)
{
	uint64_t frame = entry_at(record, i) & 0x000ffffffffff000ull;

	/* A huge page's entry has one frame for all. */
	if (record->huge)
		frame += (record->page + i) << 12;
	return (uint16_t)(mix(frame) >> 48) | 1;
}

static uint64_t number_of(const struct source *source, const struct pfuse_page_record *record)
{
	uint64_t chunk = record->page / PFUSE_PAGES_CHUNK;

	return source->object ? mix(source->object ^ mix(chunk)) | OF_OBJECT : chunk;
}

static bool is_current(const struct keep *keep, const struct chunk *chunk)
{
	return chunk->seen == keep->turn;
}

static void freshen(const struct keep *keep, struct chunk *chunk)
{
	if (is_current(keep, chunk))
		return;
	chunk->seen = keep->turn;
	chunk->present = chunk->out = chunk->covered = chunk->again = chunk->pending = 0;
	chunk->checked = 0;
}

/* Another process's memory at the same address that has this frame: shared since a fork. */
static struct chunk *same_frame(struct keep *keep, const struct chunk *own, uint64_t number,
				unsigned int i, uint16_t frame, bool current)
{
	struct chunk *chunk = at_link(keep, *head_of(keep, number));

	for (; chunk; chunk = at_link(keep, chunk->next)) {
		if (chunk == own || chunk->number != number ||
		    keep->frames[chunk - keep->chunks][i] != frame ||
		    is_current(keep, chunk) != current)
			continue;
		if (current ? chunk->present >> i & 1 : chunk->tags[i])
			return chunk;
	}
	return NULL;
}

static void touch(struct keep *keep, struct chunk *chunk, unsigned int i, bool touched,
		  bool arriving)
{
	uint16_t tag = chunk->tags[i];

	if (tag == keep->now || chunk->stuck >> i & 1)
		return;
	if (chunk->suspect >> i & 1) {
		chunk->pending |= (uint64_t)touched << i;
		return;
	}
	/* Before we came nobody cleared the bit: it may have been set at any time. */
	if (tag == PAGESCAN_NEVER && (arriving || !touched)) {
		keep->counts->arrived[chunk->half][0]++;
		chunk->tags[i] = PAGESCAN_BEFORE;
	} else if (touched) {
		keep->counts->touched[chunk->half][tag]++;
		chunk->tags[i] = keep->now;
	}
}

/* The page of a process that ended, or that the parent has written to since: its place goes with it. */
static void inherit(struct keep *keep, struct chunk *own, unsigned int i, uint16_t frame)
{
	struct chunk *heir_of = same_frame(keep, own, own->number, i, frame, false);

	if (own->tags[i] || !heir_of || heir_of->half != own->half)
		return;
	own->tags[i] = heir_of->tags[i];
	heir_of->tags[i] = PAGESCAN_NEVER;
}

struct place {
	const struct source *source;
	const struct pfuse_page_record *record;
	uint64_t number;
	unsigned int first; /* page of the chunk that the record begins with */
	struct chunk *own;  /* NULL: none yet */
};

static struct chunk *own_chunk(struct keep *keep, struct place *place)
{
	uint8_t half = place->record->page / PFUSE_PAGES_CHUNK >> keep->level & 1;

	if (!place->own)
		place->own = add(keep, place->number,
				 place->source->object ? 0 : place->source->space, half);
	if (place->own)
		freshen(keep, place->own);
	return place->own;
}

static void take_resident(struct keep *keep, struct place *place, unsigned int i, bool touched)
{
	bool arriving = keep->arriving || place->source->arriving;
	bool private = keep->frames && !place->source->object;
	uint16_t frame = private ? frame_of(place->record, i - place->first) : 0;
	struct chunk *other =
		private ? same_frame(keep, place->own, place->number, i, frame, true) : NULL;

	if (other) {
		touch(keep, other, i, touched, arriving);
		return;
	}
	struct chunk *own = own_chunk(keep, place);

	if (!own)
		return;
	if (private) {
		inherit(keep, own, i, frame);
		keep->frames[own - keep->chunks][i] = frame;
	}
	own->present |= 1ull << i;
	touch(keep, own, i, touched, arriving);
}

/* Its place is kept; nothing is known of its sharing, and little lost by that. */
static void take_out(struct keep *keep, struct place *place, unsigned int i)
{
	struct chunk *own = own_chunk(keep, place);

	if (!own)
		return;
	own->out |= 1ull << i;
	touch(keep, own, i, false, keep->arriving || place->source->arriving);
}

static struct place place_of(struct keep *keep, const struct source *source,
			     const struct pfuse_page_record *record)
{
	struct place place = { .source = source,
			       .record = record,
			       .number = number_of(source, record),
			       .first = record->page % PFUSE_PAGES_CHUNK };

	place.own = find(keep, place.number, source->object ? 0 : source->space);
	return place;
}

static uint64_t bits_of(const struct place *place)
{
	return (~0ull >> (64 - place->record->count)) << place->first;
}

uint64_t keep_record(struct keep *keep, const struct source *source,
		     const struct pfuse_page_record *record)
{
	struct place place = place_of(keep, source, record);
	uint64_t set = 0;

	if (place.own) {
		freshen(keep, place.own);
		place.own->covered |= bits_of(&place);
	}
	for (unsigned int i = 0; i < record->count; i++) {
		uint64_t entry = entry_at(record, i);
		bool touched = entry & ENTRY_ACCESSED;

		if (is_nothing(record, entry))
			continue;
		keep->entries[is_object(source)]++;
		if (is_resident(record, entry)) {
			take_resident(keep, &place, place.first + i, touched);
			set |= (uint64_t)touched << i;
		} else {
			take_out(keep, &place, place.first + i);
		}
	}
	if (place.own)
		place.own->covered |= bits_of(&place);
	return set;
}

void keep_again(struct keep *keep, const struct source *source,
		const struct pfuse_page_record *record)
{
	struct place place = place_of(keep, source, record);
	bool private = keep->frames && !source->object;

	for (unsigned int i = 0; i < record->count; i++) {
		uint64_t entry = entry_at(record, i);
		unsigned int at = place.first + i;
		struct chunk *chunk = place.own;

		if (is_nothing(record, entry) || !is_resident(record, entry))
			continue;
		if (private && !(chunk && is_current(keep, chunk) && chunk->present >> at & 1))
			chunk = same_frame(keep, place.own, place.number, at, frame_of(record, i),
					   true);
		if (!chunk)
			continue;
		chunk->checked = 1;
		if (entry & ENTRY_ACCESSED)
			chunk->again |= 1ull << at;
	}
}

/* The end of a turn */

/* Still set after a clearing, then found set: that proves nothing, so it gets its place and no more. */
static void place_pending(struct keep *keep, struct chunk *chunk)
{
	for (uint64_t pending = chunk->pending & ~chunk->stuck; pending; pending &= pending - 1) {
		unsigned int i = (unsigned int)__builtin_ctzll(pending);

		if (chunk->tags[i])
			leave(keep, chunk, i);
		keep->counts->arrived[chunk->half][1]++;
		chunk->tags[i] = keep->now;
	}
}

static void judge(struct keep *keep, struct chunk *chunk)
{
	uint64_t before = chunk->stuck;

	if (chunk->checked)
		chunk->stuck = chunk->again & (chunk->suspect | chunk->stuck);
	place_pending(keep, chunk);
	chunk->suspect = chunk->again;
	for (uint64_t fresh = chunk->stuck & ~before; fresh; fresh &= fresh - 1) {
		unsigned int i = (unsigned int)__builtin_ctzll(fresh);

		if (chunk->tags[i])
			leave(keep, chunk, i);
	}
}

/*
 * Entries of a file's page go when it is evicted: as long as somebody maps that part, it keeps its place as
 * if it were swapped. Anonymous memory without an entry is no more.
 */
static void end_chunk(struct keep *keep, struct chunk *chunk, struct keep_totals *totals)
{
	if (!is_current(keep, chunk)) {
		drop(keep, chunk);
		return;
	}
	judge(keep, chunk);
	uint64_t stay = chunk->present | chunk->out;
	int object = chunk->number >> 63;

	if (object)
		stay |= chunk->covered;
	for (unsigned int i = 0; i < PFUSE_PAGES_CHUNK; i++) {
		if (!chunk->tags[i])
			continue;
		if (!(stay >> i & 1))
			leave(keep, chunk, i);
		else if (!(chunk->present >> i & 1))
			totals->out[object]++;
	}
	totals->present[object] += (uint64_t)__builtin_popcountll(chunk->present);
	totals->stuck[object] += (uint64_t)__builtin_popcountll(chunk->present & chunk->stuck);
}

void keep_end(struct keep *keep, struct keep_totals *ret)
{
	struct keep_totals totals = { 0 };

	for (uint32_t i = 0; i < keep->count; i++)
		if (keep->chunks[i].used)
			end_chunk(keep, &keep->chunks[i], &totals);
	*ret = totals;
}

void keep_unstick(struct keep *keep)
{
	for (uint32_t i = 0; i < keep->count; i++)
		keep->chunks[i].stuck = keep->chunks[i].suspect = keep->chunks[i].again = 0;
	keep->unstuck = true;
}
