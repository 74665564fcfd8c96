// SPDX-License-Identifier: GPL-2.0-only
/*
 * Observes which pages of a process were touched: copies the entries of its page tables, with the
 * hardware's accessed bits, of a sample of its pages. Runs only when it is read, for one process at a time.
 *
 * Cannot see: pages mapped by entries of 1 GiB (counted), memory of the kernel itself, what devices touch.
 *
 * | program         | hook          | gives                                                   |
 * | list_mappings   | iter/task_vma | struct pfuse_mapping for each mapping of the process    |
 * | copy_entries    | iter/task     | the next slice of the ranges: records in `page_records` |
 * | find_direct_map | iter/task     | where the kernel sees physical memory                   |
 *
 * Tables are read where the kernel maps all memory, by bpf_probe_read_kernel(), with no lock. A process
 * that goes on changes them meanwhile, and a table that it gave back may hold anything; reading an address
 * that is none fails. So what was copied counts only if the way to its table is the same afterwards, and
 * the task has kept its address space: as long as it has, the kernel keeps the tables.
 */
#include "pfuse.bpf.h"

#define PAGE_SHIFT 12
#define STEPS 65536 /* of a slice: a few ms if all are holes */
#define BASES 65536 /* GiB below the tables: all memory that 4 levels can map */

#if defined(__TARGET_ARCH_x86)

#define PRESENT 0x1
#define LEAF 0x80

struct walk {
	__u64 top; /* the table of the highest level */
	__u64 base;
	__u64 page;
	__u32 range;
	__u32 records;
	__u32 five;
	__u32 done;
};

static __always_inline __u64 entry_of(__u64 table, __u64 address, __u32 shift)
{
	__u64 entry = 0;

	bpf_probe_read_kernel(&entry, sizeof(entry),
			      (void *)(table + (address >> shift & 511) * 8));
	return entry;
}

static __always_inline __u64 table_of(const struct walk *walk, __u64 entry)
{
	return walk->base + (entry & pages_walk.mask);
}

/* The entry for 2 MiB around the address. 0: nothing is mapped in the next *ret_shift bits. */
static __always_inline __u64 middle_entry(const struct walk *walk, __u64 address, __u32 *ret_shift)
{
	__u64 table = walk->top, entry;

	if (walk->five) {
		entry = entry_of(table, address, 48);
		*ret_shift = 48;
		if (!(entry & PRESENT))
			return 0;
		table = table_of(walk, entry);
	}
	entry = entry_of(table, address, 39);
	*ret_shift = 39;
	if (!(entry & PRESENT))
		return 0;
	entry = entry_of(table_of(walk, entry), address, 30);
	*ret_shift = 30;
	if (!(entry & PRESENT))
		return 0;
	if (entry & LEAF) {
		pages_walk.giant_bytes += 1 << 30;
		return 0;
	}
	*ret_shift = 21;
	return entry_of(table_of(walk, entry), address, 21);
}

/* What is neither present nor a leaf has moved out, as a whole. */
static __always_inline bool is_table(__u64 entry)
{
	return (entry & (PRESENT | LEAF)) == PRESENT;
}

static __always_inline bool copy(const struct walk *walk, struct pfuse_page_record *record,
				 __u64 address, __u64 middle)
{
	__u32 bytes = (__u32)record->count * 8, shift;

	record->huge = !is_table(middle);
	if (record->huge) {
		record->entries[0] = middle;
		return true;
	}
	barrier_var(bytes);
	if (bytes > sizeof(record->entries) ||
	    bpf_probe_read_kernel(record->entries, bytes,
				  (void *)(table_of(walk, middle) + (address >> 12 & 511) * 8)))
		return false;
	return middle_entry(walk, address, &shift) == middle;
}

/* One chunk, or the part of it that one table holds; or one hole. */
static long step(__u64 index, struct walk *walk)
{
	struct pfuse_page_range *range = bpf_map_lookup_elem(&page_ranges, &walk->range);
	__u32 level = pages_walk.level, slot = walk->records, shift = 0;

	if (!range || walk->range >= pages_walk.ranges) {
		walk->done = 1;
		return 1;
	}
	__u64 page = walk->page > range->first ? walk->page : range->first;
	__u64 block = (page / PFUSE_PAGES_CHUNK) >> level;
	__u64 first = pfuse_pages_pick(block, level, range->salt) * PFUSE_PAGES_CHUNK;
	__u64 end = first + PFUSE_PAGES_CHUNK, next = ((block + 1) << level) * PFUSE_PAGES_CHUNK;

	if (page >= range->end) {
		walk->range++;
		walk->page = 0;
		return 0;
	}
	first = first > page ? first : page;
	if (first >= end || first >= range->end) {
		walk->page = next;
		return 0;
	}
	__u64 address = (first - range->shift) << PAGE_SHIFT;
	__u64 middle = middle_entry(walk, address, &shift);
	__u64 limit = ((((address >> shift) + 1) << shift) >> PAGE_SHIFT) + range->shift;

	if (!middle) {
		walk->page = limit;
		return 0;
	}
	struct pfuse_page_record *record = bpf_map_lookup_elem(&page_records, &slot);

	if (!record)
		return 1;
	walk->page = end <= limit ? next : limit;
	end = end < limit ? end : limit;
	end = end < range->end ? end : range->end;
	record->page = first;
	record->range = walk->range;
	record->count = (__u16)(end - first);
	if (copy(walk, record, address, middle))
		walk->records++;
	else
		pages_walk.torn++;
	return 0;
}

SEC("iter/task")
int copy_entries(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct mm_struct *mm = task ? task->mm : NULL;
	struct walk walk = {
		.base = pages_walk.base,
		.five = pages_walk.five,
		.range = pages_walk.range,
		.page = pages_walk.page,
	};

	if (!task)
		return 0;
	if (!mm)
		return 0;
	walk.top = (__u64)BPF_CORE_READ(mm, pgd);
	bpf_loop(STEPS, step, &walk, 0);
	pages_walk.range = walk.range;
	pages_walk.page = walk.page;
	pages_walk.records = walk.records;
	pages_walk.done = walk.done;
	pages_walk.gone = BPF_CORE_READ(task, mm) != mm;
	return 0;
}

static __always_inline bool leads_to_own_page(const struct walk *walk)
{
	__u64 address = pages_walk.own_address;
	__u32 shift;
	__u64 middle = middle_entry(walk, address, &shift);

	if (!is_table(middle))
		return false;
	return (entry_of(table_of(walk, middle), address, 12) & pages_walk.mask) ==
	       pages_walk.own_frame << PAGE_SHIFT;
}

/* The kernel places the map at a multiple of 1 GiB, and the table is in it. */
static long try_base(__u64 index, struct walk *walk)
{
	__u64 content = 0;

	walk->base = (walk->top & ~((1ull << 30) - 1)) - (index << 30);
	bpf_probe_read_kernel(&content, sizeof(content),
			      (void *)(walk->base + (pages_walk.own_frame << PAGE_SHIFT)));
	if (content != pages_walk.own_content)
		return 0;
	for (walk->five = 0; walk->five < 2; walk->five++)
		if (leads_to_own_page(walk)) {
			walk->done = 1;
			return 1;
		}
	return 0;
}

SEC("iter/task")
int find_direct_map(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct walk walk = {};

	if (!task)
		return 0;
	walk.top = (__u64)BPF_CORE_READ(task, mm, pgd);
	if (!walk.top)
		return 0;
	bpf_loop(BASES, try_base, &walk, 0);
	pages_walk.base = walk.done ? walk.base : 0;
	pages_walk.five = walk.five;
	return 0;
}

#else /* other tables and other bits: edge/pagescan.c says so and does not call */

SEC("iter/task")
int copy_entries(struct bpf_iter__task *ctx)
{
	return 0;
}

SEC("iter/task")
int find_direct_map(struct bpf_iter__task *ctx)
{
	return 0;
}

#endif

SEC("iter/task_vma")
int list_mappings(struct bpf_iter__task_vma *ctx)
{
	struct vm_area_struct *vma = ctx->vma;
	struct pfuse_mapping mapping = {};

	if (!ctx->task || !vma)
		return 0;
	struct file *file = vma->vm_file;

	mapping.start = vma->vm_start;
	mapping.end = vma->vm_end;
	mapping.flags = vma->vm_flags;
	if (file) {
		/* By the kernel's address: IPC namespaces give the same inode number twice. */
		struct inode *inode = BPF_CORE_READ(file, f_inode);

		mapping.offset = vma->vm_pgoff;
		mapping.object =
			((__u64)inode ^ BPF_CORE_READ(inode, i_ino)) * 0x9e3779b97f4a7c15ull | 1;
		mapping.file = pfuse_read_file(BPF_CORE_READ(inode, i_sb, s_dev),
					       BPF_CORE_READ(inode, i_ino));
	}
	bpf_seq_write(ctx->meta->seq, &mapping, sizeof(mapping));
	return 0;
}
