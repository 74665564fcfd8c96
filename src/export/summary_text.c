/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The table for people: one row per group, then what the daemon itself cost. */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "export/summary.h"

#define NAME_COLUMNS 28
#define MIB 1048576.0

struct column {
	const char *head; /* NULL ends the list */
	size_t offset;
	int width;
	int digits;	/* after the point */
	double scale;	/* 0: 1 */
	size_t further; /* offset of a figure to add; 0: none */
};

#define G(field) offsetof(struct summary_group, field)
#define R(kind, field) G(resources[SUMMARY_##kind].field)
#define MOVES(kind)                                                                                \
	{                                                                                          \
		"moves", R(kind, grown), 5, 0, .further = R(kind, shrunk)                          \
	}

static const struct column columns[] = {
	{ "s", G(seconds), 7, 1 },
	{ "usage", G(usage_mib_s), 9, 0 },
	{ "+zram", G(usage_with_zram_mib_s), 9, 0 },
	{ "limit", G(limit_mib_s), 9, 0 },
	{ "peak", G(usage_peak_mib), 8, 1 },
	{ "oom", G(oom_kills), 4, 0 },
	{ "stall", G(stall_seconds), 7, 2 },
	{ "grown", G(decisions[SUMMARY_GROWN]), 6, 0 },
	{ "shrunk", G(decisions[SUMMARY_SHRUNK]), 7, 0 },
	{ "stops", G(decisions[SUMMARY_STOPPED]), 6, 0 },
	{ "stopped", G(stopped_seconds), 8, 1 },
	{ "failed", G(decisions[SUMMARY_FAILED]), 7, 0 },
	{ 0 },
};

/* A second table, with a row for each group for which it says anything. */
static const struct column more_columns[] = {
	{ "cpu", G(cpu_seconds), 7, 1 },
	{ "limit", R(CPU, limit), 6, 2 },
	MOVES(CPU),
	{ "throttled", G(cpu_throttled), 9, 0 },
	{ "periods", G(cpu_periods), 7, 0 },
	{ "read", G(io_read_bytes), 7, 0, .scale = 1 / MIB },
	{ "limit", R(IO_READ, limit), 7, 1 },
	MOVES(IO_READ),
	{ "written", G(io_write_bytes), 7, 0, .scale = 1 / MIB },
	{ "limit", R(IO_WRITE, limit), 7, 1 },
	MOVES(IO_WRITE),
	{ "prio", G(net_priority), 4, 0 },
	MOVES(NET),
	{ 0 },
};

static const struct summary_value *value_at(const struct summary_group *group, size_t offset)
{
	return (const void *)((const char *)group + offset);
}

static void print_value(const struct summary_group *group, const struct column *column, FILE *out)
{
	const struct summary_value *value = value_at(group, column->offset);
	double number = value->value * (column->scale != 0 ? column->scale : 1);

	if (column->further)
		number += value_at(group, column->further)->value;
	if (!value->known || !isfinite(number))
		fprintf(out, " %*s", column->width, "-");
	else
		fprintf(out, " %*.*f", column->width, column->digits, number);
}

/* Escaped, and cut in the middle: the end of a path tells most. */
static void print_name(const char *name, FILE *out)
{
	enum { tail = 15, head = NAME_COLUMNS - tail - 2 };
	char q[ERR_QUOTED];
	size_t length = strlen(err_quote(name ? name : "?", q));

	if (length <= NAME_COLUMNS)
		fprintf(out, "%-*s", NAME_COLUMNS, q);
	else
		fprintf(out, "%.*s..%s", head, q, q + length - tail);
}

static void print_group(const struct summary_group *group, const struct column *column, FILE *out)
{
	print_name(group->name, out);
	for (; column->head; column++)
		print_value(group, column, out);
	fputc('\n', out);
}

static void print_head(const struct column *column, FILE *out)
{
	fprintf(out, "%-*s", NAME_COLUMNS, "group");
	for (; column->head; column++)
		fprintf(out, " %*s", column->width, column->head);
	fputc('\n', out);
}

/* CPU, I/O or NET was moved, or a limit stands. NET's is virtual, and always stands. */
static bool has_more(const struct summary_group *group)
{
	for (int i = SUMMARY_CPU; i < SUMMARY_RESOURCES; i++) {
		const struct summary_resource *r = &group->resources[i];

		if (r->grown.value + r->shrunk.value > 0 || (i != SUMMARY_NET && r->limit.known))
			return true;
	}
	return false;
}

static void print_more(const struct summary *summary, FILE *out)
{
	bool any = false;

	for (size_t i = 0; i < summary->ngroups; i++) {
		if (!has_more(&summary->groups[i]))
			continue;
		if (!any)
			print_head(more_columns, out);
		any = true;
		print_group(&summary->groups[i], more_columns, out);
	}
	if (any)
		fputs("cpu: seconds, its limit: CPUs; throttled: of these periods; read, written: "
		      "MiB, "
		      "their limits: MiB/s; -: none, or not known\n",
		      out);
}

static void print_fact(const char *before, const struct summary_value *value, double scale,
		       int digits, const char *after, FILE *out)
{
	if (value->known)
		fprintf(out, "%s%.*f%s", before, digits, value->value * scale, after);
}

static void print_drops(const struct summary_daemon *daemon, FILE *out)
{
	static const char *const names[PFUSE_DROPS] = {
		[PFUSE_DROP_RING_FULL] = "ring full",
		[PFUSE_DROP_UNSEEN_SWITCH] = "switch-in not seen",
		[PFUSE_DROP_DEEP_GROUP] = "group too deep",
	};
	const char *before = "not counted: ";

	for (int i = 0; i < PFUSE_DROPS; i++) {
		if (!daemon->drops[i].known || daemon->drops[i].value <= 0)
			continue;
		fprintf(out, "%s%s %.0f", before, names[i], daemon->drops[i].value);
		before = ", ";
	}
	if (before[0] == ',')
		fputc('\n', out);
}

static void print_daemon(const struct summary_daemon *daemon, FILE *out)
{
	char q[ERR_QUOTED];

	fprintf(out, "daemon: policy %s%s", err_quote(daemon->policy ? daemon->policy : "?", q),
		daemon->dry_run ? " (dry run: nothing was changed)" : "");
	print_fact(", ", &daemon->seconds, 1, 1, " s", out);
	print_fact(", CPU ", &daemon->cpu_seconds, 1, 3, " s", out);
	print_fact(", private ", &daemon->private_bytes, 1.0 / 1024, 0, " KiB", out);
	print_fact(", BPF ", &daemon->bpf_bytes, 1.0 / 1024, 0, " KiB", out);
	print_fact(", ", &daemon->events, 1, 0, " events", out);
	print_fact(", ", &daemon->wakeups, 1, 0, " wake-ups", out);
	fputc('\n', out);
	print_drops(daemon, out);
}

int summary_print(const struct summary *summary, FILE *out)
{
	if (summary->ngroups) {
		print_head(columns, out);
		for (size_t i = 0; i < summary->ngroups; i++)
			print_group(&summary->groups[i], columns, out);
		fputs("usage, +zram, limit: MiB*s; peak: MiB; s, stall, stopped: seconds; "
		      "-: not known\n",
		      out);
		print_more(summary, out);
	}
	print_daemon(&summary->daemon, out);
	return ferror(out) || fflush(out) != 0 ? -EIO : 0;
}
