/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Pages of files that a group reads with read(2): what bpf/reads.bpf.c notes for edge/reads.c, on a sample.
 *
 * A page has a hash of its device, inode and index in the file. It is in the sample of a group if the hash
 * is below the group's threshold; of neighbours in a file just that share is, and not about that share by
 * chance, since how large the group is, is known from how many there are. What is in the sample is noted once, however often it is read, in a table
 * of buckets that all groups share; whoever reads the table takes the notes out.
 *
 * Shapes: fixed-width, no implicit padding, native endianness.
 */
#ifndef PFUSE_READS_H
#define PFUSE_READS_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

#define PFUSE_READS_CELLS 8 /* of a bucket */
#define PFUSE_READS_BUCKETS_BITS 11
#define PFUSE_READS_BUCKETS (1 << PFUSE_READS_BUCKETS_BITS)
#define PFUSE_READS_STEP                                                                           \
	4096 /* pages noted between two takings, at which the threshold is halved */
#define PFUSE_READS_PIDS 1024 /* processes that are named one by one */

/* What was seen of a page. */
enum pfuse_read_bits {
	PFUSE_PAGE_READ = 1,  /* it was read */
	PFUSE_PAGE_ADDED = 2, /* it came into the page cache: until then it was not in memory */
	PFUSE_PAGE_KEPT =
		4, /* by the reader of the table: added, and not read at the last taking */
	PFUSE_PAGE_BITS = 7,
};

/* 0: free. */
struct pfuse_read_cell {
	__u64 word;  /* hash << 32 | slot << 8 | bits */
	__u32 file;  /* of the file's key, the low half */
	__u32 index; /* in the file; for a moment both may be those of the page before */
};

struct pfuse_read_bucket {
	struct pfuse_read_cell cells[PFUSE_READS_CELLS];
};

_Static_assert(sizeof(struct pfuse_read_bucket) == 128, "two cache lines");

/* One per slot. */
struct pfuse_reader {
	__u32 threshold; /* 0: not measured. BPF halves it when too many pages are in the sample */
	__u32 taken;	 /* pages noted since the last taking, about */
	__u64 dropped;	 /* pages in the sample that found no room */
	/* Not exact: CPUs may count at the same time. For what the hooks cost. */
	__u64 calls;
	__u64 pages;
};

/* What a CPU's reader was at, when the kernel told of a part of a read. */
struct pfuse_read_run {
	__u64 mapping;
	__u64 last;  /* page of the whole read */
	__u64 first; /* of this part */
	__u64 next;  /* the first that was not looked at */
};

_Static_assert(sizeof(struct pfuse_read_run) == 32, "no implicit padding");

static inline __attribute__((always_inline)) __u64 pfuse_read_mix(__u64 x)
{
	x *= 0x9e3779b97f4a7c15ull;
	x = (x ^ x >> 32) * 0xd6e8feb86659fd93ull;
	return x ^ x >> 32;
}

/* As the kernel has the device's number, in 12 and 20 bits. Never 0. */
static inline __attribute__((always_inline)) __u64 pfuse_read_file(__u32 device, __u64 inode)
{
	return pfuse_read_mix(inode ^ (__u64)device << 40) | 1;
}

#define PFUSE_READS_STRETCH 10 /* bits: pages of a file that share a hash of their own */

/*
 * Never 0. Steps of the golden ratio, from a place by chance for each stretch of the file: of n neighbours
 * t * n +- 2 have a hash below t * 2^32. Of even chances it would be the root of n.
 */
static inline __attribute__((always_inline)) __u32 pfuse_read_hash(__u64 file, __u64 index)
{
	__u32 from = (__u32)(pfuse_read_mix(file + (index >> PFUSE_READS_STRETCH)) >> 32);
	__u32 hash = from + (__u32)index * 0x9e3779b1u;

	return hash + !hash;
}

static inline __attribute__((always_inline)) __u32 pfuse_read_bucket_of(__u32 hash)
{
	/* Those of the sample are all small, and of neighbours evenly spaced. */
	return (__u32)(pfuse_read_mix(hash) >> (64 - PFUSE_READS_BUCKETS_BITS));
}

#endif
