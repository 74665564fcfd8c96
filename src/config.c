/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/cpulist.h"
#include "config_doc.h"
#include "core/parse.h"

#define FILE_MAX_BYTES (UINT64_C(1) << 20)
#define GROUPS_MAX 10000
#define MATCH_MAX 4096
#define VALUE_MAX 64
#define WEIGHTS_MAX_BYTES 1024
#define LIST_MAX_BYTES 1024
#define WEIGHT_MAX 10000000 /* in the kernel's unit: more than any cpu.weight can be */

#define MS UINT64_C(1000000)
#define S (1000 * MS)
#define HOUR (3600 * S)

const char *const config_policy_words[] = { "fusebox", "adaptive", NULL };
const char *const config_stop_words[] = { "auto", "freeze", "signal", NULL };

static const char *const later_words[] = { NULL };

/*
 * The file as libcyaml reads it. Quantities stay text: their units are ours to parse. Words are
 * their enum value + 1, so that 0 is "not given".
 */
struct raw_cpu {
	int mode;
	char *floor;
	char *ceiling;
	char *cpus;
	char *mems;
};

struct raw_io {
	int mode;
	char *floor;
	char *ceiling;
};

struct raw_net {
	int mode;
	char *low;
	char *high;
};

struct raw_ram {
	int mode;
	char *floor;
	char *ceiling;
	char *high_water;
	char *cool_down;
	char *grace;
};

struct raw_tables {
	int interactive;
	int batch;
	int mixed;
};

struct raw_cpus {
	char *alpha;
	char *beta;
	char *check;
	char *wait_p99;
	char *utilisation;
	int partition;
};

struct raw_weights {
	char *first;
	char *list;
};

struct raw_group {
	char *match;
	struct raw_ram ram;
	struct raw_cpu cpu;
	struct raw_io io;
	struct raw_net net;
	int freeze;
	int foreign;
	char *idle;
	char *deadline;
	char *window;
	char *probe;
	int page_out;
	int type;
	int character;
	char *nice;
	int table;
	struct raw_tables tables;
	char *slice;
};

struct raw {
	int policy;
	int stop;
	char *interval;
	struct raw_cpus cpus;
	struct raw_weights weights;
	struct raw_group *groups;
	unsigned groups_count;
};

static const cyaml_strval_t policy_values[] = {
	{ "fusebox", CONFIG_FUSEBOX + 1 },
	{ "adaptive", CONFIG_ADAPTIVE + 1 },
};

static const cyaml_strval_t stop_values[] = {
	{ "auto", CONFIG_STOP_AUTO + 1 },
	{ "freeze", CONFIG_STOP_FREEZE + 1 },
	{ "signal", CONFIG_STOP_SIGNAL + 1 },
};

static const cyaml_strval_t mode_values[] = {
	{ "observe", FCB_OBSERVE + 1 },
	{ "off", FCB_OFF + 1 },
	{ "act", FCB_ACT + 1 },
};

static const cyaml_strval_t freeze_values[] = {
	{ "off", FCB_FREEZE_OFF + 1 },
	{ "isolated", FCB_FREEZE_ISOLATED + 1 },
	{ "guarded", FCB_FREEZE_GUARDED + 1 },
};

static const cyaml_strval_t foreign_values[] = {
	{ "auto", FCB_FOREIGN_AUTO + 1 },
	{ "let_go", FCB_FOREIGN_LET_GO + 1 },
	{ "reapply", FCB_FOREIGN_REAPPLY + 1 },
};

static const cyaml_strval_t switch_values[] = {
	{ "off", 0 + 1 },
	{ "on", 1 + 1 },
};

static const cyaml_strval_t type_values[] = {
	{ "off", WORKLOAD_OFF + 1 },
	{ "auto", WORKLOAD_AUTO + 1 },
	{ "service", WORKLOAD_SERVICE + 1 },
	{ "scientific", WORKLOAD_SCIENTIFIC + 1 },
};

static const cyaml_strval_t character_values[] = {
	{ "off", PRIO_OFF + 1 },
	{ "auto", PRIO_AUTO + 1 },
	{ "interactive", PRIO_INTERACTIVE + 1 },
	{ "batch", PRIO_BATCH + 1 },
	{ "mixed", PRIO_MIXED + 1 },
};

static const cyaml_strval_t partition_values[] = {
	{ "off", CONFIG_PARTITION_OFF + 1 },
	{ "root", CONFIG_PARTITION_ROOT + 1 },
	{ "isolated", CONFIG_PARTITION_ISOLATED + 1 },
};

static const cyaml_strval_t table_values[] = {
	{ "kernel", PRIO_KERNEL + 1 },
	{ "grouped2", PRIO_GROUPED2 + 1 },
	{ "grouped5", PRIO_GROUPED5 + 1 },
	{ "refined", PRIO_REFINED + 1 },
	{ "own", PRIO_OWN + 1 },
};

#define WORD(key, type, field, values, count)                                                      \
	CYAML_FIELD_ENUM(key, CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, type, field, values, count)
#define TEXT(key, type, field)                                                                     \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, field, 0,      \
			       VALUE_MAX)

#define MODE(type) WORD("mode", type, mode, mode_values, ARRAY_SIZE(mode_values))

static const cyaml_schema_field_t cpu_fields[] = {
	MODE(struct raw_cpu),
	TEXT("floor", struct raw_cpu, floor),
	TEXT("ceiling", struct raw_cpu, ceiling),
	CYAML_FIELD_STRING_PTR("cpus", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct raw_cpu, cpus,
			       0, LIST_MAX_BYTES),
	CYAML_FIELD_STRING_PTR("mems", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct raw_cpu, mems,
			       0, LIST_MAX_BYTES),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t io_fields[] = {
	MODE(struct raw_io),
	TEXT("floor", struct raw_io, floor),
	TEXT("ceiling", struct raw_io, ceiling),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t net_fields[] = {
	MODE(struct raw_net),
	TEXT("low", struct raw_net, low),
	TEXT("high", struct raw_net, high),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t ram_fields[] = {
	MODE(struct raw_ram),
	TEXT("floor", struct raw_ram, floor),
	TEXT("ceiling", struct raw_ram, ceiling),
	TEXT("high_water", struct raw_ram, high_water),
	TEXT("cool_down", struct raw_ram, cool_down),
	TEXT("grace", struct raw_ram, grace),
	CYAML_FIELD_END,
};

#define TABLE(key, type, field) WORD(key, type, field, table_values, ARRAY_SIZE(table_values))

static const cyaml_schema_field_t tables_fields[] = {
	TABLE("interactive", struct raw_tables, interactive),
	TABLE("batch", struct raw_tables, batch),
	TABLE("mixed", struct raw_tables, mixed),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t cpus_fields[] = {
	TEXT("alpha", struct raw_cpus, alpha),
	TEXT("beta", struct raw_cpus, beta),
	TEXT("check", struct raw_cpus, check),
	TEXT("wait_p99", struct raw_cpus, wait_p99),
	TEXT("utilisation", struct raw_cpus, utilisation),
	WORD("partition", struct raw_cpus, partition, partition_values,
	     ARRAY_SIZE(partition_values)),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t weights_fields[] = {
	TEXT("first", struct raw_weights, first),
	CYAML_FIELD_STRING_PTR("list", CYAML_FLAG_POINTER, struct raw_weights, list, 0,
			       WEIGHTS_MAX_BYTES),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t group_fields[] = {
	CYAML_FIELD_STRING_PTR("match", CYAML_FLAG_POINTER, struct raw_group, match, 0, MATCH_MAX),
	CYAML_FIELD_MAPPING("ram", CYAML_FLAG_OPTIONAL, struct raw_group, ram, ram_fields),
	CYAML_FIELD_MAPPING("cpu", CYAML_FLAG_OPTIONAL, struct raw_group, cpu, cpu_fields),
	CYAML_FIELD_MAPPING("io", CYAML_FLAG_OPTIONAL, struct raw_group, io, io_fields),
	CYAML_FIELD_MAPPING("net", CYAML_FLAG_OPTIONAL, struct raw_group, net, net_fields),
	WORD("freeze", struct raw_group, freeze, freeze_values, ARRAY_SIZE(freeze_values)),
	WORD("foreign", struct raw_group, foreign, foreign_values, ARRAY_SIZE(foreign_values)),
	TEXT("idle", struct raw_group, idle),
	TEXT("deadline", struct raw_group, deadline),
	TEXT("window", struct raw_group, window),
	TEXT("probe", struct raw_group, probe),
	WORD("page_out", struct raw_group, page_out, switch_values, ARRAY_SIZE(switch_values)),
	WORD("type", struct raw_group, type, type_values, ARRAY_SIZE(type_values)),
	WORD("character", struct raw_group, character, character_values,
	     ARRAY_SIZE(character_values)),
	TEXT("nice", struct raw_group, nice),
	TABLE("table", struct raw_group, table),
	CYAML_FIELD_MAPPING("tables", CYAML_FLAG_OPTIONAL, struct raw_group, tables, tables_fields),
	TEXT("slice", struct raw_group, slice),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t group_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_group, group_fields),
};

static const cyaml_schema_field_t file_fields[] = {
	WORD("policy", struct raw, policy, policy_values, ARRAY_SIZE(policy_values)),
	TEXT("interval", struct raw, interval),
	WORD("stop", struct raw, stop, stop_values, ARRAY_SIZE(stop_values)),
	CYAML_FIELD_MAPPING("cpus", CYAML_FLAG_OPTIONAL, struct raw, cpus, cpus_fields),
	CYAML_FIELD_MAPPING("weights", CYAML_FLAG_OPTIONAL, struct raw, weights, weights_fields),
	CYAML_FIELD_SEQUENCE("groups", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct raw, groups,
			     &group_schema, 0, GROUPS_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t file_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw, file_fields),
};

const struct config_key config_keys[] = {
	{ NULL, "policy", "fusebox|adaptive", "the rule that decides about memory" },
	{ NULL, "interval", "1ms to 60s", "how often the groups are sampled (1s)" },
	{ NULL, "stop", "auto, freeze, signal", "how groups are stopped (auto)" },
	{ NULL, "cpus", "{ ... }", "how CPUs are split among groups with a type" },
	{ NULL, "weights", "{ ... }", "a priority table of your own" },
	{ NULL, "groups", "a list", "the first entry whose match fits a group is its policy" },
	{ "groups", "match", "GROUP or a glob", "which groups; always needed" },
	{ "groups", "ram", "{ ... }", "memory" },
	{ "groups", "cpu", "{ ... }", "CPU time" },
	{ "groups", "io", "{ ... }", "disks, reading and writing" },
	{ "groups", "net", "{ ... }", "priority of the group's sockets" },
	{ "groups", "freeze", "off, isolated, guarded",
	  "isolated: stopped when idle and silent (isolated)" },
	{ "groups", "foreign", "auto, let_go, reapply",
	  "a memory limit that somebody else changed; auto: set again if they put back the old (auto)" },
	{ "groups", "idle", "1ms to 24h", "how long idle before it is stopped (10s)" },
	{ "groups", "deadline", "1s to 24h", "longest stop (25s)" },
	{ "groups", "window", "100ms to 1h", "how long it must have talked with nobody (10s)" },
	{ "groups", "probe", "0s to 1h",
	  "guarded: what ends so soon after a wake is a health check (500ms)" },
	{ "groups", "page_out", "off, on", "guarded: what is frozen goes to swap (off)" },
	{ "groups", "type", "off, auto, service, scientific",
	  "services get the CPUs that they need, scientific groups the others (off)" },
	{ "groups", "character", "off, auto, interactive, batch, mixed",
	  "weight by a priority table that goes with the character (off)" },
	{ "groups", "nice", "-30 to 29", "its place in that table (0)" },
	{ "groups", "table", "kernel, grouped2, grouped5, refined, own", "for every character" },
	{ "groups", "tables", "{ ... }", "one for each character" },
	{ "groups", "slice", "0.1ms to 100ms",
	  "batch: how long a task runs before others get their turn (the kernel's)" },
	{ "tables", "interactive", "kernel, grouped2, grouped5, refined, own", "(kernel)" },
	{ "tables", "batch", "kernel, grouped2, grouped5, refined, own", "(grouped5)" },
	{ "tables", "mixed", "kernel, grouped2, grouped5, refined, own", "(kernel)" },
	{ "weights", "first", "-30 to 29", "nice value of the first weight (-20)" },
	{ "weights", "list", "numbers", "up to 60 weights, one for each nice value; 1024 is nice 0" },
	{ "cpus", "alpha", "1% to 100%",
	  "usage, of what its tasks could use, from which a group is taken for scientific (80%)" },
	{ "cpus", "beta", "0 to 1000", "so many checks and one more move it (3)" },
	{ "cpus", "check", "10ms to 1h",
	  "how often usage is compared; rounded up to whole intervals (1s)" },
	{ "cpus", "wait_p99", "0s to 10s",
	  "a service's run-queue wait is to stay below in 99 of 100 cases; 0s: any (10ms)" },
	{ "cpus", "utilisation", "1% to 100%", "share of its CPUs that a service is to use (70%)" },
	{ "cpus", "partition", "off, root, isolated",
	  "v2: keep everybody else off the CPUs that a group has for itself (off)" },
	{ "ram", "mode", "observe, off, act", "act: set the limit (act)" },
	{ "ram", "floor", "64M", "no limit below (16M)" },
	{ "ram", "ceiling", "4G", "no limit above (the machine's RAM)" },
	{ "ram", "high_water", "50% to 99%",
	  "share of a limit from which usage counts as high; also of cpu and io (90%)" },
	{ "ram", "cool_down", "0s to 1h",
	  "no shrink for so long after a growth; also of cpu, io and net (3s)" },
	{ "ram", "grace", "0s to 1h", "adaptive: nothing is reclaimed for so long after the start (20s)" },
	{ "cpu", "mode", "observe, off, act", "act: set the limit (observe)" },
	{ "cpu", "floor", "0.05", "CPUs; no limit below (0.05)" },
	{ "cpu", "ceiling", "2", "CPUs; no limit above (all CPUs, where the limit is lifted)" },
	{ "cpu", "cpus", "0-3,8", "the CPUs that it may use (as they are)" },
	{ "cpu", "mems", "0", "the memory nodes that it may use (as they are)" },
	{ "io", "mode", "observe, off, act", "act: set the limits (observe)" },
	{ "io", "floor", "1M", "per second, disk and direction; no limit below (1M)" },
	{ "io", "ceiling", "500M",
	  "the same; no limit above (twice the best rate seen, where the limit is lifted)" },
	{ "net", "mode", "observe, off, act", "act: set the priority (observe)" },
	{ "net", "low", "0 to 7", "lowest priority (0)" },
	{ "net", "high", "0 to 7", "highest priority (6)" },
	{ 0 },
};

void config_default(struct config *ret)
{
	*ret = (struct config){
		.policy = CONFIG_FUSEBOX,
		.stop = CONFIG_STOP_AUTO,
		.interval_ns = 1 * S,
	};
	workload_policy_defaults(&ret->cpus);
	ret->defaults.grace_ns = 20 * S;
	fcb_policy_defaults(&ret->defaults.policy, 0); /* 0: the ceiling is what the machine has */
}

/* Where a value stands in the file, for messages. */
struct place {
	struct config_doc *doc;
	struct err *err;
	int entry; /* of groups; −1: the top level */
};

static void take_word(int raw, uint8_t *field)
{
	if (raw)
		*field = (uint8_t)(raw - 1);
}

static int bad_value(const struct place *at, const char *section, const char *key, const char *text,
		     const char *allowed)
{
	char q[ERR_QUOTED];

	return err_set(at->err, -EINVAL, "%s:%u: %s%s%s: \"%s\" is not allowed; allowed: %s",
		       at->doc->name, config_doc_line(at->doc, at->entry, section, key),
		       section ? section : "", section ? "." : "", key, err_quote(text, q),
		       allowed);
}

static int take_duration(const struct place *at, const char *section, const char *key,
			 const char *text, uint64_t min, uint64_t max, const char *allowed,
			 uint64_t *field)
{
	uint64_t ns;

	if (!text)
		return 0;
	if (!parse_duration(text, strlen(text), &ns) || ns < min || ns > max)
		return bad_value(at, section, key, text, allowed);
	*field = ns;
	return 0;
}

static int take_size(const struct place *at, const char *key, const char *text, uint64_t *field)
{
	uint64_t bytes;

	if (!text)
		return 0;
	if (!parse_size(text, strlen(text), &bytes) || bytes == 0 || bytes >= UINT64_C(1) << 62)
		return bad_value(at, "ram", key, text,
				 "a size above 0, with K, M, G or T, like 64M");
	*field = bytes;
	return 0;
}

static int take_high_water(const struct place *at, const char *text, uint32_t *field)
{
	uint32_t permille;

	if (!text)
		return 0;
	if (!parse_permille(text, strlen(text), &permille) || permille < 500 || permille > 990)
		return bad_value(at, "ram", "high_water", text, "50% to 99%");
	*field = permille;
	return 0;
}

static int take_ram(const struct place *at, const struct raw_ram *raw, struct fcb_policy *policy)
{
	int r;

	r = take_size(at, "floor", raw->floor, &policy->ram_floor_bytes);
	if (r < 0)
		return r;
	r = take_size(at, "ceiling", raw->ceiling, &policy->ram_ceiling_bytes);
	if (r < 0)
		return r;
	if (policy->ram_ceiling_bytes && policy->ram_floor_bytes > policy->ram_ceiling_bytes)
		return err_set(at->err, -EINVAL,
			       "%s:%u: ram: the floor (%llu bytes%s) is above the ceiling "
			       "(%llu bytes); allowed: floor <= ceiling",
			       at->doc->name,
			       config_doc_line(at->doc, at->entry, "ram",
					       raw->floor ? "floor" : "ceiling"),
			       (unsigned long long)policy->ram_floor_bytes,
			       raw->floor ? "" : ", the default",
			       (unsigned long long)policy->ram_ceiling_bytes);
	r = take_high_water(at, raw->high_water, &policy->high_water_permille);
	if (r < 0)
		return r;
	return take_duration(at, "ram", "cool_down", raw->cool_down, 0, HOUR,
			     "a duration from 0s to 1h", &policy->cool_down_ns);
}

static int take_cpus(const struct place *at, const char *key, const char *text, uint32_t *field)
{
	uint32_t permille;

	if (!text)
		return 0;
	if (!parse_cpus(text, strlen(text), &permille) || permille < 10)
		return bad_value(at, "cpu", key, text, "a number of CPUs from 0.01, like 0.5");
	*field = permille;
	return 0;
}

static int take_cpu(const struct place *at, const struct raw_cpu *raw, struct fcb_policy *policy)
{
	uint32_t *floor = &policy->cpu_floor_permille, *ceiling = &policy->cpu_ceiling_permille;
	int r;

	take_word(raw->mode, &policy->mode[FCB_CPU]);
	r = take_cpus(at, "floor", raw->floor, floor);
	if (r < 0)
		return r;
	r = take_cpus(at, "ceiling", raw->ceiling, ceiling);
	if (r < 0)
		return r;
	if (*ceiling && *floor > *ceiling)
		return err_set(
			at->err, -EINVAL,
			"%s:%u: cpu: the floor (%.2f CPUs%s) is above the ceiling (%.2f CPUs); "
			"allowed: floor <= ceiling",
			at->doc->name,
			config_doc_line(at->doc, at->entry, "cpu",
					raw->floor ? "floor" : "ceiling"),
			*floor / 1000.0, raw->floor ? "" : ", the default", *ceiling / 1000.0);
	return 0;
}

static int take_list(const struct place *at, const char *key, const char *text, char **ret)
{
	struct cpulist list;

	if (!text)
		return 0;
	if (cpulist_parse(text, &list) < 0 || cpulist_next(&list, 0) == CPULIST_IDS)
		return bad_value(at, "cpu", key, text, "a list of numbers, like 0-3,8");
	*ret = strdup(text);
	return *ret ? 0 : err_set(at->err, -ENOMEM, "%s: no memory", at->doc->name);
}

/* A split gives and takes CPUs by itself. */
static int take_places(const struct place *at, const struct raw_group *raw,
		       struct config_group *group)
{
	int r = take_list(at, "cpus", raw->cpu.cpus, &group->cpu_list);

	if (r == 0)
		r = take_list(at, "mems", raw->cpu.mems, &group->mem_list);
	if (r == 0 && group->cpu_list && group->cpus.type != WORKLOAD_OFF)
		return err_set(at->err, -EINVAL,
			       "%s:%u: cpu: cpus and type exclude each other; a group with a type is "
			       "given its CPUs",
			       at->doc->name, config_doc_line(at->doc, at->entry, "cpu", "cpus"));
	return r;
}

static int take_rate(const struct place *at, const char *key, const char *text, uint32_t *field_kib)
{
	uint64_t bytes;

	if (!text)
		return 0;
	if (!parse_size(text, strlen(text), &bytes) || bytes < UINT64_C(64) << 10 ||
	    bytes > UINT64_C(1) << 40)
		return bad_value(at, "io", key, text, "a size per second from 64K to 1T, like 10M");
	*field_kib = (uint32_t)(bytes >> 10);
	return 0;
}

static int take_io(const struct place *at, const struct raw_io *raw, struct fcb_policy *policy)
{
	int r;

	take_word(raw->mode, &policy->mode[FCB_IO_READ]);
	take_word(raw->mode, &policy->mode[FCB_IO_WRITE]);
	r = take_rate(at, "floor", raw->floor, &policy->io_floor_kib);
	if (r < 0)
		return r;
	r = take_rate(at, "ceiling", raw->ceiling, &policy->io_ceiling_kib);
	if (r < 0)
		return r;
	if (policy->io_ceiling_kib && policy->io_floor_kib > policy->io_ceiling_kib)
		return err_set(
			at->err, -EINVAL,
			"%s:%u: io: the floor (%u KiB%s) is above the ceiling (%u KiB); "
			"allowed: floor <= ceiling",
			at->doc->name,
			config_doc_line(at->doc, at->entry, "io", raw->floor ? "floor" : "ceiling"),
			policy->io_floor_kib, raw->floor ? "" : ", the default",
			policy->io_ceiling_kib);
	return 0;
}

static int take_level(const struct place *at, const char *key, const char *text, uint8_t *field)
{
	uint64_t level;

	if (!text)
		return 0;
	if (!parse_u64(text, strlen(text), &level) || level > 7)
		return bad_value(at, "net", key, text, "a socket priority from 0 to 7");
	*field = (uint8_t)level;
	return 0;
}

static int take_net(const struct place *at, const struct raw_net *raw, struct fcb_policy *policy)
{
	int r;

	take_word(raw->mode, &policy->mode[FCB_NET]);
	r = take_level(at, "low", raw->low, &policy->net_low);
	if (r < 0)
		return r;
	r = take_level(at, "high", raw->high, &policy->net_high);
	if (r < 0)
		return r;
	if (policy->net_low > policy->net_high)
		return err_set(at->err, -EINVAL,
			       "%s:%u: net: low (%u) is above high (%u%s); allowed: low <= high",
			       at->doc->name, config_doc_line(at->doc, at->entry, "net", "low"),
			       policy->net_low, policy->net_high, raw->high ? "" : ", the default");
	return 0;
}

static int take_times(const struct place *at, const struct raw_group *raw,
		      struct fcb_policy *policy)
{
	int r;

	r = take_duration(at, NULL, "idle", raw->idle, 1 * MS, 24 * HOUR,
			  "a duration from 1ms to 24h", &policy->idle_ns);
	if (r < 0)
		return r;
	r = take_duration(at, NULL, "deadline", raw->deadline, 1 * S, 24 * HOUR,
			  "a duration from 1s to 24h", &policy->deadline_ns);
	if (r < 0)
		return r;
	r = take_duration(at, NULL, "window", raw->window, 100 * MS, HOUR,
			  "a duration from 100ms to 1h", &policy->window_ns);
	if (r < 0)
		return r;
	return take_duration(at, NULL, "probe", raw->probe, 0, HOUR, "a duration from 0s to 1h",
			     &policy->probe_ns);
}

/* Whole numbers only; a minus sign where `min` allows it. */
static int take_number(const struct place *at, const char *section, const char *key,
		       const char *text, int64_t min, int64_t max, const char *allowed,
		       int64_t *field)
{
	bool negative = text && text[0] == '-';
	uint64_t size;
	int64_t value;

	if (!text)
		return 0;
	if (!parse_u64(text + negative, strlen(text) - negative, &size) || size > INT32_MAX)
		return bad_value(at, section, key, text, allowed);
	value = negative ? -(int64_t)size : (int64_t)size;
	if (value < min || value > max)
		return bad_value(at, section, key, text, allowed);
	*field = value;
	return 0;
}

static void take_table(int raw, struct cpus_policy *policy, enum pfuse_character character)
{
	take_word(raw, &policy->table[character]);
}

static int take_kind(const struct place *at, const struct raw_group *raw,
		     struct cpus_policy *policy)
{
	int64_t nice = policy->nice;
	int r = take_number(at, NULL, "nice", raw->nice, PRIO_NICE_MIN, PRIO_NICE_MAX,
			    "a whole number from -30 to 29", &nice);

	if (r < 0)
		return r;
	policy->nice = (int8_t)nice;
	take_word(raw->type, &policy->type);
	take_word(raw->character, &policy->character);
	for (int i = PFUSE_CHARACTER_NONE + 1; i < PFUSE_CHARACTERS; i++)
		take_table(raw->table, policy, (enum pfuse_character)i);
	take_table(raw->tables.interactive, policy, PFUSE_CHARACTER_INTERACTIVE);
	take_table(raw->tables.batch, policy, PFUSE_CHARACTER_BATCH);
	take_table(raw->tables.mixed, policy, PFUSE_CHARACTER_MIXED);
	return 0;
}

static int take_share(const struct place *at, const char *key, const char *text, uint32_t *field)
{
	uint32_t permille;

	if (!text)
		return 0;
	if (!parse_permille(text, strlen(text), &permille) || permille < 10 || permille > 1000)
		return bad_value(at, "cpus", key, text, "1% to 100%");
	*field = permille;
	return 0;
}

static int take_split(const struct place *at, const struct raw_cpus *raw,
		      struct workload_policy *policy)
{
	int64_t beta = policy->beta;
	int r;

	r = take_share(at, "alpha", raw->alpha, &policy->alpha_permille);
	if (r < 0)
		return r;
	r = take_share(at, "utilisation", raw->utilisation, &policy->utilisation_permille);
	if (r < 0)
		return r;
	r = take_number(at, "cpus", "beta", raw->beta, 0, 1000, "a whole number from 0 to 1000",
			&beta);
	if (r < 0)
		return r;
	policy->beta = (uint32_t)beta;
	r = take_duration(at, "cpus", "check", raw->check, 10 * MS, HOUR,
			  "a duration from 10ms to 1h", &policy->check_ns);
	if (r < 0)
		return r;
	return take_duration(at, "cpus", "wait_p99", raw->wait_p99, 0, 10 * S,
			     "a duration from 0s to 10s", &policy->wait_p99_ns);
}

/* The next number of the list; false: none is left, or it is none. */
static bool next_weight(const char **at, uint32_t *ret)
{
	uint64_t weight;
	size_t length;

	*at += strspn(*at, " \t\n");
	length = strcspn(*at, " \t\n");
	if (!length || !parse_u64(*at, length, &weight) || weight == 0 || weight > WEIGHT_MAX)
		return false;
	*at += length;
	*ret = (uint32_t)weight;
	return true;
}

static int take_weights(const struct place *at, const struct raw_weights *raw, struct prio_own *own)
{
	const char *text = raw->list;
	int64_t first = -20;
	int r = take_number(at, "weights", "first", raw->first, PRIO_NICE_MIN, PRIO_NICE_MAX,
			    "a whole number from -30 to 29", &first);

	if (r < 0 || !text)
		return r;
	own->first = (int32_t)first;
	while (own->count < PRIO_WEIGHTS_MAX && next_weight(&text, &own->weights[own->count]))
		own->count++;
	if (!own->count || text[strspn(text, " \t\n")])
		return bad_value(at, "weights", "list", raw->list,
				 "1 to 60 numbers from 1 to 10000000, with blanks between");
	return 0;
}

static bool uses_own(const struct cpus_policy *policy)
{
	for (int i = 0; i < PFUSE_CHARACTERS; i++)
		if (policy->table[i] == PRIO_OWN)
			return true;
	return false;
}

static int check_own(const struct place *at, const struct config *config)
{
	for (size_t i = 0; i < config->ngroups && !config->own.count; i++)
		if (uses_own(&config->groups[i].cpus))
			return err_set(
				at->err, -EINVAL,
				"%s:%u: the table \"own\" needs weights: { list: ... } at the top",
				at->doc->name, config_doc_line(at->doc, (int)i, NULL, "match"));
	return 0;
}

/* *group holds the defaults, and is given what the file says. */
static int take_group(const struct place *at, const struct raw_group *raw,
		      struct config_group *group)
{
	struct fcb_policy *policy = &group->policy;
	int r;

	if (!raw->match[0])
		return bad_value(at, NULL, "match", raw->match,
				 "a GROUP or a glob, like \"system.slice/web*\"");
	take_word(raw->ram.mode, &policy->mode[FCB_RAM]);
	if (raw->freeze)
		policy->freeze = (uint8_t)(raw->freeze - 1) & 0xf;
	if (raw->foreign)
		policy->foreign = (uint8_t)(raw->foreign - 1) & 0xf;
	if (raw->page_out)
		group->page_out = raw->page_out - 1;
	r = take_ram(at, &raw->ram, policy);
	if (r < 0)
		return r;
	r = take_duration(at, "ram", "grace", raw->ram.grace, 0, HOUR,
			  "a duration from 0s to 1h", &group->grace_ns);
	if (r < 0)
		return r;
	r = take_cpu(at, &raw->cpu, policy);
	if (r < 0)
		return r;
	r = take_io(at, &raw->io, policy);
	if (r < 0)
		return r;
	r = take_net(at, &raw->net, policy);
	if (r < 0)
		return r;
	r = take_times(at, raw, policy);
	if (r < 0)
		return r;
	r = take_kind(at, raw, &group->cpus);
	if (r < 0)
		return r;
	r = take_duration(at, NULL, "slice", raw->slice, MS / 10, 100 * MS,
			  "a duration from 0.1ms to 100ms", &group->slice_ns);
	if (r < 0)
		return r;
	r = take_places(at, raw, group);
	if (r < 0)
		return r;
	group->match = strdup(raw->match);
	return group->match ? 0 : err_set(at->err, -ENOMEM, "%s: no memory", at->doc->name);
}

static int take_all(struct config_doc *doc, const struct raw *raw, struct config *config,
		    struct err *err)
{
	struct place at = { .doc = doc, .err = err, .entry = -1 };
	int r;

	if (raw->policy)
		config->policy = raw->policy - 1;
	if (raw->stop)
		config->stop = raw->stop - 1;
	r = take_duration(&at, NULL, "interval", raw->interval, 1 * MS, 60 * S,
			  "a duration from 1ms to 60s", &config->interval_ns);
	if (r < 0)
		return r;
	if (raw->cpus.partition)
		config->partition = raw->cpus.partition - 1;
	r = take_split(&at, &raw->cpus, &config->cpus);
	if (r < 0)
		return r;
	r = take_weights(&at, &raw->weights, &config->own);
	if (r < 0 || !raw->groups_count)
		return r;
	config->groups = calloc(raw->groups_count, sizeof(*config->groups));
	if (!config->groups)
		return err_set(err, -ENOMEM, "%s: no memory", doc->name);
	/* Counted first: what a refused one holds already is freed with the others. */
	while (config->ngroups < raw->groups_count) {
		struct config_group *group = &config->groups[config->ngroups];

		at.entry = (int)config->ngroups++;
		*group = config->defaults;
		r = take_group(&at, &raw->groups[at.entry], group);
		if (r < 0)
			return r;
	}
	return check_own(&at, config);
}

/* libcyaml's copy of the text, turned into a struct config. The document is checked already. */
static int take_text(struct config_doc *doc, const char *text, size_t size, struct config *config,
		     struct err *err)
{
	const cyaml_config_t cyaml = { .mem_fn = cyaml_mem, .flags = CYAML_CFG_NO_ALIAS };
	struct raw *raw = NULL;
	cyaml_err_t failed;
	int r = 0;

	failed = cyaml_load_data((const uint8_t *)text, size, &cyaml, &file_schema,
				 (cyaml_data_t **)&raw, NULL);
	if (failed != CYAML_OK)
		return err_set(err, failed == CYAML_ERR_OOM ? -ENOMEM : -EINVAL, "%s: %s",
			       doc->name, cyaml_strerror(failed));
	if (raw)
		r = take_all(doc, raw, config, err);
	cyaml_free(&cyaml, &file_schema, raw, 0);
	return r;
}

static int load_text(const char *name, const char *text, size_t size, struct config *ret,
		     struct err *err)
{
	struct config_doc doc = { .later = later_words };
	struct config config;
	int r;

	config_default(&config);
	r = config_doc_load(&doc, name, text, size, err);
	if (r < 0)
		return r;
	r = config_doc_check(&doc, &file_schema, err);
	if (r == 0)
		r = take_text(&doc, text, size, &config, err);
	config_doc_free(&doc);
	if (r < 0) {
		config_free(&config);
		return r;
	}
	*ret = config;
	return 0;
}

static int read_text(int fd, size_t size, char **ret_text, size_t *ret_size)
{
	_cleanup_free_ char *text = malloc(size + 1);
	size_t length = 0;

	if (!text)
		return -ENOMEM;
	while (length < size) {
		ssize_t n = read(fd, text + length, size - length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		length += (size_t)n;
	}
	text[length] = '\0';
	*ret_text = TAKE_PTR(text);
	*ret_size = length;
	return 0;
}

int config_load(const char *path, struct config *ret, struct err *err)
{
	/* O_NONBLOCK: a FIFO is to be refused, not waited for. */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_free_ char *text = NULL;
	char q[ERR_QUOTED];
	struct stat st;
	size_t size = 0;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(err, -errno, "%s: cannot read the configuration: %s",
			       err_quote(path, q), strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "%s: the configuration must be a regular file",
			       err_quote(path, q));
	if ((uint64_t)st.st_size > FILE_MAX_BYTES)
		return err_set(err, -EFBIG, "%s: the configuration must not exceed 1 MiB",
			       err_quote(path, q));
	r = read_text(fd, (size_t)st.st_size, &text, &size);
	if (r < 0)
		return err_set(err, r, "%s: cannot read the configuration: %s", err_quote(path, q),
			       strerror(-r));
	return load_text(path, text, size, ret, err);
}

static bool matches(const char *glob, const char *name, const char *path)
{
	/* Without FNM_PATHNAME: "*" is to be a match for everything, nested groups included. */
	if (name && fnmatch(glob, name, 0) == 0)
		return true;
	if (!path)
		return false;
	return fnmatch(glob + strspn(glob, "/"), path + strspn(path, "/"), 0) == 0;
}

const struct config_group *config_match(const struct config *config, const char *name,
					const char *path)
{
	for (size_t i = 0; i < config->ngroups; i++)
		if (matches(config->groups[i].match, name, path))
			return &config->groups[i];
	return &config->defaults;
}

static void free_group(struct config_group *group)
{
	free(group->match);
	free(group->cpu_list);
	free(group->mem_list);
}

void config_free(struct config *config)
{
	for (size_t i = 0; i < config->ngroups; i++)
		free_group(&config->groups[i]);
	free(config->groups);
	*config = (struct config){ 0 };
}
