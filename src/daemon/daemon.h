/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * `pfuse-bpf run`: wires the core to the edges. The only part that knows both.
 *
 * Order: daemon_open() takes the ledger's lock, undoes what a killed daemon left, starts the keeper,
 * opens every group and loads the programs; daemon_loop() runs until told to stop; daemon_close()
 * continues what is stopped, restores every control and reports. close accepts a half-open daemon:
 * whatever was changed is undone.
 * Errors: an exit status (cli/options.h), with one sentence in *err.
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <systemd/sd-event.h>

#include "base/err.h"
#include "cli/options.h"
#include "config/config.h"
#include "core/orchestrator.h"
#include "daemon/child.h"
#include "daemon/member.h"
#include "edge/keeper.h"

/*
 * v1: groups (consecutive slots) that share an eventfd of tasks that wait at their limit. One each would
 * double the fds, and 10,000 groups are to work with 20,000. Who it was is found by reading 32 small
 * files, about 80 us.
 */
#define MEMBERS_PER_OOM_FD 32

/* Groups, index = slot: what the core knows of them and what the edges do. Slot 0 is unused. */
struct members {
	struct member *at;
	struct fcb *fcbs;
	uint32_t count; /* slot 0 included */
	uint32_t live;	/* those not gone */
	int *oom_fds;	/* by (slot - 1) / MEMBERS_PER_OOM_FD; -1: none */
};

static inline uint32_t members_oom_fds(const struct members *members)
{
	return (members->count + MEMBERS_PER_OOM_FD - 2) / MEMBERS_PER_OOM_FD;
}

struct loop {
	sd_event *event;
	sd_event_source *timer;
	sd_event_source *paging; /* NULL: nothing was ever paged out */
	sd_event_source *guard;	 /* machine.guards; NULL: none yet */
	int oom_epoll;		 /* members.oom_fds */
	uint64_t now_ns;	 /* read once per turn */
	uint64_t started_ns;
	uint64_t next_tick_ns; /* FCB_NEVER: everybody is quiet */
	uint64_t due_ns;       /* the earliest orchestrator_due(), or earlier */
	uint64_t turns;
	uint64_t events;
	uint64_t drops; /* events that the ring had no room for, at the last tick */
};

struct split; /* daemon/split.h */
struct tap; /* daemon/tap.h */

struct daemon {
	const struct options *options;
	const struct config *config;
	struct config reread; /* the configuration after SIGHUP; zeroed before the first */
	FILE *out;	      /* lines for the user; NULL: quiet */
	struct machine machine;
	struct keeper keeper;
	char keeper_exe[256];
	uint32_t keepers; /* started so far */
	struct orchestrator core;
	struct members members;
	struct split *split; /* NULL: no group has a type or a character */
	struct child child;
	struct rlimit files;	     /* RLIMIT_NOFILE before we raised it */
	struct cgroup command_group; /* open until its member takes it */
	struct loop loop;
	struct squeeze *squeeze; /* NULL: no policy `adaptive` */
	struct curves *curves; /* the same, or no curves are to be measured */
	struct scarce *scarce; /* the same as squeeze */
	struct tap *tap; /* NULL: no trace is written */
	int status; /* exit status so far */
	bool command_ended;
};

enum exit_status daemon_open(struct daemon *daemon, const struct options *options,
			     const struct config *config, struct err *err);
enum exit_status daemon_loop(struct daemon *daemon, struct err *err);
/* Restores, prints the summary and writes --summary FILE. The exit status of the whole run. */
enum exit_status daemon_close(struct daemon *daemon, enum exit_status status);

/* The configuration that holds: of the last successful reading. */
static inline const struct config *daemon_config(const struct daemon *daemon)
{
	return daemon->reread.interval_ns ? &daemon->reread : daemon->config;
}

/* The command line's, or else the configuration's at the start. */
static inline enum config_policy daemon_policy(const struct daemon *daemon)
{
	return daemon->options->policy >= 0 ? (enum config_policy)daemon->options->policy
					    : daemon->config->policy;
}

/* Who records a run wants to see who waited; the flight recorder is to cost little. */
static inline bool daemon_records_spans(const struct daemon *daemon)
{
	return daemon->options->trace && !daemon->options->flight_ns;
}

/* Where some group's policy asks for the guarded freezer, and it is not open yet. */
int daemon_open_guards(struct daemon *daemon, struct err *err);

/* What the configuration says for it. */
const struct config_group *daemon_entry(const struct daemon *daemon, const struct member *member);

/* After SIGHUP: every group's policy anew. */
void daemon_apply_policies(struct daemon *daemon);

#endif
