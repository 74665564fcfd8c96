/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The SO_PRIORITY of the first TCP or UDP socket of a process over IPv4, read from outside.
 *
 *	sockprio PID		prints it
 *	sockprio PID set N	sets it
 *	sockprio PID watch	prints it, and again whenever it has changed, until the process ends
 *
 * Exit 1: no such process, or no such socket. The socket is borrowed by pidfd_getfd(2).
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NUMBERS 1024 /* file descriptors looked at */
#define LOOK_MS 10

static int option(int fd, int name)
{
	socklen_t size = sizeof(int);
	int value;

	return getsockopt(fd, SOL_SOCKET, name, &value, &size) < 0 ? -1 : value;
}

static int borrow(int pidfd)
{
	for (int number = 0; number < NUMBERS; number++) {
		int fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);

		if (fd >= 0 && option(fd, SO_DOMAIN) == AF_INET)
			return fd;
		if (fd >= 0)
			close(fd);
	}
	return -1;
}

/* A pidfd becomes readable when its process ends. */
static void watch(int pidfd, int fd)
{
	struct pollfd end = { .fd = pidfd, .events = POLLIN };
	int before = -1;

	do {
		int now = option(fd, SO_PRIORITY);

		if (now != before) {
			printf("%d\n", now);
			fflush(stdout);
		}
		before = now;
	} while (poll(&end, 1, LOOK_MS) == 0);
}

int main(int argc, char **argv)
{
	int pidfd = argc > 1 ? (int)syscall(SYS_pidfd_open, atoi(argv[1]), 0) : -1;
	int fd = pidfd < 0 ? -1 : borrow(pidfd);

	if (fd < 0) {
		fprintf(stderr, "sockprio: no such process, or it has no such socket\n");
		return 1;
	}
	if (argc > 3 && !strcmp(argv[2], "set")) {
		int level = atoi(argv[3]);

		return setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &level, sizeof(level)) < 0;
	}
	if (argc > 2 && !strcmp(argv[2], "watch"))
		watch(pidfd, fd);
	else
		printf("%d\n", option(fd, SO_PRIORITY));
	return 0;
}
