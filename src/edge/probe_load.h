/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The inside of probe.c: the loader, a child process. Reading the kernel's BTF and relocating takes tens
 * of megabytes and leaves the heap in pieces, so a child does it and hands over file descriptors.
 */
#ifndef EDGE_PROBE_LOAD_H
#define EDGE_PROBE_LOAD_H

#include "edge/probe.h"

/* Attached when they are needed, and not before: those of PROBE_PAGES, then those of PROBE_READS. */
enum {
	PROBE_COPY_ENTRIES,
	PROBE_LIST_MAPPINGS,
	PROBE_FIND_MAP,
	PROBE_PAGE_PROGRAMS,
	PROBE_PAGES_READ = PROBE_PAGE_PROGRAMS,
	PROBE_FILE_READ,
	PROBE_PAGE_ADDED,
	PROBE_LATER_PROGRAMS,
};

/* Where what is in probe_loaded.fds; the links come last. */
enum {
	FD_STATS,
	FD_GROUPS,
	FD_CPUS,
	FD_SPANS,
	FD_PAGE_RANGES,
	FD_PAGE_RECORDS,
	FD_READERS,
	FD_READ_BUCKETS,
	FD_BSS,
	FD_MANAGED,
	FD_REACHED,
	FD_EVENTS,
	FD_WISHES,
	FD_READER_PIDS,
	FD_LINKS,
};

#define PROBE_FDS_MAX (FD_LINKS + PROBE_HOOKS_MAX + PROBE_ITERATORS)

struct btf;

struct probe_loaded {
	int fds[PROBE_FDS_MAX];
	int nfds;
	int err;			   /* negative errno; 0: all is attached */
	int iterators[PROBE_ITERATORS];	   /* indices among the links; -1: none */
	int walkers[PROBE_ITERATORS];	   /* their programs; indices as above */
	int net_programs[PROBE_NET_LINKS]; /* not attached; indices as above */
	int page_programs[PROBE_LATER_PROGRAMS]; /* likewise */
	bool sees_talks;
	bool tells_signals;
	uint32_t heard; /* bits 1 << enum pfuse_reach_kind: objects whose writes are told */
	uint64_t memory_bytes;
	struct err text;
};

/* 0, or -errno if there is no answer of the child; its own failure is in ret->err. */
int probe_load(const struct probe_config *config, uint32_t ncpus, struct probe_loaded *ret);

/* What the programs cast to, by BTF id; 0: the kernel has no bpf_rdonly_cast(). */
struct probe_casts {
	uint32_t task_struct;
	uint32_t sock;
	uint32_t cgroup;
};

/* Without a word of libbpf's; the caller's. NULL: errno says why. */
struct btf *probe_kernel_btf(void);

/*
 * The rows of `parts`; the others are not available (-ECANCELED). `try`: as probe_hooks(). Else by the
 * kernel's BTF alone, functions by a load: fast, and too hopeful where a tracepoint is refused.
 * `kernel`: its BTF. The number of hooks or -errno.
 */
int probe_find_hooks(const struct btf *kernel, struct probe_hook hooks[PROBE_HOOKS_MAX],
		     uint32_t parts, bool try, struct probe_casts *ret_casts);

/* The row of a program; NULL: there is none. */
const struct probe_hook *probe_find_hook(const struct probe_hook *hooks, const char *program);

/* From here on libbpf is silent, and its first warning is kept: for the sentence about a failed load. */
void probe_keep_warning(void);
const char *probe_last_warning(void);

#endif
