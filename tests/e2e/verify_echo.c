/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Dialects whose answer is the request, or follows from it: numbered records over TCP, UNIX sockets,
 * UDP and pipes, and numbers over eventfds.
 */
#include "verify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DATAGRAM_MAX 1400u

struct head {
	uint64_t number;
	uint32_t size;
	uint32_t seed;
};

/* A record of a drawn length: its number, its length, and bytes that follow from the seed. */
static void build_record(struct client *c, size_t most)
{
	size_t size = client_between(c, sizeof(struct head), most);
	struct head head = { c->number, (uint32_t)size, (uint32_t)c->options->seed };
	struct message *m = &c->request;

	for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
		uint64_t bytes = client_random(c);
		size_t n = size - i < sizeof(bytes) ? size - i : sizeof(bytes);

		memcpy(m->bytes + i, &bytes, n);
	}
	memcpy(m->bytes, &head, sizeof(head));
	m->size = size;
	c->answer.size = size;
	memcpy(c->answer.bytes, m->bytes, size);
}

static void build_echo(struct client *c)
{
	build_record(c, c->options->size);
}

static int open_stream(struct client *c)
{
	int fd = address_connect(c->options->args[0], SOCK_STREAM, c->options->patience);

	c->in = c->out = fd;
	return fd;
}

const struct dialect dialect_echo = {
	.name = "echo",
	.closes = true,
	.open = open_stream,
	.build = build_echo,
};

static int open_udp(struct client *c)
{
	int fd = address_connect(c->options->args[0], SOCK_DGRAM, c->options->patience);

	c->whole = true;
	c->in = c->out = fd;
	return fd;
}

static void build_datagram(struct client *c)
{
	build_record(c, c->options->size < DATAGRAM_MAX ? c->options->size : DATAGRAM_MAX);
}

static enum outcome take_datagram(struct client *c)
{
	int r = client_read(c, c->got.bytes, sizeof(c->got.bytes));

	if (r < 0)
		return client_errno(c, r);
	if ((size_t)r != c->answer.size || memcmp(c->got.bytes, c->answer.bytes, c->answer.size))
		return client_fail(c, WRONG, "another datagram of %d bytes", r);
	return VERIFIED;
}

const struct dialect dialect_udp = {
	.name = "echo-udp",
	.open = open_udp,
	.build = build_datagram,
	.take = take_datagram,
};

/*
 * What came too late for a request that was counted as lost, by us or by a client before us, is no
 * answer to one of ours. What is shared with the server may not be non-blocking: hence poll().
 */
static void drain(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char rest[4096];

	while (poll(&p, 1, 0) > 0 && read(fd, rest, sizeof(rest)) > 0)
		;
}

/* The server holds both ends of both FIFOs: no reader for the requests means no server. */
static int open_pipe(struct client *c)
{
	c->out = open(c->options->args[0], O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (c->out < 0)
		return -errno;
	c->in = open(c->options->args[1], O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (c->in < 0)
		return -errno;
	drain(c->in);
	return 0;
}

const struct dialect dialect_pipe = {
	.name = "pipe",
	.open = open_pipe,
	.build = build_echo,
};

/* glibc 2.36 has no pidfd_getfd() in every architecture's headers. */
static int borrow(int pidfd, int number)
{
	int fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);

	return fd < 0 ? -errno : fd;
}

static int open_eventfd(struct client *c)
{
	int pidfd = (int)syscall(SYS_pidfd_open, atoi(c->options->args[0]), 0);

	c->whole = true;
	if (pidfd < 0)
		return -errno;
	c->out = borrow(pidfd, EVENTFD_REQUEST);
	c->in = borrow(pidfd, EVENTFD_ANSWER);
	close(pidfd);
	if (c->out < 0 || c->in < 0)
		return c->out < 0 ? c->out : c->in;
	drain(c->in);
	return 0;
}

static void build_number(struct client *c)
{
	uint64_t request = client_between(c, 1, 1000000), answer = eventfd_answer(request);

	c->request.size = c->answer.size = sizeof(request);
	memcpy(c->request.bytes, &request, sizeof(request));
	memcpy(c->answer.bytes, &answer, sizeof(answer));
}

const struct dialect dialect_eventfd = {
	.name = "eventfd",
	.open = open_eventfd,
	.build = build_number,
};
