/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the threads of some groups do, record by record: the programs of bpf/trace.bpf.c and their ring.
 *
 * Order of calls: tracer_open() loads what the wanted kinds need; tracer_add() per group; tracer_start()
 * attaches, and from then on records come; tracer_wait() and tracer_consume() in turn, at least every
 * TRACER_LOOK_MS; tracer_stop() detaches, what is in the ring can still be taken; tracer_close() accepts
 * NULL. Nothing of a daemon is needed or touched.
 *
 * Records of one CPU are in order of time unless an interrupt came between; those of different CPUs may
 * be out of order by some microseconds. What does not fit in the ring is counted (tracer_lost), and never
 * waited for. Errors are negative errno, with a sentence in *err.
 */
#ifndef EDGE_TRACER_H
#define EDGE_TRACER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "pfuse/knobs.h"
#include "pfuse/trace.h"

#define TRACER_RING_BYTES (8u << 20) /* 95,000 records: 50 ms of the busiest two CPUs that we have seen */
#define TRACER_LOOK_MS 100	     /* few records wake nobody: the reader looks by itself */

struct tracer;

struct tracer_config {
	enum pfuse_anchor anchor;
	uint32_t slots;	   /* groups, slot 0 not counted */
	uint32_t kinds;	   /* PFUSE_TR_BIT()s */
	bool everything;   /* also what is in none of the groups */
	size_t ring_bytes; /* rounded up to a power of two and to a page */
};

/* -EPERM, -EOPNOTSUPP: privilege or kernel lacks something. */
int tracer_open(const struct tracer_config *config, struct tracer **ret, struct err *err);
int tracer_start(struct tracer *tracer, struct err *err);
void tracer_stop(struct tracer *tracer);
void tracer_close(struct tracer *tracer);

/* Before the start. `slot`: 1 .. slots. */
int tracer_add(struct tracer *tracer, uint32_t slot, uint64_t id, uint32_t high_water_permille);

/* Of the kinds asked for, those that this kernel does not tell. Complete after the start. */
uint32_t tracer_missing(const struct tracer *tracer);

/*
 * Until a good share of the ring is filled, or for `ms`. Not by poll(2) at the ring: that returns as long as
 * anything waits there, and a reader that runs for each record takes more than all programs together.
 */
int tracer_wait(struct tracer *tracer, int ms);

/*
 * Calls `handle` for what waits in the ring, for `most` records at most: where they come faster than they
 * are handled there would be no end. Returns their number or -errno.
 */
typedef void tracer_handler(const struct pfuse_trace *record, void *context);
int tracer_consume(struct tracer *tracer, unsigned most, tracer_handler *handle, void *context);

uint32_t tracer_cpus(const struct tracer *tracer); /* possible ones */
uint64_t tracer_lost(const struct tracer *tracer, uint32_t cpu, enum pfuse_trace_loss why);
/* Runs of the programs that the kernel left out, for one ran on that CPU already; asks the kernel. */
uint64_t tracer_skipped(const struct tracer *tracer);
/* Looks at tasks that lie too deep below their group to be found. */
uint64_t tracer_too_deep(const struct tracer *tracer);

#endif
