/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The doctor's judgement of machines that we do not have. */
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>
#include <jansson.h>

#include "base/cleanup.h"
#include "cli/doctor.h"

/* Of programs for curves it is only asked whether they are there. */
static const struct probe_hook good_hooks[] = {
	{ .program = "on_switch",
	  .attach = "tp_btf/sched_switch",
	  .observes = "run and wait times",
	  .lack = "nothing is known of CPU use",
	  .required = true,
	  .available = true },
	{ .program = "copy_entries", .attach = "iter/task", .observes = "pages", .available = true },
	{ .program = "list_mappings", .attach = "iter/task_vma", .observes = "maps", .available = true },
	{ .program = "find_direct_map", .attach = "iter/task", .observes = "it", .available = true },
	{ .program = "on_file_read", .attach = "fentry/x", .observes = "reads", .available = true },
};

static struct doctor_facts healthy(void)
{
	struct doctor_facts facts = {
		.system = { .kernel = "6.12.1",
			    .root = true,
			    .btf = true,
			    .psi = true,
			    .tracefs = true,
			    .freeze = true,
			    .pidfd = true,
			    .mglru = true,
			    .capabilities = UINT64_MAX,
			    .zram_bytes = 1 << 30,
			    .files_soft = 1024,
			    .files_hard = 20000 },
		.hooks = good_hooks,
		.nhooks = ARRAY_SIZE(good_hooks),
		.keeper = "/usr/libexec/pfuse-bpf/pfuse-keeper",
		.page_out = PAGES_RECLAIM,
	};

	for (int i = 0; i < CGROUP_CONTROLLERS; i++)
		facts.system.controllers[i] = PLACE_V2;
	return facts;
}

static char *report(const struct doctor_facts *facts, bool json, enum exit_status expected)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	cr_assert_eq(doctor_report(facts, json, out), expected);
	fclose(out);
	return text;
}

Test(doctor, healthy_machine)
{
	struct doctor_facts facts = healthy();
	_cleanup_free_ char *text = report(&facts, false, EXIT_DONE);

	cr_assert_null(strstr(text, "lacks"), "%s", text);
	cr_assert_null(strstr(text, "note"), "%s", text);
	cr_assert(strstr(text, "run can work here\n"));
}

static void no_root(struct doctor_facts *facts)
{
	facts->system.root = false;
}

static void no_btf(struct doctor_facts *facts)
{
	facts->system.btf = false;
}

static void no_memory(struct doctor_facts *facts)
{
	facts->system.controllers[CGROUP_MEMORY] = PLACE_NONE;
}

static void memory_not_enabled(struct doctor_facts *facts)
{
	facts->system.controllers[CGROUP_MEMORY] = PLACE_V2_NOT_ENABLED;
}

static void no_bpf(struct doctor_facts *facts)
{
	facts->system.capabilities &= ~(UINT64_C(1) << CAP_SYS_ADMIN | UINT64_C(1) << CAP_PERFMON);
}

static void no_keeper(struct doctor_facts *facts)
{
	facts->keeper = NULL;
}

static void no_hook(struct doctor_facts *facts)
{
	static struct probe_hook hook;

	hook = good_hooks[0];
	hook.available = false;
	hook.err = -EPERM;
	facts->hooks = &hook;
	facts->nhooks = 1;
}

static const struct {
	const char *key;
	void (*harm)(struct doctor_facts *facts);
} essentials[] = {
	{ "root", no_root },
	{ "btf", no_btf },
	{ "memory", no_memory },
	{ "memory", memory_not_enabled },
	{ "cap_bpf", no_bpf },
	{ "keeper", no_keeper },
	{ "tp_btf/sched_switch", no_hook },
};

Test(doctor, each_essential_lack_is_named)
{
	for (size_t i = 0; i < ARRAY_SIZE(essentials); i++) {
		struct doctor_facts facts = healthy();
		_cleanup_free_ char *text = NULL;
		char line[128];

		essentials[i].harm(&facts);
		text = report(&facts, false, EXIT_LACKS);
		snprintf(line, sizeof(line), "run cannot work here; essential and lacking: %s",
			 essentials[i].key);
		cr_assert(strstr(text, line), "%s", text);
	}
}

/* A machine with nothing: every lack must say what it means. */
static struct doctor_facts desolate(void)
{
	static const struct probe_hook hooks[] = {
		{ .program = "on_a",
		  .attach = "tp_btf/a",
		  .observes = "emptying",
		  .fallback = "samples once per interval",
		  .lack = "seen at the next sample",
		  .err = -EPERM },
		{ .program = "on_b",
		  .attach = "tp_btf/b",
		  .observes = "bytes",
		  .fallback = "on_b_old",
		  .lack = "bytes are not known",
		  .err = -ENOENT },
		{ .program = "on_b_old",
		  .attach = "fexit/b",
		  .observes = "the same",
		  .stands_in_for = "on_b",
		  .available = true },
		{ .program = "on_c",
		  .attach = "tp_btf/c",
		  .observes = "talks",
		  .fallback = "on_c_old",
		  .lack = "talks are not seen",
		  .err = -ENOENT },
		{ .program = "on_c_old",
		  .attach = "fexit/c",
		  .observes = "the same",
		  .stands_in_for = "on_c",
		  .err = -EPERM },
	};
	struct doctor_facts facts = { .hooks = hooks,
				      .nhooks = ARRAY_SIZE(hooks),
				      .ledger = "/run/l\n" };

	strcpy(facts.system.sched_ext, "evil\033[2J");
	facts.system.autogroup = true;
	facts.system.lockdown = LOCKDOWN_CONFIDENTIALITY;
	return facts;
}

Test(doctor, json_says_the_same)
{
	struct doctor_facts facts = desolate();
	_cleanup_free_ char *text = report(&facts, true, EXIT_LACKS);
	json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL), *findings;
	size_t i, lacks = 0;
	json_t *f;

	cr_assert_not_null(root, "%s", text);
	cr_assert(json_is_false(json_object_get(root, "run_works")));
	findings = json_object_get(root, "findings");
	json_array_foreach(findings, i, f)
	{
		const char *state = json_string_value(json_object_get(f, "state"));

		cr_assert(json_is_string(json_object_get(f, "key")));
		cr_assert(json_is_string(json_object_get(f, "value")));
		lacks += strcmp(state, "lacks") == 0;
		if (strcmp(state, "ok") == 0)
			continue;
		cr_assert(json_string_length(json_object_get(f, "meaning")) > 0, "%s",
			  json_string_value(json_object_get(f, "key")));
	}
	cr_assert_geq(lacks, 15);
	json_decref(root);
}

static void expect_line(const char *text, const char *key, const char *mark, const char *value)
{
	const char *line = strstr(text, key);
	size_t length;

	cr_assert_not_null(line, "%s", key);
	while (line > text && line[-1] != '\n')
		line--;
	length = strcspn(line, "\n");
	cr_assert(memmem(line, length, mark, strlen(mark)), "%.*s", (int)length, line);
	cr_assert(memmem(line, length, value, strlen(value)), "%.*s", (int)length, line);
}

Test(doctor, text_is_aligned_printable_and_explains)
{
	struct doctor_facts facts = desolate();
	_cleanup_free_ char *text = report(&facts, false, EXIT_LACKS);

	expect_line(text, "tp_btf/a", "note", "used instead: samples once per interval");
	cr_assert(strstr(text, "-> seen at the next sample"));
	expect_line(text, "tp_btf/b", "note", "used instead: on_b_old");
	cr_assert_null(strstr(text, "bytes are not known"), "the stand-in works");
	expect_line(text, "tp_btf/c", "lacks", "talks: No such file or directory");
	cr_assert(strstr(text, "-> talks are not seen"));
	cr_assert_null(strstr(text, "fexit/c"), "a stand-in that lacks is no news");
	cr_assert(strstr(text, "/run/l\\x0a is there"));
	for (const char *c = text; *c; c++)
		cr_assert(*c == '\n' || (*c >= 0x20 && *c < 0x7f));
}

Test(doctor, hooks_that_cannot_be_probed)
{
	struct doctor_facts facts = healthy();
	_cleanup_free_ char *text = NULL;

	facts.nhooks = 0;
	facts.hooks_err = -EPERM;
	text = report(&facts, false, EXIT_DONE);
	cr_assert(strstr(text, "cannot be probed: Operation not permitted"));
}

/* Of the healthy machine's hooks, the first so many; and what else tells of pages. */
static const struct {
	unsigned int hooks;
	bool generations, damon;
	const char *mark, *value;
} curve_sources[] = {
#if defined(__x86_64__)
	{ 5, false, false, "ok", "page tables, file reads" },
	{ 5, true, true, "ok", "page tables, file reads" },
	{ 4, true, false, "note", "page tables" },
#endif
	{ 3, true, true, "note", "mglru" },
	{ 3, false, true, "lacks", "none; DAMON gives `curve` a size" },
	{ 1, false, false, "lacks", "none" },
};

Test(doctor, where_curves_come_from)
{
	for (size_t i = 0; i < ARRAY_SIZE(curve_sources); i++) {
		struct doctor_facts facts = healthy();
		_cleanup_free_ char *text = NULL;

		facts.nhooks = curve_sources[i].hooks;
		facts.generations = curve_sources[i].generations;
		facts.damon = curve_sources[i].damon;
		text = report(&facts, false, EXIT_DONE);
		expect_line(text, " source ", curve_sources[i].mark, curve_sources[i].value);
	}
}
