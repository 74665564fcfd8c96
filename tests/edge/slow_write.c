/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A pipe that is full stands for a kernel that takes its time: who writes to it waits until it is read. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edge/slow_write.h"
#include "made_up.h"

struct fixture {
	struct made_up m;
	struct slow_write *slow;
	int dirfd, pipe;
	int opened; /* an inotify instance, of the pipe */
};

static void set_up(struct fixture *f)
{
	static const char filler[4096];
	char path[PATH_MAX];

	made_up_new(&f->m, V2);
	f->dirfd = open(f->m.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_eq(mkfifoat(f->dirfd, "pipe", 0600), 0);
	f->pipe = openat(f->dirfd, "pipe", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	while (write(f->pipe, filler, sizeof(filler)) > 0)
		;
	snprintf(path, sizeof(path), "%s/pipe", f->m.dir);
	f->opened = inotify_init1(IN_CLOEXEC);
	cr_assert_geq(inotify_add_watch(f->opened, path, IN_OPEN), 0);
	cr_assert_eq(slow_write_open(&f->slow), 0);
}

static void tear_down(struct fixture *f)
{
	slow_write_close(f->slow);
	close(f->opened);
	close(f->pipe);
	close(f->dirfd);
	made_up_remove(&f->m, "pipe");
	made_up_free(&f->m);
}

static bool has_come(int fd, int within_ms)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	return poll(&ready, 1, within_ms) == 1;
}

static bool is_done(const struct slow_write *slow, int within_ms)
{
	return has_come(slow_write_fd(slow), within_ms);
}

/* All but what the writer has put there since; that, as a string. */
static const char *read_all(const struct fixture *f, size_t least)
{
	static char last[4096];
	size_t got = 0;

	memset(last, 0, sizeof(last));
	while (got < least && has_come(f->pipe, 10000)) {
		char c;

		if (read(f->pipe, &c, 1) == 1 && c)
			last[got++] = c;
	}
	return last;
}

Test(slow_write, the_thread_waits_and_the_caller_does_not)
{
	struct slow_write_result result;
	struct fixture f;

	set_up(&f);
	const struct slow_write_job job = {
		.dirfd = f.dirfd, .file = "pipe", .text = "1234", .after = "5678"
	};

	cr_assert_eq(slow_write_post(f.slow, &job), 0, "returns at once");
	cr_assert(has_come(f.opened, 10000), "the thread is there, however late");
	cr_expect(!is_done(f.slow, 50));
	cr_expect_eq(slow_write_take(f.slow, &result), -EAGAIN);
	cr_expect_eq(slow_write_post(f.slow, &job), -EBUSY);
	cr_expect_str_eq(read_all(&f, 8), "12345678", "in this order");
	cr_expect(is_done(f.slow, 10000));
	cr_assert_eq(slow_write_take(f.slow, &result), 0);
	cr_expect_eq(result.result, 0);
	cr_expect_geq(result.took_ns, 50000000);
	cr_expect(!is_done(f.slow, 0));
	cr_assert_eq(slow_write_post(f.slow, &job), 0, "and the next");
	slow_write_wait(f.slow, &result);
	cr_expect_str_eq(read_all(&f, 8), "12345678");
	tear_down(&f);
}

Test(slow_write, what_cannot_be_written_is_told)
{
	struct slow_write_result result;
	struct fixture f;

	set_up(&f);
	const struct slow_write_job none = { .dirfd = f.dirfd, .file = "none", .text = "1" };

	cr_assert_eq(slow_write_post(f.slow, &none), 0);
	slow_write_wait(f.slow, &result);
	cr_expect_eq(result.result, -ENOENT);
	cr_expect_eq(result.after, 0);
	tear_down(&f);
}
