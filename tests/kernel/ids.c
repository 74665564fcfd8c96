/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* By our own file descriptors, not by name: another copy of the daemon may run beside the test. */
#include <bpf/bpf.h>
#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#include "rig.h"

#define IDS_MAX (sizeof(((struct ids *)0)->id) / sizeof(uint32_t))

static void add(struct ids *ids, uint32_t id)
{
	for (size_t i = 0; i < ids->count; i++)
		if (ids->id[i] == id)
			return;
	cr_assert_lt(ids->count, IDS_MAX);
	ids->id[ids->count++] = id;
}

struct ids ids_of_programs(void)
{
	DIR *fds = opendir("/proc/self/fdinfo");
	struct ids ids = { .count = 0 };
	struct dirent *entry;
	unsigned int id;

	while (fds && (entry = readdir(fds))) {
		char path[300], line[128];

		snprintf(path, sizeof(path), "/proc/self/fdinfo/%s", entry->d_name);
		FILE *info = fopen(path, "re");

		while (info && fgets(line, sizeof(line), info))
			if (sscanf(line, "prog_id: %u", &id) == 1)
				add(&ids, id);
		if (info)
			fclose(info);
	}
	if (fds)
		closedir(fds);
	return ids;
}

static void add_maps_of(struct ids *maps, uint32_t program)
{
	uint32_t used[IDS_MAX] = { 0 };
	struct bpf_prog_info info = { .map_ids = (uintptr_t)used, .nr_map_ids = IDS_MAX };
	__u32 size = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(program);

	cr_assert(fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0);
	close(fd);
	for (size_t i = 0; i < info.nr_map_ids && i < IDS_MAX; i++)
		add(maps, used[i]);
}

struct ids ids_of_maps(const struct ids *programs)
{
	struct ids maps = { .count = 0 };

	for (size_t i = 0; i < programs->count; i++)
		add_maps_of(&maps, programs->id[i]);
	return maps;
}

size_t ids_alive(const struct ids *ids, int (*open)(uint32_t id))
{
	size_t alive = 0;

	for (size_t i = 0; i < ids->count; i++) {
		int fd = open(ids->id[i]);

		if (fd < 0)
			continue;
		alive++;
		close(fd);
	}
	return alive;
}
