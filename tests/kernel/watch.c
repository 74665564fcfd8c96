/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "rig.h"

#define TOLD_MAX 8192
#define PATIENCE_MS 10000

struct probe *probe;

static struct pfuse_event told[TOLD_MAX];
static size_t ntold;

void sleep_ms(unsigned int ms)
{
	struct timespec pause = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&pause, NULL);
}

bool poll_until(bool (*is_so)(void *), void *context)
{
	for (unsigned int waited = 0; waited < PATIENCE_MS; waited++) {
		if (is_so(context))
			return true;
		sleep_ms(1);
	}
	return is_so(context);
}

void watch_open(uint32_t slots)
{
	const char *why;
	const struct hierarchy *at = hierarchy(&why);
	struct probe_config config = {
		.parts = rig_parts,
		.spans = rig_spans,
		.slots = slots,
		.anchor = at->v2 ? PFUSE_ANCHOR_V2 : PFUSE_ANCHOR_V1_MEMORY,
		.hierarchy_id = at->id,
		.daemon_pid = getpid(), /* the test stands for the daemon */
	};
	struct err err = { "" };

	cr_assert(!probe_open(&config, &probe, &err), "probe_open: %s", err.text);
}

void watch_close(void)
{
	probe_close(probe);
	probe = NULL;
}

void watch(uint32_t slot, const struct group *group)
{
	int err = probe_manage(probe, slot, group->id, 900);

	cr_assert(!err, "probe_manage: %s", strerror(-err));
}

struct pfuse_stats watch_read(uint32_t slot)
{
	struct pfuse_stats stats;

	probe_read(probe, slot, &stats);
	return stats;
}

static void remember(const struct pfuse_event *event, void *context)
{
	cr_assert(ntold < TOLD_MAX, "more events than any test asks for");
	told[ntold++] = *event;
}

unsigned int watch_events(uint32_t slot, uint32_t kind, struct pfuse_event *ret)
{
	int err = probe_consume(probe, remember, NULL);
	unsigned int count = 0;
	size_t kept = 0;

	cr_assert(err >= 0, "probe_consume: %s", strerror(-err));
	for (size_t i = 0; i < ntold; i++) {
		if (told[i].slot != slot || told[i].kind != kind) {
			told[kept++] = told[i];
			continue;
		}
		if (ret)
			*ret = told[i];
		count++;
	}
	ntold = kept;
	return count;
}

unsigned int watch_wait(uint32_t slot, uint32_t kind, struct pfuse_event *ret)
{
	unsigned int count = 0;

	for (unsigned int waited = 0; !count && waited < PATIENCE_MS; waited++) {
		count = watch_events(slot, kind, ret);
		if (!count)
			sleep_ms(1);
	}
	return count;
}

void watch_forget(void)
{
	probe_consume(probe, remember, NULL);
	ntold = 0;
}

uint32_t rig_parts;
bool rig_spans;

void rig_init(void)
{
	watch_open(8);
}

void rig_fini(void)
{
	workers_end_all();
	groups_remove_all();
	watch_close();
	ntold = 0;
}
