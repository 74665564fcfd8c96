/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/prio.h"

#include <criterion/criterion.h>

#define MS 1000000ull
#define S 1000000000ull
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* The paper's formula. */
static double ideal(int nice)
{
	double weight = 1024;

	for (; nice > 0; nice--)
		weight /= 1.25;
	for (; nice < 0; nice++)
		weight *= 1.25;
	return weight;
}

/* sched_prio_to_weight of the kernel, nice -20 ... 19. */
static const uint32_t kernel[40] = {
	88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916,
	9548,  7620,  6100,  4904,  3906,  3121,  2501,	 1991,	1586,  1277,
	1024,  820,   655,   526,   423,   335,	  272,	 215,	172,   137,
	110,   87,    70,    56,    45,	   36,	  29,	 23,	18,    15,
};

Test(prio, the_kernels_table)
{
	for (int nice = -20; nice <= 19; nice++)
		cr_expect_eq(prio_weight(PRIO_KERNEL, NULL, nice), kernel[nice + 20], "nice %d",
			     nice);
	cr_expect_eq(prio_weight(PRIO_KERNEL, NULL, -21), 88761, "the nearest end");
	cr_expect_eq(prio_weight(PRIO_KERNEL, NULL, -1000), 88761);
	cr_expect_eq(prio_weight(PRIO_KERNEL, NULL, 20), 15);
	cr_expect_eq(prio_weight(PRIO_KERNEL, NULL, 1000), 15);
}

Test(prio, grouped_tables_are_the_means_of_n_weights)
{
	static const struct {
		uint32_t n, weights;
	} table[] = { { 2, 20 }, { 4, 10 }, { 5, 8 }, { 8, 5 }, { 10, 4 }, { 20, 2 }, { 40, 1 } };

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		uint32_t n = table[i].n, different = 0, last = 0;

		for (int nice = -20; nice <= 19; nice++) {
			uint32_t weight = prio_weight((enum prio_table)n, NULL, nice), sum = 0;
			uint32_t first = (uint32_t)(nice + 20) / n * n;

			for (uint32_t k = 0; k < n; k++)
				sum += kernel[first + k];
			cr_expect_float_eq(weight, (double)sum / n, 0.5, "n %u, nice %d", n, nice);
			different += weight != last;
			last = weight;
		}
		cr_expect_eq(different, table[i].weights, "n %u: %u weights", n, different);
	}
	cr_expect_eq(prio_weight(PRIO_GROUPED2, NULL, 0), 922, "(1024 + 820) / 2");
	cr_expect_eq(prio_weight(PRIO_GROUPED5, NULL, 0), 690, "mean of nice 0 to 4");
	cr_expect_eq(prio_weight(PRIO_GROUPED5, NULL, -1), 2095, "mean of nice -5 to -1");
}

Test(prio, the_refined_table_has_60_weights_of_the_papers_formula)
{
	uint32_t last = UINT32_MAX;

	for (int nice = -30; nice <= 29; nice++) {
		uint32_t weight = prio_weight(PRIO_REFINED, NULL, nice);
		double want = ideal(nice);

		/* The kernel's own are off by up to 1.8 %, and whole numbers. */
		cr_expect_float_eq(weight, want, want * 0.03 + 0.5, "nice %d: %u", nice, weight);
		cr_expect_leq(weight, last, "nice %d", nice);
		if (nice >= -20 && nice <= 19)
			cr_expect_eq(weight, kernel[nice + 20], "its middle is the kernel's");
		last = weight;
	}
	cr_expect_eq(prio_weight(PRIO_REFINED, NULL, -31), prio_weight(PRIO_REFINED, NULL, -30));
	cr_expect_eq(prio_weight(PRIO_REFINED, NULL, 30), 2);
}

Test(prio, a_table_of_ones_own)
{
	struct prio_own own = { .first = -1, .count = 3, .weights = { 4000, 1024, 3 } };

	cr_expect_eq(prio_weight(PRIO_OWN, &own, -1), 4000);
	cr_expect_eq(prio_weight(PRIO_OWN, &own, 0), 1024);
	cr_expect_eq(prio_weight(PRIO_OWN, &own, 1), 3);
	cr_expect_eq(prio_weight(PRIO_OWN, &own, -20), 4000, "outside: the nearest end");
	cr_expect_eq(prio_weight(PRIO_OWN, &own, 19), 3);
	cr_expect_eq(prio_weight(PRIO_OWN, NULL, 5), 335, "none: the kernel's");
	own.count = 0;
	cr_expect_eq(prio_weight(PRIO_OWN, &own, 5), 335);
	own.count = 1000;
	cr_expect_eq(prio_weight(PRIO_OWN, &own, 5000), own.weights[59], "no more than fit");
	cr_expect_eq(prio_weight((enum prio_table)3, NULL, 5), 335, "3 divides no table of 40");
	cr_expect_eq(prio_weight((enum prio_table)0, NULL, 5), 335);
}

Test(prio, units_of_cpu_weight)
{
	static const struct {
		uint32_t weight, want;
		bool cut;
		const char *why;
	} table[] = {
		{ 1024, 100, false, "nice 0" },		{ 335, 33, false, "nice 5" },
		{ 88761, 8668, false, "nice -20" },	{ 15, 1, false, "nice 19: 1.46" },
		{ 5, 1, true, "less than half" },	{ 0, 1, true, "none" },
		{ 102400, 10000, false, "the most" },	{ 102406, 10000, true, "one too many" },
		{ UINT32_MAX, 10000, true, "no wrap" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		bool cut = !table[i].cut;
		uint32_t got = prio_cpu_weight(table[i].weight, &cut);

		cr_expect(got == table[i].want && cut == table[i].cut, "%s: %u, %d", table[i].why,
			  got, cut);
	}
}

static struct prio_group automatic(void)
{
	struct prio_group g;

	prio_defaults(&g);
	prio_ask(&g, PRIO_AUTO);
	return g;
}

#define NONE PFUSE_CHARACTER_NONE
#define INTERACTIVE PFUSE_CHARACTER_INTERACTIVE
#define BATCH PFUSE_CHARACTER_BATCH
#define MIXED PFUSE_CHARACTER_MIXED

Test(prio, the_time_in_short_bursts_decides)
{
	static const struct {
		struct prio_look look;
		uint8_t want;
		const char *why;
	} table[] = {
		{ { 100 * MS, 70 * MS, 80, 20, 10 }, INTERACTIVE, "at the edge" },
		{ { 1000 * MS, 699 * MS, 80, 20, 100 }, MIXED, "below it" },
		{ { 1000 * MS, 126 * MS, 40, 60, 2 }, MIXED, "above the other one" },
		{ { 1000 * MS, 125 * MS, 40, 60, 2 }, BATCH, "at it" },
		{ { 240 * MS, 240 * MS, 30, 0, 30 }, INTERACTIVE, "30 frames of 8 ms, alone" },
		{ { 240 * MS, 240 * MS, 30, 720, 30 }, INTERACTIVE, "the same beside hogs" },
		{ { 1240 * MS, 240 * MS, 30, 250, 30 }, MIXED, "a player and a hog" },
		{ { 2 * S, 120 * MS, 400, 10, 160 }, BATCH, "a compile: make waits often" },
		{ { 1 * S, 0, 10, 0, 10 }, BATCH, "its main thread looks each 100 ms" },
		{ { 1 * S, 0, 0, 0, 0 }, BATCH, "never switched out" },
		{ { 1 * S, 0, 0, 250, 0 }, BATCH, "a hog among hogs" },
		{ { 1 * MS, 1 * MS, 10, 0, 10 }, INTERACTIVE, "just enough to say something" },
		{ { 300000, 300000, 3, 0, 3 }, NONE, "too little, also all together" },
		{ { 0, 0, 5, 0, 5 }, NONE, "nothing" },
		{ { 1 * MS, UINT64_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX },
		  INTERACTIVE,
		  "absurd" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct prio_group g = automatic();

		for (int look = 0; look < PRIO_LOOKS; look++) {
			cr_expect_eq(g.character, NONE, "%s: not before the last look",
				     table[i].why);
			prio_look(&g, &table[i].look);
		}
		cr_expect_eq(g.character, table[i].want, "%s: %u (%u, %u, %u)", table[i].why,
			     g.character, g.short_permille, g.voluntary_permille, g.wakeups);
	}
}

Test(prio, looks_that_are_too_short_add_up)
{
	struct prio_group g = automatic();
	const struct prio_look little = { 250000, 250000, 2, 0, 2 };

	for (int look = 1; look <= 12; look++) {
		cr_expect_eq(g.character, NONE, "look %d: not yet", look);
		prio_look(&g, &little);
	}
	cr_expect_eq(g.character, INTERACTIVE, "3 ms in all");
	cr_expect_eq(g.wakeups, 8000, "of 1 ms each");
	prio_look(&g, &little);
	prio_ask(&g, PRIO_OFF);
	cr_expect_eq(g.sum.run_ns, 0, "nothing is left of it");
}

/* i, b, m: a look that says so; -: one that says nothing. */
static struct prio_look saying(char what)
{
	switch (what) {
	case 'i':
		return (struct prio_look){ 100 * MS, 100 * MS, 100, 0, 100 };
	case 'b':
		return (struct prio_look){ 900 * MS, 0, 0, 10, 0 };
	case 'm':
		return (struct prio_look){ 100 * MS, 50 * MS, 60, 40, 5 };
	default:
		return (struct prio_look){ 0 };
	}
}

Test(prio, a_character_changes_after_three_looks_in_a_row)
{
	static const struct {
		const char *looks;
		uint8_t want;
		const char *why;
	} table[] = {
		{ "bb", NONE, "two are not enough" },
		{ "bbb", BATCH, "three are" },
		{ "bbi", NONE, "not in a row" },
		{ "bbib", NONE, "begins anew" },
		{ "bbibbb", BATCH, "" },
		{ "b-b-b", BATCH, "silence neither counts nor interrupts" },
		{ "bbbii", BATCH, "hysteresis" },
		{ "bbbiii", INTERACTIVE, "" },
		{ "bbbiibii", BATCH, "one look of what it is begins the count anew" },
		{ "bbbiimi", BATCH, "another candidate as well" },
		{ "bbbiimmm", MIXED, "and may win" },
		{ "mmm", MIXED, "mixed is a character like the others" },
		{ "mmmbbb", BATCH, "" },
		{ "", NONE, "nothing known" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct prio_group g = automatic();

		for (const char *at = table[i].looks; *at; at++) {
			struct prio_look look = saying(*at);

			prio_look(&g, &look);
		}
		cr_expect_eq(g.character, table[i].want, "%s: %u %s", table[i].looks, g.character,
			     table[i].why);
	}
}

Test(prio, what_is_asked_for_holds)
{
	struct prio_group g = automatic();
	struct prio_look batch = saying('b');

	prio_ask(&g, PRIO_INTERACTIVE);
	for (int i = 0; i < 10; i++)
		prio_look(&g, &batch);
	cr_expect_eq(g.character, INTERACTIVE);
	cr_expect_eq(g.short_permille, 0, "the evidence is kept all the same");
	prio_ask(&g, PRIO_AUTO);
	cr_expect_eq(g.character, INTERACTIVE, "until something else is seen");
	for (int i = 0; i < PRIO_LOOKS; i++)
		prio_look(&g, &batch);
	cr_expect_eq(g.character, BATCH);
	prio_ask(&g, PRIO_MIXED);
	cr_expect_eq(g.character, MIXED);
	prio_ask(&g, PRIO_OFF);
	cr_expect_eq(g.character, NONE);
	prio_look(&g, &batch);
	cr_expect_eq(g.character, NONE);
	prio_ask(&g, (enum prio_asked)77);
	cr_expect_eq(g.asked, PRIO_OFF, "absurd");
}

Test(prio, the_table_goes_with_the_character)
{
	struct prio_group g = automatic();
	bool cut;

	cr_expect_eq(prio_wish(&g, NULL, &cut), 0, "not known yet");
	prio_ask(&g, PRIO_INTERACTIVE);
	cr_expect_eq(prio_wish(&g, NULL, &cut), 100, "the kernel's, nice 0");
	prio_ask(&g, PRIO_BATCH);
	cr_expect_eq(prio_wish(&g, NULL, &cut), 67, "grouped by 5: 690 / 1024");
	g.nice = 5;
	cr_expect_eq(prio_wish(&g, NULL, &cut), 22, "mean of nice 5 to 9: 226 / 1024");
	g.table[BATCH] = PRIO_KERNEL;
	cr_expect_eq(prio_wish(&g, NULL, &cut), 33);
	cr_expect_not(cut);
	g.table[BATCH] = PRIO_REFINED;
	g.nice = -30;
	cr_expect_eq(prio_wish(&g, NULL, &cut), 10000);
	cr_expect(cut, "80780 do not fit");
	prio_ask(&g, PRIO_OFF);
	cr_expect_eq(prio_wish(&g, NULL, &cut), 0);
}
