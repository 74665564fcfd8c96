/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "export/trace_lines.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/parse.h"

void trace_lines_add(struct trace_lines *lines, const char *format, ...)
{
	size_t left = TRACE_LINE_MAX - (lines->used - lines->ended);
	va_list args;

	if (lines->err || left <= 2)
		return;
	va_start(args, format);
	int wanted = vsnprintf(lines->buffer + lines->used, left - 1, format, args);

	va_end(args);
	if (wanted > 0)
		lines->used += (size_t)wanted < left - 1 ? (size_t)wanted : left - 2;
}

void trace_lines_end(struct trace_lines *lines)
{
	if (lines->err)
		return;
	lines->buffer[lines->used++] = '\n';
	lines->ended = lines->used;
	if (lines->used > sizeof(lines->buffer) - TRACE_LINE_MAX)
		trace_lines_flush(lines);
}

/* A disk that fills up tears the last line: the file ends before it. Of a pipe nothing can be taken back. */
static size_t untear(struct trace_lines *lines, size_t done)
{
	size_t whole = done;
	off_t end = lseek(lines->fd, 0, SEEK_CUR);

	while (whole && lines->buffer[whole - 1] != '\n')
		whole--;
	if (whole == done || end < (off_t)(done - whole))
		return done;
	return ftruncate(lines->fd, end - (off_t)(done - whole)) ? done : whole;
}

int trace_lines_flush(struct trace_lines *lines)
{
	size_t done = 0;

	if (lines->err)
		return lines->err;
	while (!lines->err && done < lines->ended) {
		ssize_t written = write(lines->fd, lines->buffer + done, lines->ended - done);

		if (written > 0)
			done += (size_t)written;
		else if (written == 0 || errno != EINTR)
			lines->err = written < 0 ? -errno : -EIO;
	}
	if (lines->err)
		done = untear(lines, done);
	lines->bytes += done;
	lines->used = lines->ended = 0;
	return lines->err;
}

const char *trace_lines_comm(const char comm[PFUSE_COMM_LEN], char out[4 * PFUSE_COMM_LEN + 1])
{
	parse_escape(out, 4 * PFUSE_COMM_LEN + 1, comm, strnlen(comm, PFUSE_COMM_LEN));
	return out;
}

const char *trace_word_kind(uint32_t kind)
{
	static const char *const words[PFUSE_TR_KINDS] = {
		[PFUSE_TR_SWITCH] = "switch", [PFUSE_TR_WAKE] = "wake",
		[PFUSE_TR_FAULT] = "fault",   [PFUSE_TR_TALK] = "talk",
		[PFUSE_TR_SIGNAL] = "signal", [PFUSE_TR_FORK] = "fork",
		[PFUSE_TR_EXEC] = "exec",     [PFUSE_TR_EXIT] = "exit",
	};

	return kind < PFUSE_TR_KINDS && words[kind] ? words[kind] : "?";
}

const char *trace_word_channel(uint32_t channel)
{
	static const char *const words[PFUSE_CHANNELS] = {
		[PFUSE_CH_NONE] = "none", [PFUSE_CH_TCP] = "tcp",	  [PFUSE_CH_UDP] = "udp",
		[PFUSE_CH_UNIX] = "unix", [PFUSE_CH_OTHER] = "other",	  [PFUSE_CH_PIPE] = "pipe",
		[PFUSE_CH_TTY] = "tty",	  [PFUSE_CH_EVENTFD] = "eventfd", [PFUSE_CH_SHM] = "shm",
	};

	return channel < PFUSE_CHANNELS && words[channel] ? words[channel] : "?";
}

const char *trace_word_signal(uint32_t number, char out[16])
{
	const char *name = number < 65 ? sigabbrev_np((int)number) : NULL;

	if (name)
		snprintf(out, 16, "SIG%s", name);
	else
		snprintf(out, 16, "%u", number);
	return out;
}

const char *trace_word_state(uint32_t state)
{
	static const char *const words[] = { "S", "D", "T", "t", "X", "Z", "P", "I" };

	if (!state)
		return "R";
	if (state & PFUSE_STATE_PREEMPTED)
		return "R+";
	return state < PFUSE_STATE_PREEMPTED ? words[__builtin_ctz(state)] : "?";
}
