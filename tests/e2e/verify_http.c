/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * HTTP/1.1, as far as a static file needs it: status 200, a Content-Length, and a body that is the
 * file, byte for byte. On one connection, or with --fresh on a new one each time, which the server
 * must close when it has answered.
 */
#include "verify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define HEAD_MAX 8192

static int open_http(struct client *c)
{
	c->in = c->out = address_connect(c->options->args[0], SOCK_STREAM, c->options->patience);
	return c->in;
}

static void build(struct client *c)
{
	int n = snprintf((char *)c->request.bytes, sizeof(c->request.bytes),
			 "GET %s HTTP/1.1\r\nHost: verify\r\nConnection: %s\r\n\r\n",
			 c->options->args[1], c->options->fresh ? "close" : "keep-alive");

	c->request.size = (size_t)n;
}

/* Reads to the empty line, and perhaps into the body. *ret_body: where that begins. */
static enum outcome take_head(struct client *c, size_t *ret_body)
{
	struct message *got = &c->got;
	char *end = NULL;
	int r;

	for (got->size = 0; !end; got->size += (size_t)r) {
		if (got->size >= HEAD_MAX)
			return client_fail(c, WRONG, "a head without end");
		r = client_read(c, got->bytes + got->size, HEAD_MAX - got->size);
		if (r <= 0)
			return client_errno(c, r);
		got->bytes[got->size + (size_t)r] = '\0';
		end = strstr((char *)got->bytes, "\r\n\r\n");
	}
	*ret_body = (size_t)(end - (char *)got->bytes) + 4;
	return VERIFIED;
}

static long content_length(const struct client *c, size_t body)
{
	const char *line = (const char *)c->got.bytes, *end = line + body;
	static const char name[] = "\r\nContent-Length:";

	for (; line + sizeof(name) < end; line++)
		if (!strncasecmp(line, name, sizeof(name) - 1))
			return strtol(line + sizeof(name) - 1, NULL, 10);
	return -1;
}

static enum outcome check_head(struct client *c, size_t body)
{
	static const char status[] = "HTTP/1.1 200 ";

	if (strncmp((char *)c->got.bytes, status, sizeof(status) - 1))
		return client_fail(c, WRONG, "status '%.20s'", (char *)c->got.bytes);
	if (content_length(c, body) != (long)c->answer.size)
		return client_fail(c, WRONG, "a Content-Length of %ld, must be %zu",
				   content_length(c, body), c->answer.size);
	if (c->got.size - body > c->answer.size)
		return client_fail(c, WRONG, "more bytes than its Content-Length");
	if (memcmp(c->got.bytes + body, c->answer.bytes, c->got.size - body))
		return client_fail(c, WRONG, "another body");
	return VERIFIED;
}

static enum outcome take_end(struct client *c)
{
	char byte;
	int r = client_read(c, &byte, 1);

	if (r > 0)
		return client_fail(c, WRONG, "bytes behind the body");
	return r ? client_errno(c, r) : VERIFIED;
}

/* The part of the body that has not come with the head */
static enum outcome take_rest(struct client *c, size_t have)
{
	static struct message rest;

	rest.size = c->answer.size - have;
	memcpy(rest.bytes, c->answer.bytes + have, rest.size);
	return client_expect(c, &rest);
}

static enum outcome take(struct client *c)
{
	size_t body = 0;
	enum outcome outcome = take_head(c, &body);

	if (outcome == VERIFIED)
		outcome = check_head(c, body);
	if (outcome == VERIFIED)
		outcome = take_rest(c, c->got.size - body);
	if (outcome == VERIFIED && c->options->fresh)
		outcome = take_end(c);
	return outcome;
}

static int prepare(struct client *c)
{
	FILE *file = c->options->file ? fopen(c->options->file, "r") : NULL;

	if (file)
		c->answer.size = fread(c->answer.bytes, 1, sizeof(c->answer.bytes), file);
	if (!c->answer.size || fclose(file)) {
		fputs("verify: http needs --file with what must be answered, of 1 to 65536 bytes\n",
		      stderr);
		return -EINVAL;
	}
	return 0;
}

const struct dialect dialect_http = {
	.name = "http",
	.closes = true,
	.prepare = prepare,
	.open = open_http,
	.build = build,
	.take = take,
};
