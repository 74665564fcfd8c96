/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The table for people: one row per group, then what the daemon itself cost. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "export/summary.h"

#define NAME_COLUMNS 28

struct column {
	const char *head;
	size_t offset;
	int width;
	int digits; /* after the point */
};

#define G(field) offsetof(struct summary_group, field)

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
};

#define NCOLUMNS (sizeof(columns) / sizeof(columns[0]))

static void print_value(const struct summary_value *value, const struct column *column, FILE *out)
{
	if (!value->known || !isfinite(value->value))
		fprintf(out, " %*s", column->width, "-");
	else
		fprintf(out, " %*.*f", column->width, column->digits, value->value);
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

static void print_group(const struct summary_group *group, FILE *out)
{
	print_name(group->name, out);
	for (size_t i = 0; i < NCOLUMNS; i++)
		print_value((const void *)((const char *)group + columns[i].offset), &columns[i],
			    out);
	fputc('\n', out);
}

static void print_head(FILE *out)
{
	fprintf(out, "%-*s", NAME_COLUMNS, "group");
	for (size_t i = 0; i < NCOLUMNS; i++)
		fprintf(out, " %*s", columns[i].width, columns[i].head);
	fputc('\n', out);
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
		print_head(out);
		for (size_t i = 0; i < summary->ngroups; i++)
			print_group(&summary->groups[i], out);
		fputs("usage, +zram, limit: MiB*s; peak: MiB; s, stall, stopped: seconds; "
		      "-: not known\n",
		      out);
	}
	print_daemon(&summary->daemon, out);
	return ferror(out) || fflush(out) != 0 ? -EIO : 0;
}
