/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/cvhrc_files.h"

#include <string.h>

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

/* Sampled hashes are all small, so their high bits would all lead to the same slots. */
static unsigned home(uint32_t hash)
{
	return (hash * 0x9e3779b1u) >> 19;
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

static void lower_threshold(struct cvhrc_files *files, struct cvhrc *c)
{
	files->threshold = (uint32_t)((uint64_t)files->threshold * KEEP_OF_16 / 16);
	for (unsigned i = 0; i < CVHRC_FILES_SLOTS; i++) {
		while (files->hash[i] >= files->threshold && files->hash[i]) {
			cvhrc_leave(c, plane_of(files->hash[i]), files->tag[i], 1);
			remove_at(files, i);
		}
	}
}

void cvhrc_files_read(struct cvhrc_files *files, struct cvhrc *c, uint32_t hash)
{
	unsigned i;

	hash += hash == 0;
	if (hash >= files->threshold)
		return;
	for (i = home(hash); files->hash[i] && files->hash[i] != hash; i = (i + 1) & MASK)
		;
	if (!files->hash[i]) {
		files->hash[i] = hash;
		files->tag[i] = CVHRC_NEVER;
		files->used++;
	}
	cvhrc_touch(c, plane_of(hash), files->tag[i], 1);
	files->tag[i] = cvhrc_now(c);
	while (files->used > CVHRC_FILES_MAX && files->threshold > 16)
		lower_threshold(files, c);
}
