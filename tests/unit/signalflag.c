/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/signalflag.h"

#include <criterion/criterion.h>

#define S 1000000000ull
#define WINDOW (10 * S)

static struct pfuse_event talk(uint64_t time_ns, uint32_t pid)
{
	return (struct pfuse_event){
		.time_ns = time_ns,
		.kind = PFUSE_EV_TALK,
		.talk = { .channel = PFUSE_CH_TCP, .pid = pid, .peer_port = 80, .incoming = 1 }
	};
}

Test(signalflag, is_true_after_a_full_quiet_window)
{
	static const struct {
		uint64_t talk_at, now;
		enum signalflag_state state;
		uint64_t due;
		const char *why;
	} table[] = {
		{ 0, 100 * S, SIGNALFLAG_UNKNOWN, 110 * S, "just attached" },
		{ 0, 110 * S - 1, SIGNALFLAG_UNKNOWN, 110 * S, "1 ns before the window is full" },
		{ 0, 110 * S, SIGNALFLAG_ISOLATED, 110 * S, "the window is full" },
		{ 105 * S, 105 * S, SIGNALFLAG_TALKS, 115 * S, "talks within the first window" },
		{ 105 * S, 110 * S, SIGNALFLAG_TALKS, 115 * S,
		  "the first window is over, not the talk" },
		{ 105 * S, 115 * S - 1, SIGNALFLAG_TALKS, 115 * S,
		  "1 ns before the window is over" },
		{ 105 * S, 115 * S, SIGNALFLAG_ISOLATED, 115 * S, "the window is over" },
		{ 99 * S, 101 * S, SIGNALFLAG_TALKS, 110 * S, "an event from before the attach" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct pfuse_event ev = talk(table[i].talk_at, 1);
		struct signalflag f;

		signalflag_start(&f, 100 * S);
		if (table[i].talk_at)
			signalflag_event(&f, &ev, table[i].now);
		cr_expect(signalflag_state(&f, WINDOW, table[i].now) == table[i].state, "%s",
			  table[i].why);
		cr_expect(signalflag_due_ns(&f, WINDOW) == table[i].due, "%s", table[i].why);
	}
}

Test(signalflag, a_talk_in_the_future_counts_as_now)
{
	struct pfuse_event ev = talk(UINT64_MAX, 1);
	struct signalflag f;

	signalflag_start(&f, S);
	signalflag_event(&f, &ev, 2 * S);
	cr_expect(signalflag_due_ns(&f, WINDOW) == 12 * S);
}

Test(signalflag, the_latest_talk_is_the_evidence)
{
	struct pfuse_event late = talk(5 * S, 55), early = talk(4 * S, 44);
	struct signalflag f;

	signalflag_start(&f, S);
	signalflag_event(&f, &late, 6 * S);
	signalflag_event(&f, &early, 6 * S);
	cr_expect(f.pid == 55 && f.evidence_ns == 5 * S && f.talked_ns == 5 * S);
	cr_expect(f.channel == PFUSE_CH_TCP && f.peer_port == 80 && f.incoming == 1);
	cr_expect(f.talks == 2);
}

Test(signalflag, counted_talks_have_no_evidence_but_count)
{
	struct signalflag f;

	signalflag_start(&f, S);
	signalflag_counted(&f, 0, 2 * S);
	cr_expect(signalflag_state(&f, WINDOW, 3 * S) == SIGNALFLAG_UNKNOWN);
	signalflag_counted(&f, 3, 4 * S);
	cr_expect(signalflag_state(&f, WINDOW, 14 * S - 1) == SIGNALFLAG_TALKS);
	cr_expect(signalflag_state(&f, WINDOW, 14 * S) == SIGNALFLAG_ISOLATED);
	cr_expect(f.channel == PFUSE_CH_NONE);
}

Test(signalflag, extreme_windows)
{
	struct signalflag f;

	signalflag_start(&f, 5);
	cr_expect(signalflag_due_ns(&f, UINT64_MAX) == UINT64_MAX, "no wrap");
	cr_expect(signalflag_state(&f, UINT64_MAX, UINT64_MAX - 1) == SIGNALFLAG_UNKNOWN);
	cr_expect(signalflag_state(&f, 0, 5) == SIGNALFLAG_ISOLATED, "no window: at once");
}
