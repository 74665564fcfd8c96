/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "edge/control.h"
#include "made_up.h"
#include "pfuse/sample.h"

static uint32_t add_file(struct made_up *m, const struct cgroup *group, const char *file,
			 const char *old)
{
	const struct ledger_entry entry = {
		.kind = LEDGER_FILE,
		.mount = m->tree.hierarchies[m->tree.anchor].path,
		.path = group->path,
		.group_id = group->id,
		.file = file,
		.old = old,
	};
	uint32_t record = 0;

	cr_assert_eq(ledger_append(m->ledger, &entry, &record), 0);
	cr_assert_neq(record, 0);
	return record;
}

/* What a control does: name the value, then write it. */
static int change(struct made_up *m, uint32_t record, const char *path, const char *file,
		  const char *next)
{
	uint64_t present = ledger_value(file, made_up_read(m, path));
	int r = ledger_intend(m->ledger, record, present, ledger_value(file, next));

	if (r == 0)
		made_up_write(m, path, next);
	return r;
}

Test(ledger, compares_values_as_the_kernel_rounds_them)
{
	static const struct {
		const char *file, *a, *b;
		bool equal;
	} table[] = {
		{ "memory.limit_in_bytes", "-1", "9223372036854771712\n", true },
		{ "memory.max", "max\n", "9223372036854771712", true },
		{ "memory.max", "1000000", "999424\n", true },
		{ "memory.max", "999424", "1003520", false },
		{ "memory.swappiness", "60", "61", false },
		{ "memory.oom_control", "1", "oom_kill_disable 1\nunder_oom 0\noom_kill 5\n",
		  true },
		{ "memory.oom_control", "0", "oom_kill_disable 1\nunder_oom 0\n", false },
		{ "cpu.weight", "100", "100\n", true },
		{ "cpu.max", "max 100000\n", "max 100000", true },
		{ "cpu.max", "max 100000", "50000 100000", false },
		{ "cpuset.cpus", "0-1\n", "0-1", true },
		{ "cpuset.cpus", "0-1", "0-3", false },
		{ "cpuset.cpus", "\n", "", true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		cr_expect_eq(ledger_value(table[i].file, table[i].a) ==
				     ledger_value(table[i].file, table[i].b),
			     table[i].equal, "row %zu", i);
	cr_expect_eq(ledger_value("memory.max", "max"), PFUSE_UNLIMITED);
}

Test(ledger, restores_after_reopening)
{
	struct ledger_counts counts;
	struct cgroup group;
	struct made_up m;
	uint32_t record;
	struct stat st;
	char dir[128];

	made_up_new(&m, V2);
	made_up_group(&m, "g", &group);
	made_up_write(&m, "v2/g/memory.max", "500000000\n");
	made_up_ledger(&m);
	snprintf(dir, sizeof(dir), "%s/run", m.dir);
	cr_assert_eq(stat(dir, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0700);
	record = add_file(&m, &group, "memory.max", "500000000");
	cr_assert_eq(ledger_commit(m.ledger), 0);
	cr_assert_eq(change(&m, record, "v2/g/memory.max", "memory.max", "1048576"), 0);
	made_up_kill_ledger(&m);

	made_up_ledger(&m);
	cr_expect_eq(ledger_live(m.ledger), 1);
	counts = made_up_restore(&m);
	cr_expect_eq(counts.restored, 1, "%s", made_up_said);
	cr_expect_str_eq(made_up_read(&m, "v2/g/memory.max"), "500000000");
	cr_expect_eq(ledger_live(m.ledger), 0);
	ledger_close(TAKE_PTR(m.ledger));
	cr_expect_not(made_up_has(&m, "run/ledger"), "nothing is left behind");
	cr_expect_not(made_up_has(&m, "run/ledger.lock"), "nothing is left behind");
	cgroup_close(&group);
	made_up_free(&m);
}

Test(ledger, knows_both_values_between_intending_and_writing)
{
	/* What the file holds at the moment of death, after old 9M, ours 1M, and 2M intended. */
	static const struct {
		const char *present;
		uint32_t restored, already, foreign;
	} table[] = {
		{ "1048576", 1, 0, 0 },
		{ "2097152", 1, 0, 0 },
		{ "9437184", 0, 1, 0 },
		{ "3145728", 0, 0, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct ledger_counts counts;
		struct cgroup group;
		struct made_up m;
		uint32_t record;

		made_up_new(&m, V2);
		made_up_group(&m, "g", &group);
		made_up_write(&m, "v2/g/memory.max", "9437184\n");
		made_up_ledger(&m);
		record = add_file(&m, &group, "memory.max", "9437184");
		cr_assert_eq(ledger_commit(m.ledger), 0);
		cr_assert_eq(change(&m, record, "v2/g/memory.max", "memory.max", "1048576"), 0);
		cr_assert_eq(ledger_intend(m.ledger, record, 1048576, 2097152), 0);
		made_up_write(&m, "v2/g/memory.max", table[i].present);
		made_up_kill_ledger(&m);
		made_up_ledger(&m);
		counts = made_up_restore(&m);
		cr_expect_eq(counts.restored, table[i].restored, "row %zu", i);
		cr_expect_eq(counts.already, table[i].already, "row %zu", i);
		cr_expect_eq(counts.foreign, table[i].foreign, "row %zu", i);
		cr_expect_str_eq(made_up_read(&m, "v2/g/memory.max"),
				 table[i].foreign ? table[i].present : "9437184");
		cgroup_close(&group);
		made_up_free(&m);
	}
}

Test(ledger, keeps_naming_what_is_there_when_writes_fail)
{
	struct cgroup group;
	struct made_up m;
	uint32_t record;

	made_up_new(&m, V2);
	made_up_group(&m, "g", &group);
	made_up_ledger(&m);
	record = add_file(&m, &group, "memory.max", "max");
	cr_assert_eq(ledger_commit(m.ledger), 0);
	cr_assert_eq(change(&m, record, "v2/g/memory.max", "memory.max", "1048576"), 0);
	/* Five values in a row that the kernel refuses: the one in force must stay ours. */
	for (uint64_t i = 2; i < 7; i++)
		cr_expect_eq(ledger_intend(m.ledger, record, 1048576, i << 20), 0);
	cr_expect_eq(ledger_intend(m.ledger, record, 1048576, 9 << 20), 0);
	cr_expect_eq(ledger_intend(m.ledger, record, 77 << 20, 9 << 20), -ESTALE);
	cr_expect_eq(made_up_restore(&m).restored, 1);
	cr_expect_str_eq(made_up_read(&m, "v2/g/memory.max"), "max");
	cgroup_close(&group);
	made_up_free(&m);
}

Test(ledger, leaves_a_group_of_the_same_name_alone)
{
	struct cgroup group, other;
	struct made_up m;
	uint32_t record;

	made_up_new(&m, V2);
	made_up_group(&m, "g", &group);
	made_up_group(&m, "other", &other);
	made_up_ledger(&m);
	record = add_file(&m, &group, "memory.max", "max");
	cr_assert_eq(ledger_commit(m.ledger), 0);
	cr_assert_eq(change(&m, record, "v2/g/memory.max", "memory.max", "1048576"), 0);
	/* Removed and made again: another inode under the same path. */
	cr_assert_eq(renameat(m.tree.hierarchies[0].fd, "g", m.tree.hierarchies[0].fd, "old"), 0);
	cr_assert_eq(renameat(m.tree.hierarchies[0].fd, "other", m.tree.hierarchies[0].fd, "g"), 0);
	made_up_write(&m, "v2/g/memory.max", "1048576");
	cr_expect_eq(made_up_restore(&m).gone, 1);
	cr_expect_str_eq(made_up_read(&m, "v2/g/memory.max"), "1048576");
	cgroup_close(&group);
	cgroup_close(&other);
	made_up_free(&m);
}

Test(ledger, thaws_only_what_is_recorded_and_before_limits)
{
	struct ledger_entry entry = { .kind = LEDGER_FROZEN };
	struct cgroup group, other;
	struct made_up m;
	uint32_t record;

	made_up_new(&m, V2);
	made_up_group(&m, "g", &group);
	made_up_group(&m, "other", &other);
	made_up_write(&m, "v2/g/cgroup.freeze", "1\n");
	made_up_write(&m, "v2/other/cgroup.freeze", "1\n");
	made_up_ledger(&m);
	entry.mount = m.tree.hierarchies[0].path;
	entry.path = "g";
	entry.group_id = group.id;
	cr_assert_eq(ledger_append(m.ledger, &entry, &record), 0);
	cr_assert_eq(ledger_commit(m.ledger), 0);
	cr_expect_eq(made_up_restore(&m).restored, 1);
	cr_expect_str_eq(made_up_read(&m, "v2/g/cgroup.freeze"), "0");
	cr_expect_str_eq(made_up_read(&m, "v2/other/cgroup.freeze"), "1");
	cgroup_close(&group);
	cgroup_close(&other);
	made_up_free(&m);
}

Test(ledger, does_not_kill_in_restoring)
{
	struct ledger_counts counts;
	struct cgroup group;
	struct made_up m;
	uint32_t record;

	made_up_new(&m, V2);
	made_up_group(&m, "g", &group);
	made_up_write(&m, "v2/g/memory.max", "104857600\n");
	made_up_ledger(&m);
	record = add_file(&m, &group, "memory.max", "104857600");
	cr_assert_eq(ledger_commit(m.ledger), 0);
	cr_assert_eq(change(&m, record, "v2/g/memory.max", "memory.max", "209715200"), 0);
	made_up_write(&m, "v2/g/memory.current", "157286400\n");
	counts = made_up_restore(&m);
	cr_expect_eq(counts.failed, 1);
	cr_expect_not_null(strstr(made_up_said, "would kill"), "%s", made_up_said);
	cr_expect_str_eq(made_up_read(&m, "v2/g/memory.max"), "209715200");
	cr_expect_eq(ledger_live(m.ledger), 1, "it stays in the ledger");
	made_up_write(&m, "v2/g/memory.current", "1048576\n");
	cr_expect_eq(made_up_restore(&m).restored, 1);
	cr_expect_str_eq(made_up_read(&m, "v2/g/memory.max"), "104857600");
	cgroup_close(&group);
	made_up_free(&m);
}

Test(ledger, restores_one_group_of_several)
{
	struct ledger_restore how = { .path = "b" };
	struct cgroup group[3];
	struct made_up m;
	uint32_t record[3];

	made_up_new(&m, V2);
	made_up_ledger(&m);
	for (int i = 0; i < 3; i++) {
		char name[] = { (char)('a' + i), '\0' }, path[32];

		made_up_group(&m, name, &group[i]);
		record[i] = add_file(&m, &group[i], "memory.max", "max");
		cr_assert_eq(ledger_commit(m.ledger), 0);
		snprintf(path, sizeof(path), "v2/%s/memory.max", name);
		cr_assert_eq(change(&m, record[i], path, "memory.max", "1048576"), 0);
	}
	how.proc_fd = m.tree.proc_fd;
	cr_expect_eq(ledger_restore(m.ledger, &how, NULL), 0);
	cr_expect_str_eq(made_up_read(&m, "v2/a/memory.max"), "1048576");
	cr_expect_str_eq(made_up_read(&m, "v2/b/memory.max"), "max");
	cr_expect_eq(ledger_live(m.ledger), 2);
	cr_expect_eq(ledger_intend(m.ledger, record[1], PFUSE_UNLIMITED, 5), -ENOENT, "forgotten");
	for (int i = 0; i < 3; i++)
		cgroup_close(&group[i]);
	made_up_free(&m);
}

Test(ledger, has_one_holder)
{
	struct ledger_options options = { 0 };
	struct ledger *second = NULL;
	struct err err = { "" };
	struct made_up m;
	char pid[32];

	made_up_new(&m, V2);
	made_up_ledger(&m);
	options.path = m.ledger_path;
	options.wait_ns = 5000000;
	snprintf(pid, sizeof(pid), "(pid %d)", (int)getpid());
	cr_expect_eq(ledger_open(&options, &second, NULL, &err), -EBUSY);
	cr_expect_not_null(strstr(err.text, "another pfuse-bpf runs"));
	cr_expect_not_null(strstr(err.text, pid), "%s", err.text);
	cr_expect_null(second);
	ledger_close(TAKE_PTR(m.ledger));
	cr_expect_eq(ledger_open(&options, &second, NULL, &err), 0);
	ledger_close(second);
	made_up_free(&m);
}

Test(ledger, of_another_boot_is_dropped)
{
	struct ledger_options options = { .boot_id = "01234567-89ab" };
	struct err err = { "" }, note;
	struct cgroup group;
	struct ledger *ledger;
	struct made_up m;
	uint32_t record;

	made_up_new(&m, V2);
	made_up_group(&m, "g", &group);
	made_up_ledger(&m);
	record = add_file(&m, &group, "memory.max", "max");
	cr_assert_eq(ledger_commit(m.ledger), 0);
	cr_assert_eq(change(&m, record, "v2/g/memory.max", "memory.max", "1048576"), 0);
	made_up_kill_ledger(&m);
	options.path = m.ledger_path;
	cr_assert_eq(ledger_open(&options, &ledger, &note, &err), 0, "%s", err.text);
	cr_expect_not_null(strstr(note.text, "earlier boot"));
	cr_expect_eq(ledger_live(ledger), 0);
	cr_expect_str_eq(made_up_read(&m, "v2/g/memory.max"), "1048576");
	ledger_close(ledger);
	options.existing = true;
	cr_expect_eq(ledger_open(&options, &ledger, &note, &err), -ENOENT);
	cr_expect_not_null(strstr(err.text, "there is no ledger"));
	cgroup_close(&group);
	made_up_free(&m);
}

Test(ledger, refuses_what_others_can_write)
{
	struct ledger_options options = { 0 };
	struct ledger *ledger;
	struct err err = { "" };
	struct made_up m;
	char path[128];

	made_up_new(&m, V2);
	options.path = m.ledger_path;
	made_up_dir(&m, "run");
	snprintf(path, sizeof(path), "%s/run", m.dir);
	cr_assert_eq(chmod(path, 0777), 0);
	cr_expect_eq(ledger_open(&options, &ledger, NULL, &err), -EPERM);
	cr_expect_not_null(strstr(err.text, "written by others"));
	cr_assert_eq(chmod(path, 0700), 0);
	made_up_write(&m, "run/ledger", "x");
	cr_assert_eq(chmod(m.ledger_path, 0666), 0);
	cr_expect_eq(ledger_open(&options, &ledger, NULL, &err), -EPERM);
	made_up_remove(&m, "run/ledger");
	made_up_write(&m, "target", "");
	cr_assert_eq(symlink("../target", m.ledger_path), 0);
	cr_expect_lt(ledger_open(&options, &ledger, NULL, &err), 0, "a symlink is not followed");
	made_up_free(&m);
}

Test(ledger, drops_forgotten_records_and_keeps_handles)
{
	struct ledger_counts counts;
	struct cgroup group;
	struct made_up m;
	uint32_t kept, record;
	struct stat st;
	char old[32];

	made_up_new(&m, V2);
	made_up_group(&m, "g", &group);
	made_up_ledger(&m);
	kept = add_file(&m, &group, "memory.max", "max");
	cr_assert_eq(ledger_commit(m.ledger), 0);
	cr_assert_eq(change(&m, kept, "v2/g/memory.max", "memory.max", "1048576"), 0);
	for (int i = 0; i < 3000; i++) {
		record = add_file(&m, &group, "memory.high", "max");
		cr_assert_eq(ledger_commit(m.ledger), 0);
		cr_assert_eq(ledger_forget(m.ledger, record), 0);
	}
	cr_assert_eq(stat(m.ledger_path, &st), 0);
	cr_expect_lt(st.st_size, 200 * 1024);
	cr_expect_eq(ledger_live(m.ledger), 1);
	cr_expect_eq(ledger_old(m.ledger, kept, old, sizeof(old)), 0);
	cr_expect_str_eq(old, "max");
	cr_expect_eq(change(&m, kept, "v2/g/memory.max", "memory.max", "2097152"), 0);
	made_up_kill_ledger(&m);
	made_up_ledger(&m);
	counts = made_up_restore(&m);
	cr_expect_eq(counts.restored, 1);
	cr_expect_str_eq(made_up_read(&m, "v2/g/memory.max"), "max");
	cgroup_close(&group);
	made_up_free(&m);
}

Test(ledger, can_use_a_record_again)
{
	struct ledger_entry entry = { .kind = LEDGER_SIGSTOP, .pid = 4711, .starttime = 5 };
	struct made_up m;
	uint64_t starttime;
	uint32_t record;
	struct stat st;
	off_t size;
	pid_t pid;

	made_up_new(&m, V2);
	made_up_ledger(&m);
	entry.mount = m.tree.hierarchies[0].path;
	entry.path = "g";
	cr_assert_eq(ledger_append(m.ledger, &entry, &record), 0);
	cr_assert_eq(ledger_commit(m.ledger), 0);
	stat(m.ledger_path, &st);
	size = st.st_size;
	for (int i = 0; i < 100; i++) {
		cr_expect_eq(ledger_done(m.ledger, record), 0);
		cr_expect_eq(ledger_live(m.ledger), 0);
		cr_expect_eq(ledger_again(m.ledger, record), 0);
		cr_expect_eq(ledger_live(m.ledger), 1);
	}
	stat(m.ledger_path, &st);
	cr_expect_eq(st.st_size, size);
	cr_expect_eq(ledger_process(m.ledger, record, &pid, &starttime), 0);
	cr_expect_eq(pid, 4711);
	cr_expect_eq(starttime, 5);
	cr_expect_eq(ledger_forget(m.ledger, record), 0);
	cr_expect_eq(ledger_again(m.ledger, record), -ENOENT);
	cr_expect_eq(ledger_process(m.ledger, record, &pid, &starttime), -ENOENT);
	made_up_free(&m);
}

Test(ledger, refuses_entries_that_cannot_be_undone)
{
	char path[5000];
	struct ledger_entry entry = { .kind = LEDGER_FILE, .mount = "/m", .path = "g" };
	struct made_up m;
	uint32_t record;

	made_up_new(&m, V2);
	made_up_ledger(&m);
	cr_expect_eq(ledger_append(m.ledger, &entry, &record), -EINVAL, "no file");
	entry.file = "memory.max";
	cr_expect_eq(ledger_append(m.ledger, &entry, &record), -EINVAL, "no old value");
	entry.old = "max";
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	entry.path = path;
	cr_expect_eq(ledger_append(m.ledger, &entry, &record), -EINVAL, "too long");
	cr_expect_eq(ledger_live(m.ledger), 0);
	made_up_free(&m);
}

Test(ledger, restores_a_thousand_groups_at_once)
{
	enum { groups = 1000 };
	struct ledger_counts counts;
	struct cgroup group;
	struct control_ram ram;
	struct made_up m;
	char name[16];

	made_up_new(&m, V2);
	made_up_ledger(&m);
	for (int i = 0; i < groups; i++) {
		snprintf(name, sizeof(name), "g%d", i);
		made_up_group(&m, name, &group);
		cr_assert_eq(control_ram_prepare(&m.tree, &group, m.ledger, &ram), 0);
		cr_assert_eq(ledger_commit(m.ledger), 0);
		cr_assert_eq(control_ram_set(&m.tree, &group, m.ledger, &ram, 64 << 20, false), 0);
		cgroup_close(&group);
	}
	made_up_kill_ledger(&m);
	made_up_ledger(&m);
	counts = made_up_restore(&m);
	cr_expect_eq(counts.restored, 2 * groups);
	cr_expect_str_eq(made_up_read(&m, "v2/g999/memory.high"), "max");
	made_up_free(&m);
}
