/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "base/num.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

int num_parse(const char *text, const char **ret_end, uint64_t *ret_value)
{
	const char *at = text;
	uint64_t value = 0;

	for (; *at >= '0' && *at <= '9'; at++) {
		unsigned int digit = (unsigned int)(*at - '0');

		if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)digit, &value))
			return -ERANGE;
	}
	if (at == text)
		return -EINVAL;
	if (ret_end)
		*ret_end = at;
	*ret_value = value;
	return 0;
}

int num_parse_all(const char *text, uint64_t *ret_value)
{
	static const char space[] = " \t\n";
	const char *end;
	uint64_t value;
	int r;

	r = num_parse(text + strspn(text, space), &end, &value);
	if (r < 0)
		return r;
	if (end[strspn(end, space)] != '\0')
		return -EINVAL;
	*ret_value = value;
	return 0;
}

int num_find_key(const char *text, const char *key, uint64_t *ret_value)
{
	size_t length = strlen(key);

	while (text) {
		if (strncmp(text, key, length) == 0 && text[length] == ' ')
			return num_parse(text + length + 1, NULL, ret_value);
		text = strchr(text, '\n');
		if (text)
			text++;
	}
	return -ENOENT;
}
