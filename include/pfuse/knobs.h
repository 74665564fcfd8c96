/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the daemon tells the BPF programs once, between open and load. Read-only afterwards.
 */
#ifndef PFUSE_KNOBS_H
#define PFUSE_KNOBS_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

/* The hierarchy whose cgroup ids name groups: the one that holds the memory controller. */
enum pfuse_anchor {
	PFUSE_ANCHOR_V2 = 0,	/* the unified hierarchy (dfl_cgrp) */
	PFUSE_ANCHOR_V1_MEMORY, /* the v1 memory controller's hierarchy */
};

#define PFUSE_TALK_MEMOS 32 /* sockets remembered per CPU, 32 bytes each: a power of two */

struct pfuse_knobs {
	__u32 ncpus;	    /* possible CPUs: the stride of `stats` */
	__u32 nslots;	    /* elements of `groups`, slot 0 included */
	__u32 anchor;	    /* enum pfuse_anchor */
	__u32 hierarchy_id; /* of the anchor: 0 for v2, else the number in /proc/cgroups; ids are
			     * unique within one hierarchy only */
	__u32 page_bytes;
	__u32 memo_entries; /* per CPU, a power of two */
	__u32 has_rdonly_cast; /* bpf_rdonly_cast(), from 6.2 on */
	__u32 cast_task_struct; /* the types it is asked for, by BTF id; 0: as relocated */
	__u32 cast_sock;
	__u32 cast_cgroup;
	__u32 daemon_pid;   /* its thread group id in the first pid namespace; 0: not known */
	__u32 spans;	    /* 1: fill `spans`, see pfuse/span.h; 0: it and `bursts` have one element */
};

#endif
