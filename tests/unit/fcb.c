/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/fcb.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define S 1000000000ull
#define MS 1000000ull

static struct fcb fresh(const struct pfuse_sample *first)
{
	struct fcb_policy policy;
	struct fcb fcb;

	fcb_policy_defaults(&policy, 8 * GIB);
	fcb_init(&fcb, 7, first, 100 * S);
	fcb.page_bytes = 4096;
	fcb_set_policy(&fcb, &policy, 8 * GIB);
	return fcb;
}

Test(fcb, defaults)
{
	struct fcb_policy p;

	fcb_policy_defaults(&p, 8 * GIB);
	cr_expect(p.mode[FCB_RAM] == FCB_ACT && p.mode[FCB_CPU] == FCB_OBSERVE);
	cr_expect(p.mode[FCB_IO_READ] == FCB_OBSERVE && p.mode[FCB_IO_WRITE] == FCB_OBSERVE);
	cr_expect(p.mode[FCB_NET] == FCB_OBSERVE && p.net_low == 0 && p.net_high == 6);
	cr_expect(p.cpu_floor_permille == 50 && p.cpu_ceiling_permille == 0);
	cr_expect(p.io_floor_kib == 1024 && p.io_ceiling_kib == 0);
	cr_expect(p.ram_floor_bytes == 16 * MIB && p.ram_ceiling_bytes == 8 * GIB);
	cr_expect(p.high_water_permille == 900 && p.idle_cpu_permille == 5);
	cr_expect(p.freeze == FCB_FREEZE_ISOLATED);
	cr_expect(p.idle_ns == 10 * S && p.deadline_ns == 25 * S);
	cr_expect(p.window_ns == 10 * S && p.cool_down_ns == 3 * S);
}

Test(fcb, policies_are_clamped_to_the_machine)
{
	static const struct {
		uint64_t floor, ceiling;
		uint32_t high_water;
		uint64_t want_floor, want_ceiling;
		uint32_t want_high_water;
		const char *why;
	} table[] = {
		{ 5000, 10000, 900, 8192, 8192, 900, "whole pages: floor up, ceiling down" },
		{ 0, 0, 900, 0, 8 * GIB, 900, "0: the machine's RAM" },
		{ 0, PFUSE_UNLIMITED, 900, 0, 8 * GIB, 900, "more than the machine has" },
		{ 1 * GIB, 1 * MIB, 900, 1 * MIB, 1 * MIB, 900, "floor above ceiling" },
		{ PFUSE_UNLIMITED, 1 * GIB, 0, 1 * GIB, 1 * GIB, 1, "0 permille is none" },
		{ 0, 1 * GIB, 5000, 0, 1 * GIB, 1000, "more than the whole" },
	};
	struct pfuse_sample first = { .ram_limit_bytes = PFUSE_UNLIMITED };

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct fcb f = fresh(&first);
		struct fcb_policy p = f.policy;

		p.ram_floor_bytes = table[i].floor;
		p.ram_ceiling_bytes = table[i].ceiling;
		p.high_water_permille = table[i].high_water;
		fcb_set_policy(&f, &p, 8 * GIB);
		cr_expect(f.policy.ram_floor_bytes == table[i].want_floor, "%s", table[i].why);
		cr_expect(f.policy.ram_ceiling_bytes == table[i].want_ceiling, "%s", table[i].why);
		cr_expect(f.policy.high_water_permille == table[i].want_high_water, "%s",
			  table[i].why);
	}
}

Test(fcb, rates_are_per_second)
{
	struct pfuse_sample s = { .run_ns = 5 * S, .net_bytes = 100, .io_read_bytes = 1000 };
	struct fcb f = fresh(&s);

	s.run_ns += 3 * S;
	s.net_bytes += 500;
	s.io_read_bytes += 4096;
	s.io_write_bytes += 8192;
	fcb_sample(&f, &s, 102 * S);
	cr_expect(f.res[FCB_CPU].usage == 1500000000, "3 s in 2 s: one and a half CPUs");
	cr_expect(f.res[FCB_NET].usage == 250);
	cr_expect(f.res[FCB_IO_READ].usage == 2048 && f.res[FCB_IO_WRITE].usage == 4096);
	cr_expect(f.res[FCB_CPU].usage_prev == 0);
	s.run_ns += S / 2;
	fcb_sample(&f, &s, 102 * S + S / 2);
	cr_expect(f.res[FCB_CPU].usage == S && f.res[FCB_CPU].usage_prev == 3 * S / 2);
}

Test(fcb, net_is_a_running_mean)
{
	static const struct {
		uint64_t bytes, mean;
		const char *why;
	} table[] = {
		{ 0, 0, "nothing yet" },
		{ 800, 800, "the first traffic is its own mean" },
		{ 1600, 900, "an eighth of the way" },
		{ 100, 800, "and back" },
		{ 0, 0, "silence at once" },
		{ 7, 7, "small" },
		{ 1, 7, "below 8 nothing is left to divide: it stays until silence" },
		{ 0, 0, "like here" },
	};
	struct pfuse_sample s = { 0 };
	struct fcb f = fresh(&s);

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		s.net_bytes += table[i].bytes;
		fcb_sample(&f, &s, (101 + i) * S);
		cr_expect(f.res[FCB_NET].usage == table[i].mean, "%s: %" PRIu64, table[i].why,
			  f.res[FCB_NET].usage);
	}
	s.net_bytes = UINT64_MAX;
	fcb_sample(&f, &s, 109 * S);
	fcb_sample(&f, &s, 109 * S + 1);
	cr_expect(f.peak[FCB_NET - FCB_IO_READ] == 1ull << 60, "a peak stays believable");
}

Test(fcb, odd_counters_and_times)
{
	struct pfuse_sample s = { .run_ns = 5 * S, .net_bytes = 100, .faults = UINT32_MAX };
	struct fcb f = fresh(&s);

	s.run_ns = 1 * S;
	s.net_bytes = 0;
	fcb_sample(&f, &s, 101 * S);
	cr_expect(f.res[FCB_CPU].usage == 0 && f.res[FCB_NET].usage == 0, "reset: no difference");
	cr_expect(f.still);
	s.run_ns += S;
	fcb_sample(&f, &s, 101 * S);
	cr_expect(f.res[FCB_CPU].usage == 0, "no time has passed: the last rate stands");
	cr_expect(f.active_ns == 101 * S, "but something ran");
	s.run_ns += 1;
	fcb_sample(&f, &s, 50 * S);
	cr_expect(f.sampled_ns == 101 * S && f.active_ns == 101 * S, "time does not run back");
	s.run_ns = UINT64_MAX;
	fcb_sample(&f, &s, 101 * S + 1);
	cr_expect(f.res[FCB_CPU].usage == UINT64_MAX, "saturates");
	s.faults++;
	f.policy.mode[FCB_CPU] = FCB_OFF;
	fcb_sample(&f, &s, 102 * S);
	cr_expect(f.res[FCB_CPU].usage == UINT64_MAX, "off: not looked at");
	cr_expect(!f.still, "a wrapped counter is one more fault");
}

Test(fcb, busy_or_idle)
{
	static const struct {
		uint64_t run_ns;
		uint32_t faults, oncpu;
		uint64_t woken_ns, dt_ns;
		bool busy;
		const char *why;
	} table[] = {
		{ 0, 0, 0, 0, S, false, "nothing" },
		{ 5 * MS - 1, 0, 0, 0, S, false, "1 ns under 0.5 %" },
		{ 5 * MS, 0, 0, 0, S, true, "0.5 %" },
		{ 0, 0, 1, 0, S, true, "on a CPU now" },
		{ 1, 255, 0, 0, S, false, "255 faults per second" },
		{ 1, 256, 0, 0, S, true, "256 faults per second" },
		{ 1, 256, 0, 0, 2 * S, false, "128 faults per second" },
		{ S, 0, 0, 0, 1000 * S, false, "0.1 %, and it was not quiet before" },
		{ S, 0, 0, 1098 * S, 1000 * S, true, "1 s within the 2 s since it woke" },
		{ 5 * MS - 1, 0, 0, 1100 * S - 1, 1000 * S, false, "a short waking is no work" },
		{ 5 * MS, 0, 0, 1100 * S - 1, 1000 * S, true, "counted over one second at least" },
		{ 0, 0, 0, 0, 0, false, "no time and no work" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct pfuse_sample s = { .nprocs = 1 };
		struct fcb f = fresh(&s);

		s.run_ns = table[i].run_ns;
		s.faults = table[i].faults;
		s.oncpu = table[i].oncpu;
		f.woken_ns = table[i].woken_ns;
		f.active_ns = 50 * S;
		fcb_sample(&f, &s, 100 * S + table[i].dt_ns);
		cr_expect((f.active_ns != 50 * S) == table[i].busy, "%s", table[i].why);
		cr_expect(f.woken_ns == 0);
	}
}

Test(fcb, the_kernels_limit_is_believed_when_it_changes)
{
	struct pfuse_sample s = { .ram_limit_bytes = 1ull << 62 };
	struct fcb f = fresh(&s);

	cr_expect(f.res[FCB_RAM].limit == PFUSE_UNLIMITED, "v1's way to say none");
	f.res[FCB_RAM].limit = 64 * MIB; /* as a dry run would have it */
	s.ram_limit_bytes = (1ull << 63) - 4096;
	fcb_sample(&f, &s, 101 * S);
	cr_expect(f.res[FCB_RAM].limit == 64 * MIB, "not changed: ours stands");
	s.ram_limit_bytes = 32 * MIB;
	fcb_sample(&f, &s, 102 * S);
	cr_expect(f.res[FCB_RAM].limit == 32 * MIB, "changed: the kernel's");
}

Test(fcb, totals_are_integrals)
{
	struct pfuse_sample s = { .ram_usage_bytes = 100 * MIB, .ram_limit_bytes = 200 * MIB };
	struct fcb f = fresh(&s);

	s.ram_usage_bytes = 150 * MIB;
	fcb_sample(&f, &s, 102 * S);		       /* 2 s at 100 */
	fcb_ram_usage(&f, 160 * MIB, 102 * S + S / 2); /* 0.5 s at 150 */
	fcb_account(&f, 103 * S + S / 2);	       /* 1 s at 160 */
	fcb_account(&f, 90 * S);		       /* time does not run back */
	cr_expect(f.totals.usage_byte_s == (200.0 + 75.0 + 160.0) * MIB);
	cr_expect(f.totals.limit_byte_s == 3.5 * 200.0 * MIB);
	cr_expect(f.totals.observed_ns == 3 * S + S / 2);
	f.res[FCB_RAM].limit = PFUSE_UNLIMITED;
	fcb_account(&f, 104 * S + S / 2);
	cr_expect(f.totals.limit_byte_s == 700.0 * MIB + 8.0 * GIB, "unlimited: the ceiling");
}

/* A year of samples, one each millisecond for a while, of one TiB: no overflow, no drift. */
Test(fcb, totals_neither_overflow_nor_drift)
{
	struct pfuse_sample s = { .ram_usage_bytes = 1ull << 40, .ram_limit_bytes = 1 };
	struct fcb f = fresh(&s);

	for (uint64_t i = 1; i <= 1000000; i++)
		fcb_account(&f, 100 * S + i * MS);
	cr_expect(fabs(f.totals.usage_byte_s / (0x1p40 * 1000) - 1) < 1e-9);
	fcb_account(&f, 100 * S + 365 * 86400 * S);
	cr_expect(fabs(f.totals.usage_byte_s / (0x1p40 * 365 * 86400) - 1) < 1e-9);
}

Test(fcb, the_current_stop_counts)
{
	struct pfuse_sample s = { 0 };
	struct fcb f = fresh(&s);

	f.totals.stopped_ns = 5;
	cr_expect(fcb_stopped_ns(&f, 200 * S) == 5);
	f.stopped = true;
	f.stopped_since_ns = 200 * S;
	cr_expect(fcb_stopped_ns(&f, 200 * S + 10) == 15);
}
