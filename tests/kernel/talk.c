/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "talk.h"

/* Private to each worker: the listener or unconnected socket, and the socket that talks. */
static int bound = -1, talker = -1;
static struct sockaddr_storage peer;
static socklen_t peer_length;
/* Made by the test, inherited by all workers. */
static int pair[2] = { -1, -1 };

void talk_network(void)
{
	struct ifreq request = { .ifr_name = "lo:1" };
	struct sockaddr_in *address = (void *)&request.ifr_addr;

	cr_assert(unshare(CLONE_NEWNET) == 0, "unshare: %s", strerror(errno));
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	address->sin_family = AF_INET;
	inet_pton(AF_INET, "192.0.2.1", &address->sin_addr);
	cr_assert(ioctl(fd, SIOCSIFADDR, &request) == 0, "lo:1: %s", strerror(errno));
	strcpy(request.ifr_name, "lo");
	request.ifr_flags = IFF_UP;
	cr_assert(ioctl(fd, SIOCSIFFLAGS, &request) == 0, "lo: %s", strerror(errno));
	close(fd);
}

void talk_pair(void)
{
	cr_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
}

bool talk_is_stream(const struct talk_case *row)
{
	return row->how == TCP || row->how == UNIX_STREAM;
}

/* A worker is a fork of the test: its tables stand where they stood. */
static const struct talk_case *row_of(long arg)
{
	return (const void *)arg;
}

/* Each row of a table has a port and a name of its own: nothing is remembered from another row. */
static unsigned int number_of(const struct talk_case *row)
{
	return 20000 + (uintptr_t)row / sizeof(*row) % 10000;
}

uint16_t talk_port(const struct talk_case *row)
{
	return (uint16_t)number_of(row);
}

static socklen_t address_of(const struct talk_case *row, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (void *)ret;
	struct sockaddr_in6 *v6 = (void *)ret;
	struct sockaddr_un *un = (void *)ret;

	memset(ret, 0, sizeof(*ret));
	if (!row->address) {
		un->sun_family = AF_UNIX; /* abstract: no file to clean up */
		snprintf(un->sun_path + 1, sizeof(un->sun_path) - 1, "pfuse-test-%u",
			 number_of(row));
		return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
				   strlen(un->sun_path + 1));
	}
	if (inet_pton(AF_INET, row->address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)number_of(row));
		return sizeof(*v4);
	}
	inet_pton(AF_INET6, row->address, &v6->sin6_addr);
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((uint16_t)number_of(row));
	return sizeof(*v6);
}

static int new_socket(const struct talk_case *row)
{
	struct sockaddr_storage address;

	address_of(row, &address);
	return socket(address.ss_family, talk_is_stream(row) ? SOCK_STREAM : SOCK_DGRAM, 0);
}

long talk_bind(long arg)
{
	const struct talk_case *row = row_of(arg);
	struct sockaddr_storage address;
	socklen_t length = address_of(row, &address);

	if (row->how == PAIR)
		return 0;
	bound = new_socket(row);
	if (bound < 0 || bind(bound, (void *)&address, length) < 0)
		return -errno;
	return talk_is_stream(row) && listen(bound, 5) < 0 ? -errno : 0;
}

long talk_connect(long arg)
{
	const struct talk_case *row = row_of(arg);
	sa_family_t any_name = AF_UNIX; /* so that a datagram can be answered */

	if (row->how == PAIR) {
		talker = dup(pair[0]);
		return 0;
	}
	peer_length = address_of(row, &peer);
	talker = new_socket(row);
	if (talker < 0)
		return -errno;
	if (row->how == UNIX_DGRAM && bind(talker, (void *)&any_name, sizeof(any_name)) < 0)
		return -errno;
	if (row->how == UDP_UNCONNECTED)
		return 0;
	return connect(talker, (void *)&peer, peer_length) < 0 ? -errno : 0;
}

/* Streams accept; a datagram server learns its client from the first message, without taking it. */
long talk_accept(long arg)
{
	const struct talk_case *row = row_of(arg);
	char byte;

	if (row->how == PAIR) {
		talker = dup(pair[1]);
		return 0;
	}
	if (talk_is_stream(row)) {
		talker = accept(bound, NULL, NULL);
		return talker < 0 ? -errno : 0;
	}
	peer_length = sizeof(peer);
	if (recvfrom(bound, &byte, 1, MSG_PEEK, (void *)&peer, &peer_length) < 0)
		return -errno;
	talker = dup(bound);
	if (row->how == UDP && connect(talker, (void *)&peer, peer_length) < 0)
		return -errno;
	return 0;
}

long talk_send(long arg)
{
	const struct talk_case *row = row_of(arg);
	char message[TALK_MESSAGE] = { 0 };
	bool to_address = row->how == UDP_UNCONNECTED || (row->how == UNIX_DGRAM && bound >= 0);
	ssize_t sent;

	if (to_address)
		sent = sendto(talker, message, sizeof(message), 0, (void *)&peer, peer_length);
	else
		sent = write(talker, message, sizeof(message));
	return sent == TALK_MESSAGE ? 0 : -errno;
}

long talk_receive(long arg)
{
	char message[TALK_MESSAGE];
	size_t got = 0;

	while (got < sizeof(message)) {
		ssize_t now = read(talker, message + got, sizeof(message) - got);

		if (now <= 0)
			return now ? -errno : -EPIPE;
		got += (size_t)now;
	}
	return 0;
}

long talk_close(long arg)
{
	if (talker >= 0)
		close(talker);
	if (bound >= 0)
		close(bound);
	talker = bound = -1;
	return 0;
}

static const char *name_of(worker_job *job)
{
	static const struct {
		worker_job *job;
		const char *name;
	} names[] = {
		{ talk_bind, "bind" }, { talk_connect, "connect" }, { talk_accept, "accept" },
		{ talk_send, "send" }, { talk_receive, "receive" }, { talk_close, "close" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].job == job)
			return names[i].name;
	return "job";
}

void talk_step(const struct talk_case *row, struct worker *worker, worker_job *job)
{
	long err = worker_do(worker, job, (long)row);

	cr_assert(!err, "%s: %s: %s", row->name, name_of(job), strerror((int)-err));
}

static void round_trip(const struct talk_case *row, struct worker *client, struct worker *server,
		       bool first)
{
	talk_step(row, client, talk_send);
	if (first && !talk_is_stream(row))
		talk_step(row, server, talk_accept);
	talk_step(row, server, talk_receive);
	talk_step(row, server, talk_send);
	talk_step(row, client, talk_receive);
}

void talk_meet(const struct talk_case *row, struct worker *client, struct worker *server)
{
	talk_step(row, server, talk_bind);
	talk_step(row, client, talk_connect);
	if (talk_is_stream(row))
		talk_step(row, server, talk_accept);
	if (row->warm)
		round_trip(row, client, server, true);
}

void talk_exchange(const struct talk_case *row, struct worker *client, struct worker *server)
{
	round_trip(row, client, server, !row->warm);
}

void talk_part(const struct talk_case *row, struct worker *client, struct worker *server)
{
	talk_step(row, client, talk_close);
	talk_step(row, server, talk_close);
}
