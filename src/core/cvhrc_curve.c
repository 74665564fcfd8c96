/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <string.h>

#include "core/arith.h"
#include "core/cvhrc.h"
#include "core/cvhrc_inside.h"

#define LINEAR_STEPS 64 /* points of the curve at even sizes, and as many at even hit ratios */
#define GRID_STEPS 128	/* for the error */
#define WINDOWS 40	/* of the extent: less is noise to a slope */

/* A knee that is not above the resolution by this much may be an artefact of it. */
#define RESOLVED_PERMILLE 1200

/*
 * Fewer epochs than that make no knee that could be believed; nor does a curve of which a fifth of
 * the references are to pages of which it is not known when they were touched last.
 */
#define EPOCHS_MIN 8
#define VAGUE_SHARE 0.2
#define ERROR_MAX 0.05

/*
 * Where the curve is nearly parallel to the line, errors of a thousandth move its highest point far:
 * the least size that comes so close to it counts.
 */
#define FLAT 0.01

/* Traces of what has decayed are no part of the extent. */
#define TRACE 1e-4

/*
 * A histogram by its sums: sum[b] lies below bin b. No page lies beyond `top`, nor does any bin.
 */
struct ladder {
	double top;
	unsigned bits, bins;
	double sum[CVHRC_BINS + 1];
};

static void climb(struct ladder *l, const double *hist, unsigned bits, unsigned bins)
{
	double sum = 0;

	l->bits = bits;
	l->bins = bins;
	l->top = CVHRC_BEYOND;
	for (unsigned i = 0; i < bins; i++) {
		l->sum[i] = sum;
		sum += hist[i];
	}
	l->sum[bins] = sum;
}

static double in_bin(const struct ladder *l, unsigned bin)
{
	return l->sum[bin + 1] - l->sum[bin];
}

static double bin_end(const struct ladder *l, unsigned bin)
{
	double end = cvhrc_bin_low(bin + 1, l->bits);

	return l->top > cvhrc_bin_low(bin, l->bits) && l->top < end ? l->top : end;
}

/* References with a distance below x pages: these hit at that size. */
static double hits_at(const struct ladder *l, double x)
{
	unsigned bin = cvhrc_bin(x, l->bits, l->bins);
	double low, high;

	if (bin >= l->bins - 1)
		return l->sum[l->bins - 1];
	low = cvhrc_bin_low(bin, l->bits);
	high = bin_end(l, bin);
	return l->sum[bin] + (x < high ? in_bin(l, bin) * ((x - low) / (high - low)) : in_bin(l, bin));
}

/* The smallest size with so many hits. */
static double size_for(const struct ladder *l, double hits)
{
	unsigned lo = 0, hi = l->bins - 1;
	double low, high, part;

	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;

		if (l->sum[mid + 1] >= hits)
			hi = mid;
		else
			lo = mid + 1;
	}
	low = cvhrc_bin_low(lo, l->bits);
	if (lo == l->bins - 1 || !(in_bin(l, lo) > 0))
		return low;
	high = bin_end(l, lo);
	part = (hits - l->sum[lo]) / in_bin(l, lo);
	return low + (high - low) * (part < 0 ? 0 : part > 1 ? 1 : part);
}

/*
 * All mapped pages, and of the pages of files those that are read again: a backup that reads a disk
 * once is not to make the axis so long that all the rest is a dot at its origin.
 */
static double extent_of(const struct cvhrc *c, const struct ladder *l)
{
	double mapped = (double)(c->pages - c->unclearable_pages);
	double all = mapped + c->file_pages;
	double far = size_for(l, l->sum[l->bins - 1] * (1 - TRACE));

	far = far < all ? far : all;
	far = far > mapped ? far : mapped;
	return far > 1 ? far : 1;
}

/*
 * Vague references: all that is known is what lies above them, at least. They are as the others that
 * lie as far or farther (Kaplan and Meier 1958, for lives whose end is not seen), each at its turn:
 * `weight` is what one of those others stands for by then. Where most of what lies as far is vague
 * itself, that is no help, and they are spread evenly up to the extent, since they were there.
 *
 * What that may be off by: from where they are spread to either end, half of the way, on average;
 * those that others speak for, a quarter of that.
 */
struct completion {
	double extent;
	double seen, vague; /* from here on */
	double weight;
	double spread; /* per page from here on */
	double error;
};

#define SPOKEN_FOR 0.75

static void settle(struct completion *to, double low, double vague)
{
	double trust = to->seen > 0 ? to->seen / (to->seen + to->vague / 4) : 0, others, left;

	if (!(vague > 0))
		return;
	others = to->seen + to->vague - vague;
	trust = others > 0 ? trust : 0;
	left = to->extent > low + 1 ? to->extent - low : 1;
	to->error += to->weight * vague * (left / to->extent / 2) * (1 - SPOKEN_FOR * trust);
	to->spread += to->weight * vague * (1 - trust) / left;
	if (trust > 0)
		to->weight += to->weight * trust * vague / others;
	to->vague -= vague;
}

/* The share of a bin that lies below the extent, in pages. */
static double width_of(const struct completion *to, double low, double high)
{
	high = high < to->extent ? high : to->extent;
	return high > low ? high - low : 0;
}

/* The whole histogram, vague references included. Returns by how much of the curve they may be off. */
static double climb_all(struct ladder *l, const struct cvhrc *c, double extent)
{
	struct completion to = { .extent = extent, .weight = 1 };
	unsigned end = cvhrc_bin(extent, CVHRC_BITS, CVHRC_BINS);
	unsigned coarse_end = cvhrc_bin(extent - 1, CVHRC_HALF_BITS, CVHRC_HALF_BINS);
	unsigned coarse = CVHRC_HALF_BINS;
	double sum = 0;

	climb(l, c->hist, CVHRC_BITS, CVHRC_BINS);
	l->top = extent;
	to.seen = hits_at(l, extent);
	to.vague = c->vague;
	for (unsigned bin = 0; bin < CVHRC_BINS; bin++) {
		double low = cvhrc_bin_low(bin, CVHRC_BITS), seen = c->hist[bin];
		unsigned now = cvhrc_bin(low, CVHRC_HALF_BITS, CVHRC_HALF_BINS);

		/* As far as the extent, now: pages may have gone. */
		for (; coarse != now; coarse = now)
			settle(&to, low, now < coarse_end ? c->vaguely[now] : to.vague);
		l->sum[bin] = sum;
		sum += bin <= end ? seen * to.weight : seen;
		sum += to.spread * width_of(&to, low, cvhrc_bin_low(bin + 1, CVHRC_BITS));
		to.seen -= seen;
	}
	l->sum[CVHRC_BINS] = sum;
	return c->refs > 0 ? to.error / c->refs : 0;
}

struct axis {
	const struct ladder *ladder;
	double extent; /* pages */
	double hits;   /* at the extent */
};

/*
 * Where the curve lies highest above a line of this slope: the last size up to which memory pays
 * that much, be it by a steady rise or by a step. It is a point of the concave hull, so no noise,
 * no flat part before a step, and no step that is small for what it costs can mislead it, and no
 * window need be chosen.
 *
 * Slope 1 is the chord: the point of the strongest curvature. Default of the knee, 0.25: past it no
 * amount of further memory brings a quarter of what memory brings on average. A straight curve
 * (uniform use), or a step at its end (a loop), is worth all of it; a fifth of the references
 * spread over four fifths of the memory is just not.
 */
static double above_line(const struct axis *a, double x, double slope)
{
	return hits_at(a->ladder, x) / a->hits - slope * x / a->extent;
}

static double tangent(const struct axis *a, double slope)
{
	double best = 0, low, x = 0;

	for (unsigned bin = 1; bin < CVHRC_BINS && x < a->extent; bin++) {
		low = cvhrc_bin_low(bin, CVHRC_BITS);
		x = low < a->extent ? low : a->extent;
		low = above_line(a, x, slope);
		best = low > best ? low : best;
	}
	x = 0;
	for (unsigned bin = 1; bin < CVHRC_BINS && x < a->extent; bin++) {
		low = cvhrc_bin_low(bin, CVHRC_BITS);
		x = low < a->extent ? low : a->extent;
		if (best > 0 && above_line(a, x, slope) >= best - FLAT)
			return x;
	}
	return 0;
}

static double ratio(double part, double whole)
{
	double r = whole > 0 ? part / whole : 0;

	return r < 0 ? 0 : r > 1 ? 1 : r;
}

/* 0 <= x: by Newton, from above; 24 steps halve what is too much, then double the digits. */
static double root(double x)
{
	double r = x < 1 ? 1 : x;

	for (unsigned i = 0; i < 24 && x > 0; i++)
		r = (r + x / r) / 2;
	return x > 0 ? r : 0;
}

/*
 * Of the mean of two halves: that differ by d when each is off by d / 1.4, and their mean by d / 2.
 */
static double error_of(const struct cvhrc *c, double extent, struct ladder *l)
{
	double at[GRID_STEPS + 1], sum = 0;

	if (!(c->half_refs[0] > 0 && c->half_refs[1] > 0))
		return 1;
	climb(l, c->half[0], CVHRC_HALF_BITS, CVHRC_HALF_BINS);
	l->top = extent;
	for (unsigned i = 1; i <= GRID_STEPS; i++)
		at[i] = ratio(hits_at(l, extent * i / GRID_STEPS), c->half_refs[0]);
	climb(l, c->half[1], CVHRC_HALF_BITS, CVHRC_HALF_BINS);
	l->top = extent;
	for (unsigned i = 1; i <= GRID_STEPS; i++) {
		double d = at[i] - ratio(hits_at(l, extent * i / GRID_STEPS), c->half_refs[1]);

		sum += d < 0 ? -d : d;
	}
	return sum / GRID_STEPS / 2;
}

/*
 * Two halves are but one pair, and may agree by chance. A page that comes back in every epoch is in the
 * sample or is not: of m references per epoch in the sample, of which `again` come back, a share R of
 * hits is off by sqrt(R (1 - R) again / m), 0.39 of the root on average over R; and the mean of
 * what is off so is 0.8 of it.
 */
static double chance_of(const struct cvhrc *c)
{
	double share = ratio(c->samples, c->refs);

	return 0.31 * root(ratio(c->again, c->refs) * (1 - share) * ratio(c->epochs, c->samples));
}

static uint64_t bytes_of(const struct cvhrc *c, double pages)
{
	return arith_from_double(pages * (double)c->setup.page_bytes + 0.5);
}

/* What cannot be cleared is always in use: it lies below every size of the curve. */
static uint64_t size_of(const struct cvhrc *c, double pages)
{
	return bytes_of(c, pages + (double)c->unclearable_pages);
}

static void add_point(struct cvhrc_curve *ret, uint64_t size_bytes, double hit_ratio)
{
	struct cvhrc_point *last = ret->npoints ? &ret->points[ret->npoints - 1] : NULL;

	if (last && size_bytes <= last->size_bytes)
		last->hit_ratio = hit_ratio;
	else if (ret->npoints < CVHRC_POINTS_MAX)
		ret->points[ret->npoints++] = (struct cvhrc_point){ size_bytes, hit_ratio };
}

/* Even sizes for the eye, even hit ratios for what happens in a small part of the memory. */
static void add_points(const struct cvhrc *c, const struct axis *a, struct cvhrc_curve *ret)
{
	unsigned i = 0, j = 1;

	while (i <= LINEAR_STEPS) {
		double x = a->extent * i / LINEAR_STEPS;
		double y = j < LINEAR_STEPS ? size_for(a->ladder, a->hits * j / LINEAR_STEPS) : x;

		if (y < x)
			j++;
		else
			i++;
		x = y < x ? y : x;
		add_point(ret, size_of(c, x), ratio(hits_at(a->ladder, x), c->refs));
	}
}

static void fill_knees(const struct cvhrc *c, const struct axis *a, struct cvhrc_curve *ret)
{
	static const double shares[CVHRC_SHARES] = { 0.90, 0.95, 0.99 };
	double f1 = c->refs / c->epochs;
	double curvature = tangent(a, 1);
	double knee = tangent(a, c->setup.knee_slope_permille / 1000.0);

	ret->knee_below_resolution = knee * 1000 < f1 * RESOLVED_PERMILLE;
	if (ret->knee_below_resolution && knee < f1)
		knee = f1;
	ret->knee_bytes = size_of(c, knee);
	ret->knee_curvature_bytes = size_of(c, curvature > 0 ? curvature : a->extent);
	for (unsigned i = 0; i < CVHRC_SHARES; i++)
		ret->need_bytes[i] = size_of(c, size_for(a->ladder, a->hits * shares[i]));
}

static void fill_facts(const struct cvhrc *c, const struct axis *a, struct cvhrc_curve *ret)
{
	ret->refs_per_s = c->refs / c->seconds;
	ret->resolution_bytes = size_of(c, c->refs / c->epochs);
	ret->cold_ratio = ratio(c->cold, c->refs);
	ret->refault_ratio = ratio(c->refs - c->cold - a->hits, c->refs);
	ret->sampled_share =
		ratio((double)c->sampled_pages,
		      (double)(c->pages - c->unclearable_pages) + c->file_pages);
	ret->extent_bytes = size_of(c, a->extent);
	ret->resident_bytes = bytes_of(c, (double)c->resident_pages);
	ret->unclearable_bytes = bytes_of(c, (double)c->unclearable_pages);
	ret->page_bytes = c->setup.page_bytes;
}

static enum cvhrc_doubt doubt_of(const struct cvhrc *c, const struct axis *a, double error)
{
	if (!(a->hits > 0))
		return CVHRC_NO_REUSE;
	if (c->counted < EPOCHS_MIN)
		return CVHRC_FEW_EPOCHS;
	if (c->vague > VAGUE_SHARE * c->refs)
		return CVHRC_VAGUE;
	return error > ERROR_MAX ? CVHRC_INEXACT : CVHRC_SURE;
}

static double told_error(const struct cvhrc *c, struct ladder *l, double extent)
{
	double halves = error_of(c, extent, l), chance = chance_of(c);

	return halves > chance ? halves : chance;
}

bool cvhrc_curve(const struct cvhrc *c, struct cvhrc_curve *ret)
{
	struct ladder l;
	struct axis a = { .ladder = &l };
	double vague_error;

	if (!(c->refs > 0 && c->epochs > 0 && c->seconds > 0))
		return false;
	memset(ret, 0, sizeof(*ret));
	climb(&l, c->hist, CVHRC_BITS, CVHRC_BINS);
	a.extent = extent_of(c, &l);
	vague_error = climb_all(&l, c, a.extent);
	a.hits = hits_at(&l, a.extent);
	fill_facts(c, &a, ret);
	if (c->unclearable_pages)
		add_point(ret, 0, 0);
	add_points(c, &a, ret);
	if (a.hits > 0)
		fill_knees(c, &a, ret);
	ret->error = told_error(c, &l, a.extent) + vague_error + ratio(c->unsure, c->refs * a.extent);
	ret->error = ret->error < 1 ? ret->error : 1;
	ret->doubt = doubt_of(c, &a, ret->error);
	ret->confident = ret->doubt == CVHRC_SURE;
	return true;
}

double cvhrc_hit_ratio(const struct cvhrc_curve *curve, uint64_t bytes)
{
	unsigned lo = 0, hi = curve->npoints;
	const struct cvhrc_point *p = curve->points;

	if (hi == 0)
		return 0;
	if (bytes <= p[0].size_bytes)
		return p[0].hit_ratio;
	if (bytes >= p[hi - 1].size_bytes)
		return p[hi - 1].hit_ratio;
	while (hi - lo > 1) {
		unsigned mid = lo + (hi - lo) / 2;

		if (p[mid].size_bytes <= bytes)
			lo = mid;
		else
			hi = mid;
	}
	return p[lo].hit_ratio + (p[hi].hit_ratio - p[lo].hit_ratio) *
					 ((double)(bytes - p[lo].size_bytes) /
					  (double)(p[hi].size_bytes - p[lo].size_bytes));
}

double cvhrc_marginal(const struct cvhrc_curve *curve, uint64_t bytes)
{
	uint64_t low = bytes, window = arith_max(curve->extent_bytes / WINDOWS, curve->page_bytes);
	uint64_t high = arith_add(low, window);
	double hits;

	if (bytes < curve->resolution_bytes) {
		low = 0;
		high = curve->resolution_bytes;
	}
	hits = cvhrc_hit_ratio(curve, high) - cvhrc_hit_ratio(curve, low);
	if (high <= low)
		return 0;
	return hits * curve->refs_per_s * (curve->page_bytes / (double)(high - low));
}
