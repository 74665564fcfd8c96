/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Ownership that is visible inside one function: a variable marked _cleanup_…_ gives its object
 * back when it leaves the scope; TAKE_FD() and TAKE_PTR() hand the object on and disarm the mark.
 * Closing keeps errno, so that it can stand between a failure and its report.
 */
#ifndef PFUSE_BASE_CLEANUP_H
#define PFUSE_BASE_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void close_keep_errno(int fd)
{
	int saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
}

/* Closes *fd and writes -1 there, so closing twice is harmless. */
static inline void close_fd(int *fd)
{
	close_keep_errno(*fd);
	*fd = -1;
}

static inline void free_pointer(void *p)
{
	free(*(void **)p);
}

static inline void close_dir(DIR **dir)
{
	int saved = errno;

	if (*dir)
		closedir(*dir);
	errno = saved;
}

static inline void close_file(FILE **file)
{
	int saved = errno;

	if (*file)
		fclose(*file);
	errno = saved;
}

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _cleanup_close_ _cleanup_(close_fd)
#define _cleanup_free_ _cleanup_(free_pointer)
#define _cleanup_closedir_ _cleanup_(close_dir)
#define _cleanup_fclose_ _cleanup_(close_file)

#define TAKE(var, empty)                                                                           \
	({                                                                                         \
		__typeof__(var) *_p = &(var);                                                      \
		__typeof__(var) _v = *_p;                                                          \
		*_p = (empty);                                                                     \
		_v;                                                                                \
	})
#define TAKE_FD(fd) TAKE(fd, -1)
#define TAKE_PTR(ptr) TAKE(ptr, NULL)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
