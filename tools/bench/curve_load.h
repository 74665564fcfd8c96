/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Processes that touch pages by a string of references (reference.h), at a given rate, and note when they
 * had made how many: enough to make the same string again, with its times.
 */
#ifndef BENCH_CURVE_LOAD_H
#define BENCH_CURVE_LOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "reference.h"

#define LOAD_NOTES 65536
#define LOAD_PROCESSES 8

struct curve_load {
	enum reference_kind kind;
	double exponent;
	uint32_t mib;
	double rate;	    /* references per second, of each process; 0: as fast as it can */
	uint32_t processes; /* that share the memory */
	bool file;	    /* a mapped file; else anonymous */
	bool read;	    /* a file that is read(2), not mapped; one process */
	const char *dir;    /* of that file; NULL: /var/tmp */
	bool huge;
	uint64_t seed;	/* of the first process; the others count on */
	double phase_s; /* of REFERENCE_PHASE */
};

struct load_note {
	uint64_t ns;   /* CLOCK_MONOTONIC */
	uint64_t made; /* references until then */
};

/* Shared with the processes. */
struct load_log {
	_Atomic uint32_t ready; /* processes that have begun */
	_Atomic uint32_t notes[LOAD_PROCESSES];
	struct load_note note[LOAD_PROCESSES][LOAD_NOTES];
};

void load_open_reference(const struct curve_load *load, uint32_t process, struct reference *ret);
/* All pages are touched once, in order, then the string begins. Does not return; log may be NULL. */
void load_run(const struct curve_load *load, struct load_log *log) __attribute__((noreturn));

#endif
