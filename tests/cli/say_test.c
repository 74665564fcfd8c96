/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The lines of decisions: units, denominators, and no number that means something else. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/cleanup.h"
#include "daemon/say.h"

#define MIB ((uint64_t)1 << 20)
#define S 1000000000ull
#define MS 1000000ull
#define NONE PFUSE_UNLIMITED

static const struct {
	struct pfuse_verdict verdict;
	const char *line; /* behind time and name */
} table[] = {
	{ { .control = PFUSE_CTL_RAM,
	    .from = 64 * MIB,
	    .to = 48 * MIB,
	    .reason = PFUSE_WHY_SCORE_LOW,
	    .usage = 10 * MIB,
	    .usage_prev = 11 * MIB,
	    .score = 0.16 },
	  "ram  64.0 MiB -> 48.0 MiB  score below 0.5 (usage 10.0 MiB, before 11.0 MiB, score "
	  "0.16)" },
	{ { .control = PFUSE_CTL_CPU,
	    .from = 2 * S,
	    .to = 500 * MS,
	    .reason = PFUSE_WHY_SCORE_LOW,
	    .usage = 120 * MS,
	    .usage_prev = 130 * MS,
	    .score = -0.1,
	    .periods = 100,
	    .throttled = 12 },
	  "cpu  2.00 -> 0.50 CPUs  score below 0.5 (usage 0.12 CPUs, before 0.13 CPUs, score "
	  "-0.10, "
	  "throttled 12 of 100 periods)" },
	{ { .control = PFUSE_CTL_CPU,
	    .from = NONE,
	    .to = 1400 * MS,
	    .reason = PFUSE_WHY_SCORE_LOW,
	    .clamped = 1 },
	  "cpu  unlimited -> 1.40 CPUs  score below 0.5 (usage 0.00 CPUs, before 0.00 CPUs, score "
	  "0.00, "
	  "clamped)" },
	{ { .control = PFUSE_CTL_CPU,
	    .from = 1890 * MS,
	    .to = NONE,
	    .reason = PFUSE_WHY_CEILING,
	    .usage = 1880 * MS,
	    .usage_prev = S,
	    .score = 1.9,
	    .clamped = 1,
	    .periods = 10 },
	  "cpu  1.89 CPUs -> unlimited  at the ceiling: released (usage 1.88 CPUs, before 1.00 "
	  "CPUs, "
	  "score 1.90, clamped)" },
	{ { .control = PFUSE_CTL_IO_READ,
	    .from = 64 * MIB,
	    .to = 32 * MIB,
	    .reason = PFUSE_WHY_HIGH_WATER,
	    .usage = 16 * MIB,
	    .usage_prev = 8 * MIB,
	    .score = 1.25 },
	  "io-read  64.0 -> 32.0 MiB/s  the limit is in the way (usage 16.0 MiB/s, before 8.0 "
	  "MiB/s, "
	  "score 1.25)" },
	{ { .control = PFUSE_CTL_IO_WRITE,
	    .from = 32 * MIB,
	    .to = 100 * MIB,
	    .reason = PFUSE_WHY_CEILING,
	    .usage = NONE - 1 },
	  "io-write  32.0 -> 100.0 MiB/s  at the ceiling (usage 17592186044416.0 MiB/s, before 0.0 "
	  "MiB/s, score 0.00)" },
	{ { .control = PFUSE_CTL_NET,
	    .from = 3,
	    .to = 4,
	    .reason = PFUSE_WHY_SCORE_HIGH,
	    .usage = 3 * MIB,
	    .usage_prev = 2048,
	    .score = 2.5 },
	  "net  priority 3 -> 4  score above 1.0 (usage 3.0 MiB/s, before 2.0 KiB/s, score 2.50)" },
	{ { .control = PFUSE_CTL_CPUS,
	    .from = NONE,
	    .to = 3,
	    .reason = PFUSE_WHY_TYPE,
	    .is = PFUSE_TYPE_SCIENTIFIC,
	    .usage = 987,
	    .limit = 800,
	    .count = 4,
	    .wait_p99_ns = 1500000 },
	  "cpus  all -> 3  now scientific: uses all that it can get (usage 98.7 %, alpha 80.0 %, "
	  "count 4, wait p99 1.5 ms)" },
	{ { .control = PFUSE_CTL_CPUS,
	    .from = 3,
	    .to = NONE,
	    .reason = PFUSE_WHY_TYPE,
	    .is = PFUSE_TYPE_SERVICE,
	    .limit = 800 },
	  "cpus  3 -> all  now a service: does not use what it could (usage 0.0 %, alpha 80.0 %, "
	  "count 0)" },
	{ { .control = PFUSE_CTL_CPUS,
	    .from = 1,
	    .to = 2,
	    .reason = PFUSE_WHY_SLA,
	    .is = PFUSE_TYPE_SERVICE,
	    .usage = 900,
	    .limit = 800 },
	  "cpus  1 -> 2  a service: the least that keeps its targets (usage 90.0 %, alpha 80.0 %, "
	  "count 0)" },
	{ { .control = PFUSE_CTL_WEIGHT,
	    .from = 0,
	    .to = 10000,
	    .reason = PFUSE_WHY_CHARACTER,
	    .is = PFUSE_CHARACTER_BATCH,
	    .clamped = 1,
	    .short_permille = 12,
	    .voluntary_permille = 1000,
	    .wakeups = 7 },
	  "weight  as found -> 10000  batch: by its table, cut to what a weight can be (in short "
	  "bursts 1.2 % of its time, voluntary 100.0 % of its switches, 7 wake-ups per CPU "
	  "second)" },
	{ { .control = PFUSE_CTL_WEIGHT, .from = 33, .to = 1, .reason = PFUSE_WHY_REMAINDER },
	  "weight  33 -> 1  scientific: its part of what services leave" },
	{ { .control = PFUSE_CTL_WEIGHT,
	    .from = 1,
	    .to = 0,
	    .reason = PFUSE_WHY_REMAINDER,
	    .is = 77 },
	  "weight  1 -> as found  released" },
	{ { .control = PFUSE_CTL_STOP,
	    .from = 0,
	    .to = 1,
	    .reason = PFUSE_WHY_IDLE,
	    .since_ns = 10 * S },
	  "stop  running -> stopped  idle, and talks with nobody (idle for 10.0 s)" },
};

static const struct {
	enum orchestrator_outcome outcome;
	int err;
	const char *why;
	const char *end;
} outcomes[] = {
	{ ORCHESTRATOR_APPLIED, 0, "", ", done in 1.0 ms\n" },
	{ ORCHESTRATOR_DRY, 0, "", ", left out: dry run\n" },
	{ ORCHESTRATOR_FOREIGN, -ESTALE, "",
	  ", left alone: somebody else changed it, and from now on it is theirs\n" },
	{ ORCHESTRATOR_FAILED, -EINVAL, "", ", failed (Invalid argument), going on\n" },
	{ ORCHESTRATOR_REFUSED, -EPERM, "it is shared", ", left alone: it is shared; said once\n" },
};

static char *say(const struct pfuse_verdict *verdict, size_t which)
{
	struct say_decision said = { .name = "a\nb",
				     .verdict = verdict,
				     .outcome = outcomes[which].outcome,
				     .err = outcomes[which].err,
				     .why = outcomes[which].why,
				     .took_ns = MS };
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	cr_assert_not_null(out);
	say_decision(out, &said);
	fclose(out);
	return text;
}

Test(say, lines_of_decisions)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		for (size_t k = 0; k < sizeof(outcomes) / sizeof(outcomes[0]); k++) {
			_cleanup_free_ char *text = say(&table[i].verdict, k), *want = NULL;
			char *line = strstr(text, "  a\\x0ab  ");

			cr_assert(asprintf(&want, "  a\\x0ab  %s%s", table[i].line,
					   outcomes[k].end) > 0);
			cr_assert_not_null(line, "%s", text);
			cr_expect_str_eq(line, want);
		}
	}
}

Test(say, what_changed_nothing_in_the_kernel)
{
	const struct pfuse_verdict verdict = { .control = PFUSE_CTL_IO_READ, .to = MIB };
	struct say_decision said = { .name = "a",
				     .verdict = &verdict,
				     .outcome = ORCHESTRATOR_APPLIED,
				     .why = "in thought: it has used no disk yet; said once" };
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	cr_assert_not_null(out);
	say_decision(out, &said);
	fclose(out);
	cr_expect(strstr(text, "), in thought: it has used no disk yet; said once\n"), "%s", text);
	free(text);
}
