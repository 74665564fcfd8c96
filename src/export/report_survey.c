/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "export/report_survey.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static void reader_close(struct pftrace_reader **reader)
{
	pftrace_reader_close(*reader);
}

int report_slots_grow(struct report_slots *slots, uint32_t nslots)
{
	uint32_t *groups;
	uint64_t *ids;

	if (nslots <= slots->nslots)
		return 0;
	groups = reallocarray(slots->groups, nslots, sizeof(*groups));
	if (!groups)
		return -ENOMEM;
	slots->groups = groups;
	ids = reallocarray(slots->ids, nslots, sizeof(*ids));
	if (!ids)
		return -ENOMEM;
	slots->ids = ids;
	memset(groups + slots->nslots, 0, (nslots - slots->nslots) * sizeof(*groups));
	memset(ids + slots->nslots, 0, (nslots - slots->nslots) * sizeof(*ids));
	slots->nslots = nslots;
	return 0;
}

bool report_slots_begins(const struct report_slots *slots, const struct pftrace_record *record)
{
	if (record->slot >= slots->nslots)
		return false;
	if (record->kind == PFTRACE_GROUP)
		return !slots->groups[record->slot] || slots->ids[record->slot] != record->group.id;
	return record->kind == PFTRACE_ATTACH;
}

void report_slots_settle(struct report_slots *slots, const struct pftrace_record *record,
			 uint64_t index)
{
	slots->groups[record->slot] = (uint32_t)index + 1;
	slots->ids[record->slot] = record->group.id;
}

int64_t report_slots_group(const struct report_slots *slots, const struct pftrace_record *record)
{
	if (!record->slot || record->slot >= slots->nslots)
		return -1;
	return (int64_t)slots->groups[record->slot] - 1;
}

void report_slots_free(struct report_slots *slots)
{
	free(slots->groups);
	free(slots->ids);
	*slots = (struct report_slots){ 0 };
}

static int tally_group(struct report_survey *survey, const struct pftrace_record *record)
{
	if (survey->ngroups == survey->room) {
		size_t room = survey->room ? 2 * survey->room : 64;
		struct report_tally *larger = reallocarray(survey->tallies, room, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		survey->tallies = larger;
		survey->room = room;
	}
	survey->tallies[survey->ngroups] = (struct report_tally){ 0 };
	report_slots_settle(&survey->slots, record, survey->ngroups++);
	return 0;
}

static int tally_record(struct report_survey *survey, const struct pftrace_record *record)
{
	int64_t group;

	if (record->time_ns && !survey->begin_ns)
		survey->begin_ns = record->time_ns;
	if (record->time_ns > survey->end_ns)
		survey->end_ns = record->time_ns;
	if (record->kind == PFTRACE_MACHINE)
		return report_slots_grow(&survey->slots, record->machine.slots);
	if (report_slots_begins(&survey->slots, record))
		return tally_group(survey, record);
	group = report_slots_group(&survey->slots, record);
	if (group < 0)
		return 0;
	if (record->kind == PFTRACE_DETACH)
		survey->slots.groups[record->slot] = 0;
	survey->tallies[group].rows++;
	survey->tallies[group].decisions += record->kind == PFTRACE_APPLIED;
	return 0;
}

static int cannot_read(const char *path, int r, struct err *err)
{
	char q[ERR_QUOTED];

	return err_set(err, r, "%s: cannot read the trace: %s", err_quote(path, q), strerror(-r));
}

int report_survey_file(const char *path, struct report_survey *ret, struct err *err)
{
	_cleanup_(reader_close) struct pftrace_reader *reader = NULL;
	struct pftrace_record record;
	char q[ERR_QUOTED];
	int r = pftrace_reader_open(path, &reader, err);

	if (r < 0)
		return r;
	while ((r = pftrace_reader_next(reader, &record)) > 0) {
		r = tally_record(ret, &record);
		if (r < 0)
			break;
	}
	if (r < 0)
		return cannot_read(path, r, err);
	ret->result = pftrace_reader_result(reader);
	if (!ret->slots.nslots)
		return err_set(err, -ENODATA,
			       "%s: no run is recorded in this trace; record one with "
			       "pfuse-bpf run --trace FILE",
			       err_quote(path, q));
	return 0;
}

uint64_t report_survey_share(const struct report_survey *survey, bool decisions, uint64_t budget,
			     uint64_t most, uint64_t least)
{
	for (uint64_t share = most; share > least; share /= 2) {
		uint64_t sum = 0;

		for (size_t i = 0; i < survey->ngroups; i++) {
			const struct report_tally *tally = &survey->tallies[i];
			uint64_t count = decisions ? tally->decisions : tally->rows;

			sum += count < share ? count : share;
		}
		if (sum <= budget)
			return share;
	}
	return least;
}

void report_survey_free(struct report_survey *survey)
{
	report_slots_free(&survey->slots);
	free(survey->tallies);
	*survey = (struct report_survey){ 0 };
}
