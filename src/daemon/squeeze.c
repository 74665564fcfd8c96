/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "daemon/squeeze.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "core/adaptive.h"
#include "daemon/curves.h"
#include "daemon/say.h"
#include "daemon/tap.h"
#include "edge/reclaim.h"

struct job {
	struct reclaim reclaim;
	struct pfuse_verdict verdict;
	uint64_t since_ns;
	bool running;
};

struct squeeze {
	struct adaptive *adaptive; /* the core's, by slot */
	struct job *jobs;	   /* by slot */
	sd_event_source *idle;	   /* NULL: nothing was ever reclaimed */
};

int squeeze_open(struct daemon *daemon, struct err *err)
{
	struct squeeze *s;

	if (daemon_policy(daemon) != CONFIG_ADAPTIVE)
		return 0;
	s = daemon->squeeze = calloc(1, sizeof(*s));
	if (s) {
		s->adaptive = calloc(daemon->members.count, sizeof(*s->adaptive));
		s->jobs = calloc(daemon->members.count, sizeof(*s->jobs));
	}
	if (!s || !s->adaptive || !s->jobs)
		return err_set(err, -ENOMEM, "out of memory for %u groups",
			       daemon->members.count - 1);
	tap_adaptive(daemon, s->adaptive);
	return 0;
}

void squeeze_close(struct daemon *daemon)
{
	struct squeeze *s = daemon->squeeze;

	if (!s)
		return;
	sd_event_source_unref(s->idle);
	free(s->adaptive);
	free(s->jobs);
	free(s);
	daemon->squeeze = NULL;
	daemon->core.adaptive = NULL;
}

static void fill(struct pfuse_sample *sample, const struct reclaim_facts *facts)
{
	sample->stall_ns = facts->stall_ns;
	sample->refaults = facts->refaults;
	sample->host_reclaimed = facts->host_reclaimed;
	sample->anon_bytes = facts->anon_bytes;
	sample->unreclaimable_bytes = facts->unreclaimable_bytes;
	sample->swap_free_bytes = facts->swap_free_bytes;
}

void squeeze_choose(struct daemon *daemon, uint32_t slot, struct pfuse_sample *first,
		    uint64_t grace_ns)
{
	const struct cgroup_tree *tree = &daemon->machine.tree;
	const struct member *member = &daemon->members.at[slot];
	struct reclaim_facts facts;

	if (!daemon->squeeze)
		return;
	if (reclaim_look(tree, &member->group, &facts) < 0 || !facts.tells_harm) {
		say_note(daemon->out, member->name,
			 "policy fusebox: neither its stall nor its refaults can be read");
		return;
	}
	fill(first, &facts);
	tap_choose(daemon, slot, !reclaim_available(tree, &member->group), first, grace_ns,
		   clock_now_ns());
	curves_choose(daemon, slot);
}

/*
 * Figures that cannot be had at this moment are those of the sample before: nothing was done since.
 */
void squeeze_fill(const struct daemon *daemon, uint32_t slot, struct pfuse_sample *sample)
{
	const struct member *member = &daemon->members.at[slot];
	const struct squeeze *s = daemon->squeeze;
	struct reclaim_facts facts;

	if (!s || !s->adaptive[slot].chosen)
		return;
	if (reclaim_look(&daemon->machine.tree, &member->group, &facts) == 0) {
		fill(sample, &facts);
		return;
	}
	sample->stall_ns = s->adaptive[slot].last.stall_ns;
	sample->refaults = s->adaptive[slot].last.refaults;
	sample->host_reclaimed = s->adaptive[slot].last.host_reclaimed;
	sample->unreclaimable_bytes = sample->ram_usage_bytes; /* and nothing will be */
}

static enum orchestrator_outcome outcome_of(int err)
{
	if (err == -ESTALE)
		return ORCHESTRATOR_FOREIGN;
	return err ? ORCHESTRATOR_FAILED : ORCHESTRATOR_APPLIED;
}

/*
 * The core hears of it, the user reads of it. Less than was asked for is a success if it is
 * something.
 */
static void finish(struct daemon *daemon, uint32_t slot, int err)
{
	struct job *job = &daemon->squeeze->jobs[slot];
	struct member *member = &daemon->members.at[slot];
	struct say_decision said = { .name = member->name, .verdict = &job->verdict, .why = "" };
	uint64_t now_ns = clock_now_ns();
	struct say_curve room;

	said.curve = curves_say(daemon, slot, now_ns, &room);
	job->running = false;
	if (err == -EAGAIN && job->reclaim.after_bytes < job->reclaim.before_bytes)
		err = 0;
	if (err == 0 && job->reclaim.after_bytes < job->verdict.from)
		job->verdict.to = job->reclaim.after_bytes;
	said.err = err;
	said.outcome = outcome_of(err);
	said.took_ns = now_ns > job->since_ns ? now_ns - job->since_ns : 0;
	member->failed += said.outcome == ORCHESTRATOR_FAILED;
	member->foreign += said.outcome == ORCHESTRATOR_FOREIGN;
	tap_applied(daemon, &said, now_ns);
	say_decision(daemon->out, &said);
}

/* v1: the group stands at a limit for an instant that is no limit of it. */
static int take_slice(struct daemon *daemon, uint32_t slot)
{
	const uint32_t arms = PFUSE_ARM_HIGH_WATER | PFUSE_ARM_LIMIT_HIT;
	struct job *job = &daemon->squeeze->jobs[slot];
	struct member *member = &daemon->members.at[slot];
	bool by_limit = daemon->squeeze->adaptive[slot].by_limit;
	int r;

	if (by_limit)
		probe_disarm(daemon->machine.probe, slot, arms);
	r = reclaim_step(&job->reclaim);
	if (r == -ESTALE && member->reapply) {
		r = control_ram_adopt(&daemon->machine.tree, &member->group, daemon->machine.ledger,
				      &member->ram);
		r = r < 0 ? r : 1;
	}
	if (by_limit)
		probe_arm(daemon->machine.probe, slot, arms);
	return r;
}

/* False: there is none. */
static bool step(struct daemon *daemon, uint64_t *ret_took_ns)
{
	for (uint32_t slot = 1; slot < daemon->members.count; slot++) {
		struct job *job = &daemon->squeeze->jobs[slot];
		int r;

		if (!job->running)
			continue;
		r = take_slice(daemon, slot);
		*ret_took_ns = job->reclaim.took_ns;
		if (r <= 0)
			finish(daemon, slot, r);
		return true;
	}
	return false;
}

/* As long again is left to others: this process comes before all normal ones. */
static int on_idle(sd_event_source *source, uint64_t usec, void *context)
{
	uint64_t took_ns;

	if (!step(context, &took_ns))
		return sd_event_source_set_enabled(source, SD_EVENT_OFF);
	int err = sd_event_source_set_time(source, (clock_now_ns() + took_ns) / 1000);

	return err < 0 ? err : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int run_when_idle(struct daemon *daemon)
{
	sd_event_source **idle = &daemon->squeeze->idle;
	uint64_t now_us = clock_now_ns() / 1000;
	int err;

	if (*idle) {
		(void)sd_event_source_set_time(*idle, now_us);
		return sd_event_source_set_enabled(*idle, SD_EVENT_ONESHOT);
	}
	err = sd_event_add_time(daemon->loop.event, idle, CLOCK_MONOTONIC, now_us, 1, on_idle,
				daemon);
	return err < 0 ? err : sd_event_source_set_priority(*idle, SD_EVENT_PRIORITY_IDLE);
}

static void leave_out(struct daemon *daemon, uint32_t slot, const struct pfuse_verdict *verdict)
{
	struct member *member = &daemon->members.at[slot];
	struct say_decision said = {
		.name = member->name, .verdict = verdict, .outcome = ORCHESTRATOR_DRY, .why = ""
	};
	struct say_curve room;

	said.curve = curves_say(daemon, slot, clock_now_ns(), &room);
	member->avoided++;
	tap_applied(daemon, &said, clock_now_ns());
	say_decision(daemon->out, &said);
}

void squeeze_begin(struct daemon *daemon, uint32_t slot, const struct pfuse_verdict *verdict,
		   uint64_t since_ns)
{
	const struct member *member = &daemon->members.at[slot];
	const struct reclaim_target target = { .tree = &daemon->machine.tree,
					       .group = &member->group,
					       .ledger = daemon->machine.ledger,
					       .ram = &member->ram };
	struct job *job;
	int err;

	if (!daemon->squeeze || daemon->squeeze->jobs[slot].running)
		return;
	if (daemon->machine.dry_run) {
		leave_out(daemon, slot, verdict);
		return;
	}
	job = &daemon->squeeze->jobs[slot];
	*job = (struct job){ .verdict = *verdict, .since_ns = since_ns, .running = true };
	err = reclaim_begin(&target, verdict->to, &job->reclaim);
	if (err >= 0)
		err = run_when_idle(daemon);
	if (err < 0)
		finish(daemon, slot, err);
}

void squeeze_end(struct daemon *daemon, uint32_t slot)
{
	if (daemon->squeeze)
		daemon->squeeze->jobs[slot].running = false;
}
