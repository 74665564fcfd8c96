/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "daemon/step.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/crc32.h"
#include "core/arith.h"
#include "daemon/curves.h"
#include "daemon/paging.h"
#include "daemon/say.h"
#include "daemon/squeeze.h"
#include "daemon/tap.h"

#define DUE_AGAIN_NS 1000000

void step_awaken(struct daemon *daemon, struct member *member)
{
	struct loop *loop = &daemon->loop;

	member->awake = true;
	if (loop->next_tick_ns == FCB_NEVER)
		loop->next_tick_ns = loop->now_ns + daemon_config(daemon)->interval_ns;
}

void step_note_due(struct daemon *daemon, uint32_t slot)
{
	struct loop *loop = &daemon->loop;
	uint64_t due_ns = orchestrator_due(&daemon->core, slot);

	if (due_ns <= loop->now_ns)
		due_ns = loop->now_ns + DUE_AGAIN_NS;
	loop->due_ns = arith_min(loop->due_ns, due_ns);
}

void step_forget(struct daemon *daemon, uint32_t slot)
{
	struct member *member = &daemon->members.at[slot];
	struct ledger_restore how = { .path = member->group.path,
				      .proc_fd = daemon->machine.tree.proc_fd };
	struct ledger_counts counts;

	if (!orchestrator_fcb(&daemon->core, slot) || daemon->members.fcbs[slot].removed)
		return;
	struct pfuse_event gone = { .kind = PFUSE_EV_REMOVED,
				    .slot = slot,
				    .group_id = member->group.id,
				    .time_ns = daemon->loop.now_ns };
	struct pfuse_verdict none[PFUSE_CONTROLS];

	tap_event(daemon, &gone, daemon->loop.now_ns, none);
	member_leave_probe(&daemon->machine, member, slot); /* its id never comes back */
	paging_end(member);
	squeeze_end(daemon, slot);
	curves_end(daemon, slot);
	if (daemon->machine.ledger)
		(void)ledger_restore(daemon->machine.ledger, &how, &counts); /* forgets it */
	member->awake = false;
	daemon->members.live--;
	say_note(daemon->out, member->name, "the group was removed");
	if (!daemon->members.live && !daemon->options->argv)
		sd_event_exit(daemon->loop.event, 0);
}

static void after_ram(struct daemon *daemon, uint32_t slot, const struct pfuse_verdict *verdict,
		      enum orchestrator_outcome outcome)
{
	if (outcome == ORCHESTRATOR_DRY)
		probe_shadow_limit(daemon->machine.probe, slot, verdict->to);
	if (outcome != ORCHESTRATOR_FAILED && verdict->reason != PFUSE_WHY_CEILING)
		probe_arm(daemon->machine.probe, slot, PFUSE_ARM_HIGH_WATER | PFUSE_ARM_LIMIT_HIT);
}

/*
 * What was said to a group between the sample that found it silent and its stop raised no event: TALK
 * was not armed. From here on it is, and the counter tells the rest.
 */
static void look_again(struct daemon *daemon, uint32_t slot)
{
	probe_arm(daemon->machine.probe, slot, PFUSE_ARM_TALK);
	step_sample(daemon, slot);
}

/* A limit of I/O for a group without a disk goes down to the floor step by step, where nobody sees it. */
static bool goes_on_in_thought(const struct say_decision *said)
{
	uint32_t control = said->verdict->control;

	return said->outcome == ORCHESTRATOR_APPLIED && said->why[0] &&
	       (control == PFUSE_CTL_IO_READ || control == PFUSE_CTL_IO_WRITE) &&
	       said->verdict->from != PFUSE_UNLIMITED;
}

/* What comes at a bad moment is counted only, and a refusal is said once: both come again and again. */
static bool is_worth_saying(struct member *member, const struct say_decision *said)
{
	if (said->outcome == ORCHESTRATOR_BUSY || goes_on_in_thought(said))
		return false;
	if (said->outcome != ORCHESTRATOR_REFUSED) {
		if (said->verdict->control == PFUSE_CTL_STOP)
			member->refusal = 0;
		return true;
	}
	uint32_t refusal = crc32_of(0, said->why, strlen(said->why)) | 1;
	bool is_new = member->refusal != refusal;

	member->refusal = refusal;
	return is_new;
}

static bool has_stopped(const struct pfuse_verdict *verdict, enum orchestrator_outcome outcome)
{
	return verdict->control == PFUSE_CTL_STOP && verdict->to && outcome == ORCHESTRATOR_APPLIED;
}

/* Of a group that runs: nothing follows from it at once, but it counts. */
static void tell_core(struct daemon *daemon, const struct pfuse_event *event)
{
	struct pfuse_verdict none[PFUSE_CONTROLS];

	(void)tap_event(daemon, event, daemon->loop.now_ns, none);
}

void step_carry_out(struct daemon *daemon, uint32_t slot, const struct pfuse_verdict *verdicts,
		      unsigned count, uint64_t since_ns)
{
	struct member *member = &daemon->members.at[slot];
	struct fcb *fcb = orchestrator_fcb(&daemon->core, slot);

	for (unsigned i = 0; i < count; i++) {
		struct carried carried;

		if (verdicts[i].control == PFUSE_CTL_RECLAIM) {
			squeeze_begin(daemon, slot, &verdicts[i], since_ns);
			continue;
		}
		if (verdicts[i].control == PFUSE_CTL_RAM)
			squeeze_let_go(daemon, slot);
		member_carry_out(&daemon->machine, member, &verdicts[i], since_ns, &carried);
		struct say_decision said = { .name = member->name,
					     .verdict = &verdicts[i],
					     .outcome = carried.outcome,
					     .err = carried.err,
					     .why = carried.why.text,
					     .flag = &fcb->flag };
		uint64_t done_ns = clock_now_ns();
		struct say_curve room;

		said.curve = curves_say(daemon, slot, done_ns, &room);
		said.took_ns = done_ns > since_ns ? done_ns - since_ns : 0;
		tap_applied(daemon, &said, done_ns);
		if (verdicts[i].control == PFUSE_CTL_RAM)
			after_ram(daemon, slot, &verdicts[i], said.outcome);
		if (said.err == -ENODEV)
			step_forget(daemon, slot);
		else if (is_worth_saying(member, &said))
			say_decision(daemon->out, &said);
		if (has_stopped(&verdicts[i], said.outcome))
			look_again(daemon, slot);
		if (member->guarded)
			paging_begin(daemon, slot);
		else
			paging_end(member);
		if (carried.talk.kind)
			tell_core(daemon, &carried.talk);
	}
	/* A group that went on by its timer may have slept here, with its limit not yet settled. */
	if (count && orchestrator_fcb(&daemon->core, slot) &&
	    !orchestrator_quiet(&daemon->core, slot))
		step_awaken(daemon, member);
	step_note_due(daemon, slot);
}

void step_sample(struct daemon *daemon, uint32_t slot)
{
	struct member *member = &daemon->members.at[slot];
	struct pfuse_verdict verdicts[PFUSE_CONTROLS];
	struct pfuse_sample sample;
	uint64_t now_ns = daemon->loop.now_ns;

	if (squeeze_holds_limit(daemon, slot))
		return; /* tried again at the next interval */
	int err = member_sample(&daemon->machine, member, slot, &sample);

	if (err == -ENODEV)
		step_forget(daemon, slot);
	if (err)
		return; /* tried again at the next interval */
	squeeze_fill(daemon, slot, &sample);
	curves_sample(daemon, slot, &sample);
	const struct fcb_control *ram = &daemon->members.fcbs[slot].control[PFUSE_CTL_RAM];
	bool theirs = ram->let_go;
	unsigned n = tap_sample(daemon, slot, &sample, now_ns, verdicts);

	if (ram->let_go && !theirs) {
		member->foreign++;
		say_note(daemon->out, member->name,
			 "its memory limit was changed by somebody else, and from now on it is "
			 "theirs");
	}
	step_carry_out(daemon, slot, verdicts, n, now_ns);
}
