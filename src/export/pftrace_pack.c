/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <string.h>

#include "export/pftrace_fields.h"
#include "export/pftrace_inside.h"

/* What is 0 is not written. A score of -0.0 is not 0: it would not come back the same. */
static bool is_written(double value)
{
	static const double zero;

	return memcmp(&value, &zero, sizeof(value)) != 0;
}

#define PUT(member)                                                                                \
	to->member = from->member;                                                                 \
	to->has_##member = from->member != 0;

static void pack_sample(const struct pfuse_sample *from, Pftrace__Sample *to)
{
	pftrace__sample__init(to);
	SAMPLE_FIELDS(PUT)
}

static void pack_verdict(const struct pfuse_verdict *from, Pftrace__Verdict *to)
{
	pftrace__verdict__init(to);
	VERDICT_FIELDS(PUT)
	to->score = from->score;
	to->has_score = is_written(from->score);
}

static void pack_policy(const struct fcb_policy *from, Pftrace__Policy *to,
			uint8_t modes[FCB_RESOURCES])
{
	pftrace__policy__init(to);
	POLICY_FIELDS(PUT)
	PUT(freeze)
	PUT(foreign)
	memcpy(modes, from->mode, FCB_RESOURCES);
	to->mode = (ProtobufCBinaryData){ .len = FCB_RESOURCES, .data = modes };
	to->has_mode = 1;
}

static void pack_machine(const struct pftrace_machine *from, Pftrace__Machine *to)
{
	pftrace__machine__init(to);
	to->has_format = 1;
	to->format = PFTRACE_FORMAT;
	to->version = (char *)from->version;
	to->kernel = (char *)from->kernel;
	PUT(ram_bytes)
	PUT(page_bytes)
	PUT(cpus)
	PUT(slots)
	PUT(policy)
	PUT(interval_ns)
	PUT(dry_run)
	PUT(continues)
}

/* With its 0, so that the reader need not copy it to have one. */
static ProtobufCBinaryData bytes_of(const char *string)
{
	return (ProtobufCBinaryData){ .len = strlen(string) + 1, .data = (uint8_t *)string };
}

static void pack_group(const struct pftrace_group *from, Pftrace__Group *to)
{
	pftrace__group__init(to);
	PUT(id)
	to->has_name = to->has_path = 1;
	to->name = bytes_of(from->name ? from->name : "");
	to->path = bytes_of(from->path ? from->path : "");
}

static void pack_event(const struct pfuse_event *from, Pftrace__Event *to)
{
	size_t length = EVENT_BODY;

	pftrace__event__init(to);
	PUT(time_ns)
	PUT(group_id)
	PUT(kind)
	while (length && !from->bytes[length - 1])
		length--;
	to->has_body = length != 0;
	to->body = (ProtobufCBinaryData){ .len = length, .data = (uint8_t *)from->bytes };
}

static void pack_verdicts(const struct pftrace_record *record, struct pftrace_message *message)
{
	for (uint32_t i = 0; i < record->nverdicts; i++) {
		pack_verdict(&record->verdicts[i], &message->verdicts[i]);
		message->pointers[i] = &message->verdicts[i];
	}
	message->pfuse.n_verdicts = record->nverdicts;
	message->pfuse.verdicts = message->pointers;
}

static void pack_applied(const struct pftrace_applied *from, struct pftrace_message *message)
{
	pftrace__applied__init(&message->applied);
	pack_verdict(&from->verdict, &message->applied_verdict);
	message->applied.verdict = &message->applied_verdict;
	message->applied.has_outcome = from->outcome != 0;
	message->applied.outcome = from->outcome;
	message->pfuse.applied = &message->applied;
}

static void pack_bytes(const struct pftrace_bytes *from, ProtobufCBinaryData *to,
		       protobuf_c_boolean *ret_has)
{
	*to = (ProtobufCBinaryData){ .len = from->size, .data = (uint8_t *)(uintptr_t)from->at };
	*ret_has = from->size != 0;
}

static void pack_state(const struct pftrace_state *from, struct pftrace_message *message)
{
	pftrace__state__init(&message->state);
	message->state.has_layout = message->state.has_fcb = 1;
	message->state.layout = from->layout;
	message->state.fcb =
		(ProtobufCBinaryData){ .len = from->size, .data = (uint8_t *)(uintptr_t)from->fcb };
	pack_bytes(&from->adaptive, &message->state.adaptive, &message->state.has_adaptive);
	pack_bytes(&from->cpus_group, &message->state.cpus_group, &message->state.has_cpus_group);
	pack_bytes(&from->workload_group, &message->state.workload_group,
		   &message->state.has_workload_group);
	message->pfuse.state = &message->state;
}

static void pack_lost(const struct pftrace_lost *from, struct pftrace_message *message)
{
	pftrace__lost__init(&message->lost);
	message->lost.has_events = 1;
	message->lost.events = from->events;
	message->lost.has_why = from->why != 0;
	message->lost.why = from->why;
	message->pfuse.lost = &message->lost;
}

static void pack_attach(const struct pftrace_record *record, struct pftrace_message *message)
{
	pack_group(&record->group, &message->group);
	pack_policy(&record->policy, &message->policy, message->modes);
	pack_sample(&record->sample, &message->sample);
	message->pfuse.group = &message->group;
	message->pfuse.policy = &message->policy;
	message->pfuse.sample = &message->sample;
}

static void pack_choose(const struct pftrace_record *record, struct pftrace_message *message)
{
	const struct pftrace_choose *from = &record->choose;
	Pftrace__Choose *to = &message->choose;

	pftrace__choose__init(to);
	PUT(adaptive)
	PUT(by_limit)
	PUT(grace_ns)
	pack_sample(&record->sample, &message->sample);
	message->pfuse.choose = to;
	message->pfuse.sample = &message->sample;
}

static void pack_need(const struct adaptive_need *from, struct pftrace_message *message)
{
	Pftrace__Need *to = &message->need;

	pftrace__need__init(to);
	NEED_FIELDS(PUT)
	message->pfuse.need = to;
}

static void pack_body(const struct pftrace_record *record, struct pftrace_message *message)
{
	Pftrace__Pfuse *pfuse = &message->pfuse;

	switch (record->kind) {
	case PFTRACE_MACHINE:
		pack_machine(&record->machine, &message->machine);
		pfuse->machine = &message->machine;
		break;
	case PFTRACE_ATTACH:
		pack_attach(record, message);
		break;
	case PFTRACE_GROUP:
		pack_group(&record->group, &message->group);
		pfuse->group = &message->group;
		break;
	case PFTRACE_POLICY:
		pack_policy(&record->policy, &message->policy, message->modes);
		pfuse->policy = &message->policy;
		break;
	case PFTRACE_SAMPLE:
		pack_sample(&record->sample, &message->sample);
		pfuse->sample = &message->sample;
		break;
	case PFTRACE_EVENT:
		pack_event(&record->event, &message->event);
		pfuse->event = &message->event;
		break;
	case PFTRACE_REQUEST:
		pfuse->has_stop = pfuse->stop = record->stop;
		break;
	case PFTRACE_APPLIED:
		pack_applied(&record->applied, message);
		break;
	case PFTRACE_STATE:
		pack_state(&record->state, message);
		break;
	case PFTRACE_CHOOSE:
		pack_choose(record, message);
		break;
	case PFTRACE_NEED:
		pack_need(&record->need, message);
		break;
	case PFTRACE_SHARE:
		pfuse->has_share_bytes = 1;
		pfuse->share_bytes = record->share_bytes;
		break;
	case PFTRACE_LOST:
		pack_lost(&record->lost, message);
		break;
	case PFTRACE_CPUS_LOOK:
		pack_sample(&record->sample, &message->sample);
		pfuse->sample = &message->sample;
		pack_bytes(&record->span, &pfuse->span, &pfuse->has_span);
		break;
	default:
		pftrace_pack_cpus(record, message);
		break;
	}
}

void pftrace_pack(const struct pftrace_record *record, struct pftrace_message *message)
{
	Pftrace__Pfuse *pfuse = &message->pfuse;

	pftrace__pfuse__init(pfuse);
	pfuse->has_kind = 1;
	pfuse->kind = record->kind;
	pfuse->has_slot = record->slot != 0;
	pfuse->slot = record->slot;
	pack_verdicts(record, message);
	pack_body(record, message);
}
