/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The loop of every client: pause, ask, take the answer, count. Answers are awaited by poll() with
 * the rest of the patience, so no descriptor need be non-blocking, which one that is shared with the
 * server must not become.
 */
#include "verify.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char *const outcome_names[] = { "verified", "lost", "wrong", "reset" };
static volatile sig_atomic_t told_to_end;

static void on_end(int signal)
{
	told_to_end = 1;
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* splitmix64 */
uint64_t client_random(struct client *c)
{
	uint64_t z = c->random += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

uint64_t client_between(struct client *c, uint64_t least, uint64_t most)
{
	return least + client_random(c) % (most - least + 1);
}

enum outcome client_fail(struct client *c, enum outcome outcome, const char *why, ...)
{
	va_list args;

	va_start(args, why);
	vsnprintf(c->why, sizeof(c->why), why, args);
	va_end(args);
	return outcome;
}

enum outcome client_errno(struct client *c, int r)
{
	if (r == -ETIMEDOUT)
		return client_fail(c, LOST, "no whole answer within %g s", c->options->patience);
	return client_fail(c, RESET, "%s", r ? strerror(-r) : "the server closed the connection");
}

/* The end of a run may come during a pause, never between a request and its answer. */
static void pause_a_while(struct client *c)
{
	uint64_t us = client_between(c, c->options->pause_us[0], c->options->pause_us[1]);
	struct timespec t = { (time_t)(us / 1000000), (long)(us % 1000000) * 1000 };

	if (us)
		nanosleep(&t, NULL);
}

/* 0 once fd is ready; -ETIMEDOUT when patience is over */
static int await(struct client *c, int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };
	int r;

	do {
		uint64_t now = now_ns();
		uint64_t left = now < c->deadline_ns ? c->deadline_ns - now : 0;

		r = poll(&p, 1, (int)((left + 999999) / 1000000));
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return r ? 0 : -ETIMEDOUT;
}

int client_read(struct client *c, void *buf, size_t size)
{
	ssize_t n;
	int r;

	do {
		r = await(c, c->in, POLLIN);
		if (r < 0)
			return r;
		n = read(c->in, buf, size);
	} while (n < 0 && (errno == EAGAIN || errno == EINTR));
	return n < 0 ? -errno : (int)n;
}

enum outcome client_expect(struct client *c, const struct message *must)
{
	struct message *got = &c->got;
	int r;

	for (got->size = 0; got->size < must->size; got->size += (size_t)r) {
		r = client_read(c, got->bytes + got->size, must->size - got->size);
		if (r <= 0)
			return client_errno(c, r);
		if (memcmp(got->bytes + got->size, must->bytes + got->size, (size_t)r))
			return client_fail(c, WRONG, "other bytes at %zu of %zu: '%.24s'",
					   got->size, must->size, (char *)got->bytes + got->size);
	}
	return VERIFIED;
}

static int send_piece(struct client *c, size_t from, size_t to)
{
	int r;

	while (from < to) {
		ssize_t n = write(c->out, c->request.bytes + from, to - from);

		if (n < 0 && errno == EAGAIN) {
			r = await(c, c->out, POLLOUT);
			if (r < 0)
				return r;
		} else if (n < 0 && errno != EINTR) {
			return -errno;
		}
		from += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static void start_clock(struct client *c)
{
	c->asked_ns = now_ns();
	c->deadline_ns = c->asked_ns + (uint64_t)(c->options->patience * 1e9);
}

/* Every eighth request in two pieces: half of one must survive a freeze as well. */
static int send_request(struct client *c)
{
	size_t cut = 0;
	int r;

	if (!c->whole && c->request.size > 1 && c->number % 8 == 0) {
		cut = client_between(c, 1, c->request.size - 1);
		start_clock(c);
		r = send_piece(c, 0, cut);
		if (r < 0)
			return r;
		pause_a_while(c);
	}
	if (cut || !c->options->fresh)
		start_clock(c);
	return send_piece(c, cut, c->request.size);
}

static void hang_up(struct client *c)
{
	if (c->out >= 0 && c->out != c->in)
		close(c->out);
	if (c->in >= 0)
		close(c->in);
	c->in = c->out = -1;
}

/* Nothing may come that was not asked for: no late second answer, no end of file. */
static enum outcome listen_for_strays(struct client *c)
{
	struct pollfd p = { .fd = c->in, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, 0) <= 0)
		return VERIFIED;
	n = read(c->in, c->got.bytes, sizeof(c->got.bytes));
	if (n < 0 && errno == EAGAIN)
		return VERIFIED;
	if (n > 0)
		return client_fail(c, WRONG, "%zd bytes that nobody asked for", n);
	return client_errno(c, n ? -errno : 0);
}

static enum outcome connect_if_needed(struct client *c)
{
	int r;

	if (c->in >= 0)
		return listen_for_strays(c);
	start_clock(c);
	r = c->dialect->open(c);
	if (r < 0)
		return client_errno(c, r);
	return VERIFIED;
}

static void note_latency(struct client *c)
{
	if (c->latencies == c->room) {
		c->room = c->room ? c->room * 2 : 4096;
		c->latencies_us = realloc(c->latencies_us, c->room * sizeof(*c->latencies_us));
		if (!c->latencies_us)
			abort();
	}
	c->latencies_us[c->latencies++] = (uint32_t)((now_ns() - c->asked_ns) / 1000);
}

/* We are done: the server must see it, and close without another word. */
static enum outcome say_goodbye(struct client *c)
{
	int r;

	start_clock(c);
	if (shutdown(c->out, SHUT_WR) < 0)
		return client_errno(c, -errno);
	r = client_read(c, c->got.bytes, sizeof(c->got.bytes));
	if (r == -ETIMEDOUT)
		return client_fail(c, LOST, "the server did not see that we closed, within %g s",
				   c->options->patience);
	if (r > 0)
		return client_fail(c, WRONG, "%d bytes at the end that nobody asked for", r);
	return r ? client_errno(c, r) : VERIFIED;
}

static enum outcome take_answer(struct client *c)
{
	enum outcome outcome;

	if (c->dialect->take)
		outcome = c->dialect->take(c);
	else
		outcome = client_expect(c, &c->answer);
	if (outcome == VERIFIED)
		note_latency(c);
	return outcome;
}

static enum outcome ask(struct client *c)
{
	enum outcome outcome = connect_if_needed(c);
	int r;

	c->weight = 1;
	if (outcome != VERIFIED)
		return outcome;
	c->dialect->build(c);
	r = send_request(c);
	if (r < 0)
		return client_errno(c, r);
	outcome = take_answer(c);
	if (outcome == VERIFIED && c->options->fresh && c->dialect->closes)
		outcome = say_goodbye(c);
	return outcome;
}

/* After a failure nobody knows what is still under way: a new connection. */
static void settle(struct client *c, enum outcome outcome)
{
	c->requests += c->weight;
	c->count[outcome] += c->weight;
	if (outcome != VERIFIED) {
		c->reconnects++;
		fprintf(stderr, "verify: %s: exchange %lu at %.6f: %s: %s\n", c->dialect->name,
			(unsigned long)c->number, (double)now_ns() / 1e9, outcome_names[outcome],
			c->why);
	}
	if (outcome != VERIFIED || c->options->fresh)
		hang_up(c);
}

/* A second answer may still be under way; where there is no end of file, it gets a moment. */
static enum outcome leave(struct client *c)
{
	struct timespec moment = { 0, 20000000 };

	if (c->dialect->closes)
		return say_goodbye(c);
	nanosleep(&moment, NULL);
	return listen_for_strays(c);
}

static void end(struct client *c)
{
	enum outcome outcome = c->in >= 0 ? leave(c) : VERIFIED;

	c->weight = 1;
	if (outcome != VERIFIED)
		settle(c, outcome);
	hang_up(c);
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Nearest rank; 0 if there is none */
static unsigned percentile(const struct client *c, unsigned percent)
{
	if (!c->latencies)
		return 0;
	return c->latencies_us[(c->latencies * percent + 99) / 100 - 1];
}

static void append_latencies(const struct client *c)
{
	FILE *file = fopen(c->options->latencies, "a");

	for (size_t i = 0; file && i < c->latencies; i++)
		fprintf(file, "%u\n", c->latencies_us[i]);
	if (!file || fclose(file)) {
		fprintf(stderr, "verify: %s: %s; choose a file that can be written\n",
			c->options->latencies, strerror(errno));
		exit(2);
	}
}

static void report(struct client *c, double seconds)
{
	if (c->options->latencies)
		append_latencies(c);
	if (c->latencies)
		qsort(c->latencies_us, c->latencies, sizeof(*c->latencies_us), by_size);
	printf("{ \"mode\": \"%s\", \"seconds\": %.1f, \"requests\": %lu, \"verified\": %lu, "
	       "\"lost\": %lu, \"wrong\": %lu, \"reset\": %lu, \"reconnects\": %lu, "
	       "\"p50_us\": %u, \"p99_us\": %u, \"max_us\": %u }\n",
	       c->dialect->name, seconds, (unsigned long)c->requests,
	       (unsigned long)c->count[VERIFIED], (unsigned long)c->count[LOST],
	       (unsigned long)c->count[WRONG], (unsigned long)c->count[RESET],
	       (unsigned long)c->reconnects, percentile(c, 50), percentile(c, 99),
	       percentile(c, 100));
}

static bool over(const struct client *c, uint64_t end_ns)
{
	return told_to_end || now_ns() >= end_ns ||
	       (c->options->requests && c->number >= c->options->requests);
}

int client_run(const struct options *options, const struct dialect *dialect)
{
	static struct client c; /* its buffers are too much for a stack under ASan */
	struct sigaction ending = { .sa_handler = on_end };
	uint64_t start_ns = now_ns();
	int r;

	c.options = options;
	c.dialect = dialect;
	c.in = c.out = -1;
	c.random = options->seed;
	sigaction(SIGTERM, &ending, NULL);
	sigaction(SIGINT, &ending, NULL);
	r = dialect->prepare ? dialect->prepare(&c) : 0;
	if (r < 0)
		return 2;
	while (!over(&c, start_ns + (uint64_t)(options->seconds * 1e9))) {
		c.number++;
		settle(&c, ask(&c));
		pause_a_while(&c);
	}
	end(&c);
	report(&c, (double)(now_ns() - start_ns) / 1e9);
	free(c.latencies_us);
	free(c.own);
	return c.requests && c.requests == c.count[VERIFIED] ? 0 : 1;
}
