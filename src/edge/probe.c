/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "edge/probe_load.h"
#include "pfuse.skel.h"

struct probe {
	int links[PROBE_FDS_MAX - FD_LINKS];
	int nlinks;
	int iterators[PROBE_ITERATORS];	   /* indices in links; -1: none */
	int walkers[PROBE_ITERATORS];	   /* likewise */
	int net_programs[PROBE_NET_LINKS]; /* likewise */
	int switch_links[PROBE_SWITCH_PROGRAMS]; /* likewise */
	uint64_t switch_bytes; /* of memory_bytes */
	int managed_fd;
	int reached_fd;
	int wishes_fd;
	int reader_pids_fd;
	uint32_t daemon_pid;
	uint32_t heard; /* bits of kinds, see probe_load.h */
	int events_fd;	/* what `ring` reads; it does not own it */
	struct ring_buffer *ring;
	struct pfuse_stats *stats;
	struct pfuse_group *groups;
	const struct pfuse_cpu *cpus;
	const struct pfuse_span *spans; /* NULL: not asked for */
	struct pfuse__bss *bss;
	struct probe_pages pages; /* without walk: not loaded */
	struct probe_reads *reads; /* NULL: likewise */
	uint32_t slots; /* slot 0 included */
	uint32_t ncpus;
	uint64_t memory_bytes;
	bool sees_talks;
	bool tells_signals;
	bool tells_populated;
	probe_handler *handle;
	void *context;
};

static void *map_values(int fd, size_t bytes, int protection)
{
	void *at = mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);

	return at == MAP_FAILED ? NULL : at;
}

static size_t page_round(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (bytes + page - 1) / page * page;
}

static size_t stats_bytes(const struct probe *probe)
{
	return page_round(sizeof(struct pfuse_stats) * probe->slots * probe->ncpus);
}

static size_t groups_bytes(const struct probe *probe)
{
	return page_round(sizeof(struct pfuse_group) * probe->slots);
}

static size_t cpus_bytes(const struct probe *probe)
{
	return page_round(sizeof(struct pfuse_cpu) * probe->ncpus);
}

static size_t spans_bytes(const struct probe *probe)
{
	return page_round(sizeof(struct pfuse_span) * probe->slots * probe->ncpus);
}

static size_t ranges_bytes(void)
{
	return page_round(sizeof(struct pfuse_page_range) * PFUSE_PAGES_RANGES);
}

static size_t records_bytes(void)
{
	return page_round(sizeof(struct pfuse_page_record) * PFUSE_PAGES_RECORDS);
}

static int take_over_pages(struct probe *probe, const struct probe_loaded *loaded)
{
	const int *at = loaded->page_programs, *fds = loaded->fds;
	struct probe_pages *pages = &probe->pages;

	for (int i = 0; i < PROBE_PAGE_PROGRAMS; i++)
		if (at[i] < 0)
			return 0;
	pages->copy_program = probe->links[at[PROBE_COPY_ENTRIES]];
	pages->list_program = probe->links[at[PROBE_LIST_MAPPINGS]];
	pages->find_program = probe->links[at[PROBE_FIND_MAP]];
	pages->ranges =
		map_values(fds[FD_PAGE_RANGES], ranges_bytes(), PROT_READ | PROT_WRITE);
	pages->records = map_values(fds[FD_PAGE_RECORDS], records_bytes(), PROT_READ);
	if (!pages->ranges || !pages->records)
		return -errno;
	pages->walk = (struct pfuse_pages_walk *)&probe->bss->pages_walk;
	return 0;
}

static size_t readers_bytes(const struct probe *probe)
{
	return page_round(sizeof(struct pfuse_reader) * probe->slots);
}

static size_t buckets_bytes(void)
{
	return page_round(sizeof(struct pfuse_read_bucket) * PFUSE_READS_BUCKETS);
}

static int program_at(const struct probe *probe, int at)
{
	return at < 0 ? -1 : probe->links[at];
}

static int take_over_reads(struct probe *probe, const struct probe_loaded *loaded)
{
	const int *at = loaded->page_programs, *fds = loaded->fds;
	int program =
		at[PROBE_PAGES_READ] < 0 ? at[PROBE_FILE_READ] : at[PROBE_PAGES_READ];
	int rw = PROT_READ | PROT_WRITE;

	if (program < 0)
		return 0;
	struct probe_reads *reads = calloc(1, sizeof(*reads));

	if (!reads)
		return -ENOMEM;
	probe->reads = reads;
	reads->read_program = program_at(probe, program);
	reads->added_program = program_at(probe, at[PROBE_PAGE_ADDED]);
	reads->pids_fd = probe->reader_pids_fd;
	reads->pids_used = (uint32_t *)&probe->bss->reader_pids_used;
	reads->slots = probe->slots;
	reads->readers = map_values(fds[FD_READERS], readers_bytes(probe), rw);
	reads->buckets = map_values(fds[FD_READ_BUCKETS], buckets_bytes(), rw);
	return reads->readers && reads->buckets ? 0 : -errno;
}

static int on_record(void *context, void *data, size_t size)
{
	const struct probe *probe = context;
	const struct pfuse_event *event = data;

	if (size < sizeof(*event) || !event->kind || event->kind >= PFUSE_EV_KINDS ||
	    !event->slot || event->slot >= probe->slots)
		return 0;
	probe->handle(event, probe->context);
	return 0;
}

static int take_over(struct probe *probe, const struct probe_loaded *loaded, bool spans)
{
	const int *fds = loaded->fds;
	int rw = PROT_READ | PROT_WRITE;

	probe->nlinks = loaded->nfds - FD_LINKS;
	memcpy(probe->links, fds + FD_LINKS, sizeof(int) * (size_t)probe->nlinks);
	probe->sees_talks = loaded->sees_talks;
	probe->tells_signals = loaded->tells_signals;
	probe->tells_populated = loaded->tells_populated;
	memcpy(probe->iterators, loaded->iterators, sizeof(probe->iterators));
	memcpy(probe->walkers, loaded->walkers, sizeof(probe->walkers));
	probe->memory_bytes = loaded->memory_bytes;
	memcpy(probe->net_programs, loaded->net_programs, sizeof(probe->net_programs));
	memcpy(probe->switch_links, loaded->switch_links, sizeof(probe->switch_links));
	probe->switch_bytes = loaded->switch_bytes;
	probe->managed_fd = fds[FD_MANAGED];
	probe->reached_fd = fds[FD_REACHED];
	probe->heard = loaded->heard;
	probe->wishes_fd = fds[FD_WISHES];
	probe->reader_pids_fd = fds[FD_READER_PIDS];
	probe->stats = map_values(fds[FD_STATS], stats_bytes(probe), rw);
	probe->groups = map_values(fds[FD_GROUPS], groups_bytes(probe), rw);
	probe->cpus = map_values(fds[FD_CPUS], cpus_bytes(probe), PROT_READ);
	probe->bss = map_values(fds[FD_BSS], page_round(sizeof(*probe->bss)), rw);
	if (spans)
		probe->spans = map_values(fds[FD_SPANS], spans_bytes(probe), PROT_READ);
	probe->ring = ring_buffer__new(fds[FD_EVENTS], on_record, probe, NULL);
	int err = probe->stats && probe->groups && probe->cpus && probe->bss && probe->ring &&
				  (probe->spans || !spans)
			  ? take_over_pages(probe, loaded)
			  : -errno;

	if (!err)
		err = take_over_reads(probe, loaded);
	for (int fd = FD_STATS; fd <= FD_BSS; fd++)
		close(fds[fd]);
	probe->events_fd = fds[FD_EVENTS];
	return err;
}

int probe_open(const struct probe_config *config, struct probe **ret, struct err *err)
{
	struct probe_loaded loaded = { 0 };
	int ncpus = libbpf_num_possible_cpus();

	if (ncpus < 0)
		return err_set(err, ncpus, "cannot count CPUs: %s", strerror(-ncpus));
	int code = probe_load(config, (uint32_t)ncpus, &loaded);

	if (code)
		return err_set(err, code, "cannot load the BPF programs: %s", strerror(-code));
	if (loaded.err)
		return err_set(err, loaded.err, "%s", loaded.text.text);
	struct probe *probe = calloc(1, sizeof(*probe));

	if (!probe)
		return err_set(err, -ENOMEM, "out of memory");
	*probe = (struct probe){ .managed_fd = -1,
				 .reached_fd = -1,
				 .events_fd = -1,
				 .wishes_fd = -1,
				 .reader_pids_fd = -1,
				 .slots = config->slots + 1,
				 .daemon_pid = (uint32_t)config->daemon_pid,
				 .ncpus = (uint32_t)ncpus };
	code = take_over(probe, &loaded, config->spans);
	if (code) {
		probe_close(probe);
		return err_set(err, code, "cannot map the BPF maps: %s", strerror(-code));
	}
	*ret = probe;
	return 0;
}

static void unmap(const volatile void *at, size_t bytes)
{
	if (at)
		munmap((void *)at, bytes);
}

void probe_close(struct probe *probe)
{
	if (!probe)
		return;
	for (int i = 0; i < probe->nlinks; i++)
		close(probe->links[i]);
	ring_buffer__free(probe->ring);
	unmap(probe->stats, stats_bytes(probe));
	unmap(probe->groups, groups_bytes(probe));
	unmap(probe->cpus, cpus_bytes(probe));
	unmap(probe->spans, spans_bytes(probe));
	unmap(probe->bss, page_round(sizeof(*probe->bss)));
	unmap(probe->pages.ranges, ranges_bytes());
	unmap(probe->pages.records, records_bytes());
	if (probe->reads) {
		unmap(probe->reads->readers, readers_bytes(probe));
		unmap(probe->reads->buckets, buckets_bytes());
		free(probe->reads);
	}
	if (probe->reader_pids_fd >= 0)
		close(probe->reader_pids_fd);
	if (probe->managed_fd >= 0)
		close(probe->managed_fd);
	if (probe->reached_fd >= 0)
		close(probe->reached_fd);
	if (probe->events_fd >= 0)
		close(probe->events_fd);
	if (probe->wishes_fd >= 0)
		close(probe->wishes_fd);
	free(probe);
}

bool probe_tells_signals(const struct probe *probe)
{
	return probe->tells_signals;
}

bool probe_tells_populated(const struct probe *probe)
{
	return probe->tells_populated;
}

bool probe_sees_talks(const struct probe *probe)
{
	return probe->sees_talks;
}

/* Every remembered answer of "which group is this cgroup in" is void from here on. */
static void forget_answers(struct probe *probe)
{
	__atomic_fetch_add(&probe->bss->generation, 1, __ATOMIC_SEQ_CST);
}

int probe_manage(struct probe *probe, uint32_t slot, uint64_t id, uint32_t high_water_permille)
{
	if (!slot || slot >= probe->slots || !id)
		return -EINVAL;
	struct pfuse_group *group = &probe->groups[slot];

	group->high_water_permille = high_water_permille;
	group->shadow_limit_bytes = 0;
	group->net_level = 0;
	group->wait_target_ns = 0;
	__atomic_store_n(&group->arm, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&group->id, id, __ATOMIC_RELEASE);
	if (bpf_map_update_elem(probe->managed_fd, &id, &slot, BPF_ANY) < 0)
		return -errno;
	forget_answers(probe);
	return 0;
}

int probe_unmanage(struct probe *probe, uint32_t slot)
{
	if (!slot || slot >= probe->slots || !probe->groups[slot].id)
		return -EINVAL;
	uint64_t id = probe->groups[slot].id;
	int err = bpf_map_delete_elem(probe->managed_fd, &id) < 0 ? -errno : 0;

	__atomic_store_n(&probe->groups[slot].arm, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&probe->groups[slot].id, 0, __ATOMIC_RELEASE);
	forget_answers(probe);
	return err;
}

int probe_iterate(struct probe *probe, enum probe_iterator which, uint32_t slot, int *ret_fd)
{
	int link = probe->iterators[which];

	if (link < 0)
		return -ENOENT;
	probe->bss->walked_slot = slot;
	int fd = bpf_iter_create(probe->links[link]);

	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

int probe_iterate_process(struct probe *probe, enum probe_iterator which, uint32_t slot, pid_t pid,
			  int *ret_fd)
{
	union bpf_iter_link_info info = { .task.pid = (uint32_t)pid };
	LIBBPF_OPTS(bpf_link_create_opts, options, .iter_info = &info,
		    .iter_info_len = sizeof(info));
	int walker = probe->walkers[which];

	if (walker < 0)
		return -ENOENT;
	probe->bss->walked_slot = slot;
	int link = bpf_link_create(probe->links[walker], 0, BPF_TRACE_ITER, &options);

	if (link < 0)
		return link;
	int fd = bpf_iter_create(link);

	close(link); /* the iterator holds it */
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

struct pfuse_reach_walk *probe_reach_walk(struct probe *probe)
{
	return (struct pfuse_reach_walk *)&probe->bss->reach_walk;
}

const struct probe_pages *probe_pages(const struct probe *probe)
{
	return probe->pages.walk ? &probe->pages : NULL;
}

struct probe_reads *probe_reads(const struct probe *probe)
{
	return probe->reads;
}

uint32_t probe_daemon_pid(const struct probe *probe)
{
	return probe->daemon_pid;
}

bool probe_hears(const struct probe *probe, enum pfuse_reach_kind kind)
{
	return probe->heard & (1u << kind);
}

int probe_hear(struct probe *probe, const struct pfuse_reach_key *key, uint32_t slot, bool reads)
{
	if (!probe_hears(probe, key->kind))
		return -ENOENT;
	uint32_t value = slot | (reads ? PFUSE_REACHED_READS : 0);

	return bpf_map_update_elem(probe->reached_fd, key, &value, BPF_NOEXIST) < 0 ? -errno : 0;
}

void probe_unhear(struct probe *probe, const struct pfuse_reach_key *key)
{
	bpf_map_delete_elem(probe->reached_fd, key);
}

int probe_seed(struct probe *probe)
{
	char nothing[64];
	int fd = -1, err = probe_iterate(probe, PROBE_ITER_PORTS, 0, &fd);
	ssize_t got = 0;

	if (err)
		return err;
	do
		got = read(fd, nothing, sizeof(nothing));
	while (got > 0 || (got < 0 && errno == EAGAIN));
	close(fd);
	return got < 0 ? -errno : 0;
}

void probe_arm(struct probe *probe, uint32_t slot, uint32_t bits)
{
	__atomic_fetch_or(&probe->groups[slot].arm, bits, __ATOMIC_SEQ_CST);
}

void probe_disarm(struct probe *probe, uint32_t slot, uint32_t bits)
{
	__atomic_fetch_and(&probe->groups[slot].arm, ~bits, __ATOMIC_SEQ_CST);
}

void probe_shadow_limit(struct probe *probe, uint32_t slot, uint64_t bytes)
{
	__atomic_store_n(&probe->groups[slot].shadow_limit_bytes, bytes, __ATOMIC_RELAXED);
}

void probe_net_level(struct probe *probe, uint32_t slot, int level)
{
	__atomic_store_n(&probe->groups[slot].net_level, (uint32_t)(level + 1), __ATOMIC_SEQ_CST);
}

int probe_net_attach(struct probe *probe, int v2_fd, int ret_links[PROBE_NET_LINKS])
{
	static const enum bpf_attach_type types[PROBE_NET_LINKS] = { BPF_CGROUP_INET_SOCK_CREATE,
								     BPF_CGROUP_SETSOCKOPT,
								     BPF_CGROUP_SOCK_OPS };

	for (int i = 0; i < PROBE_NET_LINKS; i++) {
		int program = probe->net_programs[i];
		int link = program < 0
				   ? -EOPNOTSUPP
				   : bpf_link_create(probe->links[program], v2_fd, types[i], NULL);

		if (link < 0) {
			while (i > 0)
				close(ret_links[--i]);
			return link;
		}
		ret_links[i] = link;
	}
	return 0;
}

int probe_net_remember(struct probe *probe, int socket_fd, uint32_t slot, uint32_t priority)
{
	const struct pfuse_wish wish = { .priority = priority, .slot = slot };
	int err = bpf_map_update_elem(probe->wishes_fd, &socket_fd, &wish, BPF_NOEXIST);

	return err == -EEXIST ? 0 : err;
}

int probe_net_recall(struct probe *probe, int socket_fd, uint32_t *ret_priority)
{
	struct pfuse_wish wish;
	int err = bpf_map_lookup_elem(probe->wishes_fd, &socket_fd, &wish);

	if (!err)
		*ret_priority = wish.priority;
	return err;
}

int probe_net_forget(struct probe *probe, int socket_fd)
{
	return bpf_map_delete_elem(probe->wishes_fd, &socket_fd);
}

void probe_read(const struct probe *probe, uint32_t slot, struct pfuse_stats *ret)
{
	struct pfuse_stats sum = { 0 };

	for (uint32_t cpu = 0; cpu < probe->ncpus; cpu++) {
		const struct pfuse_stats *part = &probe->stats[slot * probe->ncpus + cpu];

		sum.run_ns += part->run_ns;
		sum.wait_ns += part->wait_ns;
		sum.tx_bytes += part->tx_bytes;
		sum.rx_bytes += part->rx_bytes;
		sum.nvcsw += part->nvcsw;
		sum.nivcsw += part->nivcsw;
		sum.faults += part->faults;
		sum.talks += part->talks;
		sum.execs += part->execs;
		sum.exits += part->exits;
	}
	*ret = sum;
}

int probe_read_span(const struct probe *probe, uint32_t slot, struct pfuse_span *ret)
{
	struct pfuse_span sum = { 0 };

	if (!probe->spans)
		return -EOPNOTSUPP;
	for (uint32_t cpu = 0; cpu < probe->ncpus; cpu++) {
		const struct pfuse_span *part = &probe->spans[slot * probe->ncpus + cpu];

		for (int i = 0; i < PFUSE_SPAN_BUCKETS; i++) {
			sum.wait[i] += part->wait[i];
			sum.burst[i] += part->burst[i];
		}
		sum.burst_ns += part->burst_ns;
		sum.short_ns += part->short_ns;
		sum.wakeups += part->wakeups;
		sum.migrations += part->migrations;
		sum.late = part->late > sum.late ? part->late : sum.late;
	}
	*ret = sum;
	return 0;
}

/* The new one first: two at once count nothing twice (sched.bpf.c), and none at all would miss switches. */
static int exchange_link(struct probe *probe, int which, int program)
{
	int *at = &probe->switch_links[which];
	int link = program < 0 ? -1 : bpf_raw_tracepoint_open(NULL, program);

	if (program >= 0 && link < 0)
		return link;
	if (*at < 0 && link >= 0) {
		*at = probe->nlinks++;
		probe->links[*at] = -1;
	}
	if (*at < 0)
		return 0;
	if (probe->links[*at] >= 0)
		close(probe->links[*at]);
	probe->links[*at] = link;
	return 0;
}

static int program_of(const struct probe_loaded *loaded, int which)
{
	int at = loaded->switch_links[which];

	return at < 0 ? -1 : loaded->fds[at];
}

static int exchange_switch(struct probe *probe, const struct probe_loaded *loaded, bool spans)
{
	const struct pfuse_span *map = NULL;
	int err;

	if (spans)
		map = map_values(loaded->fds[FD_NEW_SPANS], spans_bytes(probe), PROT_READ);
	if (spans && !map)
		return -errno;
	probe->bss->replacing_switch = 1;
	/* on_switch first: where that fails, nothing has changed. Without on_migrate less is counted. */
	err = exchange_link(probe, PROBE_ON_SWITCH, program_of(loaded, PROBE_ON_SWITCH));
	if (!err)
		(void)exchange_link(probe, PROBE_ON_MIGRATE, program_of(loaded, PROBE_ON_MIGRATE));
	/* Those that run on other CPUs have ended when this returns. */
	syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	probe->bss->replacing_switch = 0;
	if (err) {
		unmap(map, spans_bytes(probe));
		return err;
	}
	unmap(probe->spans, spans_bytes(probe));
	probe->spans = map;
	probe->memory_bytes += loaded->switch_bytes - probe->switch_bytes;
	probe->switch_bytes = loaded->switch_bytes;
	return 0;
}

int probe_count_spans(struct probe *probe, bool spans, struct err *err)
{
	struct probe_loaded loaded = { 0 };
	int code;

	if (spans == (probe->spans != NULL))
		return 0;
	code = probe_load_switch(probe->links[probe->switch_links[PROBE_ON_SWITCH]], spans,
				 &loaded);
	if (!code && !loaded.err)
		code = exchange_switch(probe, &loaded, spans);
	for (int i = 0; i < loaded.nfds; i++)
		close(loaded.fds[i]);
	if (!code && !loaded.err)
		return 0;
	return err_set(err, code ? code : loaded.err, "cannot load on_switch anew: %s",
		       code ? strerror(-code) : loaded.text.text);
}

void probe_wait_target(struct probe *probe, uint32_t slot, uint64_t target_ns)
{
	__atomic_store_n(&probe->groups[slot].wait_target_ns, target_ns, __ATOMIC_RELAXED);
}

uint32_t probe_oncpu(const struct probe *probe, uint32_t slot)
{
	uint32_t count = 0;

	for (uint32_t cpu = 0; cpu < probe->ncpus; cpu++)
		count += __atomic_load_n(&probe->cpus[cpu].slot, __ATOMIC_RELAXED) == slot;
	return count;
}

uint64_t probe_drops(const struct probe *probe, enum pfuse_drop why)
{
	return probe->bss->drops[why];
}

uint64_t probe_memory_bytes(const struct probe *probe)
{
	return probe->memory_bytes;
}

int probe_fd(const struct probe *probe)
{
	return ring_buffer__epoll_fd(probe->ring);
}

int probe_consume(struct probe *probe, probe_handler *handle, void *context)
{
	probe->handle = handle;
	probe->context = context;
	return ring_buffer__consume(probe->ring);
}
