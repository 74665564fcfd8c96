/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Small files at directory fds: the shape of every cgroup and proc interface. Names are single
 * components unless said otherwise; symlinks are never followed. Errors: -errno.
 */
#ifndef PFUSE_BASE_FD_H
#define PFUSE_BASE_FD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The whole file, terminated by a 0 byte. -EFBIG if it does not fit in size - 1 bytes. */
int fd_read_at(int dirfd, const char *name, char *buf, size_t size, size_t *ret_length);

/* The same, but a file that does not fit is cut and that is no error (the head is wanted). */
int fd_read_head_at(int dirfd, const char *name, char *buf, size_t size, size_t *ret_length);

/*
 * The same with one read(2), for files that the kernel shows in one piece however long they are: those
 * of a cgroup that hold figures or one control (but not lists, like cgroup.procs).
 */
int fd_read_one_at(int dirfd, const char *name, char *buf, size_t size);

/* The whole file, malloc'ed. -EFBIG above 1 MiB. */
int fd_load_at(int dirfd, const char *name, char **ret_text);

/* `text` in one write(2); the file must exist. A short write is -EIO. */
int fd_write_at(int dirfd, const char *name, const char *text);

/* From where the file stands up to its end, at most size bytes; no 0 byte is put behind them. */
int fd_read_up_to(int fd, char *buf, size_t size, size_t *ret_length);

/* An existing directory below root, any depth; -ELOOP for a symlink, -EXDEV for an escape. */
int fd_open_dir_beneath(int root, const char *path, int *ret_fd);

/* All of buf at offset, or -errno. Restarts after signals and short transfers. */
int fd_pwrite_all(int fd, const void *buf, size_t size, off_t offset);

/* All of size bytes at offset; -ENODATA if the file ends before. */
int fd_pread_all(int fd, void *buf, size_t size, off_t offset);

#endif
