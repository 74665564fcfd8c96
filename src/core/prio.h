/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * An application's character, and the priority table that goes with it.
 *
 * Source: "Task-priority control in CFS by application characteristics", 2021. There the kernel's table
 * is changed: weight ~= 1024 / 1.25^nice for nice -20 … 19; grouped by n: the 40 weights n at a time,
 * each replaced by the mean of its n; refined: nice -30 … 29, so 60 weights. Here the table is a policy
 * of user space: a group has a nice value, its character chooses the table, and the weight found there
 * goes to cpu.weight (1 … 10000, 100 being nice 0). What that range cannot hold is cut: in the refined
 * table the ten weights above it, and those that are equal after rounding.
 *
 * Character: by the share of its CPU time that a group spends in bursts shorter than 16.8 ms (a frame of a
 * display), a burst being the CPU time from a wake-up until the task sleeps again, however often it was
 * preempted meanwhile. 70 % and more: interactive. An eighth and less: batch; a batch group is to yield, so
 * more is asked for that. Else mixed.
 * The share of voluntary switches and the wake-ups per second of CPU time are evidence that is shown, and do
 * not decide: how often a task is preempted says who is beside it (a player of 8 ms bursts had 100 % of its
 * switches voluntary alone, 4 % beside hogs), and how often it wakes up per second of CPU time is the inverse
 * of its mean burst, in which many that do nearly nothing (a make that waits for its compilers) outweigh the
 * few that do the work.
 * Looks are added up until they are about 1 ms of CPU time: less says nothing. A new character must be seen
 * three times in a row.
 *
 * Integers only. Nothing can fail; absurd input is clamped.
 */
#ifndef PFUSE_CORE_PRIO_H
#define PFUSE_CORE_PRIO_H

#include <stdbool.h>
#include <stdint.h>

#include "pfuse/verdict.h"

#define PRIO_LOOKS 3
#define PRIO_NICE_MIN (-30)
#define PRIO_NICE_MAX 29
#define PRIO_WEIGHTS_MAX 60
#define PRIO_WEIGHT_MAX 10000 /* of cpu.weight */

/* How many nice values share a weight; any divisor of 40 is a grouped table. */
enum prio_table {
	PRIO_KERNEL = 1,
	PRIO_GROUPED2 = 2,
	PRIO_GROUPED5 = 5,
	PRIO_REFINED = 60,
	PRIO_OWN = 255,
};

/* The user's table: weights in the kernel's unit (1024: nice 0) from nice value `first` on. */
struct prio_own {
	int32_t first;
	uint32_t count; /* 0: none, then the kernel's stands for it */
	uint32_t weights[PRIO_WEIGHTS_MAX];
};

enum prio_asked {
	PRIO_OFF,
	PRIO_AUTO,
	PRIO_INTERACTIVE,
	PRIO_BATCH,
	PRIO_MIXED,
	PRIO_ASKED,
};

/* What a group did since the last look. */
struct prio_look {
	uint64_t run_ns;
	uint64_t short_ns; /* of it, in bursts shorter than 16.8 ms, PFUSE_SPAN_SHORT */
	uint32_t nvcsw;
	uint32_t nivcsw;
	uint32_t wakeups;
};

struct prio_group {
	uint8_t asked;	   /* enum prio_asked */
	uint8_t character; /* enum pfuse_character */
	uint8_t candidate; /* what the last looks said instead; the same enum */
	uint8_t looks;	   /* in a row, that said so */
	int8_t nice;
	uint8_t table[PFUSE_CHARACTERS]; /* enum prio_table, by character */
	uint32_t short_permille;
	uint32_t voluntary_permille;
	uint32_t wakeups; /* per second of CPU time */
	struct prio_look sum; /* of looks that were too short by themselves */
};

/* The kernel's table; for batch groups grouped by 5, which has them yield a little at nice 0. */
void prio_defaults(struct prio_group *ret);

/* Keeps what was learned while it stays `auto`; a character that is asked for holds at once. */
void prio_ask(struct prio_group *g, enum prio_asked asked);

void prio_look(struct prio_group *g, const struct prio_look *look);

/* In the kernel's unit. A nice value outside the table counts as its nearest end. */
uint32_t prio_weight(enum prio_table table, const struct prio_own *own, int nice);

/* The same in the unit of cpu.weight, to the nearest, at least 1. *ret_cut: it is not the nearest. */
uint32_t prio_cpu_weight(uint32_t weight, bool *ret_cut);

/* By character, table and nice; 0: off, or the character is not known yet. */
uint32_t prio_wish(const struct prio_group *g, const struct prio_own *own, bool *ret_cut);

#endif
