/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/cvhrc.h"

#include <string.h>

#include "core/arith.h"
#include "core/cvhrc_inside.h"

#define NS_PER_S 1000000000ull

/* More pages than any machine has; products with it stay exact in a double. */
#define PAGES_MAX (1ull << 40)

/*
 * Renumbering merges epochs, so that tags last for ever. The newest stay as they are (48 s at the
 * shortest epoch): that is where the hot pages are. Of the older ones a merged epoch holds a
 * ninetieth of their pages or less, so the place of a page in there is off by that share at most,
 * and by nothing on average, since its place within an epoch is drawn at random.
 */
#define KEEP_TAGS 192
#define MERGED_PARTS 90

/* At 8, 16, 32 ... epochs that were counted. */
#define START_EPOCHS 8
#define START_VAGUE 0.01
#define START_FADE (1.0 / 16)

void cvhrc_init(struct cvhrc *c, const struct cvhrc_setup *setup)
{
	struct cvhrc_setup s = *setup;

	memset(c, 0, sizeof(*c));
	s.page_bytes = s.page_bytes ? s.page_bytes : 4096;
	s.knee_slope_permille = s.knee_slope_permille ? s.knee_slope_permille : 250;
	s.budget_permille = s.budget_permille ? s.budget_permille : 10;
	s.pages_max = s.pages_max ? s.pages_max : 65536;
	s.half_life_ns = s.half_life_ns ? s.half_life_ns : 60 * NS_PER_S;
	c->setup = s;
	c->u = s.seed;
	c->w = s.seed * 0x9e3779b97f4a7c15ull;
	c->now = CVHRC_BEFORE;
}

/* What was counted; the places of the pages stay. */
static void forget(struct cvhrc *c)
{
	memset(c->hist, 0, sizeof(c->hist));
	memset(c->half, 0, sizeof(c->half));
	memset(c->vaguely, 0, sizeof(c->vaguely));
	memset(&c->ages, 0, sizeof(c->ages));
	c->unsure = 0;
	c->refs = c->cold = c->vague = c->again = c->samples = c->half_refs[0] = c->half_refs[1] = 0;
	c->seconds = c->epochs = c->cost_ns = 0;
	c->counted = 0;
}

static double pages_of_tag(const struct cvhrc *c, unsigned tag)
{
	double n = 0;

	for (unsigned p = 0; p < CVHRC_PLANES; p++)
		n += c->scale[p] * c->count[p][tag];
	return n;
}

/* Of all planes; `to` is `from` or below it. */
static void move_tag(struct cvhrc *c, unsigned from, unsigned to)
{
	for (unsigned p = 0; p < CVHRC_PLANES && from != to; p++) {
		c->count[p][to] += c->count[p][from];
		c->count[p][from] = 0;
	}
}

/*
 * Two neighbours together exceed the limit, so 2 * MERGED_PARTS + 1 merged epochs at most are left.
 * Each tag moves down or stays, and the one that it moves to was emptied before, so one pass will
 * do.
 */
static void renumber(struct cvhrc *c)
{
	unsigned old = c->now - KEEP_TAGS, next = CVHRC_BEFORE;
	double total = 0, limit, sum = 0;

	for (unsigned tag = CVHRC_BEFORE + 1; tag <= old; tag++)
		total += pages_of_tag(c, tag);
	limit = total / MERGED_PARTS;
	memset(c->touched, 0, sizeof(c->touched));
	c->renumbered[CVHRC_NEVER] = CVHRC_NEVER;
	c->renumbered[CVHRC_BEFORE] = CVHRC_BEFORE;
	for (unsigned tag = CVHRC_BEFORE + 1; tag <= c->now; tag++) {
		double pages = pages_of_tag(c, tag);

		if (tag <= CVHRC_FIRST + 1 || tag > old || sum + pages > limit) {
			next++;
			sum = 0;
		}
		sum += pages;
		c->renumbered[tag] = (uint16_t)next;
		move_tag(c, tag, next);
	}
	c->now = (uint16_t)next;
}

bool cvhrc_begin(struct cvhrc *c, uint64_t planned_ns)
{
	bool full = c->now >= CVHRC_TAGS - 1;

	if (planned_ns != c->planned_ns)
		forget(c);
	c->planned_ns = planned_ns;
	if (full)
		renumber(c);
	c->now++;
	return full;
}

static uint32_t less(uint32_t from, uint32_t n)
{
	return from > n ? from - n : 0;
}

void cvhrc_arrive(struct cvhrc *c, enum cvhrc_plane plane, bool touched, uint32_t pages)
{
	uint32_t *before = &c->count[plane][CVHRC_BEFORE];

	if (touched)
		c->arrived[plane] += pages;
	else
		*before = (uint32_t)arith_min((uint64_t)*before + pages, UINT32_MAX / 2);
}

void cvhrc_leave(struct cvhrc *c, enum cvhrc_plane plane, uint16_t tag, uint32_t pages)
{
	if (tag == c->now)
		c->arrived[plane] -= pages;
	else if (tag != CVHRC_NEVER && tag < c->now)
		c->count[plane][tag] = less(c->count[plane][tag], pages);
}

/*
 * 2^-x, x >= 0, by (2^(-x/256))^256 with two terms of the series: off by less than 2e-6 for x <= 1.
 */
static double halvings(double x)
{
	double y = x * (0.6931471805599453 / 256), f;

	if (!(x < 64))
		return 0;
	f = 1 - y + y * y / 2;
	for (unsigned i = 0; i < 8; i++)
		f *= f;
	return f;
}

static void fade(struct cvhrc *c, double f)
{
	for (unsigned i = 0; i < CVHRC_BINS; i++)
		c->hist[i] *= f;
	for (unsigned i = 0; i < CVHRC_HALF_BINS; i++) {
		c->half[0][i] *= f;
		c->half[1][i] *= f;
		c->vaguely[i] *= (float)f;
	}
	c->refs *= f;
	c->cold *= f;
	c->vague *= f;
	c->again *= f;
	c->samples *= f;
	c->unsure *= f;
	c->half_refs[0] *= f;
	c->half_refs[1] *= f;
	c->seconds *= f;
	c->epochs *= f;
}

static void decay(struct cvhrc *c, uint64_t length_ns)
{
	fade(c, halvings((double)length_ns / (double)c->setup.half_life_ns));
}

/*
 * The first references are to pages of which it is not known when they were touched before; later ones
 * are not. So as long as those weigh, what was counted in the first half of the time loses its weight.
 */
static void forget_the_start(struct cvhrc *c)
{
	bool doubled = c->counted >= START_EPOCHS && !(c->counted & (c->counted - 1));

	if (doubled && c->vague > START_VAGUE * c->refs)
		fade(c, START_FADE);
}

/* What was touched gets the tag of this epoch. */
static void take_places(struct cvhrc *c, unsigned plane)
{
	int64_t n = c->arrived[plane] + c->touched[plane][CVHRC_NEVER];

	for (unsigned tag = CVHRC_BEFORE; tag < c->now; tag++) {
		c->count[plane][tag] -= c->touched[plane][tag];
		n += c->touched[plane][tag];
	}
	c->count[plane][c->now] = n > 0 ? (uint32_t)arith_min((uint64_t)n, UINT32_MAX / 2) : 0;
	c->arrived[plane] = 0;
	memset(c->touched[plane], 0, sizeof(c->touched[plane]));
}

/* More touches of a tag than there are pages: pages that left meanwhile, or absurd input. */
static void cut_off(struct cvhrc *c)
{
	for (unsigned p = 0; p < CVHRC_PLANES; p++) {
		uint32_t *never = &c->touched[p][CVHRC_NEVER];

		*never = (uint32_t)arith_min(*never, UINT32_MAX / 2);
		for (unsigned tag = CVHRC_BEFORE; tag < c->now; tag++)
			c->touched[p][tag] =
				(uint32_t)arith_min(c->touched[p][tag], c->count[p][tag]);
	}
}

/* At the end of the epoch, from which on they are held. */
static double sampled(const struct cvhrc *c, unsigned plane)
{
	double n = (double)c->arrived[plane] + c->touched[plane][CVHRC_NEVER];

	for (unsigned tag = CVHRC_BEFORE; tag < c->now; tag++)
		n += c->count[plane][tag];
	return n > 0 ? n : 0;
}

static double share(double whole, double part)
{
	return part > 0 ? whole / part : 0;
}

/*
 * By the share that was sampled in truth, which differs from the nominal one by what chunks hold:
 * by the nominal share the knee is 1.6 % off.
 */
static void set_scales(struct cvhrc *c, const struct cvhrc_totals *t,
		       double ret_weight[CVHRC_SOURCES])
{
	double n[CVHRC_PLANES], pages;

	for (unsigned p = 0; p < CVHRC_PLANES; p++)
		n[p] = sampled(c, p);
	c->pages = arith_min(t->pages, PAGES_MAX);
	c->unclearable_pages = arith_min(t->unclearable_pages, c->pages);
	c->resident_pages = arith_sub(c->pages, t->swapped_pages);
	pages = (double)(c->pages - c->unclearable_pages);
	for (unsigned h = 0; h < 2; h++) {
		c->scale[h] = share(pages, n[h]);
		c->scale[2 + h] = share(2 * 4294967296.0, t->file_threshold);
	}
	ret_weight[0] = share(pages, n[0] + n[1]);
	ret_weight[1] = share(4294967296.0, t->file_threshold);
	c->sampled_pages = (uint64_t)(n[0] + n[1] + n[2] + n[3]);
	c->file_pages = (n[2] + n[3]) * ret_weight[1];
}

/* Per page, what it costs the group that the accessed bit is set again: measured 260 to 510 ns. */
#define TOUCH_NS 500
#define COST_MEAN_OF 4 /* epochs */

static double touches(const struct cvhrc *c, unsigned plane)
{
	double n = 0;

	for (unsigned tag = 0; tag < c->now; tag++)
		n += c->touched[plane][tag];
	return n;
}

static void note_cost(struct cvhrc *c, uint64_t spent_ns)
{
	double cost = (double)spent_ns;

	if (c->wait == CVHRC_SETTLED)
		return;
	for (unsigned h = 0; h < 2; h++)
		cost += touches(c, h) * TOUCH_NS;
	c->cost_ns += c->cost_ns ? (cost - c->cost_ns) / COST_MEAN_OF : cost;
}

void cvhrc_end(struct cvhrc *c, const struct cvhrc_totals *t)
{
	uint64_t length_ns = t->length_ns ? t->length_ns : arith_max(c->planned_ns, 1);
	double weight[CVHRC_SOURCES];

	if (c->now <= CVHRC_BEFORE)
		return;
	cut_off(c);
	set_scales(c, t, weight);
	note_cost(c, t->spent_ns);
	decay(c, length_ns);
	if (c->begun && !t->blurred) {
		forget_the_start(c);
		cvhrc_count(c, weight, t->refaults);
		c->seconds += (double)length_ns / (double)NS_PER_S;
		c->epochs += 1;
		c->counted += c->counted < UINT32_MAX;
	}
	c->row = t->blurred ? 0 : c->row + (c->row < UINT32_MAX);
	for (unsigned p = 0; p < CVHRC_PLANES; p++)
		take_places(c, p);
	c->wait -= c->wait > 0;
	c->begun = true;
}
