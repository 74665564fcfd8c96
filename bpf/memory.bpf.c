// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page faults per group, and the moment at which its memory crosses the high-water share of its limit.
 *
 * Usage and limit are read from the kernel's own page counter of the group's mem_cgroup, so the event
 * comes with the fault that crosses the mark and not at the next sample. One event per arming.
 *
 * Cannot see: growth without user faults (MAP_POPULATE, page cache by read and write, kernel memory)
 * until it meets the limit; there the kernel begins to reclaim, and on_reclaim() tells.
 *
 * | program       | hook                                | without it                          |
 * | on_user_fault | tp_btf/page_fault_user              | growth is told by on_reclaim()      |
 * | on_reclaim    | tp_btf/mm_vmscan_memcg_reclaim_begin | growth is seen at the next sample   |
 */
#include "pfuse.bpf.h"

struct ram {
	__u64 usage_bytes;
	__u64 limit_bytes;
};

/*
 * The page counter of the group `id` above (or at) the task. A css is the first member of its
 * mem_cgroup, but the verifier cannot know: hence bpf_core_read() instead of a plain access.
 */
static __always_inline bool read_ram(struct task_struct *task, const struct pfuse_group *group,
				     struct ram *ram)
{
	struct cgroup_subsys_state *css = task_memory_css(task);
	int depth = 0;

	while (css && css->cgroup->kn->id != group->id) {
		if (++depth == PFUSE_MAX_DEPTH)
			return false;
		css = css->parent;
	}
	if (!css)
		return false;

	struct mem_cgroup *memcg = (struct mem_cgroup *)css;
	__u64 max = BPF_CORE_READ(memcg, memory.max), high = BPF_CORE_READ(memcg, memory.high);

	ram->usage_bytes = BPF_CORE_READ(memcg, memory.usage.counter) * knobs.page_bytes;
	ram->limit_bytes = (high < max ? high : max) * knobs.page_bytes;
	if (group->shadow_limit_bytes)
		ram->limit_bytes = group->shadow_limit_bytes;
	return true;
}

/* Tell that usage stands above the mark. `bit` is checked first: a fault of a disarmed group is cheap. */
static __always_inline void tell_if_high(__u32 slot, __u32 kind, __u32 bit)
{
	struct pfuse_group *group = group_at(slot);
	struct ram ram;

	if (!group || !(group->arm & bit))
		return;
	if (!read_ram(PLAIN(task_struct, bpf_get_current_task_btf()), group, &ram))
		return;
	/* in KiB, so that an unlimited limit times 1000 does not overflow */
	if ((ram.usage_bytes >> 10) * 1000 < (ram.limit_bytes >> 10) * group->high_water_permille)
		return;
	struct pfuse_event *event = event_once(group, slot, kind, bit);

	if (!event)
		return;
	event->ram.usage_bytes = ram.usage_bytes;
	event->ram.limit_bytes = ram.limit_bytes;
	bpf_ringbuf_submit(event, 0);
}

SEC("tp_btf/page_fault_user")
int BPF_PROG(on_user_fault)
{
	__u32 slot = group_of_current();

	if (!slot)
		return 0;
	struct pfuse_stats *count = stats_at(slot);

	if (count)
		count->faults++;
	tell_if_high(slot, PFUSE_EV_HIGH_WATER, PFUSE_ARM_HIGH_WATER);
	return 0;
}

SEC("tp_btf/mm_vmscan_memcg_reclaim_begin")
int BPF_PROG(on_reclaim)
{
	__u32 slot = group_of_current();

	if (slot)
		tell_if_high(slot, PFUSE_EV_LIMIT_HIT, PFUSE_ARM_LIMIT_HIT);
	return 0;
}
