/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A file that appears whole or not at all: a temporary one beside it, then rename(2); mode 0644. After a
 * power cut there is the old file or the new one.
 *
 * Order of calls: replace_begin(); write to `file`; replace_commit(). replace_cancel() may come at any
 * time, accepts a zeroed one, and after a commit does nothing. Errors: -errno; -EINVAL: there is
 * something at the path that is no regular file, so rename() would put a file in a device's place.
 */
#ifndef PFUSE_BASE_REPLACE_H
#define PFUSE_BASE_REPLACE_H

#include <limits.h>
#include <stdio.h>

struct replace {
	FILE *file;	  /* NULL: there is none */
	const char *path; /* borrowed */
	char temporary[PATH_MAX];
};

/* Could it be written, as far as one can tell before? */
int replace_check(const char *path);

int replace_begin(struct replace *replace, const char *path);
/* Closes the file in any case; after a failure the temporary one is gone. */
int replace_commit(struct replace *replace);
void replace_cancel(struct replace *replace);

#endif
