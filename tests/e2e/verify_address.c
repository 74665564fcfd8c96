/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Sockets by address: HOST:PORT (IPv4, numeric), or a path for a UNIX socket. */
#include "verify.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_un un;
};

static int parse_path(const char *at, union address *ret, socklen_t *ret_size)
{
	union address a = { .un = { .sun_family = AF_UNIX } };

	if (strlen(at) >= sizeof(a.un.sun_path))
		return -ENAMETOOLONG;
	memcpy(a.un.sun_path, at, strlen(at));
	*ret = a;
	*ret_size = sizeof(a.un);
	return 0;
}

static int parse(const char *at, union address *ret, socklen_t *ret_size)
{
	union address a = { .in = { .sin_family = AF_INET } };
	char host[64], end;
	unsigned port;

	if (strchr(at, '/'))
		return parse_path(at, ret, ret_size);
	if (sscanf(at, "%63[0-9.]:%u%c", host, &port, &end) != 2 || port > 65535 ||
	    inet_pton(AF_INET, host, &a.in.sin_addr) != 1)
		return -EINVAL;
	a.in.sin_port = htons((uint16_t)port);
	*ret = a;
	*ret_size = sizeof(a.in);
	return 0;
}

static int socket_for(const char *at, int type, union address *a, socklen_t *size)
{
	int r = parse(at, a, size), fd;

	if (r < 0)
		return r;
	fd = socket(a->any.sa_family, type | SOCK_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

static int closed(int fd)
{
	int r = -errno;

	close(fd);
	return r;
}

int address_listen(const char *at, int type)
{
	union address a;
	socklen_t size;
	int fd = socket_for(at, type, &a, &size), yes = 1;

	if (fd < 0)
		return fd;
	if (a.any.sa_family == AF_INET)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(fd, &a.any, size) < 0 || (type == SOCK_STREAM && listen(fd, 128) < 0))
		return closed(fd);
	return fd;
}

/* A blocking connect() heeds the time-out for sending; what follows is awaited by poll(). */
int address_connect(const char *at, int type, double patience)
{
	struct timeval limit = { .tv_sec = (time_t)patience + 1 };
	union address a;
	socklen_t size;
	int fd = socket_for(at, type, &a, &size), yes = 1;

	if (fd < 0)
		return fd;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, &a.any, size) < 0)
		return errno == EAGAIN || errno == EINPROGRESS ? (close(fd), -ETIMEDOUT)
							       : closed(fd);
	/* Pieces must go out when they are sent. */
	if (a.any.sa_family == AF_INET && type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	return fd;
}
