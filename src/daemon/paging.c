/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "daemon/paging.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/say.h"

#define LOOK_AGAIN_US 10000 /* for the end of a child that does the work (v1) */

void paging_end(struct member *member)
{
	if (!member->pages)
		return;
	pages_end(member->pages);
	free(member->pages);
	member->pages = NULL;
}

static void say_done(struct daemon *daemon, const struct member *member)
{
	const struct pages *pages = member->pages;
	char before[24], after[24];

	if (pages->after_bytes < pages->before_bytes)
		say_note(daemon->out, member->name, "paged out  %s -> %s%s",
			 say_bytes(pages->before_bytes, before),
			 say_bytes(pages->after_bytes, after),
			 pages->to_swap ? "" : "  page cache only: there is no swap");
}

/* One step of one group; *ret_waits: the work is a child's, and this only looked. */
static bool step(struct daemon *daemon, bool *ret_waits)
{
	for (uint32_t slot = 1; slot < daemon->members.count; slot++) {
		struct member *member = &daemon->members.at[slot];

		if (!member->pages)
			continue;
		*ret_waits = member->pages->child != 0;
		if (pages_step(member->pages) > 0)
			return true;
		say_done(daemon, member);
		paging_end(member);
	}
	return false;
}

static int on_idle(sd_event_source *source, uint64_t usec, void *context)
{
	bool waits = false;

	if (!step(context, &waits))
		return sd_event_source_set_enabled(source, SD_EVENT_OFF);
	int err = sd_event_source_set_time(source,
					   clock_now_ns() / 1000 + (waits ? LOOK_AGAIN_US : 0));

	return err < 0 ? err : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int run_when_idle(struct loop *loop, struct daemon *daemon)
{
	uint64_t now_us = clock_now_ns() / 1000;

	if (!loop->paging) {
		int err = sd_event_add_time(loop->event, &loop->paging, CLOCK_MONOTONIC, now_us, 1,
					    on_idle, daemon);

		return err < 0 ? err
			       : sd_event_source_set_priority(loop->paging, SD_EVENT_PRIORITY_IDLE);
	}
	(void)sd_event_source_set_time(loop->paging, now_us);
	return sd_event_source_set_enabled(loop->paging, SD_EVENT_ONESHOT);
}

void paging_begin(struct daemon *daemon, uint32_t slot)
{
	struct member *member = &daemon->members.at[slot];
	struct err err = { "" };

	if (!member->page_out || member->pages)
		return;
	member->pages = calloc(1, sizeof(*member->pages));
	if (!member->pages)
		return;
	if (pages_begin(&daemon->machine.tree, &member->group, member->pages, &err) == 0 &&
	    run_when_idle(&daemon->loop, daemon) >= 0)
		return;
	say_note(daemon->out, member->name, "its memory stays: %s", err.text);
	free(member->pages);
	member->pages = NULL;
	member->page_out = false;
}
