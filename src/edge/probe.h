/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The BPF programs as one object: load them, tell them which groups to watch, read what they counted,
 * receive the rare events.
 *
 * Order of calls: probe_open() once with the sizes; probe_manage() per group; then, in the loop,
 * probe_consume() when probe_fd() is readable and probe_read() whenever figures are wanted (no system
 * call). probe_close() accepts NULL and a half-open probe; the programs are detached with it.
 *
 * Hooks are probed by loading a program of two instructions at each: what the kernel refuses is left
 * out, and probe_hooks() says what that costs and what is used instead. Errors are negative errno;
 * -EOPNOTSUPP: a hook without which nothing works is missing (the text says which).
 */
#ifndef EDGE_PROBE_H
#define EDGE_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "pfuse/event.h"
#include "pfuse/knobs.h"
#include "pfuse/pages.h"
#include "pfuse/reach.h"
#include "pfuse/reads.h"
#include "pfuse/span.h"
#include "pfuse/stats.h"

#define PROBE_HOOKS_MAX 40

struct probe;

/* One hook: what it is for, whether this kernel has it, and what happens where it has not. */
struct probe_hook {
	const char *program;	   /* name of the BPF program */
	const char *attach;	   /* "tp_btf/sched_switch" */
	const char *observes;	   /* what a user gets from it */
	const char *fallback;	   /* what is used instead; NULL: nothing */
	const char *lack;	   /* what it means for the user where neither works */
	const char *stands_in_for; /* not used where this hook is available */
	uint32_t part;		   /* enum probe_part; 0: always needed */
	uint32_t btf_id;	   /* of what it attaches to; 0: the kernel has no such thing */
	bool required;		   /* nothing works without it */
	bool available;		   /* the kernel accepts a program there */
	bool used;		   /* attached: available, and no better one is */
	int err;		   /* why not, negative errno; 0 when available */
};

/* What only some need: each costs a tenth of the start. */
enum probe_part {
	PROBE_REACH = 1 << 0, /* PROBE_ITER_FILES and _MAPS, probe_hear() */
	PROBE_PARK = 1 << 1,  /* PROBE_ITER_PARK */
	PROBE_NET = 1 << 2,   /* priorities of sockets */
	PROBE_SPANS = 1 << 3, /* by probe_config.spans, and by nothing else */
	PROBE_PAGES = 1 << 4, /* probe_pages(): half a MiB of buffer */
	PROBE_READS = 1 << 5, /* probe_reads(): a quarter MiB of notes, nothing attached before it is used */
	PROBE_ALL = (1 << 6) - 1,
	PROBE_ALONE = 1 << 30, /* and not what is always needed: nothing is observed unless it is read */
};

struct probe_config {
	uint32_t parts; /* enum probe_part */
	uint32_t slots; /* groups to hold, slot 0 not counted */
	enum pfuse_anchor anchor;
	uint32_t hierarchy_id; /* of the anchor, see pfuse/knobs.h */
	pid_t daemon_pid;      /* whose signals and files are ours: getpid(); 0: nobody's */
	bool spans; /* count how tasks are scheduled, see pfuse/span.h: 256 bytes per group and CPU */
};

/* Fills `hooks` for the running kernel, loads nothing else. Returns the number of hooks or -errno. */
int probe_hooks(struct probe_hook hooks[PROBE_HOOKS_MAX]);

int probe_open(const struct probe_config *config, struct probe **ret, struct err *err);
void probe_close(struct probe *probe);

/* Are UDP and UNIX talks seen? Where they are not, silence proves nothing and nobody may be stopped. */
bool probe_sees_talks(const struct probe *probe);
/* Are signals to a group told (PFUSE_EV_SIGNAL)? */
bool probe_tells_signals(const struct probe *probe);
/* Is a group told that empties or fills (PFUSE_EV_EMPTY, PFUSE_EV_POPULATED)? */
bool probe_tells_populated(const struct probe *probe);

/* Watch group `id` as `slot` (1 .. slots); its counters start from what the slot holds. */
int probe_manage(struct probe *probe, uint32_t slot, uint64_t id, uint32_t high_water_permille);
int probe_unmanage(struct probe *probe, uint32_t slot);

/* Iterators: programs that walk all tasks (or their files) when they are read, and only then. */
enum probe_iterator {
	PROBE_ITER_PORTS, /* claims the ports that managed groups use; gives no bytes */
	PROBE_ITER_PARK,  /* the group's threads: an array of struct pfuse_thread */
	PROBE_ITER_FILES, /* pipes and eventfds: struct pfuse_reach_record, see edge/reach.h */
	PROBE_ITER_MAPS,  /* shared mappings: the same */
	PROBE_ITERATORS,
};

/*
 * A new walk: read(2) *ret_fd to its end and close it. `slot` is the group it is about, for those that
 * ask; one walk at a time. -ENOENT: this kernel has no such iterator.
 */
int probe_iterate(struct probe *probe, enum probe_iterator which, uint32_t slot, int *ret_fd);

/* The same, of one process alone: what it costs does not grow with the machine. One that is gone gives
 * nothing.
 */
int probe_iterate_process(struct probe *probe, enum probe_iterator which, uint32_t slot, pid_t pid,
			  int *ret_fd);

/* What the walks of PROBE_ITER_FILES and _MAPS are about: shared with the programs, the probe's own. */
struct pfuse_reach_walk *probe_reach_walk(struct probe *probe);

/* What edge/pagescan.c reads page tables by: programs that are not attached, and the shared memory. */
struct probe_pages {
	int copy_program;
	int list_program;
	int find_program;
	struct pfuse_pages_walk *walk;
	struct pfuse_page_range *ranges;	/* PFUSE_PAGES_RANGES */
	const struct pfuse_page_record *records; /* PFUSE_PAGES_RECORDS */
};

/* The probe's own. NULL: not asked for, or this kernel has no such programs. */
const struct probe_pages *probe_pages(const struct probe *probe);

/* What edge/reads.c learns of file reads by. */
struct probe_reads {
	int read_program;  /* attached while there are users */
	int added_program; /* likewise; -1: this kernel has none */
	int pids_fd;	   /* process → slot */
	uint32_t *pids_used;
	struct pfuse_reader *readers; /* by slot */
	struct pfuse_read_bucket *buckets; /* PFUSE_READS_BUCKETS */
	uint32_t slots;
	uint32_t users;
	int links[2];
};

/* The probe's own. NULL: not asked for, or this kernel has no such programs. */
struct probe_reads *probe_reads(const struct probe *probe);

/* Of probe_config. */
uint32_t probe_daemon_pid(const struct probe *probe);

/* Does a write to such an object, once probe_hear() was told of it, raise a TALK event? */
bool probe_hears(const struct probe *probe, enum pfuse_reach_kind kind);
/* -ENOENT: this kind is not heard; -EEXIST: heard for a group already; -E2BIG: too many. */
int probe_hear(struct probe *probe, const struct pfuse_reach_key *key, uint32_t slot, bool reads);
void probe_unhear(struct probe *probe, const struct pfuse_reach_key *key);

/* Learns the ports that managed groups use already: after probe_manage(), once for many groups. */
int probe_seed(struct probe *probe);

/* Ask for one event of each kind in `bits` (enum pfuse_arm); withdraw the wish. */
void probe_arm(struct probe *probe, uint32_t slot, uint32_t bits);
void probe_disarm(struct probe *probe, uint32_t slot, uint32_t bits);

/* Dry run: judge usage by this limit, since the kernel's own is not ours. */
void probe_shadow_limit(struct probe *probe, uint32_t slot, uint64_t bytes);

/*
 * Sockets, see edge/netprio.h. probe_net_level() first (-1: sockets are not held), then attach at the
 * group's v2 directory: new sockets and setsockopt(2) of its tasks. The links are the caller's; closing
 * them detaches. -EOPNOTSUPP: the kernel refused the programs.
 */
#define PROBE_NET_LINKS 3

void probe_net_level(struct probe *probe, uint32_t slot, int level);
int probe_net_attach(struct probe *probe, int v2_fd, int ret_links[PROBE_NET_LINKS]);
/* The priority that the socket is to have again; kept in the kernel, with the socket. */
int probe_net_remember(struct probe *probe, int socket_fd, uint32_t slot,
		       uint32_t priority); /* the first is kept */
int probe_net_recall(struct probe *probe, int socket_fd, uint32_t *ret_priority); /* -ENOENT */
int probe_net_forget(struct probe *probe, int socket_fd);

/* Sum over CPUs. */
void probe_read(const struct probe *probe, uint32_t slot, struct pfuse_stats *ret);
/* CPUs that run a task of the group at this moment. */
uint32_t probe_oncpu(const struct probe *probe, uint32_t slot);

/*
 * As probe_config.spans, from now on: spans begin at zero, with those of all groups; or their memory is given
 * back. No switch is missed or counted twice meanwhile. Takes a tenth of a second; on failure, with one
 * sentence in *err, all is as before. Nothing to do is success.
 */
int probe_count_spans(struct probe *probe, bool spans, struct err *err);
/* Sum over CPUs, no system call. -EOPNOTSUPP: spans are not counted. */
int probe_read_span(const struct probe *probe, uint32_t slot, struct pfuse_span *ret);
/*
 * The run-queue wait that the group's p99 is not to exceed; 0: none, as after probe_manage(). While
 * PFUSE_ARM_WAIT is armed, PFUSE_EV_WAIT comes when more than one in a hundred exceed it, on one CPU.
 */
void probe_wait_target(struct probe *probe, uint32_t slot, uint64_t target_ns);

uint64_t probe_drops(const struct probe *probe, enum pfuse_drop why);
/* Memory that the maps and programs hold in the kernel, as the kernel accounts it. */
uint64_t probe_memory_bytes(const struct probe *probe);

/* Readable when events wait. */
int probe_fd(const struct probe *probe);
/* Calls `handle` for each waiting event that is well-formed; returns their number or -errno. */
typedef void probe_handler(const struct pfuse_event *event, void *context);
int probe_consume(struct probe *probe, probe_handler *handle, void *context);

#endif
