/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The members of the core's structs, which have the names of the fields in pftrace.proto: a list is
 * expanded once to write and once to read. A struct that gets a new member fails the assertion until it
 * is in the list and in the .proto: a record without it would be no full record any more.
 */
#ifndef EXPORT_PFTRACE_FIELDS_H
#define EXPORT_PFTRACE_FIELDS_H

#include <stddef.h>

#include "core/adaptive.h"
#include "core/cpus.h"
#include "core/fcb.h"
#include "pfuse/event.h"
#include "pfuse/sample.h"
#include "pfuse/verdict.h"

/* clang-format off */
#define SAMPLE_FIELDS(X)                                                                           \
	X(ram_usage_bytes) X(ram_limit_bytes) X(run_ns) X(wait_ns) X(net_bytes) X(io_read_bytes)   \
	X(io_write_bytes) X(io_read_limit) X(io_write_limit) X(cpu_limit_ns) X(nvcsw) X(nivcsw)    \
	X(faults) X(talks) X(oncpu) X(nprocs) X(cpu_periods) X(cpu_throttled) X(net_priority)      \
	X(reserved) X(stall_ns) X(refaults) X(host_reclaimed) X(anon_bytes)                        \
	X(unreclaimable_bytes) X(swap_free_bytes)

/* All but `score`, which is no integer. */
#define VERDICT_FIELDS(X)                                                                          \
	X(time_ns) X(slot) X(control) X(from) X(to) X(reason) X(clamped) X(size) X(usage)          \
	X(usage_prev) X(limit) X(since_ns) X(periods) X(throttled) X(wait_p99_ns) X(is) X(count)   \
	X(short_permille) X(voluntary_permille) X(wakeups) X(reserved)

/* All but `mode`, which is an array, and `freeze` and `foreign`, which share a byte. */
#define POLICY_FIELDS(X)                                                                           \
	X(ram_floor_bytes) X(ram_ceiling_bytes) X(idle_ns) X(deadline_ns) X(window_ns) X(probe_ns) \
	X(cool_down_ns) X(high_water_permille) X(idle_cpu_permille) X(cpu_floor_permille)          \
	X(cpu_ceiling_permille) X(io_floor_kib) X(io_ceiling_kib) X(net_low) X(net_high)

#define NEED_FIELDS(X)                                                                             \
	X(knee_bytes) X(resolution_bytes) X(unseen_bytes) X(below_resolution) X(confident) \
	X(pending)

#define WORKLOAD_FIELDS(X)                                                                         \
	X(check_ns) X(wait_p99_ns) X(alpha_permille) X(beta) X(utilisation_permille)               \
	X(waste_permille)

/* All but `table`, which is an array. */
#define CPUS_POLICY_FIELDS(X) X(type) X(character) X(nice)

/* All but the sets of CPUs. */
#define CPUS_STATE_FIELDS(X)                                                                       \
	X(next_check_ns) X(small) X(confined) X(looked) X(changed) X(sharing) X(mistakes)          \
	X(apart) X(shared)
/* clang-format on */

#define SIZE_IN(type, member) sizeof(((struct type *)0)->member)

#define SIZE_IN_SAMPLE(member) +SIZE_IN(pfuse_sample, member)
_Static_assert(SAMPLE_FIELDS(SIZE_IN_SAMPLE) == sizeof(struct pfuse_sample),
	       "a new member of pfuse_sample goes into SAMPLE_FIELDS and pftrace.proto");

#define SIZE_IN_VERDICT(member) +SIZE_IN(pfuse_verdict, member)
_Static_assert(VERDICT_FIELDS(SIZE_IN_VERDICT)
			       SIZE_IN_VERDICT(score) == sizeof(struct pfuse_verdict),
	       "a new member of pfuse_verdict goes into VERDICT_FIELDS and pftrace.proto");

#define SIZE_IN_POLICY(member) +SIZE_IN(fcb_policy, member)
_Static_assert(POLICY_FIELDS(SIZE_IN_POLICY) SIZE_IN_POLICY(mode) + 1 == sizeof(struct fcb_policy),
	       "a new member of fcb_policy goes into POLICY_FIELDS and pftrace.proto");

/* Its three bools lie in 8 bytes. */
#define SIZE_IN_NEED(member) +SIZE_IN(adaptive_need, member)
_Static_assert(NEED_FIELDS(SIZE_IN_NEED) + 5 == sizeof(struct adaptive_need),
	       "a new member of adaptive_need goes into NEED_FIELDS and pftrace.proto");

#define SIZE_IN_WORKLOAD(member) +SIZE_IN(workload_policy, member)
_Static_assert(WORKLOAD_FIELDS(SIZE_IN_WORKLOAD) == sizeof(struct workload_policy),
	       "a new member of workload_policy goes into WORKLOAD_FIELDS and pftrace.proto");

_Static_assert(offsetof(struct workload, common) - offsetof(struct workload, small) == 16,
	       "a new member of struct workload that is kept goes into pftrace_cpus_state");

#define SIZE_IN_CPUS_POLICY(member) +SIZE_IN(cpus_policy, member)
_Static_assert(CPUS_POLICY_FIELDS(SIZE_IN_CPUS_POLICY)
			       SIZE_IN_CPUS_POLICY(table) == sizeof(struct cpus_policy),
	       "a new member of cpus_policy goes into CPUS_POLICY_FIELDS and pftrace.proto");

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "the body of an event is written as it lies in memory");

#define EVENT_BODY SIZE_IN(pfuse_event, bytes)

#endif
