/* SPDX-License-Identifier: GPL-2.0-only */
/* Made by vmlinux/regenerate: all kernel data that this project depends on. Do not edit. */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#include <linux/bpf.h>
#include <linux/types.h>

typedef _Bool bool;
enum { false = 0, true = 1 };
enum { IPPROTO_TCP = 6 };	/* linux/in.h */
enum { PIDTYPE_TGID = 1 };	/* linux/pid.h */


#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif

typedef __u16 u16;

typedef __u32 u32;

typedef __s64 s64;

typedef __u64 u64;

typedef long long int __kernel_loff_t;

typedef u32 __kernel_dev_t;

typedef __kernel_dev_t dev_t;

typedef short unsigned int umode_t;

typedef __kernel_pid_t pid_t;

typedef __kernel_loff_t loff_t;

typedef __kernel_size_t size_t;

typedef unsigned int fmode_t;

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	s64 counter;
} atomic64_t;

struct hlist_node;

struct hlist_head {
	struct hlist_node *first;
};

struct hlist_node {
};

struct thread_info {
	u32 status;
	u32 cpu;
};

struct sched_entity {
	u64 sum_exec_runtime;
	u64 vruntime;
	u64 slice;
	struct sched_entity *parent;
};

struct sched_info {
	long long unsigned int run_delay;
};

struct restart_block {
	union {
		struct {
			void *ufds;
			int nfds;
			int has_timeout;
		} poll;
	};
};

typedef struct {
	long unsigned int sig[1];
} sigset_t;

struct sigpending {
	sigset_t signal;
};

struct mm_struct;

struct signal_struct;

struct sighand_struct;

struct css_set;

struct task_struct {
	struct thread_info thread_info;
	unsigned int __state;
	unsigned int flags;
	unsigned int ptrace;
	int prio;
	struct sched_entity se;
	struct sched_info sched_info;
	struct mm_struct *mm;
	int exit_state;
	int exit_code;
	struct restart_block restart_block;
	pid_t pid;
	pid_t tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct hlist_node pid_links[4];
	long unsigned int nvcsw;
	char comm[16];
	void *files;
	void *io_uring;
	struct signal_struct *signal;
	struct sighand_struct *sighand;
	sigset_t blocked;
	struct sigpending pending;
	struct css_set *cgroups;
};

struct pt_regs {
	long unsigned int r10;
	long unsigned int r9;
	long unsigned int r8;
	long unsigned int ax;
	long unsigned int dx;
	long unsigned int si;
	long unsigned int di;
	long unsigned int orig_ax;
	long unsigned int ip;
};

struct mm_struct {
	struct {
		void *pgd;
		struct task_struct *owner;
	};
};

typedef long unsigned int vm_flags_t;

struct file;

struct vm_area_struct {
	union {
		struct {
			long unsigned int vm_start;
			long unsigned int vm_end;
		};
	};
	union {
		const vm_flags_t vm_flags;
	};
	long unsigned int vm_pgoff;
	struct file *vm_file;
};

typedef atomic64_t atomic_long_t;

typedef void *__sighandler_t;

struct kernel_siginfo {
	struct {
		int si_code;
	};
};

struct sigaction {
	__sighandler_t sa_handler;
};

struct k_sigaction {
	struct sigaction sa;
};

struct inode;

struct address_space {
	struct inode *host;
	atomic_t i_mmap_writable;
};

struct upid {
	int nr;
};

struct pid {
	struct hlist_head tasks[4];
	struct upid numbers[0];
};

struct signal_struct {
	struct sigpending shared_pending;
};

struct sighand_struct {
	struct k_sigaction action[64];
};

struct cgroup_subsys_state;

struct cgroup;

struct css_set {
	struct cgroup_subsys_state *subsys[12];
	struct cgroup *dfl_cgrp;
};

struct page_counter {
	atomic_long_t usage;
	long unsigned int high;
	long unsigned int max;
};

struct mem_cgroup {
	struct page_counter memory;
};

struct folio {
	union {
		struct {
			struct address_space *mapping;
			union {
				long unsigned int index;
			};
		};
	};
	union {
		struct {
			unsigned int _nr_pages;
		};
	};
};

struct dentry;

struct path {
	struct dentry *dentry;
};

struct file {
	fmode_t f_mode;
	struct address_space *f_mapping;
	void *private_data;
	struct inode *f_inode;
	union {
		const struct path f_path;
	};
};

struct iov_iter {
	union {
		struct {
			size_t count;
		};
	};
};

struct kiocb {
	struct file *ki_filp;
	loff_t ki_pos;
};

struct qstr {
	void *name;
};

struct dentry {
	union {
		const struct qstr d_name;
	};
};

struct super_block;

struct pipe_inode_info;

struct inode {
	umode_t i_mode;
	struct super_block *i_sb;
	long unsigned int i_ino;
	dev_t i_rdev;
	loff_t i_size;
	union {
		struct pipe_inode_info *i_pipe;
	};
};

struct super_block {
	dev_t s_dev;
	long unsigned int s_magic;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct kernfs_node;

struct cgroup_root;

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
	struct cgroup_root *root;
};

struct kernfs_node {
	u64 id;
};

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

struct cgroup_root {
	int hierarchy_id;
};

struct in6_addr {
	union {
		__be32 u6_addr32[4];
	} in6_u;
};

enum pageflags {
	PG_locked = 0,
	PG_writeback = 1,
	PG_referenced = 2,
	PG_uptodate = 3,
	PG_dirty = 4,
	PG_lru = 5,
	PG_head = 6,
	PG_waiters = 7,
	PG_active = 8,
	PG_workingset = 9,
	PG_owner_priv_1 = 10,
	PG_owner_2 = 11,
	PG_arch_1 = 12,
	PG_reserved = 13,
	PG_private = 14,
	PG_private_2 = 15,
	PG_reclaim = 16,
	PG_swapbacked = 17,
	PG_unevictable = 18,
	PG_dropbehind = 19,
	PG_mlocked = 20,
	PG_young = 21,
	PG_idle = 22,
	PG_arch_2 = 23,
	__NR_PAGEFLAGS = 24,
	PG_readahead = 16,
	PG_swapcache = 10,
	PG_checked = 10,
	PG_anon_exclusive = 11,
	PG_mappedtodisk = 11,
	PG_fscache = 15,
	PG_pinned = 10,
	PG_savepinned = 4,
	PG_foreign = 10,
	PG_xen_remapped = 10,
	PG_movable_ops_isolated = 16,
	PG_movable_ops = 3,
	PG_reported = 3,
	PG_vmemmap_self_hosted = 10,
	PG_has_hwpoisoned = 8,
	PG_large_rmappable = 9,
	PG_partially_mapped = 16,
};

struct tty_struct {
	int index;
	struct tty_struct *link;
	void *disc_data;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct sock_common {
	union {
		struct {
			__be32 skc_daddr;
			__be32 skc_rcv_saddr;
		};
	};
	union {
		struct {
			__be16 skc_dport;
			__u16 skc_num;
		};
	};
	short unsigned int skc_family;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct sock {
	struct sock_common __sk_common;
	u16 sk_protocol;
	struct pid *sk_peer_pid;
};

struct socket {
	struct sock *sk;
};

enum cgroup_subsys_id {
	cpuset_cgrp_id = 0,
	cpu_cgrp_id = 1,
	cpuacct_cgrp_id = 2,
	io_cgrp_id = 3,
	memory_cgrp_id = 4,
	devices_cgrp_id = 5,
	freezer_cgrp_id = 6,
	net_cls_cgrp_id = 7,
	perf_event_cgrp_id = 8,
	net_prio_cgrp_id = 9,
	hugetlb_cgrp_id = 10,
	pids_cgrp_id = 11,
	CGROUP_SUBSYS_COUNT = 12,
};

typedef unsigned int pipe_index_t;

struct pipe_buffer;

struct pipe_inode_info {
	union {
		struct {
			pipe_index_t head;
			pipe_index_t tail;
		};
	};
	unsigned int ring_size;
	struct pipe_buffer *bufs;
};

struct pipe_buffer {
	unsigned int offset;
	unsigned int len;
};

struct bpf_iter_meta {
	union {
		void *seq;
	};
};

struct bpf_iter__task {
	union {
		struct bpf_iter_meta *meta;
	};
	union {
		struct task_struct *task;
	};
};

struct bpf_iter__task_file {
	union {
		struct bpf_iter_meta *meta;
	};
	union {
		struct task_struct *task;
	};
	union {
		struct file *file;
	};
};

struct bpf_iter__task_vma {
	union {
		struct bpf_iter_meta *meta;
	};
	union {
		struct task_struct *task;
	};
	union {
		struct vm_area_struct *vma;
	};
};

struct eventfd_ctx {
	__u64 count;
	int id;
};

struct tty_file_private {
	struct tty_struct *tty;
};

struct n_tty_data {
	size_t read_head;
	size_t commit_head;
	size_t canon_head;
	unsigned char icanon: 1;
	size_t read_tail;
};

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif /* __VMLINUX_H__ */
