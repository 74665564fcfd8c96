/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Whether who talks with a guarded group is one of those whose visits are health checks (probe_from). */
#ifndef DAEMON_PROBING_H
#define DAEMON_PROBING_H

#include "daemon/daemon.h"

/* Before the core hears of it: fills event->talk.probe. Other events, and groups without a list, stay. */
void probing_mark(const struct daemon *daemon, const struct member *member,
		  struct pfuse_event *event);

/*
 * After it: only the first talk is told, and after a health check a client may come. So the next is to be
 * told too, until the time of the probe is over.
 */
void probing_listen_on(struct daemon *daemon, const struct pfuse_event *event);

#endif
