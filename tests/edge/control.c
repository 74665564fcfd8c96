/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "edge/control.h"
#include "made_up.h"

#define MIB (UINT64_C(1) << 20)

struct fixture {
	struct made_up m;
	struct cgroup group;
	struct control_ram ram;
};

static void set_up(struct fixture *f, enum layout layout)
{
	made_up_new(&f->m, layout);
	made_up_group(&f->m, "g", &f->group);
	made_up_ledger(&f->m);
	cr_assert_eq(control_ram_prepare(&f->m.tree, &f->group, f->m.ledger, &f->ram), 0);
	cr_assert_eq(ledger_commit(f->m.ledger), 0);
}

static void tear_down(struct fixture *f)
{
	cgroup_close(&f->group);
	made_up_free(&f->m);
}

static int set(struct fixture *f, uint64_t bytes, bool release)
{
	return control_ram_set(&f->m.tree, &f->group, f->m.ledger, &f->ram, bytes, release);
}

static const char *value(struct fixture *f, const char *file)
{
	return made_up_read(&f->m, made_up_anchor_file(&f->m, "g", file));
}

static void put(struct fixture *f, const char *file, const char *text)
{
	made_up_write(&f->m, made_up_anchor_file(&f->m, "g", file), text);
}

Test(control, reads_every_figure_of_every_layout)
{
	static const struct {
		enum layout layout;
		enum control_figure figure;
		int result;
		uint64_t value;
	} table[] = {
		{ V2, CONTROL_USAGE, 0, MIB },	       { V1, CONTROL_USAGE, 0, MIB },
		{ V2, CONTROL_LIMIT, 0, ~0ull },       { V1, CONTROL_LIMIT, 0, ~0ull },
		{ V2, CONTROL_REFAULTS, 0, 12 },       { V1, CONTROL_REFAULTS, 0, 12 },
		{ V2, CONTROL_SWAP, 0, 2 * MIB },      { V1, CONTROL_SWAP, 0, 2 * MIB },
		{ V2, CONTROL_OOM_KILLS, 0, 3 },       { V1, CONTROL_OOM_KILLS, 0, 3 },
		{ V2, CONTROL_STALL_US, 0, 4321 },     { V1, CONTROL_STALL_US, -ENOENT, 0 },
		{ HYBRID, CONTROL_STALL_US, 0, 4321 }, { V2, CONTROL_CPU_NS, 0, 1500000 },
		{ V1, CONTROL_CPU_NS, -ENOENT, 0 },    { HYBRID, CONTROL_CPU_NS, 0, 1500000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct cgroup group;
		struct made_up m;
		uint64_t got = 0;

		made_up_new(&m, table[i].layout);
		made_up_group(&m, "g", &group);
		cr_expect_eq(control_read(&m.tree, &group, table[i].figure, &got), table[i].result,
			     "row %zu", i);
		cr_expect_eq(got, table[i].value, "row %zu: %llu", i, (unsigned long long)got);
		cgroup_close(&group);
		made_up_free(&m);
	}
}

Test(control, reads_the_lower_of_two_limits)
{
	struct fixture f = { 0 };
	uint64_t got;

	set_up(&f, V2);
	put(&f, "memory.high", "104857600\n");
	cr_expect_eq(control_read(&f.m.tree, &f.group, CONTROL_LIMIT, &got), 0);
	cr_expect_eq(got, 100 * MIB);
	put(&f, "memory.max", "52428800\n");
	cr_expect_eq(control_read(&f.m.tree, &f.group, CONTROL_LIMIT, &got), 0);
	cr_expect_eq(got, 50 * MIB);
	put(&f, "memory.max", "nonsense\n");
	cr_expect_eq(control_read(&f.m.tree, &f.group, CONTROL_LIMIT, &got), -EBADMSG);
	tear_down(&f);
}

/* The writer of a memory.high below what is used would reclaim the difference: a growth may come late. */
Test(control, v2_never_lies_below_what_is_used)
{
	static const struct {
		const char *used;
		uint64_t limit;
		int result;
		const char *high, *max, *why;
	} table[] = {
		{ "50331648", 64 * MIB, 0, "67108864", "83886080", "48 MiB used: as asked for" },
		{ "83886080", 72 * MIB, 1, "100663296", "117440512", "growth to less than 80 MiB" },
		{ "83886080", 80 * MIB, 1, "100663296", "117440512", "to just that" },
		{ "94371840", 88 * MIB, 1, "100663296", "117440512", "shrinks: never higher" },
		{ "104857600", 50 * MIB, 1, "100663296", "117440512", "braked, and stays so" },
		{ "41943040", 50 * MIB, 0, "52428800", "69206016", "as soon as there is room" },
	};
	struct fixture f = { 0 };

	set_up(&f, V2);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		put(&f, "memory.current", table[i].used);
		cr_expect_eq(set(&f, table[i].limit, false), table[i].result, "%s", table[i].why);
		cr_expect_str_eq(value(&f, "memory.high"), table[i].high, "%s: %s", table[i].why,
				 value(&f, "memory.high"));
		cr_expect_str_eq(value(&f, "memory.max"), table[i].max, "%s: %s", table[i].why,
				 value(&f, "memory.max"));
	}
	tear_down(&f);
}

Test(control, v2_keeps_a_gap_above_the_brake)
{
	static const struct {
		uint64_t limit;
		bool release;
		const char *high, *max;
	} table[] = {
		{ 64 * MIB, false, "67108864", "83886080" },	   /* gap 16 MiB */
		{ 1024 * MIB, false, "1073741824", "1207959552" }, /* gap an eighth */
		{ 64 * MIB + 5, false, "67108864", "83886080" },   /* pages */
		{ 512 * MIB, true, "max", "536870912" },
		{ 64 * MIB, false, "67108864", "83886080" },
		{ PFUSE_UNLIMITED, false, "max", "max" },
		{ PFUSE_UNLIMITED, true, "max", "max" },
	};
	struct fixture f = { 0 };

	set_up(&f, V2);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		cr_expect_eq(set(&f, table[i].limit, table[i].release), 0, "row %zu", i);
		cr_expect_str_eq(value(&f, "memory.high"), table[i].high);
		cr_expect_str_eq(value(&f, "memory.max"), table[i].max);
	}
	tear_down(&f);
}

Test(control, v2_never_lowers_max_onto_usage)
{
	struct fixture f = { 0 };

	set_up(&f, V2);
	put(&f, "memory.current", "104857600\n"); /* 100 MiB */
	cr_expect_eq(set(&f, 10 * MIB, false), 1);
	cr_expect_str_eq(value(&f, "memory.high"), "121634816"); /* 116 MiB */
	cr_expect_str_eq(value(&f, "memory.max"), "138412032");
	put(&f, "memory.current", "1048576\n");
	cr_expect_eq(set(&f, 10 * MIB, false), 0);
	cr_expect_str_eq(value(&f, "memory.max"), "27262976"); /* 26 MiB */
	tear_down(&f);
}

/* The names of the files that were written, in order, as inotify saw them closed. */
static void written_files(int inotify, char *out, size_t size)
{
	char buf[4096] __attribute__((aligned(8)));
	ssize_t n = read(inotify, buf, sizeof(buf));

	out[0] = '\0';
	for (char *at = buf; at < buf + n;) {
		const struct inotify_event *event = (const struct inotify_event *)at;

		snprintf(out + strlen(out), size - strlen(out), "%s ", event->name);
		at += sizeof(*event) + event->len;
	}
}

static void expect_order(struct fixture *f, uint64_t bytes, bool release, const char *expected)
{
	int inotify = inotify_init1(IN_NONBLOCK);
	char path[256], got[256];

	snprintf(path, sizeof(path), "%s/%s/g", f->m.dir, f->m.anchor);
	cr_assert_geq(inotify_add_watch(inotify, path, IN_CLOSE_WRITE), 0);
	cr_assert_eq(set(f, bytes, release), 0);
	written_files(inotify, got, sizeof(got));
	cr_expect_str_eq(got, expected);
	close(inotify);
}

Test(control, v2_writes_the_outer_limit_first_when_growing)
{
	struct fixture f = { 0 };

	set_up(&f, V2);
	expect_order(&f, 64 * MIB, false, "memory.high memory.max ");
	expect_order(&f, 128 * MIB, false, "memory.max memory.high ");
	expect_order(&f, 32 * MIB, false, "memory.high memory.max ");
	expect_order(&f, 32 * MIB, false, "");
	expect_order(&f, 256 * MIB, true, "memory.max memory.high ");
	tear_down(&f);
}

Test(control, v1_takes_the_net_before_the_limit_and_gives_it_back_after)
{
	struct fixture f = { 0 };

	set_up(&f, V1);
	expect_order(&f, 64 * MIB, false, "memory.oom_control memory.limit_in_bytes ");
	cr_expect_str_eq(value(&f, "memory.limit_in_bytes"), "67108864");
	cr_expect_str_eq(value(&f, "memory.oom_control"), "1");
	put(&f, "memory.oom_control", "oom_kill_disable 1\nunder_oom 0\noom_kill 0\n");
	expect_order(&f, 128 * MIB, false, "memory.limit_in_bytes ");
	expect_order(&f, 256 * MIB, true, "memory.limit_in_bytes memory.oom_control ");
	cr_expect_str_eq(value(&f, "memory.oom_control"), "0");
	put(&f, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n");
	expect_order(&f, PFUSE_UNLIMITED, true, "memory.limit_in_bytes ");
	cr_expect_str_eq(value(&f, "memory.limit_in_bytes"), "-1");
	tear_down(&f);
}

Test(control, v1_dips_below_the_usage_and_comes_back)
{
	struct control_dip dip;
	struct fixture f = { 0 };

	set_up(&f, V1);
	cr_expect_eq(set(&f, 64 * MIB, false), 0);
	put(&f, "memory.oom_control", "oom_kill_disable 1\nunder_oom 0\noom_kill 0\n");
	cr_assert_eq(control_dip_begin(&f.m.tree, &f.group, f.m.ledger, &f.ram, 32 * MIB, &dip), 0);
	cr_expect_str_eq(dip.to, "33554432");
	cr_expect_str_eq(dip.back, "67108864");
	put(&f, "memory.limit_in_bytes", dip.to); /* and the second write failed */
	cr_assert_eq(control_dip_end(&f.group, f.m.ledger, &f.ram, &dip), 0);
	cr_expect_str_eq(value(&f, "memory.limit_in_bytes"), "67108864");
	cr_assert_eq(control_dip_begin(&f.m.tree, &f.group, f.m.ledger, &f.ram, 96 * MIB, &dip), 0);
	cr_expect_str_eq(dip.to, "67108864", "it never raises");
	put(&f, "memory.limit_in_bytes", "50000000\n");
	cr_expect_eq(control_dip_end(&f.group, f.m.ledger, &f.ram, &dip), -ESTALE);
	cr_expect_eq(control_dip_begin(&f.m.tree, &f.group, f.m.ledger, &f.ram, MIB, &dip),
		     -ESTALE);
	cr_expect_str_eq(value(&f, "memory.limit_in_bytes"), "50000000");
	tear_down(&f);
	set_up(&f, V2);
	cr_expect_eq(control_dip_begin(&f.m.tree, &f.group, f.m.ledger, &f.ram, MIB, &dip),
		     -ENOENT);
	tear_down(&f);
}

/* A dip of a daemon that was killed is one of its limits. */
Test(control, v1_a_dip_is_restored)
{
	struct control_dip dip;
	struct fixture f = { 0 };

	set_up(&f, V1);
	put(&f, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n");
	cr_assert_eq(control_dip_begin(&f.m.tree, &f.group, f.m.ledger, &f.ram, 32 * MIB, &dip), 0);
	cr_expect_str_eq(value(&f, "memory.oom_control"), "1", "nobody is killed for it");
	put(&f, "memory.oom_control", "oom_kill_disable 1\nunder_oom 0\noom_kill 0\n");
	put(&f, "memory.limit_in_bytes", dip.to);
	cr_expect_eq(made_up_restore(&f.m).foreign, 0);
	cr_expect_str_eq(value(&f, "memory.limit_in_bytes"), "9223372036854771712");
	cr_expect_str_eq(value(&f, "memory.oom_control"), "0");
	tear_down(&f);
}

Test(control, v1_raises_memsw_before_the_limit)
{
	struct fixture f = { 0 };
	struct ledger_counts counts;

	made_up_new(&f.m, V1);
	made_up_group(&f.m, "g", &f.group);
	put(&f, "memory.memsw.limit_in_bytes", "100000000\n");
	put(&f, "memory.limit_in_bytes", "99999744\n");
	made_up_ledger(&f.m);
	cr_assert_eq(control_ram_prepare(&f.m.tree, &f.group, f.m.ledger, &f.ram), 0);
	cr_assert_eq(ledger_commit(f.m.ledger), 0);
	expect_order(&f, 128 * MIB, true, "memory.memsw.limit_in_bytes memory.limit_in_bytes ");
	cr_expect_str_eq(value(&f, "memory.memsw.limit_in_bytes"), "134217728");
	counts = made_up_restore(&f.m);
	cr_expect_eq(counts.restored, 2);
	cr_expect_str_eq(value(&f, "memory.memsw.limit_in_bytes"), "100000000");
	cr_expect_str_eq(value(&f, "memory.limit_in_bytes"), "99999744");
	tear_down(&f);
}

Test(control, does_without_memsw_and_the_net)
{
	struct fixture f = { 0 };

	made_up_new(&f.m, V1);
	made_up_group(&f.m, "g", &f.group);
	made_up_remove(&f.m, "v1/memory/g/memory.memsw.limit_in_bytes");
	made_up_remove(&f.m, "v1/memory/g/memory.oom_control");
	made_up_ledger(&f.m);
	cr_assert_eq(control_ram_prepare(&f.m.tree, &f.group, f.m.ledger, &f.ram), 0);
	cr_assert_eq(ledger_commit(f.m.ledger), 0);
	expect_order(&f, 64 * MIB, false, "memory.limit_in_bytes ");
	tear_down(&f);
}

Test(control, leaves_a_foreign_value_alone)
{
	static const enum layout layouts[] = { V1, V2 };

	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
		const char *file = layouts[i] == V1 ? "memory.limit_in_bytes" : "memory.max";
		struct ledger_counts counts;
		struct fixture f = { 0 };

		set_up(&f, layouts[i]);
		cr_expect_eq(set(&f, 64 * MIB, false), 0);
		put(&f, file, "50000000\n");
		if (layouts[i] ==
		    V1) /* the kernel prints three lines, a made-up file what we wrote */
			put(&f, "memory.oom_control", "oom_kill_disable 1\nunder_oom 0\n");
		cr_expect_eq(set(&f, 128 * MIB, false), -ESTALE);
		cr_expect_str_eq(value(&f, file), "50000000");
		counts = made_up_restore(&f.m);
		cr_expect_eq(counts.foreign, 1);
		cr_expect_str_eq(value(&f, file), "50000000");
		cr_expect_not_null(strstr(made_up_said, file), "%s", made_up_said);
		cr_expect_not_null(strstr(made_up_said, "somebody else changed it to 50000000"));
		tear_down(&f);
	}
}

Test(control, adopts_a_foreign_value_as_the_old_one)
{
	static const enum layout layouts[] = { V1, V2 };

	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
		const char *file = layouts[i] == V1 ? "memory.limit_in_bytes" : "memory.high";
		struct ledger_counts counts;
		struct fixture f = { 0 };

		set_up(&f, layouts[i]);
		cr_expect_eq(set(&f, 64 * MIB, false), 0);
		put(&f, file, "50003968\n");
		if (layouts[i] == V1)
			put(&f, "memory.oom_control", "oom_kill_disable 1\nunder_oom 0\n");
		cr_expect_eq(set(&f, 128 * MIB, false), -ESTALE);
		cr_expect_eq(control_ram_adopt(&f.m.tree, &f.group, f.m.ledger, &f.ram), 0);
		cr_expect_eq(set(&f, 128 * MIB, false), 0);
		cr_expect_str_eq(value(&f, file), "134217728");
		if (layouts[i] == V1)
			put(&f, "memory.oom_control", "oom_kill_disable 1\nunder_oom 0\n");
		counts = made_up_restore(&f.m);
		cr_expect_eq(counts.foreign, 0);
		cr_expect_str_eq(value(&f, file), "50003968", "theirs comes back");
		if (layouts[i] == V2)
			cr_expect_str_eq(value(&f, "memory.max"), "max", "what was ours, as before us");
		tear_down(&f);
	}
}

Test(control, adopting_without_a_foreign_value_changes_nothing)
{
	struct fixture f = { 0 };

	set_up(&f, V2);
	cr_expect_eq(set(&f, 64 * MIB, false), 0);
	cr_expect_eq(control_ram_adopt(&f.m.tree, &f.group, f.m.ledger, &f.ram), 0);
	made_up_restore(&f.m);
	cr_expect_str_eq(value(&f, "memory.high"), "max");
	tear_down(&f);
}

Test(control, needs_a_binding_record)
{
	struct fixture f = { 0 };

	made_up_new(&f.m, V2);
	made_up_group(&f.m, "g", &f.group);
	made_up_ledger(&f.m);
	cr_assert_eq(control_ram_prepare(&f.m.tree, &f.group, f.m.ledger, &f.ram), 0);
	cr_expect_eq(set(&f, 64 * MIB, false), -ENOENT, "not committed yet");
	cr_expect_str_eq(value(&f, "memory.high"), "max");
	cr_expect_eq(ledger_commit(f.m.ledger), 0);
	cr_expect_eq(set(&f, 64 * MIB, false), 0);
	tear_down(&f);
}

Test(control, reports_a_group_that_is_gone)
{
	struct fixture f = { 0 };
	uint64_t got;

	set_up(&f, V2);
	made_up_remove(&f.m, "v2/g/memory.current");
	made_up_remove(&f.m, "v2/g/memory.high");
	cr_expect_eq(control_read(&f.m.tree, &f.group, CONTROL_USAGE, &got), -ENOENT);
	made_up_remove(&f.m, "v2/g/cgroup.procs");
	cr_expect_eq(control_read(&f.m.tree, &f.group, CONTROL_USAGE, &got), -ENODEV);
	cr_expect_eq(set(&f, 64 * MIB, false), -ENODEV);
	tear_down(&f);
}
