/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "daemon/tap.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/split.h"
#include "daemon/tap_inside.h"
#include "edge/reclaim.h"
#include "export/player.h"
#include "export/pftrace.h"

/* Of a group, at the beginning of a segment: its name, path and state, and its tracks. */
#define SEGMENT_BYTES_PER_GROUP 4096
#define MEMORY_MIN (16u << 20)

uint64_t tap_now_ns(const struct daemon *daemon)
{
	return daemon->loop.now_ns ? daemon->loop.now_ns : clock_now_ns();
}

static void put_machine(struct daemon *daemon, bool continues)
{
	struct tap *tap = daemon->tap;
	const struct config *config = daemon_config(daemon);
	struct pftrace_record record = {
		.time_ns = tap_now_ns(daemon),
		.kind = PFTRACE_MACHINE,
		.machine = { .version = PFUSE_VERSION,
			     .kernel = tap->system.release,
			     .ram_bytes = daemon->core.machine_ram_bytes,
			     .interval_ns = config->interval_ns,
			     .page_bytes = daemon->core.page_bytes,
			     .cpus = daemon->core.ncpus,
			     .slots = daemon->core.nslots,
			     .policy = daemon_policy(daemon),
			     .dry_run = daemon->machine.dry_run,
			     .continues = continues },
	};

	pftrace_record(tap->trace, &record);
}

static struct pftrace_group group_of(const struct daemon *daemon, uint32_t slot)
{
	const struct member *member = &daemon->members.at[slot];

	return (struct pftrace_group){ .id = member->group.id,
				       .name = member->name,
				       .path = member->group.path };
}

static void put_state(struct daemon *daemon, uint32_t slot)
{
	struct tap *tap = daemon->tap;
	const struct fcb *fcb = orchestrator_fcb(&daemon->core, slot);
	struct pftrace_record record = { .time_ns = tap_now_ns(daemon),
					 .slot = slot,
					 .kind = PFTRACE_GROUP };

	if (!fcb)
		return;
	record.group = group_of(daemon, slot);
	pftrace_record(tap->trace, &record);
	record.kind = PFTRACE_STATE;
	record.state = (struct pftrace_state){ .layout = player_layout(),
					       .fcb = fcb,
					       .size = sizeof(*fcb) };
	if (daemon->core.adaptive)
		record.state.adaptive = (struct pftrace_bytes){ &daemon->core.adaptive[slot],
								sizeof(struct adaptive) };
	tap_cpus_add_state(daemon, slot, &record);
	pftrace_record(tap->trace, &record);
	show_fcb(&tap->show, slot, fcb, record.time_ns);
	tap_cpus_show(daemon, slot, record.time_ns);
}

static void end_segment(void *arg)
{
	struct daemon *daemon = arg;

	show_end(&daemon->tap->show, tap_now_ns(daemon));
}

static void begin_segment(void *arg)
{
	struct daemon *daemon = arg;

	show_again(&daemon->tap->show);
	put_machine(daemon, true);
	tap_cpus_put_state(daemon);
	for (uint32_t slot = 1; slot < daemon->core.nslots; slot++)
		put_state(daemon, slot);
}

static int check_limit(const struct daemon *daemon, struct err *err)
{
	uint64_t least = 4ull * daemon->core.nslots * SEGMENT_BYTES_PER_GROUP;

	if (daemon->options->trace_limit && daemon->options->trace_limit < least)
		return err_set(err, -EINVAL,
			       "--trace-limit is too small for %u groups; give at least %" PRIu64
			       "K",
			       daemon->core.nslots - 1, (least + 1023) / 1024);
	return 0;
}

static int open_trace(struct daemon *daemon, struct tap *tap, struct err *err)
{
	const struct options *options = daemon->options;
	size_t memory = 4ull * daemon->core.nslots * SEGMENT_BYTES_PER_GROUP;
	struct pftrace_options wanted = { .path = options->trace,
					  .size_limit = options->trace_limit,
					  .keep = options->keep,
					  .flight_ns = options->flight_ns,
					  .memory_bytes = memory < MEMORY_MIN ? MEMORY_MIN : memory,
					  .end = end_segment,
					  .again = begin_segment,
					  .arg = daemon };
	int code = check_limit(daemon, err);

	if (!code)
		code = pftrace_open(&wanted, &tap->trace, err);
	if (!code && show_open(&tap->show, tap->trace, daemon->core.nslots))
		code = err_set(err, -ENOMEM, "out of memory for the trace");
	return code;
}

int tap_open(struct daemon *daemon, struct err *err)
{
	struct tap *tap;
	int code;

	if (!daemon->options->trace)
		return 0;
	tap = calloc(1, sizeof(*tap));
	if (!tap)
		return err_set(err, -ENOMEM, "out of memory for the trace");
	(void)uname(&tap->system); /* fails only for a bad pointer */
	code = open_trace(daemon, tap, err);
	if (code) {
		pftrace_close(tap->trace);
		free(tap);
		return code;
	}
	daemon->tap = tap;
	put_machine(daemon, false);
	return 0;
}

void tap_put(struct daemon *daemon, struct pftrace_record *record,
	     const struct pfuse_verdict *verdicts, unsigned count)
{
	struct tap *tap = daemon->tap;
	const struct fcb *fcb = orchestrator_fcb(&daemon->core, record->slot);

	record->nverdicts = count;
	if (count)
		memcpy(record->verdicts, verdicts, count * sizeof(*verdicts));
	pftrace_record(tap->trace, record);
	if (fcb)
		show_fcb(&tap->show, record->slot, fcb, record->time_ns);
}

void tap_attach(struct daemon *daemon, uint32_t slot, const struct fcb_policy *policy,
		const struct pfuse_sample *first, uint64_t now_ns)
{
	uint64_t id = daemon->members.at[slot].group.id;

	orchestrator_attach(&daemon->core, slot, id, policy, first, now_ns);
	if (!daemon->tap)
		return;
	struct pftrace_record record = { .time_ns = now_ns,
					 .kind = PFTRACE_ATTACH,
					 .slot = slot,
					 .group = group_of(daemon, slot),
					 .policy = *policy,
					 .sample = *first };

	show_group(&daemon->tap->show, slot, daemon->members.at[slot].name);
	tap_put(daemon, &record, NULL, 0);
}

void tap_policy(struct daemon *daemon, uint32_t slot, const struct fcb_policy *policy)
{
	orchestrator_policy(&daemon->core, slot, policy);
	if (!daemon->tap || !orchestrator_fcb(&daemon->core, slot))
		return;
	struct pftrace_record record = {
		.time_ns = tap_now_ns(daemon), .kind = PFTRACE_POLICY, .slot = slot, .policy = *policy
	};

	tap_put(daemon, &record, NULL, 0);
}

void tap_adaptive(struct daemon *daemon, struct adaptive *adaptive)
{
	static const struct adaptive_setup defaults;

	orchestrator_adaptive(&daemon->core, adaptive, &defaults);
}

void tap_choose(struct daemon *daemon, uint32_t slot, bool by_limit,
		const struct pfuse_sample *first, uint64_t grace_ns, uint64_t now_ns)
{
	orchestrator_choose(&daemon->core, slot, true, by_limit, first, grace_ns, now_ns);
	if (!daemon->tap)
		return;
	struct pftrace_record record = { .time_ns = now_ns,
					 .kind = PFTRACE_CHOOSE,
					 .slot = slot,
					 .sample = *first,
					 .choose = { .adaptive = true,
						     .by_limit = by_limit,
						     .grace_ns = grace_ns } };

	tap_put(daemon, &record, NULL, 0);
}

/*
 * What the core does not ask for, but who looks at a trace does. Not for the flight recorder, which is on for
 * months: it costs some files per sample.
 */
static void look_for_show(struct daemon *daemon, uint32_t slot, const struct pfuse_sample *sample,
			  uint64_t now_ns)
{
	struct reclaim_facts facts = { .stall_ns = sample->stall_ns,
				       .refaults = sample->refaults,
				       .tells_harm = true };
	bool in_sample = daemon->core.adaptive && daemon->core.adaptive[slot].chosen;
	struct pfuse_span span;

	if (daemon->options->flight_ns)
		return;
	if (in_sample || (reclaim_look(&daemon->machine.tree, &daemon->members.at[slot].group,
				       &facts) == 0 &&
			  facts.tells_harm))
		show_harm(&daemon->tap->show, slot, facts.stall_ns, facts.refaults, now_ns);
	if (probe_read_span(daemon->machine.probe, slot, &span) == 0)
		show_waits(&daemon->tap->show, slot, &span, now_ns);
}

void tap_need(struct daemon *daemon, uint32_t slot, const struct adaptive_need *need,
	      uint64_t now_ns)
{
	orchestrator_need(&daemon->core, slot, need, now_ns);
	if (!daemon->tap)
		return;
	struct pftrace_record record = {
		.time_ns = now_ns, .kind = PFTRACE_NEED, .slot = slot, .need = *need
	};

	if (!need->pending && need->knee_bytes)
		show_need(&daemon->tap->show, slot, need, now_ns);
	tap_put(daemon, &record, NULL, 0);
}

void tap_share(struct daemon *daemon, uint32_t slot, uint64_t share_bytes)
{
	orchestrator_share(&daemon->core, slot, share_bytes);
	if (!daemon->tap)
		return;
	struct pftrace_record record = { .time_ns = tap_now_ns(daemon),
					 .kind = PFTRACE_SHARE,
					 .slot = slot,
					 .share_bytes = share_bytes };

	tap_put(daemon, &record, NULL, 0);
}

unsigned tap_sample(struct daemon *daemon, uint32_t slot, const struct pfuse_sample *sample,
		    uint64_t now_ns, struct pfuse_verdict ret_verdicts[PFUSE_CONTROLS])
{
	unsigned n = orchestrator_sample(&daemon->core, slot, sample, now_ns, ret_verdicts);

	if (!daemon->tap)
		return n;
	struct pftrace_record record = {
		.time_ns = now_ns, .kind = PFTRACE_SAMPLE, .slot = slot, .sample = *sample
	};

	tap_put(daemon, &record, ret_verdicts, n);
	show_sample(&daemon->tap->show, slot, sample, now_ns);
	look_for_show(daemon, slot, sample, now_ns);
	return n;
}

unsigned tap_event(struct daemon *daemon, const struct pfuse_event *event, uint64_t now_ns,
		   struct pfuse_verdict ret_verdicts[PFUSE_CONTROLS])
{
	unsigned n = orchestrator_event(&daemon->core, event, now_ns, ret_verdicts);

	if (!daemon->tap)
		return n;
	struct pftrace_record record = {
		.time_ns = now_ns, .kind = PFTRACE_EVENT, .slot = event->slot, .event = *event
	};

	show_event(&daemon->tap->show, event);
	tap_put(daemon, &record, ret_verdicts, n);
	if (event->kind == PFUSE_EV_OOM_VICTIM)
		daemon->tap->dump_why = "a process was killed: out of memory";
	return n;
}

static void put_call(struct daemon *daemon, enum pftrace_kind kind, uint32_t slot, bool stop,
		     uint64_t now_ns, const struct pfuse_verdict *verdicts, unsigned count)
{
	struct pftrace_record record = {
		.time_ns = now_ns, .kind = kind, .slot = slot, .stop = stop
	};

	tap_put(daemon, &record, verdicts, count);
}

unsigned tap_timer(struct daemon *daemon, uint32_t slot, uint64_t now_ns,
		   struct pfuse_verdict ret_verdicts[PFUSE_CONTROLS])
{
	unsigned n = orchestrator_timer(&daemon->core, slot, now_ns, ret_verdicts);

	if (daemon->tap)
		put_call(daemon, PFTRACE_TIMER, slot, false, now_ns, ret_verdicts, n);
	return n;
}

unsigned tap_request(struct daemon *daemon, uint32_t slot, bool stop, uint64_t now_ns,
		     struct pfuse_verdict ret_verdicts[PFUSE_CONTROLS])
{
	unsigned n = orchestrator_request(&daemon->core, slot, stop, now_ns, ret_verdicts);

	if (daemon->tap)
		put_call(daemon, PFTRACE_REQUEST, slot, stop, now_ns, ret_verdicts, n);
	return n;
}

unsigned tap_exit(struct daemon *daemon, uint32_t slot, uint64_t now_ns,
		  struct pfuse_verdict ret_verdicts[PFUSE_CONTROLS])
{
	unsigned n = orchestrator_exit(&daemon->core, slot, now_ns, ret_verdicts);

	if (daemon->tap)
		put_call(daemon, PFTRACE_EXIT, slot, false, now_ns, ret_verdicts, n);
	return n;
}

void tap_applied(struct daemon *daemon, const struct say_decision *decision, uint64_t now_ns)
{
	const struct pfuse_verdict *verdict = decision->verdict;

	orchestrator_applied(&daemon->core, verdict, decision->outcome, now_ns);
	if (!daemon->tap)
		return;
	struct pftrace_record record = { .time_ns = now_ns,
					 .kind = PFTRACE_APPLIED,
					 .slot = verdict->slot,
					 .applied = { .verdict = *verdict,
						      .outcome = decision->outcome } };

	show_applied(&daemon->tap->show, decision, now_ns);
	tap_put(daemon, &record, NULL, 0);
	if (verdict->control == PFUSE_CTL_CPUS || verdict->control == PFUSE_CTL_WEIGHT)
		tap_cpus_show(daemon, verdict->slot, now_ns);
}

/* The ring was full: what the kernel could not tell us is nowhere, but that it is missing is told. */
static void put_ring_lost(struct daemon *daemon)
{
	struct tap *tap = daemon->tap;
	uint64_t lost = daemon->machine.probe
				? probe_drops(daemon->machine.probe, PFUSE_DROP_RING_FULL)
				: 0;
	struct pftrace_record record = { .time_ns = tap_now_ns(daemon),
					 .kind = PFTRACE_LOST,
					 .lost = { .events = lost - tap->ring_lost,
						   .why = PFTRACE_LOSS_RING } };

	if (lost == tap->ring_lost)
		return;
	tap->ring_lost = lost;
	pftrace_record(tap->trace, &record);
	show_lost(&tap->show, "the kernel had no room for them", record.lost.events,
		  record.time_ns);
}

void tap_dump(struct daemon *daemon, const char *why)
{
	struct err err;

	if (!daemon->tap || !daemon->options->flight_ns)
		return;
	if (pftrace_dump(daemon->tap->trace, &err))
		fprintf(stderr, "pfuse-bpf: %s, going on\n", err.text);
	else
		say_note(daemon->out, "pfuse-bpf", "%s: the last moments are in the trace", why);
}

static void say_failed(struct tap *tap, const char *path)
{
	char quoted[ERR_QUOTED];
	int code = pftrace_error(tap->trace);

	if (!code || tap->failed)
		return;
	tap->failed = true;
	fprintf(stderr,
		"pfuse-bpf: %s: cannot be written (%s); the trace ends here, going on without\n",
		err_quote(path, quoted), strerror(-code));
}

void tap_flush(struct daemon *daemon)
{
	struct tap *tap = daemon->tap;

	if (!tap)
		return;
	put_ring_lost(daemon);
	pftrace_flush(tap->trace);
	if (tap->dump_why)
		tap_dump(daemon, tap->dump_why);
	tap->dump_why = NULL;
	say_failed(tap, daemon->options->trace);
}

static void say_size(struct daemon *daemon)
{
	const struct pftrace *trace = daemon->tap->trace;
	uint64_t limit = daemon->options->trace_limit;
	char quoted[ERR_QUOTED], size[24];

	if (!daemon->options->flight_ns)
		say_note(daemon->out, "pfuse-bpf", "trace  %" PRIu64 " packets, %s, in %s%s",
			 pftrace_packets(trace), say_bytes(pftrace_bytes(trace), size),
			 err_quote(daemon->options->trace, quoted),
			 limit && pftrace_bytes(trace) > limit ? " and the files before it" : "");
}

void tap_close(struct daemon *daemon)
{
	struct tap *tap = daemon->tap;
	uint64_t lost;

	if (!tap)
		return;
	show_end(&tap->show, tap_now_ns(daemon));
	tap_flush(daemon);
	say_size(daemon);
	lost = pftrace_lost(tap->trace);
	if (lost)
		fprintf(stderr, "pfuse-bpf: %" PRIu64 " packets are not in the trace\n", lost);
	pftrace_close(tap->trace);
	show_close(&tap->show);
	free(tap);
	daemon->tap = NULL;
}
