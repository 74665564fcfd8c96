/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Objects by which a group may talk with outsiders and no packet shows it: pipes, terminals, eventfds,
 * shared memory. bpf/reach.bpf.c writes one record per file or mapping while its iterators are read;
 * edge/reach.c joins the records to findings; core/reachable.c judges these.
 *
 * Shapes: a record is 80 bytes, a finding 104, fixed-width, no implicit padding, native endianness.
 * pids are thread group ids as BPF sees them (in the first pid namespace). Names come from the
 * processes: escape them before printing.
 */
#ifndef PFUSE_REACH_H
#define PFUSE_REACH_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

#define PFUSE_REACH_NAME 32

enum pfuse_reach_kind {
	PFUSE_REACH_PIPE = 1, /* pipe or FIFO; object: inode number, as in "pipe:[N]" */
	PFUSE_REACH_EVENTFD,  /* object: eventfd-id of /proc/PID/fdinfo/N */
	PFUSE_REACH_SHM, /* shared mapping of whatever kind; object: inode number of its file */
	PFUSE_REACH_TTY, /* both ends of a pseudo-terminal; object: its number, as in /dev/pts/N */
	PFUSE_REACH_KINDS,
};

enum pfuse_reach_access {
	PFUSE_REACH_READ = 1 << 0,
	PFUSE_REACH_WRITE = 1 << 1, /* for a mapping: may become writable, too */
};

#define PFUSE_REACHED_READS (1u << 31) /* in the map `reached`: the group can read there */

/*
 * What identifies an object. Numbers alone do not: each IPC namespace counts its segments from 0, all in
 * one file system, and numbers are used again; so a hash of the kernel's address goes with it.
 */
struct pfuse_reach_key {
	__u64 object;
	__u32 tag;
	__u32 kind; /* enum pfuse_reach_kind */
};

struct pfuse_reach_record {
	struct pfuse_reach_key key;
	__u64 state; /* changes when data moves: of a pipe see pipe_state(), of a terminal bytes received by
		      * both ends, of an eventfd its count; of a mapping how many writable ones its object
		      * has on this machine */
	__u32 pid;
	__u32 slot;   /* group of the process; 0: not managed */
	__u32 access; /* enum pfuse_reach_access */
	__u32 waiting; /* pipe: buffers that hold unread data; else 1 if this process could read now */
	__u32 private_to_kin; /* mapping: can be had by fork alone, always writable ("dev/zero") */
	__u32 counts; /* mapping: this process is the one that stands for its address space */
	char name[PFUSE_REACH_NAME];
};

_Static_assert(sizeof(struct pfuse_reach_record) == 80, "no implicit padding");

/* How the daemon steers a walk: in the .bss of the programs, mapped by the daemon. */
#define PFUSE_REACH_BITS 32768

struct pfuse_reach_walk {
	__u32 theirs; /* 0: emit what the walked group has; 1: what others have of the marked objects */
	__u32 pad;
	__u64 marked[PFUSE_REACH_BITS / 64];
};

static inline __u32 pfuse_reach_tag(__u64 address)
{
	return (__u32)(address * 0x9e3779b97f4a7c15ull >> 32);
}

/* The bit in `marked` that stands for an object: a few of others' share it, and are sorted out later. */
static inline __u32 pfuse_reach_bit(const struct pfuse_reach_key *key)
{
	__u64 mixed = (key->object ^ (__u64)key->tag << 24 ^ (__u64)key->kind << 60) *
		      0x9e3779b97f4a7c15ull;

	return (__u32)(mixed >> 49);
}

/* An object that the group shares with an outsider so that data can pass between them. */
struct pfuse_reach_finding {
	struct pfuse_reach_key key;
	__u64 state;	  /* of the record */
	__u32 ours;	  /* a process of the group that has it */
	__u32 theirs;	  /* an outsider that has it */
	__u32 their_slot; /* the managed group of `theirs`; 0: none */
	__u32 access;	  /* of the group, all its processes together */
	__u32 their_access;
	__u32 waiting;
	__u32 compared; /* 1: the snapshot before had it, so `moved` means something */
	__u32 moved;	/* 1: the state changed since */
	char name[PFUSE_REACH_NAME];
	__u32 heard;	     /* 1: every write since the snapshot before raised a TALK event */
	__u32 watched;	     /* 1: every write from now on raises one */
	__u32 daemon_writes; /* 1: the daemon can write there, too: what moved may be its own lines */
	__u32 pad;
};

_Static_assert(sizeof(struct pfuse_reach_finding) == 104, "no implicit padding");

#endif
