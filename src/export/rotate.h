/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The names of a file that is begun anew at a size: x.pftrace is the newest, x.1.pftrace the one before, and
 * so on; the oldest is overwritten. The number stands before the ending, so that a file is still known by
 * it; a name without an ending gets the number at its end.
 *
 * Errors: 0 or -errno; -ENAMETOOLONG: the name with its number would be no name any more.
 */
#ifndef EXPORT_ROTATE_H
#define EXPORT_ROTATE_H

#include <stddef.h>

#define ROTATE_KEEP_MAX 999

/* number 0: the path itself. */
int rotate_name(const char *path, unsigned number, char *ret, size_t size);

/* PATH becomes the first of `keep` older files, each of which becomes the next: then there is no PATH. */
int rotate_shift(const char *path, unsigned keep);

#endif
