/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "export/trace_threads.h"

#include <stdlib.h>
#include <string.h>

#define ROOM_MIN 256u

/* The thread's place, or the free one where it belongs. Linear probing; pids are dense, so no hash. */
static struct trace_thread *place_of(struct trace_thread *places, uint32_t room, uint32_t tid)
{
	uint32_t at = tid & (room - 1);

	while (places[at].tid && places[at].tid != tid)
		at = (at + 1) & (room - 1);
	return &places[at];
}

static bool grow(struct trace_threads *threads)
{
	uint32_t room = threads->room ? threads->room * 2 : ROOM_MIN;
	struct trace_thread *places = calloc(room, sizeof(*places));

	if (!places)
		return false;
	for (uint32_t i = 0; i < threads->room; i++)
		if (threads->places[i].tid)
			*place_of(places, room, threads->places[i].tid) = threads->places[i];
	free(threads->places);
	threads->places = places;
	threads->room = room;
	return true;
}

bool trace_threads_note(struct trace_threads *threads, uint32_t tid, uint32_t tgid,
			const char comm[PFUSE_COMM_LEN])
{
	/* Without memory it is named each time: more bytes, nothing wrong. */
	if (threads->count >= threads->room / 2 && !grow(threads))
		return true;
	struct trace_thread *thread = place_of(threads->places, threads->room, tid);

	if (thread->tid && thread->tgid == tgid && !memcmp(thread->comm, comm, PFUSE_COMM_LEN))
		return false;
	threads->count += !thread->tid;
	thread->tid = tid;
	thread->tgid = tgid;
	memcpy(thread->comm, comm, PFUSE_COMM_LEN);
	return true;
}

void trace_threads_free(struct trace_threads *threads)
{
	free(threads->places);
	*threads = (struct trace_threads){ 0 };
}
