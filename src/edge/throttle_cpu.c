/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* CPU: bandwidth of the fair scheduler. Quota, period and burst are in microseconds in the files. */
#include "edge/throttle.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/num.h"
#include "edge/throttle_inside.h"

#define QUOTA_MIN_US 1000		 /* the kernel's own minimum */
#define QUOTA_MAX_US (UINT64_C(1) << 43) /* the kernel's maximum is 2^44 - 1 */
#define NS_PER_S UINT64_C(1000000000)

/* Files of one hierarchy version. */
struct cpu_files {
	const char *quota;
	const char *burst;
	const char *throttled; /* key in cpu.stat */
	uint64_t throttled_unit_ns;
};

static const struct cpu_files v1_files = { "cpu.cfs_quota_us", "cpu.cfs_burst_us", "throttled_time",
					   1 };
static const struct cpu_files v2_files = { "cpu.max", "cpu.max.burst", "throttled_usec", 1000 };

/* One look at the group's controls. */
struct cpu {
	const struct cpu_files *files;
	int fd;
	uint64_t quota_us; /* PFUSE_UNLIMITED */
	uint64_t period_us;
	uint64_t burst_us;
	bool has_burst; /* since 5.14 */
	char quota_text[64];
};

static void close_cpu(struct cpu *cpu)
{
	close_fd(&cpu->fd);
}

/* "max 100000" or "50000 100000" */
static int parse_v2(struct cpu *cpu)
{
	const char *at = cpu->quota_text;
	int r = 0;

	cpu->quota_us = PFUSE_UNLIMITED;
	if (strncmp(at, "max ", 4) == 0)
		at += 3;
	else
		r = num_parse(at, &at, &cpu->quota_us);
	return r < 0 || num_parse_all(at, &cpu->period_us) < 0 ? -EBADMSG : 0;
}

static int parse_v1(struct cpu *cpu)
{
	char text[32];
	int r = fd_read_one_at(cpu->fd, "cpu.cfs_period_us", text, sizeof(text));

	if (r < 0)
		return r;
	cpu->quota_us = PFUSE_UNLIMITED;
	if (num_parse_all(text, &cpu->period_us) < 0 ||
	    (cpu->quota_text[0] != '-' && num_parse_all(cpu->quota_text, &cpu->quota_us) < 0))
		return -EBADMSG;
	return 0;
}

static int read_burst(struct cpu *cpu)
{
	char text[32];
	int r = fd_read_one_at(cpu->fd, cpu->files->burst, text, sizeof(text));

	cpu->has_burst = r == 0;
	if (r == -ENOENT)
		return 0;
	return r < 0 || num_parse_all(text, &cpu->burst_us) < 0 ? -EBADMSG : 0;
}

static int open_cpu(struct throttle *t, struct cpu *ret)
{
	bool v2 = throttle_is_v2(t, CGROUP_CPU);
	_cleanup_(close_cpu) struct cpu cpu = { .files = v2 ? &v2_files : &v1_files, .fd = -1 };
	int r = throttle_dir(t, CGROUP_CPU, &cpu.fd);

	if (r < 0)
		return r;
	r = fd_read_one_at(cpu.fd, cpu.files->quota, cpu.quota_text, sizeof(cpu.quota_text));
	cpu.quota_text[r == 0 ? strcspn(cpu.quota_text, "\n") : 0] = '\0';
	if (r == 0)
		r = v2 ? parse_v2(&cpu) : parse_v1(&cpu);
	if (r == 0 && cpu.period_us == 0)
		r = -EBADMSG;
	if (r == 0)
		r = read_burst(&cpu);
	if (r < 0)
		return throttle_gone(cpu.fd, r);
	*ret = cpu;
	cpu.fd = -1;
	return 0;
}

/* Reading */

static uint64_t find_key(const char *text, const char *key)
{
	uint64_t value = 0;

	num_find_key(text, key, &value);
	return value;
}

/* v2 twins count CPU time too, for groups that have no directory in v1's cpuacct. */
static uint64_t read_usage(struct throttle *t, const char *stat)
{
	_cleanup_close_ int fd = -1;
	char text[1024];
	uint64_t usage;

	if (num_find_key(stat, "usage_usec", &usage) == 0)
		return usage * 1000;
	if (throttle_dir(t, CGROUP_CPUACCT, &fd) == 0 &&
	    fd_read_one_at(fd, "cpuacct.usage", text, sizeof(text)) == 0 &&
	    num_parse_all(text, &usage) == 0)
		return usage;
	close_fd(&fd);
	if (cgroup_open_v2(t->tree, t->group, &fd) == 0 &&
	    fd_read_one_at(fd, "cpu.stat", text, sizeof(text)) == 0)
		return find_key(text, "usage_usec") * 1000;
	return 0;
}

static uint64_t limit_of(const struct cpu *cpu)
{
	if (cpu->quota_us == PFUSE_UNLIMITED)
		return PFUSE_UNLIMITED;
	return (uint64_t)((unsigned __int128)cpu->quota_us * NS_PER_S / cpu->period_us);
}

int throttle_read_cpu(struct throttle *t, struct throttle_cpu *ret)
{
	_cleanup_(close_cpu) struct cpu cpu = { .fd = -1 };
	char stat[1024];
	int r = open_cpu(t, &cpu);

	if (r < 0)
		return r;
	r = fd_read_one_at(cpu.fd, "cpu.stat", stat, sizeof(stat));
	if (r < 0)
		return throttle_gone(cpu.fd, r);
	*ret = (struct throttle_cpu){
		.limit_ns = limit_of(&cpu),
		.usage_ns = read_usage(t, stat),
		.periods = (uint32_t)find_key(stat, "nr_periods"),
		.throttled = (uint32_t)find_key(stat, "nr_throttled"),
		.throttled_ns = find_key(stat, cpu.files->throttled) * cpu.files->throttled_unit_ns,
	};
	return 0;
}

/* Acting. Recorded in this order, so that the quota is back before the burst: burst <= quota. */

int throttle_prepare_cpu(struct throttle *t, struct ledger *ledger)
{
	_cleanup_(close_cpu) struct cpu cpu = { .fd = -1 };
	char burst[24];
	int r = open_cpu(t, &cpu);

	if (r == 0 && cpu.has_burst) {
		snprintf(burst, sizeof(burst), "%llu", (unsigned long long)cpu.burst_us);
		r = throttle_record(t, ledger, CGROUP_CPU, cpu.files->burst, burst,
				    &t->records[RECORD_BURST]);
	}
	if (r == 0)
		r = throttle_record(t, ledger, CGROUP_CPU, cpu.files->quota, cpu.quota_text,
				    &t->records[RECORD_QUOTA]);
	return r;
}

static uint64_t quota_for(const struct cpu *cpu, uint64_t limit_ns)
{
	unsigned __int128 us = (unsigned __int128)limit_ns * cpu->period_us / NS_PER_S;

	if (us < QUOTA_MIN_US)
		return QUOTA_MIN_US;
	return us > QUOTA_MAX_US ? QUOTA_MAX_US : (uint64_t)us;
}

/* What is to be there: texts as the kernel will print them. */
struct cpu_next {
	char quota[64];
	uint64_t burst_us;
};

static int plan(const struct throttle *t, struct ledger *ledger, const struct cpu *cpu,
		uint64_t limit_ns, struct cpu_next *next)
{
	uint64_t quota = quota_for(cpu, limit_ns);
	char burst[24];
	int r = 0;

	next->burst_us = 0;
	if (cpu->has_burst) {
		r = ledger_old(ledger, t->records[RECORD_BURST], burst, sizeof(burst));
		if (r == 0)
			r = num_parse_all(burst, &next->burst_us);
	}
	if (r < 0)
		return r;
	if (limit_ns == PFUSE_UNLIMITED)
		return ledger_old(ledger, t->records[RECORD_QUOTA], next->quota,
				  sizeof(next->quota));
	if (next->burst_us > quota)
		next->burst_us = quota;
	snprintf(next->quota, sizeof(next->quota), cpu->files == &v2_files ? "%llu %llu" : "%llu",
		 (unsigned long long)quota, (unsigned long long)cpu->period_us);
	return 0;
}

static int write_burst(const struct cpu *cpu, uint64_t burst_us)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)burst_us);
	return fd_write_at(cpu->fd, cpu->files->burst, text);
}

static int write_cpu(const struct cpu *cpu, const struct cpu_next *next)
{
	bool same = strcmp(next->quota, cpu->quota_text) == 0;
	int r = 0;

	if (cpu->has_burst && next->burst_us < cpu->burst_us)
		r = write_burst(cpu, next->burst_us);
	if (r == 0 && !same)
		r = fd_write_at(cpu->fd, cpu->files->quota, next->quota);
	if (r == 0 && cpu->has_burst && next->burst_us > cpu->burst_us)
		r = write_burst(cpu, next->burst_us);
	return r;
}

int throttle_set_cpu(struct throttle *t, struct ledger *ledger, uint64_t limit_ns)
{
	_cleanup_(close_cpu) struct cpu cpu = { .fd = -1 };
	struct cpu_next next;
	int r = open_cpu(t, &cpu);

	if (r < 0)
		return r;
	r = plan(t, ledger, &cpu, limit_ns, &next);
	if (r == 0 && cpu.has_burst)
		r = ledger_intend(ledger, t->records[RECORD_BURST], cpu.burst_us, next.burst_us);
	if (r == 0)
		r = ledger_intend(ledger, t->records[RECORD_QUOTA],
				  ledger_value(cpu.files->quota, cpu.quota_text),
				  ledger_value(cpu.files->quota, next.quota));
	if (r == 0)
		r = write_cpu(&cpu, &next);
	return throttle_gone(cpu.fd, r);
}
