/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A trace of a run that never was: a machine whose groups follow simple curves, orchestrated by the real
 * core, recorded by the real writer. For tests of what reads traces.
 *
 *	make_trace FILE ordinary	three groups, ten minutes: one works in waves, one is stopped and woken,
 *					one only stands there
 *	make_trace FILE hostile		groups whose names would break a careless reader
 *	make_trace FILE many N		N groups, ten samples each
 *	make_trace FILE long		one group, 40,000 samples, a peak in one of them
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "core/orchestrator.h"
#include "export/pftrace.h"

#define S 1000000000ull
#define MIB 1048576ull
#define RAM (8192 * MIB)
#define TALK_EVERY 60 /* samples: when somebody wakes the group that idles */

enum life { WORKS, IDLES, STANDS, PEAKS };

struct sim {
	struct pftrace *trace;
	struct orchestrator core;
	struct pfuse_sample *samples; /* by slot */
	enum life *lives;
	uint64_t now_ns;
	unsigned turn;
};

static struct pftrace_record record_of(const struct sim *sim, enum pftrace_kind kind, uint32_t slot)
{
	return (struct pftrace_record){ .kind = kind, .slot = slot, .time_ns = sim->now_ns };
}

/* What the kernel would do. */
static void obey(struct sim *sim, const struct pfuse_verdict *verdict)
{
	struct pfuse_sample *sample = &sim->samples[verdict->slot];

	switch (verdict->control) {
	case PFUSE_CTL_RAM:
		sample->ram_limit_bytes = verdict->to;
		break;
	case PFUSE_CTL_CPU:
		sample->cpu_limit_ns = verdict->to;
		break;
	case PFUSE_CTL_IO_READ:
		sample->io_read_limit = verdict->to;
		break;
	case PFUSE_CTL_IO_WRITE:
		sample->io_write_limit = verdict->to;
		break;
	case PFUSE_CTL_NET:
		sample->net_priority = (uint32_t)verdict->to;
		break;
	default:
		break;
	}
}

static void carry_out(struct sim *sim, const struct pfuse_verdict *verdicts, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct pftrace_record record = record_of(sim, PFTRACE_APPLIED, verdicts[i].slot);

		record.applied.verdict = verdicts[i];
		/* One in fifty is refused, so that a reader sees it. */
		record.applied.outcome =
			sim->turn % 50 == 49 ? ORCHESTRATOR_FAILED : ORCHESTRATOR_APPLIED;
		if (record.applied.outcome == ORCHESTRATOR_APPLIED)
			obey(sim, &verdicts[i]);
		orchestrator_applied(&sim->core, &verdicts[i], record.applied.outcome, sim->now_ns);
		pftrace_record(sim->trace, &record);
	}
}

static void answered(struct sim *sim, struct pftrace_record *record, unsigned n)
{
	record->nverdicts = n;
	pftrace_record(sim->trace, record);
	carry_out(sim, record->verdicts, n);
}

static struct fcb_policy policy_of(enum life life)
{
	struct fcb_policy policy;

	fcb_policy_defaults(&policy, RAM);
	policy.idle_ns = policy.window_ns = 5 * S;
	if (life == WORKS)
		for (unsigned i = 0; i < FCB_RESOURCES; i++)
			policy.mode[i] = FCB_ACT;
	policy.freeze = life == IDLES ? FCB_FREEZE_ISOLATED : FCB_FREEZE_OFF;
	return policy;
}

static void attach(struct sim *sim, uint32_t slot, enum life life, const char *name,
		   const char *path)
{
	struct pftrace_record record = record_of(sim, PFTRACE_ATTACH, slot);

	sim->lives[slot] = life;
	sim->samples[slot] = (struct pfuse_sample){
		.ram_usage_bytes = 40 * MIB,
		.ram_limit_bytes = life == STANDS ? PFUSE_UNLIMITED : 256 * MIB,
		.cpu_limit_ns = PFUSE_UNLIMITED,
		.io_read_limit = PFUSE_UNLIMITED,
		.io_write_limit = PFUSE_UNLIMITED,
		.nprocs = 1,
	};
	record.group = (struct pftrace_group){ .id = 1000 + slot, .name = name, .path = path };
	record.policy = policy_of(life);
	record.sample = sim->samples[slot];
	orchestrator_attach(&sim->core, slot, record.group.id, &record.policy, &record.sample,
			    sim->now_ns);
	pftrace_record(sim->trace, &record);
}

/* The wave goes from 0 to 1 and back in 90 turns. */
static void work(struct pfuse_sample *sample, unsigned turn)
{
	double wave = 0.5 - 0.5 * cos(turn / 90.0 * 2 * M_PI),
	       jitter = (double)(turn * 7 % 10) / 60;

	sample->ram_usage_bytes = (uint64_t)((60 + 380 * wave + 60 * jitter) * (double)MIB);
	sample->run_ns += (uint64_t)((0.1 + 1.3 * wave + jitter) * (double)S);
	sample->io_read_bytes += (uint64_t)((turn % 45 < 12 ? 30 + 200 * jitter : 1) * (double)MIB);
	sample->io_write_bytes += (uint64_t)((turn % 30 < 6 ? 12 : 0.2) * (double)MIB);
	sample->net_bytes += (uint64_t)((0.3 + 2 * wave + jitter) * (double)MIB);
	sample->nvcsw += 100;
	sample->faults += 2000;
}

static void live(struct sim *sim, uint32_t slot)
{
	struct pfuse_sample *sample = &sim->samples[slot];

	switch (sim->lives[slot]) {
	case WORKS:
		work(sample, sim->turn);
		break;
	case IDLES:
		if (sim->turn % TALK_EVERY < 4)
			work(sample, 20 + sim->turn % TALK_EVERY);
		break;
	case STANDS:
		sample->run_ns += 40 * S / 1000;
		sample->nvcsw += 10;
		break;
	case PEAKS:
		sample->ram_usage_bytes = (sim->turn == 12345 ? 200 : 40 + sim->turn % 3) * MIB;
		sample->run_ns += S / 5;
		break;
	}
}

static void sample(struct sim *sim, uint32_t slot)
{
	struct pftrace_record record = record_of(sim, PFTRACE_SAMPLE, slot);

	live(sim, slot);
	record.sample = sim->samples[slot];
	answered(sim, &record,
		 orchestrator_sample(&sim->core, slot, &record.sample, sim->now_ns,
				     record.verdicts));
}

static void talk(struct sim *sim, uint32_t slot)
{
	struct pftrace_record record = record_of(sim, PFTRACE_EVENT, slot);

	record.event = (struct pfuse_event){
		.time_ns = sim->now_ns,
		.group_id = 1000 + slot,
		.kind = PFUSE_EV_TALK,
		.slot = slot,
		.talk = { .channel = PFUSE_CH_TCP, .pid = 42, .peer_port = 6379, .incoming = 1 },
	};
	answered(sim, &record,
		 orchestrator_event(&sim->core, &record.event, sim->now_ns, record.verdicts));
}

static void timer(struct sim *sim, uint32_t slot)
{
	struct pftrace_record record = record_of(sim, PFTRACE_TIMER, slot);

	if (orchestrator_due(&sim->core, slot) <= sim->now_ns)
		answered(sim, &record,
			 orchestrator_timer(&sim->core, slot, sim->now_ns, record.verdicts));
}

static void run(struct sim *sim, unsigned turns, uint64_t interval_ns)
{
	for (sim->turn = 1; sim->turn <= turns; sim->turn++) {
		sim->now_ns += interval_ns;
		for (uint32_t slot = 1; slot < sim->core.nslots; slot++) {
			if (sim->lives[slot] == IDLES && sim->turn % TALK_EVERY == 0)
				talk(sim, slot);
			sample(sim, slot);
			timer(sim, slot);
		}
		pftrace_flush(sim->trace);
	}
}

static void leave(struct sim *sim)
{
	sim->now_ns += S / 2;
	for (uint32_t slot = 1; slot < sim->core.nslots; slot++) {
		struct pftrace_record record = record_of(sim, PFTRACE_EXIT, slot);

		answered(sim, &record,
			 orchestrator_exit(&sim->core, slot, sim->now_ns, record.verdicts));
		orchestrator_detach(&sim->core, slot);
		record = record_of(sim, PFTRACE_DETACH, slot);
		pftrace_record(sim->trace, &record);
		pftrace_flush(sim->trace);
	}
}

static void begin(struct sim *sim, uint32_t groups)
{
	struct pftrace_record record = record_of(sim, PFTRACE_MACHINE, 0);
	struct fcb *fcbs = calloc(groups + 1, sizeof(*fcbs));

	sim->samples = calloc(groups + 1, sizeof(*sim->samples));
	sim->lives = calloc(groups + 1, sizeof(*sim->lives));
	if (!fcbs || !sim->samples || !sim->lives)
		exit(1);
	orchestrator_init(&sim->core, fcbs, groups + 1, RAM, 4096);
	sim->core.ncpus = 4;
	record.machine = (struct pftrace_machine){ .version = PFUSE_VERSION,
						   .kernel = "6.1.0-made-up",
						   .ram_bytes = RAM,
						   .interval_ns = S,
						   .page_bytes = 4096,
						   .cpus = 4,
						   .slots = groups + 1 };
	pftrace_record(sim->trace, &record);
}

static void ordinary(struct sim *sim)
{
	begin(sim, 3);
	attach(sim, 1, WORKS, "docker:shop", "system.slice/docker-4f2a.scope");
	attach(sim, 2, IDLES, "redis.service", "system.slice/redis.service");
	attach(sim, 3, STANDS, "getty", "system.slice/getty.slice");
	run(sim, 600, S);
}

static void hostile(struct sim *sim)
{
	static const char *const names[] = {
		"</script><script>window.pwned=1</script>",
		"<img src=x onerror=window.pwned=1>",
		"two\nlines\ttab\r\x1b[31m",
		"\xe2\x80\xaereversed \xe2\x80\xa8 line \xe2\x80\xa9 paragraph",
		"&lt;b&gt; \"quoted\" 'single' `tick` ${window.pwned=1} \\u003cb\\u003e",
		"\xff\xfe no UTF-8 \xc0\x80 \xed\xa0\x80",
		"]]>--><!--<script><!--",
		"__proto__",
		"\xc3\xbcml\xc3\xa4ut \xe2\x82\xac \xf0\x9f\x90\x9f",
	};
	char deep[2100];

	memset(deep, 'd', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	begin(sim, ARRAY_SIZE(names) + 1);
	for (uint32_t i = 0; i < ARRAY_SIZE(names); i++)
		attach(sim, i + 1, WORKS, names[i], names[i]);
	attach(sim, ARRAY_SIZE(names) + 1, WORKS, deep, deep);
	run(sim, 30, S);
}

static void many(struct sim *sim, uint32_t groups)
{
	begin(sim, groups);
	for (uint32_t slot = 1; slot <= groups; slot++) {
		char name[32];

		snprintf(name, sizeof(name), "batch-%u", slot);
		attach(sim, slot, slot % 3 ? WORKS : STANDS, name, name);
	}
	run(sim, 10, S);
}

int main(int argc, char **argv)
{
	struct pftrace_options options = { .path = argc > 1 ? argv[1] : NULL };
	struct sim sim = { .now_ns = 1000 * S };
	struct err err = { "" };

	if (argc < 3 || pftrace_open(&options, &sim.trace, &err) < 0) {
		fprintf(stderr, "make_trace: %s\n", argc < 3 ? "FILE KIND" : err.text);
		return 2;
	}
	if (strcmp(argv[2], "hostile") == 0) {
		hostile(&sim);
	} else if (strcmp(argv[2], "many") == 0 && argc > 3) {
		many(&sim, (uint32_t)strtoul(argv[3], NULL, 10));
	} else if (strcmp(argv[2], "long") == 0) {
		begin(&sim, 1);
		attach(&sim, 1, PEAKS, "long", "long");
		run(&sim, 40000, S / 10);
	} else {
		ordinary(&sim);
	}
	leave(&sim);
	pftrace_close(sim.trace);
	free(sim.core.fcbs);
	free(sim.samples);
	free(sim.lives);
	return 0;
}
