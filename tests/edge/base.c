/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
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
