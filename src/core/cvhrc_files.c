/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/cvhrc_files.h"

#include <string.h>

#include "core/arith.h"

#define MASK (CVHRC_FILES_SLOTS - 1)

/* Of the threshold that is kept when the table is full: each time a sixteenth of the pages go. */
#define KEEP_OF_16 15

void cvhrc_files_init(struct cvhrc_files *files)
{
	memset(files, 0, sizeof(*files));
	files->threshold = UINT32_MAX;
}

void cvhrc_files_renumber(struct cvhrc_files *files, const struct cvhrc *c)
{
	for (unsigned i = 0; i < CVHRC_FILES_SLOTS; i++)
		if (files->hash[i])
			files->tag[i] = cvhrc_renumber(c, files->tag[i]);
}

/*
 * Sampled hashes are all small, so their high bits would all lead to the same slots; and those of neighbours
 * are evenly spaced, which one multiplication would keep.
 */
static unsigned home(uint32_t hash)
{
	hash = (hash ^ hash >> 16) * 0x85ebca6bu;
	return ((hash ^ hash >> 13) * 0xc2b2ae35u) >> 19;
}

_Static_assert(CVHRC_FILES_SLOTS == 1 << (32 - 19), "home() gives a slot");

static enum cvhrc_plane plane_of(uint32_t hash)
{
	return hash & 1 ? CVHRC_FILE_ODD : CVHRC_FILE_EVEN;
}

/* Linear probing without gaps: what comes after moves up where it may. */
static void remove_at(struct cvhrc_files *files, unsigned hole)
{
	unsigned i = hole;

	for (;;) {
		i = (i + 1) & MASK;
		if (!files->hash[i])
			break;
		if (((i - home(files->hash[i])) & MASK) >= ((i - hole) & MASK)) {
			files->hash[hole] = files->hash[i];
			files->tag[hole] = files->tag[i];
			hole = i;
		}
	}
	files->hash[hole] = 0;
	files->used--;
}

/* Of those that were there before and were not read, the share of the sample that goes. */
static void lower_before(const struct cvhrc_files *files, struct cvhrc *c, uint32_t threshold)
{
	for (unsigned plane = CVHRC_FILE_EVEN; plane <= CVHRC_FILE_ODD; plane++) {
		uint64_t before = arith_sub(c->count[plane][CVHRC_BEFORE],
					    c->touched[plane][CVHRC_BEFORE]);
		uint64_t stay = before * threshold / files->threshold;

		cvhrc_leave(c, plane, CVHRC_BEFORE, (uint32_t)(before - stay));
	}
}

void cvhrc_files_lower(struct cvhrc_files *files, struct cvhrc *c, uint32_t threshold)
{
	if (threshold >= files->threshold)
		return;
	lower_before(files, c, threshold);
	files->threshold = threshold;
	for (unsigned i = 0; i < CVHRC_FILES_SLOTS; i++) {
		while (files->hash[i] >= files->threshold && files->hash[i]) {
			cvhrc_leave(c, plane_of(files->hash[i]), files->tag[i], 1);
			remove_at(files, i);
		}
	}
}

void cvhrc_files_expect(const struct cvhrc_files *files, struct cvhrc *c, uint64_t pages)
{
	double half = (double)pages * files->threshold / 4294967296.0 / 2;
	uint32_t each = half < UINT32_MAX / 4 ? (uint32_t)(half + 0.5) : UINT32_MAX / 4;

	cvhrc_arrive(c, CVHRC_FILE_EVEN, false, each);
	cvhrc_arrive(c, CVHRC_FILE_ODD, false, each);
}

/* One of those that were there before; there were more than we were told. */
static void take_from_before(struct cvhrc *c, enum cvhrc_plane plane)
{
	if (c->touched[plane][CVHRC_BEFORE] >= c->count[plane][CVHRC_BEFORE])
		cvhrc_arrive(c, plane, false, 1);
}

bool cvhrc_files_read(struct cvhrc_files *files, struct cvhrc *c, uint32_t hash, bool added)
{
	enum cvhrc_plane plane;
	bool known;
	unsigned i;

	hash += hash == 0;
	plane = plane_of(hash);
	if (hash >= files->threshold)
		return false;
	for (i = home(hash); files->hash[i] && files->hash[i] != hash; i = (i + 1) & MASK)
		;
	known = files->hash[i];
	if (!known) {
		files->hash[i] = hash;
		files->tag[i] = added ? CVHRC_NEVER : CVHRC_BEFORE;
		files->used++;
		if (!added)
			take_from_before(c, plane);
	}
	cvhrc_touch(c, plane, files->tag[i], 1);
	files->tag[i] = cvhrc_now(c);
	while (files->used > CVHRC_FILES_MAX && files->threshold > 16)
		cvhrc_files_lower(files, c,
				  (uint32_t)((uint64_t)files->threshold * KEEP_OF_16 / 16));
	return known;
}
