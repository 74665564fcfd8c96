/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "daemon/stopping.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/cleanup.h"
#include "core/reachable.h"
#include "edge/procs.h"

/*
 * Guarded, only shared memory matters, and that comes with a program, not with each request: twice a
 * minute. Unguarded, what moved since the last look is the question, so each stop looks, and looks again
 * soon after the first time, when nothing is known yet.
 */
#define LOOK_GUARDED_NS 30000000000ull
#define LOOK_NS 50000000ull

/* Above it, one walk over all processes takes less than as many of one process each. */
#define PROCESSES_ONE_BY_ONE 64

static int take(const struct machine *machine, struct member *member, uint32_t slot, bool guarded)
{
	_cleanup_(procs_list_free) struct procs_list list = { 0 };
	struct reach_scope scope = { .memory_only = guarded };
	int err = procs_of_group(member->group.fd, true, &list);

	if (err)
		return err;
	if (list.count && list.count <= PROCESSES_ONE_BY_ONE)
		scope = (struct reach_scope){ list.pids, list.count, machine->tree.proc_fd,
					      guarded };
	return reach_take(machine->probe, slot, &scope, &member->reach);
}

static int look(const struct machine *machine, struct member *member,
		const struct pfuse_verdict *verdict, bool guarded, struct err *why)
{
	uint64_t every_ns = guarded ? LOOK_GUARDED_NS : LOOK_NS;

	if (member->reach_ns && verdict->time_ns < member->reach_ns + every_ns)
		return 0;
	int err = take(machine, member, verdict->slot, guarded);

	if (err == -ENOENT)
		return err_set(why, -EPERM,
			       "this kernel does not show what it shares with other processes");
	if (err)
		return err_set(why, err, "cannot tell what it shares with other processes: %s",
			       strerror(-err));
	member->reach_ns = verdict->time_ns;
	return 0;
}

static int judge_guarded(const struct reach *reach, struct err *why)
{
	char quoted[ERR_QUOTED];

	for (uint32_t i = 0; i < reach->count; i++) {
		const struct pfuse_reach_finding *found = &reach->findings[i];

		if (found->key.kind == PFUSE_REACH_SHM)
			return err_set(why, -EPERM,
				       "pid %u shares memory (%s) with pid %u outside, and a store "
				       "there would not wake it",
				       found->ours, err_quote(found->name, quoted), found->theirs);
	}
	if (reach->incomplete)
		return err_set(why, -EPERM, "it has more shared mappings than are looked at");
	return 0;
}

static int judge(const struct member *member, const struct pfuse_verdict *verdict,
		 struct pfuse_event *ret_talk, struct err *why)
{
	const struct reach *reach = &member->reach;
	const struct pfuse_reach_finding *found;
	uint32_t evidence;
	enum reachable answer =
		reachable_judge_all(reach->findings, reach->count, reach->incomplete, &evidence);

	if (answer == REACHABLE_SILENT)
		return 0;
	if (answer == REACHABLE_UNKNOWN || evidence == UINT32_MAX)
		return err_set(why, -EBUSY, "not known yet whether it talks");
	found = &reach->findings[evidence];
	*ret_talk = (struct pfuse_event){
		.kind = PFUSE_EV_TALK,
		.slot = verdict->slot,
		.group_id = member->group.id,
		.time_ns = verdict->time_ns,
		.talk = { .channel = reachable_channel(found),
			  .pid = found->ours,
			  .peer_pid = found->theirs,
			  .where = PFUSE_WHERE_LOCAL },
	};
	return err_set(why, -EBUSY, "it talks");
}

int stopping_look_around(const struct machine *machine, struct member *member,
			 const struct pfuse_verdict *verdict, struct pfuse_event *ret_talk,
			 struct err *why)
{
	bool guarded = verdict->reason == PFUSE_WHY_PARKED;
	int err;

	if (verdict->reason == PFUSE_WHY_REQUEST)
		return 0;
	err = look(machine, member, verdict, guarded, why);
	if (err)
		return err;
	return guarded ? judge_guarded(&member->reach, why) : judge(member, verdict, ret_talk, why);
}

bool stopping_note_parent(struct member *member, const struct pfuse_event *event)
{
	uint32_t number = event->signal.number;
	bool minds = member->stop.how == STOP_SIGNAL &&
		     (event->signal.flags & PFUSE_SIGNAL_BY_PARENT) &&
		     (number == SIGCONT || number == SIGKILL) && !member->parent_minds;

	member->parent_minds |= minds;
	return minds;
}
