/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The configuration file: YAML, checked against a schema, all or nothing.
 *
 *	policy: adaptive		# adaptive | fusebox
 *	interval: 1s			# how often the groups are sampled; 1ms to 60s
 *	stop: auto			# auto | freeze | signal
 *	cpus: { alpha: 80%, beta: 3, check: 1s, wait_p99: 10ms, utilisation: 70% }	# docs/cpu.md
 *						# and waste: 10%, partition: off | root | isolated
 *	curve: { measure: on, budget: 1%, every: 5m }	# adaptive: docs/memory.md
 *	memory: { total: 8G, low: 5% }	# adaptive: when memory is short
 *	weights: { first: -1, list: "2000 1024 500" }	# table: own, from nice -1 on; 1024: nice 0
 *	groups:				# first match wins
 *	  - match: "system.slice/web*"	# GROUP or glob; also the path of the cgroup
 *	    ram: { mode: act, floor: 64M, ceiling: 4G, high_water: 90%, cool_down: 3s, grace: 20s }
 *	    cpu: { mode: act, floor: 0.05, ceiling: 2 }		# in CPUs
 *	    #    cpus: "0-3,8", mems: "0"		# cpuset.cpus and cpuset.mems, as long as we run
 *	    io: { mode: act, floor: 1M, ceiling: 500M }		# per second, disk and direction
 *	    net: { mode: act, low: 0, high: 6 }			# socket priorities
 *	    freeze: isolated		# off | isolated | guarded; default: by the policy
 *	    foreign: auto		# auto | let_go | reapply: a memory limit changed by others
 *	    idle: 10s
 *	    deadline: 25s
 *	    window: 10s
 *	    probe: 500ms		# guarded: what ends within it after a wake is a health check
 *	    probe_from: "local 10.0.0.0/8"	# guarded: whose; everybody's without
 *	    page_out: off		# guarded: off | on: page out what is frozen
 *	    type: auto			# off | auto | service | scientific
 *	    character: auto		# off | auto | interactive | batch | mixed
 *	    nice: 0			# -30 to 29
 *	    table: kernel		# kernel | grouped2 | grouped5 | refined | own; or one for each character:
 *	    slice: 10ms			# of the tasks of a batch group; 0.1ms to 100ms
 *	    tables: { interactive: kernel, batch: grouped5, mixed: kernel }
 *
 * mode: act | observe | off; without one, ram acts and the others observe.
 * Every key but `match` may be left out; without a ceiling, it is the machine's RAM or CPUs, and what
 * the disks can do is learned. An unknown key, a wrong type or a bad value is refused with file, line
 * and what is allowed. Values are in the units that their names say.
 *
 * A new key: a field in schema.h and schema.c, its check in take_*.c, its words in keys.c, and here.
 */
#ifndef PFUSE_CONFIG_H
#define PFUSE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "core/cpus.h"
#include "core/fcb.h"
#include "core/peers.h"

enum config_policy {
	CONFIG_FUSEBOX = 0,
	CONFIG_ADAPTIVE,
};

enum config_stop {
	CONFIG_STOP_AUTO = 0,
	CONFIG_STOP_FREEZE,
	CONFIG_STOP_SIGNAL,
};

/* v2: what keeps others off the CPUs that a group has for itself. The order is edge/throttle.h's. */
enum config_partition {
	CONFIG_PARTITION_OFF = 0,
	CONFIG_PARTITION_ROOT,
	CONFIG_PARTITION_ISOLATED,
};

struct config_group {
	char *match; /* owned; NULL in the defaults */
	char *cpu_list; /* owned; of cpuset.cpus; NULL: as it is */
	char *mem_list; /* likewise, of cpuset.mems */
	struct fcb_policy policy;
	struct cpus_policy cpus;
	uint64_t slice_ns; /* of the tasks of a batch group; 0: the kernel's */
	struct peers *probe_from; /* owned; whose visits are health checks; NULL: everybody's */
	bool freeze_said; /* or else it follows from the policy, see config_settle() */
	bool page_out; /* what is frozen guarded goes to swap */
	uint64_t grace_ns; /* adaptive: nothing is reclaimed for so long after the start */
};

struct config {
	enum config_policy policy;
	bool policy_said;
	enum config_stop stop;
	uint64_t interval_ns;
	struct workload_policy cpus;
	enum config_partition partition;
	struct prio_own own;
	bool curve_measure; /* adaptive: each group's hit-ratio curve */
	uint32_t curve_budget_permille; /* of the time */
	uint64_t curve_every_ns;	/* at least so often */
	uint64_t memory_total_bytes;	/* adaptive: of all groups together; 0: the machine's */
	uint32_t memory_low_permille;	/* of the machine: with less available, memory is short */
	size_t ngroups;
	struct config_group *groups; /* in the order of the file */
	struct config_group defaults;
};

/* What holds without a file. Nothing to free. */
void config_default(struct config *ret);

/*
 * What follows from the policy where the file does not say it: idle groups are stopped under `fusebox`, as
 * its paper has it, and left alone under `adaptive`. Done for the configuration's own policy; again for
 * whoever sets another one.
 */
void config_settle(struct config *config, enum config_policy policy);

/*
 * Reads `path`. 0; or -errno with one line in *err and *ret untouched: -EINVAL is a finding in the
 * file (exit status 1 like the rest: the command line was right).
 */
int config_load(const char *path, struct config *ret, struct err *err);

/*
 * The entry for a group: the first whose glob matches `name` (GROUP as given on the command line)
 * or `path` (of the cgroup, relative to its hierarchy); either may be NULL. `*` matches `/` too.
 * Never NULL.
 */
const struct config_group *config_match(const struct config *config, const char *name,
					const char *path);

/* Leaves a zeroed config; accepts one. */
void config_free(struct config *config);

/* What the file may say, for the manual. The words in `values` are allowed, or an example of it. */
struct config_key {
	const char *section; /* "groups", "ram"…; NULL: the top level */
	const char *name;    /* NULL ends the list */
	const char *values;
	const char *help;
};

extern const struct config_key config_keys[];

/* The words of the two enums, NULL-terminated, in the order of their values. */
extern const char *const config_policy_words[];
extern const char *const config_stop_words[];

#endif
