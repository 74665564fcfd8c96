/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/cpulist.h"
#include "base/crc32.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/num.h"

Test(num, parses_what_the_kernel_prints_and_nothing_else)
{
	static const struct {
		const char *text;
		int result;
		uint64_t value;
	} table[] = {
		{ "0", 0, 0 },
		{ "42\n", 0, 42 },
		{ " 42 ", 0, 42 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "99999999999999999999", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
		{ "12 13", -EINVAL, 0 },
		{ "max", -EINVAL, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		uint64_t value = 0;

		cr_expect_eq(num_parse_all(table[i].text, &value), table[i].result, "%s",
			     table[i].text);
		cr_expect_eq(value, table[i].value, "%s", table[i].text);
	}
}

Test(num, finds_whole_keys_only)
{
	const char *text = "oom 4\noom_kill 3\nbad x\nlast 7";
	uint64_t value = 0;

	cr_expect_eq(num_find_key(text, "oom_kill", &value), 0);
	cr_expect_eq(value, 3);
	cr_expect_eq(num_find_key(text, "oom", &value), 0);
	cr_expect_eq(value, 4);
	cr_expect_eq(num_find_key(text, "last", &value), 0);
	cr_expect_eq(value, 7);
	cr_expect_eq(num_find_key(text, "kill", &value), -ENOENT);
	cr_expect_eq(num_find_key(text, "bad", &value), -EINVAL);
	cr_expect_eq(num_find_key("", "x", &value), -ENOENT);
}

Test(crc32, is_the_one_of_zlib_and_chains)
{
	cr_expect_eq(crc32_of(0, "123456789", 9), 0xcbf43926);
	cr_expect_eq(crc32_of(crc32_of(0, "1234", 4), "56789", 5), 0xcbf43926);
}

Test(err, quotes_untrusted_names)
{
	char out[ERR_QUOTED], name[300];

	cr_expect_str_eq(err_quote("docker/web", out), "docker/web");
	cr_expect_str_eq(err_quote("a\nb\x1b[31m\xff", out), "a\\x0ab\\x1b[31m\\xff");
	memset(name, '\n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	cr_expect_lt(strlen(err_quote(name, out)), ERR_QUOTED);
	cr_expect_not_null(strstr(out, "..."));
	memset(name, 'x', sizeof(name) - 1);
	memcpy(name, "begin", 5);
	memcpy(name + sizeof(name) - 4, "end", 3);
	err_quote(name, out);
	cr_expect_eq(strncmp(out, "begin", 5), 0);
	cr_expect_str_eq(out + strlen(out) - 3, "end");
	for (size_t n = 0; n < sizeof(name) - 1; n++) {
		name[n] = '\0';
		cr_expect_lt(strlen(err_quote(name, out)), ERR_QUOTED);
		name[n] = 'x';
	}
}

Test(fd, loads_files_of_any_length_up_to_its_bound)
{
	static const size_t sizes[] = { 0, 1, 4095, 4096, 4097, 65536, 1048575, 1048576, 2000000 };
	char dir[] = "/tmp/pfuse-test-XXXXXX", path[64];

	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/file", dir);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int r, expected = sizes[i] < 1048576 ? 0 : -EFBIG;
		FILE *file = fopen(path, "w");
		char *text = NULL;

		for (size_t n = 0; n < sizes[i]; n++)
			putc('x', file);
		fclose(file);
		r = fd_load_at(AT_FDCWD, path, &text);
		cr_expect_eq(r, expected, "%zu bytes", sizes[i]);
		cr_expect(r < 0 ? !text : strlen(text) == sizes[i], "%zu bytes", sizes[i]);
		free(text);
	}
	remove(path);
	cr_expect_eq(fd_load_at(AT_FDCWD, path, &(char *){ NULL }), -ENOENT);
	rmdir(dir);
}

Test(cpulist, reads_and_prints_what_the_kernel_does)
{
	static const struct {
		const char *text;
		int result;
		const char *printed;
	} table[] = {
		{ "", 0, "" },
		{ "\n", 0, "" },
		{ "0\n", 0, "0" },
		{ "3,1,0", 0, "0-1,3" },
		{ "0-2,1-5,7", 0, "0-5,7" },
		{ "7-8,15-17,8191", 0, "7-8,15-17,8191" },
		{ "0-8191", 0, "0-8191" },
		{ "8192", -EINVAL, "" },
		{ "5-3", -EINVAL, "" },
		{ "1,,2", -EINVAL, "" },
		{ "0-18446744073709551616", -EINVAL, "" },
		{ "0-3:1/2", -EINVAL, "" },
		{ "root", -EINVAL, "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct cpulist list = { { 0 } };
		char buf[64];

		cr_expect_eq(cpulist_parse(table[i].text, &list), table[i].result, "%s",
			     table[i].text);
		cr_expect_eq(cpulist_print(&list, buf, sizeof(buf)), 0);
		cr_expect_str_eq(buf, table[i].printed, "%s: %s", table[i].text, buf);
	}
}

Test(cpulist, walks_and_compares)
{
	struct cpulist all = { { 0 } }, part = { { 0 } };
	char buf[5];

	cpulist_parse("3,64-65,8191", &all);
	cr_expect_eq(cpulist_next(&all, 0), 3);
	cr_expect_eq(cpulist_next(&all, 3), 3);
	cr_expect_eq(cpulist_next(&all, 4), 64);
	cr_expect_eq(cpulist_next(&all, 66), 8191);
	cr_expect_eq(cpulist_next(&all, 8192), CPULIST_IDS);
	cr_expect_eq(cpulist_next(&part, 0), CPULIST_IDS);
	cr_expect_not(cpulist_has(&all, 100000));
	cpulist_parse("3,64", &part);
	cr_expect(cpulist_exceeds(&all, &part));
	cr_expect_not(cpulist_exceeds(&part, &all));
	cr_expect_not(cpulist_exceeds(&part, &part));
	cpulist_parse("100-101", &all);
	cr_expect_eq(cpulist_print(&all, buf, sizeof(buf)), -EFBIG, "it does not fit");
}
