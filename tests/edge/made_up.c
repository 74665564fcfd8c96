/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "made_up.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"

char made_up_said[4096];

static const char *path_of(const struct made_up *m, const char *path)
{
	static char buf[8][PATH_MAX];
	static int turn;
	char *out = buf[turn++ % 8];

	snprintf(out, PATH_MAX, "%s/%s", m->dir, path);
	return out;
}

/* v2 mounts have cgroup.controllers in their root, v1 mounts do not. */
static int made_up_magic(int fd, uint64_t *ret_magic)
{
	bool v2 = faccessat(fd, "cgroup.controllers", F_OK, 0) == 0;

	*ret_magic = v2 ? CGROUP2_SUPER_MAGIC : CGROUP_SUPER_MAGIC;
	return 0;
}

int made_up_open_tree(struct made_up *m, struct cgroup_tree *ret_tree, struct err *err)
{
	const struct cgroup_tree_options options = {
		.mountinfo = path_of(m, "mountinfo"),
		.fs_magic = made_up_magic,
	};

	return cgroup_tree_open(&options, ret_tree, err);
}

static const char *const v1_mounts[] = { "memory",  "cpu,cpuacct", "cpuset",
					 "freezer", "blkio",	   "net_prio" };

static void add_v1(struct made_up *m, FILE *mountinfo)
{
	made_up_dir(m, "v1");
	for (size_t i = 0; i < ARRAY_SIZE(v1_mounts); i++) {
		char path[64];

		snprintf(path, sizeof(path), "v1/%s", v1_mounts[i]);
		made_up_dir(m, path);
		fprintf(mountinfo,
			"3%zu 25 0:3%zu / %s/%s rw,relatime shared:9 - cgroup cgroup rw,%s\n", i, i,
			m->dir, path, v1_mounts[i]);
	}
}

static void add_v2(struct made_up *m, FILE *mountinfo, const char *controllers)
{
	made_up_dir(m, "v2");
	made_up_write(m, "v2/cgroup.controllers", controllers);
	made_up_write(m, "v2/cgroup.subtree_control", controllers);
	fprintf(mountinfo, "40 25 0:40 / %s/v2 rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n",
		m->dir);
}

void made_up_new(struct made_up *m, enum layout layout)
{
	struct err err;
	FILE *mountinfo;

	*m = (struct made_up){ .anchor = "v1/memory" };
	/* Like /run, in memory: the ledger is synced after each commit. */
	snprintf(m->dir, sizeof(m->dir), "%s/pfuse-test-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	cr_assert_not_null(mkdtemp(m->dir));
	snprintf(m->ledger_path, sizeof(m->ledger_path), "%s/run/ledger", m->dir);
	mountinfo = fopen(path_of(m, "mountinfo"), "w");
	cr_assert_not_null(mountinfo);
	fprintf(mountinfo, "25 1 0:25 / / rw - tmpfs tmpfs rw\n");
	if (layout != V2)
		add_v1(m, mountinfo);
	if (layout != V1)
		add_v2(m, mountinfo, layout == V2 ? "cpuset cpu io memory pids\n" : "hugetlb\n");
	fclose(mountinfo);
	if (layout == V2)
		m->anchor = "v2";
	cr_assert_eq(made_up_open_tree(m, &m->tree, &err), 0, "%s", err.text);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	remove(path);
	return 0;
}

void made_up_free(struct made_up *m)
{
	ledger_close(m->ledger);
	cgroup_tree_close(&m->tree);
	nftw(m->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void made_up_dir(const struct made_up *m, const char *path)
{
	cr_assert(mkdir(path_of(m, path), 0755) == 0 || errno == EEXIST, "mkdir %s: %m", path);
}

void made_up_write(const struct made_up *m, const char *path, const char *text)
{
	FILE *file = fopen(path_of(m, path), "w");

	cr_assert_not_null(file, "%s: %m", path);
	fputs(text, file);
	fclose(file);
}

const char *made_up_read(const struct made_up *m, const char *path)
{
	static char text[4][512];
	static int turn;
	char *out = text[turn++ % 4];
	FILE *file = fopen(path_of(m, path), "r");
	size_t n;

	if (!file)
		return "-";
	n = fread(out, 1, sizeof(text[0]) - 1, file);
	fclose(file);
	out[n] = '\0';
	if (n > 0 && out[n - 1] == '\n')
		out[n - 1] = '\0';
	return out;
}

bool made_up_has(const struct made_up *m, const char *path)
{
	return access(path_of(m, path), F_OK) == 0;
}

void made_up_remove(const struct made_up *m, const char *path)
{
	cr_assert_eq(remove(path_of(m, path)), 0, "%s: %m", path);
}

static const struct {
	const char *file;
	const char *text;
} v1_files[] = {
	{ "cgroup.procs", "" },
	{ "memory.usage_in_bytes", "1048576\n" },
	{ "memory.limit_in_bytes", "9223372036854771712\n" },
	{ "memory.memsw.limit_in_bytes", "9223372036854771712\n" },
	{ "memory.memsw.usage_in_bytes", "3145728\n" },
	{ "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n" },
	{ "memory.stat", "cache 1\nworkingset_refault_anon 5\nworkingset_refault_file 7\n" },
}, v2_files[] = {
	{ "cgroup.procs", "" },
	{ "cgroup.freeze", "0\n" },
	{ "cgroup.events", "populated 0\nfrozen 1\n" },
	{ "cpu.stat", "usage_usec 1500\nuser_usec 1000\n" },
	{ "memory.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=4321\nfull avg10=0.00 "
			     "avg60=0.00 avg300=0.00 total=99\n" },
	{ "memory.current", "1048576\n" },
	{ "memory.high", "max\n" },
	{ "memory.max", "max\n" },
	{ "memory.swap.current", "2097152\n" },
	{ "memory.events", "low 0\nhigh 0\nmax 0\noom 4\noom_kill 3\noom_group_kill 0\n" },
	{ "memory.stat", "anon 1\nworkingset_refault_anon 5\nworkingset_refault_file 7\n" },
};

/* With parents; `files` of these in the last. */
static void add_group(const struct made_up *m, const char *hierarchy, const char *name)
{
	bool v2 = strcmp(hierarchy, "v2") == 0;
	size_t count = v2 ? ARRAY_SIZE(v2_files) : ARRAY_SIZE(v1_files);
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", hierarchy, name);
	for (char *at = strchr(path, '/'); at; at = strchr(at + 1, '/')) {
		*at = '\0';
		made_up_dir(m, path);
		*at = '/';
	}
	made_up_dir(m, path);
	for (size_t i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%s/%s", hierarchy, name,
			 v2 ? v2_files[i].file : v1_files[i].file);
		made_up_write(m, path, v2 ? v2_files[i].text : v1_files[i].text);
	}
}

void made_up_group(const struct made_up *m, const char *name, struct cgroup *ret_group)
{
	struct err err;

	add_group(m, m->anchor, name);
	if (m->tree.v2 >= 0)
		add_group(m, "v2", name);
	cr_assert_eq(cgroup_open(&m->tree, name, ret_group, &err), 0, "%s", err.text);
}

const char *made_up_anchor_file(const struct made_up *m, const char *group, const char *file)
{
	static char path[4][512];
	static int turn;
	char *out = path[turn++ % 4];

	snprintf(out, sizeof(path[0]), "%s/%s/%s", m->anchor, group, file);
	return out;
}

struct ledger *made_up_ledger(struct made_up *m)
{
	const struct ledger_options options = { .path = m->ledger_path };
	struct err err, note;

	cr_assert_null(m->ledger);
	cr_assert_eq(ledger_open(&options, &m->ledger, &note, &err), 0, "%s", err.text);
	return m->ledger;
}

/*
 * A copy of the file is what a killed daemon leaves; closing would tidy up. (SIGKILL itself is in
 * the tests of the keeper.)
 */
void made_up_kill_ledger(struct made_up *m)
{
	const char *copy = path_of(m, "run/copy");

	unlink(copy);
	cr_assert_eq(link(m->ledger_path, copy), 0);
	ledger_close(TAKE_PTR(m->ledger));
	cr_assert_eq(rename(copy, m->ledger_path), 0);
	/* rename(2) of two links to one file does nothing. */
	unlink(copy);
}

static void remember(void *arg, const char *sentence)
{
	size_t used = strlen(made_up_said);

	snprintf(made_up_said + used, sizeof(made_up_said) - used, "%s\n", sentence);
}

struct ledger_counts made_up_restore(struct made_up *m)
{
	const struct ledger_restore how = { .proc_fd = m->tree.proc_fd, .say = remember };
	struct ledger_counts counts;

	made_up_said[0] = '\0';
	ledger_restore(m->ledger, &how, &counts);
	return counts;
}
