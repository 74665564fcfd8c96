/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The curve that is measured, against the curve that is true: processes touch pages by known strings of
 * references, and an exact LRU stack (Mattson et al. 1970) replays the same strings. See tools/bench/curve.
 *
 *	curve_accuracy [-s SECONDS] [NAME]...
 *
 * What counts as a reference is the first touch of a page in an epoch, in both curves; its distance is
 * exact in one and estimated in the other. MAE: mean absolute error of the hit ratio over 128 sizes.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "core/cvhrc_inside.h"
#include "curve_load.h"
#include "daemon/measure.h"
#include "hierarchy.h"

#define TURNS_MAX 4096
#define GRID 128
#define HUGE_PAGES 512u
#define MIB (1024.0 * 1024)

static const struct bench_case {
	const char *name;
	struct curve_load load;
} cases[] = {
	{ "uniform", { REFERENCE_UNIFORM, 0, 256, 60000 } },
	{ "loop", { REFERENCE_LOOP, 0, 256, 15000 } },
	{ "loop-fast", { REFERENCE_LOOP, 0, 256, 60000 } }, /* round within 2 epochs */
	{ "zipf0.6", { REFERENCE_ZIPF, 0.6, 256, 60000 } },
	{ "zipf0.8", { REFERENCE_ZIPF, 0.8, 256, 60000 } },
	{ "zipf0.99", { REFERENCE_ZIPF, 0.99, 256, 60000 } },
	{ "zipf1.2", { REFERENCE_ZIPF, 1.2, 256, 60000 } },
	{ "sequential", { REFERENCE_SEQUENTIAL, 0, 512, 4000 } },
	{ "hotcold", { REFERENCE_HOTCOLD, 0, 256, 30000 } },
	{ "phase", { REFERENCE_PHASE, 0, 256, 40000, .phase_s = 4 } },
	{ "mix", { REFERENCE_MIX, 0, 256, 60000 } },
	{ "small-hot", { REFERENCE_HOTCOLD, 0, 40, 3000 } },
	{ "zipf0.99-file", { REFERENCE_ZIPF, 0.99, 256, 60000, .file = true } },
	{ "uniform-read", { REFERENCE_UNIFORM, 0, 256, 60000, .read = true } },
	{ "loop-read", { REFERENCE_LOOP, 0, 256, 15000, .read = true } },
	{ "zipf0.99-read", { REFERENCE_ZIPF, 0.99, 256, 60000, .read = true } },
	{ "hotcold-read", { REFERENCE_HOTCOLD, 0, 256, 30000, .read = true } },
	{ "hotcold-file", { REFERENCE_HOTCOLD, 0, 256, 30000, .file = true } },
	{ "uniform-thp", { REFERENCE_UNIFORM, 0, 512, 200, .huge = true } },
	{ "zipf0.99-thp", { REFERENCE_ZIPF, 0.99, 512, 400, .huge = true } },
	{ "zipf0.99-8proc", { REFERENCE_ZIPF, 0.99, 256, 8000, .processes = 8 } },
	{ "hotcold-8proc", { REFERENCE_HOTCOLD, 0, 256, 4000, .processes = 8 } },
	{ "zipf0.99-8proc-file",
	  { REFERENCE_ZIPF, 0.99, 256, 8000, .processes = 8, .file = true } },
	{ "fast-uniform", { REFERENCE_UNIFORM, 0, 256, 0 } },
};

/* When the accessed bits were read and cleared: what ended there. */
struct turn {
	uint64_t ns;
	double weight; /* of the references in it, by now; 0: none counts */
};

struct run {
	struct curve_load load;
	struct load_log *log;
	pid_t pid;
	char group[300]; /* of loads that read files; "" else */
	struct measure *measure;
	struct turn turns[TURNS_MAX];
	uint32_t count;
	uint64_t huge_before, huge_after;
};

/* The exact stack: a Fenwick tree over time, with a one where some page was touched last. */
struct stack {
	uint32_t pages, time, room;
	uint32_t *ones;
	uint32_t *last; /* by page; 0: never */
	uint32_t *page; /* by time */
};

static void add(struct stack *s, uint32_t at, int value)
{
	for (; at <= s->room; at += at & -at)
		s->ones[at] += (uint32_t)value;
}

static uint32_t sum_to(const struct stack *s, uint32_t at)
{
	uint32_t sum = 0;

	for (; at; at -= at & -at)
		sum += s->ones[at];
	return sum;
}

static void push(struct stack *s, uint32_t page)
{
	s->last[page] = ++s->time;
	s->page[s->time] = page;
	add(s, s->time, 1);
}

/* Time runs out: the pages keep their order, and times that nobody needs are given again. */
static void compact(struct stack *s)
{
	uint32_t end = s->time;

	memset(s->ones, 0, (s->room + 1) * sizeof(*s->ones));
	s->time = 0;
	for (uint32_t at = 1; at <= end; at++) {
		uint32_t page = s->page[at];

		if (s->last[page] == at)
			push(s, page);
	}
}

/* Distinct pages since the page was touched before, itself included. */
static uint32_t touch(struct stack *s, uint32_t page)
{
	if (s->time == s->room)
		compact(s);
	uint32_t distance = s->last[page] ? s->pages - sum_to(s, s->last[page] - 1) : 0;

	if (s->last[page])
		add(s, s->last[page], -1);
	push(s, page);
	return distance;
}

static void stack_open(struct stack *s, uint32_t pages)
{
	*s = (struct stack){ .pages = pages, .room = pages * 8 };
	s->ones = calloc(s->room + 1, sizeof(*s->ones));
	s->last = calloc(pages, sizeof(*s->last));
	s->page = calloc(s->room + 1, sizeof(*s->page));
	if (!s->ones || !s->last || !s->page)
		abort();
	for (uint32_t page = 0; page < pages; page++)
		push(s, page); /* as load_run() does */
}

static void stack_close(struct stack *s)
{
	free(s->ones);
	free(s->last);
	free(s->page);
}

struct replay {
	struct reference reference[LOAD_PROCESSES];
	uint32_t note[LOAD_PROCESSES]; /* next one */
	uint64_t made[LOAD_PROCESSES];
	struct stack stack;
	uint32_t *epoch; /* in which each page was touched last */
	uint32_t now;	 /* epoch: index of the turn that ends it */
	uint32_t per;	 /* pages of one entry */
	double hist[CVHRC_BINS];
	double refs;
	double epochs;
};

static void reference_to(struct replay *replay, const struct run *run, uint32_t page)
{
	uint32_t at = page / replay->per;
	uint32_t distance = touch(&replay->stack, at);
	bool first = replay->epoch[at] != replay->now;

	replay->epoch[at] = replay->now;
	if (!first || replay->now >= run->count || !(run->turns[replay->now].weight > 0))
		return;
	/* The core counts from 0. */
	double pages = (double)(distance - 1) * replay->per;
	double weight = run->turns[replay->now].weight * replay->per;

	replay->refs += weight;
	replay->hist[cvhrc_bin(pages, CVHRC_BITS, CVHRC_BINS)] += weight;
}

/* The process whose next note is the earliest. */
static uint32_t next_process(const struct replay *replay, const struct run *run)
{
	uint32_t best = LOAD_PROCESSES;

	for (uint32_t p = 0; p < run->load.processes; p++) {
		if (replay->note[p] >= run->log->notes[p])
			continue;
		if (best == LOAD_PROCESSES || run->log->note[p][replay->note[p]].ns <
						      run->log->note[best][replay->note[best]].ns)
			best = p;
	}
	return best;
}

static void replay_string(struct replay *replay, const struct run *run)
{
	uint32_t p;

	while ((p = next_process(replay, run)) < LOAD_PROCESSES) {
		const struct load_note *note = &run->log->note[p][replay->note[p]++];

		while (replay->now < run->count && note->ns > run->turns[replay->now].ns)
			replay->now++;
		if (replay->now == run->count)
			break;
		for (; replay->made[p] < note->made; replay->made[p]++)
			reference_to(replay, run, reference_next(&replay->reference[p]));
	}
}

static void replay_run(struct replay *replay, const struct run *run)
{
	uint32_t pages = run->load.mib * 256;

	memset(replay, 0, sizeof(*replay));
	replay->per = run->load.huge && run->huge_after ? HUGE_PAGES : 1;
	stack_open(&replay->stack, pages / replay->per);
	replay->epoch = malloc(pages * sizeof(*replay->epoch));
	if (!replay->epoch)
		abort();
	memset(replay->epoch, 0xff, pages * sizeof(*replay->epoch));
	for (uint32_t p = 0; p < run->load.processes; p++)
		load_open_reference(&run->load, p, &replay->reference[p]);
	for (uint32_t i = 0; i < run->count; i++)
		replay->epochs += run->turns[i].weight;
	replay_string(replay, run);
	stack_close(&replay->stack);
	free(replay->epoch);
}

/* The core's own curve, of what is true: so both knees are the same kind of knee. */
static bool true_curve(const struct replay *replay, const struct run *run, struct cvhrc_curve *ret)
{
	static struct cvhrc core;

	core = run->measure->core;
	memcpy(core.hist, replay->hist, sizeof(core.hist));
	core.refs = replay->refs;
	core.cold = core.vague = 0;
	memset(core.vaguely, 0, sizeof(core.vaguely));
	core.epochs = replay->epochs;
	return replay->epochs > 0 && cvhrc_curve(&core, ret);
}

static uint64_t huge_kib(pid_t pid)
{
	char path[40], line[128];
	unsigned long kib, sum = 0;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	FILE *file = fopen(path, "re");

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "AnonHugePages: %lu kB", &kib) == 1)
			sum += kib;
	if (file)
		fclose(file);
	return sum;
}

/* What was in memory before, the group's figures tell; of a process nobody does. */
static int make_group(struct run *run)
{
	const char *why = NULL;
	const struct hierarchy *at = hierarchy(&why);

	if (!at)
		return -ENOENT;
	snprintf(run->group, sizeof(run->group), "%s/pfuse-curve-%d", at->mount, (int)getpid());
	return mkdir(run->group, 0755) < 0 ? -errno : 0;
}

static void enter_group(const struct run *run)
{
	char path[400], pid[16];

	if (!run->group[0])
		return;
	snprintf(path, sizeof(path), "%s/cgroup.procs", run->group);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (hierarchy_write(path, pid) < 0)
		_exit(1);
}

static int aim(const struct run *run, struct probe *probe, int proc, struct pagescan_target *ret)
{
	struct stat stat;

	*ret = (struct pagescan_target){
		.proc_fd = proc, .group_fd = -1, .pid = run->pid, .slot = 1
	};
	if (!run->group[0])
		return 0;
	ret->group_fd = open(run->group, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ret->group_fd < 0 || fstat(ret->group_fd, &stat) < 0)
		return -errno;
	return probe_manage(probe, 1, stat.st_ino, 0);
}

static int start(struct run *run)
{
	int r = run->load.read ? make_group(run) : 0;

	if (r < 0)
		return r;
	run->log = mmap(NULL, sizeof(*run->log), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	if (run->log == MAP_FAILED)
		return -errno;
	run->pid = fork();
	if (run->pid == 0) {
		enter_group(run);
		load_run(&run->load, run->log);
	}
	for (int tries = 0; run->log->ready < run->load.processes && tries < 60000; tries++)
		clock_sleep_us(1000);
	clock_sleep_us(1000000); /* all have touched what they inherited */
	run->huge_before = huge_kib(run->pid);
	return run->log->ready == run->load.processes ? 0 : -ETIMEDOUT;
}

static void stop(struct run *run)
{
	/* The first process's end takes the others with it. */
	kill(run->pid, SIGKILL);
	waitpid(run->pid, NULL, 0);
	for (int tries = 0; run->group[0] && rmdir(run->group) < 0 && tries < 1000; tries++)
		clock_sleep_us(1000);
}

/* What was counted before loses weight as it does in the core: by a change of the epochs' length, all. */
static void note_turn(struct run *run, uint64_t before_ns, double epochs_before, bool blurred)
{
	double counted = run->count && !blurred ? 1 : 0;
	double kept = epochs_before > 0 ? (run->measure->core.epochs - counted) / epochs_before : 0;

	for (uint32_t i = 0; i < run->count; i++)
		run->turns[i].weight *= kept;
	run->turns[run->count++] =
		(struct turn){ .ns = (before_ns + clock_now_ns()) / 2, .weight = counted };
}

static int measure_run(struct run *run, double seconds, struct err *err)
{
	uint64_t end_ns = clock_now_ns() + (uint64_t)(seconds * 1e9), now_ns;

	while ((now_ns = clock_now_ns()) < end_ns && run->count < TURNS_MAX) {
		uint64_t due_ns = measure_due_ns(run->measure);

		if (now_ns < due_ns) {
			clock_sleep_us((due_ns - now_ns) / 1000 + 1);
			continue;
		}
		double epochs = run->measure->core.epochs;
		bool blurred = run->measure->pausing;
		int r = measure_turn(run->measure, now_ns, err);

		if (r < 0)
			return r;
		note_turn(run, now_ns, epochs, blurred);
	}
	return 0;
}

static double off_by(uint64_t seen, uint64_t wanted)
{
	return wanted ? 100 * ((double)seen - (double)wanted) / (double)wanted : 0;
}

static void print_row(const struct bench_case *which, const struct run *run,
		      const struct cvhrc_curve *seen, const struct cvhrc_curve *truth)
{
	double sum = 0, above = 0, worst = 0;
	unsigned int n = 0;

	for (int i = 1; i <= GRID; i++) {
		uint64_t size = truth->extent_bytes * (uint64_t)i / GRID;
		double d = fabs(cvhrc_hit_ratio(seen, size) - cvhrc_hit_ratio(truth, size));

		sum += d;
		worst = d > worst ? d : worst;
		if (size >= seen->resolution_bytes) {
			above += d;
			n++;
		}
	}
	double passed = (double)(run->measure->cleared_ns - run->measure->begun_ns);

	printf("| %s | %.4f | %.4f | %.3f | %.4f%s | %.0f%s | %.0f | %+.1f %% | %+.1f %% | %.0f | %u "
	       "| %.2f | "
	       "%.2f %% | %.0f%s |\n",
	       which->name, sum / GRID, n ? above / n : 0, worst, seen->error,
	       seen->confident ? "" : " (not confident)",
	       (double)seen->knee_bytes / MIB, seen->knee_below_resolution ? " (below)" : "",
	       (double)truth->knee_bytes / MIB, off_by(seen->knee_bytes, truth->knee_bytes),
	       off_by(seen->knee_curvature_bytes, truth->knee_curvature_bytes),
	       (double)seen->resolution_bytes / MIB, run->measure->last.rate,
	       (double)run->measure->advice.epoch_ns / 1e9,
	       100 * (double)run->measure->spent_ns / passed,
	       ((double)run->measure->last.state_bytes + sizeof(struct measure) +
		(run->measure->files.core ? sizeof(struct cvhrc_files) : 0)) /
		       1024,
	       run->measure->last.whole ? ", clear_refs" : "");
	if (run->huge_before != run->huge_after)
		printf("  AnonHugePages: %llu KiB before, %llu after\n",
		       (unsigned long long)run->huge_before, (unsigned long long)run->huge_after);
	fflush(stdout);
}

static int run_case(const struct bench_case *which, struct probe *probe, double seconds,
		    struct err *err)
{
	static struct run run;
	static struct replay replay;
	static struct cvhrc_curve seen, truth;
	/* All references count the same, as in the truth. */
	const struct cvhrc_setup setup = { .half_life_ns = 1000000ull * 1000000000 };
	int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	memset(&run, 0, sizeof(run));
	run.load = which->load;
	run.load.processes = run.load.processes ? run.load.processes : 1;
	run.load.seed = 1;
	int r = start(&run);
	struct pagescan_target target;

	if (r == 0)
		r = aim(&run, probe, proc, &target);
	if (r == 0)
		r = measure_open(probe, &target, &setup, &run.measure, err);
	if (r == 0)
		r = measure_run(&run, seconds, err);
	run.huge_after = huge_kib(run.pid);
	stop(&run);
	if (r == 0) {
		replay_run(&replay, &run);
		if (measure_curve(run.measure, &seen) && true_curve(&replay, &run, &truth))
			print_row(which, &run, &seen, &truth);
		else
			printf("| %s | no curve |\n", which->name);
	}
	measure_close(run.measure);
	if (run.group[0]) {
		probe_unmanage(probe, 1);
		close(target.group_fd);
	}
	munmap(run.log, sizeof(*run.log));
	close(proc);
	return r;
}

static bool is_wanted(const char *name, int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return argc == 0;
}

int main(int argc, char **argv)
{
	const char *why = NULL;
	const struct hierarchy *at = hierarchy(&why);
	const struct probe_config config = { .parts = PROBE_PAGES | PROBE_READS | PROBE_ALONE,
					     .slots = 1,
					     .anchor = at && at->v2 ? PFUSE_ANCHOR_V2
								    : PFUSE_ANCHOR_V1_MEMORY };
	struct probe *probe = NULL;
	struct err err = { "" };
	double seconds = 20;
	int option;

	while ((option = getopt(argc, argv, "s:")) != -1) {
		if (option != 's')
			return 2;
		seconds = strtod(optarg, NULL);
	}
	if (probe_open(&config, &probe, &err) < 0) {
		fprintf(stderr, "curve_accuracy: %s\n", err.text);
		return 1;
	}
	puts("| load | MAE | MAE from F1 | worst | its own error | knee, MiB | true | off by | "
	     "curvature off by "
	     "| F1, MiB | 1 of | epoch, s | CPU | state, KiB |\n"
	     "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (is_wanted(cases[i].name, argc - optind, argv + optind) &&
		    run_case(&cases[i], probe, seconds, &err) < 0)
			fprintf(stderr, "curve_accuracy: %s: %s\n", cases[i].name, err.text);
	probe_close(probe);
	return 0;
}
