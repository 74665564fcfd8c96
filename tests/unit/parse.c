/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/parse.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pfuse/sample.h"
#include "random.h"

#define UNTOUCHED 4242

typedef bool (*parser)(const char *text, size_t len, uint64_t *ret_value);

static bool cpus(const char *text, size_t len, uint64_t *ret_value)
{
	uint32_t value;

	if (!parse_cpus(text, len, &value))
		return false;
	*ret_value = value;
	return true;
}

static bool permille(const char *text, size_t len, uint64_t *ret_value)
{
	uint32_t value;

	if (!parse_permille(text, len, &value))
		return false;
	*ret_value = value;
	return true;
}

/* On the heap without its NUL, so that AddressSanitizer sees a step beyond the end. */
static bool parse_exactly(parser p, const char *text, uint64_t *ret_value)
{
	size_t len = strlen(text);
	char *copy = malloc(len ? len : 1);
	bool ok;

	memcpy(copy, text, len);
	ok = p(copy, len, ret_value);
	free(copy);
	return ok;
}

Test(parse, values)
{
	static const struct {
		parser parse;
		const char *text;
		bool ok;
		uint64_t value;
	} table[] = {
		{ parse_u64, "0", true, 0 },
		{ parse_u64, "4096\n", true, 4096 },
		{ parse_u64, "007", true, 7 },
		{ parse_u64, "18446744073709551615", true, UINT64_MAX },
		{ parse_u64, "18446744073709551616", false, 0 },
		{ parse_u64, "99999999999999999999", false, 0 },
		{ parse_u64, "max", true, PFUSE_UNLIMITED },
		{ parse_u64, "max\n", true, PFUSE_UNLIMITED },
		{ parse_u64, "", false, 0 },
		{ parse_u64, "\n", false, 0 },
		{ parse_u64, "1\n\n", false, 0 },
		{ parse_u64, "-1", false, 0 },
		{ parse_u64, "+1", false, 0 },
		{ parse_u64, " 1", false, 0 },
		{ parse_u64, "1 ", false, 0 },
		{ parse_u64, "0x10", false, 0 },
		{ parse_u64, "maximum", false, 0 },
		{ parse_u64, "ma", false, 0 },

		{ parse_size, "123", true, 123 },
		{ parse_size, "123B", true, 123 },
		{ parse_size, "64M", true, 64ull << 20 },
		{ parse_size, "64m", true, 64ull << 20 },
		{ parse_size, "64MiB", true, 64ull << 20 },
		{ parse_size, "1K", true, 1024 },
		{ parse_size, "4G", true, 4ull << 30 },
		{ parse_size, "2TiB", true, 2ull << 40 },
		{ parse_size, "1.5G", true, 3ull << 29 },
		{ parse_size, "0.000001T", true, 1099511 },
		{ parse_size, "max", true, PFUSE_UNLIMITED },
		{ parse_size, "16777215T", true, 16777215ull << 40 },
		{ parse_size, "16777215.999999T", true,
		  (16777215ull << 40) + 999999ull * (1ull << 40) / 1000000 },
		{ parse_size, "16777216T", false, 0 },
		{ parse_size, "1.5", false, 0 },
		{ parse_size, "1.5B", false, 0 },
		{ parse_size, ".5G", false, 0 },
		{ parse_size, "1.G", false, 0 },
		{ parse_size, "1.0000001G", false, 0 },
		{ parse_size, "64MB", false, 0 },
		{ parse_size, "64 M", false, 0 },
		{ parse_size, "64Mi", false, 0 },
		{ parse_size, "M", false, 0 },
		{ parse_size, "-1M", false, 0 },

		{ parse_duration, "500ms", true, 500000000 },
		{ parse_duration, "10s", true, 10000000000 },
		{ parse_duration, "25s\n", true, 25000000000 },
		{ parse_duration, "5m", true, 300000000000 },
		{ parse_duration, "1h", true, 3600000000000 },
		{ parse_duration, "1.5s", true, 1500000000 },
		{ parse_duration, "0s", true, 0 },
		{ parse_duration, "7us", true, 7000 },
		{ parse_duration, "7ns", true, 7 },
		{ parse_duration, "5124095.576030h", true, 5124095576030ull * 3600000 },
		{ parse_duration, "5124095.99h", false, 0 },
		{ parse_duration, "5124096h", false, 0 },
		{ parse_duration, "0", false, 0 },
		{ parse_duration, "10", false, 0 },
		{ parse_duration, "10S", false, 0 },
		{ parse_duration, "1m30s", false, 0 },
		{ parse_duration, "max", false, 0 },
		{ parse_duration, "1.5ns", false, 0 },

		{ cpus, "2", true, 2000 },
		{ cpus, "0.05", true, 50 },
		{ cpus, "1.5", true, 1500 },
		{ cpus, "0.0005", true, 0 },
		{ cpus, "0", true, 0 },
		{ cpus, "1000000", true, 1000000000 },
		{ cpus, "1000000.001", false, 0 },
		{ cpus, "18446744073709551615", false, 0 },
		{ cpus, "-1", false, 0 },
		{ cpus, "", false, 0 },
		{ cpus, ".5", false, 0 },
		{ cpus, "50%", false, 0 },
		{ cpus, "max", false, 0 },
		{ permille, "90%", true, 900 },
		{ permille, "92.5%", true, 925 },
		{ permille, "100%", true, 1000 },
		{ permille, "0%", true, 0 },
		{ permille, "0.5%", true, 5 },
		{ permille, "5permille", true, 5 },
		{ permille, "100.1%", false, 0 },
		{ permille, "90", false, 0 },
		{ permille, "0.9", false, 0 },
		{ permille, "%", false, 0 },
		{ permille, "90%%", false, 0 },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		uint64_t value = UNTOUCHED;
		bool ok = parse_exactly(table[i].parse, table[i].text, &value);

		cr_expect(ok == table[i].ok, "#%zu \"%s\"", i, table[i].text);
		cr_expect(value == (ok ? table[i].value : UNTOUCHED), "#%zu \"%s\": %" PRIu64, i,
			  table[i].text, value);
	}
}

Test(parse, flat_keyed)
{
	static const char events[] = "low 0\nhigh 12\nmax 3\noom 1\noom_kill 2\n";
	uint64_t value = UNTOUCHED;

	cr_expect(parse_key(events, strlen(events), "oom_kill", &value) && value == 2);
	cr_expect(parse_key(events, strlen(events), "low", &value) && value == 0);
	cr_expect(parse_key(events, strlen(events), "max", &value) && value == 3);
	cr_expect(parse_key("a max\n", 6, "a", &value) && value == PFUSE_UNLIMITED);
	cr_expect(parse_key("a 7", 3, "a", &value) && value == 7, "no newline at the end");
	value = UNTOUCHED;
	cr_expect(!parse_key(events, strlen(events), "oom_", &value));
	cr_expect(!parse_key(events, strlen(events), "oom_kill_more", &value));
	cr_expect(!parse_key("a", 1, "a", &value), "no value");
	cr_expect(!parse_key("a x\n", 4, "a", &value));
	cr_expect(!parse_key("", 0, "a", &value));
	cr_expect(value == UNTOUCHED);
}

Test(parse, nested_keyed)
{
	static const char io[] = "8:0 rbytes=100 wbytes=20 rios=1 wios=1 dbytes=0 dios=0\n"
				 "8:16 \n"
				 "253:0 rbytes=7 wbytes=3 cost.vrate=100.00\n";
	static const char big[] = "1:0 n=18446744073709551615\n1:1 n=5\n";
	uint64_t sum = UNTOUCHED;

	cr_expect(parse_nested_sum(io, strlen(io), "rbytes", &sum) && sum == 107);
	cr_expect(parse_nested_sum(io, strlen(io), "wbytes", &sum) && sum == 23);
	cr_expect(parse_nested_sum(io, strlen(io), "bytes", &sum) && sum == 0, "no such key");
	cr_expect(parse_nested_sum("", 0, "rbytes", &sum) && sum == 0, "nobody did any I/O");
	cr_expect(parse_nested_sum(big, strlen(big), "n", &sum) && sum == UINT64_MAX, "saturates");
	sum = UNTOUCHED;
	cr_expect(!parse_nested_sum("8:0 rbytes=x\n", 13, "rbytes", &sum));
	cr_expect(!parse_nested_sum("8:0 rbytes=\n", 12, "rbytes", &sum));
	cr_expect(sum == UNTOUCHED);
}

Test(parse, pressure)
{
	static const char psi[] = "some avg10=0.12 avg60=0.00 avg300=0.00 total=1234\n"
				  "full avg10=0.00 avg60=0.00 avg300=0.00 total=99\n";
	uint64_t us = UNTOUCHED;

	cr_expect(parse_pressure(psi, strlen(psi), "some", &us) && us == 1234);
	cr_expect(parse_pressure(psi, strlen(psi), "full", &us) && us == 99);
	us = UNTOUCHED;
	cr_expect(!parse_pressure(psi, strlen(psi), "none", &us));
	cr_expect(!parse_pressure("some avg10=0.00\n", 16, "some", &us));
	cr_expect(!parse_pressure("some total=1x\n", 14, "some", &us));
	cr_expect(us == UNTOUCHED);
}

static bool slice_is(struct parse_slice s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.at, text, s.len) == 0;
}

Test(parse, cgroup_lines)
{
	static const struct {
		const char *line;
		bool ok;
		uint64_t hierarchy;
		const char *controllers, *path;
	} table[] = {
		{ "0::/user.slice/a.scope\n", true, 0, "", "/user.slice/a.scope" },
		{ "12:cpu,cpuacct:/docker/0a", true, 12, "cpu,cpuacct", "/docker/0a" },
		{ "1:name=systemd:/", true, 1, "name=systemd", "/" },
		{ "0::/with:colon\n", true, 0, "", "/with:colon" },
		{ "0::/../outside", true, 0, "", "/../outside" },
		{ "0::/gone (deleted)", true, 0, "", "/gone (deleted)" },
		{ "0::", false, 0, NULL, NULL },
		{ "0::relative", false, 0, NULL, NULL },
		{ "0:", false, 0, NULL, NULL },
		{ "0", false, 0, NULL, NULL },
		{ "x::/a", false, 0, NULL, NULL },
		{ "::/a", false, 0, NULL, NULL },
		{ "", false, 0, NULL, NULL },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct parse_cgroup c = { .hierarchy = UNTOUCHED };
		bool ok = parse_cgroup_line(table[i].line, strlen(table[i].line), &c);

		cr_assert(ok == table[i].ok, "%s", table[i].line);
		cr_expect(c.hierarchy == (ok ? table[i].hierarchy : UNTOUCHED), "%s",
			  table[i].line);
		if (!ok)
			continue;
		cr_expect(slice_is(c.controllers, table[i].controllers), "%s", table[i].line);
		cr_expect(slice_is(c.path, table[i].path), "%s", table[i].line);
	}
}

Test(parse, lists_and_lines)
{
	struct parse_slice list = { "cpu,cpuacct", 11 }, rest = { "a\n\nb", 4 }, line;

	cr_expect(parse_list_has(list, "cpu") && parse_list_has(list, "cpuacct"));
	cr_expect(!parse_list_has(list, "cpua") && !parse_list_has(list, "memory"));
	cr_expect(!parse_list_has((struct parse_slice){ "", 0 }, "cpu"));
	cr_expect(parse_next_line(&rest, &line) && slice_is(line, "a"));
	cr_expect(parse_next_line(&rest, &line) && slice_is(line, ""));
	cr_expect(parse_next_line(&rest, &line) && slice_is(line, "b"));
	cr_expect(!parse_next_line(&rest, &line));
}

Test(parse, escape)
{
	static const struct {
		const char *src;
		size_t cap;
		const char *dst, *why;
	} table[] = {
		{ "web-1", 64, "web-1", "plain" },
		{ "", 64, "", "empty" },
		{ "a\nb\033[2Jc\x7f", 64, "a\\x0ab\\x1b[2Jc\\x7f", "newline, ESC, DEL" },
		{ "a\\x0a", 64, "a\\x5cx0a", "a backslash cannot pass for an escape" },
		{ "f\xc3\xb6r \xed\x95\x9c\xea\xb8\x80 \xf0\x9f\x8d\xba", 64,
		  "f\xc3\xb6r \xed\x95\x9c\xea\xb8\x80 \xf0\x9f\x8d\xba",
		  "UTF-8 of 2, 3, 4 bytes" },
		{ "\xc2\x9b"
		  "2J",
		  64, "\\xc2\\x9b2J", "C1: CSI in UTF-8" },
		{ "\xc2\xa0", 64, "\xc2\xa0", "the first that is no C1" },
		{ "\x9b", 64, "\\x9b", "a lone continuation byte" },
		{ "\xc0\xaf", 64, "\\xc0\\xaf", "overlong" },
		{ "\xe0\x9f\xbf", 64, "\\xe0\\x9f\\xbf", "overlong" },
		{ "\xf0\x8f\xbf\xbf", 64, "\\xf0\\x8f\\xbf\\xbf", "overlong" },
		{ "\xed\xa0\x80", 64, "\\xed\\xa0\\x80", "a surrogate" },
		{ "\xf4\x90\x80\x80", 64, "\\xf4\\x90\\x80\\x80", "above U+10FFFF" },
		{ "\xf5", 64, "\\xf5", "never a first byte" },
		{ "\xe2\x82", 64, "\\xe2\\x82", "cut short" },
		{ "\xe2\x82z", 64, "\\xe2\\x82z", "broken off" },
		{ "a\xe2\x80\xae"
		  "b",
		  64, "a\\xe2\\x80\\xaeb", "right-to-left override" },
		{ "\xe2\x81\xa7\xe2\x80\xa8\xd8\x9c", 64,
		  "\\xe2\\x81\\xa7\\xe2\\x80\\xa8\\xd8\\x9c",
		  "isolate, line separator, letter mark" },
		{ "\xe2\x80\xa7\xe2\x80\xaf", 64, "\xe2\x80\xa7\xe2\x80\xaf",
		  "neighbours of those" },
		{ "12345678", 9, "12345678", "fits exactly" },
		{ "123456789", 9, "12345...", "one too many" },
		{ "1234\n", 9, "1234\\x0a", "an escape fits exactly" },
		{ "12345\n", 9, "12345...", "an escape is not cut" },
		{ "1234\xed\x95\x9cz5", 9, "1234...", "a character is not cut" },
		{ "abcde", 4, "...", "room for the dots alone" },
		{ "abc", 4, "abc", "fits" },
		{ "abc", 3, "", "no room for the dots" },
		{ "abc", 1, "", "room for nothing" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char *dst = malloc(table[i].cap);
		size_t n = parse_escape(dst, table[i].cap, table[i].src, strlen(table[i].src));

		cr_expect_str_eq(dst, table[i].dst, "%s: %s", table[i].why, dst);
		cr_expect(n == strlen(dst), "%s", table[i].why);
		free(dst);
	}
	cr_expect(parse_escape(NULL, 0, "abc", 3) == 0, "no room at all");
}

/* Whatever comes: terminated, within the room, nothing that a terminal would act on. */
Test(parse, escape_any_bytes)
{
	struct random_state rnd = { 0x853c49e6748fea9bull };

	for (int i = 0; i < 200000; i++) {
		size_t len = random_below(&rnd, 24), cap = 1 + random_below(&rnd, 40);
		char src[24], *dst = malloc(cap);
		size_t n;

		for (size_t k = 0; k < len; k++) /* UTF-8's lead and continuation bytes, mostly */
			src[k] = (char)(random_below(&rnd, 4) ? 0x80 | random_u64(&rnd)
							      : random_u64(&rnd));
		n = parse_escape(dst, cap, src, len);
		cr_assert(n < cap && dst[n] == '\0');
		for (size_t k = 0; k < n; k++)
			if ((unsigned char)dst[k] < 0x20 || dst[k] == 0x7f ||
			    ((unsigned char)dst[k] == 0xc2 && (unsigned char)dst[k + 1] < 0xa0))
				cr_assert_fail("#%d: byte %02x passed", i, (unsigned char)dst[k]);
		free(dst);
	}
}

/* Random text at every parser: no crash, no step beyond the end (AddressSanitizer). */
Test(parse, any_text)
{
	static const char alphabet[] = "0123456789.:=/ \n%kKMGTiBmsuhnatlox-\\";
	struct random_state rnd = { 0xda3e39cb94b95bdbull };

	for (int i = 0; i < 200000; i++) {
		size_t len = random_below(&rnd, 32);
		char *text = malloc(len ? len : 1);
		struct parse_cgroup c;
		uint64_t v;

		for (size_t k = 0; k < len; k++)
			text[k] = alphabet[random_below(&rnd, sizeof(alphabet) - 1)];
		parse_u64(text, len, &v);
		parse_size(text, len, &v);
		parse_duration(text, len, &v);
		permille(text, len, &v);
		parse_key(text, len, "a", &v);
		parse_nested_sum(text, len, "a", &v);
		parse_pressure(text, len, "a", &v);
		parse_cgroup_line(text, len, &c);
		free(text);
	}
}
