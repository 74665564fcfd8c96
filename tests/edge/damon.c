/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* DAMON's files, made up: what it is asked for, what it refuses, and that nothing is left. */
#include "edge/damon.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "made_up.h"

#define MONITORS "sys/kernel/mm/damon/admin/kdamonds"
#define CONTEXT MONITORS "/0/contexts/0"

static struct made_up m;
static int root;

/* Plain files: what is written lies over the beginning of what was there. */
static void files(void)
{
	static const char *const dirs[] = {
		"sys",
		"sys/kernel",
		"sys/kernel/mm",
		"sys/kernel/mm/damon",
		"sys/kernel/mm/damon/admin",
		MONITORS,
		MONITORS "/0",
		MONITORS "/0/contexts",
		CONTEXT,
		CONTEXT "/targets",
		CONTEXT "/targets/0",
		CONTEXT "/targets/1",
		CONTEXT "/monitoring_attrs",
		CONTEXT "/monitoring_attrs/intervals",
		CONTEXT "/schemes",
		CONTEXT "/schemes/0",
		CONTEXT "/schemes/0/access_pattern",
		CONTEXT "/schemes/0/access_pattern/sz",
		CONTEXT "/schemes/0/access_pattern/age",
		CONTEXT "/schemes/0/access_pattern/nr_accesses",
		CONTEXT "/schemes/0/tried_regions",
	};
	static const char *const empty[] = {
		MONITORS "/0/state",
		MONITORS "/0/contexts/nr_contexts",
		CONTEXT "/operations",
		CONTEXT "/targets/nr_targets",
		CONTEXT "/targets/0/pid_target",
		CONTEXT "/targets/1/pid_target",
		CONTEXT "/monitoring_attrs/intervals/sample_us",
		CONTEXT "/monitoring_attrs/intervals/aggr_us",
		CONTEXT "/schemes/nr_schemes",
		CONTEXT "/schemes/0/action",
		CONTEXT "/schemes/0/access_pattern/sz/max",
		CONTEXT "/schemes/0/access_pattern/age/max",
		CONTEXT "/schemes/0/access_pattern/nr_accesses/min",
		CONTEXT "/schemes/0/access_pattern/nr_accesses/max",
	};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		made_up_dir(&m, dirs[i]);
	for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++)
		made_up_write(&m, empty[i], "");
	made_up_write(&m, MONITORS "/nr_kdamonds", "0\n");
	made_up_write(&m, CONTEXT "/avail_operations", "vaddr\nfvaddr\npaddr\n");
	made_up_write(&m, CONTEXT "/schemes/0/tried_regions/total_bytes", "53687091\n");
}

static void setup(void)
{
	made_up_new(&m, V2);
	root = open(m.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void teardown(void)
{
	close(root);
	made_up_free(&m);
}

TestSuite(damon, .init = setup, .fini = teardown);

static pid_t pids[DAMON_PROCESSES_MAX + 1] = { 4711, 4712 };
static const struct procs_list two = { .pids = pids, .count = 2 };

static void expect_refused(int code, const char *sentence, const struct procs_list *processes)
{
	struct damon *damon = NULL;
	struct err err = { "" };

	cr_expect_eq(damon_open(root, processes, &damon, &err), code, "%s", err.text);
	cr_expect(strstr(err.text, sentence), "%s", err.text);
	cr_expect_null(damon);
}

Test(damon, what_is_used_of_two_processes)
{
	struct damon *damon = NULL;
	struct err err = { "" };
	uint64_t bytes = 0;

	files();
	cr_assert_eq(damon_open(root, &two, &damon, &err), 0, "%s", err.text);
	cr_expect_str_eq(made_up_read(&m, CONTEXT "/operations"), "vaddr");
	cr_expect_str_eq(made_up_read(&m, CONTEXT "/targets/nr_targets"), "2");
	cr_expect_str_eq(made_up_read(&m, CONTEXT "/targets/1/pid_target"), "4712");
	cr_expect_str_eq(made_up_read(&m, CONTEXT "/schemes/0/action"), "stat");
	cr_expect_str_eq(made_up_read(&m, CONTEXT "/schemes/0/access_pattern/nr_accesses/min"),
			 "1");
	cr_expect_str_eq(made_up_read(&m, MONITORS "/0/state"), "on");
	cr_expect_eq(damon_read(damon, &bytes, &err), 0, "%s", err.text);
	cr_expect_eq(bytes, 53687091);
	made_up_write(&m, MONITORS "/0/state", "off\n");
	cr_expect_eq(damon_read(damon, &bytes, &err), -ESRCH, "its thread has ended");
	damon_close(damon);
	cr_expect_str_eq(made_up_read(&m, MONITORS "/0/state"), "off");
	cr_expect_eq(made_up_read(&m, MONITORS "/nr_kdamonds")[0], '0', "nothing is left");
}

Test(damon, somebody_elses_is_left_alone)
{
	struct err err = { "" };

	files();
	made_up_write(&m, MONITORS "/nr_kdamonds", "1\n");
	made_up_write(&m, MONITORS "/0/state", "on\n");
	cr_expect_eq(damon_probe(root, &err), -EBUSY);
	expect_refused(-EBUSY, "somebody uses DAMON", &two);
	cr_expect_str_eq(made_up_read(&m, MONITORS "/nr_kdamonds"), "1");
	cr_expect_str_eq(made_up_read(&m, MONITORS "/0/state"), "on");
}

Test(damon, what_it_refuses)
{
	const struct procs_list none = { 0 },
				many = { .pids = pids, .count = DAMON_PROCESSES_MAX + 1 };

	expect_refused(-EOPNOTSUPP, "no DAMON", &two);
	files();
	expect_refused(-EINVAL, "not for 0", &none);
	expect_refused(-EINVAL, "not for 65", &many);
	made_up_write(&m, CONTEXT "/avail_operations", "fvaddr\npaddr\n");
	expect_refused(-EOPNOTSUPP, "CONFIG_DAMON_VADDR", &two);
	cr_expect_eq(made_up_read(&m, MONITORS "/nr_kdamonds")[0], '0', "nothing is left");
	made_up_remove(&m, CONTEXT "/schemes/0/action");
	made_up_write(&m, CONTEXT "/avail_operations", "vaddr\n");
	expect_refused(-ENOENT, "schemes/0/action", &two);
	cr_expect_eq(made_up_read(&m, MONITORS "/nr_kdamonds")[0], '0', "nor then");
}
