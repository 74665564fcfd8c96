/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * From a decoded message to a record. The message is well-formed protobuf and nothing else is known about
 * it: any field may be missing or hold any number.
 */
#include <string.h>

#include "export/pftrace_fields.h"
#include "export/pftrace_inside.h"
#include "export/pftrace_read.h"

#define PAGE_MAX (16u << 20)
#define CPUS_MAX 65536u

#define GET(member) to->member = (__typeof__(to->member))from->member;

#define BYTES(data_) ((struct pftrace_bytes){ .at = (data_).data, .size = (data_).len })

/* What does not fit into the member of the struct is no number that was written from it. */
#define FITS(member) &&from->member == (__typeof__(to->member))from->member

static void get_sample(const Pftrace__Sample *from, struct pfuse_sample *to)
{
	*to = (struct pfuse_sample){ 0 };
	SAMPLE_FIELDS(GET)
}

static bool get_verdict(const Pftrace__Verdict *from, struct pfuse_verdict *to)
{
	*to = (struct pfuse_verdict){ 0 };
	VERDICT_FIELDS(GET)
	to->score = from->score;
	return from->control < PFUSE_CONTROLS && from->reason < PFUSE_REASONS;
}

static bool get_policy(const Pftrace__Policy *from, struct fcb_policy *to)
{
	bool fits = true POLICY_FIELDS(FITS);

	*to = (struct fcb_policy){ 0 };
	POLICY_FIELDS(GET)
	if (!fits || from->mode.len != FCB_RESOURCES || from->freeze > FCB_FREEZE_GUARDED ||
	    from->foreign > FCB_FOREIGN_REAPPLY)
		return false;
	to->freeze = (uint8_t)(from->freeze & 15);
	to->foreign = (uint8_t)(from->foreign & 15);
	memcpy(to->mode, from->mode.data, FCB_RESOURCES);
	for (unsigned kind = 0; kind < FCB_RESOURCES; kind++)
		if (to->mode[kind] > FCB_ACT)
			return false;
	return true;
}

static bool get_machine(const Pftrace__Machine *from, struct pftrace_machine *to)
{
	*to = (struct pftrace_machine){ .version = from->version ? from->version : "",
					.kernel = from->kernel ? from->kernel : "" };
	GET(ram_bytes)
	GET(interval_ns)
	GET(page_bytes)
	GET(cpus)
	GET(slots)
	GET(policy)
	to->dry_run = from->dry_run != 0;
	to->continues = from->continues != 0;
	return from->format == PFTRACE_FORMAT && to->page_bytes && to->page_bytes <= PAGE_MAX &&
	       (to->page_bytes & (to->page_bytes - 1)) == 0 && to->cpus <= CPUS_MAX && to->slots &&
	       to->slots <= PFTRACE_SLOTS_MAX;
}

/* Written with its 0, and with no other one. */
static bool get_string(const ProtobufCBinaryData *from, const char **to)
{
	if (from->len && (from->data[from->len - 1] || memchr(from->data, 0, from->len - 1)))
		return false;
	*to = from->len ? (const char *)from->data : "";
	return true;
}

static bool get_group(const Pftrace__Group *from, struct pftrace_group *to)
{
	*to = (struct pftrace_group){ .id = from->id };
	return from->id && get_string(&from->name, &to->name) && get_string(&from->path, &to->path);
}

static bool get_event(const Pftrace__Event *from, struct pfuse_event *to)
{
	*to = (struct pfuse_event){ 0 };
	GET(time_ns)
	GET(group_id)
	GET(kind)
	if (from->body.len > EVENT_BODY)
		return false;
	if (from->body.len)
		memcpy(to->bytes, from->body.data, from->body.len);
	return true;
}

static bool get_applied(const Pftrace__Applied *from, struct pftrace_applied *to)
{
	*to = (struct pftrace_applied){ .outcome = (enum orchestrator_outcome)from->outcome };
	return from->outcome <= ORCHESTRATOR_DRY && from->verdict &&
	       get_verdict(from->verdict, &to->verdict);
}

static void get_need(const Pftrace__Need *from, struct adaptive_need *to)
{
	*to = (struct adaptive_need){ 0 };
	NEED_FIELDS(GET)
	to->below_resolution = from->below_resolution != 0;
	to->confident = from->confident != 0;
	to->pending = from->pending != 0;
}

static bool get_verdicts(const Pftrace__Pfuse *from, struct pftrace_record *to)
{
	if (from->n_verdicts > PFUSE_CONTROLS)
		return false;
	to->nverdicts = (uint32_t)from->n_verdicts;
	for (uint32_t i = 0; i < to->nverdicts; i++)
		if (!get_verdict(from->verdicts[i], &to->verdicts[i]))
			return false;
	return true;
}

static bool get_body(const Pftrace__Pfuse *from, struct pftrace_record *to)
{
	switch (to->kind) {
	case PFTRACE_MACHINE:
		return from->machine && get_machine(from->machine, &to->machine);
	case PFTRACE_ATTACH:
		if (!from->group || !from->policy || !from->sample)
			return false;
		get_sample(from->sample, &to->sample);
		return get_group(from->group, &to->group) && get_policy(from->policy, &to->policy);
	case PFTRACE_GROUP:
		return from->group && get_group(from->group, &to->group);
	case PFTRACE_POLICY:
		return from->policy && get_policy(from->policy, &to->policy);
	case PFTRACE_SAMPLE:
		if (from->sample)
			get_sample(from->sample, &to->sample);
		return from->sample != NULL;
	case PFTRACE_EVENT:
		to->event.slot = from->slot;
		return from->event && get_event(from->event, &to->event);
	case PFTRACE_REQUEST:
		to->stop = from->stop != 0;
		return true;
	case PFTRACE_APPLIED:
		return from->applied && get_applied(from->applied, &to->applied);
	case PFTRACE_STATE:
		if (!from->state)
			return false;
		to->state = (struct pftrace_state){ .layout = from->state->layout,
						    .fcb = from->state->fcb.data,
						    .size = from->state->fcb.len,
						    .adaptive = BYTES(from->state->adaptive),
						    .cpus_group = BYTES(from->state->cpus_group),
						    .workload_group =
							    BYTES(from->state->workload_group) };
		return true;
	case PFTRACE_CHOOSE:
		if (!from->choose || !from->sample)
			return false;
		get_sample(from->sample, &to->sample);
		to->choose = (struct pftrace_choose){ .adaptive = from->choose->adaptive != 0,
						      .by_limit = from->choose->by_limit != 0,
						      .grace_ns = from->choose->grace_ns };
		return true;
	case PFTRACE_NEED:
		if (from->need)
			get_need(from->need, &to->need);
		return from->need != NULL;
	case PFTRACE_SHARE:
		to->share_bytes = from->share_bytes;
		return from->has_share_bytes != 0;
	case PFTRACE_LOST:
		if (!from->lost || from->lost->why >= PFTRACE_LOSSES)
			return false;
		to->lost = (struct pftrace_lost){ .events = from->lost->events,
						  .why = (enum pftrace_loss)from->lost->why };
		return true;
	case PFTRACE_CPUS_LOOK:
		if (!from->sample || from->span.len > sizeof(struct pfuse_span))
			return false;
		get_sample(from->sample, &to->sample);
		to->span = BYTES(from->span);
		return true;
	case PFTRACE_DETACH:
	case PFTRACE_TIMER:
	case PFTRACE_EXIT:
		return true;
	default:
		return pftrace_unpack_cpus(from, to);
	}
}

bool pftrace_unpack(const Pftrace__Pfuse *pfuse, uint64_t time_ns, struct pftrace_record *ret,
		    const char **ret_why)
{
	*ret_why = "a record of a kind that this version does not know";
	if (pfuse->kind == 0 || pfuse->kind >= PFTRACE_KINDS)
		return false;
	ret->time_ns = time_ns;
	ret->kind = (enum pftrace_kind)pfuse->kind;
	ret->slot = pfuse->slot;
	*ret_why = "a record with a part missing or out of range";
	if (!get_verdicts(pfuse, ret) || !get_body(pfuse, ret))
		return false;
	if (ret->kind == PFTRACE_EVENT)
		ret->event.slot = pfuse->slot;
	return true;
}
