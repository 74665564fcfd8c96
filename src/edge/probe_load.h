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

/* What probe_count_spans() replaces. */
enum {
	PROBE_ON_SWITCH,
	PROBE_ON_MIGRATE, /* with spans only */
	PROBE_SWITCH_PROGRAMS,
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
	bool tells_populated;
	uint32_t heard; /* bits 1 << enum pfuse_reach_kind: objects whose writes are told */
	int switch_links[PROBE_SWITCH_PROGRAMS]; /* likewise; -1: not attached */
	uint64_t switch_bytes; /* of memory_bytes: what a replacement gives back */
	uint64_t memory_bytes;
	struct err text;
};

/* 0, or -errno if there is no answer of the child; its own failure is in ret->err. */
int probe_load(const struct probe_config *config, uint32_t ncpus, struct probe_loaded *ret);

/*
 * probe_spans.c: the programs of PROBE_SWITCH_PROGRAMS once more, on the maps of the one that is attached by
 * `running`, with or without spans. Not attached: of *ret, `fds` are the map `spans`, then the programs, -1
 * for none that is needed; and switch_bytes, err and text. Errors as probe_load().
 */
enum {
	FD_NEW_SPANS,
	FD_NEW_PROGRAMS,
};

int probe_load_switch(int running, bool spans, struct probe_loaded *ret);

/* What probe_load.c has for both: `job` in a child, its result in *ret; the rest for use in the child only. */
typedef int probe_job(const void *arg, struct probe_loaded *ret);

int probe_in_child(probe_job *job, const void *arg, struct probe_loaded *ret);

struct probe_found;
struct pfuse;

struct pfuse *probe_open_object(const struct btf *kernel);
void probe_register_handlers(const struct probe_found *found);
uint64_t probe_map_memory(int fd); /* of a program as well */

/* What the programs cast to, by BTF id; 0: the kernel has no bpf_rdonly_cast(). */
struct probe_casts {
	uint32_t task_struct;
	uint32_t sock;
	uint32_t cgroup;
};

/*
 * What the kernel has and takes. libbpf's own way to find what a program attaches to goes through all types of
 * the kernel by name, for each program: these have been found already.
 */
struct probe_found {
	const struct btf *kernel;
	struct probe_hook hooks[PROBE_HOOKS_MAX];
	struct probe_casts casts;
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
