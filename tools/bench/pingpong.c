/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Two processes that send each other 64 bytes in turn, blocking, over a connection of this machine; one
 * serves, the other asks and prints round trips per second of CPU time of the two together: what others run
 * in between does not count.
 *
 *	pingpong serve tcp:PORT | unix:NAME		(an abstract name)
 *	pingpong ask   tcp:PORT | unix:NAME  [MILLISECONDS]
 *
 * Both run on the last CPU: a round trip is then four system calls and two switches, and nothing of it
 * waits for an idle CPU to come up, which would hide what is to be measured. First in line there. Switches
 * are in it, as each is accounted to one of the two.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_BYTES 64
#define TRIPS_EACH 256 /* between two looks at the clock */
#define CONNECT_TRIES 500
#define CONNECT_APART_NS 10000000

union address {
	struct sockaddr any;
	struct sockaddr_in tcp;
	struct sockaddr_un local;
};

static void __attribute__((noreturn)) die(const char *what)
{
	perror(what);
	exit(1);
}

static void pin(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((int)sysconf(_SC_NPROCESSORS_ONLN) - 1, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		die("pingpong: sched_setaffinity");
	(void)setpriority(PRIO_PROCESS, 0, -20);
}

/* Its length; 0: not understood. */
static socklen_t parse(const char *text, union address *address)
{
	memset(address, 0, sizeof(*address));
	if (strncmp(text, "tcp:", 4) == 0) {
		address->tcp.sin_family = AF_INET;
		address->tcp.sin_port = htons((uint16_t)atoi(text + 4));
		address->tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof(address->tcp);
	}
	if (strncmp(text, "unix:", 5) != 0 || strlen(text + 5) >= sizeof(address->local.sun_path))
		return 0;
	address->local.sun_family = AF_UNIX;
	strcpy(address->local.sun_path + 1, text + 5);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(text + 5));
}

static int make_socket(const union address *address)
{
	int on = 1, fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("pingpong: socket");
	if (address->any.sa_family == AF_INET) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	}
	return fd;
}

static bool receive(int fd, char *message)
{
	return recv(fd, message, MESSAGE_BYTES, MSG_WAITALL) == MESSAGE_BYTES;
}

static bool sent(int fd, const char *message)
{
	return send(fd, message, MESSAGE_BYTES, MSG_NOSIGNAL) == MESSAGE_BYTES;
}

static int serve(const union address *address, socklen_t length)
{
	int listener = make_socket(address), fd;
	char message[MESSAGE_BYTES];
	const pid_t pid = getpid();

	if (bind(listener, &address->any, length) < 0 || listen(listener, 4) < 0)
		die("pingpong: bind");
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		while (receive(fd, message)) {
			memcpy(message, &pid, sizeof(pid));
			if (!sent(fd, message))
				break;
		}
		close(fd);
	}
	die("pingpong: accept");
}

static int reach(const union address *address, socklen_t length)
{
	const struct timespec pause = { .tv_nsec = CONNECT_APART_NS };
	int fd;

	for (int i = 0; i < CONNECT_TRIES; i++) {
		fd = make_socket(address);
		if (connect(fd, &address->any, length) == 0)
			return fd;
		close(fd);
		nanosleep(&pause, NULL);
	}
	die("pingpong: connect");
}

static double read_clock(clockid_t clock)
{
	struct timespec now;

	if (clock_gettime(clock, &now) < 0)
		die("pingpong: clock_gettime");
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The pid of who answers. */
static pid_t trips(int fd, long count)
{
	char message[MESSAGE_BYTES] = "ping";
	pid_t pid;

	while (count--)
		if (!sent(fd, message) || !receive(fd, message))
			die("pingpong: the connection");
	memcpy(&pid, message, sizeof(pid));
	return pid;
}

static int ask(const union address *address, socklen_t length, double seconds)
{
	int fd = reach(address, length);
	long count = 0;
	clockid_t server;

	if (clock_getcpuclockid(trips(fd, TRIPS_EACH), &server) != 0)
		die("pingpong: clock_getcpuclockid");
	double until = read_clock(CLOCK_MONOTONIC) + seconds;
	double used = read_clock(CLOCK_PROCESS_CPUTIME_ID) + read_clock(server);

	do {
		trips(fd, TRIPS_EACH);
		count += TRIPS_EACH;
	} while (read_clock(CLOCK_MONOTONIC) < until);
	used = read_clock(CLOCK_PROCESS_CPUTIME_ID) + read_clock(server) - used;
	printf("%.0f\n", (double)count / used);
	return 0;
}

int main(int argc, char *argv[])
{
	union address address;
	socklen_t length = argc > 2 ? parse(argv[2], &address) : 0;
	bool serves = argc == 3 && !strcmp(argv[1], "serve");
	int ms = argc == 4 ? atoi(argv[3]) : 1000;

	if (!length || ms <= 0 || (!serves && strcmp(argv[1], "ask") != 0)) {
		fprintf(stderr, "usage: pingpong serve|ask tcp:PORT|unix:NAME [MILLISECONDS]\n");
		return 2;
	}
	pin();
	return serves ? serve(&address, length) : ask(&address, length, ms / 1e3);
}
