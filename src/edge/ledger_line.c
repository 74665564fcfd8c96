/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Control files with a line per device: a record is about one key of one line, and its old text is
 * what is written to put that back. What the kernel does not list has no limit.
 */
#include "edge/ledger.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "edge/ledger_file.h"
#include "pfuse/sample.h"

static const struct line_file {
	const char *name;
	const char *none; /* how "no limit" is written */
	bool zero_is_none;
} line_files[] = {
	{ "io.max", "max", false }, /* "8:0 rbps=max wbps=1048576 riops=max wiops=max" */
	{ "blkio.throttle.read_bps_device", "0", true }, /* "8:0 1048576" */
	{ "blkio.throttle.write_bps_device", "0", true },
	{ "net_prio.ifpriomap", "0", false }, /* "eth0 5" */
};

static const struct line_file *find_file(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(line_files); i++)
		if (strcmp(line_files[i].name, name) == 0)
			return &line_files[i];
	return NULL;
}

bool ledger_is_line(const char *file)
{
	return find_file(file) != NULL;
}

/* Where the rest of the line begins whose first word is the first word of `old`; NULL: none. */
static const char *find_line(const char *text, const char *old)
{
	size_t length = strcspn(old, " \n");

	while (text && *text) {
		if (strncmp(text, old, length) == 0 && text[length] == ' ')
			return text + length + 1;
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	return NULL;
}

/* "rbps=" in the rest of a line, or where a number without a key begins. Within the line only. */
static const char *find_value(const char *rest, const char *key, size_t length)
{
	const char *end = rest + strcspn(rest, "\n");

	while (rest < end) {
		rest += strspn(rest, " ");
		if (strncmp(rest, key, length) == 0)
			return rest + length;
		rest += strcspn(rest, " \n");
	}
	return NULL;
}

int ledger_line(const char *file, const char *old, const char *text, char *buf, size_t size)
{
	const struct line_file *kind = find_file(file);
	size_t device = strcspn(old, " \n"), key;
	const char *rest, *value;
	int n;

	if (!kind) {
		n = snprintf(buf, size, "%.*s", (int)strcspn(text, "\n"), text);
		return n < 0 || (size_t)n >= size ? -EFBIG : 0;
	}
	rest = old + device + (old[device] == ' ');
	key = strcspn(rest, "= \n");
	key = rest[key] == '=' ? key + 1 : 0;
	value = find_line(text, old);
	value = value ? find_value(value, rest, key) : NULL;
	value = value ?: kind->none;
	n = snprintf(buf, size, "%.*s %.*s%.*s", (int)device, old, (int)key, rest,
		     (int)strcspn(value, " \n"), value);
	return n < 0 || (size_t)n >= size ? -EFBIG : 0;
}

/* One key of one line. -ENOENT: this file has no lines; -EBADMSG: not what ledger_line() makes. */
int ledger_line_value(const char *file, const char *line, uint64_t *ret_value)
{
	const struct line_file *kind = find_file(file);
	const char *value = strpbrk(line, "= ");
	uint64_t number;

	if (!kind)
		return -ENOENT;
	value = value && *value == ' ' ? value + 1 : value;
	value = value && strchr(value, '=') ? strchr(value, '=') + 1 : value;
	if (!value)
		return -EBADMSG;
	if (strcmp(value, "max") == 0) {
		*ret_value = PFUSE_UNLIMITED;
		return 0;
	}
	if (num_parse_all(value, &number) < 0)
		return -EBADMSG;
	*ret_value = number == 0 && kind->zero_is_none ? PFUSE_UNLIMITED : number;
	return 0;
}
