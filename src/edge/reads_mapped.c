/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/reads_mapped.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"

#define PAGE_BYTES 4096
#define MAPPINGS_MAX 4096 /* of files that are read, too; with more, some pages count twice */

/* Of an entry in /proc/PID/pagemap: present, or in swap. */
#define ENTRY_THERE (3ull << 62)

struct reads_mapping {
	uint32_t file;
	pid_t pid;
	uint64_t first, end; /* pages in the file */
	uint64_t start;	     /* page of the address space that `first` is at */
};

void reads_mapped_open(struct reads_mapped *mapped, int proc_fd)
{
	*mapped = (struct reads_mapped){ .proc_fd = proc_fd, .pagemap = -1 };
}

static void close_pagemap(struct reads_mapped *mapped)
{
	if (mapped->pagemap >= 0)
		close(mapped->pagemap);
	mapped->pagemap = -1;
	mapped->pid = 0;
}

void reads_mapped_close(struct reads_mapped *mapped)
{
	close_pagemap(mapped);
	free(mapped->mappings);
}

void reads_mapped_clear(struct reads_mapped *mapped)
{
	close_pagemap(mapped); /* the pid may be another's by the next time */
	mapped->count = 0;
	for (int i = 0; i < 64; i++)
		mapped->wanted[i] = 0;
}

void reads_mapped_want(struct reads_mapped *mapped, uint32_t file)
{
	mapped->wanted[file >> 6 & 63] |= 1ull << (file & 63);
}

static bool is_wanted(const struct reads_mapped *mapped, uint32_t file)
{
	return mapped->wanted[file >> 6 & 63] >> (file & 63) & 1;
}

static bool make_room(struct reads_mapped *mapped)
{
	uint32_t room = mapped->room ? 2 * mapped->room : 16;

	if (mapped->count < mapped->room)
		return true;
	void *bigger = room > MAPPINGS_MAX
			       ? NULL
			       : reallocarray(mapped->mappings, room, sizeof(*mapped->mappings));

	if (!bigger)
		return false;
	mapped->mappings = bigger;
	mapped->room = room;
	return true;
}

void reads_mapped_note(struct reads_mapped *mapped, pid_t pid, const struct pfuse_mapping *mapping)
{
	uint64_t pages = (mapping->end - mapping->start) / PAGE_BYTES;

	if (!mapping->file || !is_wanted(mapped, (uint32_t)mapping->file) || !make_room(mapped))
		return;
	mapped->mappings[mapped->count++] = (struct reads_mapping){
		.file = (uint32_t)mapping->file,
		.pid = pid,
		.first = mapping->offset,
		.end = mapping->offset + pages,
		.start = mapping->start / PAGE_BYTES,
	};
}

static bool open_pagemap(struct reads_mapped *mapped, pid_t pid)
{
	char name[32];

	if (mapped->pid == pid)
		return mapped->pagemap >= 0;
	close_pagemap(mapped);
	snprintf(name, sizeof(name), "%d/pagemap", (int)pid);
	mapped->pagemap = openat(mapped->proc_fd, name, O_RDONLY | O_CLOEXEC);
	mapped->pid = pid;
	return mapped->pagemap >= 0;
}

static bool is_there(struct reads_mapped *mapped, const struct reads_mapping *mapping,
		     uint32_t index)
{
	uint64_t page = mapping->start + (index - mapping->first), entry = 0;

	return open_pagemap(mapped, mapping->pid) &&
	       fd_pread_all(mapped->pagemap, &entry, sizeof(entry),
			    (off_t)(page * sizeof(entry))) == 0 &&
	       entry & ENTRY_THERE;
}

bool reads_mapped_has(struct reads_mapped *mapped, uint32_t file, uint32_t index)
{
	for (uint32_t i = 0; i < mapped->count; i++) {
		const struct reads_mapping *mapping = &mapped->mappings[i];

		if (mapping->file == file && index >= mapping->first && index < mapping->end &&
		    is_there(mapped, mapping, index))
			return true;
	}
	return false;
}
