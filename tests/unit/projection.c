/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What another configuration would have decided, from recorded samples and events. */
#include <criterion/criterion.h>
#include <string.h>

#include "export/projection.h"

#define S 1000000000ull
#define MIB (1ull << 20)
#define MACHINE_RAM (1024 * MIB)
#define ID 77

struct fixture {
	struct projection projection;
	struct config config;
	struct pfuse_verdict told[64];
	unsigned ntold;
};

static void note(void *arg, const struct pfuse_verdict *verdict)
{
	struct fixture *f = arg;

	cr_assert(f->ntold < 64);
	f->told[f->ntold++] = *verdict;
}

static void play(struct fixture *f, struct pftrace_record *record)
{
	record->slot = record->kind == PFTRACE_MACHINE ? 0 : 1;
	cr_assert_eq(projection_play(&f->projection, record), 0);
}

static struct pfuse_sample usage_of(uint64_t usage, uint64_t limit)
{
	return (struct pfuse_sample){ .ram_usage_bytes = usage,
				      .ram_limit_bytes = limit,
				      .cpu_limit_ns = PFUSE_UNLIMITED,
				      .io_read_limit = PFUSE_UNLIMITED,
				      .io_write_limit = PFUSE_UNLIMITED,
				      .nprocs = 1 };
}

/* The group was recorded with 64 MiB in use under 512 MiB, all defaults. */
static void begin(struct fixture *f, bool with_config)
{
	struct pftrace_record machine = {
		.kind = PFTRACE_MACHINE,
		.machine = { .ram_bytes = MACHINE_RAM, .page_bytes = 4096, .cpus = 2, .slots = 2 }
	};
	struct pftrace_record attach = { .kind = PFTRACE_ATTACH,
					 .time_ns = 100 * S,
					 .group = { ID, "web", "/web" },
					 .sample = usage_of(64 * MIB, 512 * MIB) };

	f->ntold = 0;
	fcb_policy_defaults(&attach.policy, 0);
	projection_init(&f->projection, with_config ? &f->config : NULL, note, f);
	play(f, &machine);
	play(f, &attach);
}

static void sample(struct fixture *f, uint64_t time_ns, uint64_t usage, uint64_t recorded_limit)
{
	struct pftrace_record record = { .kind = PFTRACE_SAMPLE,
					 .time_ns = time_ns,
					 .sample = usage_of(usage, recorded_limit) };

	record.sample.run_ns = time_ns; /* busy */
	play(f, &record);
}

Test(projection, a_floor_of_the_configuration_holds)
{
	struct fixture f;

	config_default(&f.config);
	f.config.defaults.policy.ram_floor_bytes = 300 * MIB;
	begin(&f, true);
	for (unsigned i = 1; i < 20; i++)
		sample(&f, (100 + i) * S, 64 * MIB, 16 * MIB); /* recorded: squeezed to 16 MiB */
	cr_assert(f.ntold > 0);
	for (unsigned i = 0; i < f.ntold; i++)
		cr_assert(f.told[i].to >= 300 * MIB);
	cr_assert_eq(f.told[f.ntold - 1].to, 300 * MIB);
	cr_assert_eq(f.told[0].from, 512 * MIB, "the limit that stood at first, not the recorded");
	projection_free(&f.projection);
}

Test(projection, without_a_configuration_the_recorded_policies_hold)
{
	struct fixture f;
	struct pftrace_record policy = { .kind = PFTRACE_POLICY, .time_ns = 101 * S };

	begin(&f, false);
	fcb_policy_defaults(&policy.policy, 0);
	policy.policy.mode[FCB_RAM] = FCB_OBSERVE;
	play(&f, &policy);
	for (unsigned i = 2; i < 10; i++)
		sample(&f, (100 + i) * S, 64 * MIB, 512 * MIB);
	cr_assert_eq(f.ntold, 0);
	projection_free(&f.projection);
}

Test(projection, a_limit_that_was_met_then_is_not_met_under_a_larger_one)
{
	struct fixture f;
	struct pftrace_record hit = { .kind = PFTRACE_EVENT, .time_ns = 102 * S };

	config_default(&f.config);
	f.config.defaults.policy.ram_floor_bytes = 512 * MIB;
	begin(&f, true);
	hit.event = (struct pfuse_event){
		.time_ns = 102 * S, .group_id = ID, .kind = PFUSE_EV_LIMIT_HIT, .slot = 1
	};
	hit.event.ram.usage_bytes = 80 * MIB;
	hit.event.ram.limit_bytes = 80 * MIB;
	play(&f, &hit);
	cr_assert_eq(f.ntold, 0, "80 of 512 MiB");
	hit.event.ram.usage_bytes = 500 * MIB;
	hit.event.ram.limit_bytes = 500 * MIB;
	play(&f, &hit);
	cr_assert_eq(f.ntold, 1, "500 of 512 MiB is above the mark");
	cr_assert_eq(f.told[0].reason, PFUSE_WHY_HIGH_WATER);
	cr_assert_eq(f.told[0].from, 512 * MIB);
	projection_free(&f.projection);
}

/* Recorded with a freeze of 10 s; projected with one of 2 s: its own timers ring, between the records. */
Test(projection, timers_are_its_own)
{
	struct fixture f;
	struct pftrace_record late = { .kind = PFTRACE_TIMER, .time_ns = 200 * S };

	config_default(&f.config);
	config_settle(&f.config, CONFIG_FUSEBOX);
	f.config.defaults.policy.mode[FCB_RAM] = FCB_OFF;
	f.config.defaults.policy.idle_ns = f.config.defaults.policy.window_ns = 5 * S;
	f.config.defaults.policy.deadline_ns = 20 * S;
	begin(&f, true);
	for (unsigned i = 1; i < 4; i++) {
		struct pftrace_record idle = { .kind = PFTRACE_SAMPLE,
					       .time_ns = (100 + i) * S,
					       .sample = usage_of(64 * MIB, 512 * MIB) };

		play(&f, &idle);
	}
	play(&f, &late);
	cr_assert(f.ntold >= 2);
	cr_assert_eq(f.told[0].control, PFUSE_CTL_STOP);
	cr_assert_eq(f.told[0].to, 1);
	cr_assert_eq(f.told[0].time_ns, 105 * S, "idle for 5 s");
	cr_assert_eq(f.told[1].to, 0);
	cr_assert_eq(f.told[1].reason, PFUSE_WHY_DEADLINE);
	cr_assert_eq(f.told[1].time_ns, 125 * S);
	projection_free(&f.projection);
}
