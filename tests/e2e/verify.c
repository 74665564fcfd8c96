/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Clients that verify every byte of every answer, and servers for them that wait in every way in
 * which servers wait: what must come through unharmed when a server is frozen and thawed.
 */
#include "verify.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: verify MODE [OPTION]... ARGUMENT...\n"
	"Clients; ADDRESS is HOST:PORT (IPv4, numeric) or the path of a UNIX socket:\n"
	"  redis ADDRESS            SET and GET of numbered values, INCR against our own count, "
	"pipelines\n"
	"  http ADDRESS /PATH       GET of what is in --file\n"
	"  echo-tcp, echo-unix ADDRESS; echo-udp HOST:PORT     numbered records\n"
	"  pipe REQUESTS ANSWERS    numbered records into a FIFO, answered over the other\n"
	"  eventfd PID              numbers to a `serve-eventfd`, whose descriptors are borrowed\n"
	"Servers, until they are killed:\n"
	"  serve-tcp, serve-unix ADDRESS; serve-udp HOST:PORT; serve-pipe REQUESTS ANSWERS; "
	"serve-eventfd\n"
	"\n"
	"  --for SECONDS        how long a client asks (10)\n"
	"  --requests N         or how many exchanges at most\n"
	"  --pause-us MIN-MAX   between two requests, and within every eighth, which goes in two "
	"pieces (0-0)\n"
	"  --patience SECONDS   an answer that takes longer is lost (10)\n"
	"  --fresh              a new connection for each request (http, echo-tcp, echo-unix)\n"
	"  --size BYTES         longest record (4096; a datagram: 1400)\n"
	"  --file FILE          what an HTTP server must answer\n"
	"  --latencies FILE     append one line of us per exchange\n"
	"  --seed N             of everything that is drawn (1)\n"
	"  --wait HOW           epoll, epoll-et, poll, select, or block: one thread per connection "
	"(epoll)\n"
	"  --ready FILE         made when the server serves\n"
	"  --spoil KIND:N       every Nth answer: wrong, drop, close, twice; to prove that clients "
	"notice\n"
	"\n"
	"A client prints one JSON object. Exit: 0 all of at least one request verified; 1 "
	"something was\n"
	"lost, wrong or reset; 2 usage.\n";

static const struct mode {
	const char *name;
	int args;
	const struct dialect *dialect; /* NULL: a server */
	int (*serve)(const struct options *options);
} modes[] = {
	{ "redis", 1, &dialect_redis, NULL },	  { "http", 2, &dialect_http, NULL },
	{ "echo-tcp", 1, &dialect_echo, NULL },	  { "echo-unix", 1, &dialect_echo, NULL },
	{ "echo-udp", 1, &dialect_udp, NULL },	  { "pipe", 2, &dialect_pipe, NULL },
	{ "eventfd", 1, &dialect_eventfd, NULL }, { "serve-tcp", 1, NULL, serve_stream },
	{ "serve-unix", 1, NULL, serve_stream },  { "serve-udp", 1, NULL, serve_udp },
	{ "serve-pipe", 2, NULL, serve_pipe },	  { "serve-eventfd", 0, NULL, serve_eventfd },
};

static const struct option longs[] = {
	{ "for", 1, 0, 'f' },	   { "requests", 1, 0, 'n' },
	{ "pause-us", 1, 0, 'p' }, { "patience", 1, 0, 'P' },
	{ "fresh", 0, 0, 'F' },	   { "size", 1, 0, 's' },
	{ "file", 1, 0, 'i' },	   { "latencies", 1, 0, 'l' },
	{ "seed", 1, 0, 'S' },	   { "wait", 1, 0, 'w' },
	{ "ready", 1, 0, 'r' },	   { "spoil", 1, 0, 'x' },
	{ "help", 0, 0, 'h' },	   { 0 },
};

static _Noreturn void bad_usage(const char *what)
{
	fprintf(stderr, "verify: %s; see: verify --help\n", what);
	exit(2);
}

static double positive(const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value > 0) || value > 1e9)
		bad_usage("a number above 0 is needed");
	return value;
}

static void take_pause(struct options *o, const char *text)
{
	if (sscanf(text, "%u-%u", &o->pause_us[0], &o->pause_us[1]) != 2 ||
	    o->pause_us[0] > o->pause_us[1])
		bad_usage("--pause-us takes MIN-MAX");
}

static void take(struct options *o, int option)
{
	switch (option) {
	case 'f':
		o->seconds = positive(optarg);
		break;
	case 'n':
		o->requests = (unsigned long)positive(optarg);
		break;
	case 'p':
		take_pause(o, optarg);
		break;
	case 'P':
		o->patience = positive(optarg);
		break;
	case 'F':
		o->fresh = true;
		break;
	case 's':
		o->size = (unsigned)positive(optarg);
		break;
	case 'i':
		o->file = optarg;
		break;
	case 'l':
		o->latencies = optarg;
		break;
	case 'S':
		o->seed = (uint64_t)positive(optarg);
		break;
	case 'w':
		o->wait = optarg;
		break;
	case 'r':
		o->ready = optarg;
		break;
	case 'x':
		o->spoil = optarg;
		break;
	case 'h':
		fputs(usage, stdout);
		exit(0);
	default:
		exit(2); /* getopt has said it */
	}
}

static const struct mode *find_mode(const char *name)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++)
		if (name && !strcmp(modes[i].name, name))
			return &modes[i];
	bad_usage("no such mode");
}

int main(int argc, char **argv)
{
	struct options o = {
		.seconds = 10, .patience = 10, .size = 4096, .seed = 1, .wait = "epoll"
	};
	const struct mode *mode;
	int option;

	while ((option = getopt_long(argc, argv, "", longs, NULL)) >= 0)
		take(&o, option);
	mode = find_mode(argv[optind]);
	o.args = argv + optind + 1;
	if (argc - optind - 1 != mode->args)
		bad_usage("the mode has another number of arguments");
	if (o.size < 16 || o.size > MESSAGE_MAX)
		bad_usage("--size: 16 to 65536");
	signal(SIGPIPE, SIG_IGN);
	return mode->dialect ? client_run(&o, mode->dialect) : mode->serve(&o);
}
