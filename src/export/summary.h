/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What a run did, as JSON (--summary FILE) and as the table printed at its end. docs/summary.md
 * describes every field; the table in summary.c is its source, and a test compares the two.
 *
 * A figure is a struct summary_value. Zero-initialised it is "not measured": in JSON the field is
 * then null and a sibling key `<field>_reason` says why; in the text table it is "-". So a figure
 * that nobody filled in can never pass for a zero.
 *
 * All strings are borrowed and may hold any bytes: they are escaped here.
 */
#ifndef EXPORT_SUMMARY_H
#define EXPORT_SUMMARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/hist.h"
#include "pfuse/stats.h"

#define SUMMARY_SCHEMA 1 /* `schema` in the JSON: raised when a field changes its meaning */

struct summary_value {
	double value;
	bool known;
	const char *reason; /* static; why not known; NULL: "not measured" */
};

static inline struct summary_value summary_known(double value)
{
	return (struct summary_value){ .value = value, .known = true };
}

static inline struct summary_value summary_unknown(const char *reason)
{
	return (struct summary_value){ .reason = reason };
}

enum summary_decision {
	SUMMARY_GROWN = 0, /* RAM limit raised; the other resources have their own counts */
	SUMMARY_SHRUNK,	   /* RAM limit lowered */
	SUMMARY_STOPPED,
	SUMMARY_CONTINUED,
	SUMMARY_AVOIDED, /* dry run: decided, not carried out; counted under its kind as well */
	SUMMARY_FOREIGN, /* somebody else changed the control: let go */
	SUMMARY_FAILED,	 /* the kernel refused */
	SUMMARY_BUSY,	 /* stops that came at a bad moment, and were undone */
	SUMMARY_REFUSED, /* stops that would not have been safe */
	SUMMARY_DECISIONS,
};

enum summary_wake {
	SUMMARY_WAKE_TALK = 0,
	SUMMARY_WAKE_DATA,
	SUMMARY_WAKE_SIGNAL, /* a signal, or a process that entered */
	SUMMARY_WAKE_DEADLINE,
	SUMMARY_WAKE_REQUEST,
	SUMMARY_WAKE_EXIT,
	SUMMARY_WAKES,
};

enum summary_resource_kind {
	SUMMARY_RAM = 0, /* MiB */
	SUMMARY_CPU,	 /* CPUs: seconds of CPU time per second */
	SUMMARY_IO_READ, /* MiB/s, also the two below */
	SUMMARY_IO_WRITE,
	SUMMARY_NET, /* its limit is virtual: what acts is the priority */
	SUMMARY_RESOURCES,
};

/* What the control block held at the end, and how often its control was moved. */
struct summary_resource {
	struct summary_value usage;
	struct summary_value limit;
	struct summary_value score;
	struct summary_value size;
	struct summary_value grown;
	struct summary_value shrunk;
};

struct summary_latency {
	struct summary_value count;
	struct summary_value p50_us;
	struct summary_value p99_us;
};

/* The hit-ratio curve as it was last measured, and what measuring it came to. */
struct summary_curve {
	struct summary_value knee_mib;
	struct summary_value knee_curvature_mib;
	struct summary_value resolution_mib;
	struct summary_value need_p90_mib;
	struct summary_value need_p95_mib;
	struct summary_value need_p99_mib;
	struct summary_value share_mib; /* where memory is short */
	struct summary_value error;
	struct summary_value age_seconds;
	struct summary_value sessions;
	struct summary_value measured_seconds;
	struct summary_value cost; /* CPU time of the measuring, of the time that the group was managed */
};

struct summary_group {
	const char *name; /* GROUP as the user gave it */
	const char *path; /* of the cgroup */
	uint64_t id;
	const char *type;	 /* service | scientific; NULL: not asked for, or not known */
	const char *character;	 /* interactive | batch | mixed; NULL: the same */
	const char *curve_source; /* literal; NULL: none was measured */
	struct summary_value seconds; /* how long it was managed */
	struct summary_value usage_mib_s;
	struct summary_value limit_mib_s;
	struct summary_value
		usage_with_zram_mib_s; /* usage + the RAM that zram spends on its pages */
	struct summary_value usage_peak_mib;
	struct summary_value limit_first_mib; /* known only if there was a limit */
	struct summary_value limit_last_mib;
	struct summary_value oom_kills;
	struct summary_value stall_seconds; /* PSI, memory, some */
	struct summary_value refaults;
	struct summary_value decisions[SUMMARY_DECISIONS];
	struct summary_value stopped_seconds;
	struct summary_value wakes[SUMMARY_WAKES];
	struct summary_latency wake;  /* from the reason to wake until the write that wakes */
	struct summary_latency limit; /* from the event in the kernel until the limit is written */
	struct summary_resource resources[SUMMARY_RESOURCES];
	struct summary_value cpu_periods; /* in which the group ran under a CPU limit */
	struct summary_value cpu_throttled;
	struct summary_value io_read_bytes; /* of the busiest disk of each interval */
	struct summary_value io_write_bytes;
	struct summary_value cpus;	 /* given at the end; unknown: all, or not asked for */
	struct summary_value cpus_moves; /* between the lists of services and scientific groups */
	struct summary_value cpus_grown;
	struct summary_value cpus_shrunk;
	struct summary_value weight; /* of cpu.weight at the end; unknown: as found */
	struct summary_value net_priority; /* of the sockets, as we set it; 0: not set */
	struct summary_value cpu_seconds;
	struct summary_value wait_seconds; /* on the run queue */
	struct summary_value switches_voluntary;
	struct summary_value switches_involuntary;
	struct summary_value faults;
	struct summary_value tx_bytes;
	struct summary_value rx_bytes;
	struct summary_value talks;
	struct summary_curve curve;
};

struct summary_daemon {
	const char *policy;
	const char *version;
	const char *kernel;
	const char *hierarchy; /* "v1" | "v2": where the memory controller is */
	bool dry_run;
	struct summary_value seconds;
	struct summary_value cpu_seconds;
	struct summary_value private_bytes;
	struct summary_value bpf_bytes;
	struct summary_value events;
	struct summary_value wakeups; /* turns of the loop */
	struct summary_value drops[PFUSE_DROPS];
};

struct summary {
	struct summary_daemon daemon;
	const struct summary_group *groups;
	size_t ngroups;
};

/* count, p50 and p99 of a histogram of nanoseconds; with no value the latter two are unknown. */
struct summary_latency summary_latency(const struct hist *nanoseconds);

/* Before the run: can FILE be written at its end? 0, or -errno with the line to print. */
int summary_check_writable(const char *path, struct err *err);

/* Atomic: a temporary file beside `path`, then rename(); mode 0644. 0, or -errno with the line. */
int summary_write(const struct summary *summary, const char *path, struct err *err);

/* The table for people. 0, or -errno of the stream. */
int summary_print(const struct summary *summary, FILE *out);

/* The JSON text, to be freed; NULL: no memory. */
char *summary_json(const struct summary *summary);

#endif
