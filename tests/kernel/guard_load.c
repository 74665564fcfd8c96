/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Nothing is lost: servers that are frozen and woken some thousand times answer all, and rightly. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "guard_rig.h"

#define CLIENTS 4
#define CYCLES 2000
#define CYCLES_EMULATED 100 /* each takes a second or so where the machine is emulated */
#define LOST_MS 10000

TestSuite(guard_load, .init = guarded_init, .fini = guarded_fini, .timeout = 120);

static unsigned long cycles(void)
{
	return getenv("PFUSE_GUEST") ? CYCLES_EMULATED : CYCLES;
}

/* What a client tells; in memory that it shares with the test. */
struct client {
	atomic_ulong answered;
	atomic_ulong lost;
	atomic_ulong wrong;
	atomic_bool stop;
	unsigned int pause_us;
	int fd;
	pid_t pid;
};

static struct client *clients;
static int servers[CLIENTS];

/* Edge-triggered, as nginx: what is forgotten after epoll_wait is never told again. */
static long job_serve(long arg)
{
	struct epoll_event events[CLIENTS];
	int epoll = epoll_create1(0);
	unsigned long value;

	for (int i = 0; i < CLIENTS; i++) {
		struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.fd = servers[i] };

		epoll_ctl(epoll, EPOLL_CTL_ADD, servers[i], &event);
	}
	for (;;) {
		int n = epoll_wait(epoll, events, CLIENTS, -1);

		if (n < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < n; i++)
			while (recv(events[i].data.fd, &value, sizeof(value), MSG_DONTWAIT) ==
			       sizeof(value)) {
				value = ~value;
				if (send(events[i].data.fd, &value, sizeof(value), 0) < 0)
					return -errno;
			}
	}
}

static void ask(struct client *client, unsigned long value)
{
	struct pollfd at = { .fd = client->fd, .events = POLLIN };
	unsigned long answer = 0;

	if (send(client->fd, &value, sizeof(value), 0) != sizeof(value) ||
	    poll(&at, 1, LOST_MS) != 1 || recv(client->fd, &answer, sizeof(answer), 0) < 0)
		atomic_fetch_add(&client->lost, 1);
	else if (answer != ~value)
		atomic_fetch_add(&client->wrong, 1);
	else
		atomic_fetch_add(&client->answered, 1);
}

static void __attribute__((noreturn)) run_client(struct client *client)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned long value = 1; !atomic_load(&client->stop); value++) {
		ask(client, value);
		if (client->pause_us)
			clock_sleep_us(client->pause_us * (1 + value % 7));
	}
	_exit(0);
}

/* Stream and datagram sockets take turns. */
static void make_clients(unsigned int pause_us)
{
	clients = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert(clients != MAP_FAILED);
	for (int i = 0; i < CLIENTS; i++) {
		int pair[2];

		cr_assert(socketpair(AF_UNIX, i % 2 ? SOCK_SEQPACKET : SOCK_STREAM, 0, pair) == 0);
		servers[i] = pair[0];
		clients[i] = (struct client){ .fd = pair[1], .pause_us = pause_us };
	}
}

static void start_clients(void)
{
	for (int i = 0; i < CLIENTS; i++) {
		clients[i].pid = fork();
		if (clients[i].pid == 0)
			run_client(&clients[i]);
	}
}

static void end_clients(void)
{
	for (int i = 0; i < CLIENTS; i++)
		atomic_store(&clients[i].stop, true);
	for (int i = 0; i < CLIENTS; i++)
		waitpid(clients[i].pid, NULL, 0);
}

static unsigned long answered(void)
{
	unsigned long sum = 0;

	for (int i = 0; i < CLIENTS; i++) {
		cr_expect_eq(atomic_load(&clients[i].lost), 0, "client %d", i);
		cr_expect_eq(atomic_load(&clients[i].wrong), 0, "client %d", i);
		sum += atomic_load(&clients[i].answered);
	}
	return sum;
}

struct tally {
	unsigned long frozen;
	unsigned long busy;
};

static void cycle(struct guarded *guarded, struct tally *tally)
{
	struct err why = { "" };
	int r = guarded_freeze(guarded, &why);

	cr_assert(r == 0 || r == -EAGAIN, "%s: %s", strerror(-r), why.text);
	if (r == -EAGAIN) {
		tally->busy++;
		return;
	}
	tally->frozen++;
	cr_assert(guarded_wakes(LOST_MS), "the clients ask, and nobody is woken");
}

Test(guard_load, loses_nothing_when_idle_between_requests)
{
	struct guarded *guarded = guarded_make("echo");
	struct tally tally = { 0 };

	/* us between requests: long enough that the server rests in between. */
	make_clients(getenv("PFUSE_GUEST") ? 50000 : 100);
	worker_send(guarded_worker(guarded), job_serve, 0);
	start_clients();
	while (tally.frozen < cycles()) {
		cycle(guarded, &tally);
		clock_sleep_us(50);
	}
	end_clients();
	fprintf(stderr, "echo: %lu answers over %lu freezes, %lu times busy\n", answered(),
		tally.frozen, tally.busy);
	cr_expect_geq(answered(), tally.frozen);
}

/* A server that never rests: most attempts catch it with events that it has taken and not answered. */
Test(guard_load, sees_that_a_server_is_busy)
{
	struct guarded *guarded = guarded_make("busy");
	struct tally tally = { 0 };

	make_clients(0);
	worker_send(guarded_worker(guarded), job_serve, 0);
	start_clients();
	for (unsigned long i = 0; i < cycles(); i++)
		cycle(guarded, &tally);
	end_clients();
	fprintf(stderr, "busy: %lu answers over %lu freezes, %lu times busy\n", answered(),
		tally.frozen, tally.busy);
	cr_expect_gt(tally.busy, 0);
	cr_expect_gt(answered(), 0);
}
