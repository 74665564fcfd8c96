/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Two processes that talk with each other and with nobody else.
 *
 *	chat unix|tcp PERIOD_MS
 *	chat share FILE		one process only: maps FILE shared and writable, and sleeps
 *
 * Every PERIOD_MS one of them sends a byte and the other answers, over a UNIX or a loopback TCP
 * connection, until killed. Both die together.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int tcp_pair(int pair[2])
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	if (listener < 0 || bind(listener, (struct sockaddr *)&addr, size) < 0 ||
	    listen(listener, 1) < 0 || getsockname(listener, (struct sockaddr *)&addr, &size) < 0)
		return -1;
	pair[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (pair[0] < 0 || connect(pair[0], (struct sockaddr *)&addr, size) < 0)
		return -1;
	pair[1] = accept(listener, NULL, NULL);
	close(listener);
	return pair[1] < 0 ? -1 : 0;
}

static void answer(int fd)
{
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(fd, &byte, 1) == 1)
		if (write(fd, &byte, 1) != 1)
			break;
}

static int share(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0 || ftruncate(fd, 4096) < 0 ||
	    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED) {
		perror(path);
		return 1;
	}
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	long ms = argc > 2 ? strtol(argv[2], NULL, 10) : 200;
	struct timespec period = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	char byte = 'x';
	int pair[2], r;

	if (argc > 2 && !strcmp(argv[1], "share"))
		return share(argv[2]);
	if (argc > 1 && !strcmp(argv[1], "tcp"))
		r = tcp_pair(pair);
	else
		r = socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	if (r < 0) {
		perror("chat");
		return 1;
	}
	if (fork() == 0) {
		close(pair[0]);
		answer(pair[1]);
		return 0;
	}
	close(pair[1]);
	while (write(pair[0], &byte, 1) == 1 && read(pair[0], &byte, 1) == 1)
		nanosleep(&period, NULL);
	return 1;
}
