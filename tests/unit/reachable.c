/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/reachable.h"

#include <criterion/criterion.h>

#define R PFUSE_REACH_READ
#define W PFUSE_REACH_WRITE
#define RW (R | W)
#define PIPE                                                                                       \
	{                                                                                          \
		.kind = PFUSE_REACH_PIPE                                                           \
	}
#define EVENTFD                                                                                    \
	{                                                                                          \
		.kind = PFUSE_REACH_EVENTFD                                                        \
	}
#define TTY                                                                                        \
	{                                                                                          \
		.kind = PFUSE_REACH_TTY                                                            \
	}
#define SHM                                                                                        \
	{                                                                                          \
		.kind = PFUSE_REACH_SHM                                                            \
	}

Test(reachable, each_kind_of_finding)
{
	static const struct {
		struct pfuse_reach_finding finding;
		enum reachable expected;
		const char *why;
	} table[] = {
		{ { PIPE, .access = W, .their_access = R },
		  REACHABLE_UNKNOWN,
		  "the first snapshot" },
		{ { PIPE, .access = W, .their_access = R, .compared = 1 },
		  REACHABLE_SILENT,
		  "standard output, nothing written" },
		{ { PIPE, .access = W, .their_access = R, .compared = 1, .moved = 1 },
		  REACHABLE_TALKS,
		  "standard output, written" },
		{ { PIPE, .access = W, .their_access = R, .compared = 1, .waiting = 9 },
		  REACHABLE_SILENT,
		  "what we wrote is not read: no news for us" },
		{ { PIPE, .access = R, .their_access = W, .waiting = 1 },
		  REACHABLE_TALKS,
		  "unread data for us, already in the first snapshot" },
		{ { PIPE, .access = R, .their_access = W, .compared = 1, .waiting = 1 },
		  REACHABLE_TALKS,
		  "the same later" },
		{ { PIPE, .access = RW, .their_access = R, .compared = 1, .waiting = 1 },
		  REACHABLE_SILENT,
		  "the outsider cannot have written it" },
		{ { PIPE, .access = R, .their_access = W, .compared = 1 },
		  REACHABLE_SILENT,
		  "standard input" },
		{ { PIPE, .access = W, .their_access = R, .compared = 1, .moved = 1,
		    .daemon_writes = 1 },
		  REACHABLE_TALKS,
		  "moved by the daemon or by the group" },
		{ { PIPE, .access = W, .their_access = R, .compared = 1, .moved = 1,
		    .daemon_writes = 1, .heard = 1 },
		  REACHABLE_SILENT,
		  "moved by the daemon: the group would have been heard" },
		{ { TTY, .access = RW, .their_access = RW, .compared = 1 },
		  REACHABLE_SILENT,
		  "a terminal where nobody types" },
		{ { TTY, .access = RW, .their_access = RW, .compared = 1, .moved = 1 },
		  REACHABLE_TALKS,
		  "a terminal where somebody typed or something was printed" },
		{ { TTY, .access = RW, .their_access = RW, .waiting = 1 },
		  REACHABLE_TALKS,
		  "a typed line that the group has not read" },
		{ { EVENTFD, .access = RW, .their_access = RW }, REACHABLE_TALKS, "nobody hears" },
		{ { EVENTFD, .access = RW, .their_access = RW, .compared = 1 },
		  REACHABLE_TALKS,
		  "unchanged, but nobody heard" },
		{ { EVENTFD, .access = RW, .their_access = RW, .compared = 1, .watched = 1 },
		  REACHABLE_UNKNOWN,
		  "heard from now on only" },
		{ { EVENTFD, .access = RW, .their_access = RW, .compared = 1, .heard = 1,
		    .watched = 1 },
		  REACHABLE_SILENT,
		  "heard all the time" },
		{ { EVENTFD, .access = RW, .their_access = RW, .compared = 1, .heard = 1,
		    .moved = 1 },
		  REACHABLE_TALKS,
		  "the count changed" },
		{ { EVENTFD, .access = RW, .their_access = RW, .compared = 1, .heard = 1,
		    .waiting = 1 },
		  REACHABLE_TALKS,
		  "the count is not 0: somebody wants to wake us" },
		{ { SHM, .access = RW, .their_access = RW, .compared = 1 },
		  REACHABLE_TALKS,
		  "a store is not seen" },
		{ { { .kind = PFUSE_REACH_KINDS }, .compared = 1 }, REACHABLE_TALKS, "not known" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		cr_expect_eq(reachable_judge(&table[i].finding), table[i].expected, "%s",
			     table[i].why);
}

Test(reachable, the_worst_finding_decides_and_is_the_evidence)
{
	const struct pfuse_reach_finding findings[] = {
		{ PIPE, .access = W, .their_access = R, .compared = 1 },
		{ PIPE, .access = W, .their_access = R },
		{ SHM, .access = RW, .their_access = R },
		{ PIPE, .access = W, .their_access = R, .compared = 1, .moved = 1 },
	};
	uint32_t evidence = 0;

	cr_expect_eq(reachable_judge_all(findings, 0, false, &evidence), REACHABLE_SILENT);
	cr_expect_eq(evidence, UINT32_MAX);
	cr_expect_eq(reachable_judge_all(findings, 0, true, &evidence), REACHABLE_UNKNOWN);
	cr_expect_eq(evidence, UINT32_MAX);
	cr_expect_eq(reachable_judge_all(findings, 1, false, &evidence), REACHABLE_SILENT);
	cr_expect_eq(reachable_judge_all(findings, 2, false, &evidence), REACHABLE_UNKNOWN);
	cr_expect_eq(evidence, 1);
	cr_expect_eq(reachable_judge_all(findings, 4, true, &evidence), REACHABLE_TALKS);
	cr_expect_eq(evidence, 2, "the first of the worst");
}

Test(reachable, channels)
{
	const struct pfuse_reach_finding pipe = { PIPE }, eventfd = { EVENTFD }, shm = { SHM },
					 tty = { TTY };

	cr_expect_eq(reachable_channel(&pipe), PFUSE_CH_PIPE);
	cr_expect_eq(reachable_channel(&eventfd), PFUSE_CH_EVENTFD);
	cr_expect_eq(reachable_channel(&tty), PFUSE_CH_TTY);
	cr_expect_eq(reachable_channel(&shm), PFUSE_CH_SHM);
}
