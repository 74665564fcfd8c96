/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Servers that send back what they get. What a freeze can break is how they wait, so each waits in
 * the way that it is told to, without a time-out: what it is not woken for stays unanswered.
 */
#include "verify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "verify_wait.h"

struct server {
	struct waiter waiter;
	int listener; /* of a stream; -1: there is only one descriptor, to */
	int to;	      /* where answers go, if not where the request came from: -1 */
	/* Takes and answers one request of fd. 0: go on; -EAGAIN: empty; else: it is finished. */
	int (*answer)(struct server *s, int fd);
	char spoil; /* the first letter of --spoil's kind; 0: none */
	unsigned every;
	atomic_uint answers;
};

static struct server server; /* threads see it, and it lives as long as the process */

static _Noreturn void die(const char *what, int r)
{
	fprintf(stderr, "verify: %s: %s\n", what, strerror(-r));
	exit(1);
}

/* An answer may be larger than what the buffers take at once. */
static int write_all(int fd, const unsigned char *bytes, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	ssize_t n;

	for (; size; bytes += n, size -= (size_t)n) {
		n = write(fd, bytes, size);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n < 0) {
			poll(&p, 1, -1);
			n = 0;
		}
	}
	return 0;
}

static bool is_spoilt(struct server *s, char how)
{
	return s->spoil == how && (s->answers + 1) % s->every == 0;
}

static int reset_connection(int fd)
{
	struct linger now = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	return -ECONNRESET;
}

/* Sends an answer, or what --spoil makes of it. */
static int send_answer(struct server *s, int fd, unsigned char *bytes, size_t size)
{
	int r = 0;

	if (is_spoilt(s, 'w'))
		bytes[size - 1] ^= 1;
	if (is_spoilt(s, 'c'))
		r = reset_connection(fd);
	else if (!is_spoilt(s, 'd'))
		r = write_all(fd, bytes, size);
	if (is_spoilt(s, 't') && !r)
		r = write_all(fd, bytes, size);
	s->answers++;
	return r;
}

static int echo(struct server *s, int fd)
{
	unsigned char bytes[16384];
	ssize_t n;

	do
		n = read(fd, bytes, sizeof(bytes));
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n ? -errno : -EPIPE;
	return send_answer(s, s->to >= 0 ? s->to : fd, bytes, (size_t)n);
}

static int echo_datagram(struct server *s, int fd)
{
	struct sockaddr_storage from;
	socklen_t from_size = sizeof(from);
	unsigned char bytes[65536];
	ssize_t n = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &from_size);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (is_spoilt(s, 'w') && n)
		bytes[n - 1] ^= 1;
	if (!is_spoilt(s, 'd') &&
	    sendto(fd, bytes, (size_t)n, 0, (struct sockaddr *)&from, from_size) < 0)
		return -errno;
	s->answers++;
	return 0;
}

static int answer_number(struct server *s, int fd)
{
	uint64_t number;

	if (read(fd, &number, sizeof(number)) < 0)
		return errno == EINTR ? 0 : -errno;
	number = eventfd_answer(number);
	return send_answer(s, s->to, (unsigned char *)&number, sizeof(number));
}

static void hang_up(struct server *s, int fd)
{
	wait_remove(&s->waiter, fd);
	close(fd);
}

static int accept_one(struct server *s)
{
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return errno == EINTR || errno == ECONNABORTED ? 0 : -errno;
	if (wait_add(&s->waiter, fd) < 0)
		close(fd);
	return 0;
}

/* Level-triggered waits say again what was left over, so one read is enough, and lets others in. */
static void serve_ready(struct server *s, int fd)
{
	int r;

	do
		r = fd == s->listener ? accept_one(s) : s->answer(s, fd);
	while (!r && wait_says_once(&s->waiter));
	if (r && r != -EAGAIN && fd != s->listener)
		hang_up(s, fd);
}

static _Noreturn void serve_events(struct server *s)
{
	int fds[WAIT_MAX], n;

	for (;;) {
		n = wait_ready(&s->waiter, fds);
		if (n < 0 && n != -EINTR)
			die("waiting", n);
		for (int i = 0; i < n; i++)
			serve_ready(s, fds[i]);
	}
}

static void *serve_one(void *arg)
{
	int fd = (int)(intptr_t)arg;

	while (!server.answer(&server, fd))
		;
	close(fd);
	return NULL;
}

/* A thread for each connection, each blocked in read() */
static _Noreturn void serve_threads(struct server *s)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (;;) {
		int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0 && pthread_create(&thread, &attr, serve_one, (void *)(intptr_t)fd))
			close(fd);
	}
}

static void read_spoil(struct server *s, const char *text)
{
	char kind[8];

	if (!text)
		return;
	if (sscanf(text, "%7[a-z]:%u", kind, &s->every) != 2 || !s->every ||
	    !strstr("wrong drop close twice", kind)) {
		fputs("verify: --spoil takes wrong, drop, close or twice, and :N\n", stderr);
		exit(2);
	}
	s->spoil = kind[0];
}

static void open_server(struct server *s, const struct options *options)
{
	int way = wait_way(options->wait);

	if (way < 0) {
		fputs("verify: --wait takes epoll, epoll-et, poll, select or block\n", stderr);
		exit(2);
	}
	read_spoil(s, options->spoil);
	way = wait_open(&s->waiter, (enum way)way);
	if (way < 0)
		die("epoll", way);
}

static void say_ready(const struct options *options)
{
	int fd = options->ready ? open(options->ready, O_WRONLY | O_CREAT | O_CLOEXEC, 0644) : -1;

	if (options->ready && (fd < 0 || close(fd) < 0))
		die(options->ready, -errno);
}

/* Serves fd, a listener or the only descriptor, for ever. */
static _Noreturn void serve(struct server *s, const struct options *options, int fd)
{
	int r;

	if (s->waiter.way == WAIT_BLOCK) {
		say_ready(options);
		if (s->listener >= 0)
			serve_threads(s);
		serve_one((void *)(intptr_t)fd);
		exit(1); /* its one descriptor failed */
	}
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	r = wait_add(&s->waiter, fd);
	if (r < 0)
		die("waiting", r);
	say_ready(options);
	serve_events(s);
}

int serve_stream(const struct options *options)
{
	open_server(&server, options);
	server.answer = echo;
	server.to = -1;
	server.listener = address_listen(options->args[0], SOCK_STREAM);
	if (server.listener < 0)
		die(options->args[0], server.listener);
	serve(&server, options, server.listener);
}

int serve_udp(const struct options *options)
{
	int fd = address_listen(options->args[0], SOCK_DGRAM);

	if (fd < 0)
		die(options->args[0], fd);
	open_server(&server, options);
	server.answer = echo_datagram;
	server.listener = server.to = -1;
	serve(&server, options, fd);
}

static int open_fifo(const char *path)
{
	int fd;

	if (mkfifo(path, 0600) < 0 && errno != EEXIST)
		die(path, -errno);
	/* Both ends, so that a client may come and go without an end of file. */
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die(path, -errno);
	return fd;
}

int serve_pipe(const struct options *options)
{
	int fd = open_fifo(options->args[0]);

	open_server(&server, options);
	server.answer = echo;
	server.listener = -1;
	server.to = open_fifo(options->args[1]);
	serve(&server, options, fd);
}

static int open_eventfd(int number)
{
	int fd = eventfd(0, 0);

	if (fd < 0 || dup2(fd, number) < 0)
		die("eventfd", -errno);
	close(fd);
	return number;
}

int serve_eventfd(const struct options *options)
{
	int fd = open_eventfd(EVENTFD_REQUEST);

	open_server(&server, options);
	server.answer = answer_number;
	server.listener = -1;
	server.to = open_eventfd(EVENTFD_ANSWER);
	serve(&server, options, fd);
}
