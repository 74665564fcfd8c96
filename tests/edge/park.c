/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Threads made up: what the registers may hold, and what is said about it. The memory is our own. */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "edge/park.h"

#define ADDRESS(at) ((uint64_t)(uintptr_t)(at))

#if defined(                                                                                       \
	__x86_64__) /* elsewhere the instruction decides, not the result: tests/kernel/guard.c */

static struct pfuse_thread thread(int64_t nr, int64_t ax, uint64_t first, uint64_t second)
{
	return (struct pfuse_thread){
		.tgid = (uint32_t)getpid(),
		.tid = (uint32_t)getpid(),
		.nr = nr,
		.ax = ax,
		.args = { first, second },
	};
}

static int judge(struct pfuse_thread one, struct park *park, struct err *why)
{
	*park = (struct park){ .timeout_ns = PARK_NEVER };
	return park_thread(&one, park, why);
}

Test(park, believes_only_interrupted_waits)
{
	static const struct {
		int64_t nr;
		int64_t ax;
		uint16_t bits;
		int result;
		const char *says;
	} cases[] = {
		{ SYS_read, -4, 0, 0, "" },
		{ SYS_read, -512, 0, 0, "" },
		{ SYS_read, -513, 0, 0, "" },
		{ SYS_read, -514, 0, 0, "" },
		{ SYS_read, -516, 0, 0, "" },
		{ SYS_read, -515, 0, -EAGAIN, "read had returned -515" },
		{ SYS_read, -11, 0, -EAGAIN, "read had returned -11" },
		{ SYS_read, 1, 0, -EAGAIN, "read had returned 1" },
		{ SYS_epoll_wait, 0, 0, -EAGAIN, "epoll_wait had returned 0" },
		{ -1, -512, 0, -EAGAIN, "runs" },
		{ SYS_flock, -512, 0, -EPERM, "flock (system call" },
		{ 999, -512, 0, -EPERM, "system call 999" },
		{ SYS_clone3, -513, 0, -EAGAIN, "runs: its clone3 begins again" },
		{ SYS_clone, -513, 0, -EAGAIN, "clone begins again" },
		{ SYS_fork, -513, 0, -EAGAIN, "fork begins again" },
		{ SYS_vfork, -513, 0, -EAGAIN, "vfork begins again" },
		{ SYS_execve, -513, 0, -EAGAIN, "execve begins again" },
		{ SYS_fallocate, -4, 0, -EAGAIN, "fallocate begins again" },
		{ SYS_io_uring_enter, -4, 0, -EPERM, "io_uring" },
		{ SYS_read, -512, PFUSE_THREAD_IO_URING, -EPERM, "io_uring" },
		{ SYS_read, -512, PFUSE_THREAD_PTRACED, -EPERM, "debugger" },
		{ SYS_read, -512, PFUSE_THREAD_OTHER_ABI, -EPERM, "32-bit" },
		{ SYS_read, -512, PFUSE_THREAD_OWN_FILES, -EPERM, "files of its own" },
		{ SYS_read, -512, PFUSE_THREAD_KERNEL, -EPERM, "kernel" },
		{ SYS_read, -512, PFUSE_THREAD_SIGNAL, -EAGAIN, "signal" },
		{ SYS_read, -512, PFUSE_THREAD_STOPPED, -EAGAIN, "stopped" },
		{ SYS_read, -512, PFUSE_THREAD_EXITING, -EAGAIN, "ending" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pfuse_thread one = thread(cases[i].nr, cases[i].ax, 3, 0);
		struct err why = { "" };
		struct park park;

		one.bits = cases[i].bits;
		cr_expect_eq(judge(one, &park, &why), cases[i].result, "%zu: %s", i, why.text);
		cr_expect(strstr(why.text, cases[i].says), "%zu: %s", i, why.text);
		cr_expect_eq(park.threads, cases[i].result == 0, "%zu", i);
		park_free(&park);
	}
}

Test(park, counts_each_file_once_and_adds_what_is_asked)
{
	struct pollfd files[130];
	struct park park;
	struct err why = { "" };

	for (int i = 0; i < 130; i++)
		files[i] = (struct pollfd){ .fd = i % 65, .events = i < 65 ? POLLIN : POLLOUT };
	files[7].fd = -1;
	cr_assert_eq(judge(thread(SYS_poll, -516, ADDRESS(files), 130), &park, &why), 0, "%s",
		     why.text);
	cr_expect_eq(park.count, 65);
	for (uint32_t i = 0; i < park.count; i++)
		cr_expect_eq(park.waits[i].events,
			     park.waits[i].fd == 7 ? EPOLLOUT : EPOLLIN | EPOLLOUT, "%d",
			     park.waits[i].fd);
	cr_expect_eq(park.timeout_ns, 0, "args[2] is 0");
	park_free(&park);
}

Test(park, tells_what_restart_syscall_restarts)
{
	struct pollfd file = { .fd = 5, .events = POLLIN };
	struct pfuse_thread one = thread(SYS_restart_syscall, -516, ADDRESS(&file), 1);
	struct err why = { "" };
	struct park park;

	one.restart = PFUSE_RESTART_POLL;
	cr_expect_eq(judge(one, &park, &why), 0, "%s", why.text);
	cr_expect_eq(park.count, 1);
	park_free(&park);
	one.restart = PFUSE_RESTART_SLEEP;
	cr_expect_eq(judge(one, &park, &why), 0);
	cr_expect_eq(park.count, 0);
	park_free(&park);
	one.restart = PFUSE_RESTART_FUTEX;
	one.args[1] = FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG;
	cr_expect_eq(judge(one, &park, &why), 0);
	one.args[1] = FUTEX_LOCK_PI;
	cr_expect_eq(judge(one, &park, &why), -EPERM);
	park_free(&park);
}

Test(park, says_that_the_arguments_are_gone)
{
	struct err why = { "" };
	struct park park;

	cr_expect_eq(judge(thread(SYS_poll, -516, 8, 1), &park, &why), -EAGAIN);
	cr_expect(strstr(why.text, "gone"), "%s", why.text);
	park_free(&park);
	char *untouched =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(untouched, MAP_FAILED);
	cr_expect_eq(judge(thread(SYS_poll, -516, ADDRESS(untouched), 1), &park, &why), -EAGAIN,
		     "fetching it could need a frozen process");
	munmap(untouched, 4096);
	cr_expect_eq(judge(thread(SYS_poll, -516, 8, 100000), &park, &why), -EPERM);
	cr_expect_eq(judge(thread(SYS_select, -514, 1 << 20, 0), &park, &why), -EPERM);
	park_free(&park);
}

#else

Test(park, an_instruction_that_is_no_call_runs)
{
	struct pfuse_thread one = { .tgid = (uint32_t)getpid(), .nr = SYS_read, .ip = 4 };
	struct park park = { .timeout_ns = PARK_NEVER };

	cr_expect_eq(park_thread(&one, &park, NULL), -EAGAIN);
}

#endif
