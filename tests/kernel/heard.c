/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Writes to objects that a group shares with an outsider are told as they happen, where fentry is taken. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "edge/reach.h"
#include "rig.h"

#define SLOT 1

static bool hears; /* else there is nothing to be tested but that */
static struct reach reach;
static int ends[2], bell, own[2];
static struct worker *theirs, *ours;

static long job_close(long fd)
{
	return close((int)fd);
}

static long job_write(long fd)
{
	uint64_t one = 1;

	return write((int)fd, &one, sizeof(one)) == sizeof(one) ? 0 : -errno;
}

static long job_read(long fd)
{
	uint64_t one;

	return read((int)fd, &one, sizeof(one)) == sizeof(one) ? 0 : -errno;
}

/* Where no program at a function is taken, the table says so, and nothing claims to be heard. */
static void expect_refused(void)
{
	static const char *const programs[] = { "on_anon_write", "on_pipe_write",
						"on_event_write" };
	struct probe_hook hooks[PROBE_HOOKS_MAX];
	struct pfuse_reach_key key = { .object = 1, .kind = PFUSE_REACH_EVENTFD };
	int count = probe_hooks(hooks);

	cr_assert_gt(count, 0);
	for (int i = 0; i < count; i++)
		for (size_t k = 0; k < sizeof(programs) / sizeof(programs[0]); k++)
			if (!strcmp(hooks[i].program, programs[k]))
				cr_expect(!hooks[i].used && hooks[i].err < 0, "%s", programs[k]);
	cr_expect_eq(probe_hear(probe, &key, SLOT, true), -ENOENT);
}

/* The later worker inherits our ends of the earlier one's orders and answers, which are pipes, too. */
static void heard_init(void)
{
	rig_parts = PROBE_REACH;
	rig_init();
	hears = probe_hears(probe, PFUSE_REACH_PIPE) && probe_hears(probe, PFUSE_REACH_EVENTFD);
	if (!hears) {
		expect_refused();
		return;
	}
	struct group *group = group_make(NULL, "heard");

	bell = eventfd(0, 0);
	cr_assert(pipe(ends) == 0 && pipe(own) == 0 && bell >= 0);
	theirs = worker_start(NULL);
	ours = worker_start(group);
	worker_do(ours, job_close, theirs->to);
	worker_do(ours, job_close, theirs->from);
	worker_do(theirs, job_close, own[0]);
	worker_do(theirs, job_close, own[1]);
	watch(SLOT, group);
}

static void heard_fini(void)
{
	if (probe)
		reach_release(probe, &reach);
	rig_fini();
}

static const struct reach_scope everybody;

TestSuite(heard, .init = heard_init, .fini = heard_fini);

static const struct pfuse_reach_finding *look(uint32_t kind)
{
	const struct pfuse_reach_finding *found = NULL;

	cr_assert_eq(reach_take(probe, SLOT, &everybody, &reach), 0);
	for (uint32_t i = 0; i < reach.count; i++)
		if (reach.findings[i].key.kind == kind)
			found = &reach.findings[i];
	cr_assert(found);
	return found;
}

static void write_once(struct worker *writer, int fd)
{
	watch_forget();
	probe_arm(probe, SLOT, PFUSE_ARM_TALK);
	cr_assert_eq(worker_do(writer, job_write, fd), 0);
}

static void expect_heard(struct worker *writer, int fd, uint32_t channel)
{
	struct pfuse_event event = { 0 };

	write_once(writer, fd);
	cr_assert_eq(watch_events(SLOT, PFUSE_EV_TALK, &event), 1, "channel %u", channel);
	cr_expect_eq(event.talk.channel, channel);
	cr_expect_eq(event.talk.pid, (uint32_t)writer->pid);
	cr_expect_eq(event.talk.incoming, writer == theirs);
}

static void expect_silence(struct worker *writer, int fd, const char *why)
{
	write_once(writer, fd);
	cr_expect_eq(watch_events(SLOT, PFUSE_EV_TALK, NULL), 0, "%s", why);
}

Test(heard, a_write_to_a_shared_pipe)
{
	if (!hears)
		return;
	expect_silence(theirs, ends[1], "no snapshot yet");
	look(PFUSE_REACH_PIPE);
	expect_heard(theirs, ends[1], PFUSE_CH_PIPE);
	expect_heard(ours, ends[1], PFUSE_CH_PIPE);
	expect_silence(ours, own[1], "a pipe of the group's own");
	watch_forget();
	probe_arm(probe, SLOT, PFUSE_ARM_TALK);
	cr_assert_eq(job_write(ends[1]), 0);
	cr_expect_eq(watch_events(SLOT, PFUSE_EV_TALK, NULL), 0, "the daemon's own lines");
	reach_release(probe, &reach);
	expect_silence(theirs, ends[1], "released");
}

/* As a log that several write into, and somebody else reads. */
Test(heard, what_the_group_cannot_read_is_not_said_to_it)
{
	if (!hears)
		return;
	worker_do(ours, job_close, ends[0]);
	look(PFUSE_REACH_PIPE);
	expect_silence(theirs, ends[1], "the group cannot read it");
	expect_heard(ours, ends[1], PFUSE_CH_PIPE);
}

Test(heard, a_write_to_a_shared_eventfd)
{
	if (!hears)
		return;
	expect_silence(theirs, bell, "no snapshot yet");
	worker_do(ours, job_read, bell);
	cr_expect(look(PFUSE_REACH_EVENTFD)->watched && !look(PFUSE_REACH_EVENTFD)->moved);
	expect_heard(theirs, bell, PFUSE_CH_EVENTFD);
	expect_heard(ours, bell, PFUSE_CH_EVENTFD);
	cr_expect_eq(watch_read(SLOT).talks, 2);
}

Test(heard, heard_means_from_the_snapshot_before)
{
	const struct pfuse_reach_finding *found;

	if (!hears)
		return;
	found = look(PFUSE_REACH_EVENTFD);
	cr_expect(found->watched && !found->heard && !found->compared);
	found = look(PFUSE_REACH_EVENTFD);
	cr_expect(found->watched && found->heard && found->compared && !found->moved);
	worker_do(theirs, job_close, bell);
	cr_assert_eq(reach_take(probe, SLOT, &everybody, &reach), 0);
	expect_silence(ours, bell, "the group alone has it");
}
