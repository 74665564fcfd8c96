/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/slow_write.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define STACK_BYTES 65536

struct slow_write {
	pthread_t thread;
	int posted, done; /* eventfds: who reads has what the other wrote before */
	bool is_busy, is_running;
	bool ends;
	struct slow_write_job job;
	struct slow_write_result result;
};

/* Not fd_write_at(): with O_NONBLOCK a kernel may take that at its word and reclaim nothing. */
static int write_text(int dirfd, const char *file, const char *text)
{
	_cleanup_close_ int fd = openat(dirfd, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);

	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static void carry_out(struct slow_write *slow)
{
	const struct slow_write_job *job = &slow->job;
	uint64_t began_ns = clock_now_ns();

	slow->result.result = write_text(job->dirfd, job->file, job->text);
	slow->result.after = job->after[0] ? write_text(job->dirfd, job->file, job->after) : 0;
	slow->result.took_ns = clock_now_ns() - began_ns;
}

static void *work(void *context)
{
	struct slow_write *slow = context;
	uint64_t times;

	while (read(slow->posted, &times, sizeof(times)) == sizeof(times) && !slow->ends) {
		carry_out(slow);
		times = 1;
		if (write(slow->done, &times, sizeof(times)) < 0)
			break;
	}
	return NULL;
}

static int start(struct slow_write *slow)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&slow->thread, &attr, work, slow);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	slow->is_running = r == 0;
	return -r;
}

int slow_write_open(struct slow_write **ret)
{
	struct slow_write *slow = calloc(1, sizeof(*slow));
	int r = 0;

	if (!slow)
		return -ENOMEM;
	slow->posted = eventfd(0, EFD_CLOEXEC);
	slow->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (slow->posted < 0 || slow->done < 0)
		r = -errno;
	if (r == 0)
		r = start(slow);
	if (r < 0) {
		slow_write_close(slow);
		return r;
	}
	*ret = slow;
	return 0;
}

void slow_write_close(struct slow_write *slow)
{
	uint64_t times = 1;

	if (!slow)
		return;
	if (slow->is_running) {
		struct slow_write_result result;

		if (slow->is_busy)
			slow_write_wait(slow, &result);
		slow->ends = true;
		if (write(slow->posted, &times, sizeof(times)) == sizeof(times))
			pthread_join(slow->thread, NULL);
	}
	close_fd(&slow->posted);
	close_fd(&slow->done);
	free(slow);
}

int slow_write_fd(const struct slow_write *slow)
{
	return slow->done;
}

int slow_write_post(struct slow_write *slow, const struct slow_write_job *job)
{
	uint64_t times = 1;

	if (slow->is_busy)
		return -EBUSY;
	slow->job = *job;
	if (write(slow->posted, &times, sizeof(times)) < 0)
		return -errno;
	slow->is_busy = true;
	return 0;
}

int slow_write_take(struct slow_write *slow, struct slow_write_result *ret)
{
	uint64_t times;

	if (read(slow->done, &times, sizeof(times)) < 0)
		return -errno;
	slow->is_busy = false;
	*ret = slow->result;
	return 0;
}

void slow_write_wait(struct slow_write *slow, struct slow_write_result *ret)
{
	struct pollfd done = { .fd = slow->done, .events = POLLIN };

	while (slow_write_take(slow, ret) < 0)
		(void)poll(&done, 1, -1);
}
