/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench.h"

#define ROUNDS_MAX 99
#define ROWS_MAX 8

struct row {
	const char *name;
	enum what what;
	const char *program; /* whose run_time_ns the kernel's statistics give; NULL: not asked */
};

struct benchmark {
	const char *name;
	const char *unit;
	const struct load *load;
	const char *hooks[3];
	struct row rows[ROWS_MAX];
};

static const struct benchmark benchmarks[] = {
	{ "switch",
	  "ns per switch",
	  &load_switch,
	  { "sched_switch" },
	  { { "nothing attached", NOTHING },
	    { "empty program", EMPTY, "empty" },
	    { "pfuse, unmanaged", OURS_UNMANAGED, "on_switch" },
	    { "pfuse, managed", OURS_MANAGED, "on_switch" },
	    { "runqlat", RUNQLAT, "sched_switch" },
	    { "cpudist", CPUDIST, "sched_switch_bt" },
	    { "pfuse, managed, spans", OURS_SPANS, "on_switch" } } },
	{ "fault",
	  "ns per page fault",
	  &load_fault,
	  { "page_fault_user" },
	  { { "nothing attached", NOTHING },
	    { "empty program", EMPTY, "empty" },
	    { "pfuse, unmanaged", OURS_UNMANAGED, "on_user_fault" },
	    { "pfuse, managed", OURS_MANAGED, "on_user_fault" },
	    { "pfuse, managed and armed", OURS_ARMED, "on_user_fault" } } },
	{ "unix",
	  "ns per message, sent and received",
	  &load_unix,
	  { "sock_send_length", "sock_recv_length" },
	  { { "nothing attached", NOTHING },
	    { "empty programs", EMPTY },
	    { "pfuse, unmanaged", OURS_UNMANAGED, "on_sent" },
	    { "pfuse, managed", OURS_MANAGED, "on_sent" } } },
	{ "tcp",
	  "ns per message, sent and received",
	  &load_tcp,
	  { "sock_send_length", "sock_recv_length" },
	  { { "nothing attached", NOTHING },
	    { "empty programs", EMPTY },
	    { "pfuse, unmanaged", OURS_UNMANAGED, "on_sent" },
	    { "pfuse, managed", OURS_MANAGED, "on_sent" } } },
};

#define BENCHMARKS (sizeof(benchmarks) / sizeof(benchmarks[0]))

/* samples[row][round]; a row that this machine lacks has no samples. */
struct result {
	double ns[ROWS_MAX][ROUNDS_MAX];
	bool absent[ROWS_MAX];
	int rounds;
};

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double quantile(const double *values, int count, double share)
{
	double sorted[ROUNDS_MAX];

	memcpy(sorted, values, (size_t)count * sizeof(*values));
	qsort(sorted, (size_t)count, sizeof(*sorted), by_value);
	return sorted[(int)(share * (count - 1) + 0.5)];
}

/* The median of the differences within rounds: both were measured within seconds of each other. */
static double over(const struct result *result, int row, int base)
{
	double differences[ROUNDS_MAX];

	for (int i = 0; i < result->rounds; i++)
		differences[i] = result->ns[row][i] - result->ns[base][i];
	return quantile(differences, result->rounds, 0.5);
}

/* Noise only ever adds: with many rounds the least disturbed ones compare best. */
static double over_min(const struct result *result, int row, int base)
{
	return quantile(result->ns[row], result->rounds, 0) -
	       quantile(result->ns[base], result->rounds, 0);
}

static int one(const struct benchmark *benchmark, const struct row *row, double *ret_ns,
	       bool statistics)
{
	struct setup setup = { .what = row->what, .hooks = benchmark->hooks };
	int err = setup_begin(&setup);

	if (!err) {
		*ret_ns = setup_measure();
		if (statistics)
			*ret_ns = setup_run_ns(row->program);
		err = *ret_ns < 0 ? -EIO : 0;
	}
	setup_end();
	return err;
}

static void measure_round(const struct benchmark *benchmark, struct result *result, int round,
			  bool statistics)
{
	for (int row = 0; row < ROWS_MAX && benchmark->rows[row].name; row++) {
		if (statistics && !benchmark->rows[row].program)
			result->absent[row] = true;
		if (result->absent[row])
			continue;
		int err =
			one(benchmark, &benchmark->rows[row], &result->ns[row][round], statistics);

		if (err) {
			printf("NOTE: %s: %s is left out: %s\n", benchmark->name,
			       benchmark->rows[row].name, strerror(-err));
			result->absent[row] = true;
		}
	}
}

static void measure(const struct benchmark *benchmark, struct result *result, bool statistics)
{
	for (int round = 0; round < result->rounds; round++) {
		if (setup_start_load(benchmark->load) < 0) {
			fprintf(stderr, "bench: %s: cannot start the load\n", benchmark->name);
			setup_stop_load();
			exit(1);
		}
		measure_round(benchmark, result, round, statistics);
		setup_stop_load();
	}
}

static void print(const struct benchmark *benchmark, const struct result *result, const char *unit)
{
	printf("\n%-34s %8s %8s %8s %8s %8s %10s %8s\n", unit, "median", "quart 1", "quart 3",
	       "min", "max", "over empty", "by min");
	for (int row = 0; row < ROWS_MAX && benchmark->rows[row].name; row++) {
		const double *ns = result->ns[row];

		if (result->absent[row])
			continue;
		printf("%-34s", benchmark->rows[row].name);
		for (size_t i = 0; i < 5; i++)
			printf(" %8.1f",
			       quantile(ns, result->rounds, (double[]){ .5, .25, .75, 0, 1 }[i]));
		if (row > 1 && !result->absent[1])
			printf(" %+10.1f %+8.1f", over(result, row, 1), over_min(result, row, 1));
		printf("\n");
	}
}

static void print_ratio(const struct benchmark *benchmark, const struct result *result)
{
	if (strcmp(benchmark->name, "switch") != 0 || result->absent[1] || result->absent[4])
		return;
	double rival = over_min(result, 4, 1);

	printf("added to an empty program, as a share of runqlat's (by min): unmanaged %.2f, "
	       "managed %.2f\n",
	       over_min(result, 2, 1) / rival, over_min(result, 3, 1) / rival);
}

static void print_load(void)
{
	char line[64] = "?\n";
	FILE *load = fopen("/proc/loadavg", "re");

	if (!load || !fgets(line, sizeof(line), load))
		strcpy(line, "?\n");
	if (load)
		fclose(load);
	printf("load average: %s", line);
}

static void run(const struct benchmark *benchmark, int rounds)
{
	static struct result result, statistics;
	char unit[64];

	memset(&result, 0, sizeof(result));
	memset(&statistics, 0, sizeof(statistics));
	result.rounds = rounds;
	statistics.rounds = rounds < 5 ? rounds : 5;
	printf("\n== %s: %d rounds, interleaved; ", benchmark->name, rounds);
	print_load();
	measure(benchmark, &result, false);
	print(benchmark, &result, benchmark->unit);
	print_ratio(benchmark, &result);

	int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);

	if (fd < 0)
		return;
	measure(benchmark, &statistics, true);
	close(fd);
	snprintf(unit, sizeof(unit), "kernel: ns per run");
	print(benchmark, &statistics, unit);
}

static int usage(int status)
{
	fprintf(status ? stderr : stdout,
		"usage: bench [-r ROUNDS] [NAME...]\n"
		"Prints what the BPF programs cost where they run. NAME: switch, fault, unix, tcp; "
		"all\n"
		"without. Each round takes every setup once; default 11 rounds, at most %d. Needs "
		"root.\n"
		"\"over empty\" is the median of the differences to the empty program of the same "
		"round,\n"
		"\"by min\" the difference of the least disturbed rounds.\n",
		ROUNDS_MAX);
	return status;
}

static bool is_wanted(const char *name, char *const *names, int count)
{
	for (int i = 0; i < count; i++)
		if (!strcmp(names[i], name))
			return true;
	return !count;
}

int main(int argc, char *argv[])
{
	int rounds = 11, option;
	struct utsname system;

	while ((option = getopt(argc, argv, "r:h-:")) != -1)
		if (option == 'r')
			rounds = atoi(optarg);
		else
			return usage(option == '?' ? 2 : 0);
	if (rounds < 1 || rounds > ROUNDS_MAX)
		return usage(2);
	if (geteuid() != 0) {
		fprintf(stderr, "bench: needs root\n");
		return 3;
	}
	libbpf_set_print(quiet);
	setvbuf(stdout, NULL, _IOLBF, 0);
	uname(&system);
	printf("kernel %s, %ld CPUs\n", system.release, sysconf(_SC_NPROCESSORS_ONLN));
	for (size_t i = 0; i < BENCHMARKS; i++)
		if (is_wanted(benchmarks[i].name, argv + optind, argc - optind))
			run(&benchmarks[i], rounds);
	return 0;
}
