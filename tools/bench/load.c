/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

/* A load is cut into parts and answers with the median part: an interrupt spoils one of them only. */
#define PARTS 21
#define ROUND_TRIPS 8000 /* per part, as the next two */
#define FAULTS 4096
#define MESSAGES 10000
#define MESSAGE_BYTES 64

/* CPU time of the process: what others ran in between is not ours. Hooks in the scheduler are in it. */
static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median_part(double *parts)
{
	qsort(parts, PARTS, sizeof(*parts), by_value);
	return parts[PARTS / 2];
}

/* The last CPU: the first takes most interrupts. First in line there. */
static void pin(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((int)sysconf(_SC_NPROCESSORS_ONLN) - 1, &set);
	sched_setaffinity(0, sizeof(set), &set);
	setpriority(PRIO_PROCESS, 0, -20);
}

static int there[2], back[2];

static void *echo(void *arg)
{
	char byte;

	while (read(there[0], &byte, 1) == 1)
		if (write(back[1], &byte, 1) != 1)
			break;
	return NULL;
}

static int round_trips(void)
{
	char byte = 0;

	for (int i = 0; i < ROUND_TRIPS; i++)
		if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
			return -1;
	return 0;
}

static int prepare_switch(void)
{
	pthread_t thread;

	/* pinned as its maker: each round trip is two switches; it ends with the process */
	return pipe(there) < 0 || pipe(back) < 0 || pthread_create(&thread, NULL, echo, NULL) ? -1
											      : 0;
}

static char *pages;

static int prepare_fault(void)
{
	size_t bytes = FAULTS * (size_t)sysconf(_SC_PAGESIZE);

	pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return pages == MAP_FAILED ? -1 : madvise(pages, bytes, MADV_NOHUGEPAGE);
}

static int faults(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	for (size_t i = 0; i < FAULTS; i++)
		((volatile char *)pages)[i * page] = 1;
	return 0;
}

static int unmap(void)
{
	return madvise(pages, FAULTS * (size_t)sysconf(_SC_PAGESIZE), MADV_DONTNEED);
}

static int from = -1, to = -1;

static int messages(void)
{
	char message[MESSAGE_BYTES] = { 0 };

	for (int i = 0; i < MESSAGES; i++)
		if (send(from, message, sizeof(message), 0) != sizeof(message) ||
		    recv(to, message, sizeof(message), MSG_WAITALL) != sizeof(message))
			return -1;
	return 0;
}

static int prepare_unix(void)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
		return -1;
	from = ends[0];
	to = ends[1];
	return 0;
}

static int prepare_tcp(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	from = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (void *)&address, length) < 0 || listen(listener, 1) < 0 ||
	    getsockname(listener, (void *)&address, &length) < 0 ||
	    connect(from, (void *)&address, length) < 0)
		return -1;
	to = accept(listener, NULL, NULL);
	return to < 0 ? -1 : setsockopt(from, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

const struct load load_switch = { prepare_switch, round_trips, NULL, 2 * ROUND_TRIPS };
const struct load load_fault = { prepare_fault, faults, unmap, FAULTS };
const struct load load_unix = { prepare_unix, messages, NULL, MESSAGES };
const struct load load_tcp = { prepare_tcp, messages, NULL, MESSAGES };

double load_measure(const struct load *load)
{
	double parts[PARTS];

	for (int i = -1; i < PARTS; i++) { /* the first warms up */
		double start = now_ns();

		if (load->part() < 0)
			return -1;
		if (i >= 0)
			parts[i] = (now_ns() - start) / load->operations;
		if (load->clean)
			load->clean();
	}
	return median_part(parts);
}

int load_prepare(const struct load *load)
{
	pin();
	return load->prepare();
}
