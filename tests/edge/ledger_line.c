/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Files that hold a line per device: what a record is about, what is ours, what is put back. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "made_up.h"
#include "pfuse/sample.h"

#define READ_BPS "blkio.throttle.read_bps_device"

Test(ledger_line, finds_one_key_of_one_device)
{
	static const struct {
		const char *file, *old, *text, *line;
		uint64_t value;
	} table[] = {
		{ "io.max", "8:0 rbps=max", "", "8:0 rbps=max", PFUSE_UNLIMITED },
		{ "io.max", "8:0 rbps=5", "8:0 rbps=7 wbps=9 riops=max wiops=max\n", "8:0 rbps=7",
		  7 },
		{ "io.max", "8:0 wbps=5", "8:0 rbps=7 wbps=9 riops=max wiops=max\n", "8:0 wbps=9",
		  9 },
		{ "io.max", "8:0 wbps=5", "8:0 rbps=7 wbps=max\n", "8:0 wbps=max",
		  PFUSE_UNLIMITED },
		{ "io.max", "8:0 rbps=5", "18:0 rbps=7\n8:01 rbps=8\n", "8:0 rbps=max",
		  PFUSE_UNLIMITED },
		{ "io.max", "8:0 rbps=5", "8:16 rbps=1\n8:0 rbps=6", "8:0 rbps=6", 6 },
		{ "io.max", "8:0 rbps=5", "8:0\n8:16 rbps=1\n", "8:0 rbps=max", PFUSE_UNLIMITED },
		/* A key must not be found in the line that follows. */
		{ "io.max", "8:0 wbps=5", "8:0 rbps=3\n8:16 wbps=1\n", "8:0 wbps=max",
		  PFUSE_UNLIMITED },
		{ READ_BPS, "8:0 0", "", "8:0 0", PFUSE_UNLIMITED },
		{ READ_BPS, "8:0 0", "8:16 1\n8:0 1048576\n", "8:0 1048576", 1048576 },
		{ READ_BPS, "8:0 77", "", "8:0 0", PFUSE_UNLIMITED },
		{ "net_prio.ifpriomap", "eth0 3", "lo 0\neth0 5\neth01 6\n", "eth0 5", 5 },
		{ "net_prio.ifpriomap", "eth0 3", "lo 4\n", "eth0 0", 0 },
		{ "memory.max", "5", "4096\n", "4096", 4096 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		char line[64] = "?";

		cr_expect_eq(
			ledger_line(table[i].file, table[i].old, table[i].text, line, sizeof(line)),
			0, "row %zu", i);
		cr_expect_str_eq(line, table[i].line, "row %zu", i);
		cr_expect_eq(ledger_value(table[i].file, line), table[i].value, "row %zu", i);
	}
	cr_expect_eq(ledger_line("io.max", "8:0 rbps=max", "8:0 rbps=1", (char[4]){ 0 }, 4),
		     -EFBIG);
}

/* A daemon that wrote `ours` over `old` and died; then the file holds `present`. */
static struct ledger_counts restore_after(struct made_up *m, const char *file, const char *old,
					  const char *ours, const char *present)
{
	const char *path = made_up_anchor_file(m, "g", file);
	struct ledger_counts counts;
	struct cgroup group;
	uint32_t record;

	made_up_group(m, "g", &group);
	made_up_ledger(m);
	const struct ledger_entry entry = {
		.kind = LEDGER_FILE,
		.mount = m->tree.hierarchies[m->tree.anchor].path,
		.path = "g",
		.group_id = group.id,
		.file = file,
		.old = old,
	};

	cr_assert_eq(ledger_append(m->ledger, &entry, &record), 0);
	cr_assert_eq(ledger_commit(m->ledger), 0);
	cr_assert_eq(
		ledger_intend(m->ledger, record, ledger_value(file, old), ledger_value(file, ours)),
		0);
	if (present)
		made_up_write(m, path, present);
	made_up_kill_ledger(m);
	made_up_ledger(m);
	counts = made_up_restore(m);
	cgroup_close(&group);
	return counts;
}

Test(ledger_line, is_undone_by_its_own_line_only)
{
	static const struct {
		const char *file, *old, *ours, *present, *after;
		struct ledger_counts counts;
	} table[] = {
		{ "io.max",
		  "8:0 rbps=max",
		  "8:0 rbps=1000",
		  "8:0 rbps=1000 wbps=5\n",
		  "8:0 rbps=max",
		  { .restored = 1 } },
		{ "io.max",
		  "8:0 rbps=99",
		  "8:0 rbps=1000",
		  "8:16 rbps=7\n8:0 rbps=1000\n",
		  "8:0 rbps=99",
		  { .restored = 1 } },
		/* The other direction of the device is somebody else's, whatever it says. */
		{ "io.max",
		  "8:0 rbps=max",
		  "8:0 rbps=1000",
		  "8:0 rbps=max wbps=5",
		  "8:0 rbps=max wbps=5",
		  { .already = 1 } },
		{ "io.max",
		  "8:0 rbps=max",
		  "8:0 rbps=1000",
		  "8:0 rbps=2000",
		  "8:0 rbps=2000",
		  { .foreign = 1 } },
		{ "io.max", "8:0 rbps=max", "8:0 rbps=1000", "", "", { .already = 1 } },
		{ "io.max", "8:0 rbps=max", "8:0 rbps=1000", NULL, "-", { .gone = 1 } },
		{ READ_BPS, "8:0 0", "8:0 1000", "8:0 1000\n", "8:0 0", { .restored = 1 } },
		{ READ_BPS, "8:0 5", "8:0 1000", "", "", { .foreign = 1 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct made_up m;

		made_up_new(&m, V2);
		struct ledger_counts counts = restore_after(&m, table[i].file, table[i].old,
							    table[i].ours, table[i].present);

		cr_expect_eq(memcmp(&counts, &table[i].counts, sizeof(counts)), 0, "row %zu: %s", i,
			     made_up_said);
		cr_expect_str_eq(made_up_read(&m, made_up_anchor_file(&m, "g", table[i].file)),
				 table[i].after, "row %zu", i);
		cr_expect(
			!counts.foreign ||
				strstr(made_up_said, "somebody else changed it to 8:0 ") != NULL ||
				strstr(made_up_said, "somebody else changed it to \"8:0 ") != NULL,
			"row %zu: %s", i, made_up_said);
		made_up_free(&m);
	}
}

/* io.max of a machine with many disks is longer than any buffer on the stack. */
Test(ledger_line, is_found_in_a_long_file)
{
	static char text[200000];
	size_t used = 0;
	struct made_up m;

	for (int i = 0; used < sizeof(text) - 100; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "259:%d rbps=1 wbps=2 riops=3 wiops=4\n", i);
	snprintf(text + used, sizeof(text) - used, "8:0 rbps=1000 wbps=max\n");
	made_up_new(&m, V2);
	cr_expect_eq(restore_after(&m, "io.max", "8:0 rbps=max", "8:0 rbps=1000", text).restored,
		     1);
	cr_expect_str_eq(made_up_read(&m, "v2/g/io.max"), "8:0 rbps=max");
	made_up_free(&m);
}
