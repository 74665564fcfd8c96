/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The multi-gen LRU's list, made up: whose lines count, which generation is what, what it refuses. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "edge/lrugen.h"
#include "made_up.h"

#define LIST "sys/kernel/debug/lru_gen"
#define ENABLED "sys/kernel/mm/lru_gen/enabled"

/* A command is written over the beginning of what is a plain file here. */
#define ROOM "                                                                        \n"

static struct made_up m;
static int root;

static void setup(void)
{
	made_up_new(&m, V2);
	made_up_dir(&m, "sys");
	made_up_dir(&m, "sys/kernel");
	made_up_dir(&m, "sys/kernel/debug");
	made_up_dir(&m, "sys/kernel/mm");
	made_up_dir(&m, "sys/kernel/mm/lru_gen");
	root = open(m.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void teardown(void)
{
	close(root);
	made_up_free(&m);
}

TestSuite(lrugen, .init = setup, .fini = teardown);

static void enable(const char *list)
{
	made_up_write(&m, ENABLED, "0x0007\n");
	made_up_write(&m, LIST, list);
}

static struct lrugen *opened(const char *path)
{
	struct lrugen *lru = NULL;
	struct err err = { "" };

	cr_assert_eq(lrugen_open(root, path, &lru, &err), 0, "%s", err.text);
	return lru;
}

static void expect_pages(struct lrugen *lru, uint64_t touched, uint64_t before, uint64_t older)
{
	struct lrugen_pages pages;
	struct err err = { "" };

	cr_assert_eq(lrugen_age(lru, &pages, &err), 0, "%s", err.text);
	cr_expect_eq(pages.touched, touched, "touched: %lu", pages.touched);
	cr_expect_eq(pages.before, before, "before: %lu", pages.before);
	cr_expect_eq(pages.older, older, "older: %lu", pages.older);
}

Test(lrugen, groups_below_count_and_neighbours_do_not)
{
	struct lrugen *lru;

	enable(ROOM "memcg     1 /\n node     0\n          7     860  1000  1000 \n"
		    "memcg     2 /a/b\n node     0\n          4     860  1     20 \n"
		    "          5     500  300   4000 \n node     1\n          9     10   0 50000 \n"
		    "memcg     3 /a/bc\n node     0\n          4     860  1000   1000 \n"
		    "memcg     4 /a/b/c d\n node     0\n          4     860  600000   0 \n"
		    "memcg     5 /x/a/b\n node     0\n          4     860  1000   1000 \n");
	lru = opened("a/b");
	expect_pages(lru, 0, 0, 654321);
	lrugen_close(lru);
}

Test(lrugen, generations_are_told_by_the_look_before)
{
	struct lrugen *lru;

	enable(ROOM "memcg     2 /a\n node     0\n 0 860 100 0\n 1 860 200 0\n 2 860 0 300\n");
	lru = opened("a");
	expect_pages(lru, 0, 0, 600);
	/* The one that was the youngest, 2, ends; 3 is new. Some of 0 and 1 were used. */
	made_up_write(&m, LIST,
		      ROOM "memcg     2 /a\n node     0\n 0 1860 50 0\n 1 1860 190 0\n"
			   " 2 860 60 300\n 3 0 7 0\n");
	expect_pages(lru, 367, 190, 50);
	/* The kernel began 4 by itself in between; what is in 3 and 4 was used since. */
	made_up_write(&m, LIST,
		      ROOM "memcg     2 /a\n node     0\n 1 1860 200 0\n 2 1860 100 200\n"
			   " 3 860 60 0\n 4 0 40 1\n 5 0 0 0\n");
	expect_pages(lru, 101, 300, 200);
	lrugen_close(lru);
}

Test(lrugen, the_command_names_group_node_and_youngest)
{
	struct lrugen *lru;

	enable(ROOM "memcg  4711 /a\n node     0\n 41 860 100 0\n 42 860 200 0\n");
	lru = opened("a");
	expect_pages(lru, 0, 0, 300);
	cr_expect_eq(strncmp(made_up_read(&m, LIST), "+ 4711 0 42 1 1", 15), 0, "%s",
		     made_up_read(&m, LIST));
	lrugen_close(lru);
}

Test(lrugen, a_group_without_pages_is_told)
{
	struct lrugen_pages pages;
	struct err err = { "" };
	struct lrugen *lru;

	enable(ROOM "memcg 1 /other\n node 0\n 1 1 1 1\n");
	lru = opened("a");
	cr_expect_eq(lrugen_age(lru, &pages, &err), -ESRCH);
	lrugen_close(lru);
}

static void expect_refused(const char *sentence)
{
	struct lrugen *lru = NULL;
	struct err err = { "" };

	cr_expect_eq(lrugen_open(root, "a", &lru, &err), -EOPNOTSUPP);
	cr_expect(strstr(err.text, sentence), "%s", err.text);
}

Test(lrugen, why_it_is_not_there)
{
	expect_refused("has no multi-gen LRU");
	made_up_write(&m, ENABLED, "0x0000\n");
	expect_refused("echo y >/sys/kernel/mm/lru_gen/enabled");
	made_up_write(&m, ENABLED, "0x0001\n");
	expect_refused("mount -t debugfs");
}
