/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The hit-ratio curve of one group: which share of its page references would hit if the group had
 * so many bytes of memory under LRU; and the knee of that curve, the group's memory need.
 *
 * Source: CvHRC (Kim, Noh), with the stack kept as epochs and not as a list: time is cut into
 * epochs, each page carries the tag of the epoch that touched it last, and only how many pages
 * carry which tag is kept here. A page touched now, last touched in epoch l, has everything above
 * it that was touched since, and an unknown part of what was touched together with it; see cvhrc.c,
 * "epoch union".
 *
 * What a reference is: the first touch of a page in an epoch. More is not to be had from accessed
 * bits. Further touches in the same epoch hit at any size above F1, the pages touched per epoch:
 * from F1 on the curve's misses per second are those of all accesses; below F1 (resolution_bytes)
 * it says nothing.
 *
 * Order. cvhrc_init(); then per epoch:
 *	cvhrc_begin(); true (once in some 400 epochs): first cvhrc_renumber() each tag that the
 *		caller keeps
 *	per sampled page that was touched (its accessed bit was set): cvhrc_touch() with its tag, or
 *		several pages of one tag at once; then the page's tag is cvhrc_now()
 *	a sampled page that exists no more: cvhrc_leave()
 *	a page that is older than our knowledge of it (our first epoch; the process joined; the rate
 *		was changed): cvhrc_arrive(). A new page has tag CVHRC_NEVER, and cvhrc_touch()
 *		will do.
 *	cvhrc_end()
 * and at any time between two epochs cvhrc_curve() and cvhrc_advise(). The caller samples by its
 * own rule (pages in chunks, file pages by hash, see cvhrc_files.h) and splits the sample in two
 * halves, even and odd chunks, each of which stands for the whole: the error is estimated from what
 * they differ by, from how few pages are in the sample, and from what is vague: the first touch of a
 * page since we came, which lies as far as nobody saw.
 *
 * In the beginning all is vague, so what was counted first loses its weight while that matters.
 *
 * Swapped pages are pages: they keep tag and place, and a touch brings them back from there. Pages
 * whose accessed bit cannot be cleared (shared, locked) are not given to cvhrc_touch() but counted
 * in the totals: they count as always in use, on top of everything. File pages that are mapped by a
 * process of the group belong to the page tables, and a read(2) of them is not to be told: no page
 * counts twice.
 *
 * Ownership: the caller's memory, no pointer inside, may be moved. Sizes: 61 KiB. Errors: none, any
 * numbers give a finite, monotone curve within 0..1. The same calls give the same bits.
 */
#ifndef PFUSE_CORE_CVHRC_H
#define PFUSE_CORE_CVHRC_H

#include <stdbool.h>
#include <stdint.h>

#include "core/cvhrc_turn.h"

#define CVHRC_TAGS 768 /* tags in use are 0 .. CVHRC_TAGS - 1 */
#define CVHRC_NEVER 0  /* not touched as far as we know: a touch is a cold miss */
#define CVHRC_BEFORE 1 /* there before the first epoch, and not touched since */
#define CVHRC_FIRST 2  /* touched before the end of the first epoch: in what order is not known */

#define CVHRC_BINS 2817	     /* distances: 128 per octave, up to 2^28 pages; the last: beyond */
#define CVHRC_HALF_BINS 769  /* 32 per octave */
#define CVHRC_POINTS_MAX 129 /* of a curve */

enum cvhrc_plane {
	CVHRC_MAPPED_EVEN, /* pages in page tables, sampled in even chunks */
	CVHRC_MAPPED_ODD,
	CVHRC_FILE_EVEN, /* pages of files that are read and not mapped, see cvhrc_files.h */
	CVHRC_FILE_ODD,
	CVHRC_PLANES,
};

/* 0 stands for the default, in parentheses. */
struct cvhrc_setup {
	uint32_t page_bytes;	      /* (4096) */
	uint32_t knee_slope_permille; /* see cvhrc_curve() (250) */
	uint32_t budget_permille;     /* what measuring may cost, of the time that passes (10) */
	uint32_t pages_max;    /* that the caller can keep tags of, for the advised rate (65536) */
	uint64_t half_life_ns; /* after which a reference counts half (60 s) */
	uint64_t seed;
};

/* What the caller knows at the end of an epoch. */
struct cvhrc_totals {
	uint64_t length_ns; /* since the accessed bits were cleared before */
	uint64_t pages;	    /* of the group in page tables, sampled or not: resident and swapped */
	uint64_t swapped_pages;	    /* of these */
	uint64_t unclearable_pages; /* of these: accessed bit stays set; estimated for all chunks */
	uint64_t refaults;	 /* of pages that lost their place: evicted pages of mapped files */
	uint64_t spent_ns;	 /* CPU time that the measuring took */
	uint32_t file_threshold; /* file pages are sampled with so many / 2^32; 0: not at all */
	bool blurred;		 /* after a pause: touches set places but are no references */
};

struct cvhrc {
	struct cvhrc_setup setup;
	uint64_t planned_ns; /* of this epoch */
	uint64_t u, w;	     /* the generator, see cvhrc.c */
	uint64_t pages;	     /* of the last totals */
	uint64_t resident_pages;
	uint64_t unclearable_pages;
	uint64_t sampled_pages;
	double file_pages;	    /* estimated */
	double scale[CVHRC_PLANES]; /* how many pages one sampled page stands for, in its half */
	double refs, cold;	    /* decayed sums, like the histograms */
	double vague; /* of the references: those to pages at CVHRC_BEFORE or _FIRST */
	double again; /* of the references: those to pages touched in the epoch before, too */
	double samples; /* references in the sample, not scaled to the whole */
	double half_refs[2]; /* without the vague ones */
	double unsure; /* references of loops that turn within two epochs, by pages that they may be off */
	double seconds;		       /* decayed time that the references were made in */
	double epochs;		       /* decayed number of epochs */
	double cost_ns;		       /* of an epoch: running mean */
	struct cvhrc_ages ages;
	uint32_t counted;	       /* epochs since the last change of their length; saturates */
	uint32_t wait;		       /* epochs until the next advice may differ from the last */
	uint32_t row;		       /* epochs since the last pause; saturates */
	uint16_t now;		       /* tag of the current epoch */
	bool begun;		       /* the first epoch is over */
	int64_t arrived[CVHRC_PLANES]; /* get the current tag, besides those touched */
	uint32_t count[CVHRC_PLANES][CVHRC_TAGS];   /* pages by tag, at the start of the epoch */
	uint32_t touched[CVHRC_PLANES][CVHRC_TAGS]; /* of these, in this epoch */
	uint16_t renumbered[CVHRC_TAGS];
	double hist[CVHRC_BINS]; /* references by distance in pages, scaled to the whole */
	double half[2][CVHRC_HALF_BINS];
	float vaguely[CVHRC_HALF_BINS]; /* vague ones, by the least that lies above them */
};

_Static_assert(sizeof(struct cvhrc) <= 64 * 1024, "one per group that is measured");

void cvhrc_init(struct cvhrc *c, const struct cvhrc_setup *setup);

/*
 * planned_ns is how long this epoch is to be. Another length than before makes other references, so
 * what was counted until then is dropped; the places of the pages are not.
 */
bool cvhrc_begin(struct cvhrc *c, uint64_t planned_ns);

static inline uint16_t cvhrc_now(const struct cvhrc *c)
{
	return c->now;
}

/* The new tag for one from before cvhrc_begin(). */
static inline uint16_t cvhrc_renumber(const struct cvhrc *c, uint16_t tag)
{
	return tag < CVHRC_TAGS ? c->renumbered[tag] : CVHRC_NEVER;
}

/*
 * Pages of one tag were touched. Per page, it may be called once in an epoch: a page whose tag is
 * cvhrc_now() was told already, and is ignored. What the plane has not got is cut off.
 */
static inline void cvhrc_touch(struct cvhrc *c, enum cvhrc_plane plane, uint16_t tag,
			       uint32_t pages)
{
	if (tag < c->now)
		c->touched[plane][tag] += pages;
}

/* The tag becomes cvhrc_now() if touched, else CVHRC_BEFORE. */
void cvhrc_arrive(struct cvhrc *c, enum cvhrc_plane plane, bool touched, uint32_t pages);
void cvhrc_leave(struct cvhrc *c, enum cvhrc_plane plane, uint16_t tag, uint32_t pages);

void cvhrc_end(struct cvhrc *c, const struct cvhrc_totals *totals);

struct cvhrc_point {
	uint64_t size_bytes;
	double hit_ratio;
};

/* Why the curve should not be believed: the first of these that holds. */
enum cvhrc_doubt {
	CVHRC_SURE,
	CVHRC_NO_REUSE,   /* nothing that was touched was touched before */
	CVHRC_FEW_EPOCHS, /* it was measured too short */
	CVHRC_VAGUE,	  /* many pages came back for the first time since we came: how far, who knows */
	CVHRC_INEXACT,	  /* the error is large: too few pages are in the sample */
};

enum cvhrc_share { CVHRC_P90, CVHRC_P95, CVHRC_P99, CVHRC_SHARES };

struct cvhrc_curve {
	double refs_per_s;    /* references, see above */
	double cold_ratio;    /* share of them that would miss at any size */
	double refault_ratio; /* share that would hit at some size above the extent */
	double sampled_share;
	double error; /* expected mean absolute error of hit_ratio from the resolution on */
	uint64_t resolution_bytes; /* F1 */
	uint64_t extent_bytes;	   /* all pages: the last size of the curve */
	uint64_t resident_bytes;   /* without what is swapped */
	uint64_t unclearable_bytes;
	/*
	 * The knee by slope, the paper's: the least size x that comes within 0.01 of the highest
	 * hit_ratio(x) / hits - s * x / extent,
	 * s being knee_slope_permille / 1000 and hits the ratio at the extent. Up to there
	 * memory pays s of what it pays on average, past it no amount does. knee_below_resolution:
	 * it lies below 1.2 * resolution_bytes, so it may be anywhere from 0 to knee_bytes, which
	 * is an upper bound then, and no less than resolution_bytes.
	 */
	uint64_t knee_bytes;
	uint64_t knee_curvature_bytes;	   /* the same with s = 1: farthest above the chord */
	uint64_t need_bytes[CVHRC_SHARES]; /* for this share of the hits that can be had */
	bool knee_below_resolution;
	bool confident; /* believe the knee; else see doubt */
	enum cvhrc_doubt doubt;
	uint32_t page_bytes;
	uint32_t npoints; /* sizes ascending from 0 */
	struct cvhrc_point points[CVHRC_POINTS_MAX];
};

/* False: no reference was counted yet, *ret is untouched. */
bool cvhrc_curve(const struct cvhrc *c, struct cvhrc_curve *ret);

/* Interpolated; from the extent on what can be had at most. */
double cvhrc_hit_ratio(const struct cvhrc_curve *curve, uint64_t bytes);

/*
 * What a further page brings at this size, in hits per second, for sharing memory among groups: who
 * has the most gets the next page. Below the resolution: the mean slope up to there, the best that
 * is known.
 */
double cvhrc_marginal(const struct cvhrc_curve *curve, uint64_t bytes);

struct cvhrc_advice {
	uint64_t epoch_ns; /* of the next epoch: 0.25 .. 4 s */
	uint64_t pause_ns; /* before it, so that the budget holds; then that epoch is blurred */
	uint32_t rate;	   /* one chunk of so many: a power of two, 1 .. 2^20 */
};

/* rate: as it is now. To be asked once after each epoch, or less often. */
void cvhrc_advise(struct cvhrc *c, uint32_t rate, struct cvhrc_advice *ret);

#endif
