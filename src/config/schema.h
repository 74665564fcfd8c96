/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The configuration file as libcyaml reads it: the schema, and the structs that it fills. Quantities
 * stay text, for their units are ours to parse (config/take.h). Words are their enum value + 1, so
 * that 0 is "not given".
 *
 * Source: docs are made of config_keys (config/config.h), which says of every key here what is
 * allowed; a key needs its place in both. Ownership: what libcyaml allocates, cyaml_free() frees.
 */
#ifndef PFUSE_CONFIG_SCHEMA_H
#define PFUSE_CONFIG_SCHEMA_H

#include <cyaml/cyaml.h>

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
	char *waste;
	int partition;
};

struct raw_curve {
	int measure;
	char *budget;
	char *every;
};

struct raw_memory {
	char *total;
	char *low;
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
	char *probe_from;
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
	struct raw_curve curve;
	struct raw_memory memory;
	struct raw_group *groups;
	unsigned groups_count;
};

extern const cyaml_schema_value_t config_schema; /* of a struct raw */

#endif
