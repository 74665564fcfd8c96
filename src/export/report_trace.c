/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "export/report_trace.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "config/config.h"
#include "export/pftrace_read.h"
#include "export/player.h"
#include "export/report_survey.h"

#define ROWS_BUDGET 160000
#define ROWS_MOST 4800 /* of one group: 1200 columns, more than most screens have */
#define ROWS_LEAST 16
#define DECISIONS_BUDGET 60000
#define DECISIONS_MOST 4000
#define DECISIONS_LEAST 4

static void reader_close(struct pftrace_reader **reader)
{
	pftrace_reader_close(*reader);
}

static int cannot_read(const char *path, int r, struct err *err)
{
	char q[ERR_QUOTED];

	return err_set(err, r, "%s: cannot read the trace: %s", err_quote(path, q), strerror(-r));
}

/* What the core had on its books when the file began: not part of what is reported. */
struct before {
	double usage_byte_s;
	double limit_byte_s;
	uint64_t stopped_ns;
	uint64_t oom_kills;
};

struct reading {
	struct report_slots slots;
	struct report_book *book;
	struct before *before; /* by group */
	size_t room;
	struct player player;
	uint64_t now_ns;
};

static void reading_free(struct reading *reading)
{
	report_slots_free(&reading->slots);
	player_free(&reading->player);
	free(reading->before);
}

static struct before books_of(struct fcb *fcb, uint64_t now_ns)
{
	fcb_account(fcb, now_ns);
	return (struct before){ fcb->totals.usage_byte_s, fcb->totals.limit_byte_s,
				fcb_stopped_ns(fcb, now_ns), fcb->totals.oom_kills };
}

/* `sampled`: rates are those of the interval that ends now; else they are those of an earlier one. */
static struct report_row row_of(const struct fcb *fcb, bool sampled, uint64_t now_ns)
{
	struct report_row row = { .time_ns = now_ns };

	for (unsigned kind = 0; kind < FCB_RESOURCES; kind++) {
		const struct fcb_resource *res = &fcb->res[kind];
		bool looked_at = fcb->policy.mode[kind] != FCB_OFF;
		bool limited = looked_at && res->limit != PFUSE_UNLIMITED;
		bool known = looked_at && (sampled || kind == FCB_RAM);

		row.value[REPORT_AT(kind, REPORT_USAGE)] = known ? (float)res->usage : NAN;
		row.value[REPORT_AT(kind, REPORT_LIMIT)] = limited ? (float)res->limit : NAN;
		row.value[REPORT_AT(kind, REPORT_SCORE)] = looked_at ? (float)res->score : NAN;
	}
	return row;
}

static int add_row(struct reading *reading, size_t group, uint32_t slot, bool sampled)
{
	struct fcb *fcb = player_fcb(&reading->player, slot);
	struct report_row row;

	if (!fcb)
		return 0;
	row = row_of(fcb, sampled, reading->now_ns);
	return report_book_row(reading->book, group, &row);
}

/* The sums so far, and a last row, so that what holds is drawn to the end. */
static int close_group(struct reading *reading, size_t group, uint32_t slot)
{
	struct fcb *fcb = player_fcb(&reading->player, slot);
	struct report_totals *totals = &reading->book->groups[group].totals;
	const struct before *before = &reading->before[group];
	struct before now;
	int r;

	if (!fcb || reading->book->groups[group].ended)
		return 0;
	now = books_of(fcb, reading->now_ns);
	totals->usage_byte_s = now.usage_byte_s - before->usage_byte_s;
	totals->limit_byte_s = now.limit_byte_s - before->limit_byte_s;
	totals->stopped_ns = now.stopped_ns - before->stopped_ns;
	totals->oom_kills = now.oom_kills - before->oom_kills;
	r = add_row(reading, group, slot, false);
	return r < 0 ? r : report_book_leave(reading->book, group, reading->now_ns);
}

static int open_group(struct reading *reading, const struct pftrace_record *record)
{
	struct report_book *book = reading->book;
	int64_t index = report_book_group(book, record->group.name, record->group.path,
					  record->group.id, reading->now_ns);

	if (index < 0)
		return (int)index;
	if (book->ngroups > reading->room) {
		size_t room = 2 * book->ngroups;
		struct before *larger = reallocarray(reading->before, room, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		reading->before = larger;
		reading->room = room;
	}
	reading->before[index] = (struct before){ 0 };
	report_slots_settle(&reading->slots, record, (uint64_t)index);
	return 0;
}

/* NULL: of a later version. */
static const char *policy_word(uint32_t policy)
{
	for (uint32_t i = 0; config_policy_words[i]; i++)
		if (i == policy)
			return config_policy_words[i];
	return NULL;
}

static int note_machine(struct reading *reading, const struct pftrace_record *record)
{
	const struct pftrace_machine *machine = &record->machine;
	struct report_book *book = reading->book;
	const char *policy = policy_word(machine->policy);

	if (report_slots_grow(&reading->slots, machine->slots) < 0)
		return -ENOMEM;
	if (book->version)
		return 0;
	book->version = strdup(machine->version ? machine->version : "");
	book->kernel = strdup(machine->kernel ? machine->kernel : "");
	book->policy = policy ? strdup(policy) : NULL;
	book->ram_bytes = machine->ram_bytes;
	book->interval_ns = machine->interval_ns;
	book->cpus = machine->cpus;
	book->dry_run = machine->dry_run;
	if (!book->version || !book->kernel)
		return -ENOMEM;
	if (!machine->continues)
		return 0;
	return report_book_note(book,
				"The recording begins in the middle of a run: sums and curves "
				"are those of the recorded part.");
}

static int note_decision(struct reading *reading, size_t group, const struct pftrace_record *record)
{
	const struct report_decision decision = { record->applied.verdict,
						  record->applied.outcome };

	return report_book_decision(reading->book, group, &decision, reading->now_ns);
}

/* What is to be taken from a record before the core has it. */
static int before_playing(struct reading *reading, const struct pftrace_record *record,
			  int64_t group)
{
	if (record->kind == PFTRACE_MACHINE)
		return note_machine(reading, record);
	if (record->kind == PFTRACE_LOST) {
		reading->book->drops[record->lost.why].count += record->lost.events;
		return 0;
	}
	if (report_slots_begins(&reading->slots, record)) {
		int r = group < 0 ? 0 : close_group(reading, (size_t)group, record->slot);

		return r < 0 ? r : open_group(reading, record);
	}
	if (record->kind == PFTRACE_DETACH && group >= 0) {
		reading->slots.groups[record->slot] = 0;
		return close_group(reading, (size_t)group, record->slot);
	}
	return 0;
}

static int after_playing(struct reading *reading, const struct pftrace_record *record, size_t group)
{
	struct fcb *fcb = player_fcb(&reading->player, record->slot);
	int r;

	switch (record->kind) {
	case PFTRACE_SAMPLE:
		return add_row(reading, group, record->slot, true);
	case PFTRACE_STATE:
		/* Told again in the middle: then its sums go on. */
		if (fcb && !reading->book->groups[group].rows.read)
			reading->before[group] = books_of(fcb, reading->now_ns);
		return add_row(reading, group, record->slot, false);
	case PFTRACE_ATTACH:
		return add_row(reading, group, record->slot, false);
	case PFTRACE_EVENT:
		if (record->event.kind != PFUSE_EV_HIGH_WATER &&
		    record->event.kind != PFUSE_EV_LIMIT_HIT)
			return 0;
		return add_row(reading, group, record->slot, false);
	case PFTRACE_APPLIED:
		r = note_decision(reading, group, record);
		return r < 0 ? r : add_row(reading, group, record->slot, false);
	default:
		return 0;
	}
}

static int take_record(struct reading *reading, const struct pftrace_record *record)
{
	struct pfuse_verdict ignored[PFUSE_CONTROLS];
	int64_t group = report_slots_group(&reading->slots, record);
	int r;

	if (record->time_ns > reading->now_ns)
		reading->now_ns = record->time_ns;
	r = before_playing(reading, record, group);
	if (r < 0)
		return r;
	r = player_play(&reading->player, record, ignored);
	if (r < 0)
		return r;
	group = report_slots_group(&reading->slots, record);
	return group < 0 ? 0 : after_playing(reading, record, (size_t)group);
}

static int end_reading(struct reading *reading)
{
	for (uint32_t slot = 1; slot < reading->slots.nslots; slot++) {
		int64_t group = (int64_t)reading->slots.groups[slot] - 1;
		int r = group < 0 ? 0 : close_group(reading, (size_t)group, slot);

		if (r < 0)
			return r;
	}
	return report_book_end(reading->book);
}

/* Less than this is what a time service does each day. */
#define CLOCK_MOVED_NS 1000000000

static int note_result(struct report_book *book, const struct pftrace_result *result)
{
	double seconds = (double)(book->end_ns - book->begin_ns) / 1e9;
	int64_t moved = result->wall_moved_ns;

	if ((moved > CLOCK_MOVED_NS || moved < -CLOCK_MOVED_NS) &&
	    report_book_note(
		    book,
		    "The machine slept, or its clock was set, while this was recorded: at the "
		    "end the time of day was %.1f s ahead of the times of day shown here, which "
		    "count from the beginning.",
		    (double)moved / 1e9) < 0)
		return -ENOMEM;
	if (result->damaged)
		return report_book_note(book,
					"The trace is damaged after byte %" PRIu64
					" (%s): what comes "
					"after second %.1f was not read.",
					result->bytes, result->why, seconds);
	if (result->cut)
		return report_book_note(
			book,
			"The trace ends inside a packet, as after a crash or on a full "
			"disk: what came after second %.1f is not in it.",
			seconds);
	return 0;
}

static int read_records(const char *path, struct reading *reading, struct err *err)
{
	_cleanup_(reader_close) struct pftrace_reader *reader = NULL;
	struct pftrace_record record;
	char q[ERR_QUOTED];
	uint64_t n = 0;
	int r = pftrace_reader_open(path, &reader, err);

	if (r < 0)
		return r;
	while ((r = pftrace_reader_next(reader, &record)) > 0) {
		r = take_record(reading, &record);
		if (r < 0)
			break;
		n++;
	}
	if (r == -ENOTSUP)
		return err_set(
			err, r,
			"%s: the trace begins in the middle of a run, with the state of another "
			"build of pfuse-bpf; make the report with that build",
			err_quote(path, q));
	if (r == -EPROTO)
		r = report_book_note(reading->book,
				     "Record %" PRIu64
				     " of the trace cannot stand where it stands: "
				     "what comes after it was not read.",
				     n + 1);
	return r < 0 ? cannot_read(path, r, err) : 0;
}

static int fill_book(const char *path, const struct report_survey *survey, struct report_book *book,
		     struct err *err)
{
	_cleanup_(reading_free) struct reading reading = { .book = book };
	const char *name = strrchr(path, '/');
	int r;

	player_init(&reading.player);
	reading.now_ns = survey->begin_ns;
	book->source = strdup(name ? name + 1 : path);
	book->source_bytes = survey->result.bytes;
	book->source_records = survey->result.records;
	book->wall_offset_ns = survey->result.wall_offset_ns;
	book->drops[PFTRACE_LOSS_RING].what = "an event, for want of room in the kernel's ring";
	book->drops[PFTRACE_LOSS_FILE].what = "a packet that could not be written to the file";
	r = read_records(path, &reading, err);
	if (r < 0)
		return r;
	if (!book->source || end_reading(&reading) < 0 || note_result(book, &survey->result) < 0)
		return cannot_read(path, -ENOMEM, err);
	return 0;
}

int report_trace_read(const char *path, struct report_book *ret, struct err *err)
{
	_cleanup_(report_survey_free) struct report_survey survey = { 0 };
	struct report_book book;
	uint64_t rows, decisions;
	int r = report_survey_file(path, &survey, err);

	if (r < 0)
		return r;
	rows = report_survey_share(&survey, false, ROWS_BUDGET, ROWS_MOST, ROWS_LEAST);
	decisions = report_survey_share(&survey, true, DECISIONS_BUDGET, DECISIONS_MOST,
					DECISIONS_LEAST);
	report_book_init(&book, survey.begin_ns, survey.end_ns, rows / REPORT_FULL, decisions);
	r = fill_book(path, &survey, &book, err);
	if (r < 0) {
		report_book_free(&book);
		return r;
	}
	*ret = book;
	return 0;
}
