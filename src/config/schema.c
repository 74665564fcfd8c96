/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "config/schema.h"

#include <stddef.h>

#include "base/cleanup.h"
#include "config/config.h"

#define GROUPS_MAX 10000
#define MATCH_MAX 4096
#define VALUE_MAX 64
#define WEIGHTS_MAX_BYTES 1024
#define LIST_MAX_BYTES 1024

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
	TEXT("waste", struct raw_cpus, waste),
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

static const cyaml_schema_field_t curve_fields[] = {
	WORD("measure", struct raw_curve, measure, switch_values, ARRAY_SIZE(switch_values)),
	TEXT("budget", struct raw_curve, budget),
	TEXT("every", struct raw_curve, every),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t memory_fields[] = {
	TEXT("total", struct raw_memory, total),
	TEXT("low", struct raw_memory, low),
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
	CYAML_FIELD_STRING_PTR("probe_from", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			       struct raw_group, probe_from, 0, LIST_MAX_BYTES),
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
	CYAML_FIELD_MAPPING("curve", CYAML_FLAG_OPTIONAL, struct raw, curve, curve_fields),
	CYAML_FIELD_MAPPING("memory", CYAML_FLAG_OPTIONAL, struct raw, memory, memory_fields),
	CYAML_FIELD_SEQUENCE("groups", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct raw, groups,
			     &group_schema, 0, GROUPS_MAX),
	CYAML_FIELD_END,
};

const cyaml_schema_value_t config_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw, file_fields),
};
