/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rig.h"

#define GROUPS_MAX 64
#define UNLIMITED_FROM (1ULL << 62)

static struct group *made[GROUPS_MAX];
static size_t nmade;

static int write_text(const char *path, const char *text)
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

static bool enable_memory(const char *dir)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", dir);
	return write_text(path, "+memory") == 0;
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
	if (found.v2 && !enable_memory(found.mount)) {
		*ret_why = "the memory controller cannot be enabled in the root of the v2 tree";
		return NULL;
	}
	return &found;
}

struct group *group_make_at(const char *dir, const char *name)
{
	struct group *group = calloc(1, sizeof(*group));
	struct stat st;

	cr_assert(group && nmade < GROUPS_MAX);
	snprintf(group->path, sizeof(group->path), "%s/%s", dir, name);
	cr_assert(mkdir(group->path, 0755) == 0, "mkdir %s: %s", group->path, strerror(errno));
	made[nmade++] = group;
	cr_assert(stat(group->path, &st) == 0);
	group->id = st.st_ino;
	return group;
}

struct group *group_make(const struct group *parent, const char *name)
{
	const char *why, *pid = getenv("PFUSE_TEST_PID");
	char full[64];

	cr_assert(pid && hierarchy(&why));
	snprintf(full, sizeof(full), "pfuse-test-%s-%s", pid, name);
	return parent ? group_make_at(parent->path, name) : group_make_at(hierarchy(&why)->mount, full);
}

void group_add(const struct group *group, pid_t pid)
{
	char path[PATH_MAX + 16], text[16];

	snprintf(path, sizeof(path), "%s/cgroup.procs", group->path);
	snprintf(text, sizeof(text), "%d", pid);
	int err = write_text(path, text);

	cr_assert(!err, "%s > %s: %s", text, path, strerror(-err));
}

/* The last exit is seen a moment before the group counts as empty: EBUSY is tried again, for 5 s. */
static int remove_dir(const char *path)
{
	for (int tries = 0; tries < 500; tries++) {
		if (rmdir(path) == 0 || errno == ENOENT)
			return 0;
		if (errno != EBUSY)
			break;
		sleep_ms(10);
	}
	return -errno;
}

static void kill_members(const char *dir)
{
	char path[PATH_MAX + 16];
	int pid;

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	FILE *procs = fopen(path, "re");

	while (procs && fscanf(procs, "%d", &pid) == 1)
		kill(pid, SIGKILL);
	if (procs)
		fclose(procs);
}

void group_remove(struct group *group)
{
	kill_members(group->path);

	int err = remove_dir(group->path);

	cr_expect(!err, "rmdir %s: %s", group->path, strerror(-err));
	for (size_t i = 0; i < nmade; i++)
		if (made[i] == group)
			made[i] = NULL;
	free(group);
}

void groups_remove_all(void)
{
	while (nmade) {
		struct group *last = made[--nmade]; /* children were made after their parents */

		if (last)
			group_remove(last);
	}
}

static void sweep(const char *dir, const char *prefix)
{
	DIR *entries = opendir(dir);
	struct dirent *entry;

	while (entries && (entry = readdir(entries))) {
		char path[PATH_MAX];

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' ||
		    strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		kill_members(path);
		sweep(path, "");
		remove_dir(path);
	}
	if (entries)
		closedir(entries);
}

/* After a crash of a test: whatever bears our name. */
void groups_sweep(void)
{
	const char *why, *pid = getenv("PFUSE_TEST_PID");
	char prefix[64];

	snprintf(prefix, sizeof(prefix), "pfuse-test-%s-", pid);
	sweep(hierarchy(&why)->mount, prefix);
}

static const char *by_version(const char *v1, const char *v2)
{
	const char *why;

	return hierarchy(&why)->v2 ? v2 : v1;
}

void group_limit(const struct group *group, uint64_t bytes)
{
	char path[PATH_MAX + 32], text[32];

	snprintf(path, sizeof(path), "%s/%s", group->path,
		 by_version("memory.limit_in_bytes", "memory.max"));
	snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
	int err = write_text(path, text);

	cr_assert(!err, "%s > %s: %s", text, path, strerror(-err));
}

static uint64_t read_number(const struct group *group, const char *file)
{
	char path[PATH_MAX + 32];
	unsigned long long number = UINT64_MAX;

	snprintf(path, sizeof(path), "%s/%s", group->path, file);
	FILE *text = fopen(path, "re");

	if (!text || fscanf(text, "%llu", &number) != 1)
		number = UINT64_MAX;
	if (text)
		fclose(text);
	return number;
}

uint64_t group_limit_bytes(const struct group *group)
{
	uint64_t limit = read_number(group, by_version("memory.limit_in_bytes", "memory.max"));

	return limit >= UNLIMITED_FROM ? UINT64_MAX : limit;
}

uint64_t group_usage_bytes(const struct group *group)
{
	return read_number(group, by_version("memory.usage_in_bytes", "memory.current"));
}

uint64_t group_stat(const struct group *group, const char *file, const char *key)
{
	char path[PATH_MAX + 32], name[64];
	unsigned long long number, found = UINT64_MAX;

	snprintf(path, sizeof(path), "%s/%s", group->path, file);
	FILE *text = fopen(path, "re");

	while (text && fscanf(text, "%63s %llu", name, &number) == 2)
		if (!strcmp(name, key))
			found = number;
	if (text)
		fclose(text);
	return found;
}

void group_delegate(const struct group *group)
{
	const char *why;

	if (hierarchy(&why)->v2)
		cr_assert(enable_memory(group->path), "%s: cannot enable memory below", group->path);
}
