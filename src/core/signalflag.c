/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/signalflag.h"

#include "core/arith.h"

void signalflag_start(struct signalflag *flag, uint64_t now_ns)
{
	*flag = (struct signalflag){ .since_ns = now_ns };
}

static void note_talk(struct signalflag *flag, uint64_t n, uint64_t time_ns)
{
	time_ns = arith_max(time_ns, flag->since_ns);
	flag->talked_ns = arith_max(flag->talked_ns, time_ns);
	flag->talks = arith_add(flag->talks, n);
}

/*
 * A time in the future would keep the flag false for longer than the window, so it ends at now_ns.
 * Events of one ring are in order per CPU only: an older one must not take the evidence's place.
 */
void signalflag_event(struct signalflag *flag, const struct pfuse_event *event, uint64_t now_ns)
{
	uint64_t time_ns = arith_min(event->time_ns, now_ns);

	note_talk(flag, 1, time_ns);
	if (time_ns < flag->evidence_ns)
		return;
	flag->evidence_ns = time_ns;
	flag->channel = event->talk.channel;
	flag->pid = event->talk.pid;
	flag->peer_pid = event->talk.peer_pid;
	flag->peer_port = event->talk.peer_port;
	flag->incoming = event->talk.incoming;
}

/*
 * The counter also counts what an event has reported. `talks` is therefore "heard of", not a number
 * of messages; what matters is whether it is 0.
 */
void signalflag_counted(struct signalflag *flag, uint32_t n, uint64_t now_ns)
{
	if (n)
		note_talk(flag, n, now_ns);
}

uint64_t signalflag_due_ns(const struct signalflag *flag, uint64_t window_ns)
{
	/* A talk restarts the window and never shortens it: it is never before since_ns. */
	return arith_add(flag->talks ? flag->talked_ns : flag->since_ns, window_ns);
}

enum signalflag_state signalflag_state(const struct signalflag *flag, uint64_t window_ns,
				       uint64_t now_ns)
{
	if (now_ns >= signalflag_due_ns(flag, window_ns))
		return SIGNALFLAG_ISOLATED;
	return flag->talks ? SIGNALFLAG_TALKS : SIGNALFLAG_UNKNOWN;
}
