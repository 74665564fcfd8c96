/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/park.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define POLL_MAX 1024	  /* entries of one poll array; one fd may stand in it more than once */
#define SELECT_MAX 4096	  /* highest fd of a select() */
#define FUTEX_OP_MASK 127 /* without FUTEX_PRIVATE_FLAG and FUTEX_CLOCK_REALTIME */

/* Kernel-internal results of an interrupted call (linux/errno.h): it will be resumed or say EINTR. */
enum { ERESTARTSYS = 512, ERESTARTNOINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK = 516 };

/* What a call waits for, by its arguments. */
enum wait_for {
	FOR_FD,	    /* args[0] becomes readable */
	FOR_POLL,   /* args[0]: array, args[1]: entries */
	FOR_SELECT, /* args[0]: highest fd + 1, args[1…3]: sets */
	FOR_FUTEX,
	FOR_EVENT, /* time, a child, a signal: nothing that could be watched */
	FOR_RESTART,
};

enum time_form { NO_TIME, MS, TIMESPEC, TIMEVAL, CLOCK, FUTEX };

struct call {
	long nr;
	const char *name;
	enum wait_for what;
	enum time_form form;
	unsigned int time; /* the argument that holds it */
};

static const struct call calls[] = {
#ifdef SYS_epoll_wait /* architectures older than the generic table have these */
	{ SYS_epoll_wait, "epoll_wait", FOR_FD, MS, 3 },
	{ SYS_poll, "poll", FOR_POLL, MS, 2 },
	{ SYS_select, "select", FOR_SELECT, TIMEVAL, 4 },
	{ SYS_pause, "pause", FOR_EVENT },
#endif
	{ SYS_epoll_pwait, "epoll_pwait", FOR_FD, MS, 3 },
	{ SYS_epoll_pwait2, "epoll_pwait2", FOR_FD, TIMESPEC, 3 },
	{ SYS_ppoll, "ppoll", FOR_POLL, TIMESPEC, 2 },
	{ SYS_pselect6, "pselect6", FOR_SELECT, TIMESPEC, 4 },
	{ SYS_read, "read", FOR_FD },
	{ SYS_readv, "readv", FOR_FD },
	{ SYS_recvfrom, "recvfrom", FOR_FD },
	{ SYS_recvmsg, "recvmsg", FOR_FD },
	{ SYS_recvmmsg, "recvmmsg", FOR_FD, TIMESPEC, 4 },
	{ SYS_accept, "accept", FOR_FD },
	{ SYS_accept4, "accept4", FOR_FD },
	{ SYS_futex, "futex", FOR_FUTEX, FUTEX, 3 },
	{ SYS_nanosleep, "nanosleep", FOR_EVENT, TIMESPEC, 0 },
	{ SYS_clock_nanosleep, "clock_nanosleep", FOR_EVENT, CLOCK, 2 },
	{ SYS_wait4, "wait4", FOR_EVENT },
	{ SYS_waitid, "waitid", FOR_EVENT },
	{ SYS_rt_sigtimedwait, "rt_sigtimedwait", FOR_EVENT, TIMESPEC, 2 },
	{ SYS_rt_sigsuspend, "rt_sigsuspend", FOR_EVENT },
	{ SYS_restart_syscall, "restart_syscall", FOR_RESTART },
};

/* How restart_syscall goes on: with the arguments of the call that was interrupted first. */
static const struct call restarts[] = {
	[PFUSE_RESTART_SLEEP] = { SYS_restart_syscall, "a restarted sleep", FOR_EVENT },
	[PFUSE_RESTART_POLL] = { SYS_restart_syscall, "a restarted poll", FOR_POLL, MS, 2 },
	[PFUSE_RESTART_FUTEX] = { SYS_restart_syscall, "a restarted futex", FOR_FUTEX },
};

/* For the sentence only: common calls that cannot be watched. */
static const struct call refused_calls[] = {
	{ .nr = SYS_ioctl, .name = "ioctl" },
	{ .nr = SYS_io_uring_enter, .name = "io_uring_enter" },
	{ .nr = SYS_write, .name = "write" },
	{ .nr = SYS_writev, .name = "writev" },
	{ .nr = SYS_sendto, .name = "sendto" },
	{ .nr = SYS_sendmsg, .name = "sendmsg" },
	{ .nr = SYS_connect, .name = "connect" },
	{ .nr = SYS_flock, .name = "flock" },
	{ .nr = SYS_fcntl, .name = "fcntl" },
	{ .nr = SYS_semop, .name = "semop" },
	{ .nr = SYS_semtimedop, .name = "semtimedop" },
	{ .nr = SYS_msgrcv, .name = "msgrcv" },
	{ .nr = SYS_mq_timedreceive, .name = "mq_timedreceive" },
	{ .nr = 449, .name = "futex_waitv" }, /* newer than the headers of Debian 12's libc */
};

/*
 * Short calls that look for a signal on their way and begin again: copy_process(), prepare_bprm_creds()
 * and ptrace_attach() with -ERESTARTNOINTR, shmem_fallocate() with -EINTR. Whoever is found in one of
 * them will go on by itself.
 */
static const struct call brief_calls[] = {
#ifdef SYS_fork
	{ .nr = SYS_fork, .name = "fork" },
	{ .nr = SYS_vfork, .name = "vfork" },
#endif
	{ .nr = SYS_clone, .name = "clone" },
	{ .nr = SYS_clone3, .name = "clone3" },
	{ .nr = SYS_execve, .name = "execve" },
	{ .nr = SYS_execveat, .name = "execveat" },
	{ .nr = SYS_ptrace, .name = "ptrace" },
	{ .nr = SYS_fallocate, .name = "fallocate" },
};

static const struct call *find_in(const struct call *table, size_t count, int64_t nr)
{
	for (size_t i = 0; i < count; i++)
		if (table[i].nr == nr)
			return &table[i];
	return NULL;
}

static const struct call *find_call(const struct pfuse_thread *thread)
{
	const struct call *call = find_in(calls, ARRAY_SIZE(calls), thread->nr);

	if (call && call->what == FOR_RESTART)
		return thread->restart < ARRAY_SIZE(restarts) ? &restarts[thread->restart] : NULL;
	return call;
}

/* "epoll_wait", or "system call 333". */
static const char *name_of(const struct pfuse_thread *thread, char out[32])
{
	const struct call *call = find_call(thread);

	if (!call)
		call = find_in(refused_calls, ARRAY_SIZE(refused_calls), thread->nr);
	if (!call)
		call = find_in(brief_calls, ARRAY_SIZE(brief_calls), thread->nr);
	if (call)
		snprintf(out, 32, "%s", call->name);
	else
		snprintf(out, 32, "system call %lld", (long long)thread->nr);
	return out;
}

/* The sentence: "thread 12 of process 10 …". */
#define SAY(code, format, ...)                                                                     \
	err_set(why, code, "thread %u of process %u " format, thread->tid, thread->tgid,           \
		##__VA_ARGS__)

/* The memory of a process */

/* What /proc/PID/pagemap says of a page: 0 if nothing. */
enum { PAGE_PRESENT = 1, PAGE_SWAPPED = 2, PAGE_FILE_OR_SHARED = 4 };

static unsigned int look_at_page(pid_t pid, uint64_t address)
{
	_cleanup_close_ int fd = -1;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), entry = 0;
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || pread(fd, &entry, sizeof(entry), (off_t)(address / page * sizeof(entry))) !=
			      (ssize_t)sizeof(entry))
		return 0;
	return (entry >> 63 & 1 ? PAGE_PRESENT : 0) | (entry >> 62 & 1 ? PAGE_SWAPPED : 0) |
	       (entry >> 61 & 1 ? PAGE_FILE_OR_SHARED : 0);
}

/*
 * A page that has to be fetched may be one that a process of the frozen group serves (userfaultfd, FUSE):
 * we would wait for it for ever. What a thread has just shown to the kernel is there, or in swap.
 */
static bool is_at_hand(pid_t pid, uint64_t address, size_t size)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	for (uint64_t at = address / page * page; at < address + size; at += page)
		if (!(look_at_page(pid, at) & (PAGE_PRESENT | PAGE_SWAPPED)))
			return false;
	return true;
}

static int read_memory(pid_t pid, uint64_t address, void *to, size_t size)
{
	struct iovec here = { to, size }, there = { (void *)(uintptr_t)address, size };
	ssize_t n;

	if (!is_at_hand(pid, address, size))
		return -EFAULT;
	n = process_vm_readv(pid, &here, 1, &there, 1, 0);
	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -EFAULT;
}

static int cannot_read(const struct pfuse_thread *thread, int r, struct err *why)
{
	char name[32];

	/* It unmapped what it waits for, or is being killed: the next attempt will see. */
	if (r == -EFAULT || r == -ESRCH)
		return SAY(-EAGAIN, "waits in %s, and its arguments are gone",
			   name_of(thread, name));
	return SAY(r, "waits in %s, and its memory cannot be read: %s", name_of(thread, name),
		   strerror(-r));
}

/* Files */

static struct park_wait *find_wait(struct park *park, pid_t pid, int fd)
{
	for (uint32_t i = 0; i < park->count; i++)
		if (park->waits[i].pid == pid && park->waits[i].fd == fd)
			return &park->waits[i];
	return NULL;
}

static int add_file(const struct pfuse_thread *thread, struct park *park, int fd, uint32_t events,
		    struct err *why)
{
	struct park_wait *wait = find_wait(park, (pid_t)thread->tgid, fd);

	if (wait) {
		wait->events |= events;
		return 0;
	}
	if (park->count == PARK_FILES_MAX)
		return SAY(-EPERM, "waits for yet another file, and %d are watched at most",
			   PARK_FILES_MAX);
	if (park->count == park->room) {
		uint32_t room = park->room ? park->room * 2 : 8;

		wait = reallocarray(park->waits, room, sizeof(*wait));
		if (!wait)
			return err_set(why, -ENOMEM, "out of memory");
		park->waits = wait;
		park->room = room;
	}
	park->waits[park->count++] = (struct park_wait){ (pid_t)thread->tgid, fd, events };
	return 0;
}

/* One block at a time: the stack of a daemon is to stay small. */
static int add_poll(const struct pfuse_thread *thread, struct park *park, struct err *why)
{
	uint64_t count = thread->args[1], at = 0;
	struct pollfd block[64];
	int r = 0;

	if (count > POLL_MAX)
		return SAY(-EPERM, "polls %llu files, and %d are watched at most",
			   (unsigned long long)count, POLL_MAX);
	for (; r == 0 && at < count; at += ARRAY_SIZE(block)) {
		size_t n = count - at < ARRAY_SIZE(block) ? count - at : ARRAY_SIZE(block);

		r = read_memory((pid_t)thread->tgid, thread->args[0] + at * sizeof(*block), block,
				n * sizeof(*block));
		if (r < 0)
			return cannot_read(thread, r, why);
		for (size_t i = 0; r == 0 && i < n; i++)
			if (block[i].fd >= 0)
				r = add_file(thread, park, block[i].fd, (uint16_t)block[i].events,
					     why);
	}
	return r;
}

static int add_set(const struct pfuse_thread *thread, struct park *park, unsigned int arg,
		   uint32_t events, struct err *why)
{
	uint64_t bits[SELECT_MAX / 64];
	unsigned int fds = (unsigned int)thread->args[0];
	int r;

	if (!thread->args[arg])
		return 0;
	r = read_memory((pid_t)thread->tgid, thread->args[arg], bits, (fds + 63) / 64 * 8);
	if (r < 0)
		return cannot_read(thread, r, why);
	for (unsigned int fd = 0; r == 0 && fd < fds; fd++)
		if (bits[fd / 64] >> (fd % 64) & 1)
			r = add_file(thread, park, (int)fd, events, why);
	return r;
}

/* As in fs/select.c: which set is told of what. */
static int add_select(const struct pfuse_thread *thread, struct park *park, struct err *why)
{
	static const uint32_t events[] = { EPOLLIN, EPOLLOUT, EPOLLPRI };
	int r = 0;

	if ((int)thread->args[0] < 0 || (int)thread->args[0] > SELECT_MAX)
		return SAY(-EPERM, "selects among %d files, and %d are looked at at most",
			   (int)thread->args[0], SELECT_MAX);
	for (unsigned int i = 0; r == 0 && i < ARRAY_SIZE(events); i++)
		r = add_set(thread, park, i + 1, events[i], why);
	return r;
}

/* Futexes */

/*
 * "Shared" in the call means only that the kernel looks at the page: one of private anonymous memory,
 * like that of pthread_join(3), is nobody else's (get_futex_key()). /proc/PID/pagemap tells, also when
 * the page is swapped out; what it does not show counts as shared.
 */
static bool futex_is_private(const struct pfuse_thread *thread)
{
	unsigned int page;

	if (thread->args[1] & FUTEX_PRIVATE_FLAG)
		return true;
	page = look_at_page((pid_t)thread->tgid, thread->args[0]);
	return page && !(page & PAGE_FILE_OR_SHARED);
}

static int add_futex(const struct pfuse_thread *thread, struct err *why)
{
	uint64_t op = thread->args[1] & FUTEX_OP_MASK;

	if (op != FUTEX_WAIT && op != FUTEX_WAIT_BITSET)
		return SAY(-EPERM, "waits for a futex by operation %llu, which is not known",
			   (unsigned long long)op);
	if (!futex_is_private(thread))
		return SAY(-EPERM, "waits for a futex in shared memory, which raises no event");
	return 0;
}

/* Times: for information, so what cannot be read counts as none. */

static uint64_t span_ns(int64_t seconds, int64_t ns)
{
	if (seconds < 0 || seconds > INT32_MAX)
		return PARK_NEVER;
	return (uint64_t)seconds * 1000000000u + (uint64_t)ns;
}

static uint64_t until_ns(uint64_t at_ns, clockid_t clock)
{
	struct timespec now;
	uint64_t now_ns;

	if (clock_gettime(clock, &now) < 0)
		return PARK_NEVER;
	now_ns = span_ns(now.tv_sec, now.tv_nsec);
	return at_ns > now_ns ? at_ns - now_ns : 0;
}

static uint64_t asked_ns(const struct call *call, const struct pfuse_thread *thread)
{
	uint64_t arg = thread->args[call->time], ns;
	int64_t pair[2];

	if (call->form == NO_TIME)
		return PARK_NEVER;
	if (call->form == MS)
		return (int)arg < 0 ? PARK_NEVER : (uint64_t)(int)arg * 1000000u;
	if (!arg || read_memory((pid_t)thread->tgid, arg, pair, sizeof(pair)) < 0)
		return PARK_NEVER;
	ns = span_ns(pair[0], call->form == TIMEVAL ? pair[1] * 1000 : pair[1]);
	if (ns == PARK_NEVER)
		return ns;
	if (call->form == CLOCK && thread->args[1] == TIMER_ABSTIME)
		return until_ns(ns, (clockid_t)thread->args[0]);
	if (call->form == FUTEX && (thread->args[1] & FUTEX_OP_MASK) == FUTEX_WAIT_BITSET)
		return until_ns(ns, thread->args[1] & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME
									   : CLOCK_MONOTONIC);
	return ns;
}

/* Threads */

static int check_bits(const struct pfuse_thread *thread, struct err *why)
{
	uint32_t bits = thread->bits;

	if (bits & PFUSE_THREAD_PTRACED)
		return SAY(-EPERM, "is traced by a debugger");
	if (bits & PFUSE_THREAD_IO_URING || thread->nr == SYS_io_uring_enter)
		return SAY(-EPERM, "uses io_uring, which goes on by itself and raises no event");
	if (bits & PFUSE_THREAD_KERNEL)
		return SAY(-EPERM, "works inside the kernel for the group");
	if (bits & PFUSE_THREAD_OTHER_ABI)
		return SAY(-EPERM, "is a 32-bit program, whose calls are not known");
	if (bits & PFUSE_THREAD_OWN_FILES)
		return SAY(-EPERM, "has files of its own, apart from its process");
	if (bits & PFUSE_THREAD_STOPPED)
		return SAY(-EAGAIN, "is stopped by a signal, and whoever sent it may continue it");
	if (bits & PFUSE_THREAD_EXITING)
		return SAY(-EAGAIN, "is ending");
	if (bits & PFUSE_THREAD_SIGNAL)
		return SAY(-EAGAIN, "has a signal to handle");
	return 0;
}

#if defined(__aarch64__)

#define SVC_0 0xd4000001u /* the instruction of a system call */

static bool is_call(const struct pfuse_thread *thread, uint64_t ip)
{
	uint32_t instruction;

	return read_memory((pid_t)thread->tgid, ip, &instruction, sizeof(instruction)) == 0 &&
	       instruction == SVC_0;
}

/*
 * The kernel has moved the thread back to the instruction that enters the call, with its first
 * argument in place again; or the call has just said EINTR. Either way nothing was taken.
 */
static bool is_interrupted(const struct pfuse_thread *thread)
{
	if (thread->ax == -EINTR)
		return is_call(thread, thread->ip - 4);
	return (uint64_t)thread->ax == thread->args[0] && is_call(thread, thread->ip);
}

#else

static bool is_interrupted(const struct pfuse_thread *thread)
{
	switch (thread->ax) {
	case -EINTR:
	case -ERESTARTSYS:
	case -ERESTARTNOINTR:
	case -ERESTARTNOHAND:
	case -ERESTART_RESTARTBLOCK:
		return thread->nr >= 0;
	default:
		return false;
	}
}

#endif

static int add_waits(const struct call *call, const struct pfuse_thread *thread, struct park *park,
		     struct err *why)
{
	switch (call->what) {
	case FOR_FD:
		return add_file(thread, park, (int)thread->args[0], EPOLLIN, why);
	case FOR_POLL:
		return add_poll(thread, park, why);
	case FOR_SELECT:
		return add_select(thread, park, why);
	case FOR_FUTEX:
		return add_futex(thread, why);
	default:
		return 0;
	}
}

int park_thread(const struct pfuse_thread *thread, struct park *park, struct err *why)
{
	const struct call *call = find_call(thread);
	uint64_t ns;
	char name[32];
	int r = check_bits(thread, why);

	if (r < 0)
		return r;
	if (!is_interrupted(thread))
		return thread->nr < 0 ? SAY(-EAGAIN, "runs")
				      : SAY(-EAGAIN, "runs: its %s had returned %lld",
					    name_of(thread, name), (long long)thread->ax);
	if (!call && find_in(brief_calls, ARRAY_SIZE(brief_calls), thread->nr))
		return SAY(-EAGAIN, "runs: its %s begins again", name_of(thread, name));
	if (!call)
		return SAY(-EPERM,
			   "waits in %s (system call %lld), which cannot be watched from outside",
			   name_of(thread, name), (long long)thread->nr);
	r = add_waits(call, thread, park, why);
	if (r < 0)
		return r;
	ns = asked_ns(call, thread);
	park->timeout_ns = ns < park->timeout_ns ? ns : park->timeout_ns;
	park->threads++;
	return 0;
}

/* The walk */

static int take_threads(const struct pfuse_thread *threads, size_t count, struct park *park,
			struct err *why)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++) {
		pid_t pid = (pid_t)threads[i].tgid;

		if (park->pids.count == 0 || park->pids.pids[park->pids.count - 1] != pid)
			r = procs_list_add(&park->pids, pid);
		if (r == 0)
			r = park_thread(&threads[i], park, why);
	}
	return r;
}

static int walk(int fd, struct park *park, struct err *why)
{
	struct pfuse_thread threads[32];
	size_t have = 0;

	for (;;) {
		ssize_t n = read(fd, (char *)threads + have, sizeof(threads) - have);
		size_t whole;
		int r;

		if (n < 0 && errno == EAGAIN) /* a long walk takes a breath */
			continue;
		if (n <= 0)
			return n < 0 ? err_set(why, -errno,
					       "cannot walk the threads of the group: %s",
					       strerror(errno))
				     : 0;
		have += (size_t)n;
		whole = have / sizeof(*threads);
		r = take_threads(threads, whole, park, why);
		if (r < 0)
			return r;
		have -= whole * sizeof(*threads);
		memmove(threads, threads + whole, have);
	}
}

/* The walk goes by thread ids, which those of several processes share. */
static int compare_waits(const void *a, const void *b)
{
	const struct park_wait *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

int park_read(struct probe *probe, uint32_t slot, struct park *park, struct err *why)
{
	_cleanup_close_ int fd = -1;
	int r = probe_iterate(probe, PROBE_ITER_PARK, slot, &fd);

	park->count = park->threads = park->pids.count = 0;
	park->timeout_ns = PARK_NEVER;
	if (r < 0)
		return err_set(why, r, "cannot look at the threads of the group: %s", strerror(-r));
	r = walk(fd, park, why);
	procs_list_sort(&park->pids);
	if (park->count > 0)
		qsort(park->waits, park->count, sizeof(*park->waits), compare_waits);
	return r;
}

void park_free(struct park *park)
{
	free(park->waits);
	procs_list_free(&park->pids);
	*park = (struct park){ 0 };
}
