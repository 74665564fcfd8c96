/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/adaptive.h"

#include "core/arith.h"

#define NS_PER_S 1000000000ull
#define MIB (1ull << 20)

/* A step of less is not worth its window; nor is one of less than a hundredth. */
#define STEP_MIN (4 * MIB)
#define NOISE_SHARE 100

/* A step may be wrong, and then it is to be a small wrong: a quarter of the usage at most. */
#define STEP_MAX_SHARE 4

/* Without a curve. */
#define PROBE_SHARE 100
#define PROBE_MIN MIB

/* The usage grows by more than a fiftieth from one sample to the next: it is loading. */
#define GROWING_SHARE 50

/* Of what is usual for the group, a running mean over so many samples. */
#define MEAN_OF 4

/*
 * Of what a large step took one page in 32 may come back: that is paid once, and the rest stays saved. (What
 * the kernel takes for cold is never all cold: of 32 MiB beside a hot set of 40 MiB, 1.5 % came back.)
 */
#define RETURNED_SHARE 32

/* Where nothing can happen for so long, the group need not be kept awake for it. */
#define LONG_NS (60 * NS_PER_S)

/* Who says that a curve is to come says later that it has, or will not; at the latest then. */
#define PENDING_MAX_NS (120 * NS_PER_S)

/* A level that did harm is the lowest for as many cool-downs. */
#define LOWEST_COOL_DOWNS 4

static void complete(uint32_t *value, uint32_t otherwise, uint32_t least, uint32_t most)
{
	uint32_t v = *value ? *value : otherwise;

	*value = v < least ? least : v > most ? most : v;
}

static void complete_ns(uint64_t *value, uint64_t otherwise, uint64_t least)
{
	*value = arith_min(arith_max(*value ? *value : otherwise, least), 1ull << 60);
}

/*
 * Headroom: a knee is known to 5 %, and a working set breathes; a quarter more is what the benefit
 * of the last bytes below the knee is worth. Stall of 1 % and 32 refaults per second (128 KiB/s, a
 * tenth of a millisecond each on an SSD: 0.3 % of a CPU) are below what anybody notices.
 */
void adaptive_setup_complete(struct adaptive_setup *s)
{
	complete(&s->headroom_permille, 1250, 1000, 100000);
	complete(&s->step_permille, 333, 1, 1000);
	complete(&s->stall_permille, 10, 1, 1000);
	complete(&s->refaults_per_s, 32, 1, UINT32_MAX);
	complete_ns(&s->window_ns, 2 * NS_PER_S, 1);
	complete_ns(&s->cool_down_ns, 10 * NS_PER_S, 1);
	complete_ns(&s->cool_down_max_ns, 600 * NS_PER_S, s->cool_down_ns);
	complete_ns(&s->need_age_ns, 600 * NS_PER_S, 1);
}

static struct adaptive_mark mark_of(const struct pfuse_sample *s, uint64_t now_ns)
{
	return (struct adaptive_mark){
		.time_ns = now_ns,
		.stall_ns = s->stall_ns,
		.refaults = s->refaults,
		.host_reclaimed = s->host_reclaimed,
	};
}

static void enter(struct adaptive *a, enum adaptive_phase phase, uint64_t now_ns, uint64_t for_ns)
{
	a->phase = (uint8_t)phase;
	a->until_ns = arith_add(now_ns, for_ns);
}

void adaptive_start(struct adaptive *a, const struct adaptive_setup *setup,
		    const struct pfuse_sample *first, uint64_t grace_ns, uint64_t now_ns)
{
	*a = (struct adaptive){
		.chosen = a->chosen,
		.by_limit = a->by_limit,
		.cool_down_ns = setup->cool_down_ns,
		.usage_bytes = first->ram_usage_bytes,
		.last = mark_of(first, now_ns),
	};
	enter(a, ADAPTIVE_GRACE, now_ns, grace_ns);
}

static uint64_t per_mille(uint64_t value, uint32_t permille)
{
	return arith_from_double((double)value * permille / 1000);
}

static bool has_need(const struct adaptive *a, const struct adaptive_setup *setup, uint64_t now_ns)
{
	return a->need_bytes && arith_sub(now_ns, a->need_ns) <= setup->need_age_ns;
}

void adaptive_need(struct adaptive *a, const struct adaptive_setup *setup,
		   const struct adaptive_need *need, uint64_t now_ns)
{
	uint64_t bytes = need->knee_bytes;

	a->pending_until_ns = need->pending ? arith_add(now_ns, PENDING_MAX_NS) : 0;
	if (!need->confident || need->pending)
		return;
	if (need->below_resolution)
		bytes = arith_max(bytes, need->resolution_bytes);
	/* What hurt a step that felt its way says nothing against what is known now. */
	if (!has_need(a, setup, now_ns)) {
		a->lowest_until_ns = 0;
		a->cool_down_ns = setup->cool_down_ns;
		if (a->phase == ADAPTIVE_COOL)
			enter(a, ADAPTIVE_COOL, now_ns, setup->window_ns);
	}
	a->need_bytes = arith_max(per_mille(bytes, setup->headroom_permille), 1);
	a->need_ns = now_ns;
	a->unseen_bytes = need->unseen_bytes;
}

/* What stays whatever is asked: see adaptive.h. */
static uint64_t least_of(const struct adaptive_view *view, const struct pfuse_sample *s)
{
	uint64_t stuck = arith_sub(s->anon_bytes, s->swap_free_bytes);

	return arith_add(arith_add(s->unreclaimable_bytes, stuck), view->floor_bytes);
}

uint64_t adaptive_target(const struct adaptive *a, const struct adaptive_setup *setup,
			 const struct adaptive_view *view, const struct pfuse_sample *sample,
			 uint64_t now_ns)
{
	uint64_t least = least_of(view, sample), target = least;

	if (has_need(a, setup, now_ns))
		target = a->need_bytes;
	if (a->share_bytes)
		target = arith_min(target, a->share_bytes);
	target = arith_page_up(arith_max(target, least), view->page_bytes);
	return arith_max(arith_min(target, view->ceiling_bytes), view->floor_bytes);
}

/* What a counter grew by, per second; one that went backwards was reset. */
static double rate_of(uint64_t now, uint64_t before, uint64_t dt_ns)
{
	return (double)arith_sub(now, before) * (double)NS_PER_S / (double)dt_ns;
}

static void note_usual(struct adaptive *a, const struct adaptive_mark *now)
{
	uint64_t dt_ns = arith_sub(now->time_ns, a->last.time_ns);

	if (dt_ns == 0 || a->phase == ADAPTIVE_WINDOW)
		return;
	a->stall_before +=
		(rate_of(now->stall_ns, a->last.stall_ns, dt_ns) - a->stall_before) / MEAN_OF;
	a->refaults_before +=
		(rate_of(now->refaults, a->last.refaults, dt_ns) - a->refaults_before) / MEAN_OF;
}

enum harm { HARM_NONE, HARM_OURS, HARM_HOSTS };

/* Of pages; see RETURNED_SHARE. */
static double refault_budget(const struct adaptive *a, const struct adaptive_setup *setup,
			     const struct adaptive_view *view)
{
	double usual = (double)setup->window_ns / (double)NS_PER_S * setup->refaults_per_s;
	double taken = (double)arith_sub(a->level_bytes, view->usage_bytes) / (double)view->page_bytes;

	return usual > taken / RETURNED_SHARE ? usual : taken / RETURNED_SHARE;
}

/*
 * The budget is that of the whole window, so a step that does much harm ends at once. Who took the
 * pages that come back: if the host took as many as came back, the host.
 */
static enum harm harm_since(const struct adaptive *a, const struct adaptive_setup *setup,
			    const struct adaptive_view *view, const struct adaptive_mark *now)
{
	double s = (double)arith_sub(now->time_ns, a->step.time_ns) / (double)NS_PER_S;
	double window = (double)setup->window_ns;
	double refaults = (double)arith_sub(now->refaults, a->step.refaults);
	double stall = (double)arith_sub(now->stall_ns, a->step.stall_ns);
	double hosts = (double)arith_sub(now->host_reclaimed, a->step.host_reclaimed);

	if (stall - a->stall_before * s <= window * setup->stall_permille / 1000 &&
	    refaults - a->refaults_before * s <= refault_budget(a, setup, view))
		return HARM_NONE;
	return hosts > 0 && hosts >= refaults ? HARM_HOSTS : HARM_OURS;
}

static void note_harm(struct adaptive *a, const struct adaptive_setup *setup, enum harm harm,
		      uint64_t now_ns)
{
	enter(a, ADAPTIVE_COOL, now_ns, a->cool_down_ns);
	if (harm == HARM_HOSTS) {
		a->host_harms++;
		return;
	}
	a->harms++;
	a->lowest_bytes = a->level_bytes;
	a->lowest_until_ns = arith_add(now_ns, LOWEST_COOL_DOWNS * a->cool_down_ns);
	a->cool_down_ns = arith_min(2 * a->cool_down_ns, setup->cool_down_max_ns);
}

static bool is_growing(const struct adaptive *a, const struct adaptive_view *view)
{
	uint64_t more = arith_sub(view->usage_bytes, a->usage_bytes);

	return more > arith_max(a->usage_bytes / GROWING_SHARE, PROBE_MIN);
}

/* From READY, or longer than so far. */
static void put_off(struct adaptive *a, uint64_t until_ns)
{
	a->until_ns = a->phase == ADAPTIVE_GRACE ? arith_max(a->until_ns, until_ns) : until_ns;
	a->phase = ADAPTIVE_GRACE;
}

/* The phase as it is after this sample. True: the last step did harm that is ours. */
static bool advance(struct adaptive *a, const struct adaptive_setup *setup,
		    const struct adaptive_view *view, const struct adaptive_mark *now)
{
	enum harm harm = HARM_NONE;

	if (a->phase == ADAPTIVE_WINDOW)
		harm = harm_since(a, setup, view, now);
	if (harm != HARM_NONE) {
		note_harm(a, setup, harm, now->time_ns);
	} else if (a->phase != ADAPTIVE_READY && now->time_ns >= a->until_ns) {
		if (a->phase == ADAPTIVE_WINDOW)
			a->cool_down_ns = arith_max(a->cool_down_ns / 2, setup->cool_down_ns);
		a->phase = ADAPTIVE_READY;
	}
	if (a->phase <= ADAPTIVE_READY && is_growing(a, view))
		put_off(a, arith_add(now->time_ns, setup->window_ns));
	return harm == HARM_OURS;
}

/* Down to which level is it known that the group can do without? *level is the target before. */
static enum pfuse_reason reason_of(const struct adaptive *a, const struct adaptive_setup *setup,
				   uint64_t now_ns, uint64_t *level)
{
	bool has = has_need(a, setup, now_ns);

	if (a->share_bytes && (!has || a->share_bytes < a->need_bytes)) {
		*level = arith_max(*level, a->share_bytes);
		return PFUSE_WHY_SHARE;
	}
	*level = has ? arith_add(*level, a->unseen_bytes) : UINT64_MAX;
	return PFUSE_WHY_NEED;
}

static uint64_t step_bytes(const struct adaptive *a, const struct adaptive_setup *setup,
			   enum pfuse_reason reason, uint64_t usage, uint64_t above)
{
	uint64_t bytes = arith_max(per_mille(above, setup->step_permille), STEP_MIN);

	if (reason == PFUSE_WHY_PROBE)
		bytes = arith_max(usage / PROBE_SHARE, PROBE_MIN);
	return arith_min(arith_min(bytes, usage / STEP_MAX_SHARE), above);
}

static enum adaptive_act no_step(uint64_t until_ns, uint64_t now_ns)
{
	return arith_sub(until_ns, now_ns) > LONG_NS ? ADAPTIVE_SETTLED : ADAPTIVE_WAIT;
}

/* READY: from where the group is, the next step towards the target. */
static void next_step(struct adaptive *a, const struct adaptive_setup *setup,
		      const struct adaptive_view *view, uint64_t now_ns, struct adaptive_step *ret)
{
	uint64_t usage = view->usage_bytes, least = arith_max(usage / NOISE_SHARE, PROBE_MIN);
	uint64_t lowest = ret->target, known = lowest;

	if (arith_sub(usage, lowest) < least)
		return;
	if (now_ns < a->lowest_until_ns)
		lowest = arith_max(lowest, a->lowest_bytes);
	if (arith_sub(usage, lowest) < least) {
		ret->act = no_step(a->lowest_until_ns, now_ns);
		return;
	}
	ret->act = ADAPTIVE_SHRINK;
	ret->reason = reason_of(a, setup, now_ns, &known);
	if (arith_sub(usage, known) < least)
		ret->reason = PFUSE_WHY_PROBE;
	else
		lowest = arith_max(lowest, known);
	ret->to_bytes = usage - step_bytes(a, setup, ret->reason, usage, usage - lowest);
	ret->to_bytes = arith_page_up(ret->to_bytes, view->page_bytes);
}

struct adaptive_step adaptive_sample(struct adaptive *a, const struct adaptive_setup *setup,
				     const struct adaptive_view *view,
				     const struct pfuse_sample *sample, uint64_t now_ns)
{
	struct adaptive_mark now = mark_of(sample, now_ns);
	struct adaptive_step step = {
		.act = ADAPTIVE_SETTLED,
		.target = adaptive_target(a, setup, view, sample, now_ns),
	};

	note_usual(a, &now);
	if (advance(a, setup, view, &now)) {
		step.act = ADAPTIVE_REVERT;
		step.reason = PFUSE_WHY_HARM;
		step.to_bytes = a->level_bytes;
	} else if (a->phase == ADAPTIVE_READY && now_ns < a->pending_until_ns) {
		step.act = ADAPTIVE_WAIT;
	} else if (a->phase == ADAPTIVE_READY) {
		next_step(a, setup, view, now_ns, &step);
	} else {
		step.act = no_step(a->until_ns, now_ns);
	}
	a->usage_bytes = view->usage_bytes;
	a->last = now;
	return step;
}

/*
 * With the sample that comes a window after the one that the step followed, be it a little early: reclaim
 * took some of that time, and a whole interval more would be lost with each step.
 */
static uint64_t window_end(const struct adaptive *a, const struct adaptive_setup *setup,
			   uint64_t now_ns)
{
	uint64_t window_ns = setup->window_ns;

	return arith_max(arith_add(a->last.time_ns, window_ns - window_ns / 16),
			 arith_add(now_ns, window_ns - window_ns / 4));
}

/* What could not be reclaimed now will hardly be reclaimed in a moment. */
void adaptive_carried_out(struct adaptive *a, const struct adaptive_setup *setup, bool done,
			  uint64_t now_ns)
{
	a->failing = !done;
	if (!done) {
		enter(a, ADAPTIVE_COOL, now_ns, a->cool_down_ns);
		a->cool_down_ns = arith_min(2 * a->cool_down_ns, setup->cool_down_max_ns);
		return;
	}
	a->steps++;
	a->level_bytes = a->usage_bytes;
	a->step = a->last;
	a->step.time_ns = now_ns;
	enter(a, ADAPTIVE_WINDOW, 0, window_end(a, setup, now_ns));
}
