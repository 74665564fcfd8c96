/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A small ledger, damaged in every way of a list: after each, no control may hold anything but the
 * value it was left with or its true old value, and damage is never silent.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "edge/control.h"
#include "made_up.h"

struct fixture {
	struct made_up m;
	struct cgroup group;
	unsigned char *bytes; /* the sound ledger, as a killed daemon left it */
	size_t size;
};

static const struct {
	const char *path, *ours, *old;
} controls[] = {
	{ "v2/g/memory.high", "67108864", "104857600" },
	{ "v2/g/memory.max", "83886080", "209715200" },
	{ "v2/g/cgroup.freeze", "1", "0" },
};

static void put_ours(struct fixture *f)
{
	for (size_t i = 0; i < ARRAY_SIZE(controls); i++)
		made_up_write(&f->m, controls[i].path, controls[i].ours);
}

static void keep_bytes(struct fixture *f)
{
	int fd = open(f->m.ledger_path, O_RDONLY);
	struct stat st;

	cr_assert_eq(fstat(fd, &st), 0);
	f->size = (size_t)st.st_size;
	f->bytes = malloc(f->size);
	cr_assert_eq(read(fd, f->bytes, f->size), (ssize_t)f->size);
	close(fd);
}

static void set_up(struct fixture *f)
{
	struct ledger_entry entry = { .kind = LEDGER_FROZEN, .path = "g" };
	struct control_ram ram;
	uint32_t record;

	made_up_new(&f->m, V2);
	made_up_group(&f->m, "g", &f->group);
	for (size_t i = 0; i < ARRAY_SIZE(controls); i++)
		made_up_write(&f->m, controls[i].path, controls[i].old);
	made_up_ledger(&f->m);
	cr_assert_eq(control_ram_prepare(&f->m.tree, &f->group, f->m.ledger, &ram), 0);
	entry.mount = f->m.tree.hierarchies[0].path;
	entry.group_id = f->group.id;
	cr_assert_eq(ledger_append(f->m.ledger, &entry, &record), 0);
	cr_assert_eq(ledger_commit(f->m.ledger), 0);
	cr_assert_eq(control_ram_set(&f->m.tree, &f->group, f->m.ledger, &ram, 64 << 20, false), 0);
	made_up_kill_ledger(&f->m);
	keep_bytes(f);
	put_ours(f);
}

static void tear_down(struct fixture *f)
{
	free(f->bytes);
	cgroup_close(&f->group);
	made_up_free(&f->m);
}

static void put_ledger(struct fixture *f, const unsigned char *bytes, size_t size)
{
	int fd = open(f->m.ledger_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, bytes, size), (ssize_t)size);
	close(fd);
}

static int open_damaged(struct fixture *f, bool intact, struct err *err)
{
	const struct ledger_options options = {
		.path = f->m.ledger_path,
		.existing = true,
		.intact = intact,
	};
	struct err note;

	err->text[0] = '\0';
	return ledger_open(&options, &f->m.ledger, &note, err);
}

static void expect_untouched(struct fixture *f, const char *what, size_t at)
{
	for (size_t i = 0; i < ARRAY_SIZE(controls); i++)
		cr_assert_str_eq(made_up_read(&f->m, controls[i].path), controls[i].ours,
				 "%s at %zu", what, at);
}

/* Refused as a whole; with `intact`, nothing wrong is written, and the damage is counted. */
static void expect_safe(struct fixture *f, const char *what, size_t at)
{
	struct ledger_counts counts;
	struct err err;

	cr_assert_eq(open_damaged(f, false, &err), -EBADMSG, "%s at %zu: %s", what, at, err.text);
	cr_assert_gt(strlen(err.text), 40);
	expect_untouched(f, what, at);

	if (open_damaged(f, true, &err) < 0) {
		expect_untouched(f, what, at);
		return;
	}
	counts = made_up_restore(&f->m);
	cr_assert_gt(counts.damaged, 0, "%s at %zu: silent", what, at);
	for (size_t i = 0; i < ARRAY_SIZE(controls); i++) {
		const char *now = made_up_read(&f->m, controls[i].path);

		cr_assert(strcmp(now, controls[i].ours) == 0 || strcmp(now, controls[i].old) == 0,
			  "%s at %zu: %s holds %s", what, at, controls[i].path, now);
	}
	ledger_close(TAKE_PTR(f->m.ledger));
	cr_assert(made_up_has(&f->m, "run/ledger.damaged"), "set aside");
	put_ours(f);
}

Test(damage, none)
{
	struct fixture f = { 0 };
	struct err err;

	set_up(&f);
	cr_assert_eq(open_damaged(&f, false, &err), 0, "%s", err.text);
	cr_expect_eq(made_up_restore(&f.m).restored, 3, "%s", made_up_said);
	for (size_t i = 0; i < ARRAY_SIZE(controls); i++)
		cr_expect_str_eq(made_up_read(&f.m, controls[i].path), controls[i].old);
	tear_down(&f);
}

Test(damage, cut_off_at_every_byte)
{
	struct fixture f = { 0 };

	set_up(&f);
	for (size_t size = 0; size < f.size; size++) {
		put_ledger(&f, f.bytes, size);
		expect_safe(&f, "cut", size);
	}
	tear_down(&f);
}

Test(damage, every_bit_flipped)
{
	struct fixture f = { 0 };

	set_up(&f);
	for (size_t bit = 0; bit < f.size * 8; bit++) {
		f.bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
		put_ledger(&f, f.bytes, f.size);
		expect_safe(&f, "bit", bit);
		f.bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
	tear_down(&f);
}

Test(damage, every_byte_zeroed_to_the_end)
{
	struct fixture f = { 0 };
	unsigned char *bytes;

	set_up(&f);
	bytes = calloc(1, f.size);
	for (size_t kept = 0; kept < f.size; kept += 3) {
		memcpy(bytes, f.bytes, kept);
		if (memcmp(bytes, f.bytes, f.size) == 0)
			continue; /* the padding behind the last record is zero anyway */
		put_ledger(&f, bytes, f.size);
		expect_safe(&f, "zeroes", kept);
	}
	free(bytes);
	tear_down(&f);
}

Test(damage, records_that_change_places)
{
	struct fixture f = { 0 };
	unsigned char *bytes;
	uint32_t first, second;

	set_up(&f);
	memcpy(&first, f.bytes + 96 + 4, sizeof(first));
	memcpy(&second, f.bytes + 96 + first + 4, sizeof(second));
	bytes = malloc(f.size);
	memcpy(bytes, f.bytes, f.size);
	memcpy(bytes + 96, f.bytes + 96 + first, second);
	memcpy(bytes + 96 + second, f.bytes + 96, first);
	put_ledger(&f, bytes, f.size);
	expect_safe(&f, "swap", 0);
	free(bytes);
	tear_down(&f);
}

/* A daemon killed inside an append leaves bytes behind the binding length: they mean nothing. */
Test(damage, a_tail_that_is_not_binding_is_no_damage)
{
	struct fixture f = { 0 };
	unsigned char *bytes;
	struct err err;

	set_up(&f);
	bytes = malloc(f.size + 1000);
	for (size_t tail = 1; tail < 1000; tail += 37) {
		memcpy(bytes, f.bytes, f.size);
		memset(bytes + f.size, (int)tail, tail);
		put_ledger(&f, bytes, f.size + tail);
		cr_assert_eq(open_damaged(&f, false, &err), 0, "%s", err.text);
		cr_expect_eq(made_up_restore(&f.m).restored, 3);
		ledger_close(TAKE_PTR(f.m.ledger));
		put_ours(&f);
	}
	free(bytes);
	tear_down(&f);
}
