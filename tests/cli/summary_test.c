/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The summary: every field is there and described, nothing unknown looks like a zero. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <jansson.h>

#include "base/cleanup.h"
#include "export/summary.h"

/* Figures of a group: everything behind its names and id. */
#define FIGURES                                                                                    \
	((sizeof(struct summary_group) - offsetof(struct summary_group, seconds)) /                \
	 sizeof(struct summary_value))

static void clean_json(json_t **json)
{
	json_decref(*json);
}

static json_t *parse_summary(const struct summary *summary)
{
	_cleanup_free_ char *text = summary_json(summary);
	json_error_t error;
	json_t *root;

	cr_assert_not_null(text);
	root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	cr_assert_not_null(root, "%s", error.text);
	return root;
}

/* Every figure of a struct that is nothing but struct summary_value from `first` on. */
static void fill(struct summary_value *first, const void *end)
{
	for (double v = 1; (void *)first < end; first++, v++)
		*first = summary_known(v);
}

static struct summary_group full_group(void)
{
	struct summary_group group = { .name = "docker:web",
				       .path = "docker/0123",
				       .id = UINT64_C(18446744073709551615),
				       .type = "service",
				       .character = "interactive",
				       .curve_source = "page tables" };

	fill(&group.seconds, &group + 1);
	return group;
}

static struct summary_daemon full_daemon(void)
{
	struct summary_daemon daemon = { .policy = "fusebox",
					 .version = "0.1.0",
					 .kernel = "6.18",
					 .hierarchy = "v2",
					 .dry_run = true };

	fill(&daemon.seconds, &daemon + 1);
	return daemon;
}

/* Walks the object: nulls have a reason, known figures have none; returns the number of nulls. */
static unsigned count_nulls(json_t *object)
{
	unsigned nulls = 0;
	const char *key;
	json_t *value;

	json_object_foreach (object, key, value) {
		char reason[128];

		if (json_is_object(value)) {
			nulls += count_nulls(value);
			continue;
		}
		snprintf(reason, sizeof(reason), "%s_reason", key);
		if (json_is_null(value)) {
			nulls++;
			cr_assert(json_string_length(json_object_get(object, reason)) > 0, "%s",
				  key);
		} else {
			cr_assert_null(json_object_get(object, reason), "%s", key);
		}
	}
	return nulls;
}

Test(summary, full)
{
	struct summary_group group = full_group();
	struct summary s = { .daemon = full_daemon(), .groups = &group, .ngroups = 1 };
	_cleanup_(clean_json) json_t *root = parse_summary(&s);
	json_t *daemon = json_object_get(root, "daemon"), *g;

	cr_assert_eq(json_integer_value(json_object_get(root, "schema")), SUMMARY_SCHEMA);
	cr_assert_eq(count_nulls(daemon), 0);
	cr_assert(json_is_true(json_object_get(daemon, "dry_run")));
	cr_assert_eq(json_number_value(json_object_get(daemon, "seconds")), 1);
	g = json_array_get(json_object_get(root, "groups"), 0);
	cr_assert_eq(count_nulls(g), 0);
	cr_assert_str_eq(json_string_value(json_object_get(g, "id")), "18446744073709551615");
	cr_assert(json_is_real(json_object_get(g, "usage_mib_s")));
	cr_assert(json_is_integer(json_object_get(g, "oom_kills")));
	cr_assert(json_is_integer(json_object_get(json_object_get(g, "decisions"), "grown")));
}

/* Each summary_value of the structs shows up, once: the values are 1, 2, 3, … */
static void mark_seen(json_t *object, bool *seen, size_t n)
{
	const char *key;
	json_t *value;

	json_object_foreach (object, key, value) {
		size_t at = (size_t)json_number_value(value);

		if (json_is_object(value))
			mark_seen(value, seen, n);
		if (!json_is_number(value))
			continue;
		cr_assert(at >= 1 && at <= n && !seen[at - 1], "%s", key);
		seen[at - 1] = true;
	}
}

Test(summary, every_figure_of_the_structs_is_written_once)
{
	struct summary_group group = full_group();
	struct summary s = { .daemon = full_daemon(), .groups = &group, .ngroups = 1 };
	_cleanup_(clean_json) json_t *root = parse_summary(&s);
	enum {
		of_daemon = (sizeof(s.daemon) - offsetof(struct summary_daemon, seconds)) /
			    sizeof(struct summary_value),
		of_group = FIGURES,
	};
	bool daemon_seen[of_daemon] = { 0 }, group_seen[of_group] = { 0 };

	mark_seen(json_object_get(root, "daemon"), daemon_seen, of_daemon);
	mark_seen(json_array_get(json_object_get(root, "groups"), 0), group_seen, of_group);
	for (size_t i = 0; i < of_daemon; i++)
		cr_assert(daemon_seen[i], "figure %zu of the daemon", i);
	for (size_t i = 0; i < of_group; i++)
		cr_assert(group_seen[i], "figure %zu of a group", i);
}

Test(summary, what_nobody_filled_in_is_null_with_a_reason)
{
	struct summary_group group = { .id = 7 };
	struct summary s = { .groups = &group, .ngroups = 1 };
	_cleanup_(clean_json) json_t *root = NULL;
	json_t *g;

	group.oom_kills = summary_unknown("this kernel does not count them");
	group.seconds = summary_known(NAN);
	group.talks = summary_known(1e300);
	group.refaults = summary_known(0);
	root = parse_summary(&s);
	g = json_array_get(json_object_get(root, "groups"), 0);
	cr_assert_eq(count_nulls(json_object_get(root, "daemon")), 4 + 6 + PFUSE_DROPS);
	cr_assert_eq(count_nulls(g), 5 + FIGURES - 1);
	cr_assert_str_eq(json_string_value(json_object_get(g, "oom_kills_reason")),
			 "this kernel does not count them");
	cr_assert_str_eq(json_string_value(json_object_get(g, "seconds_reason")), "out of range");
	cr_assert_str_eq(json_string_value(json_object_get(g, "talks_reason")), "out of range");
	cr_assert_str_eq(json_string_value(json_object_get(g, "faults_reason")), "not measured");
	cr_assert(json_is_integer(json_object_get(g, "refaults")));
}

static char *read_docs(void)
{
	_cleanup_free_ char *path = NULL;
	const char *source = getenv("PFUSE_SOURCE");
	_cleanup_fclose_ FILE *file = NULL;
	char *text = calloc(1, 1 << 16);

	cr_assert_not_null(text);
	if (asprintf(&path, "%s/docs/summary.md", source ? source : ".") < 0)
		abort();
	file = fopen(path, "re");
	cr_assert(file && fread(text, 1, (1 << 16) - 1, file) > 0, "%s", path);
	return text;
}

static void expect_documented(const char *docs, const char *section, json_t *object)
{
	const char *key;
	json_t *value;

	json_object_foreach (object, key, value) {
		char name[128];

		snprintf(name, sizeof(name), "`%s%s%s`", section, section[0] ? "." : "", key);
		if (json_is_object(value))
			expect_documented(docs, key, value);
		else
			cr_assert(strstr(docs, name), "docs/summary.md does not describe %s", name);
	}
}

Test(summary, every_field_is_documented)
{
	_cleanup_free_ char *docs = read_docs();
	struct summary_group group = full_group();
	struct summary s = { .daemon = full_daemon(), .groups = &group, .ngroups = 1 };
	_cleanup_(clean_json) json_t *root = parse_summary(&s);

	expect_documented(docs, "", json_object_get(root, "daemon"));
	expect_documented(docs, "", json_array_get(json_object_get(root, "groups"), 0));
}

Test(summary, latency_of_a_histogram)
{
	struct hist hist = { 0 };
	struct summary_latency latency = summary_latency(&hist);

	cr_assert(latency.count.known && latency.count.value == 0);
	cr_assert(!latency.p50_us.known && latency.p50_us.reason);
	for (uint64_t ns = 1000; ns <= 100000; ns += 1000)
		hist_record(&hist, ns);
	latency = summary_latency(&hist);
	cr_assert_eq(latency.count.value, 100);
	cr_assert(latency.p50_us.value >= 50 && latency.p50_us.value <= 50 * 17.0 / 16);
	cr_assert(latency.p99_us.value >= 99 && latency.p99_us.value <= 100);
	hist_free(&hist);
}

static char *print(const struct summary *s)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	cr_assert_eq(summary_print(s, out), 0);
	fclose(out);
	return text;
}

static void hostile_names(char names[3][4096])
{
	memset(names[0], 'x', 4095);
	snprintf(names[1], 4096, "a\nb\t\033[2Jc\r\"\\");
	for (int i = 0; i < 4095; i++)
		names[2][i] = (char)(i % 255 + 1);
	names[0][4095] = names[2][4095] = '\0';
}

Test(summary, hostile_names_leave_table_and_json_intact)
{
	static char names[3][4096];
	struct summary_group groups[3] = { full_group(), full_group(), full_group() };
	struct summary s = { .daemon = full_daemon(), .groups = groups, .ngroups = 3 };
	_cleanup_free_ char *text = NULL;
	_cleanup_(clean_json) json_t *root = NULL;
	unsigned lines = 0;
	size_t width;

	hostile_names(names);
	for (int i = 0; i < 3; i++)
		groups[i].name = groups[i].path = names[i];
	text = print(&s);
	width = strcspn(text, "\n");
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++) {
		if (lines < 4)
			cr_assert_eq(strlen(line), width, "%s", line);
		cr_assert_leq(strlen(line), 132, "%s", line);
		for (char *c = line; *c; c++)
			cr_assert(*c >= 0x20 && *c < 0x7f);
	}
	cr_assert_eq(lines, 2 * (1 + 3 + 1) + 1 + 1, "twice head, groups, units; daemon, drops");
	root = parse_summary(&s);
	cr_assert_eq(json_string_length(json_object_get(
			     json_array_get(json_object_get(root, "groups"), 0), "name")),
		     4095);
}

/* A group that is only observed has no row there: a limit, or a move, is what it is about. */
Test(summary, second_table_only_where_it_says_something)
{
	struct summary_group groups[3] = { { .name = "seen" },
					   { .name = "held" },
					   { .name = "net" } };
	struct summary s = { .groups = groups, .ngroups = 3 };
	_cleanup_free_ char *text = NULL, *without = NULL;
	const char *second;

	groups[0].resources[SUMMARY_NET].limit = summary_known(1);
	without = print(&(struct summary){ .groups = groups, .ngroups = 1 });
	cr_assert_null(strstr(without, "throttled"));
	groups[1].resources[SUMMARY_CPU].limit = summary_known(0.5);
	groups[1].cpu_periods = summary_known(100);
	groups[1].cpu_throttled = summary_known(12);
	groups[1].io_read_bytes = summary_known(3 * 1048576.0);
	groups[2].resources[SUMMARY_NET].grown = summary_known(2);
	groups[2].resources[SUMMARY_NET].shrunk = summary_known(3);
	text = print(&s);
	second = strstr(text, "throttled");
	cr_assert_not_null(second);
	cr_assert_null(strstr(second, "seen"));
	cr_assert(strstr(second,
			 "\nheld                               -   0.50     -        12     "
			 "100       3       -     -       -       -     -    -     -\n"),
		  "%s", second);
	cr_assert(strstr(second, "  -     5\n"), "both directions of the priority: %s", second);
}

Test(summary, table_of_a_run_without_groups)
{
	struct summary s = { 0 };
	_cleanup_free_ char *text = print(&s);

	cr_assert_str_eq(text, "daemon: policy ?\n");
}

static void expect_refusal(const char *path, int code, const char *part)
{
	struct err err = { "" };
	struct summary s = { 0 };

	cr_assert_eq(summary_check_writable(path, &err), code, "%s", err.text);
	cr_assert(strstr(err.text, part), "%s", err.text);
	if (code == -EINVAL)
		return;
	cr_assert_eq(summary_write(&s, path, &err), code);
}

Test(summary, file)
{
	char dir[] = "/tmp/pfuse-summary-XXXXXX", path[64];
	struct summary_group group = full_group();
	struct summary s = { .daemon = full_daemon(), .groups = &group, .ngroups = 1 };
	_cleanup_(clean_json) json_t *root = NULL;
	struct err err = { "" };
	struct stat st;

	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s.json", dir);
	cr_assert_eq(summary_check_writable(path, &err), 0, "%s", err.text);
	cr_assert_eq(access(path, F_OK), -1, "the check leaves nothing behind");
	cr_assert_eq(rmdir(dir), 0, "really nothing");
	cr_assert_eq(mkdir(dir, 0700), 0);
	umask(077);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(summary_write(&s, path, &err), 0, "%s", err.text);
	cr_assert(stat(path, &st) == 0 && (st.st_mode & 07777) == 0644);
	root = json_load_file(path, 0, NULL);
	cr_assert_not_null(root);
	unlink(path);
	cr_assert_eq(rmdir(dir), 0, "no temporary file is left");
}

Test(summary, places_that_cannot_be_written)
{
	expect_refusal("/nonexistent/dir/s.json", -ENOENT, "create its directory first");
	expect_refusal("/dev/null", -EINVAL, "must go to a regular file");
	expect_refusal("/tmp", -EINVAL, "must go to a regular file");
	expect_refusal("/proc/self/status/s.json", -ENOTDIR, "cannot write the summary");
}
