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

#define KIB 1024ull
#define MIB (KIB << 10)
#define NS_PER_PERMILLE (NS_PER_S / 1000) /* of one CPU, per second */

/*
 * The smallest growth at the high-water mark. RAM: 4 MiB are 4 ms at 1 GiB/s. CPU: 1 ms in each
 * period of 100 ms. I/O: the floor once more.
 */
#define STEP_RAM (4 * MIB)
#define STEP_CPU (10 * NS_PER_PERMILLE)
#define STEP_IO (1 * MIB)

/* CPU: quotas are microseconds per period, so that 10 ms/s come out whole for any period from 1 ms. */
#define GRAIN_CPU_PERMILLE 10
#define GRAIN_IO_KIB 64
#define GRAIN_NET KIB

#define IO_CEILING_MIN (64 * MIB)
#define NET_CEILING_MIN (64 * KIB)
#define NET_FLOOR KIB
#define NET_LEVEL_MAX 7
#define NET_MEAN_OF 8 /* intervals */

/* A rate above this is none of this world; it leaves room to double it and stay below "unlimited". */
#define PEAK_MAX (1ull << 60)

/* 2^62 and above is how a v1 kernel says "none" (it is a page-rounded 2^63). */
#define NO_LIMIT_FROM (1ull << 62)

/*
 * Floor: below 16 MiB even an idle shell with its libraries thrashes. Deadline: under the 30 s
 * after which load balancers and health checks commonly give a silent process up. Cool-down: three
 * samples. CPU floor: 5 ms in each period of 100 ms, enough to answer a health check in one. Priority 6:
 * the highest that needs no CAP_NET_ADMIN, 7 is left to who has it. Probe: a health check is answered well
 * within half a second.
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
		.cpu_floor_permille = 50,
		.io_floor_kib = 1024,
		.net_high = 6,
		.mode = { [FCB_RAM] = FCB_ACT,
			  [FCB_CPU] = FCB_OBSERVE,
			  [FCB_IO_READ] = FCB_OBSERVE,
			  [FCB_IO_WRITE] = FCB_OBSERVE,
			  [FCB_NET] = FCB_OBSERVE },
		.freeze = FCB_FREEZE_ISOLATED,
	};
}

static uint32_t at_least(uint32_t value, uint32_t least)
{
	return value > least ? value : least;
}

static uint32_t at_most(uint32_t value, uint32_t most)
{
	return value < most ? value : most;
}

static uint32_t machine_permille(const struct fcb *fcb)
{
	return at_most(at_least(fcb->ncpus, 1), 1u << 20) * 1000;
}

/* A floor of 0 would be a limit of 0, which no kernel takes: one grain at least. */
static void clamp_cpu(struct fcb_policy *p, uint32_t machine)
{
	uint32_t ceiling = p->cpu_ceiling_permille;
	uint64_t floor;

	if (ceiling == 0 || ceiling > machine)
		ceiling = machine;
	ceiling = at_least(ceiling - ceiling % GRAIN_CPU_PERMILLE, GRAIN_CPU_PERMILLE);
	p->cpu_ceiling_permille = ceiling;
	floor = arith_page_up(at_least(p->cpu_floor_permille, 1), GRAIN_CPU_PERMILLE);
	p->cpu_floor_permille = (uint32_t)arith_min(floor, ceiling);
}

static void clamp_io(struct fcb_policy *p)
{
	uint64_t floor = arith_page_up(at_least(p->io_floor_kib, 1), GRAIN_IO_KIB);

	p->io_floor_kib = (uint32_t)arith_min(floor, UINT32_MAX - UINT32_MAX % GRAIN_IO_KIB);
	if (p->io_ceiling_kib == 0)
		return;
	p->io_ceiling_kib -= p->io_ceiling_kib % GRAIN_IO_KIB;
	p->io_ceiling_kib = at_least(p->io_ceiling_kib, GRAIN_IO_KIB);
	p->io_floor_kib = at_most(p->io_floor_kib, p->io_ceiling_kib);
}

/*
 * What was off was not counted meanwhile, or counted by nobody who told us: the next sample of it is a
 * starting point. At the first policy there is one already; idle_ns is never 0 after that.
 */
static void note_modes(struct fcb *fcb, const struct fcb_policy *next)
{
	const struct fcb_policy *now = &fcb->policy;

	for (unsigned kind = 0; kind < FCB_RESOURCES && now->idle_ns; kind++)
		if (now->mode[kind] == FCB_OFF && next->mode[kind] != FCB_OFF)
			fcb->fresh |= (uint8_t)(1 << kind);
}

/*
 * Limits are whole pages (or grains): the kernel rounds what is written down, and a value that reads
 * back other than written would look like somebody else's. idle_ns is at least 1, so that a group
 * seen busy at this very moment is never "idle since now".
 */
void fcb_set_policy(struct fcb *fcb, const struct fcb_policy *policy, uint64_t machine_ram_bytes)
{
	struct fcb_policy *p = &fcb->policy;

	note_modes(fcb, policy);
	*p = *policy;
	if (p->ram_ceiling_bytes == 0 || p->ram_ceiling_bytes > machine_ram_bytes)
		p->ram_ceiling_bytes = machine_ram_bytes;
	p->ram_ceiling_bytes = arith_page_down(p->ram_ceiling_bytes, fcb->page_bytes);
	p->ram_floor_bytes = arith_page_up(p->ram_floor_bytes, fcb->page_bytes);
	p->ram_floor_bytes = arith_min(p->ram_floor_bytes, p->ram_ceiling_bytes);
	p->high_water_permille = (uint32_t)arith_min(arith_max(p->high_water_permille, 1), 1000);
	p->idle_ns = arith_max(p->idle_ns, 1);
	clamp_cpu(p, machine_permille(fcb));
	clamp_io(p);
	p->net_high = (uint8_t)at_most(p->net_high, NET_LEVEL_MAX);
	p->net_low = (uint8_t)at_most(p->net_low, p->net_high);
	fcb->settled = false;
	fcb->unsettled = ((1 << PFUSE_CONTROLS) - 1) & ~(1 << PFUSE_CTL_STOP);
}

static uint64_t limit_of(uint64_t value)
{
	return value >= NO_LIMIT_FROM ? PFUSE_UNLIMITED : value;
}

static void keep_last(struct fcb *fcb, const struct pfuse_sample *s)
{
	fcb->last = (struct fcb_last){
		.run_ns = s->run_ns,
		.net_bytes = s->net_bytes,
		.io_read_bytes = s->io_read_bytes,
		.io_write_bytes = s->io_write_bytes,
		.faults = s->faults,
		.talks = s->talks,
		.nprocs = s->nprocs,
		.cpu_periods = s->cpu_periods,
		.cpu_throttled = s->cpu_throttled,
		.net_priority = s->net_priority,
	};
}

/* Of CPU and I/O: no kernel takes 0, so it is what a sample holds that nobody filled in. */
static uint64_t rate_limit_of(uint64_t value)
{
	return value ? limit_of(value) : PFUSE_UNLIMITED;
}

static void start_limit(struct fcb_resource *r, uint64_t limit)
{
	r->limit = r->limit_seen = limit;
}

void fcb_init(struct fcb *fcb, uint64_t group_id, const struct pfuse_sample *first, uint64_t now_ns)
{
	memset(fcb, 0, sizeof(*fcb));
	fcb->group_id = group_id;
	keep_last(fcb, first);
	start_limit(&fcb->res[FCB_RAM], limit_of(first->ram_limit_bytes));
	start_limit(&fcb->res[FCB_CPU], rate_limit_of(first->cpu_limit_ns));
	start_limit(&fcb->res[FCB_IO_READ], rate_limit_of(first->io_read_limit));
	start_limit(&fcb->res[FCB_IO_WRITE], rate_limit_of(first->io_write_limit));
	start_limit(&fcb->res[FCB_NET], PFUSE_UNLIMITED);
	fcb->net_level = at_most(first->net_priority, NET_LEVEL_MAX);
	fcb->res[FCB_RAM].usage = first->ram_usage_bytes;
	fcb->res[FCB_RAM].usage_prev = first->ram_usage_bytes;
	fcb->sampled_ns = fcb->accounted_ns = fcb->active_ns = now_ns;
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

/* The same for a group that was continued or filled since the last sample: active_ns says when. */
static uint64_t rate_span_ns(const struct fcb *fcb, uint64_t span_ns, uint64_t now_ns)
{
	if (fcb->active_ns <= fcb->sampled_ns)
		return span_ns;
	return arith_min(span_ns, arith_max(arith_sub(now_ns, fcb->active_ns), NS_PER_S));
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

/* Silence is silence at once, and so is its end: see core/rate.h. No product, which could wrap. */
static uint64_t running_mean(uint64_t mean, uint64_t rate)
{
	if (mean == 0 || rate == 0)
		return rate;
	return mean - mean / NET_MEAN_OF + rate / NET_MEAN_OF;
}

/*
 * A rate over the time in which the work was done: see rate_span_ns(). Two samples at one time keep
 * the last rate.
 */
static void note_rate(struct fcb *fcb, enum fcb_resource_kind kind, uint64_t count,
		      uint64_t span_ns)
{
	struct fcb_resource *r = &fcb->res[kind];
	uint64_t rate;

	if (fcb->policy.mode[kind] == FCB_OFF || fcb->fresh & 1 << kind || span_ns == 0)
		return;
	rate = arith_from_double((double)count * (double)NS_PER_S / (double)span_ns);
	r->usage_prev = r->usage;
	r->usage = kind == FCB_NET ? running_mean(r->usage_prev, rate) : rate;
	if (kind >= FCB_IO_READ)
		fcb->peak[kind - FCB_IO_READ] =
			arith_max(fcb->peak[kind - FCB_IO_READ], arith_min(r->usage, PEAK_MAX));
}

/* 64-bit counters that go backwards were reset (the slot's element was cleared): no difference. */
static void note_rates(struct fcb *fcb, const struct pfuse_sample *s, uint64_t span_ns)
{
	const struct fcb_last *last = &fcb->last;

	note_rate(fcb, FCB_CPU, arith_sub(s->run_ns, last->run_ns), span_ns);
	note_rate(fcb, FCB_IO_READ, arith_sub(s->io_read_bytes, last->io_read_bytes), span_ns);
	note_rate(fcb, FCB_IO_WRITE, arith_sub(s->io_write_bytes, last->io_write_bytes), span_ns);
	note_rate(fcb, FCB_NET, arith_sub(s->net_bytes, last->net_bytes), span_ns);
}

/* A counter that was reset wraps to nearly 2^32: more than a quarter of that is no interval's. */
static uint32_t grown_by(uint32_t now, uint32_t before)
{
	uint32_t n = now - before;

	return n < UINT32_MAX / 4 ? n : 0;
}

static void note_periods(struct fcb *fcb, const struct pfuse_sample *s)
{
	fcb->periods = fcb->throttled = 0;
	if (fcb->fresh & 1 << FCB_CPU)
		return;
	fcb->periods = grown_by(s->cpu_periods, fcb->last.cpu_periods);
	fcb->throttled = grown_by(s->cpu_throttled, fcb->last.cpu_throttled);
	fcb->totals.cpu_periods += fcb->periods;
	fcb->totals.cpu_throttled += fcb->throttled;
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
static void note_limit(struct fcb *fcb, enum fcb_resource_kind kind, uint64_t limit)
{
	struct fcb_resource *r = &fcb->res[kind];

	if (limit == r->limit_seen)
		return;
	r->limit_seen = limit;
	r->limit = limit;
}

/*
 * A service manager that reloads sets the limits of its units again (memory.high, by systemd): ours is
 * set again, but later each time, and after the third time in a row it is theirs. In a row: no further
 * apart than this, counted from the end of the last pause.
 */
#define CHANGES_APART_NS (600 * NS_PER_S)
#define CHANGES_PAUSE_NS (5 * NS_PER_S)
#define CHANGES_MAX 3

static void changed_by_others(struct fcb *fcb, struct fcb_control *control, uint64_t now_ns)
{
	if (now_ns > arith_add(control->retry_ns, CHANGES_APART_NS))
		control->changes = 0;
	control->changes++;
	control->retry_ns = arith_max(control->retry_ns,
				      arith_add(now_ns, CHANGES_PAUSE_NS << control->changes));
	if (fcb->policy.foreign == FCB_FOREIGN_LET_GO || control->changes > CHANGES_MAX)
		control->let_go = true;
}

/* RAM alone: the limits of the others are those of several devices, or rounded by the kernel. */
static void note_changes(struct fcb *fcb, uint64_t limit, uint64_t now_ns)
{
	struct fcb_control *control = &fcb->control[PFUSE_CTL_RAM];
	bool ours = control->ups || control->downs;

	if (limit != fcb->res[FCB_RAM].limit_seen && ours && !control->written && !control->let_go)
		changed_by_others(fcb, control, now_ns);
	control->written = false;
}

static void note_limits(struct fcb *fcb, const struct pfuse_sample *s, uint64_t now_ns)
{
	note_changes(fcb, limit_of(s->ram_limit_bytes), now_ns);
	note_limit(fcb, FCB_RAM, limit_of(s->ram_limit_bytes));
	note_limit(fcb, FCB_CPU, rate_limit_of(s->cpu_limit_ns));
	note_limit(fcb, FCB_IO_READ, rate_limit_of(s->io_read_limit));
	note_limit(fcb, FCB_IO_WRITE, rate_limit_of(s->io_write_limit));
	if (s->net_priority != fcb->last.net_priority)
		fcb->net_level = at_most(s->net_priority, NET_LEVEL_MAX);
}

void fcb_sample(struct fcb *fcb, const struct pfuse_sample *s, uint64_t now_ns)
{
	uint64_t dt_ns = arith_sub(now_ns, fcb->sampled_ns);
	uint64_t span_ns = work_span_ns(fcb, dt_ns, now_ns);
	uint64_t run_ns = arith_sub(s->run_ns, fcb->last.run_ns);
	uint32_t faults = s->faults - fcb->last.faults; /* wraps */
	uint32_t talks = s->talks - fcb->last.talks;	/* wraps */

	fcb_ram_usage(fcb, s->ram_usage_bytes, now_ns);
	note_limits(fcb, s, now_ns);
	note_rates(fcb, s, rate_span_ns(fcb, span_ns, now_ns));
	note_periods(fcb, s);
	signalflag_counted(&fcb->flag, talks, now_ns);
	if (is_busy(fcb, s->oncpu, run_ns, faults, span_ns) || is_in_use(fcb, talks))
		fcb->active_ns = arith_max(fcb->active_ns, now_ns);
	fcb->woken_ns = 0;
	fcb->fresh = 0;
	fcb->still = !run_ns && !faults && !talks && !s->oncpu;
	keep_last(fcb, s);
	fcb->sampled_ns = arith_max(fcb->sampled_ns, now_ns);
}

static const uint8_t controls[FCB_RESOURCES] = {
	[FCB_RAM] = PFUSE_CTL_RAM,	   [FCB_CPU] = PFUSE_CTL_CPU,
	[FCB_IO_READ] = PFUSE_CTL_IO_READ, [FCB_IO_WRITE] = PFUSE_CTL_IO_WRITE,
	[FCB_NET] = PFUSE_CTL_NET,
};

enum pfuse_control fcb_control_of(enum fcb_resource_kind kind)
{
	return (enum pfuse_control)controls[kind];
}

enum fcb_resource_kind fcb_resource_of(enum pfuse_control control)
{
	unsigned kind = 0;

	while (kind < FCB_RESOURCES - 1 && controls[kind] != control)
		kind++;
	return (enum fcb_resource_kind)kind;
}

uint64_t fcb_grain(const struct fcb *fcb, enum fcb_resource_kind kind)
{
	switch (kind) {
	case FCB_CPU:
		return GRAIN_CPU_PERMILLE * NS_PER_PERMILLE;
	case FCB_IO_READ:
	case FCB_IO_WRITE:
		return GRAIN_IO_KIB * KIB;
	case FCB_NET:
		return GRAIN_NET;
	default:
		return fcb->page_bytes;
	}
}

bool fcb_lifts_at_ceiling(const struct fcb *fcb, enum fcb_resource_kind kind)
{
	const struct fcb_policy *p = &fcb->policy;

	if (kind == FCB_CPU)
		return p->cpu_ceiling_permille >= machine_permille(fcb);
	return (kind == FCB_IO_READ || kind == FCB_IO_WRITE) && p->io_ceiling_kib == 0;
}

static uint64_t learned(const struct fcb *fcb, enum fcb_resource_kind kind, uint64_t least)
{
	uint64_t twice = 2 * fcb->peak[kind - FCB_IO_READ];

	return arith_page_down(arith_max(twice, least), fcb_grain(fcb, kind));
}

static void rate_bounds(const struct fcb *fcb, enum fcb_resource_kind kind,
			struct fusebox_bounds *b)
{
	const struct fcb_policy *p = &fcb->policy;

	if (kind == FCB_CPU) {
		b->floor = p->cpu_floor_permille * NS_PER_PERMILLE;
		b->ceiling = p->cpu_ceiling_permille * NS_PER_PERMILLE;
		b->step_min = STEP_CPU;
	} else if (kind == FCB_NET) {
		b->floor = NET_FLOOR;
		b->ceiling = learned(fcb, kind, NET_CEILING_MIN);
		b->step_min = GRAIN_NET;
	} else {
		b->floor = p->io_floor_kib * KIB;
		b->ceiling = p->io_ceiling_kib ? p->io_ceiling_kib * KIB
					       : learned(fcb, kind, IO_CEILING_MIN);
		b->ceiling = arith_max(b->ceiling, b->floor);
		b->step_min = STEP_IO;
	}
}

struct fusebox_bounds fcb_bounds(const struct fcb *fcb, enum fcb_resource_kind kind)
{
	struct fusebox_bounds b = {
		.floor = fcb->policy.ram_floor_bytes,
		.ceiling = fcb->policy.ram_ceiling_bytes,
		.step_min = STEP_RAM,
		.high_water_permille = fcb->policy.high_water_permille,
	};

	if (kind != FCB_RAM)
		rate_bounds(fcb, kind, &b);
	return b;
}

void fcb_settle(struct fcb *fcb, enum pfuse_control control, bool settled)
{
	uint8_t bit = (uint8_t)(1 << control);

	fcb->unsettled = settled ? fcb->unsettled & (uint8_t)~bit : fcb->unsettled | bit;
	fcb->settled = fcb->unsettled == 0;
}
