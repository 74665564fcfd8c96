/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/reclaim.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "edge/control.h"

/* Moving 1 MiB to compressed memory took 0.3 to 2.7 ms. */
#define SLICE_FIRST (UINT64_C(1) << 20)
#define SLICE_MIN (UINT64_C(256) << 10)
#define SLICE_MAX (UINT64_C(4) << 20)
#define SHORT_NS 2000000
#define LONG_NS 4000000
#define WORTH_BYTES 262144 /* a slice that failed but freed this much is not the last */
#define STAT_BYTES 8192

/* The sum of those keys that are there. */
static uint64_t sum_of(const char *text, const char *const keys[])
{
	uint64_t sum = 0, value;

	for (; *keys; keys++)
		if (num_find_key(text, *keys, &value) == 0)
			sum += value;
	return sum;
}

/* v1 counts the group alone without "total_", and its anonymous memory without what is shared. */
static void look_at_stat(const char *text, bool is_v2, struct reclaim_facts *facts)
{
	static const char *const anon[] = { "anon", "shmem", NULL };
	static const char *const anon_v1[] = { "total_rss", "total_shmem", NULL };
	static const char *const mapped[] = { "anon", "file_mapped", NULL };
	static const char *const mapped_v1[] = { "total_rss", "total_mapped_file", NULL };
	static const char *const stuck[] = { "kernel_stack", "pagetables", "sec_pagetables",
					     "percpu",	     "sock",	   "slab_unreclaimable",
					     "unevictable",  NULL };
	static const char *const stuck_v1[] = { "total_unevictable", NULL };
	static const char *const back[] = { "workingset_refault_anon", "workingset_refault_file",
					    "workingset_refault", NULL };
	static const char *const taken[] = { "pgsteal_kswapd", NULL };

	facts->refaults = sum_of(text, back);
	facts->host_reclaimed = sum_of(text, taken);
	facts->anon_bytes = sum_of(text, is_v2 ? anon : anon_v1);
	facts->mapped_bytes = sum_of(text, is_v2 ? mapped : mapped_v1);
	facts->unreclaimable_bytes = sum_of(text, is_v2 ? stuck : stuck_v1);
}

static bool is_v2(const struct cgroup_tree *tree)
{
	return cgroup_tree_anchor(tree) == PFUSE_ANCHOR_V2;
}

/* A line like "SwapFree:       123 kB"; `key` with the newline before it. */
static uint64_t machine_has(const struct cgroup_tree *tree, const char *key)
{
	const char *at = NULL;
	uint64_t kib = 0;
	char text[4096];

	if (fd_read_head_at(tree->proc_fd, "meminfo", text, sizeof(text), NULL) == 0)
		at = strstr(text, key);
	if (!at)
		return 0;
	at += strlen(key);
	(void)num_parse(at + strspn(at, " "), NULL, &kib);
	return kib * 1024;
}

uint64_t reclaim_machine_available(const struct cgroup_tree *tree)
{
	return machine_has(tree, "\nMemAvailable:");
}

static uint64_t read_size(const struct cgroup *group, const char *file, uint64_t otherwise)
{
	uint64_t value;
	char text[64];

	if (fd_read_one_at(group->fd, file, text, sizeof(text)) < 0 ||
	    num_parse_all(text, &value) < 0)
		return otherwise; /* "max" too */
	return value;
}

static uint64_t swap_free(const struct cgroup_tree *tree, const struct cgroup *group)
{
	uint64_t machine = machine_has(tree, "\nSwapFree:"), max, used;

	if (!is_v2(tree))
		return read_size(group, "memory.swappiness", 0) ? machine : 0;
	max = read_size(group, "memory.swap.max", UINT64_MAX);
	used = read_size(group, "memory.swap.current", 0);
	max = max > used ? max - used : 0;
	return machine < max ? machine : max;
}

int reclaim_look(const struct cgroup_tree *tree, const struct cgroup *group,
		 struct reclaim_facts *ret_facts)
{
	struct reclaim_facts facts = { 0 };
	char text[STAT_BYTES];
	uint64_t stall_us;
	int r = fd_read_head_at(group->fd, "memory.stat", text, sizeof(text), NULL);

	if (r < 0)
		return r == -ENOENT && !cgroup_gone(group) ? -ENOENT : -ENODEV;
	look_at_stat(text, is_v2(tree), &facts);
	facts.tells_harm = num_find_key(text, "workingset_refault_file", &stall_us) == 0 ||
			   num_find_key(text, "workingset_refault", &stall_us) == 0;
	if (control_read(tree, group, CONTROL_STALL_US, &stall_us) == 0) {
		facts.stall_ns = stall_us * 1000;
		facts.tells_harm = true;
	}
	facts.swap_free_bytes = swap_free(tree, group);
	*ret_facts = facts;
	return 0;
}

bool reclaim_available(const struct cgroup_tree *tree, const struct cgroup *group)
{
	return is_v2(tree) && faccessat(group->fd, "memory.reclaim", F_OK, 0) == 0;
}

int reclaim_begin(const struct reclaim_target *target, uint64_t to_bytes,
		  struct reclaim *ret_reclaim)
{
	struct reclaim reclaim = { .target = *target,
				   .to_bytes = to_bytes,
				   .slice_bytes = SLICE_FIRST };
	int r = control_read(target->tree, target->group, CONTROL_USAGE, &reclaim.before_bytes);

	if (r < 0)
		return r;
	reclaim.after_bytes = reclaim.before_bytes;
	*ret_reclaim = reclaim;
	return 0;
}

static uint64_t next_slice(uint64_t bytes, uint64_t took_ns)
{
	if (took_ns > LONG_NS)
		return bytes / 2 > SLICE_MIN ? bytes / 2 : SLICE_MIN;
	if (took_ns >= SHORT_NS)
		return bytes;
	return bytes * 2 < SLICE_MAX ? bytes * 2 : SLICE_MAX;
}

static int prepare_dip(struct reclaim *reclaim, uint64_t bytes, struct slow_write_job *ret)
{
	const struct reclaim_target *target = &reclaim->target;
	int r = control_dip_begin(target->tree, target->group, target->ledger, target->ram,
				  reclaim->after_bytes - bytes, &reclaim->dip);

	if (r < 0)
		return r;
	*ret = (struct slow_write_job){ .dirfd = target->group->fd, .file = CONTROL_DIP_FILE };
	memcpy(ret->text, reclaim->dip.to, sizeof(ret->text));
	memcpy(ret->after, reclaim->dip.back, sizeof(ret->after));
	return 1;
}

int reclaim_next(struct reclaim *reclaim, struct slow_write_job *ret)
{
	uint64_t bytes;

	if (reclaim->after_bytes <= reclaim->to_bytes)
		return 0;
	bytes = reclaim->after_bytes - reclaim->to_bytes;
	bytes = bytes < reclaim->slice_bytes ? bytes : reclaim->slice_bytes;
	if (!is_v2(reclaim->target.tree))
		return prepare_dip(reclaim, bytes, ret);
	*ret = (struct slow_write_job){ .dirfd = reclaim->target.group->fd,
					.file = "memory.reclaim" };
	snprintf(ret->text, sizeof(ret->text), "%" PRIu64, bytes);
	return 1;
}

/* What the write came to: -EAGAIN (v1: -EBUSY), -EINTR: less was found than was asked for. */
static int outcome_of(struct reclaim *reclaim, int written)
{
	const struct reclaim_target *target = &reclaim->target;
	int r = is_v2(target->tree) ? 0 :
				      control_dip_end(target->group, target->ledger, target->ram,
						      &reclaim->dip);

	if (r < 0)
		return r;
	return written == -EBUSY || written == -EINTR ? -EAGAIN : written;
}

/* Half a slice is worth another try. */
int reclaim_written(struct reclaim *reclaim, const struct slow_write_result *result)
{
	uint64_t before = reclaim->after_bytes;
	int taken = outcome_of(reclaim, result->result), r;

	reclaim->slice_bytes = next_slice(reclaim->slice_bytes, result->took_ns);
	r = control_read(reclaim->target.tree, reclaim->target.group, CONTROL_USAGE,
			 &reclaim->after_bytes);
	if (taken < 0 && taken != -EAGAIN)
		return taken;
	if (r < 0)
		return r;
	if (reclaim->after_bytes <= reclaim->to_bytes)
		return 0;
	if (taken == -EAGAIN &&
	    (before <= reclaim->after_bytes || before - reclaim->after_bytes < WORTH_BYTES))
		return -EAGAIN;
	return 1;
}
