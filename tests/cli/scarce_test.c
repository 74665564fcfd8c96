/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * When memory counts as short, for how long, and what becomes of the shares: a daemon of which there is only what
 * that looks at, on a machine whose /proc/meminfo is made up. Who gets how much is core/shares.h, unit.shares.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/scarce.h"
#include "daemon/squeeze.h"

#define MIB (UINT64_C(1) << 20)
#define RAM (1000 * MIB)
#define GROUPS 3
#define S 1000000000ull

struct fixture {
	struct daemon daemon;
	struct options options;
	struct config config;
	struct fcb fcbs[GROUPS + 1];
	struct member members[GROUPS + 1];
	char dir[40];
};

static void available(struct fixture *f, uint64_t bytes)
{
	_cleanup_fclose_ FILE *file = NULL;
	char path[64];

	snprintf(path, sizeof(path), "%s/meminfo", f->dir);
	file = fopen(path, "we");
	cr_assert_not_null(file);
	fprintf(file, "MemTotal: %llu kB\nMemAvailable: %llu kB\n", RAM / 1024ull,
		(unsigned long long)bytes / 1024);
}

static void set_up(struct fixture *f)
{
	struct daemon *d = &f->daemon;
	struct err err;

	*f = (struct fixture){ .dir = "/tmp/pfuse-scarce-XXXXXX" };
	cr_assert_not_null(mkdtemp(f->dir));
	available(f, RAM / 2);
	f->options.policy = CONFIG_ADAPTIVE;
	f->config.interval_ns = S;
	f->config.memory_low_permille = 50;
	*d = (struct daemon){ .options = &f->options, .config = &f->config };
	d->machine.tree.proc_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d->members = (struct members){ .at = f->members, .fcbs = f->fcbs, .count = GROUPS + 1 };
	orchestrator_init(&d->core, f->fcbs, GROUPS + 1, RAM, 4096);
	cr_assert_eq(squeeze_open(d, &err), 0);
	cr_assert_eq(scarce_open(d, &err), 0);
	for (uint32_t slot = 1; slot <= GROUPS; slot++) {
		struct pfuse_sample first = { .ram_usage_bytes = 100 * MIB, .nprocs = 1 };
		struct fcb_policy policy;

		fcb_policy_defaults(&policy, RAM);
		orchestrator_attach(&d->core, slot, 70 + slot, &policy, &first, S);
		orchestrator_choose(&d->core, slot, true, false, &first, 0, S);
	}
	d->loop.now_ns = 10 * S;
}

static void tear_down(struct fixture *f)
{
	char path[64];

	scarce_close(&f->daemon);
	squeeze_close(&f->daemon);
	close(f->daemon.machine.tree.proc_fd);
	snprintf(path, sizeof(path), "%s/meminfo", f->dir);
	unlink(path);
	rmdir(f->dir);
}

static void look(struct fixture *f)
{
	f->daemon.loop.now_ns += 2 * S;
	scarce_tick(&f->daemon);
}

static uint64_t shares(const struct fixture *f)
{
	uint64_t sum = 0;

	for (uint32_t slot = 1; slot <= GROUPS; slot++)
		sum += scarce_share(&f->daemon, slot);
	return sum;
}

Test(scarce, the_total_is_shared_out_and_given_back)
{
	struct fixture f;

	set_up(&f);
	look(&f);
	cr_expect_eq(shares(&f), 0, "nothing is short");
	f.config.memory_total_bytes = 240 * MIB;
	look(&f);
	cr_expect(shares(&f) > 239 * MIB && shares(&f) <= 240 * MIB, "%llu",
		  (unsigned long long)shares(&f));
	for (uint32_t slot = 1; slot <= GROUPS; slot++) {
		cr_expect_eq(scarce_share(&f.daemon, slot),
			     f.daemon.core.adaptive[slot].share_bytes, "the core knows it");
		cr_expect(f.members[slot].awake, "a sample is needed to act on it");
	}
	f.config.memory_total_bytes = 400 * MIB;
	look(&f);
	cr_expect_eq(shares(&f), 0);
	cr_expect_eq(f.daemon.core.adaptive[1].share_bytes, 0);
	tear_down(&f);
}

/* Below 5 % it is short, and until it is a quarter above that. */
Test(scarce, the_machine_is_short_until_it_is_clearly_not)
{
	static const struct {
		uint64_t available;
		bool is_short;
		const char *why;
	} table[] = {
		{ 51 * MIB, false, "above the mark" },
		{ 49 * MIB, true, "below it" },
		{ 55 * MIB, true, "not yet a quarter above it" },
		{ 63 * MIB, false, "clearly above it" },
		{ 55 * MIB, false, "nor does it begin there" },
		{ 40 * MIB, true, "and again" },
	};
	struct fixture f;

	set_up(&f);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		available(&f, table[i].available);
		look(&f);
		cr_expect_eq(shares(&f) > 0, table[i].is_short, "%zu: %s", i, table[i].why);
	}
	/* 300 MiB in use and 10 MiB missing. */
	cr_expect(shares(&f) > 289 * MIB && shares(&f) <= 290 * MIB, "%llu",
		  (unsigned long long)shares(&f));
	tear_down(&f);
}

Test(scarce, looks_every_other_second_and_changes_what_has_changed)
{
	struct fixture f;
	uint64_t before;

	set_up(&f);
	f.config.memory_total_bytes = 240 * MIB;
	scarce_tick(&f.daemon);
	before = scarce_share(&f.daemon, 1);
	cr_assert_gt(before, 0);
	f.config.memory_total_bytes = 120 * MIB;
	f.daemon.loop.now_ns += S;
	scarce_tick(&f.daemon);
	cr_expect_eq(scarce_share(&f.daemon, 1), before, "too soon");
	f.config.memory_total_bytes = 235 * MIB;
	look(&f);
	cr_expect_eq(scarce_share(&f.daemon, 1), before, "a little less is the same");
	f.config.memory_total_bytes = 120 * MIB;
	look(&f);
	cr_expect_lt(scarce_share(&f.daemon, 1), before);
	tear_down(&f);
}

Test(scarce, a_small_or_removed_group_keeps_nothing_from_others)
{
	struct fixture f;

	set_up(&f);
	f.fcbs[2].res[FCB_RAM].usage = MIB; /* its floor is 16 MiB */
	f.fcbs[3].removed = true;
	f.config.memory_total_bytes = 60 * MIB;
	look(&f);
	cr_expect_eq(scarce_share(&f.daemon, 2), MIB);
	cr_expect_eq(scarce_share(&f.daemon, 3), 0);
	cr_expect(scarce_share(&f.daemon, 1) > 58 * MIB, "%llu",
		  (unsigned long long)scarce_share(&f.daemon, 1));
	tear_down(&f);
}

Test(scarce, under_another_policy_there_are_none)
{
	struct fixture f;

	set_up(&f);
	f.daemon.core.adaptive[1].chosen = false;
	f.config.memory_total_bytes = 60 * MIB;
	look(&f);
	cr_expect_eq(scarce_share(&f.daemon, 1), 0);
	scarce_close(&f.daemon);
	cr_expect_eq(scarce_share(&f.daemon, 2), 0, "closed");
	scarce_tick(&f.daemon);
	tear_down(&f);
}
