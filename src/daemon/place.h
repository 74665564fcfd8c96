/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The CPUs and memory nodes that the configuration names for a group (cpu: { cpus, mems }): written once,
 * when the group is opened and when the configuration is read again, and given back when we leave.
 */
#ifndef DAEMON_PLACE_H
#define DAEMON_PLACE_H

#include "daemon/daemon.h"

/* All groups. A list that the kernel refuses, or a group without a cpuset, ends it with a sentence. */
int place_members(struct daemon *daemon, struct err *err);

#endif
