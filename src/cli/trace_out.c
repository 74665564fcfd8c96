/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "cli/trace_out.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "export/rotate.h"

static int open_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	return fd < 0 ? -errno : fd;
}

int trace_out_open(const struct options *options, struct trace_out *ret, struct err *err)
{
	struct trace_out out = { .path = options->output,
				 .fd = options->output ? open_file(options->output) : STDOUT_FILENO,
				 .limit = options->trace_limit,
				 .keep = options->keep ? options->keep : 1 };
	char quoted[ERR_QUOTED];
	struct stat status = { 0 };

	if (out.fd < 0)
		return err_set(err, out.fd == -EPERM ? -EACCES : out.fd, "cannot write %s: %s",
			       err_quote(out.path, quoted), strerror(-out.fd));
	(void)fstat(out.fd, &status);
	out.is_pipe = S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode);
	if (out.limit && !S_ISREG(status.st_mode)) {
		trace_out_close(&out);
		return err_set(err, -EINVAL,
			       "%s is no regular file, and cannot be begun anew: leave --limit out",
			       err_quote(options->output, quoted));
	}
	*ret = out;
	return 0;
}

int trace_out_turn(struct trace_out *out, struct trace_sink *sink)
{
	uint64_t bytes = trace_sink_bytes(sink);
	int fd, code = 0;

	if (!out->limit || bytes - out->begun < out->limit)
		return 0;
	code = rotate_shift(out->path, out->keep);
	if (code)
		return code;
	fd = open_file(out->path);
	if (fd < 0)
		return fd;
	if (dup3(fd, out->fd, O_CLOEXEC) < 0)
		code = -errno;
	close(fd);
	out->begun = bytes;
	if (!code)
		trace_sink_again(sink);
	return code;
}

int trace_out_close(struct trace_out *out)
{
	int code = out->fd > STDOUT_FILENO && close(out->fd) < 0 ? -errno : 0;

	out->fd = -1;
	return code;
}
