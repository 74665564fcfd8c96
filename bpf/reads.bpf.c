// SPDX-License-Identifier: GPL-2.0-only
/*
 * Observes which pages of files a group reads with read(2), sendfile(2) and the like: no page table tells of
 * them. Notes a sample of them, see pfuse/reads.h; the rest costs a hash each.
 *
 * Cannot see: direct I/O, and file systems that do not read through the page cache's own functions (tmpfs,
 * hugetlbfs, DAX). Pages that are written count when they are read.
 *
 * | program       | hook                                | without it                            |
 * | on_pages_read | tp_btf/mm_filemap_get_pages         | on_file_read (kernels before 6.10)    |
 * | on_file_read  | fentry/filemap_read                 | the curve has mapped pages only       |
 * | on_page_added | tp_btf/mm_filemap_add_to_page_cache | what is read first was there before   |
 *
 * Attached only while some curve is measured.
 */
#include "pfuse.bpf.h"

#define PAGE_SHIFT 12
#define PAGES_MAX 8192 /* of one call: 32 MiB */

struct pages {
	__u64 file;
	__u64 first;
	__u32 threshold;
	__u32 slot;
	__u32 bits;
};

/* The slot for which the current task reads; 0: nobody asked. */
static __always_inline __u32 slot_of_current(void)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;

	if (reader_pids_used) {
		__u32 *slot = bpf_map_lookup_elem(&reader_pids, &pid);

		if (slot)
			return *slot;
	}
	return group_of_current();
}

static __always_inline struct pfuse_reader *reader_of(__u32 slot)
{
	return bpf_map_lookup_elem(&readers, &slot);
}

/* Below the threshold at that time: since then it fell. */
static __always_inline bool is_stale(__u64 word, __u32 slot, __u32 threshold)
{
	return (__u16)(word >> 8) == slot && word >> 32 >= threshold;
}

/* Two CPUs may note the same page twice: whoever takes it the second time knows that. */
static __always_inline void note(struct pfuse_read_bucket *bucket, const struct pages *pages,
				 struct pfuse_reader *reader, __u32 hash, __u64 index)
{
	__u64 word = (__u64)hash << 32 | (__u64)pages->slot << 8, old = 0;
	__u32 threshold = reader->threshold, at = PFUSE_READS_CELLS;

	for (__u32 i = 0; i < PFUSE_READS_CELLS; i++) {
		__u64 seen = bucket->cells[i].word;

		if ((seen & ~(__u64)PFUSE_PAGE_BITS) == word) {
			if (~seen & pages->bits)
				__sync_fetch_and_or(&bucket->cells[i].word, pages->bits);
			return;
		}
		if (!seen || is_stale(seen, pages->slot, threshold)) {
			at = i;
			old = seen;
		}
	}
	if (at >= PFUSE_READS_CELLS) {
		__sync_fetch_and_add(&reader->dropped, 1);
		return;
	}
	struct pfuse_read_cell *cell = &bucket->cells[at];

	if (__sync_val_compare_and_swap(&cell->word, old, word | pages->bits) != old)
		return;
	cell->file = (__u32)pages->file;
	cell->index = (__u32)index;
	if (__sync_fetch_and_add(&reader->taken, 1) % PFUSE_READS_STEP == PFUSE_READS_STEP - 1)
		reader->threshold = threshold / 2;
}

static long look_at(__u32 i, struct pages *pages)
{
	__u64 index = pages->first + i;
	__u32 hash = pfuse_read_hash(pages->file, index), which;

	if (hash >= pages->threshold)
		return 0;
	which = pfuse_read_bucket_of(hash);
	struct pfuse_read_bucket *bucket = bpf_map_lookup_elem(&read_buckets, &which);
	struct pfuse_reader *reader = reader_of(pages->slot);

	if (bucket && reader && hash < reader->threshold)
		note(bucket, pages, reader, hash, index);
	return 0;
}

static __always_inline void look_at_pages(struct inode *inode, struct pages *pages, __u64 end)
{
	struct pfuse_reader *reader = reader_of(pages->slot);
	__u64 count = end - pages->first;

	if (!reader || end <= pages->first)
		return;
	if (count > PAGES_MAX)
		count = PAGES_MAX;
	pages->file =
		pfuse_read_file(BPF_CORE_READ(inode, i_sb, s_dev), BPF_CORE_READ(inode, i_ino));
	pages->threshold = reader->threshold;
	reader->calls++;
	reader->pages += count;
	bpf_loop((__u32)count, look_at, pages, 0);
}

static __always_inline __u64 pages_of(struct inode *inode)
{
	__s64 bytes = BPF_CORE_READ(inode, i_size);

	return bytes > 0 ? ((__u64)bytes + (1 << PAGE_SHIFT) - 1) >> PAGE_SHIFT : 0;
}

static __always_inline __u32 measured_slot(void)
{
	__u32 slot = slot_of_current();
	struct pfuse_reader *reader = slot ? reader_of(slot) : NULL;

	return reader && reader->threshold ? slot : 0;
}

/*
 * Called for each batch of a read, with the end of the whole read: what was looked at already is passed over.
 * Where a shorter read to the same end is taken for a batch, its pages were read just now.
 */
static __always_inline __u64 not_seen_yet(const struct pages *pages, __u64 mapping, __u64 last)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct pfuse_read_run *run = bpf_map_lookup_elem(&read_runs, &cpu);
	__u64 from = pages->first;

	if (!run)
		return from;
	if (run->mapping == mapping && run->last == last && pages->first > run->first &&
	    run->next > from)
		from = run->next;
	run->mapping = mapping;
	run->last = last;
	run->first = pages->first;
	run->next = pages->first + PAGES_MAX;
	if (run->next > last)
		run->next = last + 1;
	return from;
}

SEC("tp_btf/mm_filemap_get_pages")
int BPF_PROG(on_pages_read, struct address_space *mapping, __u64 first, __u64 last)
{
	struct pages pages = { .first = first, .slot = measured_slot(), .bits = PFUSE_PAGE_READ };

	if (!pages.slot)
		return 0;
	struct inode *inode = BPF_CORE_READ(mapping, host);
	__u64 end = pages_of(inode);

	pages.first = not_seen_yet(&pages, (__u64)mapping, last);
	look_at_pages(inode, &pages, last < end ? last + 1 : end);
	return 0;
}

SEC("fentry/filemap_read")
int BPF_PROG(on_file_read, struct kiocb *iocb, struct iov_iter *iter)
{
	struct pages pages = { .slot = measured_slot(), .bits = PFUSE_PAGE_READ };
	__u64 bytes = BPF_CORE_READ(iter, count), position = BPF_CORE_READ(iocb, ki_pos), end, last;

	if (!pages.slot || !bytes)
		return 0;
	struct inode *inode = BPF_CORE_READ(iocb, ki_filp, f_mapping, host);

	end = pages_of(inode);
	last = (position + bytes - 1) >> PAGE_SHIFT;
	pages.first = position >> PAGE_SHIFT;
	look_at_pages(inode, &pages, last < end ? last + 1 : end);
	return 0;
}

/* Before 6.15. */
struct folio___before {
	unsigned int _folio_nr_pages;
} __attribute__((preserve_access_index));

/* Only of folios of several pages is the number kept; the flags are a folio's first word. */
static __always_inline __u64 size_of(struct folio *folio)
{
	struct folio___before *before = (void *)folio;
	__u64 flags = 0;

	bpf_probe_read_kernel(&flags, sizeof(flags), folio);
	if (!(flags & 1ull << bpf_core_enum_value(enum pageflags, PG_head)))
		return 1;
	if (bpf_core_field_exists(folio->_nr_pages))
		return BPF_CORE_READ(folio, _nr_pages);
	if (bpf_core_field_exists(before->_folio_nr_pages))
		return BPF_CORE_READ(before, _folio_nr_pages);
	return 1;
}

SEC("tp_btf/mm_filemap_add_to_page_cache")
int BPF_PROG(on_page_added, struct folio *folio)
{
	struct pages pages = { .slot = measured_slot(), .bits = PFUSE_PAGE_ADDED };

	if (!pages.slot)
		return 0;
	pages.first = BPF_CORE_READ(folio, index);
	look_at_pages(BPF_CORE_READ(folio, mapping, host), &pages, pages.first + size_of(folio));
	return 0;
}
