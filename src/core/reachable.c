/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "core/reachable.h"

static bool has_news_for_us(const struct pfuse_reach_finding *finding)
{
	return finding->waiting && (finding->access & PFUSE_REACH_READ) &&
	       (finding->their_access & PFUSE_REACH_WRITE);
}

/* Where each write was told as it happened, that data moved says nothing more. */
static bool may_have_talked(const struct pfuse_reach_finding *finding)
{
	return finding->moved && !finding->heard;
}

static enum reachable judge_pipe(const struct pfuse_reach_finding *finding)
{
	if (has_news_for_us(finding))
		return REACHABLE_TALKS;
	if (!finding->compared)
		return REACHABLE_UNKNOWN;
	return may_have_talked(finding) ? REACHABLE_TALKS : REACHABLE_SILENT;
}

static enum reachable judge_eventfd(const struct pfuse_reach_finding *finding)
{
	if (has_news_for_us(finding) || (finding->compared && finding->moved))
		return REACHABLE_TALKS;
	if (finding->compared && finding->heard)
		return REACHABLE_SILENT;
	return finding->watched ? REACHABLE_UNKNOWN : REACHABLE_TALKS;
}

enum reachable reachable_judge(const struct pfuse_reach_finding *finding)
{
	switch (finding->key.kind) {
	case PFUSE_REACH_PIPE:
	case PFUSE_REACH_TTY:
		return judge_pipe(finding);
	case PFUSE_REACH_EVENTFD:
		return judge_eventfd(finding);
	default:
		return REACHABLE_TALKS; /* also a kind that is newer than this code */
	}
}

enum reachable reachable_judge_all(const struct pfuse_reach_finding *findings, uint32_t count,
				   bool incomplete, uint32_t *ret_evidence)
{
	enum reachable worst = incomplete ? REACHABLE_UNKNOWN : REACHABLE_SILENT;

	*ret_evidence = UINT32_MAX;
	for (uint32_t i = 0; i < count; i++) {
		enum reachable one = reachable_judge(&findings[i]);

		if (one <= worst)
			continue;
		worst = one;
		*ret_evidence = i;
	}
	return worst;
}

enum pfuse_channel reachable_channel(const struct pfuse_reach_finding *finding)
{
	switch (finding->key.kind) {
	case PFUSE_REACH_PIPE:
		return PFUSE_CH_PIPE;
	case PFUSE_REACH_EVENTFD:
		return PFUSE_CH_EVENTFD;
	case PFUSE_REACH_TTY:
		return PFUSE_CH_TTY;
	case PFUSE_REACH_SHM:
		return PFUSE_CH_SHM;
	default:
		return PFUSE_CH_OTHER;
	}
}
