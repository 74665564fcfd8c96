/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hierarchy.h"

int hierarchy_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	int err = write(fd, text, strlen(text)) < 0 ? -errno : 0;

	close(fd);
	return err;
}

static uint32_t v1_hierarchy_id(const char *controller)
{
	FILE *table = fopen("/proc/cgroups", "re");
	char name[64];
	unsigned int id = 0, found = 0;

	while (table && fscanf(table, "%63s %u %*[^\n]", name, &id) >= 1)
		if (!strcmp(name, controller)) {
			found = id;
			break;
		}
	if (table)
		fclose(table);
	return found;
}

static bool has_option(const char *options, const char *option)
{
	char copy[256], *rest = copy;

	snprintf(copy, sizeof(copy), "%s", options);
	for (char *one = strsep(&rest, ","); one; one = strsep(&rest, ","))
		if (!strcmp(one, option))
			return true;
	return false;
}

/* One line of mountinfo: is it the v1 memory hierarchy, or the v2 tree (taken only without the former)? */
static void take_mount(char *line, struct hierarchy *found)
{
	char mount[256], type[32], options[256], *tail = strstr(line, " - ");

	if (!tail || sscanf(line, "%*s %*s %*s %*s %255s", mount) != 1 ||
	    sscanf(tail, " - %31s %*s %255s", type, options) != 2)
		return;
	bool v1 = !strcmp(type, "cgroup") && has_option(options, "memory");

	if (v1 || (!strcmp(type, "cgroup2") && !found->mount[0])) {
		snprintf(found->mount, sizeof(found->mount), "%s", mount);
		found->v2 = !v1;
		found->id = v1 ? v1_hierarchy_id("memory") : 0;
	}
}

static void find_mount(struct hierarchy *found)
{
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	char line[4096];

	while (mounts && fgets(line, sizeof(line), mounts) && (!found->mount[0] || found->v2))
		take_mount(line, found);
	if (mounts)
		fclose(mounts);
}

const char *hierarchy_v2_mount(void)
{
	static char mount[256];
	FILE *mounts = mount[0] ? NULL : fopen("/proc/self/mountinfo", "re");
	char line[4096];

	while (mounts && !mount[0] && fgets(line, sizeof(line), mounts))
		if (strstr(line, " - cgroup2 ") &&
		    sscanf(line, "%*s %*s %*s %*s %255s", mount) != 1)
			mount[0] = 0;
	if (mounts)
		fclose(mounts);
	return mount[0] ? mount : NULL;
}

bool hierarchy_enable_memory(const char *dir)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", dir);
	return hierarchy_write(path, "+memory") == 0;
}

const struct hierarchy *hierarchy(const char **ret_why)
{
	static struct hierarchy found;

	if (!found.mount[0])
		find_mount(&found);
	if (!found.mount[0]) {
		*ret_why = "no cgroup hierarchy with a memory controller is mounted";
		return NULL;
	}
	if (found.v2 && !hierarchy_enable_memory(found.mount)) {
		*ret_why = "the memory controller cannot be enabled in the root of the v2 tree";
		return NULL;
	}
	return &found;
}
