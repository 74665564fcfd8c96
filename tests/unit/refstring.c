/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "refstring.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double unit(struct random_state *random)
{
	return (double)(random_u64(random) >> 11) * 0x1p-53;
}

static void add(struct refstring *r, uint64_t at, uint32_t by)
{
	for (at++; at <= r->tree_size; at += at & -at)
		r->tree[at] += by;
}

/* Pages whose last touch is at `at` or before. */
static uint64_t up_to(const struct refstring *r, uint64_t at)
{
	uint64_t sum = 0;

	for (at++; at > 0; at -= at & -at)
		sum += r->tree[at];
	return sum;
}

static void open_zipf(struct refstring *r, uint32_t n, double alpha)
{
	double sum = 0;

	r->cdf = calloc(n, sizeof(*r->cdf));
	r->perm = calloc(n, sizeof(*r->perm));
	for (uint32_t i = 0; i < n; i++) {
		sum += pow(i + 1, -alpha);
		r->cdf[i] = sum;
		r->perm[i] = i;
	}
	for (uint32_t i = 0; i < n; i++)
		r->cdf[i] /= sum;
	for (uint32_t i = n - 1; i > 0; i--) {
		uint32_t j = (uint32_t)random_below(&r->random, i + 1), swap = r->perm[i];

		r->perm[i] = r->perm[j];
		r->perm[j] = swap;
	}
}

void refstring_open(struct refstring *r, const struct refstring_spec *spec)
{
	memset(r, 0, sizeof(*r));
	r->spec = *spec;
	r->random.x = 88172645463325252ull;
	r->tree_size = spec->pages + (uint64_t)spec->per_epoch * (spec->warm_up + spec->epochs);
	r->tree = calloc(r->tree_size + 1, sizeof(*r->tree));
	r->last = calloc(spec->pages, sizeof(*r->last));
	r->touched = calloc(spec->pages, sizeof(*r->touched));
	r->hist = calloc(spec->pages + 1, sizeof(*r->hist));
	if (spec->kind == REF_ZIPF)
		open_zipf(r, spec->pages, spec->alpha);
	if (spec->kind == REF_MIX)
		open_zipf(r, spec->pages / 2, 0.99);
	for (uint32_t i = 0; i < spec->pages; i++) {
		r->last[i] = i;
		add(r, i, 1);
	}
	r->t = spec->pages;
}

void refstring_close(struct refstring *r)
{
	free(r->cdf);
	free(r->perm);
	free(r->tree);
	free(r->last);
	free(r->touched);
	free(r->hist);
}

static uint32_t zipf(struct refstring *r, uint32_t n)
{
	double x = unit(&r->random);
	uint32_t lo = 0, hi = n - 1;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (r->cdf[mid] >= x)
			hi = mid;
		else
			lo = mid + 1;
	}
	return r->perm[lo];
}

static uint32_t mixed(struct refstring *r, uint32_t n)
{
	switch (random_below(&r->random, 3)) {
	case 0:
		return zipf(r, n / 2);
	case 1:
		return n / 2 + (uint32_t)(r->loop++ % (n / 4));
	default:
		return n / 2 + n / 4 + (uint32_t)random_below(&r->random, n / 4);
	}
}

static uint32_t next(struct refstring *r)
{
	uint32_t n = r->spec.pages, hot = n / 8;

	switch (r->spec.kind) {
	case REF_UNIFORM:
		return (uint32_t)random_below(&r->random, n);
	case REF_LOOP:
		return (uint32_t)(r->loop++ % n);
	case REF_ZIPF:
		return zipf(r, n);
	case REF_HOTCOLD:
		if (random_below(&r->random, 8) == 0)
			return hot + (uint32_t)(r->loop++ % (n - hot));
		return (uint32_t)random_below(&r->random, hot);
	case REF_PHASES:
		if (r->epoch <= r->spec.warm_up + r->spec.epochs / 2)
			return (uint32_t)random_below(&r->random, n / 2);
		return n - n / 4 + (uint32_t)random_below(&r->random, n / 4);
	default:
		return mixed(r, n);
	}
}

static void access_page(struct refstring *r, uint32_t page)
{
	if (!r->touched[page] && r->epoch > r->spec.warm_up) {
		r->hist[r->spec.pages - up_to(r, r->last[page])]++;
		r->refs++;
	}
	r->touched[page] = true;
	add(r, r->last[page], UINT32_MAX);
	r->last[page] = r->t;
	add(r, r->t++, 1);
}

void refstring_epoch(struct refstring *r)
{
	memset(r->touched, 0, r->spec.pages * sizeof(*r->touched));
	r->epoch++;
	for (uint32_t i = 0; i < r->spec.per_epoch; i++)
		access_page(r, next(r));
}

double refstring_hit_ratio(const struct refstring *r, uint32_t pages)
{
	double hits = 0;

	for (uint32_t d = 0; d < pages && d < r->spec.pages; d++)
		hits += r->hist[d];
	return r->refs > 0 ? hits / r->refs : 0;
}

/* Straight from the definition, page by page: the highest point, then the least that is nearly as high. */
uint32_t refstring_knee(const struct refstring *r)
{
	double all = 0, best = 0;
	uint32_t n = r->spec.pages;

	for (uint32_t d = 0; d < n; d++)
		all += r->hist[d];
	for (int pass = 0; pass < 2; pass++) {
		double hits = 0;

		for (uint32_t d = 0; d < n; d++) {
			double above;

			hits += r->hist[d];
			above = hits / all - 0.25 * (d + 1) / n;
			if (pass && above >= best - 0.01)
				return d + 1;
			best = !pass && above > best ? above : best;
		}
	}
	return 0;
}
