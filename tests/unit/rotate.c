/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Files that are begun anew: what the older ones are called, and which of them stay. */
#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "export/rotate.h"

Test(rotate, the_number_stands_before_the_ending)
{
	static const struct {
		const char *path;
		unsigned number;
		const char *name;
	} rows[] = {
		{ "x.pftrace", 0, "x.pftrace" },
		{ "x.pftrace", 1, "x.1.pftrace" },
		{ "/a/x.pftrace", 12, "/a/x.12.pftrace" },
		{ "x", 2, "x.2" },
		{ ".trace", 1, ".trace.1" },
		{ "a.d/trace", 3, "a.d/trace.3" },
		{ "a.d/.t.json", 1, "a.d/.t.1.json" },
		{ "x.", 1, "x.1." },
		{ "x.1.pftrace", 1, "x.1.1.pftrace" },
	};
	char name[PATH_MAX], small[8];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cr_assert_eq(rotate_name(rows[i].path, rows[i].number, name, sizeof(name)), 0);
		cr_assert_str_eq(name, rows[i].name);
	}
	cr_assert_eq(rotate_name("x.pftrace", 1, small, sizeof(small)), -ENAMETOOLONG);
}

static void write_line(const char *path, int number)
{
	FILE *file = fopen(path, "w");

	cr_assert_not_null(file);
	fprintf(file, "%d", number);
	fclose(file);
}

/* -1: there is no such file. */
static int number_in(const char *path)
{
	FILE *file = fopen(path, "r");
	int number = -1;

	if (file) {
		cr_assert_eq(fscanf(file, "%d", &number), 1);
		fclose(file);
	}
	return number;
}

Test(rotate, the_newest_stay)
{
	char directory[] = "/tmp/pfuse-test-rotate-XXXXXX";

	cr_assert_not_null(mkdtemp(directory));
	cr_assert_eq(chdir(directory), 0);
	for (int i = 1; i <= 5; i++) {
		write_line("x.pftrace", i);
		cr_assert_eq(rotate_shift("x.pftrace", 3), 0);
		cr_assert_eq(number_in("x.pftrace"), -1, "its place is free");
	}
	cr_assert_eq(number_in("x.1.pftrace"), 5);
	cr_assert_eq(number_in("x.2.pftrace"), 4);
	cr_assert_eq(number_in("x.3.pftrace"), 3);
	cr_assert_eq(number_in("x.4.pftrace"), -1);
	unlink("x.2.pftrace"); /* somebody takes one away */
	write_line("x.pftrace", 6);
	cr_assert_eq(rotate_shift("x.pftrace", 3), 0);
	cr_assert_eq(number_in("x.1.pftrace"), 6);
	cr_assert_eq(number_in("x.2.pftrace"), 5);
	cr_assert_eq(number_in("x.3.pftrace"), 3);
	cr_assert_eq(rotate_shift("no/such.pftrace", 1), 0, "there is nothing to shift");
	unlink("x.1.pftrace");
	unlink("x.2.pftrace");
	unlink("x.3.pftrace");
	cr_assert_eq(rmdir(directory), 0);
}
