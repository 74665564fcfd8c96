/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "export/summary_fields.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "core/parse.h"

#define D(field) offsetof(struct summary_daemon, field)
#define G(field) offsetof(struct summary_group, field)
#define R(kind, field) G(resources[SUMMARY_##kind].field)

const struct summary_field summary_daemon_fields[] = {
	{ NULL, "seconds", D(seconds), false },
	{ NULL, "cpu_seconds", D(cpu_seconds), false },
	{ NULL, "private_bytes", D(private_bytes), true },
	{ NULL, "bpf_bytes", D(bpf_bytes), true },
	{ NULL, "events", D(events), true },
	{ NULL, "wakeups", D(wakeups), true },
	{ "drops", "ring_full", D(drops[PFUSE_DROP_RING_FULL]), true },
	{ "drops", "unseen_switch", D(drops[PFUSE_DROP_UNSEEN_SWITCH]), true },
	{ "drops", "deep_group", D(drops[PFUSE_DROP_DEEP_GROUP]), true },
	{ 0 },
};

_Static_assert(PFUSE_DROPS == 3, "each reason has a line above");

const struct summary_field summary_group_fields[] = {
	{ NULL, "seconds", G(seconds), false },
	{ NULL, "usage_mib_s", G(usage_mib_s), false },
	{ NULL, "limit_mib_s", G(limit_mib_s), false },
	{ NULL, "usage_with_zram_mib_s", G(usage_with_zram_mib_s), false },
	{ NULL, "usage_peak_mib", G(usage_peak_mib), false },
	{ NULL, "limit_first_mib", G(limit_first_mib), false },
	{ NULL, "limit_last_mib", G(limit_last_mib), false },
	{ NULL, "oom_kills", G(oom_kills), true },
	{ NULL, "stall_seconds", G(stall_seconds), false },
	{ NULL, "refaults", G(refaults), true },
	{ NULL, "stopped_seconds", G(stopped_seconds), false },
	{ NULL, "cpu_seconds", G(cpu_seconds), false },
	{ NULL, "wait_seconds", G(wait_seconds), false },
	{ NULL, "switches_voluntary", G(switches_voluntary), true },
	{ NULL, "switches_involuntary", G(switches_involuntary), true },
	{ NULL, "faults", G(faults), true },
	{ NULL, "tx_bytes", G(tx_bytes), true },
	{ NULL, "rx_bytes", G(rx_bytes), true },
	{ NULL, "talks", G(talks), true },
	{ "curve", "knee_mib", G(curve.knee_mib), false },
	{ "curve", "knee_curvature_mib", G(curve.knee_curvature_mib), false },
	{ "curve", "resolution_mib", G(curve.resolution_mib), false },
	{ "curve", "need_p90_mib", G(curve.need_p90_mib), false },
	{ "curve", "need_p95_mib", G(curve.need_p95_mib), false },
	{ "curve", "need_p99_mib", G(curve.need_p99_mib), false },
	{ "curve", "share_mib", G(curve.share_mib), false },
	{ "curve", "error", G(curve.error), false },
	{ "curve", "age_seconds", G(curve.age_seconds), false },
	{ "curve", "sessions", G(curve.sessions), true },
	{ "curve", "measured_seconds", G(curve.measured_seconds), false },
	{ "curve", "cost", G(curve.cost), false },
	{ "ram", "usage_mib", R(RAM, usage), false },
	{ "ram", "limit_mib", R(RAM, limit), false },
	{ "ram", "size_mib", R(RAM, size), false },
	{ "ram", "score", R(RAM, score), false },
	{ "ram", "grown", R(RAM, grown), true },
	{ "ram", "shrunk", R(RAM, shrunk), true },
	{ "cpu", "usage_cpus", R(CPU, usage), false },
	{ "cpu", "limit_cpus", R(CPU, limit), false },
	{ "cpu", "size_cpus", R(CPU, size), false },
	{ "cpu", "score", R(CPU, score), false },
	{ "cpu", "grown", R(CPU, grown), true },
	{ "cpu", "shrunk", R(CPU, shrunk), true },
	{ "cpu", "periods", G(cpu_periods), true },
	{ "cpu", "throttled", G(cpu_throttled), true },
	{ "cpus", "given", G(cpus), true },
	{ "cpus", "moves", G(cpus_moves), true },
	{ "cpus", "grown", G(cpus_grown), true },
	{ "cpus", "shrunk", G(cpus_shrunk), true },
	{ "cpus", "weight", G(weight), true },
	{ "io_read", "usage_mib_per_s", R(IO_READ, usage), false },
	{ "io_read", "limit_mib_per_s", R(IO_READ, limit), false },
	{ "io_read", "size_mib_per_s", R(IO_READ, size), false },
	{ "io_read", "score", R(IO_READ, score), false },
	{ "io_read", "grown", R(IO_READ, grown), true },
	{ "io_read", "shrunk", R(IO_READ, shrunk), true },
	{ "io_read", "bytes", G(io_read_bytes), true },
	{ "io_write", "usage_mib_per_s", R(IO_WRITE, usage), false },
	{ "io_write", "limit_mib_per_s", R(IO_WRITE, limit), false },
	{ "io_write", "size_mib_per_s", R(IO_WRITE, size), false },
	{ "io_write", "score", R(IO_WRITE, score), false },
	{ "io_write", "grown", R(IO_WRITE, grown), true },
	{ "io_write", "shrunk", R(IO_WRITE, shrunk), true },
	{ "io_write", "bytes", G(io_write_bytes), true },
	{ "net", "usage_mib_per_s", R(NET, usage), false },
	{ "net", "limit_mib_per_s", R(NET, limit), false },
	{ "net", "size_mib_per_s", R(NET, size), false },
	{ "net", "score", R(NET, score), false },
	{ "net", "grown", R(NET, grown), true },
	{ "net", "shrunk", R(NET, shrunk), true },
	{ "net", "priority", G(net_priority), true },
	{ "decisions", "grown", G(decisions[SUMMARY_GROWN]), true },
	{ "decisions", "shrunk", G(decisions[SUMMARY_SHRUNK]), true },
	{ "decisions", "stopped", G(decisions[SUMMARY_STOPPED]), true },
	{ "decisions", "continued", G(decisions[SUMMARY_CONTINUED]), true },
	{ "decisions", "avoided", G(decisions[SUMMARY_AVOIDED]), true },
	{ "decisions", "foreign", G(decisions[SUMMARY_FOREIGN]), true },
	{ "decisions", "failed", G(decisions[SUMMARY_FAILED]), true },
	{ "decisions", "busy", G(decisions[SUMMARY_BUSY]), true },
	{ "decisions", "refused", G(decisions[SUMMARY_REFUSED]), true },
	{ "wakes", "data", G(wakes[SUMMARY_WAKE_DATA]), true },
	{ "wakes", "signal", G(wakes[SUMMARY_WAKE_SIGNAL]), true },
	{ "wakes", "talk", G(wakes[SUMMARY_WAKE_TALK]), true },
	{ "wakes", "deadline", G(wakes[SUMMARY_WAKE_DEADLINE]), true },
	{ "wakes", "request", G(wakes[SUMMARY_WAKE_REQUEST]), true },
	{ "wakes", "exit", G(wakes[SUMMARY_WAKE_EXIT]), true },
	{ "wake_latency", "count", G(wake.count), true },
	{ "wake_latency", "p50_us", G(wake.p50_us), false },
	{ "wake_latency", "p99_us", G(wake.p99_us), false },
	{ "limit_latency", "count", G(limit.count), true },
	{ "limit_latency", "p50_us", G(limit.p50_us), false },
	{ "limit_latency", "p99_us", G(limit.p99_us), false },
	{ 0 },
};

_Static_assert(SUMMARY_DECISIONS == 9 && SUMMARY_WAKES == 6 && SUMMARY_RESOURCES == 5,
	       "each kind has a line above");

char *summary_escape(const char *text)
{
	size_t length = strlen(text), room = 4 * length + 4; /* \xNN for each byte, at the worst */
	char *escaped = malloc(room);

	if (escaped)
		parse_escape(escaped, room, text, length);
	return escaped;
}
