/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "daemon/probing.h"

#include "core/peers.h"

void probing_mark(const struct daemon *daemon, const struct member *member,
		  struct pfuse_event *event)
{
	const struct peers *from;

	if (event->kind != PFUSE_EV_TALK)
		return;
	from = daemon_entry(daemon, member)->probe_from;
	if (from)
		event->talk.probe = peers_have(from, event) ? PFUSE_PROBE_YES : PFUSE_PROBE_NO;
}

void probing_listen_on(struct daemon *daemon, const struct pfuse_event *event)
{
	const struct fcb *fcb = orchestrator_fcb(&daemon->core, event->slot);

	if (event->kind == PFUSE_EV_TALK && event->talk.probe == PFUSE_PROBE_YES && fcb &&
	    (fcb->stopped || daemon->loop.now_ns < fcb->probe_end_ns))
		probe_arm(daemon->machine.probe, event->slot, PFUSE_ARM_TALK);
}
