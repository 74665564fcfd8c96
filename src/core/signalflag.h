/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The Signal Flag of the p-Fusebox Control Block: may this group be controlled by signals, that is,
 * be stopped without anybody outside noticing?
 *
 * Source: the p-Fusebox paper, FCB and Algorithm 1: it "is used to judge whether the target process
 * communicates with other processes". Reading: true = the group was observed for at least one full
 * window and talked with nobody outside itself within the last window.
 *
 * The state is a function of three times (start, last talk, now) and the window, so it needs no
 * tick and cannot be late; signalflag_due_ns() says when it changes next by time alone. Embedded in
 * struct fcb, owns nothing, cannot fail. Times in ns of one clock.
 */
#ifndef PFUSE_CORE_SIGNALFLAG_H
#define PFUSE_CORE_SIGNALFLAG_H

#include <stdbool.h>
#include <stdint.h>

#include "pfuse/event.h"

enum signalflag_state {
	SIGNALFLAG_UNKNOWN,  /* the first window is not over, nothing heard yet: false */
	SIGNALFLAG_ISOLATED, /* true */
	SIGNALFLAG_TALKS,    /* talked within the last window: false */
};

struct signalflag {
	uint64_t since_ns;  /* observed since then */
	uint64_t talked_ns; /* the last talk; meaningful if talks > 0 */
	uint64_t talks;
	/* Evidence of the last talk that came with an event; channel PFUSE_CH_NONE: none so far. */
	uint64_t evidence_ns;
	uint32_t channel; /* enum pfuse_channel */
	uint32_t pid;
	uint32_t peer_pid;
	uint16_t peer_port;
	uint16_t incoming;
};

void signalflag_start(struct signalflag *flag, uint64_t now_ns);

/* A TALK event; a time before the observation or after now_ns is moved to that end. */
void signalflag_event(struct signalflag *flag, const struct pfuse_event *event, uint64_t now_ns);

/* n messages since the last sample: when exactly is not known, so they count as now. */
void signalflag_counted(struct signalflag *flag, uint32_t n, uint64_t now_ns);

enum signalflag_state signalflag_state(const struct signalflag *flag, uint64_t window_ns,
				       uint64_t now_ns);

/* From when on the flag is true if nobody talks any more. In the past: it is true already. */
uint64_t signalflag_due_ns(const struct signalflag *flag, uint64_t window_ns);

#endif
