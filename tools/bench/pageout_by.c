/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Moves the memory of GROUP out by one of the ways that there are, and prints how long that took.
 *
 *	pageout_by reclaim|force_empty|advise GROUP	exit status 3: not to be had here
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "edge/cgroup.h"
#include "edge/pages.h"
#include "edge/pages_advise.h"

static enum pages_how parse(const char *word)
{
	static const char *const words[] = {
		[PAGES_RECLAIM] = "reclaim",
		[PAGES_FORCE_EMPTY] = "force_empty",
		[PAGES_ADVISE] = "advise",
	};

	for (int how = PAGES_RECLAIM; how <= PAGES_ADVISE; how++)
		if (strcmp(word, words[how]) == 0)
			return (enum pages_how)how;
	return PAGES_NOT;
}

static bool is_here(enum pages_how how, const struct cgroup *group)
{
	enum pages_how best = pages_find_how(group->fd);

	return how == best || (how == PAGES_ADVISE && pages_advise_available());
}

static int move_out(enum pages_how how, const struct cgroup_tree *tree, const struct cgroup *group,
		    struct pages *pages, struct err *err)
{
	int r = pages_begin_by(how, tree, group, pages, err);

	if (r < 0)
		return r;
	while ((r = pages_step(pages)) > 0)
		if (pages->child)
			clock_sleep_us(1000);
	return r < 0 ? err_set(err, r, "%s", strerror(-r)) : 0;
}

int main(int argc, char *argv[])
{
	enum pages_how how = argc == 3 ? parse(argv[1]) : PAGES_NOT;
	struct cgroup_tree tree;
	struct cgroup group;
	struct pages pages;
	struct err err;

	if (how == PAGES_NOT) {
		fprintf(stderr, "usage: pageout_by reclaim|force_empty|advise GROUP\n");
		return 2;
	}
	int r = cgroup_tree_open(NULL, &tree, &err);

	if (r == 0)
		r = cgroup_open(&tree, argv[2], &group, &err);
	if (r == 0 && !is_here(how, &group))
		return 3;
	uint64_t from_ns = clock_now_ns();

	if (r == 0)
		r = move_out(how, &tree, &group, &pages, &err);
	if (r < 0) {
		fprintf(stderr, "pageout_by: %s\n", err.text);
		return 1;
	}
	printf("%llu -> %llu MiB in %llu ms\n", (unsigned long long)pages.before_bytes >> 20,
	       (unsigned long long)pages.after_bytes >> 20,
	       (unsigned long long)(clock_now_ns() - from_ns) / 1000000);
	pages_end(&pages);
	cgroup_close(&group);
	cgroup_tree_close(&tree);
	return 0;
}
