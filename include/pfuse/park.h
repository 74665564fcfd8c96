/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * One thread of a group that is frozen, as bpf/park.bpf.c writes it: a walk gives an array of these.
 */
#ifndef PFUSE_PARK_H
#define PFUSE_PARK_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

enum pfuse_thread_bit {
	PFUSE_THREAD_PTRACED = 1 << 0,
	PFUSE_THREAD_IO_URING = 1 << 1,	 /* has used io_uring: the kernel may still work for it */
	PFUSE_THREAD_OWN_FILES = 1 << 2, /* its file descriptors are not its process's */
	PFUSE_THREAD_OTHER_ABI = 1 << 3, /* 32-bit system call: other numbers, other structures */
	PFUSE_THREAD_SIGNAL = 1 << 4,	 /* a signal waits to be delivered to it */
	PFUSE_THREAD_STOPPED = 1 << 5,	 /* by SIGSTOP or the like */
	PFUSE_THREAD_EXITING = 1 << 6,
	PFUSE_THREAD_KERNEL = 1 << 7, /* works for the group inside the kernel */
};

/* What restart_syscall(2) goes on with: the kernel keeps no number, but what it keeps tells. */
enum pfuse_restart {
	PFUSE_RESTART_SLEEP = 0, /* nanosleep and clock_nanosleep */
	PFUSE_RESTART_POLL,
	PFUSE_RESTART_FUTEX,
};

/* 88 bytes */
struct pfuse_thread {
	__u32 tgid;
	__u32 tid;
	__u64 ip; /* where it goes on in user space */
	__s64 nr; /* system call; below 0: in none */
	__s64 ax; /* what the call returned so far */
	__u64 args[6];
	__u16 bits;    /* enum pfuse_thread_bit */
	__u16 restart; /* enum pfuse_restart: only holds when nr is restart_syscall */
	__u32 zero;
};

_Static_assert(sizeof(struct pfuse_thread) == 88, "pfuse_thread crosses the border to BPF");

#endif
