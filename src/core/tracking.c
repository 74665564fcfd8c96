/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/tracking.h"

#include "core/arith.h"

#define NS_PER_S 1000000000ull
#define MIB (1ull << 20)

/*
 * The knee stands still when it stayed within a twentieth for so many turns, about 5 s; where the budget
 * makes turns rare, for as long, and for some turns.
 */
#define STEADY_TURNS 10
#define STEADY_NS (5 * NS_PER_S)
#define STEADY_TURNS_LEAST 4
#define STILL_SHARE 20

/* A working set that is another one every minute is not known better after two. */
#define SESSION_MAX_NS (60 * NS_PER_S)

/* The first rest, and the one after a session that found another knee than the one before. */
#define REST_NS (30 * NS_PER_S)
#define SAME_SHARE 10

/*
 * Whatever happens: a group that is reclaimed from has refaults all the time, and no step is taken while a session
 * is on. So many seconds are ten steps.
 */
#define REST_LEAST_NS (20 * NS_PER_S)

/* What is no change: an eighth more in use, or one page in 64 that came back. */
#define GROWN_SHARE 8
#define REFAULTED_SHARE 64

/* A group that loads is measured when it has done so: what it touches once is no working set. */
#define LOADING_SHARE 50
#define LOADING_MAX_NS (20 * NS_PER_S)

/* Above its floor by less, there is nothing to be had. */
#define WORTH_BYTES (4 * MIB)

void tracking_setup_complete(struct tracking_setup *s)
{
	if (!s->budget_permille)
		s->budget_permille = 10;
	s->budget_permille = s->budget_permille > 1000 ? 1000 : s->budget_permille;
	s->every_ns = s->every_ns ? s->every_ns : 300 * NS_PER_S;
}

void tracking_init(struct tracking *t, uint64_t now_ns)
{
	*t = (struct tracking){ .since_ns = now_ns, .paid_ns = now_ns };
}

static bool is_more(uint64_t now, uint64_t before, uint64_t share)
{
	return arith_sub(now, before) > arith_max(before / share, MIB);
}

static bool has_changed(const struct tracking *t, const struct tracking_view *view)
{
	uint64_t pages = view->usage_bytes / arith_max(view->page_bytes, 1);

	return is_more(view->usage_bytes, t->least_usage, GROWN_SHARE) ||
	       arith_sub(view->refaults, t->refaults) > pages / REFAULTED_SHARE;
}

bool tracking_wants(struct tracking *t, const struct tracking_view *view, uint64_t now_ns)
{
	uint64_t for_ns = arith_sub(now_ns, t->since_ns);
	bool loading = is_more(view->usage_bytes, t->usage_bytes, LOADING_SHARE);

	t->usage_bytes = view->usage_bytes;
	if (t->phase == TRACKING_ON)
		return false;
	if (!t->least_usage) {
		t->least_usage = view->usage_bytes;
		t->refaults = view->refaults;
	}
	t->least_usage = arith_min(t->least_usage, view->usage_bytes);
	if (arith_sub(view->usage_bytes, view->floor_bytes) < WORTH_BYTES)
		return false;
	if (t->phase == TRACKING_NEVER)
		return !loading || for_ns >= LOADING_MAX_NS;
	if (now_ns >= t->until_ns)
		return true;
	return for_ns >= REST_LEAST_NS && !loading && has_changed(t, view);
}

void tracking_begin(struct tracking *t, uint64_t now_ns)
{
	t->phase = TRACKING_ON;
	t->since_ns = now_ns;
	t->told = false;
	t->steady = 0;
}

static void rest(struct tracking *t, uint64_t for_ns, uint64_t now_ns)
{
	t->phase = TRACKING_REST;
	t->since_ns = now_ns;
	t->until_ns = arith_add(now_ns, for_ns);
	t->least_usage = 0;
}

void tracking_stop(struct tracking *t, uint64_t for_ns, uint64_t now_ns)
{
	rest(t, for_ns, now_ns);
}

void tracking_rest_from(struct tracking *t, uint64_t now_ns)
{
	if (t->phase == TRACKING_REST)
		rest(t, arith_sub(t->until_ns, t->since_ns), now_ns);
}

static bool is_near(uint64_t a, uint64_t b, uint64_t share)
{
	return arith_max(a, b) - arith_min(a, b) <= arith_max(a, b) / share;
}

static void end_session(struct tracking *t, const struct tracking_setup *setup, uint64_t now_ns)
{
	bool is_same =
		t->told && t->knee_before && is_near(t->knee_bytes, t->knee_before, SAME_SHARE);

	t->rest_ns = is_same ? arith_add(t->rest_ns, t->rest_ns) : REST_NS;
	t->rest_ns = arith_min(t->rest_ns, setup->every_ns);
	if (t->told)
		t->knee_before = t->knee_bytes;
	rest(t, t->rest_ns, now_ns);
}

/*
 * One turn may be owed: a rest between two epochs takes a turn at its end, which only clears the bits
 * and must not be kept waiting for its own cost, or there would never be an epoch.
 */
static uint64_t not_before(struct tracking *t, const struct tracking_setup *setup,
			   uint64_t spent_ns, uint64_t now_ns)
{
	double passed = (double)arith_sub(now_ns, t->paid_ns);
	uint64_t paid = arith_from_double(passed * setup->budget_permille / 1000);
	uint64_t owed;

	t->debt_ns = arith_add(arith_sub(t->debt_ns, paid), spent_ns);
	t->paid_ns = now_ns;
	owed = arith_sub(t->debt_ns, spent_ns);
	if (!owed)
		return 0;
	return arith_add(now_ns, arith_from_double((double)owed * 1000 / setup->budget_permille));
}

static bool is_news(struct tracking *t, const struct cvhrc_curve *curve, uint64_t now_ns)
{
	if (!curve || !curve->confident)
		return false;
	if (t->told && is_near(curve->knee_bytes, t->knee_bytes, STILL_SHARE)) {
		t->steady++;
		return false;
	}
	t->told = true;
	t->steady = 0;
	t->still_ns = now_ns;
	t->knee_bytes = curve->knee_bytes;
	return true;
}

static bool is_still(const struct tracking *t, uint64_t now_ns)
{
	return t->steady >= STEADY_TURNS || (t->steady >= STEADY_TURNS_LEAST &&
					     arith_sub(now_ns, t->still_ns) >= STEADY_NS);
}

struct tracking_answer tracking_turn(struct tracking *t, const struct tracking_setup *setup,
				     const struct cvhrc_curve *curve, uint64_t spent_ns,
				     uint64_t now_ns)
{
	struct tracking_answer answer = {
		.not_before_ns = not_before(t, setup, spent_ns, now_ns),
		.tell = is_news(t, curve, now_ns),
	};

	answer.rest = is_still(t, now_ns) || arith_sub(now_ns, t->since_ns) >= SESSION_MAX_NS;
	if (!answer.rest)
		return answer;
	/* What the whole session came to, and as of now: the first word of it was a hasty one. */
	answer.tell |= t->told && curve && curve->confident;
	if (answer.tell)
		t->knee_bytes = curve->knee_bytes;
	end_session(t, setup, now_ns);
	return answer;
}
