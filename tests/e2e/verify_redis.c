/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * RESP, the protocol of redis. What must come back is known to the byte before it is asked for: +OK
 * for a SET, the value that we set last for a GET, our own count for an INCR. One request in four is
 * a pipeline of ten.
 */
#include "verify.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEYS 64u
#define PIPELINE 10u

struct books {
	uint64_t set[KEYS]; /* number behind the value that each key has; 0: not set */
	uint64_t count;	    /* of our INCRs on this key */
	uint64_t life; /* a new one after each failure, for nobody knows what was carried out */
};

static void put(struct message *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct message *m, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	m->size += (size_t)vsnprintf((char *)m->bytes + m->size, sizeof(m->bytes) - m->size, format,
				     args);
	va_end(args);
}

/* A bulk string: its length and its bytes */
static void put_bulk(struct message *m, const char *text)
{
	put(m, "$%zu\r\n%s\r\n", strlen(text), text);
}

static void name_key(const struct client *c, char key[64], const char *what, unsigned number)
{
	const struct books *books = c->own;

	snprintf(key, 64, "verify:%d:%lu:%s:%u", (int)getpid(), (unsigned long)books->life, what,
		 number);
}

/* Values of 20 to 500 bytes, each different */
static void name_value(char value[512], uint64_t number)
{
	int size = 20 + (int)(number * 97 % 480);

	snprintf(value, 512, "%0*lu", size, (unsigned long)number);
}

static void build_set(struct client *c, unsigned i)
{
	struct books *books = c->own;
	char key[64], value[512];

	books->set[i] = client_between(c, 1, 1000000000);
	name_key(c, key, "value", i);
	name_value(value, books->set[i]);
	put(&c->request, "*3\r\n$3\r\nSET\r\n");
	put_bulk(&c->request, key);
	put_bulk(&c->request, value);
	put(&c->answer, "+OK\r\n");
}

static void build_get(struct client *c, unsigned i)
{
	const struct books *books = c->own;
	char key[64], value[512];

	name_key(c, key, "value", i);
	put(&c->request, "*2\r\n$3\r\nGET\r\n");
	put_bulk(&c->request, key);
	if (!books->set[i]) {
		put(&c->answer, "$-1\r\n");
		return;
	}
	name_value(value, books->set[i]);
	put_bulk(&c->answer, value);
}

static void build_incr(struct client *c)
{
	struct books *books = c->own;
	char key[64];

	name_key(c, key, "count", 0);
	put(&c->request, "*2\r\n$4\r\nINCR\r\n");
	put_bulk(&c->request, key);
	put(&c->answer, ":%lu\r\n", (unsigned long)++books->count);
}

static void build_one(struct client *c)
{
	unsigned key = (unsigned)client_between(c, 0, KEYS - 1);

	switch (client_between(c, 0, 2)) {
	case 0:
		build_set(c, key);
		break;
	case 1:
		build_get(c, key);
		break;
	default:
		build_incr(c);
		break;
	}
}

static void build(struct client *c)
{
	c->request.size = c->answer.size = 0;
	c->weight = client_between(c, 0, 3) ? 1 : PIPELINE;
	for (unsigned i = 0; i < c->weight; i++)
		build_one(c);
}

static int open_redis(struct client *c)
{
	struct books *books = c->own;

	if (!c->options->fresh || c->reconnects)
		*books = (struct books){ .life = books->life + 1 };
	c->in = c->out = address_connect(c->options->args[0], SOCK_STREAM, c->options->patience);
	return c->in;
}

static int prepare(struct client *c)
{
	c->own = calloc(1, sizeof(struct books));
	return c->own ? 0 : -ENOMEM;
}

const struct dialect dialect_redis = {
	.name = "redis",
	.closes = true,
	.prepare = prepare,
	.open = open_redis,
	.build = build,
};
