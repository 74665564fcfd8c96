/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "export/pftrace_out.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "export/rotate.h"

#define FILE_BUFFER 65536
#define PATH_BYTES 4096
#define TAG_PACKET 0x0a /* field 1 of Trace, a length follows */
#define HEADER_MAX 6	/* that, and a length of up to 2^32 - 1 */

/* Names of groups and processes are nobody else's business. */
#define FILE_MODE 0600

static int open_file(const char *path, int *ret_fd)
{
	/* O_NONBLOCK: a FIFO is refused, not waited for; regular files know no such thing. */
	_cleanup_close_ int fd =
		strcmp(path, "-")
			? open(path,
			       O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
			       FILE_MODE)
			: fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	/* Whoever reads slowly from a pipe would hold up the writer. Standard output was so chosen. */
	if (strcmp(path, "-") && !S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
		return -EINVAL;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int open_failed(const char *path, int code, struct err *err)
{
	char quoted[ERR_QUOTED];

	if (code == -EINVAL || code == -ENXIO) /* the latter: a FIFO without a reader */
		return err_set(err, code, "%s: a trace can only be written into a regular file",
			       err_quote(path, quoted));
	return err_set(err, code, "%s: cannot write the trace: %s", err_quote(path, quoted),
		       strerror(-code));
}

static int make_buffer(struct out_buffer *buffer, size_t size)
{
	*buffer = (struct out_buffer){ .at = malloc(size), .size = size };
	return buffer->at ? 0 : -ENOMEM;
}

/* The file that becomes PATH when it is whole. */
static int open_part(const char *path, char part[PATH_BYTES], int *ret_fd)
{
	if ((size_t)snprintf(part, PATH_BYTES, "%s.part", path) >= PATH_BYTES)
		return -ENAMETOOLONG;
	return open_file(part, ret_fd);
}

/* That nothing can be written is to be known before it is wanted. */
static int try_part(const char *path)
{
	char part[PATH_BYTES];
	int fd, code = open_part(path, part, &fd);

	if (code)
		return code;
	close(fd);
	return unlink(part) < 0 ? -errno : 0;
}

bool out_is_regular(const struct out *out)
{
	struct stat st;

	return out->fd >= 0 && fstat(out->fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       strcmp(out->path, "-") != 0;
}

int out_open(struct out *out, const char *path, size_t memory_bytes, struct err *err)
{
	int code;

	*out = (struct out){ .path = path, .fd = -1, .in_memory = memory_bytes != 0 };
	code = make_buffer(&out->buffers[0], memory_bytes ? memory_bytes / 2 : FILE_BUFFER);
	if (!code && memory_bytes)
		code = make_buffer(&out->buffers[1], memory_bytes / 2);
	if (!code)
		code = memory_bytes ? try_part(path) : open_file(path, &out->fd);
	if (code) {
		out_close(out);
		return open_failed(path, code, err);
	}
	return 0;
}

static int write_all(int fd, const uint8_t *at, size_t size)
{
	while (size) {
		ssize_t n = write(fd, at, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}

static void fail(struct out *out, int code, uint32_t packets)
{
	if (!out->error)
		out->error = code;
	out->lost += packets;
	out->packets -= packets;
	/* Half a packet is of no use to anybody. Where it cannot be cut off, the reader passes over it. */
	int ignored = out->fd >= 0 ? ftruncate(out->fd, (off_t)out->file_bytes) : 0;

	(void)ignored;
}

void out_flush(struct out *out)
{
	struct out_buffer *buffer = &out->buffers[0];
	int code;

	if (out->in_memory || !buffer->used)
		return;
	code = out->error ? out->error : write_all(out->fd, buffer->at, buffer->used);
	if (code) {
		fail(out, code, buffer->packets);
		out->bytes -= buffer->used;
	} else {
		out->file_bytes += buffer->used;
	}
	buffer->used = 0;
	buffer->packets = 0;
}

static size_t put_header(uint8_t *at, size_t size)
{
	size_t n = 0;

	at[n++] = TAG_PACKET;
	for (; size >= 0x80; size >>= 7)
		at[n++] = (uint8_t)(size | 0x80);
	at[n++] = (uint8_t)size;
	return n;
}

static bool has_room(struct out *out, struct out_buffer *buffer, size_t size)
{
	if (buffer->used + HEADER_MAX + size <= buffer->size)
		return true;
	if (out->in_memory) {
		out->full = true;
		return false;
	}
	out_flush(out);
	return !out->error && HEADER_MAX + size <= buffer->size;
}

uint8_t *out_begin(struct out *out, size_t most)
{
	struct out_buffer *buffer = &out->buffers[out->current];

	if (out->error || out->full || !has_room(out, buffer, most)) {
		out->lost++;
		return NULL;
	}
	return buffer->at + buffer->used + HEADER_MAX;
}

void out_end(struct out *out, const uint8_t *end)
{
	struct out_buffer *buffer = &out->buffers[out->current];
	uint8_t *begin = buffer->at + buffer->used;
	size_t size = (size_t)(end - (begin + HEADER_MAX)), header = put_header(begin, size);

	memmove(begin + header, begin + HEADER_MAX, size);
	buffer->used += header + size;
	buffer->packets++;
	out->packets++;
	out->bytes += header + size;
}

void out_put(struct out *out, const ProtobufCMessage *packet)
{
	uint8_t *at = out_begin(out, protobuf_c_message_get_packed_size(packet));

	if (at)
		out_end(out, at + protobuf_c_message_pack(packet, at));
}

static void next_file(struct out *out)
{
	int fd, code;

	out_flush(out);
	if (out->error)
		return;
	code = rotate_shift(out->path, out->keep);
	if (!code)
		code = open_file(out->path, &fd);
	if (code) {
		fail(out, code, 0);
		return;
	}
	close(out->fd);
	out->fd = fd;
	out->file_bytes = 0;
}

void out_segment(struct out *out)
{
	if (!out->in_memory) {
		next_file(out);
		return;
	}
	out->current = !out->current;
	out->full = false;
	out->buffers[out->current].used = 0;
	out->buffers[out->current].packets = 0;
}

int out_dump(const struct out *out, struct err *err)
{
	const struct out_buffer *older = &out->buffers[!out->current];
	const struct out_buffer *younger = &out->buffers[out->current];
	_cleanup_close_ int fd = -1;
	char part[PATH_BYTES];
	int code = open_part(out->path, part, &fd);

	if (!code)
		code = write_all(fd, older->at, older->used);
	if (!code)
		code = write_all(fd, younger->at, younger->used);
	if (!code && rename(part, out->path) < 0)
		code = -errno;
	if (!code)
		return 0;
	if (fd >= 0)
		(void)unlink(part);
	return open_failed(out->path, code, err);
}

void out_close(struct out *out)
{
	out_flush(out);
	if (out->fd >= 0)
		close(out->fd);
	free(out->buffers[0].at);
	free(out->buffers[1].at);
	*out = (struct out){ .fd = -1 };
}
