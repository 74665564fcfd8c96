/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * How soon a service that comes late gets another CPU: tools/bench/split-latency.
 *
 *	split_latency CPUSET_FILE SERVICE_PROCS HOG_PROCS... -- CROSSINGS TARGET_US
 *
 * A service (in the groups of SERVICE_PROCS, comma between them) works 2 ms of CPU time at a time
 * and sleeps 2 ms. It has one CPU. In each round one hog in each of the groups of HOG_PROCS is put
 * on that CPU; the service then waits for it. From the scheduler's own sum of its waits
 * (/proc/thread-self/schedstat), read at each step of its work, it knows how long the last wait
 * was; so it tells when, within that wait, TARGET was crossed. Who watches the file CPUSET_FILE
 * (inotify) sees when another set is written. Then the hogs end, and the round ends when the
 * service has one CPU again. Two figures for each round: from the first wait that crosses the
 * target, and from the second, for a p99 is only violated by that one; and how long that wait went on after it
 * had crossed the target: the scheduler tells of a wait when it is over. A wait that is counted may
 * consist of two that are shorter, if both fell between two looks: the work is cut into steps of
 * 50 us so that this is rare.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MS 1000000LL
#define ROUNDS_MAX 1000
#define HOGS_MAX 16
#define STEP_NS 50000
#define WORK_NS (2 * MS)
#define REST_NS (2 * MS)

/* Between the service and who watches. */
struct shared {
	atomic_int round; /* the service looks for crossings; 0: it does not */
	atomic_llong first_ns;
	atomic_llong second_ns;
	atomic_llong over_ns; /* the wait that began before second_ns */
};

static struct shared *shared;
static long long target_ns;

static long long now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "split_latency: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* This process into the groups of a list of cgroup.procs files. */
static void enter(const char *files)
{
	char *list = strdup(files), *rest = list, *file;

	while ((file = strsep(&rest, ","))) {
		int fd = open(file, O_WRONLY | O_CLOEXEC);

		if (fd < 0 || write(fd, "0", 1) != 1)
			die(file);
		close(fd);
	}
	free(list);
}

static long long waited_ns(int schedstat)
{
	char text[96];
	ssize_t n = pread(schedstat, text, sizeof(text) - 1, 0);
	long long ran, waited;

	if (n <= 0)
		die("schedstat");
	text[n] = '\0';
	return sscanf(text, "%lld %lld", &ran, &waited) == 2 ? waited : 0;
}

/* The wait of `wait_ns` has just ended. */
static void note_wait(long long wait_ns)
{
	long long crossed_ns = now_ns(CLOCK_MONOTONIC) - (wait_ns - target_ns);

	if (wait_ns <= target_ns || !atomic_load(&shared->round))
		return;
	if (!atomic_load(&shared->first_ns))
		atomic_store(&shared->first_ns, crossed_ns);
	else if (!atomic_load(&shared->second_ns)) {
		atomic_store(&shared->over_ns, now_ns(CLOCK_MONOTONIC));
		atomic_store(&shared->second_ns, crossed_ns);
	}
}

static void serve(const char *groups)
{
	int schedstat = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	long long before = 0;

	if (schedstat < 0)
		die("/proc/thread-self/schedstat");
	enter(groups);
	for (;;) {
		long long until = now_ns(CLOCK_THREAD_CPUTIME_ID) + WORK_NS, step = 0, now;

		while ((now = now_ns(CLOCK_THREAD_CPUTIME_ID)) < until) {
			if (now < step)
				continue;
			long long waited = waited_ns(schedstat);

			note_wait(waited - before);
			before = waited;
			step = now + STEP_NS;
		}
		nanosleep(&(struct timespec){ .tv_nsec = REST_NS }, NULL);
	}
}

static pid_t spawn_service(const char *groups)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	serve(groups);
	_exit(0);
}

static pid_t spawn_hog(const char *groups, int cpu)
{
	pid_t pid = fork();
	cpu_set_t set;

	if (pid < 0)
		die("fork");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* First: a group of v1 takes no task that runs in real time. */
	if (sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){ 0 }))
		die("SCHED_OTHER");
	enter(groups);
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("the hog's CPU");
	for (;;)
		;
}

static int cpus_of(pid_t pid, int *ret_first)
{
	cpu_set_t set;

	if (sched_getaffinity(pid, sizeof(set), &set))
		die("the service's CPUs");
	for (*ret_first = 0; *ret_first < CPU_SETSIZE && !CPU_ISSET(*ret_first, &set);)
		++*ret_first;
	return CPU_COUNT(&set);
}

/* The next write of the set; 0: none within the time. */
static long long next_write(int watch, int timeout_ms)
{
	char buffer[4096];
	struct pollfd ready = { .fd = watch, .events = POLLIN };

	if (poll(&ready, 1, timeout_ms) <= 0)
		return 0;
	long long seen_ns = now_ns(CLOCK_MONOTONIC);

	if (read(watch, buffer, sizeof(buffer)) < 0)
		die("inotify");
	return seen_ns;
}

/*
 * Until the service has one CPU, and has had it for so long that its growth is no mistake's. On a busy machine
 * others may make it late meanwhile, and then it is waited for again. -1: not within 40 s.
 */
static int settle(pid_t service, int watch, int rest_ms)
{
	long long until = now_ns(CLOCK_MONOTONIC) + 40000 * MS;
	int first;

	while (now_ns(CLOCK_MONOTONIC) < until) {
		if (cpus_of(service, &first) != 1)
			(void)next_write(watch, 20);
		else if (!next_write(watch, rest_ms) && cpus_of(service, &first) == 1)
			return first;
	}
	return -1;
}

/* Who ends first is waited for last: all are there for the same time. */
static void end_hogs(const pid_t *hogs, int count)
{
	for (int i = 0; i < count; i++)
		kill(hogs[i], SIGKILL);
	for (int i = 0; i < count; i++)
		waitpid(hogs[i], NULL, 0);
}

static int compare(const void *a, const void *b)
{
	long long x = *(const long long *)a, y = *(const long long *)b;

	return (x > y) - (x < y);
}

static void print(const char *what, long long *values, int count)
{
	qsort(values, (size_t)count, sizeof(*values), compare);
	printf("%-42s %5d %8.2f %8.2f %8.2f %8.2f\n", what, count, (double)values[0] / MS,
	       (double)values[(count - 1) / 2] / MS,
	       (double)values[(count * 99 + 99) / 100 - 1] / MS, (double)values[count - 1] / MS);
}

int main(int argc, char **argv)
{
	static long long first[ROUNDS_MAX], second[ROUNDS_MAX], wait[ROUNDS_MAX];
	pid_t hogs[HOGS_MAX], service;
	int crossings, nhogs = 0, watch, count = 0, missed = 0;

	while (nhogs < HOGS_MAX && 3 + nhogs < argc && strcmp(argv[3 + nhogs], "--"))
		nhogs++;
	if (argc != 6 + nhogs || !nhogs) {
		fprintf(stderr,
			"usage: split_latency CPUSET SERVICE HOG... -- CROSSINGS TARGET_US\n");
		return 2;
	}
	crossings = atoi(argv[4 + nhogs]);
	target_ns = atoll(argv[5 + nhogs]) * 1000;
	if (crossings < 1 || crossings > ROUNDS_MAX || target_ns < 1)
		return 2;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	watch = inotify_init1(IN_CLOEXEC);
	if (shared == MAP_FAILED || watch < 0 || inotify_add_watch(watch, argv[1], IN_MODIFY) < 0)
		die(argv[1]);
	service = spawn_service(argv[2]);
	/* Who watches is to see a write at once, whoever else wants the CPU. */
	(void)sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ 1 });
	printf("ready\n");
	fflush(stdout);
	while (count < crossings && missed < 10) {
		int cpu = settle(service, watch, 600);
		long long written = 0;

		if (cpu < 0) {
			fprintf(stderr, "split_latency: after %d of %d crossings the service keeps its CPUs\n", count,
				crossings);
			missed = 10;
			break;
		}
		atomic_store(&shared->first_ns, 0);
		atomic_store(&shared->second_ns, 0);
		atomic_store(&shared->over_ns, 0);
		atomic_store(&shared->round, count + 1);
		for (int i = 0; i < nhogs; i++)
			hogs[i] = spawn_hog(argv[3 + i], cpu);
		for (int left = 500; left && cpus_of(service, &cpu) < 2; left--)
			written = written ?: next_write(watch, 10);
		usleep(20000); /* the service notes a wait when it is over */
		atomic_store(&shared->round, 0);
		end_hogs(hogs, nhogs);
		long long one = atomic_load(&shared->first_ns),
			  two = atomic_load(&shared->second_ns);

		if (!written || cpus_of(service, &cpu) < 2) {
			missed++;
			continue;
		}
		/* A write before the second crossing came by another way: it counts as at once. */
		first[count] = one && written > one ? written - one : 0;
		second[count] = two && written > two ? written - two : 0;
		wait[count] = two ? atomic_load(&shared->over_ns) - two : 0;
		count++;
	}
	kill(service, SIGKILL);
	waitpid(service, NULL, 0);
	if (!count) {
		fprintf(stderr, "split_latency: the set was never written\n");
		return 1;
	}
	printf("%-42s %5s %8s %8s %8s %8s\n", "from the crossing to the new set, ms", "n", "least",
	       "p50", "p99", "most");
	print("from the first wait above the target", first, count);
	print("from the second, which violates the p99", second, count);
	print("  of that: until that wait was over", wait, count);
	printf("rounds without a new set within 5 s: %d\n", missed);
	return missed != 0;
}
