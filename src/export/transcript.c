/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "export/transcript.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "core/parse.h"
#include "pfuse/event.h"

#define NAME_MAX_BYTES 200

static const char *const controls[PFUSE_CONTROLS] = {
	[PFUSE_CTL_RAM] = "ram",	 [PFUSE_CTL_STOP] = "stop",	    [PFUSE_CTL_CPU] = "cpu",
	[PFUSE_CTL_IO_READ] = "io-read", [PFUSE_CTL_IO_WRITE] = "io-write", [PFUSE_CTL_NET] = "net",
	[PFUSE_CTL_CPUS] = "cpus",	 [PFUSE_CTL_WEIGHT] = "weight",	    [PFUSE_CTL_RECLAIM] = "reclaim",
};

static const char *const ups[PFUSE_CONTROLS] = {
	[PFUSE_CTL_RAM] = "ram up",	      [PFUSE_CTL_STOP] = "stop",
	[PFUSE_CTL_CPU] = "cpu up",	      [PFUSE_CTL_IO_READ] = "io-read up",
	[PFUSE_CTL_IO_WRITE] = "io-write up", [PFUSE_CTL_NET] = "net up",
	[PFUSE_CTL_CPUS] = "cpus up",	      [PFUSE_CTL_WEIGHT] = "weight up",
	[PFUSE_CTL_RECLAIM] = "reclaim up",
};

static const char *const downs[PFUSE_CONTROLS] = {
	[PFUSE_CTL_RAM] = "ram down",		[PFUSE_CTL_STOP] = "continue",
	[PFUSE_CTL_CPU] = "cpu down",		[PFUSE_CTL_IO_READ] = "io-read down",
	[PFUSE_CTL_IO_WRITE] = "io-write down", [PFUSE_CTL_NET] = "net down",
	[PFUSE_CTL_CPUS] = "cpus down",		[PFUSE_CTL_WEIGHT] = "weight down",
	[PFUSE_CTL_RECLAIM] = "reclaim",
};

static const char *const reasons[PFUSE_REASONS] = {
	[PFUSE_WHY_NONE] = "none",	     [PFUSE_WHY_SCORE_HIGH] = "score-high",
	[PFUSE_WHY_SCORE_LOW] = "score-low", [PFUSE_WHY_HIGH_WATER] = "high-water",
	[PFUSE_WHY_LIMIT_HIT] = "limit-hit", [PFUSE_WHY_CEILING] = "ceiling",
	[PFUSE_WHY_IDLE] = "idle",	     [PFUSE_WHY_TALK] = "talk",
	[PFUSE_WHY_DEADLINE] = "deadline",   [PFUSE_WHY_REQUEST] = "request",
	[PFUSE_WHY_PARKED] = "parked",	     [PFUSE_WHY_DATA] = "data",
	[PFUSE_WHY_SIGNAL] = "signal",	     [PFUSE_WHY_ENTERED] = "entered",
	[PFUSE_WHY_EXIT] = "exit",	     [PFUSE_WHY_TYPE] = "type",
	[PFUSE_WHY_SLA] = "sla",	     [PFUSE_WHY_REMAINDER] = "remainder",
	[PFUSE_WHY_CHARACTER] = "character", [PFUSE_WHY_NEED] = "need",
	[PFUSE_WHY_PROBE] = "probe",	     [PFUSE_WHY_SHARE] = "share",
	[PFUSE_WHY_HARM] = "harm",
};

static const char *const events[PFUSE_EV_KINDS] = {
	[PFUSE_EV_HIGH_WATER] = "high-water",
	[PFUSE_EV_LIMIT_HIT] = "limit-hit",
	[PFUSE_EV_TALK] = "talk",
	[PFUSE_EV_ACTIVE] = "active",
	[PFUSE_EV_EMPTY] = "empty",
	[PFUSE_EV_POPULATED] = "populated",
	[PFUSE_EV_REMOVED] = "removed",
	[PFUSE_EV_OOM_VICTIM] = "oom-victim",
	[PFUSE_EV_WAKE] = "wake",
	[PFUSE_EV_SIGNAL] = "signal",
	[PFUSE_EV_ENTERED] = "entered",
	[PFUSE_EV_WAIT] = "wait",
};

static const char *const outcomes[] = {
	[ORCHESTRATOR_APPLIED] = "applied", [ORCHESTRATOR_FAILED] = "failed",
	[ORCHESTRATOR_FOREIGN] = "foreign", [ORCHESTRATOR_BUSY] = "busy",
	[ORCHESTRATOR_REFUSED] = "refused", [ORCHESTRATOR_DRY] = "dry",
};

#define WORD(words, index) ((index) < ARRAY_SIZE(words) && (words)[index] ? (words)[index] : "?")

const char *transcript_control(uint32_t control)
{
	return WORD(controls, control);
}

const char *transcript_reason(uint32_t reason)
{
	return WORD(reasons, reason);
}

const char *transcript_event(uint32_t kind)
{
	return WORD(events, kind);
}

const char *transcript_outcome(uint32_t outcome)
{
	return WORD(outcomes, outcome);
}

const char *transcript_move(const struct pfuse_verdict *verdict)
{
	return verdict->to > verdict->from ? WORD(ups, verdict->control)
					   : WORD(downs, verdict->control);
}

static const char *number(uint64_t value, char out[24])
{
	if (value == PFUSE_UNLIMITED)
		return "max";
	snprintf(out, 24, "%" PRIu64, value);
	return out;
}

/* 17 digits tell any two doubles apart. */
static int evidence(char *out, size_t size, const struct pfuse_verdict *v)
{
	char a[24], b[24], c[24], d[24], e[24];

	return snprintf(out, size,
			"score=%.17g size=%s usage=%s before=%s limit=%s since=%s periods=%u "
			"throttled=%u%s\n",
			v->score, number(v->size, a), number(v->usage, b), number(v->usage_prev, c),
			number(v->limit, d), number(v->since_ns, e), v->periods, v->throttled,
			v->clamped ? " clamped" : "");
}

size_t transcript_verdict(char out[TRANSCRIPT_LINE], const struct pfuse_verdict *verdict,
			  const char *name, uint64_t start_ns)
{
	char group[NAME_MAX_BYTES], from[24], to[24];
	uint64_t ns = verdict->time_ns - start_ns;
	bool early = verdict->time_ns < start_ns;
	int n;

	if (name)
		parse_escape(group, sizeof(group), name, strlen(name));
	else
		snprintf(group, sizeof(group), "slot-%u", verdict->slot);
	if (early)
		ns = -ns;
	n = snprintf(out, TRANSCRIPT_LINE, "%s%" PRIu64 ".%09" PRIu64 "  %s  %s  %s -> %s  %s  ",
		     early ? "-" : "", ns / 1000000000, ns % 1000000000, group,
		     transcript_control(verdict->control), number(verdict->from, from),
		     number(verdict->to, to), transcript_reason(verdict->reason));
	return (size_t)n + (size_t)evidence(out + n, TRANSCRIPT_LINE - (size_t)n, verdict);
}
