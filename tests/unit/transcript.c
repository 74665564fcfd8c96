/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "export/transcript.h"

Test(transcript, everything_has_a_word)
{
	for (uint32_t i = 0; i < PFUSE_CONTROLS; i++) {
		struct pfuse_verdict up = { .control = i, .to = 1 },
				     down = { .control = i, .from = 1 };

		cr_assert_str_neq(transcript_control(i), "?", "control %u", i);
		cr_assert_str_neq(transcript_move(&up), "?", "control %u", i);
		cr_assert_str_neq(transcript_move(&down), transcript_move(&up), "control %u", i);
	}
	for (uint32_t i = 0; i < PFUSE_REASONS; i++)
		cr_assert_str_neq(transcript_reason(i), "?", "reason %u", i);
	for (uint32_t i = 1; i < PFUSE_EV_KINDS; i++)
		cr_assert_str_neq(transcript_event(i), "?", "event %u", i);
	for (uint32_t i = 0; i <= ORCHESTRATOR_DRY; i++)
		cr_assert_str_neq(transcript_outcome(i), "?", "outcome %u", i);
	cr_assert_str_eq(transcript_reason(PFUSE_REASONS), "?");
	cr_assert_str_eq(transcript_event(UINT32_MAX), "?");
}

Test(transcript, a_line)
{
	struct pfuse_verdict verdict = { .time_ns = 12345678901,
					 .slot = 3,
					 .control = PFUSE_CTL_RAM,
					 .from = PFUSE_UNLIMITED,
					 .to = 67108864,
					 .reason = PFUSE_WHY_SCORE_LOW,
					 .clamped = 1,
					 .score = 0.1,
					 .size = 4096,
					 .usage = 1,
					 .usage_prev = 2,
					 .limit = PFUSE_UNLIMITED };
	char line[TRANSCRIPT_LINE];
	size_t length = transcript_verdict(line, &verdict, "web\n\x1b", 2345678900);

	cr_assert_str_eq(line,
			 "10.000000001  web\\x0a\\x1b  ram  max -> 67108864  score-low  "
			 "score=0.10000000000000001 size=4096 usage=1 before=2 limit=max since=0 "
			 "periods=0 throttled=0 clamped\n");
	cr_assert_eq(length, strlen(line));
	transcript_verdict(line, &verdict, NULL, 12345678902);
	cr_assert(strncmp(line, "-0.000000001  slot-3  ram", 25) == 0, "%s", line);
}

Test(transcript, the_longest_line_fits)
{
	struct pfuse_verdict verdict;
	char name[4096], line[TRANSCRIPT_LINE + 1];

	memset(&verdict, 0xfe, sizeof(verdict));
	memset(name, '\x01', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	verdict.control = PFUSE_CTL_IO_WRITE;
	verdict.reason = PFUSE_WHY_SCORE_HIGH;
	verdict.clamped = 1;
	verdict.score = -2.2250738585072014e-308;
	line[TRANSCRIPT_LINE] = '#';
	size_t length = transcript_verdict(line, &verdict, name, 0);

	cr_assert_eq(length, strlen(line));
	cr_assert(length < TRANSCRIPT_LINE);
	cr_assert_eq(line[length - 1], '\n');
	cr_assert_eq(line[TRANSCRIPT_LINE], '#');
}
