/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/parse.h"

#include <string.h>

#include "core/arith.h"
#include "pfuse/sample.h"

/*
 * Digits of a fraction that are taken. With six, fraction * unit stays below 2^62 for the largest
 * unit (10^6 * 1 h in ns); more digits than that are refused rather than silently dropped.
 */
#define FRACTION_DIGITS 6

struct unit {
	const char *name;
	uint64_t factor;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Byte by byte: the compiler turns a loop that looks for the end first into strlen(). */
static bool equals(struct parse_slice s, const char *word)
{
	for (size_t i = 0; i < s.len; i++)
		if (word[i] == '\0' || word[i] != s.at[i])
			return false;
	return word[s.len] == '\0';
}

static struct parse_slice skip(struct parse_slice s, size_t n)
{
	return (struct parse_slice){ s.at + n, s.len - n };
}

static struct parse_slice without_newline(const char *text, size_t len)
{
	if (len && text[len - 1] == '\n')
		len--;
	return (struct parse_slice){ text, len };
}

/* Takes leading digits off *s: at least one, and no overflow. */
static bool take_digits(struct parse_slice *s, uint64_t *ret_value)
{
	uint64_t value = 0;
	size_t i;

	for (i = 0; i < s->len && is_digit(s->at[i]); i++) {
		uint64_t digit = (uint64_t)(s->at[i] - '0');

		if (value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	if (i == 0)
		return false;
	*s = skip(*s, i);
	*ret_value = value;
	return true;
}

static bool take_u64(struct parse_slice s, uint64_t *ret_value)
{
	uint64_t value;

	if (!take_digits(&s, &value) || s.len)
		return false;
	*ret_value = value;
	return true;
}

bool parse_u64(const char *text, size_t len, uint64_t *ret_value)
{
	struct parse_slice s = without_newline(text, len);

	if (equals(s, "max")) {
		*ret_value = PFUSE_UNLIMITED;
		return true;
	}
	return take_u64(s, ret_value);
}

/* ".5" after the digits: *ret_parts of 10^digits. No point: 0 of 1. */
static bool take_fraction(struct parse_slice *s, uint64_t *ret_parts, uint64_t *ret_scale)
{
	struct parse_slice rest;
	uint64_t parts, scale = 1;

	*ret_parts = 0;
	*ret_scale = 1;
	if (s->len == 0 || s->at[0] != '.')
		return true;
	rest = skip(*s, 1);
	if (!take_digits(&rest, &parts) || s->len - rest.len > 1 + FRACTION_DIGITS)
		return false;
	for (size_t i = s->len - rest.len - 1; i > 0; i--)
		scale *= 10;
	*s = rest;
	*ret_parts = parts;
	*ret_scale = scale;
	return true;
}

/* NUMBER[.FRACTION]UNIT in terms of the unit's factor, rounded down. Units end with a null name. */
static bool take_quantity(struct parse_slice s, const struct unit *units, uint64_t *ret_value)
{
	uint64_t whole, parts, scale;

	if (!take_digits(&s, &whole) || !take_fraction(&s, &parts, &scale))
		return false;
	for (; units->name; units++)
		if (equals(s, units->name))
			break;
	if (!units->name || whole > UINT64_MAX / units->factor)
		return false;
	/* A fraction of the smallest unit is no quantity: "1.5" bytes. */
	if (units->factor == 1 && scale != 1)
		return false;
	whole *= units->factor;
	parts = parts * units->factor / scale;
	if (whole > UINT64_MAX - parts)
		return false;
	*ret_value = whole + parts;
	return true;
}

bool parse_size(const char *text, size_t len, uint64_t *ret_bytes)
{
	static const struct unit units[] = {
		{ "", 1 },
		{ "B", 1 },
		{ "K", 1ull << 10 },
		{ "k", 1ull << 10 },
		{ "KiB", 1ull << 10 },
		{ "M", 1ull << 20 },
		{ "m", 1ull << 20 },
		{ "MiB", 1ull << 20 },
		{ "G", 1ull << 30 },
		{ "g", 1ull << 30 },
		{ "GiB", 1ull << 30 },
		{ "T", 1ull << 40 },
		{ "t", 1ull << 40 },
		{ "TiB", 1ull << 40 },
		{ NULL, 0 },
	};
	struct parse_slice s = without_newline(text, len);

	if (equals(s, "max")) {
		*ret_bytes = PFUSE_UNLIMITED;
		return true;
	}
	return take_quantity(s, units, ret_bytes);
}

bool parse_duration(const char *text, size_t len, uint64_t *ret_ns)
{
	static const struct unit units[] = {
		{ "ns", 1 },	     { "us", 1000 },	   { "ms", 1000000 },
		{ "s", 1000000000 }, { "m", 60000000000 }, { "h", 3600000000000 },
		{ NULL, 0 },
	};

	return take_quantity(without_newline(text, len), units, ret_ns);
}

bool parse_cpus(const char *text, size_t len, uint32_t *ret_permille)
{
	static const struct unit units[] = {
		{ "", 1000 },
		{ NULL, 0 },
	};
	uint64_t permille;

	if (!take_quantity(without_newline(text, len), units, &permille) || permille > 1000000000)
		return false;
	*ret_permille = (uint32_t)permille;
	return true;
}

bool parse_permille(const char *text, size_t len, uint32_t *ret_permille)
{
	static const struct unit units[] = {
		{ "%", 10 },
		{ "permille", 1 },
		{ NULL, 0 },
	};
	uint64_t permille;

	if (!take_quantity(without_newline(text, len), units, &permille) || permille > 1000)
		return false;
	*ret_permille = (uint32_t)permille;
	return true;
}

/* Takes everything up to the first `end` (or all) off *rest; false when nothing is left to take. */
static bool take_until(struct parse_slice *rest, char end, struct parse_slice *ret_part)
{
	const char *found;
	size_t n;

	if (rest->len == 0)
		return false;
	found = NULL;
	for (n = 0; n < rest->len && !found; n++)
		if (rest->at[n] == end)
			found = rest->at + n;
	n = found ? (size_t)(found - rest->at) : rest->len;
	*ret_part = (struct parse_slice){ rest->at, n };
	*rest = skip(*rest, found ? n + 1 : n);
	return true;
}

bool parse_next_line(struct parse_slice *rest, struct parse_slice *ret_line)
{
	return take_until(rest, '\n', ret_line);
}

bool parse_key(const char *text, size_t len, const char *key, uint64_t *ret_value)
{
	struct parse_slice rest = { text, len }, line, word;

	while (parse_next_line(&rest, &line))
		if (take_until(&line, ' ', &word) && equals(word, key))
			return parse_u64(line.at, line.len, ret_value);
	return false;
}

/* "key=value" among the words of a line. true and no change of *sum: the key is not there. */
static bool add_word(struct parse_slice line, const char *key, uint64_t *sum)
{
	struct parse_slice word, name;
	uint64_t value;

	while (take_until(&line, ' ', &word)) {
		if (!take_until(&word, '=', &name) || !equals(name, key))
			continue;
		if (!take_u64(word, &value))
			return false;
		*sum = arith_add(*sum, value);
	}
	return true;
}

bool parse_nested_sum(const char *text, size_t len, const char *key, uint64_t *ret_sum)
{
	struct parse_slice rest = { text, len }, line;
	uint64_t sum = 0;

	while (parse_next_line(&rest, &line))
		if (!add_word(line, key, &sum))
			return false;
	*ret_sum = sum;
	return true;
}

bool parse_pressure(const char *text, size_t len, const char *kind, uint64_t *ret_total_us)
{
	struct parse_slice rest = { text, len }, line, word, name;

	while (parse_next_line(&rest, &line)) {
		if (!take_until(&line, ' ', &word) || !equals(word, kind))
			continue;
		while (take_until(&line, ' ', &word))
			if (take_until(&word, '=', &name) && equals(name, "total"))
				return take_u64(word, ret_total_us);
	}
	return false;
}

/* "12:cpu,cpuacct:/a/b", "0::/a:b": the path is all after the second colon, colons included. */
bool parse_cgroup_line(const char *text, size_t len, struct parse_cgroup *ret_cgroup)
{
	struct parse_slice rest = without_newline(text, len), id, controllers;
	uint64_t hierarchy;

	if (!take_until(&rest, ':', &id) || !take_u64(id, &hierarchy))
		return false;
	if (!take_until(&rest, ':', &controllers))
		return false;
	if (rest.len == 0 || rest.at[0] != '/')
		return false;
	*ret_cgroup = (struct parse_cgroup){ hierarchy, controllers, rest };
	return true;
}

bool parse_list_has(struct parse_slice list, const char *name)
{
	struct parse_slice word;

	while (take_until(&list, ',', &word))
		if (equals(word, name))
			return true;
	return false;
}

/*
 * Length of the well-formed UTF-8 character at s, 0 if there is none. By the table "Well-Formed
 * UTF-8 Byte Sequences" of the Unicode Standard (3.9): the second byte's range excludes overlong
 * forms, surrogates and what lies above U+10FFFF.
 */
static size_t utf8_length(const unsigned char *s, size_t len)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t n;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (n > len || s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return n;
}

/* U+200E U+200F, U+2028..U+202E, U+2066..U+2069 and U+061C; C1 is U+0080..U+009F. */
static bool is_harmful(const unsigned char *s, size_t n)
{
	if (n == 1)
		return s[0] < 0x20 || s[0] == 0x7f || s[0] == '\\';
	if (n == 2)
		return (s[0] == 0xc2 && s[1] < 0xa0) || (s[0] == 0xd8 && s[1] == 0x9c);
	if (n == 3 && s[0] == 0xe2 && s[1] == 0x80)
		return s[2] == 0x8e || s[2] == 0x8f || (s[2] >= 0xa8 && s[2] <= 0xae);
	return n == 3 && s[0] == 0xe2 && s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9;
}

/* One character of the source as it is printed, 4 bytes at most; *ret_used: bytes of the source. */
static size_t escape_one(const unsigned char *s, size_t len, char out[4], size_t *ret_used)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = utf8_length(s, len);

	if (n && !is_harmful(s, n)) {
		memcpy(out, s, n);
		*ret_used = n;
		return n;
	}
	/* The rest of a harmful character is malformed by itself: it follows suit. */
	out[0] = '\\';
	out[1] = 'x';
	out[2] = hex[s[0] >> 4];
	out[3] = hex[s[0] & 15];
	*ret_used = 1;
	return 4;
}

size_t parse_escape(char *dst, size_t cap, const char *src, size_t len)
{
	static const char dots[] = "...";
	size_t at = 0, cut = 0, used, n;
	char out[4];

	if (cap == 0)
		return 0;
	for (size_t i = 0; i < len; i += used) {
		n = escape_one((const unsigned char *)src + i, len - i, out, &used);
		if (n > cap - 1 - at) {
			n = cap < sizeof(dots) ? 0 : sizeof(dots) - 1;
			memcpy(dst + cut, dots, n);
			at = cut + n;
			break;
		}
		memcpy(dst + at, out, n);
		at += n;
		if (at + sizeof(dots) <= cap)
			cut = at; /* the last place where the dots still fit */
	}
	dst[at] = '\0';
	return at;
}
