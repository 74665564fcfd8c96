/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/tracking.h"

#include <criterion/criterion.h>
#include <inttypes.h>

#define MIB ((uint64_t)1 << 20)
#define MS 1000000ull
#define SECOND 1000000000ull
#define TURN (SECOND / 2)

struct rig {
	struct tracking t;
	struct tracking_setup setup;
	struct tracking_view view;
	struct cvhrc_curve curve;
	uint64_t now_ns;
	unsigned told;
};

static void rig_open(struct rig *r)
{
	*r = (struct rig){ .now_ns = 100 * SECOND };
	tracking_setup_complete(&r->setup);
	r->view = (struct tracking_view){ .usage_bytes = 200 * MIB,
					  .floor_bytes = 16 * MIB,
					  .page_bytes = 4096 };
	r->curve = (struct cvhrc_curve){ .knee_bytes = 40 * MIB, .confident = true };
	tracking_init(&r->t, r->now_ns);
}

static bool rig_sample(struct rig *r, uint64_t after_ns)
{
	r->now_ns += after_ns;
	return tracking_wants(&r->t, &r->view, r->now_ns);
}

static struct tracking_answer rig_turn(struct rig *r, uint64_t spent_ns)
{
	struct tracking_answer answer;

	r->now_ns += TURN;
	answer = tracking_turn(&r->t, &r->setup, &r->curve, spent_ns, r->now_ns);
	r->told += answer.tell;
	return answer;
}

/* A whole session: its turns. */
static unsigned rig_session(struct rig *r)
{
	unsigned turns = 1;

	tracking_begin(&r->t, r->now_ns);
	while (!rig_turn(r, MS).rest)
		cr_assert(++turns < 1000, "it never ends");
	return turns;
}

/* Until it is wanted again, by a sample each second. */
static uint64_t rig_rest(struct rig *r)
{
	uint64_t since_ns = r->now_ns;

	while (!rig_sample(r, SECOND))
		cr_assert(r->now_ns < since_ns + 1000 * SECOND, "it never begins again");
	return (r->now_ns - since_ns) / SECOND;
}

Test(tracking, a_group_that_loads_is_measured_when_it_has_done_so)
{
	struct rig r;

	rig_open(&r);
	r.view.usage_bytes = 50 * MIB;
	cr_expect(!rig_sample(&r, SECOND), "from nothing to 50 MiB is growth");
	r.view.usage_bytes = 100 * MIB;
	cr_expect(!rig_sample(&r, SECOND));
	cr_expect(rig_sample(&r, SECOND), "the same as before");
	rig_open(&r);
	for (unsigned i = 0; i < 20; i++) {
		cr_expect(!rig_sample(&r, SECOND) || i == 19, "%u", i);
		r.view.usage_bytes += 50 * MIB;
	}
}

Test(tracking, where_nothing_can_be_had_nothing_is_spent)
{
	struct rig r;

	rig_open(&r);
	r.view.usage_bytes = 19 * MIB;
	for (unsigned i = 0; i < 60; i++)
		cr_expect(!rig_sample(&r, SECOND));
	r.view.usage_bytes = 20 * MIB;
	cr_expect(rig_sample(&r, SECOND) || rig_sample(&r, SECOND));
}

Test(tracking, a_session_ends_when_the_knee_stands_still)
{
	struct rig r;

	rig_open(&r);
	cr_expect(rig_session(&r) == 11, "told at once, then 10 turns of the same");
	cr_expect(r.told == 2, "at first and at the end");
	cr_expect(!rig_sample(&r, SECOND), "a rest");
}

/* Where the budget makes turns rare, ten of them would take most of a minute. */
Test(tracking, rare_turns_end_a_session_as_soon)
{
	static const struct {
		uint64_t every_ns;
		unsigned turns;
		const char *why;
	} table[] = {
		{ SECOND / 2, 11, "ten of the same" },
		{ SECOND, 6, "five seconds" },
		{ 2 * SECOND, 5, "four of the same" },
		{ 10 * SECOND, 5, "no fewer" },
	};

	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct rig r;
		unsigned turns = 1;

		rig_open(&r);
		tracking_begin(&r.t, r.now_ns);
		for (r.now_ns += table[i].every_ns - TURN; !rig_turn(&r, MS).rest; turns++)
			r.now_ns += table[i].every_ns - TURN;
		cr_expect(turns == table[i].turns, "%s: %u", table[i].why, turns);
	}
}

Test(tracking, a_knee_that_moves_is_told_and_keeps_the_session_on)
{
	struct rig r;
	unsigned turns = 0;

	rig_open(&r);
	tracking_begin(&r.t, r.now_ns);
	do {
		r.curve.knee_bytes += r.curve.knee_bytes / 10;
		turns++;
	} while (!rig_turn(&r, MS).rest && turns < 1000);
	cr_expect(turns == 120, "a minute, saw %u turns", turns);
	cr_expect(r.told == turns);
	cr_expect(rig_rest(&r) == 30);
}

Test(tracking, rests_grow_while_the_knee_is_the_same)
{
	static const uint64_t rests[] = { 30, 60, 120, 240, 300, 300 };
	struct rig r;

	rig_open(&r);
	for (unsigned i = 0; i < sizeof(rests) / sizeof(rests[0]); i++) {
		rig_session(&r);
		uint64_t rest = rig_rest(&r);

		cr_expect(rest == rests[i], "%u: %" PRIu64, i, rest);
	}
	r.curve.knee_bytes *= 2;
	rig_session(&r);
	cr_expect(rig_rest(&r) == 30, "another knee than before");
}

Test(tracking, a_curve_that_cannot_be_believed_is_not_told)
{
	struct rig r;

	rig_open(&r);
	r.curve.confident = false;
	cr_expect(rig_session(&r) == 120);
	cr_expect(r.told == 0);
	cr_expect(rig_rest(&r) == 30);
	tracking_begin(&r.t, r.now_ns);
	cr_expect(!tracking_turn(&r.t, &r.setup, NULL, MS, r.now_ns + TURN).tell, "no curve");
}

Test(tracking, what_changes_a_working_set_ends_a_rest)
{
	struct rig r;

	rig_open(&r);
	rig_session(&r);
	rig_sample(&r, SECOND);
	r.view.usage_bytes = 60 * MIB;
	for (unsigned i = 0; i < 18; i++)
		cr_expect(!rig_sample(&r, SECOND), "less is what was reclaimed");
	r.view.usage_bytes = 66 * MIB;
	cr_expect(!rig_sample(&r, SECOND), "a tenth more");
	r.view.usage_bytes = 69 * MIB;
	cr_expect(!rig_sample(&r, SECOND), "it grows still");
	cr_expect(rig_sample(&r, SECOND), "an eighth more than the least");

	rig_open(&r);
	rig_session(&r);
	rig_sample(&r, SECOND);
	r.view.refaults += 200 * MIB / 4096 / 64 + 1;
	cr_expect(!rig_sample(&r, SECOND), "not at once, whatever it is");
	cr_expect(!rig_sample(&r, 17 * SECOND), "there is time for some steps");
	cr_expect(rig_sample(&r, SECOND), "pages come back");
}

Test(tracking, a_rest_can_begin_later)
{
	struct rig r;

	rig_open(&r);
	rig_session(&r);
	r.now_ns += 50 * SECOND;
	tracking_rest_from(&r.t, r.now_ns);
	cr_expect_eq(rig_rest(&r), 30, "as long as before, from then on");
	tracking_begin(&r.t, r.now_ns);
	tracking_rest_from(&r.t, r.now_ns + 1);
	cr_expect_eq(r.t.phase, TRACKING_ON, "a session is no rest");
}

Test(tracking, the_budget_holds_on_average)
{
	static const uint64_t costs[] = { MS, 5 * MS, 20 * MS, 300 * MS };

	for (unsigned i = 0; i < sizeof(costs) / sizeof(costs[0]); i++) {
		uint64_t spent = 0, began;
		struct rig r;

		rig_open(&r);
		began = r.now_ns;
		tracking_begin(&r.t, r.now_ns);
		for (unsigned turn = 0; turn < 50; turn++) {
			struct tracking_answer answer =
				tracking_turn(&r.t, &r.setup, NULL, costs[i], r.now_ns);

			spent += costs[i];
			r.now_ns += TURN;
			if (answer.not_before_ns > r.now_ns)
				r.now_ns = answer.not_before_ns;
		}
		cr_expect(spent <= (r.now_ns - began) / 100 + 2 * costs[i],
			  "turns of %" PRIu64 ": %" PRIu64 " of %" PRIu64, costs[i], spent,
			  r.now_ns - began);
	}
}

Test(tracking, a_rest_saves_nothing_up)
{
	struct rig r;

	rig_open(&r);
	tracking_begin(&r.t, r.now_ns);
	rig_turn(&r, 100 * MS);
	tracking_stop(&r.t, 0, r.now_ns);
	r.now_ns += 1000 * SECOND;
	tracking_begin(&r.t, r.now_ns);
	cr_expect(rig_turn(&r, 100 * MS).not_before_ns == 0, "one may be owed");
	struct tracking_answer answer = rig_turn(&r, 100 * MS);

	cr_expect(answer.not_before_ns > r.now_ns + 9 * SECOND, "100 ms are 10 s");
}

Test(tracking, who_was_stopped_goes_on_when_it_may)
{
	struct rig r;

	rig_open(&r);
	rig_sample(&r, SECOND);
	tracking_begin(&r.t, r.now_ns);
	rig_turn(&r, MS);
	tracking_stop(&r.t, 0, r.now_ns);
	cr_expect(rig_sample(&r, SECOND));
	tracking_stop(&r.t, 5 * SECOND, r.now_ns);
	cr_expect(!rig_sample(&r, 4 * SECOND));
	cr_expect(rig_sample(&r, SECOND));
}
