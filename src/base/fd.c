/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#define LOAD_MIN 4096
#define LOAD_MAX (UINT32_C(1) << 20)

int fd_read_up_to(int fd, char *buf, size_t size, size_t *ret_length)
{
	size_t length = 0;

	while (length < size) {
		ssize_t n = read(fd, buf + length, size - length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		length += (size_t)n;
	}
	*ret_length = length;
	return 0;
}

static int read_up_to(int dirfd, const char *name, char *buf, size_t size, size_t *ret_length)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : fd_read_up_to(fd, buf, size, ret_length);
}

int fd_read_head_at(int dirfd, const char *name, char *buf, size_t size, size_t *ret_length)
{
	size_t length = 0;
	int r = read_up_to(dirfd, name, buf, size - 1, &length);

	if (r < 0)
		return r;
	buf[length] = '\0';
	if (ret_length)
		*ret_length = length;
	return 0;
}

int fd_read_at(int dirfd, const char *name, char *buf, size_t size, size_t *ret_length)
{
	size_t length = 0;
	int r = read_up_to(dirfd, name, buf, size, &length);

	if (r < 0)
		return r;
	if (length == size)
		return -EFBIG;
	buf[length] = '\0';
	if (ret_length)
		*ret_length = length;
	return 0;
}

int fd_read_one_at(int dirfd, const char *name, char *buf, size_t size)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		return -errno;
	do
		n = read(fd, buf, size);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if ((size_t)n == size)
		return -EFBIG;
	buf[n] = '\0';
	return 0;
}

int fd_load_at(int dirfd, const char *name, char **ret_text)
{
	_cleanup_free_ char *text = NULL;
	int r = -EFBIG;

	for (size_t room = LOAD_MIN; r == -EFBIG && room <= LOAD_MAX; room *= 4) {
		free(text);
		text = malloc(room);
		r = text ? fd_read_at(dirfd, name, text, room, NULL) : -ENOMEM;
	}
	if (r == 0)
		*ret_text = TAKE_PTR(text);
	return r;
}

/*
 * Without O_TRUNC, which a shell's `>` has: the kernel would allocate attributes for each control
 * file that is opened so. Kernel files have size 0; only a made-up one is ever longer than `text`.
 * O_NONBLOCK: newer kernels leave it to the group to reclaim what lies above a memory.high or
 * memory.max that is written so; others, and other files, pay no heed to it.
 */
int fd_write_at(int dirfd, const char *name, const char *text)
{
	_cleanup_close_ int fd = openat(dirfd, name,
					O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	size_t length = strlen(text);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return -errno;
	do
		n = write(fd, text, length);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && st.st_size > (off_t)length && ftruncate(fd, n) < 0)
		return -errno;
	return (size_t)n == length ? 0 : -EIO;
}

int fd_open_dir_beneath(int root, const char *path, int *ret_fd)
{
	struct open_how how = {
		/* Not O_NOFOLLOW: with O_DIRECTORY it turns -ELOOP into -ENOTDIR. */
		.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	long fd;

	/* -EAGAIN: a rename raced with the check of ".."; the kernel asks for another try. */
	for (int i = 0; i < 8; i++) {
		fd = syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	if (fd < 0)
		return -errno;
	*ret_fd = (int)fd;
	return 0;
}

int fd_pwrite_all(int fd, const void *buf, size_t size, off_t offset)
{
	const char *from = buf;

	while (size > 0) {
		ssize_t n = pwrite(fd, from, size, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		from += n;
		offset += n;
		size -= (size_t)n;
	}
	return 0;
}

int fd_pread_all(int fd, void *buf, size_t size, off_t offset)
{
	char *to = buf;

	while (size > 0) {
		ssize_t n = pread(fd, to, size, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		to += n;
		offset += n;
		size -= (size_t)n;
	}
	return 0;
}
