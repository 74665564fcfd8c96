/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A benchmark is a load (load.c: nanoseconds per operation) under several setups (setup.c: which BPF
 * programs run meanwhile). bench.c takes turns through the setups, round after round, so that a noisy
 * machine disturbs all of them alike. One process carries the load through all setups of a round: two
 * processes differ by more (caches, addresses) than what is to be measured.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>

struct load {
	int (*prepare)(void); /* once per process; these return 0 or -1 */
	int (*part)(void);
	int (*clean)(void); /* after each part, not measured; may be NULL */
	int operations;	    /* per part */
};

extern const struct load load_switch, load_fault, load_unix, load_tcp;

int load_prepare(const struct load *load);
double load_measure(const struct load *load); /* ns per operation; below 0: failed */

enum what {
	NOTHING,
	EMPTY,		  /* a program of two instructions at each hook of the benchmark */
	OURS_UNMANAGED,	  /* all our programs; the load is in no managed group */
	OURS_MANAGED,	  /* the load is in a managed group, nothing armed */
	OURS_ARMED,	  /* and armed */
	OURS_SPANS,	  /* managed, and how it is scheduled is counted */
	RUNQLAT,
	CPUDIST,
};

struct setup {
	enum what what;
	const char *const *hooks; /* of EMPTY: names of tracepoints, NULL at the end */
};

/* Returns 0, or -ENOENT where the kernel or the machine lacks it. */
int setup_begin(const struct setup *setup);
void setup_end(void);
/* The process that carries the load; setup_measure() puts it into the group if the setup says so. */
int setup_start_load(const struct load *load);
double setup_measure(void);
void setup_stop_load(void); /* and removes the group */
/* The kernel's own ns per run of the program NAME of this setup; below 0: unknown. Needs statistics on. */
double setup_run_ns(const char *name);

#endif
