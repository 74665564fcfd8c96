/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * mkdir(2) in a made-up tree makes no control files, so that a new group can be moved into only
 * after the test wrote its cgroup.procs; the whole way is tested on real cgroups.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "edge/group.h"
#include "edge/procs.h"
#include "made_up.h"

#define FOR_THROTTLES                                                                              \
	(CGROUP_BIT(CGROUP_CPU) | CGROUP_BIT(CGROUP_CPUACCT) | CGROUP_BIT(CGROUP_IO) |             \
	 CGROUP_BIT(CGROUP_NET_PRIO))
#define MEMORY_AND_CPU (CGROUP_BIT(CGROUP_MEMORY) | CGROUP_BIT(CGROUP_CPU))

Test(group, is_made_in_every_needed_hierarchy_and_removed)
{
	struct cgroup group;
	struct err err;
	struct made_up m;

	made_up_new(&m, HYBRID);
	made_up_ledger(&m);
	cr_assert_eq(group_create(&m.tree, m.ledger, "run-1", FOR_THROTTLES, &group, &err), 0, "%s",
		     err.text);
	cr_expect_str_eq(group.path, "pfuse/run-1");
	cr_expect(made_up_has(&m, "v1/memory/pfuse/run-1"));
	cr_expect(made_up_has(&m, "v1/cpu,cpuacct/pfuse/run-1"));
	cr_expect(made_up_has(&m, "v1/blkio/pfuse/run-1"));
	cr_expect(made_up_has(&m, "v1/net_prio/pfuse/run-1"));
	cr_expect(made_up_has(&m, "v2/pfuse/run-1"));
	cr_expect_not(made_up_has(&m, "v1/freezer/pfuse"));
	cr_expect_eq(ledger_live(m.ledger), 5);
	cgroup_close(&group);

	made_up_kill_ledger(&m);
	made_up_ledger(&m);
	cr_expect_eq(made_up_restore(&m).restored, 5);
	cr_expect_not(made_up_has(&m, "v1/memory/pfuse"));
	cr_expect_not(made_up_has(&m, "v2/pfuse"));
	made_up_free(&m);
}

Test(group, parent_stays_while_another_group_needs_it)
{
	struct cgroup a, b;
	struct made_up m;

	made_up_new(&m, V1);
	made_up_ledger(&m);
	cr_assert_eq(group_create(&m.tree, m.ledger, "a", 0, &a, NULL), 0);
	cr_assert_eq(group_create(&m.tree, m.ledger, "b", 0, &b, NULL), 0);
	cr_expect_eq(group_remove(&m.tree, "pfuse/a"), 0);
	cr_expect(made_up_has(&m, "v1/memory/pfuse/b"));
	cr_expect_eq(group_remove(&m.tree, "pfuse/b"), 0);
	cr_expect_not(made_up_has(&m, "v1/memory/pfuse"));
	cr_expect_eq(group_remove(&m.tree, "pfuse/b"), 0);
	cr_expect_eq(group_remove(&m.tree, "docker/x"), -EINVAL, "not ours");
	cr_expect_eq(group_remove(&m.tree, "pfuse/"), -EINVAL);
	cr_expect_eq(group_remove(&m.tree, "pfuse/../x"), -EINVAL);
	cgroup_close(&a);
	cgroup_close(&b);
	made_up_free(&m);
}

Test(group, on_v2_says_what_to_write_where)
{
	struct cgroup group;
	struct err err = { "" };
	struct made_up m;

	made_up_new(&m, V2);
	made_up_ledger(&m);
	made_up_write(&m, "v2/cgroup.subtree_control", "cpu pids memoryx\n");
	cr_expect_eq(group_create(&m.tree, m.ledger, "a", 0, &group, &err), -ENOTSUP);
	cr_expect_not_null(strstr(err.text, "write \"+memory\" to "), "%s", err.text);
	cr_expect_not_null(strstr(err.text, "/v2/cgroup.subtree_control"), "%s", err.text);
	cr_expect_not(made_up_has(&m, "v2/pfuse"), "rolled back");
	cr_expect_eq(ledger_live(m.ledger), 0);
	made_up_free(&m);
}

Test(group, on_v2_hands_controllers_down_below_pfuse_only)
{
	struct cgroup group;
	struct err err;
	struct made_up m;

	made_up_new(&m, V2);
	made_up_ledger(&m);
	made_up_dir(&m, "v2/pfuse");
	made_up_write(&m, "v2/pfuse/cgroup.subtree_control", "");
	cr_assert_eq(group_create(&m.tree, m.ledger, "a", 0, &group, &err), 0, "%s", err.text);
	cr_expect_str_eq(made_up_read(&m, "v2/pfuse/cgroup.subtree_control"), "+memory");
	cr_expect_str_eq(made_up_read(&m, "v2/cgroup.subtree_control"),
			 "cpuset cpu io memory pids");
	cgroup_close(&group);
	made_up_free(&m);
}

Test(group, takes_no_group_in_which_somebody_is)
{
	struct cgroup group;
	struct err err = { "" };
	struct made_up m;

	made_up_new(&m, V1);
	made_up_ledger(&m);
	made_up_dir(&m, "v1/memory/pfuse");
	made_up_dir(&m, "v1/memory/pfuse/a");
	made_up_write(&m, "v1/memory/pfuse/a/cgroup.procs", "1\n");
	cr_expect_eq(group_create(&m.tree, m.ledger, "a", 0, &group, &err), -EEXIST);
	cr_expect_not_null(strstr(err.text, "holds 1 processes"), "%s", err.text);
	cr_expect_eq(group_create(&m.tree, m.ledger, "../x", 0, &group, &err), -EINVAL);
	cr_expect_eq(group_create(&m.tree, m.ledger, "..", 0, &group, &err), -EINVAL);
	cr_expect_eq(group_create(&m.tree, m.ledger, "", 0, &group, &err), -EINVAL);
	cr_expect_eq(ledger_live(m.ledger), 0);
	made_up_free(&m);
}

Test(group, of_a_pid_refuses_who_is_never_managed)
{
	static const char kernel_thread[] =
		"77 (kworker/0:0) I 2 0 0 0 -1 69238880 0 0 0 0 0 4 0 0 20 0 1 0 30 0 0\n";
	struct cgroup group;
	struct err err = { "" };
	struct made_up m;

	made_up_new(&m, V2);
	made_up_ledger(&m);
	cr_expect_eq(group_from_pid(&m.tree, m.ledger, 1, 0, &group, &err), -EPERM);
	cr_expect_eq(group_from_pid(&m.tree, m.ledger, getpid(), 0, &group, &err), -EPERM);
	cr_expect_eq(group_from_pid(&m.tree, m.ledger, getppid(), 0, &group, &err), -EPERM);
	cr_expect_not_null(strstr(err.text, "ancestors"), "%s", err.text);
	cr_expect_eq(group_from_pid(&m.tree, m.ledger, 0, 0, &group, &err), -ESRCH);
	cr_expect_eq(group_from_pid(&m.tree, m.ledger, -5, 0, &group, &err), -ESRCH);
	made_up_dir(&m, "proc");
	made_up_dir(&m, "proc/77");
	made_up_write(&m, "proc/77/stat", kernel_thread);
	close(m.tree.proc_fd);
	m.tree.proc_fd = openat(m.tree.hierarchies[0].fd, "../proc", O_RDONLY | O_DIRECTORY);
	cr_expect_eq(group_from_pid(&m.tree, m.ledger, 77, 0, &group, &err), -EPERM);
	cr_expect_not_null(strstr(err.text, "kernel thread"), "%s", err.text);
	made_up_free(&m);
}

/* 50 → 51, we are 60. The real pid is not there, so we have no ancestors: add ourselves. */
static void add_process(const struct made_up *m, int pid, int ppid, const char *cgroup)
{
	char path[64], text[160];

	snprintf(path, sizeof(path), "proc/%d", pid);
	made_up_dir(m, path);
	snprintf(path, sizeof(path), "proc/%d/stat", pid);
	snprintf(text, sizeof(text), "%d (p) S %d 0 0 0 -1 0 0 0 0 0 0 4 0 0 20 0 1 0 30 0 0\n",
		 pid, ppid);
	made_up_write(m, path, text);
	snprintf(path, sizeof(path), "proc/%d/cgroup", pid);
	made_up_write(m, path, cgroup);
}

static void make_proc(struct made_up *m)
{
	made_up_dir(m, "proc");
	add_process(m, 1, 0, "0::/\n");
	add_process(m, getpid(), 1, "0::/\n");
	close(m->tree.proc_fd);
	m->tree.proc_fd = openat(m->tree.hierarchies[0].fd, "../proc", O_RDONLY | O_DIRECTORY);
}

Test(group, of_a_pid_that_is_alone_is_used_in_place)
{
	struct cgroup service, group;
	struct err err = { "" };
	struct made_up m;

	made_up_new(&m, V2);
	made_up_ledger(&m);
	made_up_group(&m, "service", &service);
	make_proc(&m);
	add_process(&m, 50, 1, "0::/service\n");
	add_process(&m, 51, 50, "0::/service\n");
	made_up_write(&m, "v2/service/cgroup.procs", "50\n51\n");
	cr_assert_eq(group_from_pid(&m.tree, m.ledger, 50, 0, &group, &err), 0, "%s", err.text);
	cr_expect_eq(group.id, service.id);
	cr_expect_eq(ledger_live(m.ledger), 0);
	cgroup_close(&group);
	cgroup_close(&service);
	made_up_free(&m);
}

Test(group, of_a_pid_in_company_is_made_and_undone_on_failure)
{
	struct cgroup service, group;
	struct err err = { "" };
	struct made_up m;

	made_up_new(&m, V2);
	made_up_ledger(&m);
	made_up_group(&m, "service", &service);
	made_up_dir(&m, "v2/pfuse");
	made_up_write(&m, "v2/pfuse/cgroup.subtree_control", "");
	make_proc(&m);
	add_process(&m, 50, 1, "0::/service\n");
	made_up_write(&m, "v2/service/cgroup.procs", "50\n99\n");
	/* pfuse/pid-50 is made, but has no cgroup.procs in a made-up tree. */
	cr_expect_lt(group_from_pid(&m.tree, m.ledger, 50, 0, &group, &err), 0);
	cr_expect_not_null(strstr(err.text, "pfuse/pid-50"), "%s", err.text);
	cr_expect_not(made_up_has(&m, "v2/pfuse/pid-50"), "rolled back");
	cr_expect_eq(ledger_live(m.ledger), 0);
	cgroup_close(&service);
	made_up_free(&m);
}

Test(group, moved_processes_and_their_children_go_back)
{
	struct ledger_entry entry = { .kind = LEDGER_MOVED, .path = "pfuse/pid-50", .pid = 50 };
	struct cgroup service, group;
	struct made_up m;
	uint32_t record;

	made_up_new(&m, V2);
	made_up_ledger(&m);
	made_up_group(&m, "service", &service);
	made_up_group(&m, "pfuse/pid-50", &group);
	make_proc(&m);
	add_process(&m, 50, 1, "0::/pfuse/pid-50\n");
	entry.mount = m.tree.hierarchies[0].path;
	entry.group_id = group.id;
	entry.old = "service";
	entry.starttime = 30;
	cr_assert_eq(ledger_append(m.ledger, &entry, &record), 0);
	cr_assert_eq(ledger_commit(m.ledger), 0);
	made_up_write(&m, "v2/pfuse/pid-50/cgroup.procs", "50\n");
	cr_expect_eq(made_up_restore(&m).restored, 1);
	cr_expect_str_eq(made_up_read(&m, "v2/service/cgroup.procs"), "50");

	/* A child that has no record goes where the oldest record came from. */
	cr_assert_eq(ledger_append(m.ledger, &entry, &record), 0);
	cr_assert_eq(ledger_commit(m.ledger), 0);
	made_up_write(&m, "v2/pfuse/pid-50/cgroup.procs", "51\n");
	cr_expect_eq(made_up_restore(&m).restored, 1);
	cr_expect_str_eq(made_up_read(&m, "v2/service/cgroup.procs"), "51");

	/* The origin is gone: said, and kept. */
	entry.old = "nowhere";
	cr_assert_eq(ledger_append(m.ledger, &entry, &record), 0);
	cr_assert_eq(ledger_commit(m.ledger), 0);
	cr_expect_eq(made_up_restore(&m).failed, 1);
	cr_expect_not_null(strstr(made_up_said, "is gone"), "%s", made_up_said);
	cgroup_close(&service);
	cgroup_close(&group);
	made_up_free(&m);
}
