/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the machine is: made-up trees of machines that differ from this one. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/cleanup.h"
#include "edge/system.h"

static char root[64];
static int root_fd = -1;

static void make_root(void)
{
	strcpy(root, "/tmp/pfuse-system-XXXXXX");
	cr_assert_not_null(mkdtemp(root));
	root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void remove_root(void)
{
	char command[96];

	close_fd(&root_fd);
	snprintf(command, sizeof(command), "rm -r %s", root);
	cr_assert_eq(system(command), 0);
}

TestSuite(system, .init = make_root, .fini = remove_root);

/* A file below root, its directories made. */
static void put(const char *path, const char *text)
{
	char part[256];
	int fd;

	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		mkdirat(root_fd, part, 0755);
	}
	fd = openat(root_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	cr_assert_geq(fd, 0, "%s", path);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

Test(system, no_proc)
{
	struct system_info info = { .files_soft = 77 };

	cr_assert_eq(system_read(root_fd, NULL, &info), -ENOENT);
	cr_assert_eq(info.files_soft, 77);
}

Test(system, bare)
{
	struct system_info info;

	put("proc/self/status", "Name:\tx\nUid:\t0\t1000\t0\t0\n");
	cr_assert_eq(system_read(root_fd, NULL, &info), 0);
	cr_assert(!info.root, "the effective uid counts");
	cr_assert(!info.btf && !info.psi && !info.tracefs && !info.mglru && !info.zswap);
	cr_assert(!info.autogroup && !info.freeze && !info.sched_ext_built);
	cr_assert_eq(info.lockdown, LOCKDOWN_NONE);
	cr_assert_eq(info.capabilities, 0);
	cr_assert_eq(info.zram_bytes + info.swap_bytes + info.files_soft, 0);
	for (int i = 0; i < CGROUP_CONTROLLERS; i++)
		cr_assert_eq(info.controllers[i], PLACE_NONE);
	cr_assert_str_eq(info.kernel, "");
}

static void put_everything(void)
{
	put("proc/self/status", "Name:\tx\nUid:\t1000\t0\t0\t0\nCapEff:\t0000008001800020\n");
	put("proc/self/limits",
	    "Limit                     Soft Limit           Hard Limit           Units     \n"
	    "Max open files            1024                 unlimited            files     \n");
	put("proc/sys/kernel/osrelease", "6.12.1-cloud\n");
	put("proc/sys/kernel/sched_autogroup_enabled", "1\n");
	put("proc/pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
	put("proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
			  "/dev/zram0                              partition\t1024\t\t0\t\t100\n"
			  "/swap\\040file                           file\t\t2048\t\t0\t\t-2\n"
			  "/dev/zram1                              partition\t4096\t\t0\t\t100\n");
	put("sys/kernel/btf/vmlinux", "x");
	put("sys/kernel/tracing/events/enable", "0\n");
	put("sys/kernel/security/lockdown", "none integrity [confidentiality]\n");
	put("sys/kernel/sched_ext/state", "enabled\n");
	put("sys/kernel/sched_ext/root/ops", "simple_1.0\n");
	put("sys/kernel/mm/lru_gen/enabled", "0x0007\n");
	put("sys/module/zswap/parameters/enabled", "Y\n");
}

Test(system, everything)
{
	struct system_info info;

	put_everything();
	cr_assert_eq(system_read(root_fd, NULL, &info), 0);
	cr_assert(info.root && info.btf && info.psi && info.tracefs && info.mglru && info.zswap);
	cr_assert(info.autogroup && info.sched_ext_built);
	cr_assert_str_eq(info.kernel, "6.12.1-cloud");
	cr_assert_str_eq(info.sched_ext, "simple_1.0");
	cr_assert_eq(info.lockdown, LOCKDOWN_CONFIDENTIALITY);
	cr_assert(system_capable(&info, CAP_KILL) && system_capable(&info, CAP_SYS_NICE) &&
		  system_capable(&info, CAP_SYS_RESOURCE) && system_capable(&info, CAP_BPF));
	cr_assert(!system_capable(&info, CAP_SYS_ADMIN) && !system_capable(&info, CAP_PERFMON));
	cr_assert_eq(info.zram_bytes, 5120 * 1024);
	cr_assert_eq(info.swap_bytes, 2048 * 1024);
	cr_assert_eq(info.files_soft, 1024);
	cr_assert_eq(info.files_hard, UINT64_MAX);
}

Test(system, variants)
{
	struct system_info info;

	put_everything();
	put("sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
	put("sys/kernel/sched_ext/state", "disabled\n");
	put("sys/kernel/mm/lru_gen/enabled", "0x0006\n");
	put("sys/module/zswap/parameters/enabled", "N\n");
	put("proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
	cr_assert_eq(system_read(root_fd, NULL, &info), 0);
	cr_assert_eq(info.lockdown, LOCKDOWN_INTEGRITY);
	cr_assert(info.sched_ext_built && !info.sched_ext[0]);
	cr_assert(!info.mglru && !info.zswap);
	cr_assert_eq(info.zram_bytes + info.swap_bytes, 0);
}

/* A tree as cgroup_tree_open() would make it, of directories below root. */
static void make_tree(struct cgroup_tree *tree, bool hybrid)
{
	*tree = (struct cgroup_tree){ .v2 = 0, .proc_fd = -1 };
	put("v2/cgroup.controllers", "cpuset cpu io memory pids\n");
	tree->hierarchies[0] = (struct cgroup_hierarchy){
		.fd = openat(root_fd, "v2", O_PATH | O_DIRECTORY | O_CLOEXEC), .v2 = true
	};
	mkdirat(root_fd, "v1", 0755);
	tree->hierarchies[1] =
		(struct cgroup_hierarchy){ .fd = openat(root_fd, "v1",
							O_PATH | O_DIRECTORY | O_CLOEXEC) };
	tree->count = 2;
	tree->serves[CGROUP_MEMORY] = hybrid;
	tree->serves[CGROUP_PIDS] = -1;
}

static void close_tree(struct cgroup_tree *tree)
{
	close_fd(&tree->hierarchies[0].fd);
	close_fd(&tree->hierarchies[1].fd);
}

Test(system, controllers)
{
	_cleanup_(close_tree) struct cgroup_tree tree;
	struct system_info info;

	put("proc/self/status", "Uid:\t0\t0\t0\t0\n");
	make_tree(&tree, true);
	put("v2/cgroup.subtree_control", "cpuset io\n");
	cr_assert_eq(system_read(root_fd, &tree, &info), 0);
	cr_assert_eq(info.controllers[CGROUP_MEMORY], PLACE_V1);
	cr_assert_eq(info.controllers[CGROUP_CPUSET], PLACE_V2);
	cr_assert_eq(info.controllers[CGROUP_IO], PLACE_V2);
	cr_assert_eq(info.controllers[CGROUP_CPU], PLACE_V2_NOT_ENABLED, "cpuset is not cpu");
	cr_assert_eq(info.controllers[CGROUP_FREEZER], PLACE_V2, "needs no handing down");
	cr_assert_eq(info.controllers[CGROUP_PIDS], PLACE_NONE);
}

Test(system, freeze)
{
	_cleanup_(close_tree) struct cgroup_tree tree;
	struct system_info info;

	put("proc/self/status", "Uid:\t0\t0\t0\t0\n");
	make_tree(&tree, false);
	put("v2/cgroup.subtree_control", "memory\n");
	system_read(root_fd, &tree, &info);
	cr_assert(info.freeze, "no child speaks against it");
	cr_assert_eq(info.controllers[CGROUP_MEMORY], PLACE_V2);
	put("v2/old/cgroup.procs", "");
	system_read(root_fd, &tree, &info);
	cr_assert(!info.freeze);
	put("v2/new/cgroup.freeze", "0\n");
	system_read(root_fd, &tree, &info);
	cr_assert(info.freeze);
	tree.v2 = -1;
	system_read(root_fd, &tree, &info);
	cr_assert(!info.freeze);
}

Test(system, garbage_is_no_fact)
{
	static const char *const paths[] = {
		"proc/self/limits",
		"proc/swaps",
		"proc/sys/kernel/osrelease",
		"proc/sys/kernel/sched_autogroup_enabled",
		"sys/kernel/sched_ext/state",
		"sys/kernel/mm/lru_gen/enabled",
		"sys/kernel/security/lockdown",
	};
	static const char *const texts[] = { "",
					     "\n",
					     " ",
					     "\n\n\n \t",
					     "x",
					     "Max open files",
					     "Max open files \n",
					     "/dev/zram0\n/dev/zram0 x\n/dev/z",
					     "enabled",
					     "[",
					     "99999999999999999999999 9 9" };
	char longer[6000];

	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	for (size_t i = 0; i <= ARRAY_SIZE(texts); i++) {
		const char *text = i < ARRAY_SIZE(texts) ? texts[i] : longer;
		struct system_info info;

		put("proc/self/status", "Uid:");
		for (size_t p = 0; p < ARRAY_SIZE(paths); p++)
			put(paths[p], text);
		cr_assert_eq(system_read(root_fd, NULL, &info), 0);
		cr_assert(!info.root && !info.autogroup);
		cr_assert_eq(info.files_soft, 0);
		cr_assert_lt(strlen(info.kernel), sizeof(info.kernel));
	}
}
