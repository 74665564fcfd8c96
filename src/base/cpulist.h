/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Sets of CPUs or memory nodes, as the kernel prints them: "0-3,8". A value of 1 KiB; all zero is the
 * empty set. -EINVAL: no such list, or a number that no kernel has; strides ("0-31:1/2") are not taken.
 */
#ifndef PFUSE_BASE_CPULIST_H
#define PFUSE_BASE_CPULIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CPULIST_IDS 8192 /* the kernel's largest NR_CPUS */

struct cpulist {
	uint8_t bits[CPULIST_IDS / 8];
};

/* Lists may overlap and be unsorted, with white space around numbers. On failure *ret is unchanged. */
int cpulist_parse(const char *text, struct cpulist *ret);

/* In the kernel's own form. -EFBIG: does not fit. */
int cpulist_print(const struct cpulist *list, char *buf, size_t size);

bool cpulist_has(const struct cpulist *list, unsigned int id);
void cpulist_add(struct cpulist *list, unsigned int id);

/* The lowest id at or above `from`; CPULIST_IDS: none. */
unsigned int cpulist_next(const struct cpulist *list, unsigned int from);

/* Is there an id in `all` that `part` lacks? */
bool cpulist_exceeds(const struct cpulist *all, const struct cpulist *part);

#endif
