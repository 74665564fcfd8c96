/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What comes in (ring, timer, signals, children) is handed to the core with the time of this turn; what follows
 * from it is daemon/step.h.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/clock.h"
#include "core/arith.h"
#include "daemon/daemon.h"
#include "daemon/place.h"
#include "daemon/probing.h"
#include "daemon/report.h"
#include "daemon/say.h"
#include "daemon/scarce.h"
#include "daemon/split.h"
#include "daemon/squeeze.h"
#include "daemon/step.h"
#include "daemon/stopping.h"
#include "daemon/tap.h"

/* The kernel may merge our wake-ups with others that near. */
#define TIMER_ACCURACY_NS 1000000
#define KEEPERS_MAX 32 /* somebody who kills it that often means it: say so and go on */

static void begin_turn(struct daemon *daemon)
{
	daemon->loop.now_ns = clock_now_ns();
	daemon->loop.turns++;
}

static int set_timer(struct daemon *daemon)
{
	struct loop *loop = &daemon->loop;
	uint64_t next_ns = arith_min(loop->next_tick_ns, loop->due_ns);

	tap_flush(daemon);
	if (next_ns == FCB_NEVER)
		return sd_event_source_set_enabled(loop->timer, SD_EVENT_OFF);
	int err = sd_event_source_set_time(loop->timer, next_ns / 1000 + 1);

	return err < 0 ? err : sd_event_source_set_enabled(loop->timer, SD_EVENT_ONESHOT);
}

/*
 * ACTIVE is armed before the sample that finds the group quiet: what runs after that sample raises the
 * event, what ran before is in the sample. The other arms are renewed once per interval, so that an
 * event which led to nothing (at the ceiling, say) is heard again, but no more often than that.
 */
static void tick_member(struct daemon *daemon, uint32_t slot)
{
	struct member *member = &daemon->members.at[slot];
	struct probe *probe = daemon->machine.probe;
	uint32_t talks = daemon->members.fcbs[slot].last.talks;

	probe_arm(probe, slot, PFUSE_ARM_ACTIVE | PFUSE_ARM_HIGH_WATER | PFUSE_ARM_LIMIT_HIT);
	step_sample(daemon, slot);
	if (daemon->members.fcbs[slot].last.talks == talks)
		probe_arm(probe, slot, PFUSE_ARM_TALK); /* silent since the last sample */
	member->awake = member->awake && !orchestrator_quiet(&daemon->core, slot);
	if (member->awake)
		probe_disarm(probe, slot, PFUSE_ARM_ACTIVE);
}

/* Where the probe does not tell who empties and fills, or an event of that may be lost. */
static void count_members(struct daemon *daemon)
{
	const struct probe *probe = daemon->machine.probe;
	uint64_t drops = probe_drops(probe, PFUSE_DROP_RING_FULL);

	if (probe_tells_populated(probe) && drops == daemon->loop.drops)
		return;
	daemon->loop.drops = drops;
	for (uint32_t slot = 1; slot < daemon->members.count; slot++)
		if (!daemon->members.fcbs[slot].removed)
			(void)member_count(&daemon->members.at[slot]);
}

static void tick(struct daemon *daemon)
{
	struct loop *loop = &daemon->loop;
	bool anybody = false;

	count_members(daemon);
	report_account(daemon);
	split_tick(daemon);
	scarce_tick(daemon);
	for (uint32_t slot = 1; slot < daemon->members.count; slot++) {
		if (daemon->members.at[slot].awake)
			tick_member(daemon, slot);
		anybody |= daemon->members.at[slot].awake;
	}
	loop->next_tick_ns =
		anybody ? loop->now_ns + daemon_config(daemon)->interval_ns : FCB_NEVER;
}

/* The core's own timers: idle long enough, stopped long enough, tried again. */
static void ring_due(struct daemon *daemon)
{
	struct pfuse_verdict verdicts[PFUSE_CONTROLS];
	uint64_t now_ns = daemon->loop.now_ns;

	daemon->loop.due_ns = FCB_NEVER;
	for (uint32_t slot = 1; slot < daemon->members.count; slot++) {
		bool is_due = orchestrator_due(&daemon->core, slot) <= now_ns;

		if (is_due && orchestrator_quiet(&daemon->core, slot)) {
			unsigned n = tap_timer(daemon, slot, now_ns, verdicts);

			step_carry_out(daemon, slot, verdicts, n, now_ns);
		} else if (is_due) {
			step_sample(daemon, slot);
		}
		step_note_due(daemon, slot);
	}
}

static int on_timer(sd_event_source *source, uint64_t usec, void *context)
{
	struct daemon *daemon = context;

	begin_turn(daemon);
	if (daemon->loop.now_ns >= daemon->loop.next_tick_ns)
		tick(daemon);
	if (daemon->loop.now_ns >= daemon->loop.due_ns)
		ring_due(daemon);
	return set_timer(daemon);
}

static void note_event(struct daemon *daemon, struct member *member,
		       const struct pfuse_event *event)
{
	switch (event->kind) {
	case PFUSE_EV_EMPTY:
		member->populated = false;
		break;
	case PFUSE_EV_POPULATED:
		member->populated = true;
		break;
	case PFUSE_EV_HIGH_WATER:
	case PFUSE_EV_LIMIT_HIT:
		if (event->ram.usage_bytes > member->usage_peak)
			member->usage_peak = event->ram.usage_bytes;
		break;
	case PFUSE_EV_OOM_VICTIM:
		say_note(daemon->out, member->name, "pid %u was killed: out of memory",
			 event->task.pid);
		break;
	case PFUSE_EV_SIGNAL:
		if (stopping_note_parent(member, event))
			say_note(daemon->out, member->name,
				 "the parent of pid %u minds that it was stopped: no signals any "
				 "more",
				 event->signal.pid);
		break;
	default:
		break;
	}
}

static void on_event(const struct pfuse_event *event, void *context)
{
	struct daemon *daemon = context;
	struct member *member = &daemon->members.at[event->slot];
	struct pfuse_verdict verdicts[PFUSE_CONTROLS];

	daemon->loop.events++;
	if (event->slot >= daemon->members.count || member->group.id != event->group_id)
		return;
	if (event->kind == PFUSE_EV_REMOVED) {
		step_forget(daemon, event->slot);
		return;
	}
	note_event(daemon, member, event);
	step_awaken(daemon, member);
	struct pfuse_event marked = *event;

	probing_mark(daemon, member, &marked);
	unsigned n = tap_event(daemon, &marked, daemon->loop.now_ns, verdicts);

	step_carry_out(daemon, event->slot, verdicts, n, event->time_ns);
	probing_listen_on(daemon, &marked);
	if (event->kind == PFUSE_EV_WAIT)
		split_late(daemon, event->slot, event->time_ns);
}

/*
 * Data waits for a frozen group. If the core does not let it continue (it is stopped on request), the
 * watch ends: its descriptors would stay ready, and this loop would spin.
 */
static void on_wake(uint32_t slot, void *context)
{
	struct daemon *daemon = context;
	struct member *member = &daemon->members.at[slot];
	struct pfuse_event event = { .kind = PFUSE_EV_WAKE,
				     .slot = slot,
				     .group_id = member->group.id,
				     .time_ns = daemon->loop.now_ns };

	on_event(&event, daemon);
	member_unguard(&daemon->machine, member, slot);
}

static int on_guards(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	struct daemon *daemon = context;

	begin_turn(daemon);
	int err = guards_wakes(daemon->machine.guards, on_wake, daemon);

	return err < 0 ? err : set_timer(daemon);
}

static int on_ring(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	struct daemon *daemon = context;

	begin_turn(daemon);
	int err = probe_consume(daemon->machine.probe, on_event, daemon);

	return err < 0 ? err : set_timer(daemon);
}

/* v1: a task waits at the limit, because the event came late or growth raised no fault. */
static void hit_limit(struct daemon *daemon, uint32_t slot)
{
	struct member *member = &daemon->members.at[slot];
	struct pfuse_event event = { .kind = PFUSE_EV_LIMIT_HIT,
				     .slot = slot,
				     .group_id = member->group.id,
				     .time_ns = daemon->loop.now_ns };
	uint64_t usage, limit;

	squeeze_let_go(daemon, slot);
	if (!member->watches_oom || !control_ram_waits(&member->group) ||
	    control_read(&daemon->machine.tree, &member->group, CONTROL_USAGE, &usage) ||
	    control_read(&daemon->machine.tree, &member->group, CONTROL_LIMIT, &limit))
		return;
	event.ram.usage_bytes = usage;
	event.ram.limit_bytes = limit;
	on_event(&event, daemon);
}

/* One of those that share this eventfd, or several. */
static void hit_limits(struct daemon *daemon, uint32_t share)
{
	const struct members *members = &daemon->members;
	uint32_t slot = share * MEMBERS_PER_OOM_FD + 1;
	uint64_t times;

	if (read(members->oom_fds[share], &times, sizeof(times)) < 0)
		return;
	for (uint32_t i = 0; i < MEMBERS_PER_OOM_FD && slot < members->count; i++, slot++)
		hit_limit(daemon, slot);
}

static int on_oom(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	struct daemon *daemon = context;
	struct epoll_event ready[16];
	int count = epoll_wait(fd, ready, 16, 0);

	begin_turn(daemon);
	for (int i = 0; i < count; i++)
		hit_limits(daemon, ready[i].data.u32);
	return set_timer(daemon);
}

/* Also those who sleep: what was settled under the old policies need not be under the new ones. */
static void reconsider_all(struct daemon *daemon)
{
	struct loop *loop = &daemon->loop;

	for (uint32_t slot = 1; slot < daemon->members.count; slot++) {
		if (daemon->members.fcbs[slot].removed)
			continue;
		step_awaken(daemon, &daemon->members.at[slot]);
		step_note_due(daemon, slot);
	}
	loop->next_tick_ns =
		arith_min(loop->next_tick_ns, loop->now_ns + daemon_config(daemon)->interval_ns);
}

/* Before everything else that is ready: somebody waits for an answer. */
static int watch_guards(struct daemon *daemon)
{
	struct loop *loop = &daemon->loop;

	if (!daemon->machine.guards || loop->guard)
		return 0;
	int err = sd_event_add_io(loop->event, &loop->guard, guards_fd(daemon->machine.guards),
				  EPOLLIN, on_guards, daemon);

	return err < 0 ? err
		       : sd_event_source_set_priority(loop->guard, SD_EVENT_PRIORITY_IMPORTANT);
}

static void reread_config(struct daemon *daemon)
{
	struct config config;
	struct err err;

	if (!daemon->options->config)
		return;
	if (config_load(daemon->options->config, &config, &err)) {
		fprintf(stderr, "pfuse-bpf: %s; the old configuration holds, going on\n", err.text);
		return;
	}
	config_settle(&config, daemon_policy(daemon)); /* that of the start */
	config_free(&daemon->reread);
	daemon->reread = config;
	if (daemon->options->stop < 0)
		daemon->machine.stop_mode = (enum stop_mode)config.stop;
	daemon_apply_policies(daemon);
	if (place_members(daemon, &err))
		fprintf(stderr, "pfuse-bpf: %s; going on\n", err.text);
	if (daemon_open_guards(daemon, &err) || watch_guards(daemon) < 0)
		fprintf(stderr, "pfuse-bpf: no group is frozen guarded, going on\n");
	reconsider_all(daemon);
}

/* SIGUSR1: everybody who is stopped continues; for people, until there is a command for it. */
static void continue_all(struct daemon *daemon)
{
	struct pfuse_verdict verdicts[PFUSE_CONTROLS];

	for (uint32_t slot = 1; slot < daemon->members.count; slot++) {
		unsigned n = tap_request(daemon, slot, false, daemon->loop.now_ns, verdicts);

		step_carry_out(daemon, slot, verdicts, n, daemon->loop.now_ns);
		step_awaken(daemon, &daemon->members.at[slot]);
	}
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *context)
{
	struct daemon *daemon = context;

	begin_turn(daemon);
	switch (info->ssi_signo) {
	case SIGHUP:
		reread_config(daemon);
		break;
	case SIGUSR1:
		continue_all(daemon);
		break;
	case SIGUSR2:
		tap_dump(daemon, "asked for");
		break;
	default:
		if (daemon->child.pid && !daemon->command_ended)
			kill(daemon->child.pid, (int)info->ssi_signo);
		return sd_event_exit(daemon->loop.event, 0);
	}
	return set_timer(daemon);
}

static int on_end(sd_event_source *source, uint64_t usec, void *context)
{
	struct daemon *daemon = context;

	begin_turn(daemon);
	return sd_event_exit(daemon->loop.event, 0);
}

static int on_command(sd_event_source *source, const siginfo_t *info, void *context)
{
	struct daemon *daemon = context;

	begin_turn(daemon);
	daemon->command_ended = true;
	daemon->status = child_status(info->si_code, info->si_status);
	return sd_event_exit(daemon->loop.event, 0);
}

static int watch_keeper(struct daemon *daemon);

static int on_keeper(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	struct daemon *daemon = context;
	struct err err;

	begin_turn(daemon);
	sd_event_source_disable_unref(source);
	keeper_reap(&daemon->keeper);
	if (daemon->keepers++ < KEEPERS_MAX &&
	    keeper_spawn(daemon->keeper_exe, daemon->options->ledger, &daemon->keeper, &err) == 0) {
		fprintf(stderr, "pfuse-bpf: the keeper was killed; started another, going on\n");
		return watch_keeper(daemon);
	}
	fprintf(stderr,
		"pfuse-bpf: the keeper is gone and cannot be started again; if this process is "
		"killed, run `pfuse-bpf restore`; going on\n");
	return 0;
}

static int watch_keeper(struct daemon *daemon)
{
	if (!daemon->keeper.pid)
		return 0;
	sd_event_source *source;
	int err = sd_event_add_io(daemon->loop.event, &source, daemon->keeper.pidfd, EPOLLIN,
				  on_keeper, daemon);

	return err < 0 ? err : 0;
}

/* One epoll fd for all eventfds: a source of the loop costs 250 bytes, an entry here none. */
static int watch_ooms(struct daemon *daemon)
{
	int epoll = daemon->loop.oom_epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0)
		return -errno;
	for (uint32_t share = 0; share < members_oom_fds(&daemon->members); share++) {
		struct epoll_event wanted = { .events = EPOLLIN, .data.u32 = share };
		int fd = daemon->members.oom_fds[share];

		if (fd >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &wanted) < 0)
			return -errno;
	}
	return sd_event_add_io(daemon->loop.event, NULL, epoll, EPOLLIN, on_oom, daemon);
}

static int watch_signals(struct daemon *daemon)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD };
	sigset_t mask;
	int err = 0;

	sigemptyset(&mask);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaddset(&mask, signals[i]);
	if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; signals[i] != SIGCHLD && err >= 0; i++)
		err = sd_event_add_signal(daemon->loop.event, NULL, signals[i], on_signal, daemon);
	return err;
}

static int watch_times(struct daemon *daemon)
{
	struct loop *loop = &daemon->loop;
	uint64_t for_ns = daemon->options->for_ns;
	int err = sd_event_add_time(loop->event, &loop->timer, CLOCK_MONOTONIC,
				    loop->next_tick_ns / 1000, TIMER_ACCURACY_NS / 1000, on_timer,
				    daemon);

	if (err >= 0 && for_ns)
		err = sd_event_add_time(loop->event, NULL, CLOCK_MONOTONIC,
					(loop->started_ns + for_ns) / 1000,
					TIMER_ACCURACY_NS / 1000, on_end, daemon);
	return err;
}

static int watch_all(struct daemon *daemon)
{
	struct loop *loop = &daemon->loop;
	int err = sd_event_new(&loop->event);

	if (err >= 0)
		err = watch_signals(daemon);
	if (err >= 0)
		err = watch_times(daemon);
	if (err >= 0)
		err = sd_event_add_io(loop->event, NULL, probe_fd(daemon->machine.probe), EPOLLIN,
				      on_ring, daemon);
	if (err >= 0)
		err = watch_guards(daemon);
	if (err >= 0)
		err = watch_keeper(daemon);
	if (err >= 0)
		err = watch_ooms(daemon);
	if (err >= 0 && daemon->child.pid)
		err = sd_event_add_child(loop->event, NULL, daemon->child.pid, WEXITED, on_command,
					 daemon);
	if (err >= 0)
		err = sd_event_set_watchdog(loop->event, true);
	return err;
}

static void say_ready(struct daemon *daemon)
{
	uint32_t groups = daemon->members.count - 1;

	say_note(daemon->out, "pfuse-bpf", "%s %u group%s, policy %s, cgroup %s%s",
		 daemon->machine.dry_run ? "watches (dry run: nothing is changed)" : "orchestrates",
		 groups, groups == 1 ? "" : "s", config_policy_words[daemon_policy(daemon)],
		 cgroup_tree_anchor(&daemon->machine.tree) == PFUSE_ANCHOR_V2 ? "v2" : "v1",
		 cgroup_tree_is_hybrid(&daemon->machine.tree) ? " with a v2 tree" : "");
	sd_notifyf(0, "READY=1\nSTATUS=%u groups", groups);
}

enum exit_status daemon_loop(struct daemon *daemon, struct err *err)
{
	struct loop *loop = &daemon->loop;

	loop->started_ns = loop->now_ns = clock_now_ns();
	loop->next_tick_ns = loop->now_ns + daemon->config->interval_ns;
	loop->due_ns = FCB_NEVER;
	loop->oom_epoll = -1;
	int code = watch_all(daemon);

	if (code < 0)
		err_set(err, code, "cannot set up the event loop: %s", strerror(-code));
	say_ready(daemon);
	if (code >= 0 && daemon->child.pid)
		code = child_go(&daemon->child, daemon->options->argv[0], err);
	if (code >= 0) {
		code = sd_event_loop(loop->event);
		if (code < 0)
			err_set(err, code, "the event loop failed: %s", strerror(-code));
	}
	loop->timer = sd_event_source_unref(loop->timer);
	loop->guard = sd_event_source_unref(loop->guard);
	loop->paging = sd_event_source_unref(loop->paging);
	loop->event = sd_event_unref(loop->event);
	if (loop->oom_epoll >= 0)
		close(loop->oom_epoll);
	return code < 0 ? EXIT_FAILED : EXIT_DONE;
}
