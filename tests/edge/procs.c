/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "edge/procs.h"
#include "made_up.h"

#define REST " 4194304 100 0 0 0 30 20 0 0 20 0 1 0 777 2000 300 18446744073709551615 1 1 0\n"

Test(procs, parses_stat_whatever_the_name_is)
{
	static const struct {
		const char *text;
		int result;
		const char *comm;
		char state;
		pid_t ppid;
	} table[] = {
		{ "42 (sh) S 7 1 1 0 -1" REST, 0, "sh", 'S', 7 },
		{ "42 () R 7 1 1 0 -1" REST, 0, "", 'R', 7 },
		{ "42 (a b) c) T 7 1 1 0 -1" REST, 0, "a b) c", 'T', 7 },
		{ "42 (x) R 1 (y) t 9 1 1 0 -1" REST, 0, "x) R 1 (y", 't', 9 },
		{ "42 (new\nline) Z 7 1 1 0 -1" REST, 0, "new\nline", 'Z', 7 },
		{ "42 (\xff\x01) S 7 1 1 0 -1" REST, 0, "\xff\x01", 'S', 7 },
		{ "42 (sh) S 7", -EBADMSG, NULL, 0, 0 },
		{ "42 (sh)", -EBADMSG, NULL, 0, 0 },
		{ "42 (sh", -EBADMSG, NULL, 0, 0 },
		{ "42 )( S 7" REST, -EBADMSG, NULL, 0, 0 },
		{ "42 (sh) S x 1 1 0 -1" REST, -EBADMSG, NULL, 0, 0 },
		{ "0 (sh) S 7 1 1 0 -1" REST, -EBADMSG, NULL, 0, 0 },
		{ "99999999999 (sh) S 7 1 1 0 -1" REST, -EBADMSG, NULL, 0, 0 },
		{ "", -EBADMSG, NULL, 0, 0 },
		{ ")", -EBADMSG, NULL, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct procs_stat stat = { .pid = -1 };

		cr_expect_eq(procs_parse_stat(table[i].text, &stat), table[i].result, "row %zu", i);
		if (table[i].result < 0) {
			cr_expect_eq(stat.pid, -1, "row %zu: written on failure", i);
			continue;
		}
		cr_expect_eq(stat.pid, 42);
		cr_expect_str_eq(stat.comm, table[i].comm);
		cr_expect_eq(stat.state, table[i].state, "row %zu", i);
		cr_expect_eq(stat.ppid, table[i].ppid, "row %zu", i);
		cr_expect_eq(stat.starttime, 777, "row %zu", i);
		cr_expect_eq(stat.threads, 1, "row %zu", i);
		cr_expect_eq(stat.cpu_ns, 50 * (1000000000 / (uint64_t)sysconf(_SC_CLK_TCK)));
		cr_expect_not(procs_is_kernel_thread(&stat));
	}
}

static void add_process(const struct made_up *m, int pid, int ppid, const char *cgroup)
{
	char path[64], text[256];

	snprintf(path, sizeof(path), "proc/%d", pid);
	made_up_dir(m, path);
	snprintf(path, sizeof(path), "proc/%d/stat", pid);
	snprintf(text, sizeof(text), "%d (p) S %d 1 1 0 -1" REST, pid, ppid);
	made_up_write(m, path, text);
	snprintf(path, sizeof(path), "proc/%d/cgroup", pid);
	made_up_write(m, path, cgroup);
}

static int open_proc(const struct made_up *m)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/proc", m->dir);
	return open(path, O_RDONLY | O_DIRECTORY);
}

Test(procs, finds_descendants_and_ancestors)
{
	/* 900 is a child of 50 in spite of its number: pids wrap. */
	static const int family[][2] = { { 1, 0 },   { 50, 900 }, { 900, 1 }, { 51, 50 },
					 { 52, 50 }, { 53, 51 },  { 60, 1 },  { 61, 60 } };
	static const pid_t below[] = { 50, 51, 52, 53, 900 }, above[] = { 1, 50, 51, 53, 900 };
	struct procs_list list = { 0 };
	struct made_up m;
	int proc;

	made_up_new(&m, V1);
	made_up_dir(&m, "proc");
	for (size_t i = 0; i < ARRAY_SIZE(family); i++)
		add_process(&m, family[i][0], family[i][1], "");
	made_up_dir(&m, "proc/self");
	made_up_dir(&m, "proc/77");
	proc = open_proc(&m);
	cr_assert_eq(procs_tree(proc, 900, &list), 0);
	cr_assert_eq(list.count, ARRAY_SIZE(below));
	cr_expect_eq(memcmp(list.pids, below, sizeof(below)), 0);
	procs_list_free(&list);
	cr_assert_eq(procs_ancestors(proc, 53, &list), 0);
	cr_assert_eq(list.count, ARRAY_SIZE(above));
	cr_expect_eq(memcmp(list.pids, above, sizeof(above)), 0);
	procs_list_free(&list);
	cr_expect_eq(procs_tree(proc, 4711, &list), -ESRCH);
	cr_expect_eq(procs_ancestors(proc, 4711, &list), -ESRCH);
	add_process(&m, 70, 71, "");
	add_process(&m, 71, 70, "");
	cr_expect_eq(procs_ancestors(proc, 70, &list), -ELOOP);
	close(proc);
	made_up_free(&m);
}

Test(procs, finds_the_group_of_a_process)
{
	struct cgroup_hierarchy memory = { .name = (char *)"memory", .base = (char *)"/" };
	struct cgroup_hierarchy part = { .name = (char *)"memory", .base = (char *)"/docker/x" };
	struct cgroup_hierarchy named = { .name = (char *)"name=systemd", .base = (char *)"/" };
	struct cgroup_hierarchy v2 = { .v2 = true, .base = (char *)"/" };
	const char *text =
		"9:name=systemd:/init\n5:cpu,memory:/docker/x/y:z\n3:memo:/wrong\n0::/\n";
	struct made_up m;
	char *path;
	int proc;

	made_up_new(&m, V1);
	made_up_dir(&m, "proc");
	add_process(&m, 50, 1, text);
	add_process(&m, 51, 1, "5:memory:/../outside\n");
	proc = open_proc(&m);
	cr_assert_eq(procs_cgroup(proc, 50, &memory, &path), 0);
	cr_expect_str_eq(path, "docker/x/y:z");
	free(path);
	cr_assert_eq(procs_cgroup(proc, 50, &part, &path), 0);
	cr_expect_str_eq(path, "y:z");
	free(path);
	cr_assert_eq(procs_cgroup(proc, 50, &named, &path), 0);
	cr_expect_str_eq(path, "init");
	free(path);
	cr_assert_eq(procs_cgroup(proc, 50, &v2, &path), 0);
	cr_expect_str_eq(path, "");
	free(path);
	cr_expect_eq(procs_cgroup(proc, 51, &v2, &path), -ENOENT);
	cr_expect_eq(procs_cgroup(proc, 51, &memory, &path), -EXDEV);
	cr_expect_eq(procs_cgroup(proc, 52, &memory, &path), -ESRCH);
	close(proc);
	made_up_free(&m);
}

Test(procs, reads_lists_longer_than_a_block)
{
	_cleanup_free_ char *text = malloc(100000);
	struct procs_list list = { 0 };
	struct cgroup group;
	struct made_up m;
	char *to = text;

	made_up_new(&m, V2);
	made_up_group(&m, "a", &group);
	for (int pid = 20000; pid > 10000; pid--)
		to += sprintf(to, "%d\n", pid);
	strcpy(to, "12345\n");
	made_up_write(&m, "v2/a/cgroup.procs", text);
	cr_assert_eq(procs_of_group(group.fd, true, &list), 0);
	cr_expect_eq(list.count, 10000, "%u", list.count);
	cr_expect_eq(list.pids[0], 10001);
	cr_expect(procs_list_has(&list, 12345));
	cr_expect_not(procs_list_has(&list, 10000));
	procs_list_free(&list);
	made_up_write(&m, "v2/a/cgroup.procs", "99999999999\n");
	cr_expect_eq(procs_of_group(group.fd, true, &list), -EBADMSG);
	cgroup_close(&group);
	made_up_free(&m);
}

Test(procs, reads_private_memory)
{
	uint64_t bytes = 0;
	struct made_up m;
	int proc;

	made_up_new(&m, V1);
	made_up_dir(&m, "proc");
	add_process(&m, 50, 1, "");
	made_up_write(&m, "proc/50/smaps_rollup",
		      "5580-7ffe ---p 00000000 00:00 0 [rollup]\nRss: 900 kB\nShared_Clean: 1 kB\n"
		      "Private_Clean:        12 kB\nPrivate_Dirty:       340 kB\n");
	proc = open_proc(&m);
	cr_expect_eq(procs_private_bytes(proc, 50, &bytes), 0);
	cr_expect_eq(bytes, 352 * 1024);
	made_up_write(&m, "proc/50/smaps_rollup", "Private_Clean: 12 kB\n");
	cr_expect_eq(procs_private_bytes(proc, 50, &bytes), -EBADMSG);
	cr_expect_eq(procs_private_bytes(proc, 51, &bytes), -ESRCH);
	close(proc);
	made_up_free(&m);
}

Test(procs, tells_a_process_from_its_successor)
{
	int proc = open("/proc", O_RDONLY | O_DIRECTORY), fd = -1;
	struct procs_stat stat;

	cr_assert_eq(procs_read_stat(proc, getpid(), &stat), 0);
	cr_expect_eq(stat.ppid, getppid());
	cr_expect_eq(procs_open_pidfd(proc, getpid(), stat.starttime + 1, &fd), -ESRCH);
	cr_assert_eq(procs_open_pidfd(proc, getpid(), stat.starttime, &fd), 0);
	close(fd);
	close(proc);
}
