/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* v1's net_prio.ifpriomap in a made-up tree. What BPF does is in tests/kernel/netprio.c. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "edge/netprio.h"
#include "made_up.h"

#define FILE_NAME "net_prio.ifpriomap"
#define MAP "v1/net_prio/g/" FILE_NAME

struct fixture {
	struct made_up m;
	struct cgroup group;
	struct netprio *n;
};

static void set_up(struct fixture *f, const char *map)
{
	made_up_new(&f->m, V1);
	made_up_group(&f->m, "g", &f->group);
	made_up_dir(&f->m, "v1/net_prio/g");
	made_up_write(&f->m, "v1/net_prio/g/cgroup.procs", "");
	made_up_write(&f->m, MAP, map);
	made_up_ledger(&f->m);
	cr_assert_eq(netprio_open(&f->m.tree, &f->group, NULL, 0, &f->n), 0);
	cr_assert_eq(netprio_prepare(f->n, f->m.ledger), 0);
	cr_assert_eq(ledger_commit(f->m.ledger), 0);
}

static void tear_down(struct fixture *f)
{
	netprio_close(f->n);
	cgroup_close(&f->group);
	made_up_free(&f->m);
}

Test(netprio, writes_the_level_and_gives_the_old_one_back)
{
	for (int crash = 0; crash < 2; crash++) {
		struct fixture f;

		set_up(&f, "eth0 2\n");
		for (uint32_t level = 0; level < NETPRIO_LEVELS; level++) {
			char line[16];

			cr_expect_eq(netprio_set(f.n, f.m.ledger, level), 0);
			snprintf(line, sizeof(line), "eth0 %u", level);
			cr_expect_str_eq(made_up_read(&f.m, MAP), line);
		}
		cr_expect_eq(netprio_set(f.n, f.m.ledger, NETPRIO_LEVELS), -EINVAL);
		if (crash) {
			made_up_kill_ledger(&f.m);
			made_up_ledger(&f.m);
			cr_expect_eq(made_up_restore(&f.m).restored, 1, "%s", made_up_said);
		} else {
			cr_expect_eq(netprio_set(f.n, f.m.ledger, NETPRIO_RELEASE), 0);
		}
		cr_expect_str_eq(made_up_read(&f.m, MAP), "eth0 2");
		tear_down(&f);
	}
}

Test(netprio, a_foreign_value_of_one_interface_stops_all)
{
	struct fixture f;

	set_up(&f, "lo 0\neth0 0\n");
	made_up_write(&f.m, MAP, "lo 0\neth0 3\n");
	cr_expect_eq(netprio_set(f.n, f.m.ledger, 5), -ESTALE);
	cr_expect_str_eq(made_up_read(&f.m, MAP), "lo 0\neth0 3");
	cr_expect_eq(made_up_restore(&f.m).foreign, 1);
	cr_expect_not_null(strstr(made_up_said, "eth0 3"), "%s", made_up_said);
	tear_down(&f);
}

Test(netprio, finds_interfaces_that_come_later)
{
	struct fixture f;

	set_up(&f, "");
	cr_expect_eq(netprio_set(f.n, f.m.ledger, 5), 0);
	cr_expect_eq(ledger_live(f.m.ledger), 0);
	made_up_write(&f.m, MAP, "veth9 1\n");
	cr_expect_eq(netprio_set(f.n, f.m.ledger, 5), 0);
	cr_expect_str_eq(made_up_read(&f.m, MAP), "veth9 5");
	cr_expect_eq(made_up_restore(&f.m).restored, 1);
	cr_expect_str_eq(made_up_read(&f.m, MAP), "veth9 1");
	tear_down(&f);
}

Test(netprio, survives_odd_lines)
{
	static const char *const maps[] = {
		"\n\n",	  " 3\n",     "name_that_is_far_too_long 3\n", "eth0",
		"eth0\n", "eth0 x\n", "eth0 99999999999999999999999\n"
	};

	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		struct fixture f;

		set_up(&f, maps[i]);
		netprio_set(f.n, f.m.ledger, 4);
		made_up_restore(&f.m);
		tear_down(&f);
	}
}

Test(netprio, tells_a_lost_group_from_a_lacking_hierarchy)
{
	struct netprio *n = NULL;
	struct cgroup other;
	struct fixture f;

	set_up(&f, "eth0 2\n");
	made_up_group(&f.m, "other", &other);
	cr_expect_eq(netprio_open(&f.m.tree, &other, NULL, 0, &n), -ENOENT);
	cr_expect_null(n);
	made_up_remove(&f.m, "v1/memory/other/cgroup.procs");
	cr_expect_eq(netprio_open(&f.m.tree, &other, NULL, 0, &n), -ENODEV);
	cgroup_close(&other);
	made_up_remove(&f.m, MAP);
	made_up_remove(&f.m, "v1/net_prio/g/cgroup.procs");
	made_up_remove(&f.m, "v1/net_prio/g");
	cr_expect_eq(netprio_set(f.n, f.m.ledger, 4), -ENODEV);
	tear_down(&f);
}

Test(netprio, closing_nothing_is_allowed)
{
	netprio_close(NULL);
}
