/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the run did, gathered from members, core and probe for export/summary. Reads files; called once
 * per interval (report_account) and once at the end, before anything is restored.
 */
#ifndef DAEMON_REPORT_H
#define DAEMON_REPORT_H

#include "daemon/daemon.h"

/* zram's memory is no saving: what it spends is charged to the groups whose pages it holds. */
void report_account(struct daemon *daemon);

/* Prints the table and writes --summary FILE. 0 or -errno; what failed was said on stderr. */
int report(struct daemon *daemon);

#endif
