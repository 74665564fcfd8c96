/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/system.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/num.h"

#define TEXT 4096 /* no file that is read here has its facts further in */

/* The head of a file below root; "" if it cannot be read. */
static bool read_text(int root_fd, const char *path, char text[TEXT])
{
	if (fd_read_head_at(root_fd, path, text, TEXT, NULL) == 0)
		return true;
	text[0] = '\0';
	return false;
}

static void read_word(int root_fd, const char *path, char *word, size_t size)
{
	char text[TEXT];
	size_t n;

	read_text(root_fd, path, text);
	n = strcspn(text, "\n");
	if (n >= size)
		n = size - 1;
	memcpy(word, text, n);
	word[n] = '\0';
}

static bool is_there(int root_fd, const char *path)
{
	return faccessat(root_fd, path, F_OK, 0) == 0;
}

/* What follows `key` at the beginning of a line, blanks skipped; NULL: no such line. */
static const char *find_line(const char *text, const char *key)
{
	size_t n = strlen(key);

	while (text) {
		if (strncmp(text, key, n) == 0)
			return text + n + strspn(text + n, " \t");
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	return NULL;
}

static const char *next_word(const char *text)
{
	text += strcspn(text, " \t\n");
	return text + strspn(text, " \t");
}

static void read_privileges(const char *status, struct system_info *info)
{
	const char *line = find_line(status, "Uid:"); /* real, effective, saved, fs */
	uint64_t uid;

	info->root = line && num_parse(next_word(line), NULL, &uid) == 0 && uid == 0;
	line = find_line(status, "CapEff:");
	info->capabilities = line ? strtoull(line, NULL, 16) : 0;
}

static uint64_t limit_value(const char *text)
{
	uint64_t value;

	if (strncmp(text, "unlimited", 9) == 0)
		return UINT64_MAX;
	return num_parse(text, NULL, &value) == 0 ? value : 0;
}

static void read_limits(int root_fd, struct system_info *info)
{
	char text[TEXT];
	const char *line;

	read_text(root_fd, "proc/self/limits", text);
	line = find_line(text, "Max open files");
	if (!line)
		return;
	info->files_soft = limit_value(line);
	info->files_hard = limit_value(next_word(line));
}

/* Filename, type, size in KiB, used, priority; blanks in the name are \040. */
static void read_swaps(int root_fd, struct system_info *info)
{
	char text[TEXT];
	const char *line;
	uint64_t kib;

	read_text(root_fd, "proc/swaps", text);
	line = strchr(text, '\n'); /* the head */
	while (line && line[1]) {
		bool zram = strncmp(++line, "/dev/zram", 9) == 0;

		if (num_parse(next_word(next_word(line)), NULL, &kib) == 0)
			*(zram ? &info->zram_bytes : &info->swap_bytes) += kib * 1024;
		line = strchr(line, '\n');
	}
}

static enum system_lockdown read_lockdown(int root_fd)
{
	char text[TEXT];

	read_text(root_fd, "sys/kernel/security/lockdown", text);
	if (strstr(text, "[confidentiality]"))
		return LOCKDOWN_CONFIDENTIALITY;
	return strstr(text, "[integrity]") ? LOCKDOWN_INTEGRITY : LOCKDOWN_NONE;
}

static void read_sched_ext(int root_fd, struct system_info *info)
{
	char state[16];

	info->sched_ext_built = is_there(root_fd, "sys/kernel/sched_ext/state");
	read_word(root_fd, "sys/kernel/sched_ext/state", state, sizeof(state));
	if (strcmp(state, "enabled") != 0)
		return;
	read_word(root_fd, "sys/kernel/sched_ext/root/ops", info->sched_ext,
		  sizeof(info->sched_ext));
	if (!info->sched_ext[0])
		strcpy(info->sched_ext, "unnamed");
}

static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (list += strspn(list, " \t"); *list && *list != '\n'; list = next_word(list))
		if (strncmp(list, word, n) == 0 && strchr(" \t\n", list[n]))
			return true;
	return false;
}

static enum system_place place_of(const struct cgroup_tree *tree, enum cgroup_controller controller)
{
	char enabled[TEXT];
	int index = tree ? tree->serves[controller] : -1;

	if (index < 0)
		return PLACE_NONE;
	if (!tree->hierarchies[index].v2)
		return PLACE_V1;
	/* These two are part of every v2 group: there is nothing to hand down. */
	if (controller == CGROUP_CPUACCT || controller == CGROUP_FREEZER)
		return PLACE_V2;
	read_text(tree->hierarchies[index].fd, "cgroup.subtree_control", enabled);
	return has_word(enabled, cgroup_controller_name(controller)) ? PLACE_V2
								     : PLACE_V2_NOT_ENABLED;
}

/*
 * The root of v2 has no cgroup.freeze, so a child must show it. With no child there is no counter-
 * evidence: every kernel that we support has it.
 */
static bool can_freeze(const struct cgroup_tree *tree)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;
	bool children = false;
	char path[NAME_MAX + 16];
	int fd;

	if (!tree || tree->v2 < 0)
		return false;
	fd = openat(tree->hierarchies[tree->v2].fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return false;
	}
	while ((entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		children = true;
		snprintf(path, sizeof(path), "%s/cgroup.freeze", entry->d_name);
		if (is_there(dirfd(dir), path))
			return true;
	}
	return !children;
}

/* Of the running kernel, whatever `root_fd` shows: a system call leaves no file to look at. */
static bool can_pidfd(void)
{
	_cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	return fd >= 0;
}

static bool flag_is(int root_fd, const char *path, char yes)
{
	char word[8];

	read_word(root_fd, path, word, sizeof(word));
	return word[0] == yes;
}

/* A mask in hex, "0x0007": bit 0 is the main switch. */
static bool read_mglru(int root_fd)
{
	char word[24];

	read_word(root_fd, "sys/kernel/mm/lru_gen/enabled", word, sizeof(word));
	return strtoull(word, NULL, 16) & 1;
}

int system_read(int root_fd, const struct cgroup_tree *tree, struct system_info *ret)
{
	struct system_info info = { 0 };
	char text[TEXT];
	int r;

	r = fd_read_head_at(root_fd, "proc/self/status", text, sizeof(text), NULL);
	if (r < 0)
		return r;
	read_privileges(text, &info);
	read_word(root_fd, "proc/sys/kernel/osrelease", info.kernel, sizeof(info.kernel));
	info.btf = is_there(root_fd, "sys/kernel/btf/vmlinux");
	/* With psi=0 the files exist, and reading them fails. */
	info.psi = read_text(root_fd, "proc/pressure/memory", text);
	info.tracefs = is_there(root_fd, "sys/kernel/tracing/events") ||
		       is_there(root_fd, "sys/kernel/debug/tracing/events");
	info.autogroup = flag_is(root_fd, "proc/sys/kernel/sched_autogroup_enabled", '1');
	info.zswap = flag_is(root_fd, "sys/module/zswap/parameters/enabled", 'Y');
	info.mglru = read_mglru(root_fd);
	info.lockdown = read_lockdown(root_fd);
	info.freeze = can_freeze(tree);
	info.pidfd = can_pidfd();
	read_sched_ext(root_fd, &info);
	read_swaps(root_fd, &info);
	read_limits(root_fd, &info);
	for (int i = 0; i < CGROUP_CONTROLLERS; i++)
		info.controllers[i] = place_of(tree, i);
	*ret = info;
	return 0;
}

bool system_capable(const struct system_info *system, unsigned capability)
{
	return system->capabilities >> capability & 1;
}
