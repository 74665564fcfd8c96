/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Two workers that talk with each other over any channel: a client, a server, messages of one size.
 *
 * Order: talk_network() and talk_pair() in the test before the workers start; then talk_meet(), then
 * talk_exchange() as often as wanted, then talk_part(). The jobs may be given one by one too, with the
 * case as their argument.
 */
#ifndef TESTS_KERNEL_TALK_H
#define TESTS_KERNEL_TALK_H

#include "rig.h"

#define TALK_MESSAGE 1000 /* bytes */

enum how { TCP, UDP, UDP_UNCONNECTED, UNIX_STREAM, UNIX_DGRAM, PAIR };
enum where { OUTSIDE, IN_A, IN_B };
enum told { SILENT, OUTGOING, INCOMING };

struct talk_case {
	const char *name;
	enum how how;
	const char *address; /* of INET channels */
	enum where client;
	enum where server;
	enum told a; /* what group A is told of a whole exchange, first */
	enum told b;
	bool warm; /* both have used their sockets before */
};

/* A network namespace of the test's own: lo is up and has 192.0.2.1 too, for "own address". */
void talk_network(void);
/* The socketpair of channel PAIR, made by the test, which is outside of all groups. */
void talk_pair(void);

/* Of a row with an address: the port on which its server listens. */
uint16_t talk_port(const struct talk_case *row);

bool talk_is_stream(const struct talk_case *row);

worker_job talk_bind, talk_connect, talk_accept, talk_send, talk_receive, talk_close;

void talk_step(const struct talk_case *row, struct worker *worker, worker_job *job);
void talk_meet(const struct talk_case *row, struct worker *client, struct worker *server);
void talk_exchange(const struct talk_case *row, struct worker *client, struct worker *server);
void talk_part(const struct talk_case *row, struct worker *client, struct worker *server);

#endif
