/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* `pfuse-bpf replay`: what it prints and how it ends, on traces that were made up. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/replay.h"
#include "export/pftrace.h"

#define S 1000000000ull
#define MIB (1ull << 20)
#define GROUPS 10000

struct fixture {
	char path[64];
	struct pftrace *trace;
	struct orchestrator core;
	struct fcb *fcbs;
	struct options options;
	char *out; /* what was printed */
	size_t size;
};

static void begin(struct fixture *f, uint32_t slots)
{
	struct pftrace_options options = { .path = f->path };
	struct pftrace_record machine = { .time_ns = S,
					  .kind = PFTRACE_MACHINE,
					  .machine = { .version = "0.0.9",
						       .kernel = "6.1",
						       .ram_bytes = 1024 * MIB,
						       .page_bytes = 4096,
						       .cpus = 2,
						       .slots = slots } };
	struct err err;
	int fd;

	*f = (struct fixture){ .path = "/tmp/pfuse-test-replay-XXXXXX" };
	fd = mkstemp(f->path);
	cr_assert(fd >= 0);
	close(fd);
	f->options = (struct options){ .file = f->path, .policy = -1 };
	f->fcbs = calloc(slots, sizeof(*f->fcbs));
	orchestrator_init(&f->core, f->fcbs, slots, 1024 * MIB, 4096);
	f->core.ncpus = 2;
	cr_assert_eq(pftrace_open(&options, &f->trace, &err), 0, "%s", err.text);
	pftrace_record(f->trace, &machine);
}

static enum exit_status replay(struct fixture *f)
{
	FILE *out;
	enum exit_status status;

	pftrace_close(f->trace);
	f->trace = NULL;
	free(f->out);
	out = open_memstream(&f->out, &f->size);
	status = cmd_replay(&f->options, out);
	fclose(out);
	return status;
}

static void end(struct fixture *f)
{
	pftrace_close(f->trace);
	unlink(f->path);
	free(f->fcbs);
	free(f->out);
}

/* 64 MiB in use under 512 MiB: the next sample lowers the limit. */
static struct pfuse_sample some_sample(void)
{
	return (struct pfuse_sample){ .ram_usage_bytes = 64 * MIB,
				      .ram_limit_bytes = 512 * MIB,
				      .cpu_limit_ns = PFUSE_UNLIMITED,
				      .io_read_limit = PFUSE_UNLIMITED,
				      .io_write_limit = PFUSE_UNLIMITED,
				      .nprocs = 1 };
}

static void attach(struct fixture *f, uint32_t slot, const char *name)
{
	struct pftrace_record record = { .time_ns = 2 * S,
					 .kind = PFTRACE_ATTACH,
					 .slot = slot,
					 .group = { slot, name, "/x" },
					 .sample = some_sample() };

	fcb_policy_defaults(&record.policy, 0);
	orchestrator_attach(&f->core, slot, slot, &record.policy, &record.sample, 2 * S);
	pftrace_record(f->trace, &record);
}

/* Returns the record as it was written, so that a test can write it falsely, too. */
static struct pftrace_record sample(struct fixture *f, uint32_t slot, uint64_t now_ns)
{
	struct pftrace_record record = {
		.time_ns = now_ns, .kind = PFTRACE_SAMPLE, .slot = slot, .sample = some_sample()
	};

	record.nverdicts =
		orchestrator_sample(&f->core, slot, &record.sample, now_ns, record.verdicts);
	return record;
}

Test(replay, identical)
{
	struct fixture f;

	begin(&f, 2);
	attach(&f, 1, "web");
	struct pftrace_record record = sample(&f, 1, 3 * S);

	cr_assert_eq(record.nverdicts, 1);
	pftrace_record(f.trace, &record);
	cr_assert_eq(replay(&f), EXIT_DONE);
	cr_assert(strstr(f.out, "1.000000000  web  ram  536870912 -> "), "%s", f.out);
	cr_assert(strstr(f.out, "\nidentical: 1 verdicts\n"), "%s", f.out);
	f.options.quiet = true;
	cr_assert_eq(replay(&f), EXIT_DONE);
	cr_assert_str_eq(f.out, "identical: 1 verdicts\n");
	end(&f);
}

#define SHARERS 12 /* a verdict about the weight of each: more than one record holds */

/* All of them on one CPU, at nice values of their own. Returns how many verdicts there were. */
static unsigned decide_weights(struct fixture *f, struct cpus *cpus, unsigned false_at)
{
	static struct cpus_group groups[SHARERS + 1];
	static struct workload_group workload[SHARERS + 1];
	static struct workload_topology topology;
	struct pfuse_verdict verdicts[2 * (SHARERS + 1)];
	struct pftrace_record record = { .time_ns = 3 * S,
					 .kind = PFTRACE_CPUS_BEGIN,
					 .topology = { .online = { "\1", 1 } } };
	unsigned n, done = 0;

	topology.online.words[0] = 1;
	cpus_init(cpus, groups, workload, SHARERS + 1, &topology);
	orchestrator_cpus_begin(&f->core, cpus);
	pftrace_record(f->trace, &record);
	record.kind = PFTRACE_CPUS_POLICY;
	for (uint32_t slot = 1; slot <= SHARERS; slot++) {
		record.slot = slot;
		record.cpus_policy =
			(struct cpus_policy){ .character = PRIO_BATCH, .nice = (int8_t)slot };
		orchestrator_cpus_policy(&f->core, slot, &record.cpus_policy);
		pftrace_record(f->trace, &record);
	}
	n = orchestrator_cpus(&f->core, 3 * S, verdicts, 2 * (SHARERS + 1));
	if (false_at < n)
		verdicts[false_at].to++;
	record = (struct pftrace_record){ .time_ns = 3 * S, .kind = PFTRACE_CPUS };
	do {
		record.nverdicts = n - done < PFUSE_CONTROLS ? n - done : PFUSE_CONTROLS;
		memcpy(record.verdicts, verdicts + done, record.nverdicts * sizeof(*verdicts));
		pftrace_record(f->trace, &record);
		record.goes_on = true;
		done += record.nverdicts;
	} while (record.nverdicts == PFUSE_CONTROLS);
	return n;
}

Test(replay, one_call_whose_verdicts_take_several_records)
{
	static struct cpus cpus;
	struct fixture f;

	for (unsigned row = 0; row < 2; row++) {
		begin(&f, SHARERS + 1);
		for (uint32_t slot = 1; slot <= SHARERS; slot++)
			attach(&f, slot, "one of many");
		cr_assert_eq(decide_weights(&f, &cpus, row ? SHARERS - 1 : UINT32_MAX), SHARERS);
		cr_assert_eq(replay(&f), row ? EXIT_FAILED : EXIT_DONE, "%s", f.out);
		if (row)
			cr_assert(strstr(f.out, "\ndifferent: 1 of 12 verdicts"), "%s", f.out);
		else
			cr_assert(strstr(f.out, "\nidentical: 12 verdicts\n"), "%s", f.out);
		end(&f);
	}
}

/* The smallest difference that there is: the last bit of a score. */
Test(replay, one_bit_is_a_difference)
{
	struct fixture f;
	uint64_t bits;

	begin(&f, 2);
	attach(&f, 1, "web");
	struct pftrace_record record = sample(&f, 1, 3 * S);

	memcpy(&bits, &record.verdicts[0].score, 8);
	bits ^= 1;
	memcpy(&record.verdicts[0].score, &bits, 8);
	pftrace_record(f.trace, &record);
	cr_assert_eq(replay(&f), EXIT_FAILED);
	cr_assert(strstr(f.out, "recorded: 1.000000000  web"), "%s", f.out);
	cr_assert(strstr(f.out, "replayed: 1.000000000  web"), "%s", f.out);
	cr_assert(strstr(f.out, "different: 1 of 1 verdicts; recorded by pfuse-bpf 0.0.9"), "%s",
		  f.out);
	end(&f);
}

Test(replay, a_verdict_too_many_or_too_few)
{
	struct fixture f;

	begin(&f, 2);
	attach(&f, 1, "web");
	struct pftrace_record record = sample(&f, 1, 3 * S);

	record.nverdicts = 0;
	pftrace_record(f.trace, &record);
	record.kind = PFTRACE_TIMER;
	record.nverdicts = 1;
	pftrace_record(f.trace, &record);
	cr_assert_eq(replay(&f), EXIT_FAILED);
	cr_assert(strstr(f.out, "different: 2 of 1 verdicts"), "%s", f.out);
	end(&f);
}

/* Another rule than the recorded one is another run; the recorded one by its name is not. */
Test(replay, the_policy_that_was_recorded_is_no_other)
{
	struct fixture f;

	begin(&f, 2);
	attach(&f, 1, "web");
	struct pftrace_record record = sample(&f, 1, 3 * S);

	pftrace_record(f.trace, &record);
	f.options.policy = CONFIG_FUSEBOX;
	cr_assert_eq(replay(&f), EXIT_DONE);
	cr_assert(strstr(f.out, "identical: 1 verdicts"), "%s", f.out);
	end(&f);
}

Test(replay, names_cannot_disturb_a_terminal)
{
	struct fixture f;

	begin(&f, 2);
	attach(&f, 1, "a\x1b[2J\n\"");
	struct pftrace_record record = sample(&f, 1, 3 * S);

	pftrace_record(f.trace, &record);
	cr_assert_eq(replay(&f), EXIT_DONE);
	cr_assert(strstr(f.out, "  a\\x1b[2J\\x0a\"  ram"), "%s", f.out);
	end(&f);
}

Test(replay, ten_thousand_groups)
{
	struct fixture f;
	char last[32];

	begin(&f, GROUPS + 1);
	for (uint32_t slot = 1; slot <= GROUPS; slot++) {
		char name[32];

		snprintf(name, sizeof(name), "group-%u", slot);
		attach(&f, slot, name);
	}
	for (uint32_t slot = 1; slot <= GROUPS; slot++) {
		struct pftrace_record record = sample(&f, slot, 3 * S + slot);

		pftrace_record(f.trace, &record);
	}
	cr_assert_eq(replay(&f), EXIT_DONE);
	snprintf(last, sizeof(last), "identical: %d verdicts\n", GROUPS);
	cr_assert(strstr(f.out, last), "%s", f.out + f.size - 200);
	cr_assert(strstr(f.out, "  group-10000  ram  "));
	end(&f);
}
