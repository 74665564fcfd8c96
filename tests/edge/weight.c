/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "edge/weight.h"
#include "made_up.h"

struct fixture {
	struct made_up m;
	struct cgroup group;
	struct weight w;
	bool v2;
};

static const char *path_of(const struct fixture *f, const char *name)
{
	static char path[4][128];
	static int turn;
	char *out = path[turn++ % 4];

	snprintf(out, sizeof(path[0]), "%s/g/%s", f->v2 ? "v2" : "v1/cpu,cpuacct", name);
	return out;
}

static const char *file_of(const struct fixture *f)
{
	return path_of(f, f->v2 ? "cpu.weight" : "cpu.shares");
}

static void set_up(struct fixture *f, bool v2, const char *weight)
{
	*f = (struct fixture){ .v2 = v2 };
	made_up_new(&f->m, v2 ? V2 : V1);
	made_up_group(&f->m, "g", &f->group);
	if (!v2) {
		made_up_dir(&f->m, "v1/cpu,cpuacct/g");
		made_up_write(&f->m, "v1/cpu,cpuacct/g/cgroup.procs", "");
	}
	made_up_write(&f->m, file_of(f), weight);
	made_up_ledger(&f->m);
	weight_open(&f->m.tree, &f->group, &f->w);
}

static void tear_down(struct fixture *f)
{
	weight_close(&f->w);
	cgroup_close(&f->group);
	made_up_free(&f->m);
}

static const char *value(const struct fixture *f)
{
	return made_up_read(&f->m, file_of(f));
}

static void prepare(struct fixture *f)
{
	cr_assert_eq(weight_prepare(&f->w, f->m.ledger), 0);
	cr_assert_eq(ledger_commit(f->m.ledger), 0);
}

static int set(struct fixture *f, uint32_t weight)
{
	return weight_set(&f->w, f->m.ledger, weight);
}

Test(weight, one_unit_for_both_versions)
{
	static const struct {
		uint32_t weight;
		const char *v2, *v1;
	} table[] = {
		{ 1, "1", "10" },
		{ 2, "2", "20" },
		{ 15, "15", "154" },
		{ 100, "100", "1024" },
		{ 125, "125", "1280" },
		{ 8660, "8660", "88678" },
		{ 10000, "10000", "102400" },
	};

	for (int v2 = 0; v2 < 2; v2++) {
		struct fixture f;

		set_up(&f, v2, v2 ? "100\n" : "1024\n");
		prepare(&f);
		for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
			uint32_t weight = 0;

			cr_expect_eq(set(&f, table[i].weight), 0);
			cr_expect_str_eq(value(&f), v2 ? table[i].v2 : table[i].v1, "%u",
					 table[i].weight);
			cr_expect_eq(weight_read(&f.w, &weight), 0);
			cr_expect_eq(weight, table[i].weight, "%u reads back as %u",
				     table[i].weight, weight);
		}
		cr_expect_eq(set(&f, WEIGHT_MAX + 1), -ERANGE);
		cr_expect_str_eq(value(&f), v2 ? "10000" : "102400", "and is not written");
		tear_down(&f);
	}
}

Test(weight, shares_beyond_what_weights_express)
{
	uint32_t weight = 0;
	struct fixture f;

	set_up(&f, false, "2\n");
	cr_expect_eq(weight_read(&f.w, &weight), 0);
	cr_expect_eq(weight, WEIGHT_MIN);
	made_up_write(&f.m, file_of(&f), "262144\n");
	cr_expect_eq(weight_read(&f.w, &weight), 0);
	cr_expect_eq(weight, WEIGHT_MAX);
	prepare(&f);
	cr_expect_eq(set(&f, 100), 0);
	cr_expect_eq(set(&f, WEIGHT_RELEASE), 0);
	cr_expect_str_eq(value(&f), "262144", "given back as it was, not as a weight");
	tear_down(&f);
}

Test(weight, is_restored_after_a_kill)
{
	for (int v2 = 0; v2 < 2; v2++) {
		struct fixture f;

		set_up(&f, v2, "777\n");
		prepare(&f);
		cr_expect_eq(set(&f, 100), 0);
		cr_expect_eq(set(&f, 3), 0);
		made_up_kill_ledger(&f.m);
		made_up_ledger(&f.m);
		cr_expect_eq(made_up_restore(&f.m).restored, 1);
		cr_expect_str_eq(value(&f), "777");
		tear_down(&f);
	}
}

Test(weight, somebody_elses_is_left_alone)
{
	struct fixture f;

	set_up(&f, true, "100\n");
	prepare(&f);
	cr_expect_eq(set(&f, 50), 0);
	made_up_write(&f.m, file_of(&f), "70\n");
	cr_expect_eq(set(&f, 60), -ESTALE);
	cr_expect_str_eq(value(&f), "70");
	cr_expect_eq(made_up_restore(&f.m).foreign, 1);
	cr_expect_str_eq(value(&f), "70");
	tear_down(&f);
}

Test(weight, nothing_without_a_record)
{
	struct fixture f;

	set_up(&f, true, "100\n");
	cr_expect_eq(set(&f, 50), -EINVAL);
	cr_expect_str_eq(value(&f), "100");
	tear_down(&f);
}

Test(weight, an_idle_group_has_none)
{
	uint32_t weight = 7;
	struct fixture f;

	set_up(&f, true, "100\n");
	prepare(&f);
	made_up_write(&f.m, path_of(&f, "cpu.idle"), "1\n");
	cr_expect_eq(weight_read(&f.w, &weight), -EBUSY);
	cr_expect_eq(weight, 7);
	cr_expect_eq(weight_prepare(&f.w, f.m.ledger), -EBUSY);
	cr_expect_eq(set(&f, 50), -EBUSY);
	cr_expect_str_eq(value(&f), "100");
	cr_expect_not_null(strstr(weight_why(-EBUSY), "cpu.idle"));
	made_up_write(&f.m, path_of(&f, "cpu.idle"), "0\n");
	cr_expect_eq(set(&f, 50), 0);
	tear_down(&f);
}

Test(weight, without_a_controller_or_a_group)
{
	uint32_t weight;
	struct fixture f;

	set_up(&f, true, "100\n");
	made_up_remove(&f.m, file_of(&f));
	cr_expect_eq(weight_read(&f.w, &weight), -ENOENT);
	cr_expect_eq(weight_prepare(&f.w, f.m.ledger), -ENOENT);
	made_up_remove(&f.m, path_of(&f, "cgroup.procs"));
	cr_expect_eq(weight_read(&f.w, &weight), -ENODEV);
	tear_down(&f);

	set_up(&f, true, "lots\n");
	cr_expect_eq(weight_read(&f.w, &weight), -EBADMSG);
	tear_down(&f);
}

/* Another group has the path: its weight is not ours to set. */
Test(weight, another_group_of_the_same_path)
{
	char from[128], to[128];
	struct fixture f;

	set_up(&f, false, "1024\n");
	prepare(&f);
	snprintf(from, sizeof(from), "%s/v1/cpu,cpuacct/g", f.m.dir);
	snprintf(to, sizeof(to), "%s/v1/cpu,cpuacct/moved", f.m.dir);
	cr_assert_eq(rename(from, to), 0); /* stays, so that its inode is not used again */
	made_up_dir(&f.m, "v1/cpu,cpuacct/g");
	made_up_write(&f.m, file_of(&f), "1024\n");
	made_up_write(&f.m, path_of(&f, "cgroup.procs"), "");
	cr_expect_eq(set(&f, 50), -ENODEV);
	cr_expect_str_eq(value(&f), "1024");
	tear_down(&f);
}

Test(weight, tells_when_it_has_no_effect)
{
	struct made_up m;
	int root;

	made_up_new(&m, V2);
	root = open(m.dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cr_expect_null(weight_inert(root), "no sched_ext in this kernel");
	made_up_dir(&m, "sys");
	made_up_dir(&m, "sys/kernel");
	made_up_dir(&m, "sys/kernel/sched_ext");
	made_up_write(&m, "sys/kernel/sched_ext/state", "disabled\n");
	made_up_write(&m, "sys/kernel/sched_ext/switch_all", "0\n");
	cr_expect_null(weight_inert(root));
	made_up_write(&m, "sys/kernel/sched_ext/state", "enabled\n");
	cr_expect_null(weight_inert(root), "only tasks that asked for it");
	made_up_write(&m, "sys/kernel/sched_ext/switch_all", "1\n");
	cr_expect_not_null(weight_inert(root));
	close(root);
	made_up_free(&m);
}
