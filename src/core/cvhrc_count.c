/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The distance model. Of a page that is touched in this epoch and was last touched in epoch l it is
 * known what was touched in later epochs than l: that lies above it. Of what was touched in l, or
 * is touched now, it is not known whether it came before or after the page; two cases are told
 * apart.
 *
 * Scattered: the page was at the fraction u of its last epoch, and is touched at the fraction w of
 * this one, both even and independent of each other. Above it are also the 1 - u of epoch l; of the
 * rest of l, and of what was last touched before l, the part w of what this epoch touches. (Even
 * places for the whole sum would be off by 0.08 on average; this by 0.0003: uniform use.)
 *
 * Swept: the pages of l come back in the order in which they went. Then it does not matter where in
 * l the page was: what came before it in l has just been touched again, what came after it has not
 * been left since. A sweep shows in the tags: an old epoch of whose pages far more are touched now
 * than of its neighbours'. The epoch before which it stops has been swept in part, and the rest of
 * it in the last epoch. One that comes round within two epochs: see cvhrc_turn.h.
 */
#include <string.h>

#include "core/arith.h"
#include "core/cvhrc_inside.h"
#include "core/cvhrc_window.h"

/* Places drawn per epoch, plane and tag: further pages of the tag share these. Bounds the time. */
#define DRAWS_MAX 64

/* Longer after a pause its tag is one of many, and may be merged. */
#define ROW_MAX 64

/* A sweep is looked for in tags with as many neighbours on both sides, without the nearest. */
#define NEIGHBOURS 3
/*
 * What is more than expected must be more than chance: three standard deviations, and some pages.
 */
#define SWEEP_MIN 4
#define SWEEP_SIGMAS 3

/*
 * u and w of the next draw: the additive recurrence R2 (Roberts), whose points cover the square
 * more evenly than random ones, in 64-bit fixed point.
 */
static void draw(struct cvhrc *c, double *ret_u, double *ret_w)
{
	c->u += 0xc13fa9a902a6328full; /* 2^64 * 0.7548776662466927 */
	c->w += 0x91e10da5c79e7b1dull; /* 2^64 * 0.5698402909980532 */
	*ret_u = (double)(c->u >> 11) * 0x1p-53;
	*ret_w = (double)(c->w >> 11) * 0x1p-53;
}

/* One tag seen from a page that was last touched in it, in pages of the whole group. */
struct place {
	double above;	    /* last touched in later epochs */
	double beside;	    /* in the same one */
	double again;	    /* of these, touched now */
	double older;	    /* last touched in earlier epochs (or never), and touched now */
	double swept;	    /* of `again`, by a sweep */
	double newer_swept; /* in the next epoch, by the same sweep */
	double older_swept; /* in the epoch before */
};

static double scattered(const struct place *at, double u, double w)
{
	return at->above + at->beside * (1 - u) + at->again * u * w + at->older * w;
}

/*
 * x: how far within the swept pages of the tag. A sweep touches as many pages in this epoch as in
 * the one that it follows, so that one had `all`; where it began in this tag's predecessor, this is
 * the tag where it stops, of which `all` were its own; else those that it found are all that were
 * left. Less the page itself.
 */
static double swept(const struct place *at, double x)
{
	double all = at->swept + at->newer_swept + at->older_swept, own = at->swept, u, w;

	if (at->older_swept > 0) {
		own = all < at->beside ? all : at->beside;
		u = x * at->swept / all;
	} else {
		u = 1 - (1 - x) * at->swept / all;
	}
	w = (at->older_swept + x * at->swept) / all;
	return at->above + own - 1 + (at->beside - own) * (1 - u) + at->older_swept +
	       (at->older - at->older_swept) * w;
}

struct epoch {
	struct cvhrc *c;
	double weight[CVHRC_SOURCES]; /* of a page in the whole sample */
	struct place whole, half[2];
	struct cvhrc_window window, half_window[2];
	struct cvhrc_turn turn; /* zeros: none */
	float sweep[CVHRC_TAGS]; /* share of the touched pages of the tag */
};

struct sums {
	double count[3], touched[3]; /* the halves, the whole */
};

static struct sums sums_of(const struct epoch *e, unsigned tag)
{
	const struct cvhrc *c = e->c;
	struct sums s = { { 0 }, { 0 } };

	for (unsigned p = 0; p < CVHRC_PLANES && tag < CVHRC_TAGS; p++) {
		s.count[2] += e->weight[p / 2] * c->count[p][tag];
		s.touched[2] += e->weight[p / 2] * c->touched[p][tag];
		s.count[p & 1] += c->scale[p] * c->count[p][tag];
		s.touched[p & 1] += c->scale[p] * c->touched[p][tag];
	}
	return s;
}

/* Down from the next newer tag. */
static void step_down(struct place *at, const struct epoch *e, unsigned tag, unsigned part,
		      const struct sums *here, const struct sums *older)
{
	at->above += at->beside;
	at->beside = here->count[part];
	at->again = here->touched[part];
	at->older -= here->touched[part];
	at->newer_swept = at->swept;
	at->swept = here->touched[part] * e->sweep[tag];
	at->older_swept = older->touched[part] * e->sweep[tag - 1];
}

static void step_all(struct epoch *e, unsigned tag)
{
	struct sums here = sums_of(e, tag), older = sums_of(e, tag - 1);

	step_down(&e->half[0], e, tag, 0, &here, &older);
	step_down(&e->half[1], e, tag, 1, &here, &older);
	step_down(&e->whole, e, tag, 2, &here, &older);
}

static void add(struct epoch *e, unsigned plane, double whole, double half, double pages)
{
	struct cvhrc *c = e->c;

	c->hist[cvhrc_bin(whole, CVHRC_BITS, CVHRC_BINS)] += pages * e->weight[plane / 2];
	c->half[plane & 1][cvhrc_bin(half, CVHRC_HALF_BITS, CVHRC_HALF_BINS)] +=
		pages * c->scale[plane];
}

/* Before we came, or in the last pause. */
static bool is_vague(const struct cvhrc *c, unsigned tag)
{
	return tag <= CVHRC_FIRST || (c->row < ROW_MAX && tag + c->row + 1 == c->now);
}

static void add_vague(struct cvhrc *c, double above, double pages)
{
	c->vaguely[cvhrc_bin(above, CVHRC_HALF_BITS, CVHRC_HALF_BINS)] += (float)pages;
	c->vague += pages;
}

/*
 * Of these it is known only what was touched since we came, which lies above them: that is kept, and
 * cvhrc_curve() makes distances of it.
 */
static void count_vague(struct epoch *e, unsigned plane, unsigned tag)
{
	const struct place *at = &e->whole;
	uint32_t n = e->c->touched[plane][tag], draws = (uint32_t)arith_min(n, DRAWS_MAX);
	double each = draws ? (double)n / draws * e->weight[plane / 2] : 0;

	for (uint32_t i = 0; i < draws; i++) {
		double u, w;

		draw(e->c, &u, &w);
		add_vague(e->c, at->above + (at->again + at->older) * w, each);
	}
}

/*
 * Touched in the epoch before, too: so the hot ones are among them, which were touched late in it and
 * early in this one. u is the place by distance: those within one epoch, then the others.
 */
static double recent(const struct cvhrc_window *window, const struct place *at, double u, double w)
{
	double back;

	if (u < window->share)
		return cvhrc_window_pages(window, u / window->share);
	back = (u - window->share) / (1 - window->share);
	if (back + w < 1) {
		double swap = back;

		back = 1 - w;
		w = 1 - swap;
	}
	return scattered(at, 1 - back, w);
}

static void add_scattered(struct epoch *e, unsigned plane, bool last, double u, double w, double pages)
{
	const struct place *whole = &e->whole, *half = &e->half[plane & 1];

	if (last)
		add(e, plane, recent(&e->window, whole, u, w),
		    recent(&e->half_window[plane & 1], half, u, w), pages);
	else
		add(e, plane, scattered(whole, u, w), scattered(half, u, w), pages);
}

/* The pages of one tag and plane become references. */
static void count_tag(struct epoch *e, unsigned plane, unsigned tag)
{
	const struct place *half = &e->half[plane & 1];
	uint32_t n = e->c->touched[plane][tag], draws = (uint32_t)arith_min(n, DRAWS_MAX);
	double each = draws ? (double)n / draws : 0;
	double sweep = half->swept > 0 ? e->sweep[tag] : 0;
	bool last = tag == e->c->now - 1u && e->window.share > 0;

	for (uint32_t i = 0; i < draws; i++) {
		double u, w;

		draw(e->c, &u, &w);
		if (sweep > 0)
			add(e, plane, swept(&e->whole, u), swept(half, u), each * sweep);
		if (sweep < 1)
			add_scattered(e, plane, last, u, w, each * (1 - sweep));
	}
}

static uint64_t pages_of(const uint32_t planes[CVHRC_PLANES][CVHRC_TAGS], unsigned tag)
{
	uint64_t n = 0;

	for (unsigned p = 0; p < CVHRC_PLANES; p++)
		n += planes[p][tag];
	return n;
}

/*
 * In sampled pages, since this is about chance. How often pages come back falls with their age and
 * bends upwards, so the mean of both sides is at least what is to be expected; and where there is only
 * one that is newer, that is. The newest tag has nothing newer: see cvhrc_turn.h.
 */
static float sweep_of(const struct cvhrc *c, unsigned tag)
{
	double t = (double)pages_of(c->touched, tag), touched = 0, count = 0, expected, more;
	bool second = tag + 2 == c->now;

	if (t <= SWEEP_MIN)
		return 0;
	for (unsigned i = second ? 1 : 2; i < 2 + NEIGHBOURS && tag + i < c->now; i++) {
		touched += (double)pages_of(c->touched, tag + i);
		count += (double)pages_of(c->count, tag + i);
		if (second || tag < CVHRC_BEFORE + 1 + i)
			continue;
		touched += (double)pages_of(c->touched, tag - i);
		count += (double)pages_of(c->count, tag - i);
	}
	expected = count > 0 ? (double)pages_of(c->count, tag) * touched / count : 0;
	more = t - expected - SWEEP_MIN;
	if (!(more > 0 && more * more > SWEEP_SIGMAS * SWEEP_SIGMAS * expected))
		return 0;
	return (float)((t - expected) / t);
}

static void look_for_sweeps(struct epoch *e)
{
	memset(e->sweep, 0, sizeof(e->sweep));
	for (unsigned tag = CVHRC_BEFORE + 1; tag + 2 <= e->c->now; tag++)
		e->sweep[tag] = sweep_of(e->c, tag);
}

/* Where its pages come back at is known to no better than half of the way between the least and the most. */
static void look_for_a_turn(struct epoch *e)
{
	struct cvhrc *c = e->c;
	double count[CVHRC_AGES], touched[CVHRC_AGES], all, left, n;

	for (unsigned age = 0; age < CVHRC_AGES; age++) {
		count[age] = (double)pages_of(c->count, c->now - 1u - age);
		touched[age] = (double)pages_of(c->touched, c->now - 1u - age);
	}
	cvhrc_turn_note(&c->ages, count, touched);
	if (!cvhrc_turn_find(&c->ages, &e->turn))
		return;
	e->sweep[c->now - 1] = (float)e->turn.touched[0];
	e->sweep[c->now - 2] = (float)e->turn.touched[1];
	all = sums_of(e, c->now - 1u).count[2];
	left = e->turn.pages[1] * sums_of(e, c->now - 2u).count[2];
	n = e->turn.pages[0] * all;
	c->unsure += all > left ? n * (all - left) / 4 : 0;
}

static void open_window(struct epoch *e, struct cvhrc_window *window, const struct sums sums[4],
			unsigned part)
{
	double n = e->turn.pages[0] * sums[0].count[part];
	double left = e->turn.pages[1] * sums[1].count[part];
	double one = sums[0].count[part] - n, two = one + sums[1].count[part] - left;
	double four = two + sums[2].count[part] + sums[3].count[part];

	cvhrc_window_open(window, one, two, four, sums[0].touched[part] * (1 - e->turn.touched[0]));
	cvhrc_window_sweep(window, n);
}

static void look_at_the_last(struct epoch *e)
{
	struct sums sums[4];

	/* None of the four may be a pause. */
	if (e->c->now < CVHRC_FIRST + 5 || e->c->row < 4)
		return;
	look_for_a_turn(e);
	for (unsigned age = 0; age < 4; age++)
		sums[age] = sums_of(e, e->c->now - 1u - age);
	open_window(e, &e->half_window[0], sums, 0);
	open_window(e, &e->half_window[1], sums, 1);
	open_window(e, &e->window, sums, 2);
}

static double touches(const struct cvhrc *c, unsigned plane)
{
	double n = 0;

	for (unsigned tag = 0; tag < c->now; tag++)
		n += c->touched[plane][tag];
	return n;
}

/* Cold misses, unless refaults say that the page had a place once. */
static void count_cold(struct cvhrc *c, double cold, double refaults)
{
	double lost = cold < refaults ? cold : refaults;

	c->cold += cold - lost;
	c->hist[CVHRC_BINS - 1] += lost;
}

void cvhrc_count(struct cvhrc *c, const double weight[CVHRC_SOURCES], uint64_t refaults)
{
	struct epoch e = { .c = c, .weight = { weight[0], weight[1] } };
	double cold = 0;

	for (unsigned p = 0; p < CVHRC_PLANES; p++) {
		double n = touches(c, p);

		double vague = 0;

		for (unsigned tag = CVHRC_BEFORE; tag < c->now; tag++)
			vague += is_vague(c, tag) ? c->touched[p][tag] : 0;
		c->samples += n;
		e.whole.older += n * weight[p / 2];
		e.half[p & 1].older += n * c->scale[p];
		c->half_refs[p & 1] += (n - vague) * c->scale[p];
		cold += weight[p / 2] * c->touched[p][CVHRC_NEVER];
		c->again += weight[p / 2] * c->touched[p][c->now - 1];
	}
	c->refs += e.whole.older;
	count_cold(c, cold, (double)refaults);
	look_for_sweeps(&e);
	look_at_the_last(&e);
	for (unsigned tag = c->now - 1u; tag > CVHRC_NEVER; tag--) {
		step_all(&e, tag);
		for (unsigned p = 0; p < CVHRC_PLANES; p++)
			if (is_vague(c, tag))
				count_vague(&e, p, tag);
			else
				count_tag(&e, p, tag);
	}
}
