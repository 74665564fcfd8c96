/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "edge/zram.h"

static FILE *open_file(int root_fd, const char *path)
{
	int fd = openat(root_fd, path, O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "re");

	if (!file && fd >= 0)
		close(fd);
	return file;
}

static uint64_t memory_of(int root_fd, unsigned device)
{
	char path[64];
	uint64_t used = 0;

	snprintf(path, sizeof(path), "sys/block/zram%u/mm_stat", device);
	_cleanup_fclose_ FILE *file = open_file(root_fd, path);

	if (!file || fscanf(file, "%*u %*u %" SCNu64, &used) != 1)
		return 0;
	return used;
}

int zram_read(int root_fd, uint64_t *ret_used, uint64_t *ret_swapped)
{
	uint64_t used = 0, swapped = 0, size_kib, used_kib;
	char line[512];
	unsigned device;
	_cleanup_fclose_ FILE *swaps = open_file(root_fd, "proc/swaps");

	while (swaps && fgets(line, sizeof(line), swaps)) {
		const char *name = strstr(line, "/zram");

		if (!name || sscanf(name, "/zram%u %*s %" SCNu64 " %" SCNu64, &device, &size_kib,
				    &used_kib) != 3)
			continue;
		used += memory_of(root_fd, device);
		swapped += used_kib * 1024;
	}
	if (!swapped)
		return -ENOENT;
	*ret_used = used;
	*ret_swapped = swapped;
	return 0;
}
