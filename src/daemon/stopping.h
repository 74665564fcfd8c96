/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What is looked at before a group is stopped, and listened to while it is: what it shares with
 * outsiders without any packet that would tell, and who minds.
 */
#ifndef DAEMON_STOPPING_H
#define DAEMON_STOPPING_H

#include "daemon/member.h"

/* Events that are asked for while a group is stopped, and only then. */
#define STOPPING_ARMS (PFUSE_ARM_SIGNAL | PFUSE_ARM_ENTERED)

/*
 * 0: nothing that was found forbids it. -EBUSY: it talks, or may; *ret_talk tells the core of it ·
 * -EPERM: guarded, and it shares memory, in which a store raises no event: `why` names with whom.
 * A look takes milliseconds on a large machine (edge/reach.h), so a recent one counts.
 */
int stopping_look_around(const struct machine *machine, struct member *member,
			 const struct pfuse_verdict *verdict, struct pfuse_event *ret_talk,
			 struct err *why);

/* A signal came for a stopped group: did a parent continue or kill what it saw stopped? Once per member. */
bool stopping_note_parent(struct member *member, const struct pfuse_event *event);

#endif
