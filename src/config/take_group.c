/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpulist.h"
#include "config/take.h"
#include "core/parse.h"

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
	r = take_permille(at, "ram", "high_water", raw->high_water, 500, 990, "50% to 99%",
			  &policy->high_water_permille);
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

int config_take_group(const struct place *at, const struct raw_group *raw,
		      struct config_group *group)
{
	struct fcb_policy *policy = &group->policy;
	int r;

	if (!raw->match[0])
		return bad_value(at, NULL, "match", raw->match,
				 "a GROUP or a glob, like \"system.slice/web*\"");
	take_word(raw->ram.mode, &policy->mode[FCB_RAM]);
	group->freeze_said = raw->freeze;
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
	r = take_peers(at, "probe_from", raw->probe_from, &group->probe_from);
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
