/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Writes a trace file in Perfetto's protobuf format (pftrace.proto): tracks with counters, slices and
 * instants, scheduling of CPUs, names of threads, and the records for a replay (pftrace_record.h).
 *
 * Order of calls: pftrace_open(); pftrace_track() and pftrace_counter_track() before what happens on them;
 * anything else in any order; pftrace_flush() at the end of each turn; pftrace_close(), which accepts NULL.
 * One thread. After pftrace_open() nothing is allocated.
 *
 * What was flushed is in the file, whatever becomes of this process. All write functions return nothing:
 * a packet that could not be written (disk full) is counted, and from then on nothing is written at all,
 * for packets refer to those before; the file stays valid up to its last whole packet. pftrace_error() tells.
 *
 * Segments: at options.size_limit PATH becomes the first of options.keep older files (export/rotate.h) and a
 * new PATH is begun, so a file is larger than the limit by one turn at most; with options.flight_ns
 * nothing is written until pftrace_dump(), and the last of these nanoseconds and up to as many before
 * are kept in memory. Each segment stands alone, so options.again() is called at the beginning of all but
 * the first (from pftrace_flush() only): it declares the tracks anew and gives the records that a file
 * begins with; options.end() before it, to end the slices that are open.
 *
 * Interning: `category`, `name` and names of annotations are string literals; their address is their
 * identity. Everything else that is a string is copied, and must be escaped UTF-8 (base of parse_escape()).
 * uuids are the caller's, unique in the file, not 0. Times: CLOCK_MONOTONIC in ns.
 */
#ifndef EXPORT_PFTRACE_H
#define EXPORT_PFTRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "export/pftrace_record.h"

struct pftrace;

/* At one moment. MONOTONIC stands still while the machine is suspended; REALTIME may be set. */
struct pftrace_clocks {
	uint64_t monotonic_ns;
	uint64_t boottime_ns;
	uint64_t realtime_ns;
};

struct pftrace_options {
	const char *path;    /* replaced if it exists; borrowed */
	uint64_t size_limit; /* of one file, in bytes; 0: none */
	unsigned keep;	     /* older files beside it; 0: one */
	uint64_t flight_ns;  /* 0: written to the file at once */
	size_t memory_bytes; /* flight: of both segments; 0: 16 MiB */
	void (*clocks)(struct pftrace_clocks *ret); /* NULL: the system's */
	void (*end)(void *arg);
	void (*again)(void *arg);
	void *arg;
};

enum pftrace_unit {
	PFTRACE_NO_UNIT = 0,
	PFTRACE_NS = 1,
	PFTRACE_COUNT = 2,
	PFTRACE_BYTES = 3,
};

enum pftrace_type {
	PFTRACE_AS_UINT,
	PFTRACE_AS_INT,
	PFTRACE_AS_DOUBLE,
	PFTRACE_AS_BOOL,
	PFTRACE_AS_STRING,
};

/* One more fact about a slice or an instant. */
struct pftrace_note {
	const char *name;
	enum pftrace_type type;
	union {
		uint64_t uint_value;
		int64_t int_value;
		double double_value;
		bool bool_value;
		const char *string_value;
	};
};

#define PFTRACE_NOTES_MAX 16 /* of one event; what is more is left out */

/* What happens, on which track. */
struct pftrace_happening {
	uint64_t time_ns;
	uint64_t track;
	const char *category; /* NULL: none */
	const char *name;     /* NULL: none */
	const struct pftrace_note *notes;
	unsigned nnotes;
};

#define PFTRACE_COMM_LEN 16

/* One scheduling event of a CPU. comms: any bytes, at most 16, escaped here. */
struct pftrace_sched {
	uint64_t time_ns;
	bool is_waking; /* else a switch */
	uint32_t pid;	/* of the thread that ran: switch: prev; waking: who woke */
	int32_t prio;	/* kernel numbers: 0..99 real time, 120 normal; of prev, or of the woken */
	int64_t state;	/* switch: of prev: 0 runnable, 1 S, 2 D … as in sched_switch */
	int32_t next;	/* the thread switched in, or the woken */
	int32_t next_prio;
	int32_t target_cpu; /* waking */
	char comm[PFTRACE_COMM_LEN];
	char next_comm[PFTRACE_COMM_LEN];
};

struct pftrace_thread {
	int32_t tid;
	int32_t tgid;
	int32_t ppid; /* tid == tgid: of the process */
	char comm[PFTRACE_COMM_LEN];
};

/* Begins the first segment: the clocks are in the file. -errno with a sentence in *err. */
int pftrace_open(const struct pftrace_options *options, struct pftrace **ret, struct err *err);

void pftrace_track(struct pftrace *trace, uint64_t uuid, uint64_t parent, const char *name);
/* unit_name: where no unit of the enum fits, like "MiB/s"; or NULL. */
void pftrace_counter_track(struct pftrace *trace, uint64_t uuid, uint64_t parent, const char *name,
			   enum pftrace_unit unit, const char *unit_name);

void pftrace_counter(struct pftrace *trace, uint64_t track, uint64_t time_ns, int64_t value);
void pftrace_counter_double(struct pftrace *trace, uint64_t track, uint64_t time_ns, double value);
void pftrace_slice_begin(struct pftrace *trace, const struct pftrace_happening *what);
void pftrace_slice_end(struct pftrace *trace, uint64_t track, uint64_t time_ns);
void pftrace_instant(struct pftrace *trace, const struct pftrace_happening *what);

/* Events of one CPU in the order of time; `lost`: some of this CPU before these are missing. */
void pftrace_sched(struct pftrace *trace, uint32_t cpu, const struct pftrace_sched *events,
		   unsigned count, bool lost);
void pftrace_threads(struct pftrace *trace, uint64_t time_ns, const struct pftrace_thread *threads,
		     unsigned count);

void pftrace_record(struct pftrace *trace, const struct pftrace_record *record);

/* Writes what is buffered, notes the clocks every ten seconds and when one has moved, begins another segment if it is time. */
void pftrace_flush(struct pftrace *trace);

/* Flight recorder: writes what it holds to PATH, which it replaces at once or not at all. */
int pftrace_dump(struct pftrace *trace, struct err *err);

/* 0, or the first -errno of writing. */
int pftrace_error(const struct pftrace *trace);
uint64_t pftrace_packets(const struct pftrace *trace); /* written, all segments */
uint64_t pftrace_bytes(const struct pftrace *trace); /* the same */
uint64_t pftrace_lost(const struct pftrace *trace);  /* packets that could not be written */

/* Flushes and closes. */
void pftrace_close(struct pftrace *trace);

#endif
