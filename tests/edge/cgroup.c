/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "made_up.h"

Test(tree, finds_the_anchor_of_each_layout)
{
	static const struct {
		enum layout layout;
		enum pfuse_anchor anchor;
		bool hybrid;
		unsigned int count;
	} table[] = {
		{ V1, PFUSE_ANCHOR_V1_MEMORY, false, 6 },
		{ V2, PFUSE_ANCHOR_V2, false, 1 },
		{ HYBRID, PFUSE_ANCHOR_V1_MEMORY, true, 7 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct made_up m;

		made_up_new(&m, table[i].layout);
		cr_expect_eq(cgroup_tree_anchor(&m.tree), table[i].anchor, "layout %zu", i);
		cr_expect_eq(cgroup_tree_is_hybrid(&m.tree), table[i].hybrid, "layout %zu", i);
		cr_expect_eq(m.tree.count, table[i].count, "layout %zu", i);
		cr_expect_eq(m.tree.serves[CGROUP_MEMORY], m.tree.anchor);
		made_up_free(&m);
	}
}

Test(tree, knows_who_serves_what_on_a_hybrid_host)
{
	struct made_up m;

	made_up_new(&m, HYBRID);
	cr_expect_eq(m.tree.serves[CGROUP_CPU], m.tree.serves[CGROUP_CPUACCT]);
	cr_expect_neq(m.tree.serves[CGROUP_CPU], m.tree.v2);
	cr_expect_eq(m.tree.serves[CGROUP_PIDS], -1);
	cr_expect_eq(cgroup_tree_needed(&m.tree, CGROUP_BIT(CGROUP_PIDS)),
		     1u << m.tree.anchor | 1u << m.tree.v2);
	cr_expect_eq(cgroup_tree_needed(&m.tree, CGROUP_BIT(CGROUP_CPUSET)),
		     1u << m.tree.anchor | 1u << m.tree.v2 | 1u << m.tree.serves[CGROUP_CPUSET]);
	made_up_free(&m);
}

/* Rewrites mountinfo and opens it. */
static int open_with(struct made_up *m, const char *mountinfo, struct cgroup_tree *tree,
		     struct err *err)
{
	made_up_write(m, "mountinfo", mountinfo);
	return made_up_open_tree(m, tree, err);
}

Test(tree, takes_one_mount_of_each_hierarchy)
{
	struct cgroup_tree tree;
	struct made_up m;
	char text[2048];
	struct err err;

	made_up_new(&m, V2);
	made_up_dir(&m, "with space");
	made_up_write(&m, "with space/cgroup.controllers", "memory\n");
	made_up_dir(&m, "bind");
	made_up_write(&m, "bind/cgroup.controllers", "memory\n");
	snprintf(text, sizeof(text),
		 "garbage\n1 2\n- - -\n"
		 "40 25 0:40 /part %s/bind rw - cgroup2 cgroup2 rw\n"
		 "41 25 0:40 / %s/with\\040space rw master:1 - cgroup2 cgroup2 rw\n"
		 "42 25 0:40 / %s/v2 rw - cgroup2 cgroup2 rw\n",
		 m.dir, m.dir, m.dir);
	cr_assert_eq(open_with(&m, text, &tree, &err), 0, "%s", err.text);
	cr_expect_eq(tree.count, 1);
	cr_expect_not_null(strstr(tree.hierarchies[0].path, "/with space"));
	cr_expect_str_eq(tree.hierarchies[0].base, "/");
	cgroup_tree_close(&tree);
	made_up_free(&m);
}

Test(tree, says_what_is_missing)
{
	struct cgroup_tree tree;
	struct err err = { "" };
	struct made_up m;
	char text[512];

	made_up_new(&m, V2);
	cr_expect_eq(open_with(&m, "25 1 0:25 / / rw - tmpfs tmpfs rw\n", &tree, &err), -ENOENT);
	cr_expect_not_null(strstr(err.text, "no cgroup file system is mounted"));
	made_up_write(&m, "v2/cgroup.controllers", "cpu pids\n");
	snprintf(text, sizeof(text), "40 25 0:40 / %s/v2 rw - cgroup2 cgroup2 rw\n", m.dir);
	cr_expect_eq(open_with(&m, text, &tree, &err), -ENOENT);
	cr_expect_not_null(strstr(err.text, "memory controller"));
	made_up_remove(&m, "mountinfo");
	cr_expect_eq(made_up_open_tree(&m, &tree, &err), -ENOENT);
	cr_expect_not_null(strstr(err.text, "mountinfo"));
	made_up_free(&m);
}

Test(tree, does_not_believe_a_mount_of_another_type)
{
	struct cgroup_tree tree;
	struct err err = { "" };
	struct made_up m;
	char text[512];

	/* The hook answers "v1" for a directory without cgroup.controllers. */
	made_up_new(&m, V2);
	made_up_dir(&m, "covered");
	snprintf(text, sizeof(text), "40 25 0:40 / %s/covered rw - cgroup2 cgroup2 rw\n", m.dir);
	cr_expect_eq(open_with(&m, text, &tree, &err), -ENOENT);
	made_up_free(&m);
}

Test(cgroup, opens_by_every_form_of_its_path)
{
	static const char *const forms[] = {
		"a/b",
		"a//b/",
		"./a/./b",
		"a/b/.",
		"%s/v1/memory/a/b",
		"%s/v2/a/b",
		"%s/v2//a/b//",
		"%s//v1/./memory/a/b",
	};
	struct cgroup first;
	struct made_up m;

	made_up_new(&m, HYBRID);
	made_up_group(&m, "a/b", &first);
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		char path[256];
		struct cgroup group;
		struct err err;

		if (forms[i][0] == '%')
			snprintf(path, sizeof(path), "%s%s", m.dir, forms[i] + 2);
		else
			snprintf(path, sizeof(path), "%s", forms[i]);
		cr_assert_eq(cgroup_open(&m.tree, path, &group, &err), 0, "%s", err.text);
		cr_expect_eq(group.id, first.id);
		cr_expect_str_eq(group.path, "a/b");
		cgroup_close(&group);
	}
	cgroup_close(&first);
	made_up_free(&m);
}

static void expect_refusal(const struct made_up *m, const char *path, int code, const char *words)
{
	struct cgroup group = { .fd = -7 };
	struct err err = { "" };

	cr_expect_eq(cgroup_open(&m->tree, path, &group, &err), code, "%s: %s", path, err.text);
	cr_expect_not_null(strstr(err.text, words), "%s: %s", path, err.text);
	cr_expect_null(strchr(err.text, '\n'));
	cr_expect_eq(group.fd, -7, "written on failure");
}

Test(cgroup, refuses_with_a_sentence_of_its_own)
{
	char path[5000], link[256];
	struct cgroup group;
	struct made_up m;

	made_up_new(&m, HYBRID);
	made_up_group(&m, "a", &group);
	cgroup_close(&group);
	made_up_dir(&m, "v2/only");
	made_up_dir(&m, "outside");
	snprintf(path, sizeof(path), "%s/outside", m.dir);
	snprintf(link, sizeof(link), "%s/v1/memory/link", m.dir);
	cr_assert_eq(symlink(path, link), 0);
	snprintf(link, sizeof(link), "%s/v1/memory/inner", m.dir);
	cr_assert_eq(symlink("a", link), 0);

	expect_refusal(&m, "", -EINVAL, "empty");
	expect_refusal(&m, "nothing", -ENOENT, "there is no such group");
	expect_refusal(&m, "a/nothing", -ENOENT, "there is no such group");
	expect_refusal(&m, "only", -ENOENT, "only, not in");
	expect_refusal(&m, "..", -EINVAL, "\"..\"");
	expect_refusal(&m, "a/../..", -EINVAL, "\"..\"");
	expect_refusal(&m, "a/..", -EINVAL, "\"..\"");
	expect_refusal(&m, ".", -EOPNOTSUPP, "root group");
	expect_refusal(&m, "link", -ELOOP, "symlink");
	expect_refusal(&m, "inner", -ELOOP, "symlink");
	expect_refusal(&m, "link/x", -ELOOP, "symlink");
	expect_refusal(&m, "a/cgroup.procs", -ENOTDIR, "not a directory");
	expect_refusal(&m, "a\nb", -EINVAL, "control character");
	expect_refusal(&m, "/", -EXDEV, "outside");
	expect_refusal(&m, "/etc", -EXDEV, "outside");
	expect_refusal(&m, path, -EXDEV, "outside");
	snprintf(path, sizeof(path), "%s/v1/memory", m.dir);
	expect_refusal(&m, path, -EOPNOTSUPP, "root group");
	strcat(path, "ry/a"); /* a mount path is no prefix of a longer name */
	expect_refusal(&m, path, -EXDEV, "outside");
	snprintf(path, sizeof(path), "%s/v2/nothing", m.dir);
	expect_refusal(&m, path, -ENOENT, "there is no such group");
	memset(path, 'x', 300);
	path[300] = '\0';
	expect_refusal(&m, path, -ENAMETOOLONG, "too long");
	memset(path, 'y', 4096);
	path[4096] = '\0';
	expect_refusal(&m, path, -ENAMETOOLONG, "4096 bytes");
	made_up_free(&m);
}

Test(cgroup, notices_that_it_is_gone)
{
	struct cgroup group, closed = { 0 };
	struct made_up m;

	made_up_new(&m, V1);
	made_up_group(&m, "a", &group);
	cr_expect_not(cgroup_gone(&group));
	made_up_remove(&m, "v1/memory/a/cgroup.procs");
	cr_expect(cgroup_gone(&group));
	cgroup_close(&group);
	cgroup_close(&group);
	cgroup_close(&closed);
	made_up_free(&m);
}

Test(cgroup, counts_processes_below_it)
{
	struct cgroup group, child;
	uint32_t count = 0;
	struct made_up m;

	made_up_new(&m, V2);
	made_up_group(&m, "a", &group);
	made_up_group(&m, "a/b/c", &child);
	made_up_write(&m, "v2/a/b/cgroup.procs", "");
	made_up_write(&m, "v2/a/cgroup.procs", "10\n11\n0\n");
	made_up_write(&m, "v2/a/b/c/cgroup.procs", "12\n");
	cr_expect_eq(cgroup_count_procs(&group, &count), 0);
	cr_expect_eq(count, 3);
	made_up_remove(&m, "v2/a/cgroup.procs");
	cr_expect_eq(cgroup_count_procs(&group, &count), -ENOENT);
	cgroup_close(&child);
	cgroup_close(&group);
	made_up_free(&m);
}
