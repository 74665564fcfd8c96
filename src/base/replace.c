/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "base/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

int replace_check(const char *path)
{
	struct replace replace = { 0 };
	int r = replace_begin(&replace, path);

	replace_cancel(&replace);
	return r;
}

int replace_begin(struct replace *replace, const char *path)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	*replace = (struct replace){ .path = path };
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return -EINVAL;
	if (snprintf(replace->temporary, sizeof(replace->temporary), "%s.XXXXXX", path) >=
	    (int)sizeof(replace->temporary))
		return -ENAMETOOLONG;
	fd = mkostemp(replace->temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	replace->file = fdopen(fd, "w");
	if (!replace->file) {
		int r = -errno;

		unlink(replace->temporary);
		return r;
	}
	TAKE_FD(fd);
	return 0;
}

static int finish(struct replace *replace)
{
	int fd = fileno(replace->file);

	errno = 0;
	if (fflush(replace->file) != 0 || ferror(replace->file))
		return errno ? -errno : -EIO;
	if (fchmod(fd, 0644) < 0 || fsync(fd) < 0 || rename(replace->temporary, replace->path) < 0)
		return -errno;
	return 0;
}

int replace_commit(struct replace *replace)
{
	int r = finish(replace);

	if (r < 0) {
		replace_cancel(replace);
		return r;
	}
	fclose(TAKE_PTR(replace->file));
	return 0;
}

void replace_cancel(struct replace *replace)
{
	if (!replace->file)
		return;
	fclose(TAKE_PTR(replace->file));
	unlink(replace->temporary);
}
