/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Each call that a group may wait in: it is frozen in it, wakes for what it waits for, and loses nothing. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "edge/pages.h"
#include "guard_rig.h"

#define PATIENCE_MS 10000
#define QUIET_MS 30
#define PFUSE_TEST_FILES 600 /* more than PARK_FILES_MAX */

TestSuite(guard, .init = guarded_init, .fini = guarded_fini);

/* What jobs read from and tests write to; made before the worker, which inherits it. */
static int in, out;
static volatile int *shared; /* a page that both see */
static int word;	     /* a futex of the worker's own */

static void make_shared(void)
{
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert(shared != MAP_FAILED);
}

static void make_pipe(void)
{
	int ends[2];

	cr_assert(pipe(ends) == 0);
	in = ends[0];
	out = ends[1];
}

static void make_pair(void)
{
	int ends[2];

	cr_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	in = ends[0];
	out = ends[1];
}

static void make_datagrams(void)
{
	int ends[2];

	cr_assert(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
	in = ends[0];
	out = ends[1];
}

static void make_eventfd(void)
{
	in = out = eventfd(0, 0);
	cr_assert_geq(in, 0);
}

static void make_timerfd(void)
{
	in = out = timerfd_create(CLOCK_MONOTONIC, 0);
	cr_assert_geq(in, 0);
}

static struct sockaddr_in loopback_of(int fd)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(at);

	cr_assert(bind(fd, (struct sockaddr *)&at, size) == 0);
	cr_assert(getsockname(fd, (struct sockaddr *)&at, &size) == 0);
	return at;
}

static void make_udp(void)
{
	in = socket(AF_INET, SOCK_DGRAM, 0);
	out = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in at = loopback_of(in);

	cr_assert(connect(out, (struct sockaddr *)&at, sizeof(at)) == 0);
}

static void make_tcp(void)
{
	int listening = socket(AF_INET, SOCK_STREAM, 0);

	out = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in at = loopback_of(listening);

	cr_assert(listen(listening, 1) == 0);
	cr_assert(connect(out, (struct sockaddr *)&at, sizeof(at)) == 0);
	in = accept(listening, NULL, NULL);
	cr_assert_geq(in, 0);
	close(listening);
}

static void make_listener(void)
{
	in = socket(AF_INET, SOCK_STREAM, 0);
	loopback_of(in);
	cr_assert(listen(in, 8) == 0);
}

static void feed_byte(void)
{
	cr_assert(write(out, "x", 1) == 1);
}

static void feed_count(void)
{
	uint64_t one = 'x';

	cr_assert(write(out, &one, sizeof(one)) == sizeof(one));
}

static void feed_time(void)
{
	struct itimerspec soon = { .it_value.tv_nsec = 1000000 };

	cr_assert(timerfd_settime(out, 0, &soon, NULL) == 0);
}

static void feed_connection(void)
{
	struct sockaddr_in at;
	socklen_t size = sizeof(at);

	cr_assert(getsockname(in, (struct sockaddr *)&at, &size) == 0);
	out = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert(connect(out, (struct sockaddr *)&at, sizeof(at)) == 0);
}

static void feed_end(void)
{
	cr_assert(close(out) == 0);
}

/* Jobs: each waits in one call, as often as that says EINTR, and returns the byte that it got. */

static long got(ssize_t n, const void *data)
{
	return n > 0 ? *(const unsigned char *)data : (long)n;
}

#define AGAIN(call) TEMP_FAILURE_RETRY(call)

static long job_read(long arg)
{
	unsigned char data[8];

	return got(AGAIN(read(in, data, sizeof(data))), data);
}

static long job_readv(long arg)
{
	unsigned char data[8];
	struct iovec to = { data, sizeof(data) };

	return got(AGAIN(readv(in, &to, 1)), data);
}

static long job_recv(long arg)
{
	unsigned char data[8];

	return got(AGAIN(recv(in, data, sizeof(data), 0)), data);
}

static long job_recvmsg(long arg)
{
	unsigned char data[8];
	struct iovec to = { data, sizeof(data) };
	struct msghdr message = { .msg_iov = &to, .msg_iovlen = 1 };

	return got(AGAIN(recvmsg(in, &message, 0)), data);
}

static long job_recvmmsg(long arg)
{
	unsigned char data[8];
	struct iovec to = { data, sizeof(data) };
	struct mmsghdr message = { .msg_hdr = { .msg_iov = &to, .msg_iovlen = 1 } };

	return got(AGAIN(recvmmsg(in, &message, 1, 0, NULL)), data);
}

static long job_accept(long arg)
{
	int fd = AGAIN(accept(in, NULL, NULL));

	return fd < 0 ? -errno : 'x';
}

static long job_accept4(long arg)
{
	int fd = AGAIN(accept4(in, NULL, NULL, SOCK_CLOEXEC));

	return fd < 0 ? -errno : 'x';
}

static long job_poll(long timeout_ms)
{
	struct pollfd at[2] = { { .fd = -1 }, { .fd = in, .events = POLLIN } };

	return AGAIN(poll(at, 2, (int)timeout_ms)) == 1 ? job_read(0) : -1;
}

static long job_ppoll(long arg)
{
	struct pollfd at = { .fd = in, .events = POLLIN };
	struct timespec long_time = { .tv_sec = 100 };

	return AGAIN(ppoll(&at, 1, &long_time, NULL)) == 1 ? job_read(0) : -1;
}

static long job_select(long arg)
{
	fd_set set;
	int n;

	do {
		FD_ZERO(&set);
		FD_SET(in, &set);
#ifdef SYS_select
		n = (int)syscall(SYS_select, in + 1, &set, NULL, NULL, NULL);
#else
		n = select(in + 1, &set, NULL, NULL, NULL);
#endif
	} while (n < 0 && errno == EINTR);
	return n == 1 ? job_read(0) : -1;
}

static long job_pselect(long arg)
{
	struct timespec long_time = { .tv_sec = 100 };
	fd_set set;
	int n;

	do {
		FD_ZERO(&set);
		FD_SET(in, &set);
		n = pselect(in + 1, &set, NULL, NULL, &long_time, NULL);
	} while (n < 0 && errno == EINTR);
	return n == 1 ? job_read(0) : -1;
}

static int epoll_of(uint32_t events)
{
	struct epoll_event event = { .events = events };
	int fd = epoll_create1(0);

	return epoll_ctl(fd, EPOLL_CTL_ADD, in, &event) == 0 ? fd : -1;
}

static long wait_epoll(int fd)
{
	struct epoll_event event;

	return AGAIN(epoll_wait(fd, &event, 1, -1)) == 1 ? job_read(0) : -1;
}

static long job_epoll_level(long arg)
{
	return wait_epoll(epoll_of(EPOLLIN));
}

static long job_epoll_edge(long arg)
{
	return wait_epoll(epoll_of(EPOLLIN | EPOLLET));
}

static long job_epoll_once(long arg)
{
	return wait_epoll(epoll_of(EPOLLIN | EPOLLONESHOT | EPOLLET));
}

static long job_epoll_nested(long arg)
{
	struct epoll_event event = { .events = EPOLLIN };
	int inner = epoll_of(EPOLLIN | EPOLLET), outer = epoll_create1(0);

	return epoll_ctl(outer, EPOLL_CTL_ADD, inner, &event) == 0 ? wait_epoll(outer) : -1;
}

static long job_epoll_pwait(long arg)
{
	struct epoll_event event;
	int fd = epoll_of(EPOLLIN);

	return AGAIN(epoll_pwait(fd, &event, 1, 100000, NULL)) == 1 ? job_read(0) : -1;
}

static long job_epoll_pwait2(long arg)
{
	struct timespec long_time = { .tv_sec = 100 };
	struct epoll_event event;
	int fd = epoll_of(EPOLLIN);

	return AGAIN(syscall(SYS_epoll_pwait2, fd, &event, 1, &long_time, NULL, 0)) == 1
		       ? job_read(0)
		       : -1;
}

/* Threads that wait for each other: in epoll, futex, sleep and join; main wakes them by its byte. */

static long futex(int *at, int op, int value)
{
	return syscall(SYS_futex, at, op, value, NULL, NULL, FUTEX_BITSET_MATCH_ANY);
}

static void *wait_word(void *arg)
{
	while (__atomic_load_n(&word, __ATOMIC_SEQ_CST) == 0)
		futex(&word, FUTEX_WAIT_PRIVATE, 0);
	return NULL;
}

static void *nap(void *arg)
{
	struct timespec long_time = { .tv_sec = 100 };

	while (nanosleep(&long_time, &long_time) < 0)
		;
	return NULL;
}

static void *wake_word(void *arg)
{
	long *result = arg;

	*result = job_epoll_edge(0);
	__atomic_store_n(&word, 1, __ATOMIC_SEQ_CST);
	futex(&word, FUTEX_WAKE_PRIVATE, 1);
	return NULL;
}

static long job_threads(long arg)
{
	pthread_t sleeper, waiter, reader;
	long result = 0;

	if (pthread_create(&sleeper, NULL, nap, NULL) ||
	    pthread_create(&waiter, NULL, wait_word, NULL) ||
	    pthread_create(&reader, NULL, wake_word, &result))
		return -1;
	pthread_join(waiter, NULL); /* by a futex that is shared in name only */
	pthread_join(reader, NULL);
	return result;
}

struct branch {
	const char *name;
	void (*make)(void);
	worker_job *job;
	long arg;
	void (*feed)(void);
	long result;
};

static const struct branch branches[] = {
	{ "read of a pipe", make_pipe, job_read, 0, feed_byte, 'x' },
	{ "end of a pipe", make_pipe, job_read, 0, feed_end, 0 },
	{ "readv of a pipe", make_pipe, job_readv, 0, feed_byte, 'x' },
	{ "read of a UNIX socket", make_pair, job_read, 0, feed_byte, 'x' },
	{ "end of a UNIX socket", make_pair, job_read, 0, feed_end, 0 },
	{ "read of an eventfd", make_eventfd, job_read, 0, feed_count, 'x' },
	{ "read of a timerfd", make_timerfd, job_read, 0, feed_time, 1 },
	{ "recv, UDP", make_udp, job_recv, 0, feed_byte, 'x' },
	{ "recv, TCP", make_tcp, job_recv, 0, feed_byte, 'x' },
	{ "end of TCP", make_tcp, job_recv, 0, feed_end, 0 },
	{ "recv, UNIX datagrams", make_datagrams, job_recv, 0, feed_byte, 'x' },
	{ "recvmsg", make_udp, job_recvmsg, 0, feed_byte, 'x' },
	{ "recvmmsg", make_udp, job_recvmmsg, 0, feed_byte, 'x' },
	{ "accept", make_listener, job_accept, 0, feed_connection, 'x' },
	{ "accept4", make_listener, job_accept4, 0, feed_connection, 'x' },
	{ "poll", make_pipe, job_poll, -1, feed_byte, 'x' },
	{ "poll with a timeout", make_tcp, job_poll, 100000, feed_byte, 'x' },
	{ "ppoll", make_pair, job_ppoll, 0, feed_byte, 'x' },
	{ "select", make_pipe, job_select, 0, feed_byte, 'x' },
	{ "pselect", make_udp, job_pselect, 0, feed_byte, 'x' },
	{ "epoll, level-triggered", make_tcp, job_epoll_level, 0, feed_byte, 'x' },
	{ "epoll, edge-triggered", make_tcp, job_epoll_edge, 0, feed_byte, 'x' },
	{ "epoll, one shot", make_eventfd, job_epoll_once, 0, feed_count, 'x' },
	{ "epoll in an epoll", make_pipe, job_epoll_nested, 0, feed_byte, 'x' },
	{ "epoll_pwait", make_pipe, job_epoll_pwait, 0, feed_byte, 'x' },
	{ "epoll_pwait2", make_timerfd, job_epoll_pwait2, 0, feed_time, 1 },
	{ "threads", make_tcp, job_threads, 0, feed_byte, 'x' },
};

/* The worker closes its copy of the other end, so that the test's close is the end. */
static long job_drop_out(long arg)
{
	return out == in ? 0 : close(out);
}

/* Frozen three times, the later ones in the call as the kernel restarts it; then fed. */
static void run_branch(const struct branch *branch, struct guarded *guarded)
{
	struct err why = { "" };

	branch->make();
	struct worker *worker = guarded_worker(guarded);

	if (branch->feed != feed_connection)
		worker_do(worker, job_drop_out, 0);
	worker_send(worker, branch->job, branch->arg);
	for (int i = 0; i < 3; i++) {
		int r = guarded_freeze_soon(guarded, &why);

		cr_assert(r == 0, "%s, %d: %s: %s", branch->name, i, strerror(-r), why.text);
		cr_expect(guarded_is_frozen(guarded), "%s", branch->name);
		if (i < 2)
			cr_assert_eq(guarded_thaw(guarded), 0);
	}
	cr_expect(!guarded_wakes(QUIET_MS), "%s: woken by nothing", branch->name);
	branch->feed();
	cr_assert(guarded_wakes(PATIENCE_MS), "%s: not woken", branch->name);
	cr_expect(!guarded_is_frozen(guarded), "%s", branch->name);
	long result = worker_receive(worker);

	cr_expect_eq(result, branch->result, "%s: %ld", branch->name, result);
	worker_end(worker);
	close(in);
	if (branch->feed != feed_end && out != in)
		close(out);
}

Test(guard, wakes_for_what_is_waited_for)
{
	struct guarded *guarded = guarded_make("branches");

	for (size_t i = 0; i < sizeof(branches) / sizeof(branches[0]); i++)
		run_branch(&branches[i], guarded);
}

/* Waits that no file ends */

static long job_futex_timed(long arg)
{
	struct timespec long_time = { .tv_sec = 100 };

	while (__atomic_load_n(&word, __ATOMIC_SEQ_CST) == 0)
		syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &long_time, NULL, 0);
	return 0;
}

static long job_clock_nanosleep(long arg)
{
	struct timespec long_time = { .tv_sec = 100 };

	return clock_nanosleep(CLOCK_BOOTTIME, 0, &long_time, NULL);
}

static long job_nanosleep(long arg)
{
	struct timespec long_time = { .tv_sec = 100 };

	return syscall(SYS_nanosleep, &long_time, NULL);
}

static long job_wait_child(long arg)
{
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			pause();
	return AGAIN(waitpid(pid, NULL, 0)) == pid ? 0 : -1;
}

static long job_sigwait(long arg)
{
	sigset_t set;
	int signal;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return sigwait(&set, &signal) ?: signal;
}

static long job_pause(long arg)
{
	return pause();
}

static long job_sigsuspend(long arg)
{
	sigset_t none;

	sigemptyset(&none);
	return sigsuspend(&none);
}

static long job_poll_nothing(long arg)
{
	return poll(NULL, 0, 100000);
}

/* Three times: the second and third freeze find it in restart_syscall, where the call has one. */
static void freeze_asleep(struct guarded *guarded, worker_job *job, uint64_t timeout_ns)
{
	struct worker *worker = guarded_worker(guarded);
	struct err why = { "" };

	worker_send(worker, job, 0);
	for (int i = 0; i < 3; i++) {
		int r = guarded_freeze_soon(guarded, &why);

		cr_assert(r == 0, "%d: %s: %s", i, strerror(-r), why.text);
		cr_expect(guarded_is_frozen(guarded));
		if (i == 0)
			cr_expect_eq(guard_timeout_ns(guards, guarded->slot), timeout_ns);
		cr_expect(!guarded_wakes(QUIET_MS));
		cr_assert_eq(guarded_thaw(guarded), 0);
	}
	worker_end(worker);
}

Test(guard, freezes_who_sleeps)
{
	static const struct {
		worker_job *job;
		uint64_t timeout_ns;
	} sleeps[] = {
		{ job_futex_timed, 100000000000 }, { job_clock_nanosleep, 100000000000 },
		{ job_nanosleep, 100000000000 },   { job_poll_nothing, 100000000000 },
		{ job_wait_child, UINT64_MAX },	   { job_sigwait, UINT64_MAX },
		{ job_pause, UINT64_MAX },	   { job_sigsuspend, UINT64_MAX },
	};
	struct guarded *guarded = guarded_make("asleep");

	for (size_t i = 0; i < sizeof(sleeps) / sizeof(sleeps[0]); i++)
		freeze_asleep(guarded, sleeps[i].job, sleeps[i].timeout_ns);
}

Test(guard, wakes_at_the_end_of_a_process)
{
	struct guarded *guarded = guarded_make("killed");
	struct err why = { "" };

	make_pipe();
	struct worker *worker = guarded_worker(guarded);

	worker_send(worker, job_read, 0);
	cr_assert_eq(guarded_freeze_soon(guarded, &why), 0, "%s", why.text);
	kill(worker->pid, SIGKILL);
	cr_expect_gt(guard_descriptors(guards, guarded->slot), 0);
	cr_assert(guarded_wakes(PATIENCE_MS));
	cr_expect(!guarded_wakes(QUIET_MS), "told once");
	cr_expect_eq(guard_descriptors(guards, guarded->slot), 0);
}

/* Refusals: the group runs again, and the sentence says why. */

static void expect_refusal(struct guarded *guarded, int code, const char *word_of_it)
{
	struct err why = { "" };
	int r = code == -EAGAIN ? guarded_freeze(guarded, &why)
				: guarded_freeze_soon(guarded, &why);

	cr_expect_eq(r, code, "%s: %s", strerror(-r), why.text);
	cr_expect(strstr(why.text, word_of_it), "%s", why.text);
	cr_expect(!guarded_is_frozen(guarded));
	cr_expect_eq(guarded->stop.how, STOP_AUTO);
	cr_expect_eq(ledger_live(guarded_ledger), 0);
	cr_expect_eq(guard_descriptors(guards, guarded->slot), 0);
}

static void refuse_job(const char *name, worker_job *job, int code, const char *word_of_it)
{
	struct guarded *guarded = guarded_make(name);
	struct worker *worker = guarded_worker(guarded);

	worker_send(worker, job, 0);
	sleep_ms(
		QUIET_MS); /* it gets into its call; until then the answer is -EAGAIN, and is tried again */
	expect_refusal(guarded, code, word_of_it);
	worker_end(worker);
}

static long job_uring(long arg)
{
	char params[120] = { 0 }; /* struct io_uring_params */
	long fd = syscall(SYS_io_uring_setup, 4, params);

	if (fd < 0)
		return -errno;
	return syscall(SYS_io_uring_enter, fd, 0, 1, 1 /* IORING_ENTER_GETEVENTS */, NULL, 0);
}

Test(guard, refuses_io_uring)
{
	char params[120] = { 0 };
	long fd = syscall(SYS_io_uring_setup, 4, params);

	if (fd < 0)
		RIG_SKIP("this kernel allows no io_uring: %s", strerror(errno));
	close((int)fd);
	refuse_job("uring", job_uring, -EPERM, "io_uring");
}

static long job_write_full(long arg)
{
	static char page[4096];

	for (;;)
		if (write(out, page, sizeof(page)) < 0)
			return -errno;
}

Test(guard, refuses_calls_it_does_not_know)
{
	make_pipe();
	fcntl(out, F_SETPIPE_SZ, 4096);
	refuse_job("write", job_write_full, -EPERM, "write");
}

static long job_futex_shared(long arg)
{
	while (*shared == 0)
		futex((int *)shared, FUTEX_WAIT, 0);
	return 0;
}

Test(guard, refuses_a_shared_futex)
{
	make_shared();
	refuse_job("futex", job_futex_shared, -EPERM, "shared memory");
}

static long job_epoll_of(int fd)
{
	in = fd;
	return wait_epoll(epoll_of(EPOLLIN | EPOLLET));
}

static long job_signalfd(long arg)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return job_epoll_of(signalfd(-1, &set, 0));
}

/* Waits for data or SIGUSR1: the number of the signal, or 0 for data. */
static long job_data_or_signal(long arg)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct signalfd_siginfo info;
	sigset_t set;
	int fd, epoll = epoll_of(EPOLLIN);

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, 0);
	event.data.fd = fd;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0 ||
	    AGAIN(epoll_wait(epoll, &event, 1, -1)) != 1)
		return -1;
	if (event.data.fd != fd)
		return 0;
	return read(fd, &info, sizeof(info)) == sizeof(info) ? (long)info.ssi_signo : -1;
}

/* The members are watched, and the epoll's list of what is ready stays as the process left it. */
Test(guard, an_epoll_with_a_signalfd_loses_nothing)
{
	struct guarded *guarded = guarded_make("both");
	struct err why = { "" };

	if (!probe_tells_signals(probe))
		RIG_SKIP("signals are not told here: such an epoll is refused");
	make_pipe();
	struct worker *data = guarded_worker(guarded);

	worker_send(data, job_data_or_signal, 0);
	cr_assert_eq(guarded_freeze_soon(guarded, &why), 0, "%s", why.text);
	cr_expect(!guarded_wakes(QUIET_MS));
	feed_byte();
	cr_assert(guarded_wakes(PATIENCE_MS));
	cr_expect_eq(worker_receive(data), 0);
	worker_end(data);

	make_pipe();
	struct worker *signal = guarded_worker(guarded);

	worker_send(signal, job_data_or_signal, 0);
	cr_assert_eq(guarded_freeze_soon(guarded, &why), 0, "%s", why.text);
	kill(signal->pid, SIGUSR1);
	cr_expect(!guarded_wakes(QUIET_MS), "that is told by an event");
	cr_expect_eq(guarded_thaw(guarded), 0);
	cr_expect_eq(worker_receive(signal), SIGUSR1);
	worker_end(signal);
}

Test(guard, refuses_an_edge_triggered_epoll_with_a_signalfd)
{
	refuse_job("signalfd", job_signalfd, -EPERM, "signalfd");
}

static long job_mountinfo(long arg)
{
	struct epoll_event event = { .events = EPOLLPRI };
	int fd = epoll_create1(0);

	epoll_ctl(fd, EPOLL_CTL_ADD, open("/proc/self/mountinfo", O_RDONLY), &event);
	return wait_epoll(fd);
}

Test(guard, refuses_an_epoll_with_a_file_of_proc)
{
	refuse_job("mountinfo", job_mountinfo, -EPERM, "mountinfo");
}

static long job_many_files(long arg)
{
	static struct pollfd many[PFUSE_TEST_FILES];

	for (int i = 0; i < PFUSE_TEST_FILES; i++)
		many[i] = (struct pollfd){ .fd = dup(in), .events = POLLIN };
	return poll(many, PFUSE_TEST_FILES, -1);
}

Test(guard, refuses_too_many_files)
{
	make_pipe();
	refuse_job("files", job_many_files, -EPERM, "at most");
}

static long job_spin(long arg)
{
	*shared = 1;
	return job_spin_ms(60000);
}

static bool shared_is_set(void *context)
{
	return *shared;
}

Test(guard, is_busy_while_it_runs)
{
	struct guarded *guarded = guarded_make("runs");

	make_shared();
	worker_send(guarded_worker(guarded), job_spin, 0);
	cr_assert(poll_until(shared_is_set, NULL), "it does not get to run");
	expect_refusal(guarded, -EAGAIN, "runs");
}

Test(guard, refuses_who_is_traced)
{
	struct guarded *guarded = guarded_make("traced");
	struct worker *worker = guarded_worker(guarded);

	cr_assert_eq(ptrace(PTRACE_SEIZE, worker->pid, NULL, NULL), 0, "%s", strerror(errno));
	expect_refusal(guarded, -EPERM, "traced");
	ptrace(PTRACE_DETACH, worker->pid, NULL, NULL);
}

#define CACHE_BYTES (16 * MIB)

/* Leaves clean page cache charged to its group; -1: nothing could be written. */
static long job_fill_cache(long arg)
{
	char path[] = "/var/tmp/pfuse-test-XXXXXX", block[65536] = { 1 };
	int fd = mkstemp(path);

	unlink(path);
	for (size_t done = 0; done < CACHE_BYTES; done += sizeof(block))
		if (write(fd, block, sizeof(block)) != sizeof(block))
			return -1;
	return fsync(fd);
}

Test(guard, moves_the_memory_of_a_frozen_group_out)
{
	struct guarded *guarded = guarded_make("pages");
	struct worker *worker = guarded_worker(guarded);
	struct pages pages;
	struct err why = { "" };
	int r = 1;

	cr_assert_eq(worker_do(worker, job_fill_cache, 0), 0);
	cr_assert_eq(guarded_freeze_soon(guarded, &why), 0, "%s", why.text);
	cr_assert_eq(pages_begin(&guarded_tree, &guarded->group, &pages, &why), 0, "%s", why.text);
	if (pages.before_bytes < CACHE_BYTES) {
		pages_end(&pages);
		RIG_SKIP("/var/tmp leaves no page cache");
	}
	for (int ms = 0; r == 1 && ms < PATIENCE_MS; ms++) {
		r = pages_step(&pages);
		sleep_ms(1);
	}
	cr_expect_eq(r, 0, "%s", strerror(-r));
	cr_expect_leq(pages.after_bytes, pages.before_bytes - CACHE_BYTES / 2);
	pages_end(&pages);
	cr_expect(guarded_is_frozen(guarded), "nobody of it ran for that");
	cr_assert_eq(guarded_thaw(guarded), 0);
	cr_expect_eq(worker_do(worker, job_nothing, 7), 7);
}

static bool is_frozen(void *guarded)
{
	return guarded_is_frozen(guarded);
}

Test(guard, leaves_a_freeze_of_others)
{
	struct guarded *guarded = guarded_make("theirs");
	char path[PATH_MAX + 16];
	struct err why = { "" };

	guarded_worker(guarded);
	snprintf(path, sizeof(path), "%s/cgroup.freeze", guarded->twin->path);
	cr_assert_eq(hierarchy_write(path, "1"), 0);
	cr_expect_eq(guarded_freeze(guarded, &why), -EALREADY, "%s", why.text);
	cr_expect_eq(guarded_thaw(guarded), 0);
	cr_expect(poll_until(is_frozen, guarded), "who froze it keeps it so, as soon as its threads get there");
	cr_assert_eq(hierarchy_write(path, "0"), 0);
}
