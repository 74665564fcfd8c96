/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the parts of `verify` share: clients that check every byte of every answer, and servers that
 * wait in every way in which a server can wait. The usage text is in verify.c.
 *
 * A client asks one thing at a time. A dialect says how to connect and what to ask; the rest (pauses,
 * patience, counts, latencies, the report) is verify_client.c. Every failure has one of three names:
 * lost (no whole answer in time), wrong (another answer, or one that nobody asked for), reset (the
 * connection is gone or could not be had).
 */
#ifndef PFUSE_TESTS_E2E_VERIFY_H
#define PFUSE_TESTS_E2E_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESSAGE_MAX 65536 /* bytes of one request, and of one answer of a known length */

struct options {
	char **args;		/* what stands behind the mode */
	double seconds;		/* --for */
	double patience;	/* --patience, in seconds */
	unsigned pause_us[2];	/* --pause-us: least and most, both drawn alike often */
	unsigned long requests; /* --requests: end after so many; 0: no such end */
	unsigned size;		/* --size: longest record of an echo, in bytes */
	bool fresh;		/* --fresh: a new connection for each request */
	uint64_t seed;		/* --seed of all that is drawn */
	const char *file;	/* --file: what an HTTP server must answer */
	const char *latencies;	/* --latencies: a file that gets one line of µs per exchange */
	const char *wait;	/* --wait: how a server waits */
	const char *spoil;	/* --spoil: what a server does wrong, and how often */
	const char *ready;	/* --ready: a file that a server makes once it serves */
};

enum outcome { VERIFIED, LOST, WRONG, RESET, OUTCOMES };

struct message {
	size_t size;
	unsigned char bytes[MESSAGE_MAX];
};

struct client;

/* What is asked and how. Functions return 0 or -errno, if they return anything but an outcome. */
struct dialect {
	const char *name;
	bool closes;			  /* the server closes once we have shut our side down */
	int (*prepare)(struct client *c); /* once, before all; may be NULL */
	int (*open)(struct client *c);	  /* sets c->in and c->out */
	/* Fills c->request; and c->answer, where it is known to the byte before it comes. */
	void (*build)(struct client *c);
	/* Takes the answer; NULL: it must be c->answer. */
	enum outcome (*take)(struct client *c);
};

struct client {
	const struct options *options;
	const struct dialect *dialect;
	int in, out; /* where answers come from and requests go; -1: not open; may be the same */
	uint64_t random;
	uint64_t number;      /* of this exchange, from 1 on */
	unsigned weight;      /* requests in this exchange: more than 1 in a pipeline */
	bool whole;	      /* a request must go out in one piece */
	uint64_t asked_ns;    /* when its last piece went out */
	uint64_t deadline_ns; /* when patience ends */
	struct message request, answer, got;
	char why[160]; /* of the last failure */
	uint64_t count[OUTCOMES], requests, reconnects;
	uint32_t *latencies_us; /* one per verified exchange */
	size_t latencies, room;
	void *own; /* the dialect's */
};

extern const struct dialect dialect_redis, dialect_http, dialect_echo, dialect_udp, dialect_pipe,
	dialect_eventfd;

/* Runs a client to its end and prints the report. Returns the exit status. */
int client_run(const struct options *options, const struct dialect *dialect);

uint64_t client_random(struct client *c);
uint64_t client_between(struct client *c, uint64_t least, uint64_t most); /* both may come */
/* Fails with a reason, in one sentence; returns the outcome. */
enum outcome client_fail(struct client *c, enum outcome outcome, const char *why, ...)
	__attribute__((format(printf, 3, 4)));
/* What a negative errno of a read or write means, or 0 of a read: end of file. */
enum outcome client_errno(struct client *c, int r);
/* Up to size bytes once there are some. 0: end of file. -ETIMEDOUT: patience is over. */
int client_read(struct client *c, void *buf, size_t size);
/* Reads until got has what must come; differing bytes are wrong at once. */
enum outcome client_expect(struct client *c, const struct message *must);

/* Runs a server until it is killed; returns the exit status of one that could not serve. */
int serve_stream(const struct options *options);
int serve_udp(const struct options *options);
int serve_pipe(const struct options *options);
int serve_eventfd(const struct options *options);

/* The fixed numbers of the descriptors that `serve-eventfd` shares with its client. */
#define EVENTFD_REQUEST 100
#define EVENTFD_ANSWER 101
static inline uint64_t eventfd_answer(uint64_t request)
{
	return request * 3 + 1; /* so that a request read back is no answer */
}

uint64_t now_ns(void);
/* A socket for HOST:PORT (IPv4, numeric) or a path: listening on it, or connected to it within the
 * patience. Returns it or -errno. */
int address_listen(const char *at, int type);
int address_connect(const char *at, int type, double patience);

#endif
