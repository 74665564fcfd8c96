/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The daemon's way through the doors of the core. Whoever has something to tell the core does so here: the
 * call goes through unchanged, and if a trace is written (`run --trace`), it is recorded with all that went
 * in and all that came out. So what is recorded is complete; a test sees to it that nobody goes past.
 *
 * Order: tap_open() before the first group is attached (it does nothing without --trace); the doors;
 * tap_flush() at the end of each turn of the loop; tap_close(). Without --trace a door costs one test of
 * a pointer more. Nothing is allocated between open and close.
 * A trace that cannot be written any more is said once, and the run goes on without it.
 */
#ifndef DAEMON_TAP_H
#define DAEMON_TAP_H

#include "daemon/daemon.h"
#include "daemon/say.h"

int tap_open(struct daemon *daemon, struct err *err);

void tap_attach(struct daemon *daemon, uint32_t slot, const struct fcb_policy *policy,
		const struct pfuse_sample *first, uint64_t now_ns);
void tap_policy(struct daemon *daemon, uint32_t slot, const struct fcb_policy *policy);

/* The policy `adaptive`, with the defaults of its setup; `adaptive` as orchestrator_adaptive() wants it. */
void tap_adaptive(struct daemon *daemon, struct adaptive *adaptive);
void tap_choose(struct daemon *daemon, uint32_t slot, bool by_limit,
		const struct pfuse_sample *first, uint64_t grace_ns, uint64_t now_ns);

/* What a curve says; and the group's share, where memory is short. */
void tap_need(struct daemon *daemon, uint32_t slot, const struct adaptive_need *need,
	      uint64_t now_ns);
void tap_share(struct daemon *daemon, uint32_t slot, uint64_t share_bytes);

unsigned tap_sample(struct daemon *daemon, uint32_t slot, const struct pfuse_sample *sample,
		    uint64_t now_ns, struct pfuse_verdict ret_verdicts[PFUSE_CONTROLS]);
unsigned tap_event(struct daemon *daemon, const struct pfuse_event *event, uint64_t now_ns,
		   struct pfuse_verdict ret_verdicts[PFUSE_CONTROLS]);
unsigned tap_timer(struct daemon *daemon, uint32_t slot, uint64_t now_ns,
		   struct pfuse_verdict ret_verdicts[PFUSE_CONTROLS]);
unsigned tap_request(struct daemon *daemon, uint32_t slot, bool stop, uint64_t now_ns,
		     struct pfuse_verdict ret_verdicts[PFUSE_CONTROLS]);
unsigned tap_exit(struct daemon *daemon, uint32_t slot, uint64_t now_ns,
		  struct pfuse_verdict ret_verdicts[PFUSE_CONTROLS]);

/*
 * Of the split, see core/orchestrator.h (`cpus` NULL: it ends; there may be another one later); the rules and
 * policies are what the daemon can carry out.
 */
void tap_cpus_begin(struct daemon *daemon, struct cpus *cpus);
void tap_cpus_rules(struct daemon *daemon, const struct workload_policy *policy,
		    const struct prio_own *own);
void tap_cpus_policy(struct daemon *daemon, uint32_t slot, const struct cpus_policy *policy);
void tap_cpus_topology(struct daemon *daemon, const struct workload_topology *topology);
void tap_cpus_look(struct daemon *daemon, uint32_t slot, const struct pfuse_sample *sample,
		   const struct pfuse_span *span, uint64_t now_ns);
unsigned tap_cpus(struct daemon *daemon, uint64_t now_ns, struct pfuse_verdict *ret, unsigned max);

/* decision->verdict and ->outcome go to the core, the rest into the trace. */
void tap_applied(struct daemon *daemon, const struct say_decision *decision, uint64_t now_ns);

void tap_flush(struct daemon *daemon);

/* Flight recorder: writes what it holds to the file of --trace, and says so. */
void tap_dump(struct daemon *daemon, const char *why);

void tap_close(struct daemon *daemon);

#endif
