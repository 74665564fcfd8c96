/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <dirent.h>
#include <errno.h>
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
	return parent ? group_make_at(parent->path, name)
		      : group_make_at(hierarchy(&why)->mount, full);
}

void group_add(const struct group *group, pid_t pid)
{
	char path[PATH_MAX + 16], text[16];

	snprintf(path, sizeof(path), "%s/cgroup.procs", group->path);
	snprintf(text, sizeof(text), "%d", pid);
	int err = hierarchy_write(path, text);

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

/* After a crash of a test: whatever bears our name, in all hierarchies. */
void groups_sweep(void)
{
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	char line[4096], at[256], type[32], prefix[64];

	snprintf(prefix, sizeof(prefix), "pfuse-test-%s-", getenv("PFUSE_TEST_PID"));
	while (mounts && fgets(line, sizeof(line), mounts)) {
		const char *tail = strstr(line, " - cgroup");

		if (tail && sscanf(line, "%*s %*s %*s %*s %255s", at) == 1 &&
		    sscanf(tail, " - %31s", type) == 1 &&
		    (!strcmp(type, "cgroup") || !strcmp(type, "cgroup2")))
			sweep(at, prefix);
	}
	if (mounts)
		fclose(mounts);
}

static const char *by_version(const char *v1, const char *v2)
{
	const char *why;

	return hierarchy(&why)->v2 ? v2 : v1;
}

/* Swap would take what the limit is to refuse. On v1 children inherit it if they are made afterwards. */
static void forbid_swap(const struct group *group)
{
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/%s", group->path,
		 by_version("memory.swappiness", "memory.swap.max"));
	(void)hierarchy_write(path, "0"); /* a kernel without swap has no file */
}

void group_limit(const struct group *group, uint64_t bytes)
{
	char path[PATH_MAX + 32], text[32];

	snprintf(path, sizeof(path), "%s/%s", group->path,
		 by_version("memory.limit_in_bytes", "memory.max"));
	snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
	int err = hierarchy_write(path, text);

	cr_assert(!err, "%s > %s: %s", text, path, strerror(-err));
	forbid_swap(group);
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
		cr_assert(hierarchy_enable_memory(group->path), "%s: cannot enable memory below",
			  group->path);
}
