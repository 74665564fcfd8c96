/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The file, or standard output, into which `trace` writes text or JSON; at a size it is begun anew
 * (export/rotate.h). The Perfetto file has an opener of its own, which does the same.
 *
 * Order: trace_out_open(); the sink is opened on out->fd, whose number stays; trace_out_turn() after each
 * flush of the sink; trace_out_close(), which accepts one with fd -1. The path is borrowed.
 * Errors: -errno, of open with a sentence in *err.
 */
#ifndef CLI_TRACE_OUT_H
#define CLI_TRACE_OUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "cli/options.h"
#include "export/trace_sink.h"

struct trace_out {
	const char *path; /* NULL: standard output */
	int fd;		  /* -1: none */
	unsigned keep;
	uint64_t limit; /* bytes of a file; 0: none */
	uint64_t begun; /* bytes of the files before this one */
	bool is_pipe;
};

int trace_out_open(const struct options *options, struct trace_out *ret, struct err *err);
int trace_out_turn(struct trace_out *out, struct trace_sink *sink);
int trace_out_close(struct trace_out *out);

#endif
