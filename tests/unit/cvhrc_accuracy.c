/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The curve from accessed bits against the exact one, on reference strings that are known: what is
 * left is the error of the model and of the sampling.
 */
#include "core/cvhrc.h"
#include "core/cvhrc_files.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pfuse/reads.h"
#include "refstring.h"

#define PAGE ((uint64_t)4096)
#define CHUNK 64 /* pages: the scanner's 256 KiB */
#define EPOCH_NS 250000000ull

/* A scanner as the edge has it: tags of the sampled pages, one chunk of `rate` in each stratum. */
struct scanner {
	struct cvhrc c;
	uint16_t *tags;
	uint32_t pages;
	uint32_t rate;
	uint32_t warm_up;
	uint32_t epochs;
	double *hist; /* the exact references, weighted as the core weighs its own */
	double refs;
};

static void scanner_open(struct scanner *s, uint32_t pages, uint32_t rate, uint64_t half_life_ns)
{
	struct cvhrc_setup setup = { .half_life_ns = half_life_ns, .seed = 42 };

	memset(s, 0, sizeof(*s));
	cvhrc_init(&s->c, &setup);
	s->tags = calloc(pages, sizeof(*s->tags));
	s->hist = calloc(pages, sizeof(*s->hist));
	s->pages = pages;
	s->rate = rate;
}

static bool is_sampled(const struct scanner *s, uint32_t page)
{
	uint64_t chunk = page / CHUNK, stratum = chunk / s->rate;

	return chunk % s->rate == ((stratum + 5) * 0x9e3779b97f4a7c15ull >> 40) % s->rate;
}

static enum cvhrc_plane plane_of(uint32_t page)
{
	return page / CHUNK / 16 % 2 ? CVHRC_MAPPED_ODD : CVHRC_MAPPED_EVEN;
}

static void scan_page(struct scanner *s, uint32_t page, bool touched)
{
	enum cvhrc_plane plane = plane_of(page);

	if (s->epochs == 0) {
		cvhrc_arrive(&s->c, plane, touched, 1);
		s->tags[page] = touched ? cvhrc_now(&s->c) : CVHRC_BEFORE;
	} else if (touched) {
		cvhrc_touch(&s->c, plane, s->tags[page], 1);
		s->tags[page] = cvhrc_now(&s->c);
	}
}

static void scanner_epoch(struct scanner *s, const bool *touched)
{
	struct cvhrc_totals totals = { .length_ns = EPOCH_NS, .pages = s->pages };

	/* Another length of the epochs: what was counted in the warm-up is dropped. */
	if (cvhrc_begin(&s->c, s->epochs < s->warm_up ? 2 * EPOCH_NS : EPOCH_NS))
		for (uint32_t i = 0; i < s->pages; i++)
			s->tags[i] = cvhrc_renumber(&s->c, s->tags[i]);
	for (uint32_t i = 0; i < s->pages; i++)
		if (is_sampled(s, i))
			scan_page(s, i, s->epochs == 0 || touched[i]);
	cvhrc_end(&s->c, &totals);
	s->epochs++;
}

static void scanner_close(struct scanner *s)
{
	free(s->tags);
	free(s->hist);
}

/* One epoch of the string and of the scanner. What the core forgets is forgotten here, too. */
static void scanner_follow(struct scanner *s, const struct refstring *r, const double *before)
{
	double epochs = s->c.epochs, kept, fresh;
	bool counts = s->epochs > 0;

	scanner_epoch(s, r->touched);
	kept = epochs > 0 ? (s->c.epochs - counts) / epochs : 0;
	s->refs = 0;
	for (uint32_t d = 0; d < s->pages; d++) {
		fresh = counts ? r->hist[d] - before[d] : 0;
		s->hist[d] = s->hist[d] * kept + fresh;
		s->refs += s->hist[d];
	}
}

struct result {
	struct cvhrc_curve curve;
	double mae;
	double mae_resolved; /* from the resolution on */
	double worst;
	double knee_error; /* relative */
};

static void compare_with(const struct refstring *r, const double *hist, double refs,
			 struct result *ret)
{
	uint32_t n = r->spec.pages, grid = 512;
	struct refstring exact = { .spec = r->spec, .hist = (double *)hist };
	uint32_t knee = refstring_knee(&exact);
	double hits = 0, resolved = 0;

	ret->mae = ret->worst = ret->mae_resolved = 0;
	for (uint32_t d = 0; d < n; d++) {
		double off;

		hits += hist[d];
		if ((d + 1) % (n / grid))
			continue;
		off = fabs(hits / refs - cvhrc_hit_ratio(&ret->curve, (d + 1) * PAGE));
		if ((d + 1) * PAGE >= ret->curve.resolution_bytes) {
			ret->mae_resolved += off;
			resolved++;
		}
		ret->mae += off / grid;
		ret->worst = fmax(ret->worst, off);
	}
	ret->mae_resolved = resolved > 0 ? ret->mae_resolved / resolved : 0;
	ret->knee_error = (double)ret->curve.knee_bytes / PAGE / knee - 1;
}

static void compare(const struct refstring *r, struct result *ret)
{
	compare_with(r, r->hist, r->refs, ret);
}

enum { RATES = 2 };

/* One string, scanned with two rates. */
static void measure(const struct refstring_spec *spec, const uint32_t rates[RATES],
		    struct result ret[RATES])
{
	struct scanner *s = calloc(RATES, sizeof(*s));
	double *before = calloc(spec->pages, sizeof(*before));
	struct refstring r;

	refstring_open(&r, spec);
	for (unsigned k = 0; k < RATES; k++) {
		scanner_open(&s[k], spec->pages, rates[k], UINT64_MAX);
		s[k].warm_up = spec->warm_up;
	}
	for (uint32_t i = 0; i < spec->warm_up + spec->epochs; i++) {
		memcpy(before, r.hist, spec->pages * sizeof(*before));
		refstring_epoch(&r);
		for (unsigned k = 0; k < RATES; k++)
			scanner_follow(&s[k], &r, before);
	}
	for (unsigned k = 0; k < RATES; k++) {
		cr_assert(cvhrc_curve(&s[k].c, &ret[k].curve));
		compare_with(&r, s[k].hist, s[k].refs, &ret[k]);
		scanner_close(&s[k]);
	}
	free(before);
	free(s);
	refstring_close(&r);
}

static void expect_one(const char *name, uint32_t rate, const struct result *r, double mae_max)
{
	printf("%-8s 1/%-2u MAE %.4f max %.3f, error told %.4f, F1 %" PRIu64 " knee %" PRIu64
	       " (%+.1f %%) curvature %" PRIu64 " pages%s%s\n",
	       name, rate, r->mae, r->worst, r->curve.error, r->curve.resolution_bytes / PAGE,
	       r->curve.knee_bytes / PAGE, r->knee_error * 100,
	       r->curve.knee_curvature_bytes / PAGE,
	       r->curve.knee_below_resolution ? ", below the resolution" : "",
	       r->curve.confident ? "" : ", not confident");
	cr_expect(r->mae <= mae_max, "%s 1/%u: MAE %.4f", name, rate, r->mae);
	cr_expect(r->curve.error <= 0.03, "%s 1/%u: error %.4f told", name, rate, r->curve.error);
	cr_expect(r->mae_resolved <= 2 * r->curve.error + 0.004,
		  "%s 1/%u: error %.4f told, and is %.4f", name, rate, r->curve.error,
		  r->mae_resolved);
	cr_expect(r->curve.confident, "%s 1/%u: not confident", name, rate);
	cr_expect(!r->curve.knee_below_resolution, "%s 1/%u: below the resolution", name, rate);
	/* Where much is vague, so is the knee of a curve that is nearly straight there. */
	cr_expect(fabs(r->knee_error) <= fmax(0.05, 3 * r->curve.error),
		  "%s 1/%u: knee off by %+.3f", name, rate, r->knee_error);
}

static void expect(const char *name, const struct refstring_spec *spec, uint32_t rate,
		   double mae_max)
{
	const uint32_t rates[RATES] = { 1, rate };
	struct result r[RATES];

	measure(spec, rates, r);
	for (unsigned k = 0; k < RATES; k++)
		expect_one(name, rates[k], &r[k], mae_max);
}

Test(cvhrc_accuracy, uniform)
{
	static const struct refstring_spec spec = { REF_UNIFORM, 0, 32768, 8192, 12, 60 };

	expect("uniform", &spec, 16, 0.01);
}

Test(cvhrc_accuracy, loop)
{
	static const struct refstring_spec spec = { REF_LOOP, 0, 32768, 3000, 12, 60 };

	expect("loop", &spec, 16, 0.03);
}

Test(cvhrc_accuracy, zipf)
{
	static const double alphas[] = { 0.6, 0.8, 0.99, 1.2 };
	char name[16];

	for (unsigned i = 0; i < 4; i++) {
		struct refstring_spec spec = { REF_ZIPF, alphas[i], 65536, 10000, 40, 60 };

		snprintf(name, sizeof(name), "zipf %.2f", alphas[i]);
		expect(name, &spec, i < 3 ? 4 : 2, 0.01);
	}
}

Test(cvhrc_accuracy, hot_and_cold)
{
	static const struct refstring_spec spec = { REF_HOTCOLD, 0, 65536, 4000, 130, 70 };

	expect("hotcold", &spec, 4, 0.01);
}

Test(cvhrc_accuracy, mix)
{
	static const struct refstring_spec spec = { REF_MIX, 0, 65536, 8000, 40, 70 };

	expect("mix", &spec, 8, 0.01);
}

Test(cvhrc_accuracy, phases)
{
	static const struct refstring_spec spec = { REF_PHASES, 0, 32768, 4000, 0, 160 };

	expect("phases", &spec, 16, 0.01);
}

/* Nobody waited until all pages had been seen: the first touches of each have no known distance. */
Test(cvhrc_accuracy, from_the_very_beginning)
{
	static const struct refstring_spec loop = { REF_LOOP, 0, 65536, 3750, 0, 80 };
	static const struct refstring_spec zipf = { REF_ZIPF, 0.99, 65536, 15000, 0, 80 };
	static const struct refstring_spec hotcold = { REF_HOTCOLD, 0, 65536, 4000, 0, 160 };

	expect("loop", &loop, 8, 0.01);
	expect("zipf", &zipf, 4, 0.01);
	expect("hotcold", &hotcold, 4, 0.01);
}

/* Around in two or three epochs and a bit: each touches a good part of all pages. */
Test(cvhrc_accuracy, a_loop_of_few_epochs)
{
	static const struct refstring_spec two = { REF_LOOP, 0, 65536, 29000, 8, 40 };
	static const struct refstring_spec three = { REF_LOOP, 0, 65536, 19000, 8, 40 };

	expect("short", &two, 8, 0.03);
	expect("short", &three, 8, 0.03);
}

/*
 * Around in 1.3 to 1.7 epochs, alone and beside other pages: most of the loop comes back after one epoch, as hot
 * pages do. Where it lies is less sure than it looks from the sample.
 */
Test(cvhrc_accuracy, a_loop_within_two_epochs)
{
	static const struct refstring_spec specs[] = {
		{ REF_MIX, 0, 65536, 37000, 8, 60 },
		{ REF_MIX, 0, 65536, 29000, 8, 60 },
		{ REF_LOOP, 0, 65536, 45000, 8, 40 },
	};
	static const uint32_t rates[RATES] = { 1, 4 };
	struct result r[RATES];

	for (unsigned i = 0; i < 3; i++) {
		measure(&specs[i], rates, r);
		for (unsigned k = 0; k < RATES; k++) {
			printf("turning  1/%u MAE %.4f, error told %.4f, knee %+.1f %%\n", rates[k], r[k].mae,
			       r[k].curve.error, r[k].knee_error * 100);
			cr_expect(r[k].mae <= 0.03, "%u 1/%u: MAE %.4f", i, rates[k], r[k].mae);
			cr_expect(r[k].curve.error >= r[k].mae, "%u 1/%u: error %.4f told, and is %.4f", i,
				  rates[k], r[k].curve.error, r[k].mae);
			cr_expect(fabs(r[k].knee_error) <= 0.05, "%u 1/%u: knee off by %+.3f", i, rates[k],
				  r[k].knee_error);
		}
	}
}

/* Where measuring is dear, epochs are long, and the hot pages are touched many times within one. */
Test(cvhrc_accuracy, long_epochs)
{
	static const struct refstring_spec zipf = { REF_ZIPF, 0.99, 65536, 120000, 4, 16 };

	expect("long", &zipf, 4, 0.01);
}

/* It ended before the loop came round: where it ends nobody saw, and the curve says so. */
Test(cvhrc_accuracy, a_loop_longer_than_the_measuring)
{
	static const struct refstring_spec spec = { REF_LOOP, 0, 65536, 1000, 0, 50 };
	static const uint32_t rates[RATES] = { 1, 8 };
	struct result r[RATES];

	measure(&spec, rates, r);
	for (unsigned k = 0; k < RATES; k++) {
		printf("unseen   1/%u MAE %.4f, error told %.4f\n", rates[k], r[k].mae,
		       r[k].curve.error);
		cr_expect(!r[k].curve.confident);
		cr_expect(r[k].curve.doubt == CVHRC_VAGUE);
		cr_expect(r[k].curve.error >= r[k].mae, "1/%u: error %.4f told, and is %.4f", rates[k],
			  r[k].curve.error, r[k].mae);
	}
}

/* Old references fade: after the change the knee is that of the new phase alone. */
Test(cvhrc_accuracy, decay_follows_a_change)
{
	static const struct refstring_spec spec = { REF_PHASES, 0, 32768, 4000, 0, 160 };
	struct scanner *s = malloc(sizeof(*s));
	struct cvhrc_curve curve;
	struct refstring r;

	refstring_open(&r, &spec);
	scanner_open(s, spec.pages, 4, 5 * 4 * EPOCH_NS);
	for (uint32_t i = 0; i < spec.epochs; i++) {
		refstring_epoch(&r);
		scanner_epoch(s, r.touched);
		if (i == spec.epochs / 2 - 1) {
			cr_assert(cvhrc_curve(&s->c, &curve));
			cr_expect(curve.knee_bytes / PAGE > 16384 * 0.95 &&
					  curve.knee_bytes / PAGE < 16384 * 1.05,
				  "first phase: %" PRIu64, curve.knee_bytes / PAGE);
		}
	}
	cr_assert(cvhrc_curve(&s->c, &curve));
	cr_expect(curve.knee_bytes / PAGE > 8192 * 0.95 && curve.knee_bytes / PAGE < 8192 * 1.05,
		  "second phase: %" PRIu64, curve.knee_bytes / PAGE);
	scanner_close(s);
	free(s);
	refstring_close(&r);
}

/*
 * The hot set is touched several times per epoch: where in it the knee lies cannot be seen, nor is
 * it told.
 */
Test(cvhrc_accuracy, no_knee_below_the_resolution)
{
	static const struct refstring_spec specs[] = {
		{ REF_UNIFORM, 0, 8192, 65536, 8, 20 },
		{ REF_MIX, 0, 4096, 40000, 8, 20 },
		{ REF_ZIPF, 1.2, 8192, 400000, 8, 12 },
		{ REF_LOOP, 0, 4096, 10000, 8, 20 },
	};

	for (unsigned i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		static const uint32_t rates[RATES] = { 1, 1 };
		struct result both[RATES], r;
		uint64_t knee;

		measure(&specs[i], rates, both);
		r = both[0];
		knee = r.curve.knee_bytes;
		printf("kind %d: F1 %" PRIu64 " knee <= %" PRIu64 " pages\n", specs[i].kind,
		       r.curve.resolution_bytes / PAGE, knee / PAGE);
		cr_expect(r.curve.knee_below_resolution, "kind %d: knee %" PRIu64, specs[i].kind,
			  knee / PAGE);
		cr_expect(knee >= r.curve.resolution_bytes, "kind %d: an upper bound",
			  specs[i].kind);
		cr_expect(r.knee_error > -0.02, "kind %d: the knee is %.3f of it", specs[i].kind,
			  1 / (1 + r.knee_error));
	}
}

/* Files: every page that is read, by hash; fewer and fewer of them are in the sample. */
static uint32_t hash_of(uint32_t page)
{
	return pfuse_read_hash(pfuse_read_file(8, 4711), page);
}

static double sampled_share(uint64_t inode, uint32_t pages, uint32_t stride, double share)
{
	uint64_t file = pfuse_read_file(8, inode);
	uint32_t count = 0, threshold = (uint32_t)(share * 4294967296.0);

	for (uint32_t i = 0; i < pages; i++)
		count += pfuse_read_hash(file, (uint64_t)i * stride) < threshold;
	return (double)count / pages;
}

/* How many pages a group has read is known from the sample alone: the knee is off by what that is off by. */
Test(cvhrc_accuracy, the_sample_of_a_file_is_as_large_as_its_share)
{
	static const double shares[] = { 0.5, 0.2, 0.0937, 0.0625 };

	for (unsigned i = 0; i < 4; i++)
		for (uint64_t inode = 1; inode <= 16; inode++) {
			double all = sampled_share(inode, 65536, 1, shares[i]) / shares[i];
			double some = sampled_share(inode, 8192, 8, shares[i]) / shares[i];

			cr_expect(fabs(all - 1) <= 0.005, "%g: %g of its share", shares[i], all);
			cr_expect(fabs(some - 1) <= 0.1, "%g: %g of its share, each eighth page",
				  shares[i], some);
		}
}

static void files_epoch(struct cvhrc *c, struct cvhrc_files *files, const bool *touched,
			uint32_t pages)
{
	struct cvhrc_totals totals = { .length_ns = EPOCH_NS };

	if (cvhrc_begin(c, EPOCH_NS))
		cvhrc_files_renumber(files, c);
	for (uint32_t i = 0; i < pages; i++)
		if (touched[i])
			cvhrc_files_read(files, c, hash_of(i), true);
	totals.file_threshold = cvhrc_files_threshold(files);
	cvhrc_end(c, &totals);
}

static void expect_files(const char *name, const struct refstring_spec *spec)
{
	struct cvhrc *c = malloc(sizeof(*c));
	struct cvhrc_files *files = malloc(sizeof(*files));
	struct cvhrc_setup setup = { .half_life_ns = UINT64_MAX };
	bool *all = malloc(spec->pages);
	struct refstring r;
	struct result result;

	refstring_open(&r, spec);
	cvhrc_init(c, &setup);
	cvhrc_files_init(files);
	memset(all, 1, spec->pages);
	for (uint32_t i = 0; i < 1 + spec->epochs; i++) {
		refstring_epoch(&r);
		files_epoch(c, files, i ? r.touched : all, spec->pages);
	}
	cr_assert(cvhrc_curve(c, &result.curve));
	compare(&r, &result);
	printf("files %-8s MAE %.4f max %.3f, error told %.4f, share %.3f, knee %" PRIu64
	       " (%+.1f %%) extent %" PRIu64 "\n",
	       name, result.mae, result.worst, result.curve.error,
	       cvhrc_files_threshold(files) / 4294967296.0, result.curve.knee_bytes / PAGE,
	       result.knee_error * 100, result.curve.extent_bytes / PAGE);
	cr_expect(result.mae <= 0.01, "files %s: MAE %.4f", name, result.mae);
	cr_expect(files->used <= CVHRC_FILES_MAX);
	cr_expect(fabs(result.knee_error) <= 0.05, "files %s: knee off by %+.3f", name,
		  result.knee_error);
	free(all);
	free(files);
	free(c);
	refstring_close(&r);
}

Test(cvhrc_accuracy, files_that_are_read)
{
	static const struct refstring_spec uniform = { REF_UNIFORM, 0, 32768, 4000, 1, 60 };
	static const struct refstring_spec zipf = { REF_ZIPF, 0.8, 65536, 10000, 1, 120 };

	expect_files("uniform", &uniform);
	expect_files("zipf", &zipf);
}

/* Half of the string goes to mapped pages, half to files that are read: one LRU, one curve. */
Test(cvhrc_accuracy, mapped_and_read_in_one_curve)
{
	static const struct refstring_spec spec = { REF_UNIFORM, 0, 32768, 4000, 1, 80 };
	struct scanner *s = malloc(sizeof(*s));
	struct cvhrc_files *files = malloc(sizeof(*files));
	uint32_t half = spec.pages / 2;
	struct refstring r;
	struct result result;

	refstring_open(&r, &spec);
	scanner_open(s, half, 4, UINT64_MAX);
	cvhrc_files_init(files);
	for (uint32_t e = 0; e < 1 + spec.epochs; e++) {
		struct cvhrc_totals totals = { .length_ns = EPOCH_NS, .pages = half };

		refstring_epoch(&r);
		cr_assert(!cvhrc_begin(&s->c, EPOCH_NS));
		for (uint32_t i = 0; i < half; i++)
			if (is_sampled(s, i))
				scan_page(s, i, e == 0 || r.touched[i]);
		for (uint32_t i = half; i < spec.pages; i++)
			if (e == 0 || r.touched[i])
				cvhrc_files_read(files, &s->c, hash_of(i), true);
		totals.file_threshold = cvhrc_files_threshold(files);
		cvhrc_end(&s->c, &totals);
		s->epochs++;
	}
	cr_assert(cvhrc_curve(&s->c, &result.curve));
	compare(&r, &result);
	printf("joined: MAE %.4f max %.3f, knee %+.1f %%\n", result.mae, result.worst,
	       result.knee_error * 100);
	cr_expect(result.mae <= 0.01, "MAE %.4f", result.mae);
	cr_expect(fabs(result.knee_error) <= 0.05, "knee off by %+.3f", result.knee_error);
	free(files);
	scanner_close(s);
	free(s);
	refstring_close(&r);
}
