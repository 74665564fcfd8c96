/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "daemon/curves.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "core/arith.h"
#include "core/tracking.h"
#include "daemon/measure.h"
#include "daemon/tap.h"
#include "edge/age.h"
#include "edge/reclaim.h"

#define TIMER_ACCURACY_US 1000
#define EMPTY_NS 5000000000ull /* nobody is there: looked for again after so long */
#define ERROR_MAX 0.1	       /* of the hit ratio */
#define MISSES_MAX 32	       /* per second */
#define SETTLING_MAX_NS 30000000000ull
#define NEWS_SHARE 10 /* a knee that moved by less is not worth a line */

struct watched {
	struct tracking tracking;
	struct measure *measure; /* NULL: not now */
	struct age *age;	 /* after a session; NULL: that is done */
	uint64_t aged_ns;	 /* CPU time of it */
	uint64_t tell_ns;	 /* when the core is to hear of the last session; 0: it has */
	bool news;		 /* a result that it has not heard of */
	struct curves_result *result;
	uint64_t said_bytes; /* the knee */
	uint64_t measured_ns;
	uint64_t spent_ns;
	uint64_t least_bytes;
	uint32_t sessions;
	bool awaited; /* the core was told that a word on its curve is to come */
	bool wanted; /* it is under the policy */
	bool failed; /* and said */
};

struct curves {
	struct watched *at; /* by slot */
	struct tracking_setup setup;
	sd_event_source *timer;
	uint32_t open[CURVES_OPEN_MAX]; /* slots that have a measure */
	uint32_t nopen;
	bool refused; /* by the kernel, and said */
};

bool curves_wanted(const struct daemon *daemon)
{
	return daemon->curves != NULL;
}

int curves_open(struct daemon *daemon, struct err *err)
{
	const struct config *config = daemon_config(daemon);
	struct curves *c;

	if (!daemon->squeeze || !config->curve_measure)
		return 0;
	c = daemon->curves = calloc(1, sizeof(*c));
	if (c)
		c->at = calloc(daemon->members.count, sizeof(*c->at));
	if (!c || !c->at)
		return err_set(err, -ENOMEM, "out of memory for %u groups",
			       daemon->members.count - 1);
	c->setup.budget_permille = config->curve_budget_permille;
	c->setup.every_ns = config->curve_every_ns;
	tracking_setup_complete(&c->setup);
	return 0;
}

static void forget_open(struct curves *c, uint32_t slot)
{
	for (uint32_t i = 0; i < c->nopen; i++)
		if (c->open[i] == slot)
			c->open[i] = c->open[--c->nopen];
	age_close(c->at[slot].age);
	c->at[slot].age = NULL;
	measure_close(c->at[slot].measure);
	c->at[slot].measure = NULL;
}

void curves_close(struct daemon *daemon)
{
	struct curves *c = daemon->curves;

	if (!c)
		return;
	sd_event_source_unref(c->timer);
	while (c->nopen)
		forget_open(c, c->open[0]);
	for (uint32_t slot = 0; c->at && slot < daemon->members.count; slot++)
		free(c->at[slot].result);
	free(c->at);
	free(c);
	daemon->curves = NULL;
}

void curves_choose(struct daemon *daemon, uint32_t slot)
{
	if (!daemon->curves)
		return;
	daemon->curves->at[slot].wanted = true;
	tracking_init(&daemon->curves->at[slot].tracking, clock_now_ns());
}

/* Results */

/*
 * An error that could not be estimated is 1; where next to nothing is referenced, it does not matter: what the
 * curve may be wrong by, in misses per second, is to stay within what a step may cost (core/adaptive.h).
 */
static bool is_trusted(const struct cvhrc_curve *curve)
{
	return curve->confident &&
	       (curve->error <= ERROR_MAX || curve->error * curve->refs_per_s <= MISSES_MAX);
}

/*
 * What is in use and neither in page tables nor read while that was watched: the kernel's own memory, and files
 * of a group that reads none. By the kernel's books, not by the sample: that has been cleared again and again, so
 * reclaim prefers it.
 */
static uint64_t unseen_of(const struct daemon *daemon, uint32_t slot, uint64_t usage_bytes)
{
	const struct measure *measure = daemon->curves->at[slot].measure;
	uint64_t seen_bytes = measure ? measure_files_bytes(measure) : 0;
	struct reclaim_facts facts;

	if (reclaim_look(&daemon->machine.tree, &daemon->members.at[slot].group, &facts) < 0)
		return 0;
	return arith_sub(usage_bytes, arith_add(facts.mapped_bytes, seen_bytes));
}

/* The one place where a curve becomes a need. */
static struct adaptive_need need_of(const struct cvhrc_curve *curve, uint64_t unseen_bytes)
{
	return (struct adaptive_need){
		.knee_bytes = curve->knee_bytes,
		.resolution_bytes = curve->resolution_bytes,
		.unseen_bytes = unseen_bytes,
		.below_resolution = curve->knee_below_resolution,
		.confident = curve->confident,
	};
}

static void keep_result(struct watched *w, const struct cvhrc_curve *curve, uint64_t now_ns)
{
	if (!w->result)
		w->result = calloc(1, sizeof(*w->result));
	if (!w->result)
		return;
	w->news = true;
	*w->result = (struct curves_result){ .curve = *curve,
					     .source = measure_source(w->measure),
					     .time_ns = now_ns };
}

static void say_result(struct daemon *daemon, uint32_t slot, uint64_t usage_bytes)
{
	struct watched *w = &daemon->curves->at[slot];
	const struct cvhrc_curve *curve = &w->result->curve;
	uint64_t knee = curve->knee_bytes, before = w->said_bytes;
	char a[24], b[24], c[24], d[24];

	if (before && arith_max(knee, before) - arith_min(knee, before) <= before / NEWS_SHARE)
		return;
	w->said_bytes = knee;
	say_note(daemon->out, daemon->members.at[slot].name,
		 "curve  knee %s%s of %s in use, error %s, by %s, measured for %s",
		 curve->knee_below_resolution ? "<= " : "", say_bytes(knee, a),
		 say_bytes(usage_bytes, b), say_error(curve->error, d), w->result->source,
		 say_duration(w->measured_ns, c));
}

/*
 * No step while somebody looks: one that feels its way is no use, and any would take what is hot of the sample,
 * which has just been cleared.
 */
static void await(struct daemon *daemon, uint32_t slot, bool awaited, uint64_t now_ns)
{
	struct watched *w = &daemon->curves->at[slot];
	const struct adaptive_need need = { .pending = awaited };

	if (w->awaited == awaited)
		return;
	w->awaited = awaited;
	tap_need(daemon, slot, &need, now_ns);
}

static void tell(struct daemon *daemon, uint32_t slot, uint64_t now_ns)
{
	struct watched *w = &daemon->curves->at[slot];
	uint64_t usage = daemon->members.fcbs[slot].res[FCB_RAM].usage;
	struct adaptive_need need;

	w->tell_ns = 0;
	tracking_rest_from(&w->tracking, now_ns);
	if (!w->news) {
		await(daemon, slot, false, now_ns);
		return;
	}
	need = need_of(&w->result->curve, unseen_of(daemon, slot, usage));
	w->awaited = w->news = false;
	tap_need(daemon, slot, &need, now_ns);
	say_result(daemon, slot, usage);
	tap_flush(daemon);
}

/*
 * How long until what is below the knee has been touched again: of n pages that are touched r times a second in
 * all, all but one in 20 are after 3 * n / r. Not by the pages per epoch: epochs become shorter and longer.
 */
static uint64_t settling_ns(const struct cvhrc_curve *curve)
{
	double pages = (double)curve->knee_bytes / (double)curve->page_bytes;

	if (!(curve->refs_per_s > 0))
		return SETTLING_MAX_NS;
	return arith_min(arith_from_double(3 * pages / curve->refs_per_s * 1e9),
			 SETTLING_MAX_NS);
}

/*
 * A session leaves its sample looking colder than the rest, and reclaim would take what is hot of it: so all
 * is made to look the same, and nothing is asked for until what is hot has been touched again.
 */
static void settle(struct daemon *daemon, uint32_t slot, const struct cvhrc_curve *curve,
		   uint64_t now_ns)
{
	const struct fcb *fcb = &daemon->members.fcbs[slot];
	struct watched *w = &daemon->curves->at[slot];

	w->tell_ns = now_ns;
	if (w->age || fcb->policy.mode[FCB_RAM] != FCB_ACT || daemon->machine.dry_run ||
	    fcb->res[FCB_RAM].usage <= w->least_bytes)
		return;
	if (age_open(daemon->machine.tree.proc_fd, daemon->members.at[slot].group.fd, &w->age) == 0)
		w->tell_ns += settling_ns(curve);
	w->awaited = false; /* anew: that is given up after a while */
	await(daemon, slot, true, now_ns);
}

/* Sessions */

static void end_session(struct watched *w, uint64_t since_ns, uint64_t now_ns)
{
	w->measured_ns += arith_sub(now_ns, since_ns);
	if (w->measure)
		measure_rest(w->measure);
}

static void cannot(struct daemon *daemon, uint32_t slot, int code, const struct err *err)
{
	struct curves *c = daemon->curves;
	char quoted[ERR_QUOTED];

	c->at[slot].failed = true;
	forget_open(c, slot);
	await(daemon, slot, false, daemon->loop.now_ns);
	if (code == -EOPNOTSUPP && c->refused)
		return;
	c->refused |= code == -EOPNOTSUPP;
	fprintf(stderr, "pfuse-bpf: %s: no hit-ratio curve: %s; going on in small steps\n",
		err_quote(daemon->members.at[slot].name, quoted), err->text);
}

/* One that cannot be aged is measured all the same. */
static void age_further(struct watched *w)
{
	uint64_t spent_ns;

	if (age_step(w->age, &spent_ns) <= 0) {
		age_close(w->age);
		w->age = NULL;
	}
	w->aged_ns += spent_ns;
	w->spent_ns += spent_ns;
}

static void turn(struct daemon *daemon, uint32_t slot, uint64_t now_ns)
{
	struct watched *w = &daemon->curves->at[slot];
	uint64_t since_ns = w->tracking.since_ns;
	struct tracking_answer answer;
	struct cvhrc_curve curve;
	struct err err;
	int r = measure_turn(w->measure, now_ns, &err);

	if (r == -ESRCH) {
		tracking_stop(&w->tracking, EMPTY_NS, now_ns);
	} else if (r < 0) {
		cannot(daemon, slot, r, &err);
		return;
	} else {
		bool is_known = measure_curve(w->measure, &curve);

		curve.confident = is_known && is_trusted(&curve);
		w->spent_ns += w->measure->turn_ns;
		answer = tracking_turn(&w->tracking, &daemon->curves->setup,
				       is_known ? &curve : NULL,
				       w->measure->turn_ns + w->aged_ns, now_ns);
		w->aged_ns = 0;
		measure_put_off(w->measure, answer.not_before_ns);
		if (answer.tell)
			keep_result(w, &curve, now_ns);
		/* Of one that uses next to nothing, no more can come back than a step may cost. */
		bool is_used = is_known && (answer.tell || curve.refs_per_s > MISSES_MAX);

		if (is_used && answer.rest)
			settle(daemon, slot, &curve, now_ns);
		else if (is_used)
			await(daemon, slot, true, now_ns);
	}
	if (w->tracking.phase == TRACKING_ON)
		return;
	end_session(w, since_ns, now_ns);
	if (!w->tell_ns)
		await(daemon, slot, false, now_ns);
}

static bool is_measurable(const struct daemon *daemon, uint32_t slot)
{
	const struct fcb *fcb = &daemon->members.fcbs[slot];

	return daemon->members.at[slot].awake && !fcb->stopped && !fcb->removed &&
	       fcb->policy.mode[FCB_RAM] != FCB_OFF;
}

/* What is to be done with it next; UINT64_MAX: nothing. */
static uint64_t due_of(const struct watched *w)
{
	if (w->tracking.phase == TRACKING_ON)
		return measure_due_ns(w->measure);
	if (w->age)
		return 0;
	return w->tell_ns ? w->tell_ns : UINT64_MAX;
}

/* The one that is due first; 0: nobody is. Who is measured and idle by now rests. */
static uint32_t next_due(struct daemon *daemon, uint64_t now_ns, uint64_t *ret_due_ns)
{
	struct curves *c = daemon->curves;
	uint32_t next = 0;

	*ret_due_ns = UINT64_MAX;
	for (uint32_t i = 0; i < c->nopen; i++) {
		struct watched *w = &c->at[c->open[i]];
		uint64_t since_ns = w->tracking.since_ns;

		if (w->tracking.phase == TRACKING_ON && !is_measurable(daemon, c->open[i])) {
			tracking_stop(&w->tracking, 0, now_ns);
			end_session(w, since_ns, now_ns);
			await(daemon, c->open[i], false, now_ns);
		}
		if (due_of(w) < *ret_due_ns) {
			*ret_due_ns = due_of(w);
			next = c->open[i];
		}
	}
	return next;
}

static int on_time(sd_event_source *source, uint64_t usec, void *context);

/* The loop's own timer comes first: a scan may take milliseconds. */
static int set_timer(struct daemon *daemon, uint64_t now_ns)
{
	sd_event_source **timer = &daemon->curves->timer;
	uint64_t due_ns;
	int r;

	if (!next_due(daemon, now_ns, &due_ns))
		return *timer ? sd_event_source_set_enabled(*timer, SD_EVENT_OFF) : 0;
	if (*timer) {
		r = sd_event_source_set_time(*timer, due_ns / 1000 + 1);
		return r < 0 ? r : sd_event_source_set_enabled(*timer, SD_EVENT_ONESHOT);
	}
	r = sd_event_add_time(daemon->loop.event, timer, CLOCK_MONOTONIC, due_ns / 1000 + 1,
			      TIMER_ACCURACY_US, on_time, daemon);
	return r < 0 ? r : sd_event_source_set_priority(*timer, SD_EVENT_PRIORITY_IDLE);
}

static void work(struct daemon *daemon, uint32_t slot, uint64_t now_ns)
{
	struct watched *w = &daemon->curves->at[slot];

	if (w->tracking.phase == TRACKING_ON)
		turn(daemon, slot, now_ns);
	else if (w->age)
		age_further(w);
	else
		tell(daemon, slot, now_ns);
}

static int on_time(sd_event_source *source, uint64_t usec, void *context)
{
	struct daemon *daemon = context;
	uint64_t now_ns = daemon->loop.now_ns = clock_now_ns(), due_ns;
	uint32_t slot = next_due(daemon, now_ns, &due_ns);

	daemon->loop.turns++;
	if (slot && due_ns <= now_ns)
		work(daemon, slot, now_ns);
	return set_timer(daemon, clock_now_ns());
}

static struct pagescan_target target_of(const struct daemon *daemon, uint32_t slot)
{
	return (struct pagescan_target){ .proc_fd = daemon->machine.tree.proc_fd,
					 .group_fd = daemon->members.at[slot].group.fd,
					 .slot = slot };
}

/* One that rests gives its place away, and what it knows of its pages with it. */
static bool make_room(struct curves *c)
{
	for (uint32_t i = 0; c->nopen == CURVES_OPEN_MAX && i < c->nopen; i++)
		if (due_of(&c->at[c->open[i]]) == UINT64_MAX)
			forget_open(c, c->open[i]);
	return c->nopen < CURVES_OPEN_MAX;
}

static bool open_measure(struct daemon *daemon, uint32_t slot)
{
	struct curves *c = daemon->curves;
	const struct pagescan_target target = target_of(daemon, slot);
	const struct cvhrc_setup setup = { .budget_permille = c->setup.budget_permille };
	struct err err;
	int r;

	if (c->at[slot].measure)
		return true;
	if (!make_room(c))
		return false;
	r = measure_open(daemon->machine.probe, &target, &setup, &c->at[slot].measure, &err);
	if (r < 0) {
		cannot(daemon, slot, r, &err);
		return false;
	}
	c->open[c->nopen++] = slot;
	return true;
}

static uint64_t least_of(const struct fcb *fcb, const struct pfuse_sample *sample)
{
	uint64_t stuck = arith_sub(sample->anon_bytes, sample->swap_free_bytes);

	return arith_add(arith_add(sample->unreclaimable_bytes, stuck),
			 fcb->policy.ram_floor_bytes);
}

void curves_sample(struct daemon *daemon, uint32_t slot, const struct pfuse_sample *sample)
{
	const struct fcb *fcb = &daemon->members.fcbs[slot];
	struct curves *c = daemon->curves;
	uint64_t now_ns = daemon->loop.now_ns;

	if (!c || !c->at[slot].wanted)
		return;
	struct watched *w = &c->at[slot];
	const struct tracking_view view = { .usage_bytes = sample->ram_usage_bytes,
					    .floor_bytes = fcb->policy.ram_floor_bytes,
					    .refaults = sample->refaults,
					    .page_bytes = fcb->page_bytes };

	w->least_bytes = least_of(fcb, sample);
	if (w->failed || !sample->nprocs || !is_measurable(daemon, slot) ||
	    !tracking_wants(&w->tracking, &view, now_ns) || w->age || w->tell_ns ||
	    !open_measure(daemon, slot))
		return;
	tracking_begin(&w->tracking, now_ns);
	measure_resume(w->measure, now_ns);
	w->sessions++;
	(void)set_timer(daemon, now_ns);
}

void curves_end(struct daemon *daemon, uint32_t slot)
{
	struct curves *c = daemon->curves;

	if (!c)
		return;
	if (c->at[slot].tracking.phase == TRACKING_ON)
		end_session(&c->at[slot], c->at[slot].tracking.since_ns, daemon->loop.now_ns);
	tracking_stop(&c->at[slot].tracking, 0, daemon->loop.now_ns);
	forget_open(c, slot);
	c->at[slot].wanted = false;
}

/* For others */

static const char *why_none(const struct watched *w)
{
	if (w->failed)
		return "it could not be measured, see the messages";
	if (!w->sessions)
		return "no session: it was idle, or little above its floor";
	return "no session was long enough for a knee that could be believed";
}

bool curves_facts(const struct daemon *daemon, uint32_t slot, struct curves_facts *ret)
{
	const struct curves *c = daemon->curves;
	const struct watched *w = c ? &c->at[slot] : NULL;

	*ret = (struct curves_facts){ .why = daemon->squeeze ? "curve: { measure: off }"
							     : "only under the policy adaptive" };
	if (!w)
		return false;
	*ret = (struct curves_facts){ .result = w->result,
				      .why = why_none(w),
				      .measured_ns = w->measured_ns,
				      .spent_ns = w->spent_ns,
				      .least_bytes = w->least_bytes,
				      .sessions = w->sessions };
	if (w->tracking.phase == TRACKING_ON)
		ret->measured_ns += arith_sub(daemon->loop.now_ns, w->tracking.since_ns);
	return true;
}

const struct say_curve *curves_say(const struct daemon *daemon, uint32_t slot, uint64_t now_ns,
				   struct say_curve *room)
{
	struct curves_facts facts;

	if (!curves_facts(daemon, slot, &facts) || !facts.result)
		return NULL;
	*room = (struct say_curve){
		.knee_bytes = facts.result->curve.knee_bytes,
		.age_ns = arith_sub(now_ns, facts.result->time_ns),
		.error = facts.result->curve.error,
		.source = facts.result->source,
		.below_resolution = facts.result->curve.knee_below_resolution,
	};
	return room;
}
