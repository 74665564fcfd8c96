/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/prio.h"

#include <string.h>

#include "core/arith.h"

#define KERNEL_FIRST (-20)
#define KERNEL_COUNT 40
#define NICE_0_WEIGHT 1024
#define NICE_0_CPU_WEIGHT 100

#define RUN_MIN_NS 1000000ull
/* Permille of the CPU time, in short bursts. */
#define INTERACTIVE_FROM 700
#define BATCH_TO 125
#define NS_PER_S 1000000000ull

/*
 * The refined table, nice -30 … 29. Its middle is the kernel's own (kernel/sched/core.c,
 * sched_prio_to_weight), which is not exactly 1024 / 1.25^nice; the ends are.
 */
static const uint32_t refined[PRIO_WEIGHTS_MAX] = {
	827181, 661744, 529396, 423516, 338813, 271051, 216840, 173472, 138778, 111022, /* -30 */
	88761,	71755,	56483,	46273,	36291,	29154,	23254,	18705,	14949,	11916,	/* -20 */
	9548,	7620,	6100,	4904,	3906,	3121,	2501,	1991,	1586,	1277,	/* -10 */
	1024,	820,	655,	526,	423,	335,	272,	215,	172,	137,	/* 0 */
	110,	87,	70,	56,	45,	36,	29,	23,	18,	15,	/* 10 */
	12,	9,	8,	6,	5,	4,	3,	2,	2,	2,	/* 20 */
};

#define KERNEL_AT (KERNEL_FIRST - PRIO_NICE_MIN) /* in `refined` */

void prio_defaults(struct prio_group *ret)
{
	*ret = (struct prio_group){
		.table = { PRIO_KERNEL, PRIO_KERNEL, PRIO_GROUPED5, PRIO_KERNEL },
	};
}

void prio_ask(struct prio_group *g, enum prio_asked asked)
{
	static const uint8_t fixed[PRIO_ASKED] = {
		[PRIO_INTERACTIVE] = PFUSE_CHARACTER_INTERACTIVE,
		[PRIO_BATCH] = PFUSE_CHARACTER_BATCH,
		[PRIO_MIXED] = PFUSE_CHARACTER_MIXED,
	};

	if (asked >= PRIO_ASKED)
		asked = PRIO_OFF;
	if (asked != PRIO_AUTO)
		g->character = fixed[asked];
	if (asked != g->asked) {
		g->looks = 0;
		g->sum = (struct prio_look){ 0 };
	}
	g->asked = (uint8_t)asked;
}

static uint32_t permille(uint64_t part, uint64_t whole)
{
	double share = (double)part * 1000 / (double)arith_max(whole, 1);

	return (uint32_t)arith_min(arith_from_double(share), 1000);
}

static enum pfuse_character character_of(const struct prio_group *g)
{
	if (g->short_permille >= INTERACTIVE_FROM)
		return PFUSE_CHARACTER_INTERACTIVE;
	return g->short_permille <= BATCH_TO ? PFUSE_CHARACTER_BATCH : PFUSE_CHARACTER_MIXED;
}

/* A task that is never switched out makes no voluntary switch: 0 of 0 is none. */
static void note_evidence(struct prio_group *g, const struct prio_look *look)
{
	double per_s = (double)look->wakeups * (double)NS_PER_S / (double)look->run_ns;

	g->short_permille = permille(look->short_ns, look->run_ns);
	g->voluntary_permille = permille(look->nvcsw, (uint64_t)look->nvcsw + look->nivcsw);
	g->wakeups = (uint32_t)arith_min(arith_from_double(per_s), UINT32_MAX);
}

/* True: enough to say something. */
static bool add_look(struct prio_look *sum, const struct prio_look *look)
{
	sum->run_ns = arith_add(sum->run_ns, look->run_ns);
	sum->short_ns = arith_add(sum->short_ns, look->short_ns);
	sum->nvcsw += look->nvcsw;
	sum->nivcsw += look->nivcsw;
	sum->wakeups += look->wakeups;
	return sum->run_ns >= RUN_MIN_NS;
}

void prio_look(struct prio_group *g, const struct prio_look *look)
{
	enum pfuse_character is;

	if (g->asked == PRIO_OFF || !add_look(&g->sum, look))
		return;
	note_evidence(g, &g->sum);
	g->sum = (struct prio_look){ 0 };
	if (g->asked != PRIO_AUTO)
		return;
	is = character_of(g);
	if (is == g->character) {
		g->looks = 0;
		return;
	}
	g->looks = g->looks && g->candidate == is ? g->looks + 1 : 1;
	g->candidate = (uint8_t)is;
	if (g->looks < PRIO_LOOKS)
		return;
	g->character = (uint8_t)is;
	g->looks = 0;
}

static uint32_t clamped(int nice, int first, uint32_t count)
{
	if (nice < first)
		return 0;
	return (uint32_t)arith_min((uint64_t)(nice - first), count - 1);
}

/* The mean of the n weights that `nice` is among, to the nearest. */
static uint32_t grouped(uint32_t n, int nice)
{
	uint32_t at = clamped(nice, KERNEL_FIRST, KERNEL_COUNT), sum = 0;

	at -= at % n;
	for (uint32_t i = 0; i < n; i++)
		sum += refined[KERNEL_AT + at + i];
	return (sum + n / 2) / n;
}

uint32_t prio_weight(enum prio_table table, const struct prio_own *own, int nice)
{
	if (table == PRIO_OWN && own && own->count)
		return own->weights[clamped(nice, own->first,
					    (uint32_t)arith_min(own->count, PRIO_WEIGHTS_MAX))];
	if (table == PRIO_REFINED)
		return refined[clamped(nice, PRIO_NICE_MIN, PRIO_WEIGHTS_MAX)];
	if (table == 0 || KERNEL_COUNT % table != 0)
		table = PRIO_KERNEL;
	return grouped(table, nice);
}

uint32_t prio_cpu_weight(uint32_t weight, bool *ret_cut)
{
	uint64_t units = ((uint64_t)weight * NICE_0_CPU_WEIGHT + NICE_0_WEIGHT / 2) / NICE_0_WEIGHT;
	uint64_t held = arith_min(arith_max(units, 1), PRIO_WEIGHT_MAX);

	*ret_cut = held != units;
	return (uint32_t)held;
}

uint32_t prio_wish(const struct prio_group *g, const struct prio_own *own, bool *ret_cut)
{
	*ret_cut = false;
	if (g->asked == PRIO_OFF || !g->character || g->character >= PFUSE_CHARACTERS)
		return 0;
	return prio_cpu_weight(prio_weight((enum prio_table)g->table[g->character], own, g->nice),
			       ret_cut);
}
