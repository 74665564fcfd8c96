/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/procs.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/num.h"

#define MAX_DEPTH 64	   /* groups below groups: one fd and one stack frame each */
#define MAX_ANCESTORS 4096 /* a made-up proc may have a loop of parents */

/* From here: the fields behind comm, numbered as in proc(5). */
enum {
	FIELD_STATE = 3,
	FIELD_PPID,
	FIELD_FLAGS = 9,
	FIELD_UTIME = 14,
	FIELD_STIME,
	FIELD_THREADS = 20,
	FIELD_STARTTIME = 22
};

static int parse_field(int field, const char *at, struct procs_stat *stat, uint64_t *ticks)
{
	uint64_t value;

	if (field == FIELD_STATE) {
		stat->state = *at;
		return 0;
	}
	if (field != FIELD_PPID && field != FIELD_FLAGS && field != FIELD_UTIME &&
	    field != FIELD_STIME && field != FIELD_THREADS && field != FIELD_STARTTIME)
		return 0;
	if (num_parse(at, NULL, &value) < 0)
		return -EBADMSG;
	if (field == FIELD_PPID)
		stat->ppid = (pid_t)value;
	else if (field == FIELD_FLAGS)
		stat->flags = (uint32_t)value;
	else if (field == FIELD_THREADS)
		stat->threads = (uint32_t)value;
	else if (field == FIELD_STARTTIME)
		stat->starttime = value;
	else
		*ticks += value;
	return 0;
}

int procs_parse_stat(const char *text, struct procs_stat *ret_stat)
{
	struct procs_stat stat = { 0 };
	uint64_t pid, ticks = 0;
	const char *at, *close = strrchr(text, ')');
	size_t length;
	int field, r;

	if (num_parse(text, &at, &pid) < 0 || pid == 0 || pid > INT32_MAX ||
	    strncmp(at, " (", 2) != 0 || !close || close < at + 2)
		return -EBADMSG;
	stat.pid = (pid_t)pid;
	length = (size_t)(close - (at + 2));
	if (length >= sizeof(stat.comm))
		length = sizeof(stat.comm) - 1;
	memcpy(stat.comm, at + 2, length);
	at = close + 1;
	for (field = FIELD_STATE; field <= FIELD_STARTTIME; field++) {
		if (*at != ' ' || !at[1] || at[1] == ' ')
			return -EBADMSG;
		at++;
		r = parse_field(field, at, &stat, &ticks);
		if (r < 0)
			return r;
		at += strcspn(at, " \n");
	}
	stat.cpu_ns = ticks * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
	*ret_stat = stat;
	return 0;
}

static int read_file_of(int proc_fd, pid_t pid, const char *file, char *buf, size_t size)
{
	char name[64];
	int r;

	snprintf(name, sizeof(name), "%d/%s", (int)pid, file);
	r = fd_read_head_at(proc_fd, name, buf, size, NULL);
	return r == -ENOENT ? -ESRCH : r;
}

int procs_read_stat(int proc_fd, pid_t pid, struct procs_stat *ret_stat)
{
	struct procs_stat stat;
	char text[1024];
	int r = read_file_of(proc_fd, pid, "stat", text, sizeof(text));

	if (r < 0)
		return r;
	r = procs_parse_stat(text, &stat);
	if (r < 0)
		return r;
	if (stat.pid != pid)
		return -EBADMSG;
	*ret_stat = stat;
	return 0;
}

void procs_list_free(struct procs_list *list)
{
	free(list->pids);
	*list = (struct procs_list){ 0 };
}

int procs_list_add(struct procs_list *list, pid_t pid)
{
	if (list->count == list->room) {
		uint32_t room = list->room ? list->room * 2 : 16;
		pid_t *pids = reallocarray(list->pids, room, sizeof(*pids));

		if (!pids)
			return -ENOMEM;
		list->pids = pids;
		list->room = room;
	}
	list->pids[list->count++] = pid;
	return 0;
}

static int compare_pids(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

void procs_list_sort(struct procs_list *list)
{
	uint32_t kept = 0;

	if (list->count == 0)
		return;
	qsort(list->pids, list->count, sizeof(*list->pids), compare_pids);
	for (uint32_t i = 1; i < list->count; i++)
		if (list->pids[i] != list->pids[kept])
			list->pids[++kept] = list->pids[i];
	list->count = kept + 1;
}

bool procs_list_has(const struct procs_list *sorted, pid_t pid)
{
	return sorted->count > 0 &&
	       bsearch(&pid, sorted->pids, sorted->count, sizeof(pid), compare_pids);
}

/* cgroup.procs, one block at a time: a number may be cut at the end of a block. */
static int each_in_file(int dirfd, int (*each)(void *arg, pid_t pid), void *arg)
{
	_cleanup_close_ int fd = openat(dirfd, "cgroup.procs", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char block[1024]; /* 150 of them: the loop reads this, and its stack is to stay small */
	uint64_t pid = 0;
	bool digits = false;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, block, sizeof(block))) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			int r;

			if (block[i] >= '0' && block[i] <= '9') {
				pid = pid * 10 + (uint64_t)(block[i] - '0');
				digits = true;
				if (pid > INT32_MAX)
					return -EBADMSG;
				continue;
			}
			/* 0: a process of an outer pid namespace, which has no name here. */
			r = digits && pid > 0 ? each(arg, (pid_t)pid) : 0;
			if (r < 0)
				return r;
			pid = 0;
			digits = false;
		}
	}
	return n < 0 ? -errno : 0;
}

static int walk(int group_fd, unsigned int depth, int (*each)(void *arg, pid_t pid), void *arg);

static int walk_child(int dirfd, const struct dirent64 *entry, unsigned int depth,
		      int (*each)(void *arg, pid_t pid), void *arg)
{
	_cleanup_close_ int fd = -1;
	int r;

	if ((entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN) || entry->d_name[0] == '.')
		return 0;
	fd = openat(dirfd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	r = walk(fd, depth + 1, each, arg);
	/* A child that vanished meanwhile has no processes; a threaded one has its root's. */
	return r == -ENOENT || r == -ENODEV || r == -EOPNOTSUPP ? 0 : r;
}

/* getdents64 on a small buffer: opendir(3) takes 32 KiB of heap for each level. */
static int walk(int group_fd, unsigned int depth, int (*each)(void *arg, pid_t pid), void *arg)
{
	_Alignas(struct dirent64) char buf[1024];
	_cleanup_close_ int dir = -1;
	ssize_t n;
	int r = each_in_file(group_fd, each, arg);

	if (r < 0)
		return r;
	if (depth == MAX_DEPTH)
		return -ELOOP;
	dir = openat(group_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	while ((n = getdents64(dir, buf, sizeof(buf))) > 0) {
		for (char *at = buf; at < buf + n;) {
			const struct dirent64 *entry = (const struct dirent64 *)at;

			r = walk_child(dir, entry, depth, each, arg);
			if (r < 0)
				return r;
			at += entry->d_reclen;
		}
	}
	return n < 0 ? -errno : 0;
}

int procs_each(int group_fd, bool deep, int (*each)(void *arg, pid_t pid), void *arg)
{
	return deep ? walk(group_fd, 0, each, arg) : each_in_file(group_fd, each, arg);
}

static int add_one(void *arg, pid_t pid)
{
	return procs_list_add(arg, pid);
}

int procs_of_group(int group_fd, bool deep, struct procs_list *ret_list)
{
	_cleanup_(procs_list_free) struct procs_list list = { 0 };
	int r = procs_each(group_fd, deep, add_one, &list);

	if (r < 0)
		return r;
	procs_list_sort(&list);
	*ret_list = list;
	list = (struct procs_list){ 0 };
	return 0;
}

/* Two lists of the same length: process i has parent parents[i]. */
struct family {
	struct procs_list pids;
	struct procs_list parents;
};

static void free_family(struct family *family)
{
	procs_list_free(&family->pids);
	procs_list_free(&family->parents);
}

static int add_to_family(struct family *family, int proc_fd, const char *name)
{
	struct procs_stat stat;
	uint64_t pid;

	if (num_parse_all(name, &pid) < 0 || pid > INT32_MAX ||
	    procs_read_stat(proc_fd, (pid_t)pid, &stat) < 0)
		return 0;
	if (procs_list_add(&family->pids, stat.pid) < 0 ||
	    procs_list_add(&family->parents, stat.ppid) < 0)
		return -ENOMEM;
	return 0;
}

static int read_family(int proc_fd, struct family *family)
{
	_Alignas(struct dirent64) char buf[4096];
	_cleanup_close_ int dir = openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ssize_t n;

	if (dir < 0)
		return -errno;
	while ((n = getdents64(dir, buf, sizeof(buf))) > 0) {
		for (char *at = buf; at < buf + n;) {
			const struct dirent64 *entry = (const struct dirent64 *)at;

			if (add_to_family(family, proc_fd, entry->d_name) < 0)
				return -ENOMEM;
			at += entry->d_reclen;
		}
	}
	return n < 0 ? -errno : 0;
}

/* A round adds the children of all that were found before: as many rounds as generations. */
static int grow_tree(const struct family *family, struct procs_list *tree)
{
	uint32_t before;

	do {
		before = tree->count;
		for (uint32_t i = 0; i < family->pids.count; i++) {
			const struct procs_list known = { .pids = tree->pids, .count = before };

			if (procs_list_has(&known, family->parents.pids[i]) &&
			    !procs_list_has(&known, family->pids.pids[i]) &&
			    procs_list_add(tree, family->pids.pids[i]) < 0)
				return -ENOMEM;
		}
		procs_list_sort(tree);
	} while (tree->count != before);
	return 0;
}

int procs_tree(int proc_fd, pid_t pid, struct procs_list *ret_list)
{
	_cleanup_(procs_list_free) struct procs_list tree = { 0 };
	_cleanup_(free_family) struct family family = { 0 };
	int r = read_family(proc_fd, &family);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < family.pids.count; i++)
		if (family.pids.pids[i] == pid && tree.count == 0 && procs_list_add(&tree, pid) < 0)
			return -ENOMEM;
	if (tree.count == 0)
		return -ESRCH;
	r = grow_tree(&family, &tree);
	if (r < 0)
		return r;
	*ret_list = tree;
	tree = (struct procs_list){ 0 };
	return 0;
}

int procs_ancestors(int proc_fd, pid_t pid, struct procs_list *ret_list)
{
	_cleanup_(procs_list_free) struct procs_list list = { 0 };
	struct procs_stat stat;
	int r;

	for (int i = 0; pid > 0; i++) {
		r = i < MAX_ANCESTORS ? procs_read_stat(proc_fd, pid, &stat) : -ELOOP;
		if (r < 0)
			return r;
		r = procs_list_add(&list, pid);
		if (r < 0)
			return r;
		pid = stat.ppid;
	}
	procs_list_sort(&list);
	*ret_list = list;
	list = (struct procs_list){ 0 };
	return 0;
}

/* "4:memory,x:/path" or "0::/path": the path if the line is the hierarchy's. */
static char *path_of_line(char *line, const struct cgroup_hierarchy *hierarchy)
{
	char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;
	char *save, *name;

	if (!path)
		return NULL;
	*path++ = '\0';
	names++;
	if (hierarchy->v2)
		return strncmp(line, "0:", 2) == 0 && !*names ? path : NULL;
	for (name = strtok_r(names, ",", &save); name; name = strtok_r(NULL, ",", &save))
		if (hierarchy->name && strcmp(name, hierarchy->name) == 0)
			return path;
	return NULL;
}

/* The mount may show only a part of the hierarchy ("base"). */
static int below_base(const char *path, const char *base, char **ret_path)
{
	size_t length = strcmp(base, "/") == 0 ? 0 : strlen(base);

	if (strncmp(path, base, length) != 0 || (path[length] && path[length] != '/') ||
	    strncmp(path, "/..", 3) == 0)
		return -EXDEV;
	path += length;
	*ret_path = strdup(path + strspn(path, "/"));
	return *ret_path ? 0 : -ENOMEM;
}

int procs_cgroup(int proc_fd, pid_t pid, const struct cgroup_hierarchy *hierarchy, char **ret_path)
{
	_cleanup_free_ char *line = NULL;
	_cleanup_fclose_ FILE *file = NULL;
	char name[32], *path;
	size_t size = 0;
	ssize_t n;
	int fd;

	snprintf(name, sizeof(name), "%d/cgroup", (int)pid);
	fd = openat(proc_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	file = fdopen(fd, "r");
	if (!file) {
		close_fd(&fd);
		return -ENOMEM;
	}
	while ((n = getline(&line, &size, file)) > 0) {
		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		path = path_of_line(line, hierarchy);
		if (path)
			return below_base(path, hierarchy->base, ret_path);
	}
	return -ENOENT;
}

int procs_private_bytes(int proc_fd, pid_t pid, uint64_t *ret_bytes)
{
	static const char *const keys[] = { "\nPrivate_Clean:", "\nPrivate_Dirty:" };
	char text[2048];
	uint64_t sum = 0;
	int r = read_file_of(proc_fd, pid, "smaps_rollup", text, sizeof(text));

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *at = strstr(text, keys[i]);
		uint64_t kib;

		if (!at)
			return -EBADMSG;
		at += strlen(keys[i]);
		if (num_parse(at + strspn(at, " "), NULL, &kib) < 0)
			return -EBADMSG;
		sum += kib * 1024;
	}
	*ret_bytes = sum;
	return 0;
}

int procs_open_pidfd(int proc_fd, pid_t pid, uint64_t starttime, int *ret_fd)
{
	_cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct procs_stat stat;
	int r;

	if (fd < 0)
		return errno == EINVAL ? -ESRCH : -errno;
	/* Read after the pidfd is open: from here on the pid cannot become another process's. */
	r = procs_read_stat(proc_fd, pid, &stat);
	if (r < 0)
		return r;
	if (stat.starttime != starttime)
		return -ESRCH;
	*ret_fd = TAKE_FD(fd);
	return 0;
}
