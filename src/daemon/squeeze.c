/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "daemon/squeeze.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

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
	struct slow_write *slow;   /* NULL: nothing was ever reclaimed */
	sd_event_source *done;
	uint32_t under_way; /* slot whose slice the thread is at; 0: none */
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
	squeeze_halt(daemon);
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

static bool dips(const struct squeeze *s, uint32_t slot)
{
	return s->adaptive[slot].by_limit;
}

/* v1: while a slice is under way the group's limit is none to be looked at. */
#define ARMS (PFUSE_ARM_HIGH_WATER | PFUSE_ARM_LIMIT_HIT)

static int post(struct daemon *daemon, uint32_t slot)
{
	struct squeeze *s = daemon->squeeze;
	struct slow_write_job write;
	int r = reclaim_next(&s->jobs[slot].reclaim, &write);

	if (r <= 0)
		return r;
	if (dips(s, slot))
		probe_disarm(daemon->machine.probe, slot, ARMS);
	r = slow_write_post(s->slow, &write);
	if (r < 0)
		return r;
	s->under_way = slot;
	return 1;
}

/* A slice of the next group that waits for one. */
static void go_on(struct daemon *daemon)
{
	struct squeeze *s = daemon->squeeze;
	uint32_t from = s->under_way, count = daemon->members.count;

	s->under_way = 0;
	for (uint32_t i = 1; i <= count && !s->under_way; i++) {
		uint32_t slot = (from + i) % count;
		int r;

		if (!s->jobs[slot].running)
			continue;
		r = post(daemon, slot);
		if (r <= 0)
			finish(daemon, slot, r);
	}
}

static int adopt(const struct daemon *daemon, struct member *member)
{
	int r = control_ram_adopt(&daemon->machine.tree, &member->group, daemon->machine.ledger,
				  &member->ram);

	return r < 0 ? r : 1;
}

static void end_slice(struct daemon *daemon, const struct slow_write_result *result)
{
	struct squeeze *s = daemon->squeeze;
	uint32_t slot = s->under_way;
	struct member *member = &daemon->members.at[slot];
	int r = reclaim_written(&s->jobs[slot].reclaim, result);

	if (r == -ESTALE && member->reapply)
		r = adopt(daemon, member);
	if (s->jobs[slot].running && dips(s, slot))
		probe_arm(daemon->machine.probe, slot, ARMS);
	if (s->jobs[slot].running && r <= 0)
		finish(daemon, slot, r);
}

static int on_done(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	struct daemon *daemon = context;
	struct slow_write_result result;

	if (slow_write_take(daemon->squeeze->slow, &result) < 0)
		return 0;
	end_slice(daemon, &result);
	go_on(daemon);
	return 0;
}

bool squeeze_holds_limit(const struct daemon *daemon, uint32_t slot)
{
	const struct squeeze *s = daemon->squeeze;

	return s && s->under_way == slot && dips(s, slot);
}

void squeeze_let_go(struct daemon *daemon, uint32_t slot)
{
	struct slow_write_result result;

	if (!squeeze_holds_limit(daemon, slot))
		return;
	slow_write_wait(daemon->squeeze->slow, &result);
	end_slice(daemon, &result);
	go_on(daemon);
}

void squeeze_halt(struct daemon *daemon)
{
	struct squeeze *s = daemon->squeeze;
	struct slow_write_result result;

	if (!s || !s->slow)
		return;
	for (uint32_t slot = 1; slot < daemon->members.count; slot++)
		s->jobs[slot].running = false;
	if (s->under_way) {
		slow_write_wait(s->slow, &result);
		end_slice(daemon, &result);
	}
	s->under_way = 0;
	sd_event_source_unref(s->done);
	slow_write_close(s->slow);
	s->slow = NULL;
}

static int start(struct daemon *daemon)
{
	struct squeeze *s = daemon->squeeze;
	int r = s->slow ? 0 : slow_write_open(&s->slow);

	if (r == 0 && !s->done)
		r = sd_event_add_io(daemon->loop.event, &s->done, slow_write_fd(s->slow), EPOLLIN,
				    on_done, daemon);
	if (r < 0)
		return r;
	if (!s->under_way)
		go_on(daemon);
	return 0;
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
		err = start(daemon);
	if (err < 0)
		finish(daemon, slot, err);
}

void squeeze_end(struct daemon *daemon, uint32_t slot)
{
	if (daemon->squeeze)
		daemon->squeeze->jobs[slot].running = false;
}
