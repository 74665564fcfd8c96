/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/lrugen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/num.h"

#define ENABLED "sys/kernel/mm/lru_gen/enabled"
#define DEBUGFS "sys/kernel/debug"
#define LISTS_MAX 256 /* groups below the group, times nodes */
#define COMMAND                                                                                    \
	"+ %llu %llu %llu 1 1" /* group, node, youngest; anonymous pages too, whatever is young */

/* The pages of one group on one node. */
struct list {
	uint64_t group, node;
	uint64_t youngest; /* generation, now */
	uint64_t since;	   /* the youngest at the end of the last look; 0: none yet */
	bool seen;
};

struct lrugen {
	int debugfs;
	char *path;
	size_t length;
	struct list lists[LISTS_MAX];
	uint32_t count;
};

int lrugen_probe(int root_fd, struct err *err)
{
	char text[32] = "";
	_cleanup_close_ int enabled = openat(root_fd, ENABLED, O_RDONLY | O_CLOEXEC);
	ssize_t got = enabled < 0 ? 0 : read(enabled, text, sizeof(text) - 1);

	if (enabled < 0)
		return err_set(err, -EOPNOTSUPP, "this kernel has no multi-gen LRU");
	if (got <= 0 || !(strtoul(text, NULL, 16) & 1))
		return err_set(err, -EOPNOTSUPP,
			       "the multi-gen LRU is switched off; echo y >/" ENABLED);
	if (faccessat(root_fd, DEBUGFS "/lru_gen", R_OK | W_OK, 0) < 0)
		return err_set(err, -EOPNOTSUPP,
			       "/" DEBUGFS
			       "/lru_gen is not there; mount -t debugfs none /" DEBUGFS);
	return 0;
}

int lrugen_open(int root_fd, const char *path, struct lrugen **ret, struct err *err)
{
	int r = lrugen_probe(root_fd, err);

	if (r < 0)
		return r;
	struct lrugen *lru = calloc(1, sizeof(*lru));

	if (!lru)
		return err_set(err, -ENOMEM, "out of memory");
	lru->debugfs = openat(root_fd, DEBUGFS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	lru->path = strdup(path);
	if (lru->debugfs < 0 || !lru->path) {
		r = lru->debugfs < 0 ? -errno : -ENOMEM;
		lrugen_close(lru);
		return err_set(err, r, "/" DEBUGFS ": %s", strerror(-r));
	}
	lru->length = strlen(path);
	*ret = lru;
	return 0;
}

void lrugen_close(struct lrugen *lru)
{
	if (!lru)
		return;
	if (lru->debugfs >= 0)
		close(lru->debugfs);
	free(lru->path);
	free(lru);
}

static struct list *find_list(struct lrugen *lru, uint64_t group, uint64_t node)
{
	for (uint32_t i = 0; i < lru->count; i++)
		if (lru->lists[i].group == group && lru->lists[i].node == node)
			return &lru->lists[i];
	if (lru->count == LISTS_MAX)
		return NULL;
	lru->lists[lru->count] = (struct list){ .group = group, .node = node };
	return &lru->lists[lru->count++];
}

static bool is_ours(const struct lrugen *lru, const char *path, const char *end)
{
	if (*path != '/' || strncmp(path + 1, lru->path, lru->length) != 0)
		return false;
	path += 1 + lru->length;
	return path == end || (path < end && *path == '/');
}

/* So many numbers of a line, white space between them. */
static bool numbers(const char *line, uint64_t *values, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		line += strspn(line, " \t");
		if (num_parse(line, &line, &values[i]) < 0)
			return false;
	}
	return true;
}

/* A generation: its number, its age in ms, anonymous pages, pages of files. */
static void take_generation(struct list *list, const uint64_t values[4], struct lrugen_pages *ret)
{
	uint64_t pages = values[2] + values[3];

	list->seen = true;
	if (values[0] > list->youngest)
		list->youngest = values[0];
	if (values[0] >= list->since && list->since)
		ret->touched += pages;
	else if (values[0] + 1 == list->since)
		ret->before += pages;
	else
		ret->older += pages;
}

/*
 *	memcg     2 /x
 *	 node     0
 *	          0        860          0           0
 */
static void parse(struct lrugen *lru, const char *text, struct lrugen_pages *ret)
{
	uint64_t group = 0, values[4];
	struct list *list = NULL;
	bool ours = false;

	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		const char *at = line + strspn(line, " \t"), *end = line + strcspn(line, "\n");

		if (strncmp(at, "memcg ", 6) == 0) {
			at += 6 + strspn(at + 6, " ");
			ours = num_parse(at, &at, &group) == 0 &&
			       is_ours(lru, at + strspn(at, " "), end);
			list = NULL;
		} else if (ours && strncmp(at, "node ", 5) == 0) {
			list = numbers(at + 5, values, 1) ? find_list(lru, group, values[0]) : NULL;
		} else if (list && numbers(at, values, 4)) {
			take_generation(list, values, ret);
		}
	}
}

static int look(struct lrugen *lru, struct lrugen_pages *ret)
{
	_cleanup_free_ char *text = NULL;
	int r = fd_load_at(lru->debugfs, "lru_gen", &text);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < lru->count; i++)
		lru->lists[i].seen = false;
	parse(lru, text, ret);
	for (uint32_t i = lru->count; i > 0; i--)
		if (!lru->lists[i - 1].seen)
			lru->lists[i - 1] = lru->lists[--lru->count];
	return lru->count ? 0 : -ESRCH;
}

/* A generation that the kernel began in between makes ours stale: at the next look, then. */
static int begin_generation(const struct lrugen *lru, const struct list *list)
{
	_cleanup_close_ int fd = openat(lru->debugfs, "lru_gen", O_WRONLY | O_CLOEXEC);
	char command[96];
	int r;

	if (fd < 0)
		return -errno;
	snprintf(command, sizeof(command), COMMAND, (unsigned long long)list->group,
		 (unsigned long long)list->node, (unsigned long long)list->youngest);
	r = write(fd, command, strlen(command)) < 0 ? -errno : 0;
	return r == -EINVAL || r == -ERANGE ? 0 : r;
}

int lrugen_age(struct lrugen *lru, struct lrugen_pages *ret, struct err *err)
{
	struct lrugen_pages before = { 0 }, pages = { 0 };
	uint64_t began_ns = clock_thread_ns();
	int r = look(lru, &before);

	for (uint32_t i = 0; r == 0 && i < lru->count; i++)
		r = begin_generation(lru, &lru->lists[i]);
	if (r == 0)
		r = look(lru, &pages);
	if (r < 0)
		return err_set(err, r, "lru_gen: %s",
			       r == -ESRCH ? "the group has no pages" : strerror(-r));
	for (uint32_t i = 0; i < lru->count; i++)
		lru->lists[i].since = lru->lists[i].youngest;
	pages.spent_ns = clock_thread_ns() - began_ns;
	*ret = pages;
	return 0;
}
