/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What every kernel test stands on: cgroups of its own, processes that do as they are told inside them,
 * and the probe that watches.
 *
 * Suites are declared with `TestSuite(NAME, .init = rig_init, .fini = rig_fini)`. rig_fini() ends all
 * workers, removes all groups and closes the probe, also after a failed assertion; what a crashed test
 * leaves, main.c removes. Groups are named pfuse-test-PID-NAME, PID being that of the test program, and
 * live in the hierarchy of the memory controller, whatever its version.
 */
#ifndef TESTS_KERNEL_RIG_H
#define TESTS_KERNEL_RIG_H

#include <criterion/criterion.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "edge/probe.h"
#include "hierarchy.h"

#define MIB (1024UL * 1024)

void rig_init(void);

extern uint32_t rig_parts; /* enum probe_part, to be set before rig_init() */
extern bool rig_spans;	   /* likewise */
void rig_fini(void);

/* Ends this test as skipped; the program then exits 77 unless another test of it failed. */
#define RIG_SKIP(...)                          \
	do {                                   \
		fprintf(stderr, "SKIP: " __VA_ARGS__); \
		fputc('\n', stderr);           \
		cr_skip_test("%s", "");        \
	} while (0)

/* group.c: groups in the hierarchy of the memory controller */

struct group {
	char path[PATH_MAX];
	uint64_t id;
};

struct group *group_make(const struct group *parent, const char *name);
struct group *group_make_at(const char *dir, const char *name); /* in any hierarchy */
void group_add(const struct group *group, pid_t pid);
void group_remove(struct group *group);
void groups_remove_all(void);
void groups_sweep(void);

void group_limit(const struct group *group, uint64_t bytes);
uint64_t group_limit_bytes(const struct group *group);
uint64_t group_usage_bytes(const struct group *group);
/* The number after `key` in a "key number" file of the group; UINT64_MAX when absent. */
uint64_t group_stat(const struct group *group, const char *file, const char *key);
/* On v2, lets children of `group` have a memory controller of their own; nothing to do on v1. */
void group_delegate(const struct group *group);

/* worker.c: a process that runs functions of the test program on demand, told through pipes */

struct worker {
	pid_t pid;
	int to;
	int from;
};

typedef long worker_job(long arg);

/* A new process in `group` (NULL: where the test is). It has run and sleeps again when this returns. */
struct worker *worker_start(const struct group *group);
void worker_send(struct worker *worker, worker_job *job, long arg);
long worker_receive(struct worker *worker);
long worker_do(struct worker *worker, worker_job *job, long arg); /* send, then receive */
void worker_wait_asleep(const struct worker *worker);
void worker_end(struct worker *worker);
void workers_end_all(void);

/* Jobs that many tests want */
long job_nothing(long arg);
long job_spin_ms(long ms);	/* of CPU time, not of wall time */
long job_nap_ms(long ms);

/* watch.c: the probe and the events that it told */

extern struct probe *probe;

void watch_open(uint32_t slots);
void watch_close(void);
/* Manage `group` as `slot` with the mark at 90 %. */
void watch(uint32_t slot, const struct group *group);
struct pfuse_stats watch_read(uint32_t slot);
/* Takes what waits in the ring; returns the events of `kind` for `slot` since the last call that names
 * the kind and slot, and copies the last of them to `ret` (may be NULL).
 */
unsigned int watch_events(uint32_t slot, uint32_t kind, struct pfuse_event *ret);
/* As watch_events(), but gives the kernel up to 10 s to tell the first one. */
unsigned int watch_wait(uint32_t slot, uint32_t kind, struct pfuse_event *ret);
void watch_forget(void);

/* ids.c: the kernel's objects behind the probe that this process holds */

struct ids {
	uint32_t id[64];
	size_t count;
};

struct ids ids_of_programs(void);
struct ids ids_of_maps(const struct ids *programs); /* that these programs use */
/* How many of them still exist; `open` is bpf_prog_get_fd_by_id() or bpf_map_get_fd_by_id(). */
size_t ids_alive(const struct ids *ids, int (*open)(uint32_t id));

bool poll_until(bool (*is_so)(void *), void *context);
void sleep_ms(unsigned int ms);

#endif
