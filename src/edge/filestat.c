/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/filestat.h"

#include "base/fd.h"
#include "base/num.h"

#define PAGE_BYTES 4096
#define TEXT_BYTES 8192 /* some 3 KiB so far */

/* v1's figures without "total_" are those of the group alone. */
static uint64_t figure(const char *text, const char *v2, const char *v1)
{
	uint64_t value = 0;

	if (num_find_key(text, v1, &value) < 0)
		num_find_key(text, v2, &value);
	return value;
}

int filestat_read(int group_fd, struct filestat *ret)
{
	char text[TEXT_BYTES];
	int r = fd_read_head_at(group_fd, "memory.stat", text, sizeof(text), NULL);

	if (r < 0)
		return r;
	uint64_t all = figure(text, "file", "total_cache");
	uint64_t other = figure(text, "shmem", "total_shmem") +
			 figure(text, "file_mapped", "total_mapped_file");

	*ret = (struct filestat){
		.unmapped_pages = (all > other ? all - other : 0) / PAGE_BYTES,
		.refaults =
			figure(text, "workingset_refault_file", "total_workingset_refault_file"),
	};
	return 0;
}
