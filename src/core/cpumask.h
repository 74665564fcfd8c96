/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A set of CPUs as a value of fixed size. Numbers from CPUMASK_CPUS on are in no set, and cannot be put
 * into one. Nothing here can fail; nothing needs a library (no popcount: without the instruction, the
 * compiler would call one).
 */
#ifndef PFUSE_CORE_CPUMASK_H
#define PFUSE_CORE_CPUMASK_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define CPUMASK_CPUS 1024
#define CPUMASK_WORDS (CPUMASK_CPUS / 64)

struct cpumask {
	uint64_t words[CPUMASK_WORDS];
};

static inline bool cpumask_has(const struct cpumask *mask, uint32_t cpu)
{
	return cpu < CPUMASK_CPUS && mask->words[cpu / 64] >> cpu % 64 & 1;
}

static inline void cpumask_add(struct cpumask *mask, uint32_t cpu)
{
	if (cpu < CPUMASK_CPUS)
		mask->words[cpu / 64] |= UINT64_C(1) << cpu % 64;
}

static inline void cpumask_drop(struct cpumask *mask, uint32_t cpu)
{
	if (cpu < CPUMASK_CPUS)
		mask->words[cpu / 64] &= ~(UINT64_C(1) << cpu % 64);
}

static inline uint32_t cpumask_count(const struct cpumask *mask)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < CPUMASK_WORDS; i++)
		for (uint64_t word = mask->words[i]; word; word &= word - 1)
			n++;
	return n;
}

/* The lowest at or above `from`; CPUMASK_CPUS: none. */
static inline uint32_t cpumask_next(const struct cpumask *mask, uint32_t from)
{
	for (; from < CPUMASK_CPUS; from++) {
		if (mask->words[from / 64] >> from % 64 == 0)
			from |= 63; /* nothing more in this word */
		else if (cpumask_has(mask, from))
			return from;
	}
	return CPUMASK_CPUS;
}

static inline bool cpumask_empty(const struct cpumask *mask)
{
	uint64_t any = 0;

	for (unsigned i = 0; i < CPUMASK_WORDS; i++)
		any |= mask->words[i];
	return !any;
}

static inline bool cpumask_equal(const struct cpumask *a, const struct cpumask *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static inline struct cpumask cpumask_and(const struct cpumask *a, const struct cpumask *b)
{
	struct cpumask both;

	for (unsigned i = 0; i < CPUMASK_WORDS; i++)
		both.words[i] = a->words[i] & b->words[i];
	return both;
}

static inline struct cpumask cpumask_or(const struct cpumask *a, const struct cpumask *b)
{
	struct cpumask either;

	for (unsigned i = 0; i < CPUMASK_WORDS; i++)
		either.words[i] = a->words[i] | b->words[i];
	return either;
}

static inline struct cpumask cpumask_less(const struct cpumask *a, const struct cpumask *b)
{
	struct cpumask rest;

	for (unsigned i = 0; i < CPUMASK_WORDS; i++)
		rest.words[i] = a->words[i] & ~b->words[i];
	return rest;
}

#endif
