/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/fcb.h"

#include <string.h>

#include "core/arith.h"

#define NS_PER_S 1000000000ull

/*
 * User faults per second from which on a group counts as busy whatever little CPU it takes: 256
 * pages are 1 MiB per second of new or returning memory, more than a process does that only waits.
 */
#define IDLE_FAULTS_PER_S 256

/* 2^62 and above is how a v1 kernel says "none" (it is a page-rounded 2^63). */
#define NO_LIMIT_FROM (1ull << 62)

/*
 * Floor: below 16 MiB even an idle shell with its libraries thrashes. Deadline: under the 30 s
 * after which load balancers and health checks commonly give a silent process up. Cool-down: three
 * samples. Probe: a health check is answered well within half a second.
 */
void fcb_policy_defaults(struct fcb_policy *ret_policy, uint64_t machine_ram_bytes)
{
	*ret_policy = (struct fcb_policy){
		.ram_floor_bytes = 16ull << 20,
		.ram_ceiling_bytes = machine_ram_bytes,
		.idle_ns = 10 * NS_PER_S,
		.deadline_ns = 25 * NS_PER_S,
		.window_ns = 10 * NS_PER_S,
		.probe_ns = NS_PER_S / 2,
		.cool_down_ns = 3 * NS_PER_S,
		.high_water_permille = 900,
		.idle_cpu_permille = 5,
		.mode = { [FCB_RAM] = FCB_ACT,
			  [FCB_CPU] = FCB_OBSERVE,
			  [FCB_IO] = FCB_OBSERVE,
			  [FCB_NET] = FCB_OBSERVE },
		.freeze = FCB_FREEZE_ISOLATED,
	};
}

/*
 * Limits are whole pages: the kernel rounds what is written down, and a value that reads back other
 * than written would look like somebody else's. idle_ns is at least 1, so that a group seen busy at
 * this very moment is never "idle since now".
 */
void fcb_set_policy(struct fcb *fcb, const struct fcb_policy *policy, uint64_t machine_ram_bytes)
{
	struct fcb_policy *p = &fcb->policy;

	*p = *policy;
	if (p->ram_ceiling_bytes == 0 || p->ram_ceiling_bytes > machine_ram_bytes)
		p->ram_ceiling_bytes = machine_ram_bytes;
	p->ram_ceiling_bytes = arith_page_down(p->ram_ceiling_bytes, fcb->page_bytes);
	p->ram_floor_bytes = arith_page_up(p->ram_floor_bytes, fcb->page_bytes);
	p->ram_floor_bytes = arith_min(p->ram_floor_bytes, p->ram_ceiling_bytes);
	p->high_water_permille = (uint32_t)arith_min(arith_max(p->high_water_permille, 1), 1000);
	p->idle_ns = arith_max(p->idle_ns, 1);
	fcb->settled = false;
}

static uint64_t limit_of(uint64_t bytes)
{
	return bytes >= NO_LIMIT_FROM ? PFUSE_UNLIMITED : bytes;
}

void fcb_init(struct fcb *fcb, uint64_t group_id, const struct pfuse_sample *first, uint64_t now_ns)
{
	memset(fcb, 0, sizeof(*fcb));
	fcb->group_id = group_id;
	fcb->last = *first;
	fcb->limit_seen = limit_of(first->ram_limit_bytes);
	for (int i = 0; i < FCB_RESOURCES; i++)
		fcb->res[i].limit = PFUSE_UNLIMITED;
	fcb->res[FCB_RAM].limit = fcb->limit_seen;
	fcb->res[FCB_RAM].usage = first->ram_usage_bytes;
	fcb->res[FCB_RAM].usage_prev = first->ram_usage_bytes;
	fcb->attached_ns = fcb->sampled_ns = fcb->accounted_ns = fcb->active_ns = now_ns;
	signalflag_start(&fcb->flag, now_ns);
}

void fcb_account(struct fcb *fcb, uint64_t now_ns)
{
	const struct fcb_resource *ram = &fcb->res[FCB_RAM];
	uint64_t limit = arith_min(ram->limit, fcb->policy.ram_ceiling_bytes);
	uint64_t dt_ns = arith_sub(now_ns, fcb->accounted_ns);
	double seconds = (double)dt_ns / (double)NS_PER_S;

	fcb->totals.usage_byte_s += (double)ram->usage * seconds;
	fcb->totals.limit_byte_s += (double)limit * seconds;
	fcb->totals.observed_ns += dt_ns;
	fcb->accounted_ns += dt_ns;
}

uint64_t fcb_stopped_ns(const struct fcb *fcb, uint64_t now_ns)
{
	uint64_t current = fcb->stopped ? arith_sub(now_ns, fcb->stopped_since_ns) : 0;

	return arith_add(fcb->totals.stopped_ns, current);
}

void fcb_ram_usage(struct fcb *fcb, uint64_t usage_bytes, uint64_t now_ns)
{
	fcb_account(fcb, now_ns);
	fcb->res[FCB_RAM].usage_prev = fcb->res[FCB_RAM].usage;
	fcb->res[FCB_RAM].usage = usage_bytes;
}

/*
 * A rate, and its trend term as score: these resources have no limit in this release, so x / y is 0
 * and size, a share of the limit, means nothing. Two samples at one time keep the last rate.
 */
static void note_rate(struct fcb *fcb, enum fcb_resource_kind kind, uint64_t count, uint64_t dt_ns)
{
	struct fcb_resource *r = &fcb->res[kind];

	if (fcb->policy.mode[kind] == FCB_OFF || dt_ns == 0)
		return;
	r->usage_prev = r->usage;
	r->usage = arith_from_double((double)count * (double)NS_PER_S / (double)dt_ns);
	r->score = fusebox_score(r->usage, r->usage_prev, r->limit);
}

/*
 * The time within which the counted work was done. A quiet group is not sampled, maybe for hours,
 * and what it does after it woke must not be spread over them. At least a second (if that much
 * passed): a sample right after a wake-up would find any group busy that was on a CPU at all.
 */
static uint64_t work_span_ns(const struct fcb *fcb, uint64_t dt_ns, uint64_t now_ns)
{
	if (!fcb->woken_ns)
		return dt_ns;
	return arith_min(dt_ns, arith_max(arith_sub(now_ns, fcb->woken_ns), NS_PER_S));
}

/* `oncpu` is no difference of counters: a task is counted only when it is switched out. */
static bool is_busy(const struct fcb *fcb, uint32_t oncpu, uint64_t run_ns, uint32_t faults,
		    uint64_t span_ns)
{
	double span = (double)span_ns;

	if (oncpu)
		return true;
	if (run_ns && (double)run_ns * 1000 >= (double)fcb->policy.idle_cpu_permille * span)
		return true;
	return faults && (double)faults * (double)NS_PER_S >= (double)IDLE_FAULTS_PER_S * span;
}

/*
 * Guarded: a group that is asked things is in use, however little CPU the answers take. Except right
 * after a wake: who asks once, hears the answer and goes again is a health check, and must not keep the
 * group running for another whole idle time.
 */
static bool is_in_use(const struct fcb *fcb, uint32_t talks)
{
	return talks && fcb->policy.freeze == FCB_FREEZE_GUARDED &&
	       fcb->sampled_ns >= fcb->probe_end_ns;
}

/*
 * The limit that the kernel shows is the truth when it changes; while it does not, the FCB's own
 * figure stands. In a dry run the kernel's never changes, and the core must see its own decisions.
 */
static void note_limit(struct fcb *fcb, uint64_t limit_bytes)
{
	limit_bytes = limit_of(limit_bytes);
	if (limit_bytes == fcb->limit_seen)
		return;
	fcb->limit_seen = limit_bytes;
	fcb->res[FCB_RAM].limit = limit_bytes;
}

/* 64-bit counters that go backwards were reset (the slot's element was cleared): no difference. */
void fcb_sample(struct fcb *fcb, const struct pfuse_sample *s, uint64_t now_ns)
{
	uint64_t dt_ns = arith_sub(now_ns, fcb->sampled_ns);
	uint64_t run_ns = arith_sub(s->run_ns, fcb->last.run_ns);
	uint32_t faults = s->faults - fcb->last.faults; /* wraps */
	uint32_t talks = s->talks - fcb->last.talks;	/* wraps */

	fcb_ram_usage(fcb, s->ram_usage_bytes, now_ns);
	note_limit(fcb, s->ram_limit_bytes);
	note_rate(fcb, FCB_CPU, run_ns, dt_ns);
	note_rate(fcb, FCB_IO, arith_sub(s->io_bytes, fcb->last.io_bytes), dt_ns);
	note_rate(fcb, FCB_NET, arith_sub(s->net_bytes, fcb->last.net_bytes), dt_ns);
	signalflag_counted(&fcb->flag, talks, now_ns);
	if (is_busy(fcb, s->oncpu, run_ns, faults, work_span_ns(fcb, dt_ns, now_ns)) ||
	    is_in_use(fcb, talks))
		fcb->active_ns = arith_max(fcb->active_ns, now_ns);
	fcb->woken_ns = 0;
	fcb->still = !run_ns && !faults && !talks && !s->oncpu;
	fcb->last = *s;
	fcb->sampled_ns = arith_max(fcb->sampled_ns, now_ns);
}

struct fusebox_bounds fcb_bounds(const struct fcb *fcb)
{
	return (struct fusebox_bounds){
		.floor_bytes = fcb->policy.ram_floor_bytes,
		.ceiling_bytes = fcb->policy.ram_ceiling_bytes,
		.high_water_permille = fcb->policy.high_water_permille,
	};
}
