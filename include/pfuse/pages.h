/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Page tables of a process, as bpf/pages.bpf.c copies them for edge/pagescan.c: entries of a sample of
 * its pages, in slices.
 *
 * Pages have numbers by which they are the same for all who map them: the offset in its object for what
 * may be shared, else the virtual address, in units of 4 KiB. 64 consecutive ones are a chunk, the unit of
 * the sample: of each block of 2^level chunks one is in it, and it stays in it at all lower levels.
 *
 * Shapes: fixed-width, no implicit padding, native endianness.
 */
#ifndef PFUSE_PAGES_H
#define PFUSE_PAGES_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

#define PFUSE_PAGES_CHUNK 64	 /* pages: 256 KiB */
#define PFUSE_PAGES_LEVELS 12	 /* highest level of sampling: 1 of 4096 */
#define PFUSE_PAGES_RANGES 512	 /* of one walk */
#define PFUSE_PAGES_RECORDS 1024 /* of one slice */

/* A part of an address space: pages first .. end - 1 are at (number - shift) * 4096. */
struct pfuse_page_range {
	__u64 first;
	__u64 end;
	__u64 shift; /* wraps */
	__u64 salt;  /* of the object, so that not all small ones are in the sample, or none */
};

/* Neighbours of one chunk in one range. */
struct pfuse_page_record {
	__u64 page; /* number of the first */
	__u32 range;
	__u16 count;
	__u16 huge;			  /* 1: one entry of 2 MiB stands for all: entries[0] */
	__u64 entries[PFUSE_PAGES_CHUNK]; /* as the hardware has them; 0: none */
};

_Static_assert(sizeof(struct pfuse_page_record) == 528, "no implicit padding");

/* A mapping, as list_mappings writes it. */
struct pfuse_mapping {
	__u64 start;
	__u64 end;
	__u64 offset; /* in the file, pages */
	__u64 object; /* of the file; 0: anonymous memory */
	__u64 flags;  /* the kernel's VM_... */
	__u64 file;   /* as in pfuse/reads.h; 0: anonymous memory */
};

/* How a walk is steered, and what came of it: in the .bss of the programs, mapped by their reader. */
struct pfuse_pages_walk {
	__u64 base;  /* address of the direct map of all memory; 0: not known */
	__u64 mask;  /* the part of an entry that is a physical address */
	__u32 five;  /* levels of tables: 5, else 4 */
	__u32 level; /* of sampling */
	__u32 ranges;
	__u32 range; /* where the next slice begins: range and page */
	__u64 page;
	__u32 records;	   /* of this slice */
	__u32 done;	   /* it was the last one */
	__u32 gone;	   /* the process left its address space: the slice is worth nothing */
	__u32 torn;	   /* tables that changed while they were copied: left out */
	__u64 giant_bytes; /* mapped by entries of 1 GiB, in the sample: left out */
	/* To find `base`: a page of the reader, with its frame's number and what is written in it. */
	__u64 own_address;
	__u64 own_frame;
	__u64 own_content;
};

/* The chunk of a block that is in the sample. */
static inline __attribute__((always_inline)) __u64 pfuse_pages_pick(__u64 block, __u32 level,
								    __u64 salt)
{
	__u64 chunk = block;

	for (__u32 left = PFUSE_PAGES_LEVELS; left > 0; left--) {
		if (left > level)
			continue;
		__u64 mixed = (chunk ^ salt ^ (__u64)left << 56) * 0x9e3779b97f4a7c15ull;

		chunk = chunk << 1 | ((mixed ^ mixed >> 29) >> 31 & 1);
	}
	return chunk;
}

#endif
