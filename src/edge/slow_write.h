/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Writes to control files that keep the writer waiting: who asks the kernel to reclaim does so himself, and where
 * it finds nothing at first it has him sleep for a tenth of a second. The daemon's loop has wakes to see to, so
 * a thread waits in its place.
 *
 * Order: slow_write_open() → slow_write_post() → slow_write_fd() becomes readable → slow_write_take(), then the
 * next; one at a time. slow_write_close() waits for the one under way, and accepts NULL. The thread touches
 * what was posted and nothing else, takes no signals, and is no more urgent than others. Errors: -errno.
 */
#ifndef PFUSE_EDGE_SLOW_WRITE_H
#define PFUSE_EDGE_SLOW_WRITE_H

#include <stdint.h>

struct slow_write;

struct slow_write_job {
	int dirfd;	  /* stays the caller's, open until the job is taken */
	const char *file; /* a literal */
	char text[24];
	char after[24]; /* written next, whatever became of the first; empty: nothing is */
};

struct slow_write_result {
	int result; /* 0 or -errno, of the first */
	int after;
	uint64_t took_ns;
};

int slow_write_open(struct slow_write **ret);
void slow_write_close(struct slow_write *slow);

int slow_write_fd(const struct slow_write *slow);
/* -EBUSY: the last one was not taken yet. */
int slow_write_post(struct slow_write *slow, const struct slow_write_job *job);
/* -EAGAIN: it is not done. */
int slow_write_take(struct slow_write *slow, struct slow_write_result *ret);
/* Until it is. Only after a post that was not taken. */
void slow_write_wait(struct slow_write *slow, struct slow_write_result *ret);

#endif
