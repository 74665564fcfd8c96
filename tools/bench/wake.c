/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What a client waits for an answer of a server that is frozen: from the first byte sent to the answer,
 * for each way to talk, with the server running, frozen by the guarded freezer, and stopped by SIGSTOP
 * with a pulse. The setups take turns within each trial, on one CPU. The daemon's part (watch, thaw) runs in a
 * process of its own, as in pfuse-bpf.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "edge/guard.h"
#include "hierarchy.h"

#define TRIALS_MAX 10000
#define PULSE_NS 20000000ull /* of the naive setup: the longest that a request waits for SIGCONT */
#define PATIENCE_MS 5000
#define HOGS 4

enum kind { TCP, UDP, UNIX, CONNECTION, PIPE, EVENTFD, KINDS };
enum setup { NEVER, GUARDED, NAIVE, SETUPS };

static const char *const kind_names[] = { "TCP",  "UDP",    "UNIX stream", "new connection",
					  "pipe", "eventfd" };
static const char *const setup_names[] = { "it runs", "guarded", "SIGSTOP" };

/* A server's end and the client's; `reply` where the answer comes by another file. */
struct channel {
	int server_in, server_out;
	int client_out, client_in;
	struct sockaddr_in at; /* of a listener */
};

static struct channel channels[KINDS];
static int epoll_fd;

/* The server: all channels in one epoll, as a real one. */

static void answer(enum kind kind)
{
	struct channel *channel = &channels[kind];
	char byte[8] = { 1 };

	if (kind == CONNECTION) {
		int fd = accept4(channel->server_in, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0) {
			(void)!write(fd, byte, 1);
			close(fd);
		}
		return;
	}
	if (read(channel->server_in, byte, sizeof(byte)) > 0)
		(void)!write(channel->server_out, byte, kind == EVENTFD ? 8 : 1);
}

static void __attribute__((noreturn)) serve(void)
{
	struct epoll_event events[KINDS];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	epoll_fd = epoll_create1(0);
	for (uint32_t i = 0; i < KINDS; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.u32 = i };

		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, channels[i].server_in, &event) < 0)
			_exit(1);
	}
	for (;;) {
		int n = epoll_wait(epoll_fd, events, KINDS, -1);

		for (int i = 0; i < n; i++)
			answer(events[i].data.u32);
	}
}

/* The client */

static uint64_t request(enum kind kind)
{
	const struct channel *channel = &channels[kind];
	char byte[8] = { 1 };
	int fd = channel->client_in;
	uint64_t start = clock_now_ns();

	if (kind == CONNECTION) {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connect(fd, (const struct sockaddr *)&channel->at, sizeof(channel->at)) < 0)
			return UINT64_MAX;
	} else if (write(channel->client_out, byte, kind == EVENTFD ? 8 : 1) < 0) {
		return UINT64_MAX;
	}
	struct pollfd at = { .fd = fd, .events = POLLIN };
	bool answered = poll(&at, 1, PATIENCE_MS) == 1 && read(fd, byte, sizeof(byte)) > 0;
	uint64_t took = clock_now_ns() - start;

	if (kind == CONNECTION)
		close(fd);
	return answered ? took : UINT64_MAX;
}

/* Channels */

static int bound(int type, struct sockaddr_in *ret_at)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(at);
	int fd = socket(AF_INET, type, 0);

	if (bind(fd, (struct sockaddr *)&at, size) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &size) < 0)
		return -1;
	*ret_at = at;
	return fd;
}

static int connected(int type, const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, type, 0);

	return connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0 ? -1 : fd;
}

static struct channel two_way(int server, int client)
{
	return (struct channel){ server, server, client, client, { 0 } };
}

static int make_inet(void)
{
	struct sockaddr_in at, back;
	int listener = bound(SOCK_STREAM, &at), udp, client;

	if (listener < 0 || listen(listener, 64) < 0)
		return -errno;
	client = connected(SOCK_STREAM, &at);
	channels[TCP] = two_way(accept(listener, NULL, NULL), client);
	channels[CONNECTION] = two_way(listener, -1);
	channels[CONNECTION].at = at;
	udp = bound(SOCK_DGRAM, &at);
	client = bound(SOCK_DGRAM, &back);
	if (connect(udp, (struct sockaddr *)&back, sizeof(back)) < 0 ||
	    connect(client, (struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	channels[UDP] = two_way(udp, client);
	return channels[TCP].server_in < 0 || channels[TCP].client_in < 0 ? -errno : 0;
}

static int make_channels(void)
{
	int pair[2], there[2], back[2];
	int r = make_inet();

	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 || pipe(there) < 0 || pipe(back) < 0)
		return -errno;
	channels[UNIX] = two_way(pair[0], pair[1]);
	channels[PIPE] = (struct channel){ there[0], back[1], there[1], back[0], { 0 } };
	there[0] = eventfd(0, 0);
	back[0] = eventfd(0, 0);
	channels[EVENTFD] = (struct channel){ there[0], back[0], there[0], back[0], { 0 } };
	return 0;
}

/* The group of the server, and the guards */

static char dirs[2][320];
static char ledger_path[64];
static struct cgroup_tree tree;
static struct cgroup group;
static struct probe *probe;
static struct ledger *ledger;
static struct guards *guards;
static struct stop stop;
static pid_t server;

static int make_group(void)
{
	const char *why = NULL;
	const struct hierarchy *at = hierarchy(&why);
	char text[16];

	if (!at || !hierarchy_v2_mount()) {
		fprintf(stderr, "wake: %s\n", why ?: "no cgroup v2 tree is mounted");
		return -ENOENT;
	}
	snprintf(text, sizeof(text), "%d", server);
	snprintf(dirs[0], sizeof(dirs[0]), "%s/pfuse-wake-%d", at->mount, getpid());
	if (!at->v2)
		snprintf(dirs[1], sizeof(dirs[1]), "%s/pfuse-wake-%d", hierarchy_v2_mount(),
			 getpid());
	for (int i = 0; i < 2 && dirs[i][0]; i++) {
		char procs[700];

		snprintf(procs, sizeof(procs), "%s/cgroup.procs", dirs[i]);
		if (mkdir(dirs[i], 0755) < 0 || hierarchy_write(procs, text) < 0)
			return -errno;
	}
	return 0;
}

static int open_guards(struct err *err)
{
	struct ledger_options options = { .path = ledger_path };
	struct probe_config config = { .parts = PROBE_PARK, .slots = 1 };
	struct err note;
	int r = cgroup_tree_open(NULL, &tree, err);

	snprintf(ledger_path, sizeof(ledger_path), "%s/pfuse-wake-%d/ledger",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", getpid());
	const char *why;

	if (r == 0)
		r = cgroup_open(&tree, dirs[0], &group, err);
	config.anchor = hierarchy(&why)->v2 ? PFUSE_ANCHOR_V2 : PFUSE_ANCHOR_V1_MEMORY;
	config.hierarchy_id = hierarchy(&why)->id;
	if (r == 0)
		r = probe_open(&config, &probe, err);
	if (r == 0)
		r = ledger_open(&options, &ledger, &note, err);
	if (r == 0)
		r = probe_manage(probe, 1, group.id, 900);
	return r == 0 ? guards_open(&tree, probe, 1, &guards, err) : r;
}

static void leave(void)
{
	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
	}
	if (guards)
		guard_thaw(guards, &group, 1, ledger, &stop);
	guards_close(guards);
	ledger_close(ledger);
	if (ledger_path[0]) {
		*strrchr(ledger_path, '/') = 0;
		rmdir(ledger_path);
	}
	probe_close(probe);
	for (int i = 0; i < 2 && dirs[i][0]; i++)
		for (int tries = 0; rmdir(dirs[i]) < 0 && errno == EBUSY && tries < 100; tries++)
			usleep(10000);
}

/*
 * The daemon: freezes when told by the parent, says so, and continues when it must. Before a request to
 * a server that runs it freezes and continues it too: the work for that empties the caches, which alone
 * makes a TCP request three times as slow.
 */

static void thaw_it(uint32_t slot, void *context)
{
	guard_thaw(guards, &group, slot, ledger, &stop);
}

/* Of guard_freeze(), in memory that the daemon's process shares with the client's. */
static struct freezes {
	uint64_t ns[TRIALS_MAX * KINDS];
	uint32_t count;
	uint32_t busy;
} * freezes;

static int freeze_guarded(void)
{
	struct err why = { "" };
	uint64_t start;
	int r;

	for (unsigned int us = 50;; us = us < 5000 ? us * 2 : us) {
		start = clock_now_ns();
		r = guard_freeze(guards, &group, 1, ledger, &stop, 1000000000, &why);
		if (r != -EAGAIN)
			break;
		freezes->busy++;
		usleep(us);
	}
	if (r < 0)
		fprintf(stderr, "wake: %s\n", why.text);
	freezes->ns[freezes->count++ % (TRIALS_MAX * KINDS)] = clock_now_ns() - start;
	return r;
}

static void wait_and_thaw(void)
{
	struct pollfd at = { .fd = guards_fd(guards), .events = POLLIN };

	while (poll(&at, 1, PATIENCE_MS) == 1)
		if (guards_wakes(guards, thaw_it, NULL) != 0)
			return;
	guard_thaw(guards, &group, 1, ledger, &stop);
}

static void __attribute__((noreturn)) guard_server(int orders, int answers)
{
	char order;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(orders, &order, 1) == 1) {
		char done = 1;

		if (order == NAIVE)
			kill(server, SIGSTOP);
		else
			done = freeze_guarded() == 0;
		if (order == NEVER)
			guard_thaw(guards, &group, 1, ledger, &stop);
		if (write(answers, &done, 1) != 1 || !done)
			_exit(1);
		if (order == GUARDED) {
			wait_and_thaw();
		} else if (order == NAIVE) {
			clock_sleep_us(PULSE_NS / 1000);
			kill(server, SIGCONT);
		}
	}
	guard_forget(guards, 1); /* the next daemon inherits the same epoll */
	_exit(0);
}

static int daemon_orders, daemon_answers;
static pid_t daemon_pid;

static int start_daemon(bool fifo)
{
	int orders[2], answers[2];

	if (pipe(orders) < 0 || pipe(answers) < 0)
		return -errno;
	daemon_pid = fork();
	if (daemon_pid == 0) {
		const struct sched_param most = { .sched_priority = 1 };

		close(orders[1]);
		if (fifo && sched_setscheduler(0, SCHED_FIFO, &most) < 0)
			perror("wake: SCHED_FIFO");
		guard_server(orders[0], answers[1]);
	}
	close(orders[0]);
	close(answers[1]);
	daemon_orders = orders[1];
	daemon_answers = answers[0];
	return daemon_pid < 0 ? -errno : 0;
}

static void end_daemon(void)
{
	close(daemon_orders);
	close(daemon_answers);
	waitpid(daemon_pid, NULL, 0);
}

static int arm(enum setup setup)
{
	char order = (char)setup, done = 0;

	if (write(daemon_orders, &order, 1) != 1 || read(daemon_answers, &done, 1) != 1)
		return -EIO;
	return done ? 0 : -EIO;
}

/* Figures */

static uint64_t samples[SETUPS][KINDS][TRIALS_MAX];

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void print(int trials)
{
	unsigned int lost = 0;

	printf("%-16s", "send -> reply, us");
	for (int setup = 0; setup < SETUPS; setup++)
		printf(" %13s p50 %8s p99", setup_names[setup], "");
	printf("   guarded - runs, p50 / p99\n");
	for (int kind = 0; kind < KINDS; kind++) {
		double us[SETUPS][2];

		printf("%-16s", kind_names[kind]);
		for (int setup = 0; setup < SETUPS; setup++) {
			uint64_t *sorted = samples[setup][kind];

			qsort(sorted, (size_t)trials, sizeof(*sorted), by_value);
			for (int i = trials; i > 0 && sorted[i - 1] == UINT64_MAX; i--)
				lost++;
			us[setup][0] = (double)sorted[trials / 2] / 1000;
			us[setup][1] = (double)sorted[trials * 99 / 100] / 1000;
			printf(" %17.1f %12.1f", us[setup][0], us[setup][1]);
		}
		printf("   %+12.1f / %+.1f\n", us[GUARDED][0] - us[NEVER][0],
		       us[GUARDED][1] - us[NEVER][1]);
	}
	qsort(freezes->ns, freezes->count, sizeof(*freezes->ns), by_value);
	printf("guard_freeze(): p50 %.1f, p99 %.1f us; %u times busy\n",
	       (double)freezes->ns[freezes->count / 2] / 1000,
	       (double)freezes->ns[freezes->count * 99 / 100] / 1000, freezes->busy);
	printf("requests without an answer: %u\n", lost);
}

static int measure(int trials)
{
	/* After the stop, a request comes at any time of the pulse. */
	for (int trial = 0; trial < trials; trial++)
		for (int kind = 0; kind < KINDS; kind++)
			for (int setup = 0; setup < SETUPS; setup++) {
				/* Each setup comes after a request of the same kind. */
				if (request(kind) == UINT64_MAX || arm(setup) < 0)
					return -EIO;
				clock_sleep_us(setup == NAIVE ? (uint64_t)rand() % (PULSE_NS / 1000)
							      : 300);
				samples[setup][kind][trial] = request(kind);
			}
	return 0;
}

static void hog(pid_t pids[HOGS], int count)
{
	for (int i = 0; i < count; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				__asm__ volatile("" ::: "memory");
		}
	}
}

static int run(int trials, bool fifo, int hogs)
{
	pid_t pids[HOGS];
	int r;

	memset(freezes, 0, sizeof(*freezes));
	r = start_daemon(fifo);
	printf("\n== %s, %d hogs, %d trials each, one CPU\n",
	       fifo ? "SCHED_FIFO" : "normal priority", hogs, trials);
	hog(pids, hogs);
	if (r == 0)
		r = measure(trials);
	for (int i = 0; i < hogs; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	end_daemon();
	if (r == 0)
		print(trials);
	return r;
}

static int usage(int status)
{
	fprintf(status ? stderr : stdout,
		"usage: bench_wake [-n TRIALS] [-q]\n"
		"Prints what a client waits for a server that runs, is guarded, or is stopped by "
		"SIGSTOP\n"
		"and continued every 20 ms. Default 600 trials; -q: without the rounds with busy\n"
		"programs.\n"
		"Needs root.\n");
	return status;
}

static int run_all(int trials, bool quick)
{
	struct err err = { "" };
	cpu_set_t one;
	int r;

	setvbuf(stdout, NULL, _IOLBF, 0);
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	freezes = mmap(NULL, sizeof(*freezes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (freezes == MAP_FAILED)
		return 1;
	r = make_channels();
	server = r == 0 ? fork() : -1;
	if (server == 0)
		serve();
	if (r == 0)
		r = make_group();
	if (r == 0)
		r = open_guards(&err);
	if (r < 0)
		fprintf(stderr, "wake: %s\n", err.text[0] ? err.text : strerror(-r));
	if (r == 0)
		r = run(trials, false, 0) ?: run(trials, true, 0);
	if (r == 0 && !quick)
		r = run(trials / 10 + 1, false, HOGS) ?: run(trials, true, HOGS);
	leave();
	return r < 0 ? 1 : 0;
}

int main(int argc, char *argv[])
{
	int trials = 600, option;
	bool quick = false;

	while ((option = getopt(argc, argv, "n:qh")) != -1)
		if (option == 'n')
			trials = atoi(optarg);
		else if (option == 'q')
			quick = true;
		else
			return usage(option == 'h' ? 0 : 2);
	if (trials < 10 || trials > TRIALS_MAX)
		return usage(2);
	if (geteuid() != 0) {
		fprintf(stderr, "wake: needs root\n");
		return 3;
	}
	return run_all(trials, quick);
}
