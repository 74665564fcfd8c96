/* SPDX-License-Identifier: GPL-2.0-only */
/* Usage and limit of a group's memory, from the kernel's own page counter. */
#ifndef RAM_BPF_H
#define RAM_BPF_H

#include "pfuse.bpf.h"

struct ram {
	__u64 usage_bytes;
	__u64 limit_bytes;
};

/* The memory controller's state of the group `id` above (or at) the task; NULL: it is in no such group. */
static __always_inline struct cgroup_subsys_state *memory_css_of(struct task_struct *task, __u64 id)
{
	struct cgroup_subsys_state *css = task_memory_css(task);
	int depth = 0;

	while (css && css->cgroup->kn->id != id) {
		if (++depth == PFUSE_MAX_DEPTH)
			return NULL;
		css = css->parent;
	}
	return css;
}

/*
 * A css is the first member of its mem_cgroup, but the verifier cannot know: hence bpf_core_read()
 * instead of a plain access. The lower of memory.high and memory.max is the limit.
 */
static __always_inline void read_css_ram(struct cgroup_subsys_state *css, struct ram *ram)
{
	struct mem_cgroup *memcg = (struct mem_cgroup *)css;
	__u64 max = BPF_CORE_READ(memcg, memory.max), high = BPF_CORE_READ(memcg, memory.high);

	ram->usage_bytes = BPF_CORE_READ(memcg, memory.usage.counter) * knobs.page_bytes;
	ram->limit_bytes = (high < max ? high : max) * knobs.page_bytes;
}

/* In KiB, so that an unlimited limit times 1000 does not overflow. */
static __always_inline bool ram_above(const struct ram *ram, __u32 permille)
{
	return (ram->usage_bytes >> 10) * 1000 >= (ram->limit_bytes >> 10) * permille;
}

#endif
