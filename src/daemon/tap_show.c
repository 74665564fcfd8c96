/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "daemon/tap_show.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/parse.h"
#include "core/span.h"
#include "export/transcript.h"

/* uuids: this, the slot, and which of its tracks. The first bits keep clear of those of other writers. */
#define UUID_BASE 0x7066000000000000ull /* "pf" */
#define UUID_MACHINE UUID_BASE

enum track {
	TRACK_GROUP,
	TRACK_STOPPED,
	TRACK_FLAG,
	TRACK_WAIT,
	TRACK_FAULTS,
	TRACK_PRIORITY,
	TRACK_WAIT_P99,
	TRACK_STALL,
	TRACK_REFAULTS,
	TRACK_CPUS,
	TRACK_WEIGHT,
	TRACK_USAGE,
	TRACK_LIMIT = TRACK_USAGE + FCB_RESOURCES,
	TRACK_SCORE = TRACK_LIMIT + FCB_RESOURCES,
	TRACK_KNEE = TRACK_SCORE + FCB_RESOURCES,
	TRACKS,
};

_Static_assert(TRACKS <= 32, "one bit each in struct shown");

struct shown {
	const char *name;
	uint32_t declared; /* bits by enum track, in this segment */
	bool in_flag;	   /* a slice is open */
	bool in_stop;
	double values[TRACKS]; /* as last written */
	uint64_t wait_ns;
	uint64_t sampled_ns;
	uint32_t faults;
	uint64_t stall_ns;
	uint64_t refaults;
	uint64_t harm_ns; /* when these were looked at; 0: never */
	bool has_span;	  /* show->spans[slot] is of this group and segment */
};

static const struct {
	const char *usage;
	const char *limit;
	const char *score;
	const char *unit_name;
	enum pftrace_unit unit;
	double divisor;
} resources[FCB_RESOURCES] = {
	[FCB_RAM] = { "ram usage", "ram limit (0: none)", "ram score", NULL, PFTRACE_BYTES, 1 },
	[FCB_CPU] = { "cpu usage", "cpu limit (0: none)", "cpu score", "CPUs", PFTRACE_NO_UNIT,
		      1e9 },
	[FCB_IO_READ] = { "io-read usage", "io-read limit (0: none)", "io-read score", "bytes/s",
			  PFTRACE_NO_UNIT, 1 },
	[FCB_IO_WRITE] = { "io-write usage", "io-write limit (0: none)", "io-write score",
			   "bytes/s", PFTRACE_NO_UNIT, 1 },
	[FCB_NET] = { "net usage", "net limit (virtual)", "net score", "bytes/s", PFTRACE_NO_UNIT,
		      1 },
};

static const char *const channels[PFUSE_CHANNELS] = {
	[PFUSE_CH_NONE] = "none",	[PFUSE_CH_TCP] = "tcp",	    [PFUSE_CH_UDP] = "udp",
	[PFUSE_CH_UNIX] = "unix",	[PFUSE_CH_OTHER] = "other", [PFUSE_CH_PIPE] = "pipe",
	[PFUSE_CH_EVENTFD] = "eventfd", [PFUSE_CH_TTY] = "tty",	    [PFUSE_CH_SHM] = "shm",
};

int show_open(struct show *show, struct pftrace *trace, uint32_t nslots)
{
	*show = (struct show){ .trace = trace, .nslots = nslots };
	show->slots = calloc(nslots, sizeof(*show->slots));
	if (!show->slots)
		return -ENOMEM;
	pftrace_track(trace, UUID_MACHINE, 0, "pfuse-bpf");
	return 0;
}

static uint64_t uuid_of(uint32_t slot, unsigned track)
{
	return UUID_BASE + ((uint64_t)slot << 8) + track;
}

/* What a slot has shown before is forgotten: the next values are written whatever they are. */
static void forget(struct shown *shown)
{
	const char *name = shown->name;

	*shown = (struct shown){ .name = name };
}

void show_group(struct show *show, uint32_t slot, const char *name)
{
	show->slots[slot].name = name;
	forget(&show->slots[slot]);
}

static void declare_group(struct show *show, uint32_t slot)
{
	struct shown *shown = &show->slots[slot];
	const char *raw = shown->name ? shown->name : "?";
	char name[256];

	if (shown->declared & 1u << TRACK_GROUP)
		return;
	shown->declared |= 1u << TRACK_GROUP;
	parse_escape(name, sizeof(name), raw, strlen(raw));
	pftrace_track(show->trace, uuid_of(slot, TRACK_GROUP), 0, name);
}

/* Of the group's tracks below its own. True: it is to be declared now. */
static bool declare(struct show *show, uint32_t slot, unsigned track)
{
	uint32_t *declared = &show->slots[slot].declared;
	bool is_new = !(*declared & 1u << track);

	declare_group(show, slot);
	*declared |= 1u << track;
	return is_new;
}

static void put_counter(struct show *show, uint32_t slot, unsigned track, const char *name,
			enum pftrace_unit unit, const char *unit_name, double value,
			uint64_t now_ns)
{
	struct shown *shown = &show->slots[slot];
	uint64_t uuid = uuid_of(slot, track);

	if (declare(show, slot, track))
		pftrace_counter_track(show->trace, uuid, uuid_of(slot, TRACK_GROUP), name, unit,
				      unit_name);
	else if (shown->values[track] == value)
		return;
	shown->values[track] = value;
	pftrace_counter_double(show->trace, uuid, now_ns, value);
}

static void show_resource(struct show *show, uint32_t slot, const struct fcb_resource *r,
			  unsigned kind, uint64_t now_ns)
{
	double divisor = resources[kind].divisor;
	double limit = r->limit == PFUSE_UNLIMITED ? 0 : (double)r->limit / divisor;

	put_counter(show, slot, TRACK_USAGE + kind, resources[kind].usage, resources[kind].unit,
		    resources[kind].unit_name, (double)r->usage / divisor, now_ns);
	put_counter(show, slot, TRACK_LIMIT + kind, resources[kind].limit, resources[kind].unit,
		    resources[kind].unit_name, limit, now_ns);
	put_counter(show, slot, TRACK_SCORE + kind, resources[kind].score, PFTRACE_NO_UNIT, NULL,
		    r->score, now_ns);
}

static void slice(struct show *show, uint32_t slot, unsigned track, const char *name, bool *is_open,
		  bool is_wanted, uint64_t now_ns)
{
	uint64_t uuid = uuid_of(slot, track);
	struct pftrace_happening what = {
		.time_ns = now_ns, .track = uuid, .category = "state", .name = name
	};

	if (*is_open == is_wanted)
		return;
	*is_open = is_wanted;
	if (!is_wanted) {
		pftrace_slice_end(show->trace, uuid, now_ns);
		return;
	}
	if (declare(show, slot, track))
		pftrace_track(show->trace, uuid, uuid_of(slot, TRACK_GROUP), name);
	pftrace_slice_begin(show->trace, &what);
}

void show_fcb(struct show *show, uint32_t slot, const struct fcb *fcb, uint64_t now_ns)
{
	struct shown *shown = &show->slots[slot];
	bool isolated =
		signalflag_state(&fcb->flag, fcb->policy.window_ns, now_ns) == SIGNALFLAG_ISOLATED;

	if (fcb->removed)
		isolated = false;
	for (unsigned kind = 0; kind < FCB_RESOURCES; kind++)
		if (fcb->policy.mode[kind] != FCB_OFF)
			show_resource(show, slot, &fcb->res[kind], kind, now_ns);
	if (fcb->policy.mode[FCB_NET] != FCB_OFF)
		put_counter(show, slot, TRACK_PRIORITY, "socket priority", PFTRACE_NO_UNIT, NULL,
			    fcb->net_level, now_ns);
	slice(show, slot, TRACK_FLAG, "Signal Flag", &shown->in_flag, isolated, now_ns);
	slice(show, slot, TRACK_STOPPED, "stopped", &shown->in_stop, fcb->stopped && !fcb->removed,
	      now_ns);
}

void show_sample(struct show *show, uint32_t slot, const struct pfuse_sample *sample,
		 uint64_t now_ns)
{
	struct shown *shown = &show->slots[slot];
	double seconds = (double)(now_ns - shown->sampled_ns) / 1e9;

	if (shown->sampled_ns && now_ns > shown->sampled_ns) {
		put_counter(show, slot, TRACK_WAIT, "tasks waiting for a CPU", PFTRACE_NO_UNIT,
			    NULL, (double)(sample->wait_ns - shown->wait_ns) / 1e9 / seconds,
			    now_ns);
		put_counter(show, slot, TRACK_FAULTS, "page faults", PFTRACE_NO_UNIT, "1/s",
			    (double)(uint32_t)(sample->faults - shown->faults) / seconds, now_ns);
	}
	shown->wait_ns = sample->wait_ns;
	shown->faults = sample->faults;
	shown->sampled_ns = now_ns;
}

void show_need(struct show *show, uint32_t slot, const struct adaptive_need *need, uint64_t now_ns)
{
	put_counter(show, slot, TRACK_KNEE, "knee of the curve", PFTRACE_BYTES, NULL,
		    (double)need->knee_bytes, now_ns);
}

void show_harm(struct show *show, uint32_t slot, uint64_t stall_ns, uint64_t refaults,
	       uint64_t now_ns)
{
	struct shown *shown = &show->slots[slot];
	double seconds = (double)(now_ns - shown->harm_ns) / 1e9;

	if (shown->harm_ns && now_ns > shown->harm_ns) {
		put_counter(show, slot, TRACK_STALL, "stall for memory", PFTRACE_NO_UNIT, "%",
			    (double)(stall_ns - shown->stall_ns) / 1e7 / seconds, now_ns);
		put_counter(show, slot, TRACK_REFAULTS, "refaults", PFTRACE_NO_UNIT, "pages/s",
			    (double)(refaults - shown->refaults) / seconds, now_ns);
	}
	shown->stall_ns = stall_ns;
	shown->refaults = refaults;
	shown->harm_ns = now_ns;
}

void show_waits(struct show *show, uint32_t slot, const struct pfuse_span *span, uint64_t now_ns)
{
	struct shown *shown = &show->slots[slot];
	struct pfuse_span since;

	if (!show->spans)
		show->spans = calloc(show->nslots, sizeof(*show->spans));
	if (!show->spans)
		return; /* one track less */
	if (shown->has_span) {
		span_since(span, &show->spans[slot], &since);
		put_counter(show, slot, TRACK_WAIT_P99, "run-queue wait p99", PFTRACE_NS, NULL,
			    (double)span_quantile_ns(since.wait, 990), now_ns);
	}
	show->spans[slot] = *span;
	shown->has_span = true;
}

void show_cpus(struct show *show, uint32_t slot, const struct cpus_group *group, uint32_t online,
	       uint64_t now_ns)
{
	bool all = cpumask_empty(&group->given);

	if (group->policy.type != WORKLOAD_OFF)
		put_counter(show, slot, TRACK_CPUS, "CPUs", PFTRACE_COUNT, NULL,
			    all ? online : cpumask_count(&group->given), now_ns);
	if (cpus_wanted(&group->policy))
		put_counter(show, slot, TRACK_WEIGHT, "weight (0: as found)", PFTRACE_NO_UNIT,
			    NULL, group->given_weight, now_ns);
}

#define UINT_NOTE(key, number)                                                                     \
	((struct pftrace_note){ .name = key, .type = PFTRACE_AS_UINT, .uint_value = number })
#define TEXT_NOTE(key, text)                                                                       \
	((struct pftrace_note){ .name = key, .type = PFTRACE_AS_STRING, .string_value = text })
#define REAL_NOTE(key, number)                                                                     \
	((struct pftrace_note){ .name = key, .type = PFTRACE_AS_DOUBLE, .double_value = number })

static unsigned ram_notes(const struct pfuse_event *event, struct pftrace_note *notes)
{
	notes[0] = UINT_NOTE("usage", event->ram.usage_bytes);
	notes[1] = UINT_NOTE("limit", event->ram.limit_bytes);
	return 2;
}

static unsigned talk_notes(const struct pfuse_event *event, struct pftrace_note *notes)
{
	uint32_t channel = event->talk.channel;

	notes[0] = TEXT_NOTE("channel", channel < PFUSE_CHANNELS ? channels[channel] : "?");
	notes[1] = UINT_NOTE("pid", event->talk.pid);
	notes[2] = UINT_NOTE("peer pid", event->talk.peer_pid);
	notes[3] = UINT_NOTE("peer port", event->talk.peer_port);
	notes[4] = UINT_NOTE("incoming", event->talk.incoming);
	return 5;
}

static unsigned task_notes(uint32_t pid, const char *comm, char escaped[PFUSE_COMM_LEN * 4 + 1],
			   struct pftrace_note *notes)
{
	parse_escape(escaped, PFUSE_COMM_LEN * 4 + 1, comm, strnlen(comm, PFUSE_COMM_LEN));
	notes[0] = UINT_NOTE("pid", pid);
	notes[1] = TEXT_NOTE("comm", escaped);
	return 2;
}

static unsigned signal_notes(const struct pfuse_event *event, struct pftrace_note *notes)
{
	notes[0] = UINT_NOTE("number", event->signal.number);
	notes[1] = UINT_NOTE("pid", event->signal.pid);
	notes[2] = UINT_NOTE("sender", event->signal.sender);
	notes[3] = UINT_NOTE("flags", event->signal.flags);
	return 4;
}

void show_event(struct show *show, const struct pfuse_event *event)
{
	char comm[PFUSE_COMM_LEN * 4 + 1];
	struct pftrace_note notes[6];
	struct pftrace_happening what = { .time_ns = event->time_ns,
					  .track = uuid_of(event->slot, TRACK_GROUP),
					  .category = "event",
					  .name = transcript_event(event->kind),
					  .notes = notes };

	switch (event->kind) {
	case PFUSE_EV_HIGH_WATER:
	case PFUSE_EV_LIMIT_HIT:
		what.nnotes = ram_notes(event, notes);
		break;
	case PFUSE_EV_TALK:
		what.nnotes = talk_notes(event, notes);
		break;
	case PFUSE_EV_OOM_VICTIM:
		what.nnotes = task_notes(event->task.pid, event->task.comm, comm, notes);
		break;
	case PFUSE_EV_SIGNAL:
		what.nnotes = signal_notes(event, notes);
		break;
	case PFUSE_EV_ENTERED:
		what.nnotes = task_notes(event->entered.pid, event->entered.comm, comm, notes);
		notes[what.nnotes++] = UINT_NOTE("by", event->entered.by);
		break;
	default:
		break;
	}
	declare_group(show, event->slot);
	pftrace_instant(show->trace, &what);
}

void show_applied(struct show *show, const struct say_decision *decision, uint64_t now_ns)
{
	const struct pfuse_verdict *v = decision->verdict;
	struct pftrace_note notes[PFTRACE_NOTES_MAX];
	unsigned n = 0;

	notes[n++] = TEXT_NOTE("reason", transcript_reason(v->reason));
	notes[n++] = UINT_NOTE("from", v->from);
	notes[n++] = UINT_NOTE("to", v->to);
	notes[n++] = TEXT_NOTE("outcome", transcript_outcome(decision->outcome));
	notes[n++] = UINT_NOTE("took ns", decision->took_ns);
	if (decision->why && decision->why[0])
		notes[n++] = TEXT_NOTE("why", decision->why);
	if (v->control == PFUSE_CTL_STOP) {
		notes[n++] = UINT_NOTE("since ns", v->since_ns);
	} else {
		notes[n++] = REAL_NOTE("score", v->score);
		notes[n++] = UINT_NOTE("size", v->size);
		notes[n++] = UINT_NOTE("usage", v->usage);
		notes[n++] = UINT_NOTE("usage before", v->usage_prev);
		notes[n++] = UINT_NOTE("limit", v->limit);
		notes[n++] = UINT_NOTE("clamped", v->clamped);
	}
	if (v->periods) {
		notes[n++] = UINT_NOTE("periods", v->periods);
		notes[n++] = UINT_NOTE("throttled", v->throttled);
	}
	declare_group(show, v->slot);
	pftrace_instant(show->trace,
			&(struct pftrace_happening){ .time_ns = now_ns,
						     .track = uuid_of(v->slot, TRACK_GROUP),
						     .category = "decision",
						     .name = transcript_move(v),
						     .notes = notes,
						     .nnotes = n });
}

void show_lost(struct show *show, const char *what, uint64_t events, uint64_t now_ns)
{
	struct pftrace_note notes[] = { TEXT_NOTE("what", what), UINT_NOTE("events", events) };

	pftrace_instant(show->trace, &(struct pftrace_happening){ .time_ns = now_ns,
								  .track = UUID_MACHINE,
								  .category = "lost",
								  .name = "lost events",
								  .notes = notes,
								  .nnotes = 2 });
}

void show_end(struct show *show, uint64_t now_ns)
{
	for (uint32_t slot = 1; slot < show->nslots; slot++) {
		struct shown *shown = &show->slots[slot];

		slice(show, slot, TRACK_FLAG, NULL, &shown->in_flag, false, now_ns);
		slice(show, slot, TRACK_STOPPED, NULL, &shown->in_stop, false, now_ns);
	}
}

void show_again(struct show *show)
{
	pftrace_track(show->trace, UUID_MACHINE, 0, "pfuse-bpf");
	for (uint32_t slot = 1; slot < show->nslots; slot++)
		forget(&show->slots[slot]);
}

void show_close(struct show *show)
{
	free(show->slots);
	free(show->spans);
	*show = (struct show){ 0 };
}
