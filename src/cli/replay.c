/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "cli/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "config/config.h"
#include "core/parse.h"
#include "export/pftrace_read.h"
#include "export/player.h"
#include "export/projection.h"
#include "export/transcript.h"

#define MIB 1048576.0
#define DIFFERENCES_SHOWN 20

/* The verdicts of one call, which may take several records, or those of the projection up to there. */
struct batch {
	struct pfuse_verdict *at;
	unsigned count;
	unsigned room;
	bool failed; /* no memory */
};

struct replay {
	const struct options *options;
	FILE *out;
	struct player recorded;
	struct projection projected;
	struct config config;
	struct batch projected_now;
	struct batch recorded_now;
	bool projects; /* another configuration was asked for */
	char version[64];
	uint64_t records;
	uint64_t verdicts;  /* recorded */
	uint64_t different; /* replayed, and not as recorded */
	uint64_t changed;   /* projected, and not as recorded */
	uint64_t lost;	    /* events that the recorder missed */
};

static const char *name_of(const struct replay *replay, uint32_t slot)
{
	return slot < replay->recorded.nslots ? replay->recorded.groups[slot].name : NULL;
}

static void print_verdict(const struct replay *replay, const char *mark,
			  const struct pfuse_verdict *verdict)
{
	char line[TRANSCRIPT_LINE];

	transcript_verdict(line, verdict, name_of(replay, verdict->slot),
			   replay->recorded.first_ns);
	fprintf(replay->out, "%s%s", mark, line);
}

/* struct pfuse_verdict has no padding (export/pftrace_fields.h). */
static bool is_same(const struct pfuse_verdict *a, const struct pfuse_verdict *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void compare(struct replay *replay, const struct pftrace_record *record,
		    const struct pfuse_verdict *verdicts, unsigned count)
{
	unsigned most = count > record->nverdicts ? count : record->nverdicts;

	for (unsigned i = 0; i < most; i++) {
		bool is_recorded = i < record->nverdicts, is_replayed = i < count;

		if (is_recorded && is_replayed && is_same(&record->verdicts[i], &verdicts[i])) {
			if (!replay->projects && !replay->options->quiet)
				print_verdict(replay, "", &verdicts[i]);
			continue;
		}
		if (replay->different++ >= DIFFERENCES_SHOWN)
			continue;
		if (is_recorded)
			print_verdict(replay, "recorded: ", &record->verdicts[i]);
		if (is_replayed)
			print_verdict(replay, "replayed: ", &verdicts[i]);
	}
}

static void add_to(struct batch *batch, const struct pfuse_verdict *verdict)
{
	unsigned room = batch->room ? 2 * batch->room : 4 * PFUSE_CONTROLS;

	if (batch->count == batch->room) {
		struct pfuse_verdict *larger = reallocarray(batch->at, room, sizeof(*larger));

		batch->failed |= !larger;
		if (!larger)
			return;
		batch->at = larger;
		batch->room = room;
	}
	batch->at[batch->count++] = *verdict;
}

static void note_projected(void *arg, const struct pfuse_verdict *verdict)
{
	add_to(&((struct replay *)arg)->projected_now, verdict);
}

/* Evidence apart: the same control of the same group goes to the same value for the same reason. */
static bool decides_the_same(const struct pfuse_verdict *a, const struct pfuse_verdict *b)
{
	return a->slot == b->slot && a->control == b->control && a->to == b->to &&
	       a->reason == b->reason;
}

static bool is_among(const struct pfuse_verdict *verdict, const struct pfuse_verdict *others,
		     unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (decides_the_same(verdict, &others[i]))
			return true;
	return false;
}

static void print_changes(struct replay *replay, const char *mark, const struct pfuse_verdict *from,
			  unsigned nfrom, const struct pfuse_verdict *to, unsigned nto)
{
	for (unsigned i = 0; i < nfrom; i++) {
		if (is_among(&from[i], to, nto))
			continue;
		replay->changed++;
		if (!replay->options->quiet)
			print_verdict(replay, mark, &from[i]);
	}
}

static int project(struct replay *replay, const struct pftrace_record *record)
{
	struct batch *then = &replay->recorded_now, *now = &replay->projected_now;
	int code = projection_play(&replay->projected, record);

	if (code)
		return code;
	for (unsigned i = 0; i < record->nverdicts; i++)
		add_to(then, &record->verdicts[i]);
	if (then->failed || now->failed)
		return -ENOMEM;
	if (pftrace_decides_on(record))
		return 0;
	print_changes(replay, "- ", then->at, then->count, now->at, now->count);
	print_changes(replay, "+ ", now->at, now->count, then->at, then->count);
	then->count = now->count = 0;
	return 0;
}

/*
 * To ask for the policy that was recorded is to ask for nothing else, and a configuration that names none
 * means that one.
 */
static int note_machine(struct replay *replay, const struct pftrace_machine *machine)
{
	const struct options *options = replay->options;
	const struct config *config = replay->projected.config;
	uint32_t policy = options->policy >= 0		  ? (uint32_t)options->policy
			  : config && config->policy_said ? config->policy
							  : machine->policy;

	if (policy == CONFIG_ADAPTIVE && machine->policy != CONFIG_ADAPTIVE)
		return -EOPNOTSUPP;
	config_settle(&replay->config, (enum config_policy)policy);
	replay->projected.fusebox = policy == CONFIG_FUSEBOX;
	snprintf(replay->version, sizeof(replay->version), "%s", machine->version);
	replay->projects = options->config ||
			   (options->policy >= 0 && (uint32_t)options->policy != machine->policy);
	return 0;
}

static int play(struct replay *replay, const struct pftrace_record *record)
{
	struct pfuse_verdict verdicts[PFUSE_CONTROLS];
	int count = player_play(&replay->recorded, record, verdicts);

	if (count < 0)
		return count;
	if (record->kind == PFTRACE_MACHINE) {
		int code = note_machine(replay, &record->machine);

		if (code)
			return code;
	}
	if (record->kind == PFTRACE_LOST)
		replay->lost += record->lost.events;
	replay->records++;
	replay->verdicts += record->nverdicts;
	compare(replay, record, verdicts, (unsigned)count);
	return replay->projects ? project(replay, record) : 0;
}

static enum exit_status cannot_play(const struct replay *replay, int code)
{
	const char *why = "is not in its place";

	if (code == -ENOTSUP)
		why = "holds the state of another version of pfuse-bpf: a trace that begins in the "
		      "middle of a run can only be replayed by the version that wrote it";
	if (code == -EOPNOTSUPP)
		why = "is of a run under the policy fusebox, which holds neither stall nor refaults: "
		      "what adaptive would have done cannot be told from it";
	if (code == -ENOMEM)
		why = "cannot be played: out of memory";
	fprintf(stderr, "pfuse-bpf: record %" PRIu64 " %s\n", replay->records + 1, why);
	return EXIT_FAILED;
}

/* How the file ended. A cut is what a crash leaves behind: what came before is whole. */
static enum exit_status tell_end(const struct replay *replay, const char *path,
				 struct pftrace_reader *reader)
{
	struct pftrace_result result = pftrace_reader_result(reader);
	char quoted[ERR_QUOTED];

	if (replay->lost)
		fprintf(stderr,
			"pfuse-bpf: %" PRIu64
			" events were lost while it was recorded, and came to "
			"no decision\n",
			replay->lost);
	if (result.cut)
		fprintf(stderr,
			"pfuse-bpf: %s: ends inside a packet; read up to byte %" PRIu64
			", its last whole one\n",
			err_quote(path, quoted), result.bytes);
	if (result.damaged)
		fprintf(stderr,
			"pfuse-bpf: %s: damaged at byte %" PRIu64 ": %s; read up to there\n",
			err_quote(path, quoted), result.bytes, result.why);
	if (!result.damaged && !replay->records)
		fprintf(stderr,
			"pfuse-bpf: %s: holds nothing to replay; expected what `pfuse-bpf run "
			"--trace` writes\n",
			err_quote(path, quoted));
	return result.damaged || !replay->records ? EXIT_FAILED : EXIT_DONE;
}

static uint32_t count_groups(const struct replay *replay)
{
	uint32_t count = 0;

	for (uint32_t slot = 1; slot < replay->recorded.nslots; slot++)
		count += replay->recorded.groups[slot].name != NULL;
	return count;
}

/* Not part of the transcript: it takes another time on every machine. */
static void tell_speed(const struct replay *replay, uint64_t took_ns)
{
	double real = (double)(replay->recorded.now_ns - replay->recorded.first_ns) / 1e9;
	double took = (double)(took_ns ? took_ns : 1) / 1e9;
	uint32_t groups = count_groups(replay);

	fprintf(stderr,
		"pfuse-bpf: %" PRIu64
		" records of %u group%s, %.1f s replayed in %.1f ms: %.0f times "
		"as fast\n",
		replay->records, groups, groups == 1 ? "" : "s", real, took * 1e3, real / took);
}

static enum exit_status tell_identical(const struct replay *replay)
{
	if (!replay->different) {
		fprintf(replay->out, "identical: %" PRIu64 " verdicts\n", replay->verdicts);
		return EXIT_DONE;
	}
	fprintf(replay->out,
		"different: %" PRIu64 " of %" PRIu64
		" verdicts; recorded by pfuse-bpf %s, replayed "
		"by " PFUSE_VERSION "\n",
		replay->different, replay->verdicts, replay->version);
	return EXIT_FAILED;
}

static void print_totals(FILE *out, const char *name, const char *what, const struct fcb *fcb,
			 uint64_t now_ns)
{
	uint32_t ups = 0, downs = 0;

	for (unsigned control = 0; control < ARRAY_SIZE(fcb->control); control++) {
		ups += control == PFUSE_CTL_STOP ? 0 : fcb->control[control].ups;
		downs += control == PFUSE_CTL_STOP ? 0 : fcb->control[control].downs;
	}
	fprintf(out, "%-28s %-9s %9.0f %9.0f %6u %6u %6u %8.1f\n", name, what,
		fcb->totals.usage_byte_s / MIB, fcb->totals.limit_byte_s / MIB, ups, downs,
		fcb->control[PFUSE_CTL_STOP].ups, (double)fcb_stopped_ns(fcb, now_ns) / 1e9);
}

static void print_projection(struct replay *replay)
{
	uint64_t now_ns = replay->recorded.now_ns;
	char name[29];

	projection_end(&replay->projected, now_ns);
	fprintf(replay->out, "\n%-28s %-9s %9s %9s %6s %6s %6s %8s\n", "group", "", "usage",
		"limit", "grown", "shrunk", "stops", "stopped");
	for (uint32_t slot = 1; slot < replay->recorded.nslots; slot++) {
		struct fcb *then = player_fcb(&replay->recorded, slot);
		struct fcb *now = player_fcb(&replay->projected.player, slot);
		const char *raw = name_of(replay, slot);

		if (!then || !now || !raw)
			continue;
		if (!then->removed)
			fcb_account(then, now_ns);
		parse_escape(name, sizeof(name), raw, strlen(raw));
		print_totals(replay->out, name, "recorded", then, now_ns);
		print_totals(replay->out, "", "projected", now, now_ns);
	}
	fputs("usage, limit: memory, MiB*s; grown, shrunk: of all limits; stopped: seconds\n\n",
	      replay->out);
	fputs(PROJECTION_CANNOT_KNOW, replay->out);
}

static enum exit_status tell_result(struct replay *replay)
{
	if (!replay->projects)
		return tell_identical(replay);
	print_projection(replay);
	if (replay->different)
		fprintf(stderr,
			"pfuse-bpf: %" PRIu64
			" verdicts are not even as recorded when the recorded "
			"configuration is replayed (by pfuse-bpf %s): trust no difference\n",
			replay->different, replay->version);
	fprintf(replay->out, "%" PRIu64 " decisions differ from the %" PRIu64 " recorded\n",
		replay->changed, replay->verdicts);
	return EXIT_DONE;
}

static enum exit_status replay_all(struct replay *replay, const char *path,
				   struct pftrace_reader *reader)
{
	uint64_t began_ns = clock_now_ns();
	enum exit_status status;
	struct pftrace_record record;
	int code;

	while ((code = pftrace_reader_next(reader, &record)) > 0) {
		code = play(replay, &record);
		if (code < 0)
			return cannot_play(replay, code);
	}
	if (code < 0) {
		fprintf(stderr, "pfuse-bpf: cannot read the trace: %s\n", strerror(-code));
		return EXIT_FAILED;
	}
	uint64_t took_ns = clock_now_ns() - began_ns;

	status = tell_end(replay, path, reader);
	if (!replay->records)
		return status;
	enum exit_status compared = tell_result(replay);

	tell_speed(replay, took_ns);
	return status == EXIT_DONE ? compared : status;
}

static int load_config(struct replay *replay, struct err *err)
{
	const struct options *options = replay->options;

	config_default(&replay->config);
	if (options->config && config_load(options->config, &replay->config, err))
		return -EINVAL;
	return 0;
}

enum exit_status cmd_replay(const struct options *options, FILE *out)
{
	struct replay replay = { .options = options, .out = out };
	struct pftrace_reader *reader = NULL;
	enum exit_status status = EXIT_FAILED;
	struct err err;

	player_init(&replay.recorded);
	if (load_config(&replay, &err) || pftrace_reader_open(options->file, &reader, &err)) {
		fprintf(stderr, "pfuse-bpf: %s\n", err.text);
		config_free(&replay.config);
		return EXIT_FAILED;
	}
	projection_init(&replay.projected, options->config ? &replay.config : NULL, note_projected,
			&replay);
	status = replay_all(&replay, options->file, reader);
	projection_free(&replay.projected);
	free(replay.projected_now.at);
	free(replay.recorded_now.at);
	player_free(&replay.recorded);
	pftrace_reader_close(reader);
	config_free(&replay.config);
	return status;
}
