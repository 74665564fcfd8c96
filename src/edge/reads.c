/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/reads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "edge/reads_mapped.h"

/*
 * What a call of the hooks, and a page of it, is taken to cost: assumed, not measured. The kernel counts that
 * only while kernel.bpf_stats_enabled is set, which costs more than the hooks do.
 */
#define CALL_NS 60
#define PAGE_NS 8

struct reads {
	struct probe_reads *shared;
	struct pfuse_reader *reader;
	uint32_t slot;
	uint32_t threshold; /* while it rests; 0: it does not */
	uint64_t calls, pages, dropped; /* at the last taking */
	pid_t *pids;			/* followed; sorted */
	uint32_t count;
	struct reads_mapped mapped;
};

static int attach(struct probe_reads *shared)
{
	shared->links[0] = bpf_raw_tracepoint_open(NULL, shared->read_program);
	if (shared->links[0] < 0)
		return shared->links[0];
	shared->links[1] = shared->added_program < 0
				   ? -1
				   : bpf_raw_tracepoint_open(NULL, shared->added_program);
	return 0;
}

static int begin_use(struct probe_reads *shared)
{
	int r = shared->users ? 0 : attach(shared);

	shared->users += r == 0;
	return r;
}

static void end_use(struct probe_reads *shared)
{
	if (--shared->users)
		return;
	for (int i = 0; i < 2; i++)
		if (shared->links[i] >= 0)
			close(shared->links[i]);
}

int reads_open(const struct probe *probe, uint32_t slot, int proc_fd, struct reads **ret,
	       struct err *err)
{
	struct probe_reads *shared = probe_reads(probe);

	if (!shared)
		return err_set(err, -EOPNOTSUPP,
			       "file reads are not seen: this kernel refuses the programs for "
			       "them; see `pfuse-bpf doctor`");
	if (!slot || slot >= shared->slots)
		return err_set(err, -EINVAL, "no slot for file reads");
	struct reads *reads = calloc(1, sizeof(*reads));

	if (!reads)
		return err_set(err, -ENOMEM, "out of memory");
	int r = begin_use(shared);

	if (r < 0) {
		free(reads);
		return err_set(err, r, "file reads are not seen: %s", strerror(-r));
	}
	reads->shared = shared;
	reads->slot = slot;
	reads->reader = &shared->readers[slot];
	reads_mapped_open(&reads->mapped, proc_fd);
	memset(reads->reader, 0, sizeof(*reads->reader));
	__atomic_store_n(&reads->reader->threshold, UINT32_MAX, __ATOMIC_RELEASE);
	*ret = reads;
	return 0;
}

static void clear_cell(struct pfuse_read_cell *cell)
{
	__atomic_store_n(&cell->word, 0, __ATOMIC_RELAXED);
}

static uint32_t slot_of(uint64_t word)
{
	return word >> 8 & 0xffff;
}

static void forget_notes(struct reads *reads)
{
	for (uint32_t b = 0; b < PFUSE_READS_BUCKETS; b++)
		for (uint32_t i = 0; i < PFUSE_READS_CELLS; i++) {
			struct pfuse_read_cell *cell = &reads->shared->buckets[b].cells[i];

			if (slot_of(cell->word) == reads->slot)
				clear_cell(cell);
		}
}

void reads_rest(struct reads *reads)
{
	if (reads->threshold)
		return;
	reads->threshold = reads_threshold(reads);
	__atomic_store_n(&reads->reader->threshold, 0, __ATOMIC_RELEASE);
	end_use(reads->shared);
	forget_notes(reads);
}

/* A note that was under way when the rest began is in nobody's way, and of pages that were read then. */
int reads_resume(struct reads *reads)
{
	int r = reads->threshold ? begin_use(reads->shared) : 0;

	if (r < 0 || !reads->threshold)
		return r;
	__atomic_store_n(&reads->reader->threshold, reads->threshold, __ATOMIC_RELEASE);
	reads->threshold = 0;
	return 0;
}

void reads_close(struct reads *reads)
{
	if (!reads)
		return;
	reads_follow(reads, NULL, 0);
	reads_rest(reads);
	reads_mapped_close(&reads->mapped);
	free(reads->pids);
	free(reads);
}

uint32_t reads_threshold(const struct reads *reads)
{
	return __atomic_load_n(&reads->reader->threshold, __ATOMIC_RELAXED);
}

/* 0 would mean that nobody is measured. */
void reads_lower(struct reads *reads, uint32_t threshold)
{
	if (threshold && threshold < reads_threshold(reads))
		__atomic_store_n(&reads->reader->threshold, threshold, __ATOMIC_RELAXED);
}

static bool has(const pid_t *sorted, uint32_t count, pid_t pid)
{
	const struct procs_list list = { .pids = (pid_t *)sorted, .count = count };

	return count && procs_list_has(&list, pid);
}

int reads_follow(struct reads *reads, const pid_t *sorted, uint32_t count)
{
	struct probe_reads *shared = reads->shared;
	pid_t *pids = count ? malloc(count * sizeof(*pids)) : NULL;
	int r = count && !pids ? -ENOMEM : 0;

	for (uint32_t i = 0; i < reads->count; i++)
		if (!has(sorted, count, reads->pids[i]) &&
		    bpf_map_delete_elem(shared->pids_fd, &reads->pids[i]) == 0)
			--*shared->pids_used;
	for (uint32_t i = 0; pids && i < count; i++) {
		pids[i] = sorted[i];
		if (has(reads->pids, reads->count, sorted[i]))
			continue;
		int added =
			bpf_map_update_elem(shared->pids_fd, &sorted[i], &reads->slot, BPF_NOEXIST);

		*shared->pids_used += added == 0;
		r = added < 0 && added != -EEXIST ? added : r;
	}
	free(reads->pids);
	reads->pids = pids;
	reads->count = pids ? count : 0;
	return r;
}

/* The notes */

static bool is_read(const struct reads *reads, uint64_t word)
{
	return slot_of(word) == reads->slot && word & PFUSE_PAGE_READ;
}

void reads_begin(struct reads *reads)
{
	reads_mapped_clear(&reads->mapped);
	for (uint32_t b = 0; b < PFUSE_READS_BUCKETS; b++)
		for (uint32_t i = 0; i < PFUSE_READS_CELLS; i++) {
			const struct pfuse_read_cell *cell = &reads->shared->buckets[b].cells[i];

			if (is_read(reads, cell->word))
				reads_mapped_want(&reads->mapped, cell->file);
		}
}

void reads_note_mapping(void *context, pid_t pid, const struct pfuse_mapping *mapping)
{
	struct reads *reads = context;

	reads_mapped_note(&reads->mapped, pid, mapping);
}

/* What comes with a read ahead is read later: it waits for one more taking. */
static void keep_added(struct pfuse_read_cell *cell, uint64_t word)
{
	uint64_t kept = word & PFUSE_PAGE_KEPT ? 0 : word | PFUSE_PAGE_KEPT;

	__atomic_compare_exchange_n(&cell->word, &word, kept, false, __ATOMIC_RELAXED,
				    __ATOMIC_RELAXED);
}

struct taking {
	struct reads *reads;
	reads_page *page;
	void *context;
	uint32_t threshold;
	struct reads_result *result;
};

static void take_cell(struct taking *taking, struct pfuse_read_cell *cell)
{
	struct reads *reads = taking->reads;
	const struct pfuse_read_cell seen = *cell;
	uint32_t hash = (uint32_t)(seen.word >> 32);

	if (slot_of(seen.word) != reads->slot) {
		/* A bit that was set just as the cell was cleared. */
		if (seen.word && !slot_of(seen.word))
			clear_cell(cell);
		return;
	}
	if (!is_read(reads, seen.word) && hash < taking->threshold) {
		keep_added(cell, seen.word);
		return;
	}
	clear_cell(cell);
	if (hash >= taking->threshold)
		return;
	if (reads_mapped_has(&reads->mapped, seen.file, seen.index)) {
		taking->result->mapped++;
		return;
	}
	taking->result->sampled++;
	taking->page(taking->context, hash, seen.word & PFUSE_PAGE_ADDED);
}

static void fill(struct reads *reads, struct reads_result *ret)
{
	const struct pfuse_reader now = *reads->reader;

	ret->calls = now.calls - reads->calls;
	ret->pages = now.pages - reads->pages;
	ret->dropped = now.dropped - reads->dropped;
	ret->cost_ns = ret->calls * CALL_NS + ret->pages * PAGE_NS;
	reads->calls = now.calls;
	reads->pages = now.pages;
	reads->dropped = now.dropped;
}

void reads_take(struct reads *reads, reads_page *page, void *context, struct reads_result *ret)
{
	struct taking taking = { reads, page, context, reads_threshold(reads), ret };

	*ret = (struct reads_result){ 0 };
	__atomic_store_n(&reads->reader->taken, 0, __ATOMIC_RELAXED);
	for (uint32_t b = 0; b < PFUSE_READS_BUCKETS; b++)
		for (uint32_t i = 0; i < PFUSE_READS_CELLS; i++)
			take_cell(&taking, &reads->shared->buckets[b].cells[i]);
	fill(reads, ret);
}
