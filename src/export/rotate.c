/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "export/rotate.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Of ".trace" the dot begins the name; of "a.d/trace" it is the directory's. */
static size_t before_ending(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	const char *dot = strrchr(name, '.');

	return dot && dot != name ? (size_t)(dot - path) : strlen(path);
}

int rotate_name(const char *path, unsigned number, char *ret, size_t size)
{
	size_t stem = before_ending(path);
	int n = number ? snprintf(ret, size, "%.*s.%u%s", (int)stem, path, number, path + stem)
		       : snprintf(ret, size, "%s", path);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

int rotate_shift(const char *path, unsigned keep)
{
	char from[PATH_MAX], to[PATH_MAX];

	for (unsigned number = keep; number > 0; number--) {
		int code = rotate_name(path, number - 1, from, sizeof(from));

		if (!code)
			code = rotate_name(path, number, to, sizeof(to));
		/* There are not as many yet, or somebody took one away. */
		if (!code && rename(from, to) < 0 && errno != ENOENT)
			code = -errno;
		if (code)
			return code;
	}
	return 0;
}
