/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/tracer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "edge/probe_load.h"
#include "trace_object.skel.h"

#define MEMO_ENTRIES 256 /* per CPU; see probe_load.c */
#define PORTS 4096
#define LINKS_MAX 16
#define ENOUGH (-ECANCELED) /* what ends a round of ring_buffer__consume() */

struct tracer {
	struct trace_object *object;
	struct ring_buffer *ring;
	int epoll; /* of the ring's wake-ups, edge-triggered */
	struct bpf_link *links[LINKS_MAX];
	unsigned nlinks;
	const struct pfuse_trace_cpu *cpus;
	size_t cpus_bytes;
	uint32_t ncpus;
	uint32_t slots;
	uint32_t kinds;
	uint32_t told; /* kinds that some attached program tells */
	tracer_handler *handle;
	void *context;
	unsigned left; /* records of this round */
};

/* Which kind a program of ours tells. Those of peers.bpf.c, which are not here, tell talks. */
static const struct {
	const char *program;
	uint32_t kind;
} programs[] = {
	{ "trace_switch", PFUSE_TR_SWITCH }, { "trace_waking", PFUSE_TR_WAKE },
	{ "trace_born", PFUSE_TR_WAKE },     { "trace_fault", PFUSE_TR_FAULT },
	{ "trace_signal", PFUSE_TR_SIGNAL }, { "trace_fork", PFUSE_TR_FORK },
	{ "trace_exec", PFUSE_TR_EXEC },     { "trace_exit", PFUSE_TR_EXIT },
};

static uint32_t kind_of(const struct bpf_program *program)
{
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (!strcmp(programs[i].program, bpf_program__name(program)))
			return programs[i].kind;
	return PFUSE_TR_TALK;
}

/* "tp_btf/sched_switch": is the kernel's BTF aware of it? */
static bool has_hook(const struct btf *btf, const struct bpf_program *program)
{
	const char *slash = strchr(bpf_program__section_name(program), '/');
	char name[64];

	snprintf(name, sizeof(name), "btf_trace_%s", slash ? slash + 1 : "");
	return btf__find_by_name_kind(btf, name, BTF_KIND_TYPEDEF) > 0;
}

/* What a kernel of these days has: the stand-ins are for older ones. */
static void select_usual(struct tracer *tracer)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, tracer->object->obj)
	{
		bool stands_in = strstr(bpf_program__name(program), "_fexit");

		bpf_program__set_autoload(
			program, !stands_in && tracer->kinds & PFUSE_TR_BIT(kind_of(program)));
	}
}

/* Talks use the daemon's programs, of which some stand in for others: its table of hooks knows. */
static void select_found(struct tracer *tracer, const struct btf *btf,
			 const struct probe_hook *hooks)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, tracer->object->obj)
	{
		uint32_t kind = kind_of(program);
		bool load = tracer->kinds & PFUSE_TR_BIT(kind);

		if (load && kind == PFUSE_TR_TALK)
			load = probe_find_hook(hooks, bpf_program__name(program))->used;
		else if (load)
			load = has_hook(btf, program);
		bpf_program__set_autoload(program, load);
	}
}

static int find_programs(struct tracer *tracer, struct err *err)
{
	struct probe_hook hooks[PROBE_HOOKS_MAX] = { 0 };
	struct btf *btf = btf__load_vmlinux_btf();
	int code = btf ? 0 : -errno;
	struct probe_casts casts = { 0 };

	if (!code && tracer->kinds & PFUSE_TR_BIT(PFUSE_TR_TALK))
		code = probe_find_hooks(btf, hooks, 0, false, &casts);
	if (code < 0) {
		btf__free(btf);
		return err_set(err, -EOPNOTSUPP,
			       "no kernel BTF at /sys/kernel/btf/vmlinux (%s): a kernel with "
			       "CONFIG_DEBUG_INFO_BTF is needed",
			       strerror(-code));
	}
	tracer->object->rodata->knobs.has_rdonly_cast = casts.task_struct != 0;
	select_found(tracer, btf, hooks);
	btf__free(btf);
	return 0;
}

static uint32_t ring_size(size_t wanted)
{
	uint32_t bytes = (uint32_t)sysconf(_SC_PAGESIZE);

	while (bytes < wanted && bytes < 1u << 30)
		bytes *= 2;
	return bytes;
}

/* The object brings all maps of the daemon's; those that are not of use here are not made. */
static void set_maps(struct tracer *tracer, size_t ring_bytes)
{
	struct trace_object *object = tracer->object;
	bool talks = tracer->kinds & PFUSE_TR_BIT(PFUSE_TR_TALK);
	const struct {
		struct bpf_map *map;
		uint32_t entries;
	} wanted[] = {
		{ object->maps.trace_ring, ring_size(ring_bytes) },
		{ object->maps.trace_cpus, tracer->ncpus },
		{ object->maps.managed, tracer->slots },
		{ object->maps.groups, tracer->slots },
		{ object->maps.memos, MEMO_ENTRIES * tracer->ncpus },
		{ object->maps.stats, talks ? tracer->slots * tracer->ncpus : 0 },
		{ object->maps.ports, talks ? PORTS : 0 },
		{ object->maps.talk_memos, talks ? PFUSE_TRACE_TALK_MEMOS * tracer->ncpus : 0 },
	};
	struct bpf_map *map;

	bpf_object__for_each_map(map, object->obj)
		bpf_map__set_autocreate(map, map == object->maps.rodata || map == object->maps.bss);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (!wanted[i].entries)
			continue;
		bpf_map__set_autocreate(wanted[i].map, true);
		bpf_map__set_max_entries(wanted[i].map, wanted[i].entries);
	}
}

static void set_knobs(struct tracer *tracer, const struct tracer_config *config)
{
	tracer->object->rodata->knobs = (struct pfuse_knobs){
		.ncpus = tracer->ncpus,
		.nslots = tracer->slots,
		.anchor = config->anchor,
		.page_bytes = (uint32_t)sysconf(_SC_PAGESIZE),
		.memo_entries = MEMO_ENTRIES,
		.has_rdonly_cast = 1, /* unless find_programs() knows better */
	};
	/* A quarter: the reader has three quarters of the time that filling takes to wake up. */
	tracer->object->rodata->trace_knobs = (struct pfuse_trace_knobs){
		.everything = config->everything,
		.wake_bytes = ring_size(config->ring_bytes) / 4,
	};
}

static int on_record(void *context, void *data, size_t size)
{
	struct tracer *tracer = context;
	const struct pfuse_trace *record = data;

	if (size >= sizeof(*record) && record->kind && record->kind < PFUSE_TR_KINDS &&
	    record->slot < tracer->slots && record->cpu < tracer->ncpus)
		tracer->handle(record, tracer->context);
	return --tracer->left ? 0 : ENOUGH;
}

static int map_ring(struct tracer *tracer, struct err *err)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	tracer->cpus_bytes =
		(tracer->ncpus * sizeof(struct pfuse_trace_cpu) + page - 1) / page * page;
	void *cpus = mmap(NULL, tracer->cpus_bytes, PROT_READ, MAP_SHARED,
			  bpf_map__fd(tracer->object->maps.trace_cpus), 0);

	if (cpus == MAP_FAILED)
		return err_set(err, -errno, "cannot map the BPF maps: %s", strerror(errno));
	tracer->cpus = cpus;
	int ring_fd = bpf_map__fd(tracer->object->maps.trace_ring);
	struct epoll_event woken = { .events = EPOLLIN | EPOLLET };

	tracer->ring = ring_buffer__new(ring_fd, on_record, tracer, NULL);
	tracer->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!tracer->ring || tracer->epoll < 0 ||
	    epoll_ctl(tracer->epoll, EPOLL_CTL_ADD, ring_fd, &woken) < 0)
		return err_set(err, -errno, "cannot map the trace ring: %s", strerror(errno));
	return 0;
}

static int load_object(struct tracer *tracer, const struct tracer_config *config, bool usual,
		       struct err *err)
{
	tracer->object = trace_object__open();
	if (!tracer->object)
		return err_set(err, -ENOMEM, "cannot open the BPF object: out of memory");
	set_knobs(tracer, config);
	set_maps(tracer, config->ring_bytes);
	int code = 0;

	if (usual)
		select_usual(tracer);
	else
		code = find_programs(tracer, err);
	if (code)
		return code;
	probe_keep_warning();
	code = trace_object__load(tracer->object);
	if (code) {
		const char *warning = probe_last_warning();

		return err_set(err, code == -EPERM ? -EPERM : -EOPNOTSUPP,
			       "the kernel refuses the BPF programs of the trace (%s): %.*s",
			       strerror(-code), (int)strcspn(warning, "\n"), warning);
	}
	return 0;
}

/* To look for each hook reads the kernel's BTF twice more, most of the time of a start: so not at first. */
static int load(struct tracer *tracer, const struct tracer_config *config, struct err *err)
{
	int code = load_object(tracer, config, true, err);

	if (code && code != -EPERM) {
		trace_object__destroy(tracer->object);
		code = load_object(tracer, config, false, err);
	}
	return code ? code : map_ring(tracer, err);
}

int tracer_open(const struct tracer_config *config, struct tracer **ret, struct err *err)
{
	int ncpus = libbpf_num_possible_cpus();

	if (ncpus < 0)
		return err_set(err, ncpus, "cannot count CPUs: %s", strerror(-ncpus));
	struct tracer *tracer = calloc(1, sizeof(*tracer));

	if (!tracer)
		return err_set(err, -ENOMEM, "out of memory");
	tracer->epoll = -1;
	tracer->ncpus = (uint32_t)ncpus;
	tracer->slots = config->slots + 1;
	tracer->kinds = config->kinds;
	int code = load(tracer, config, err);

	if (code) {
		tracer_close(tracer);
		return code;
	}
	*ret = tracer;
	return 0;
}

int tracer_add(struct tracer *tracer, uint32_t slot, uint64_t id, uint32_t high_water_permille)
{
	const struct pfuse_group group = { .id = id, .high_water_permille = high_water_permille };

	if (!slot || slot >= tracer->slots || !id || tracer->nlinks)
		return -EINVAL;
	if (bpf_map__update_elem(tracer->object->maps.groups, &slot, sizeof(slot), &group,
				 sizeof(group), BPF_ANY) ||
	    bpf_map__update_elem(tracer->object->maps.managed, &id, sizeof(id), &slot, sizeof(slot),
				 BPF_ANY))
		return -errno;
	return 0;
}

/* Who listens already is found by a walk over all files: it is read to its end and gives no bytes. */
static void learn_ports(const struct bpf_link *link)
{
	char nothing[64];
	int fd = bpf_iter_create(bpf_link__fd(link));
	ssize_t got = 1;

	while (fd >= 0 && (got > 0 || (got < 0 && errno == EAGAIN)))
		got = read(fd, nothing, sizeof(nothing));
	if (fd >= 0)
		close(fd);
}

/* Connections alone are not the talks. */
static uint32_t told_by(const struct bpf_program *program)
{
	uint32_t kind = kind_of(program);
	bool counts = kind != PFUSE_TR_TALK ||
		      !strncmp(bpf_program__name(program), "on_sent", strlen("on_sent"));

	return counts ? PFUSE_TR_BIT(kind) : 0;
}

int tracer_start(struct tracer *tracer, struct err *err)
{
	struct bpf_program *program;
	int code = -EOPNOTSUPP;

	bpf_object__for_each_program(program, tracer->object->obj)
	{
		if (!bpf_program__autoload(program) || tracer->nlinks == LINKS_MAX)
			continue;
		struct bpf_link *link = bpf_program__attach(program);

		if (!link) {
			code = -errno;
			continue;
		}
		tracer->links[tracer->nlinks++] = link;
		if (!strcmp(bpf_program__name(program), "seed_ports"))
			learn_ports(link);
		else
			tracer->told |= told_by(program);
	}
	if (tracer->told)
		return 0;
	return err_set(err, code, "the kernel lets no program of the trace attach (%s)",
		       strerror(-code));
}

void tracer_stop(struct tracer *tracer)
{
	while (tracer->nlinks)
		bpf_link__destroy(tracer->links[--tracer->nlinks]);
}

void tracer_close(struct tracer *tracer)
{
	if (!tracer)
		return;
	tracer_stop(tracer);
	ring_buffer__free(tracer->ring);
	if (tracer->epoll >= 0)
		close(tracer->epoll);
	if (tracer->cpus)
		munmap((void *)tracer->cpus, tracer->cpus_bytes);
	trace_object__destroy(tracer->object);
	free(tracer);
}

uint32_t tracer_missing(const struct tracer *tracer)
{
	return tracer->kinds & ~tracer->told;
}

int tracer_wait(struct tracer *tracer, int ms)
{
	struct epoll_event event;

	return epoll_wait(tracer->epoll, &event, 1, ms) < 0 && errno != EINTR ? -errno : 0;
}

int tracer_consume(struct tracer *tracer, unsigned most, tracer_handler *handle, void *context)
{
	tracer->handle = handle;
	tracer->context = context;
	tracer->left = most;
	int code = ring_buffer__consume(tracer->ring);

	/* After, not before: where more waits than is taken, every record would wake us again. */
	tracer->object->bss->reader_woken = 0;
	return code < 0 && code != ENOUGH ? code : (int)(most - tracer->left);
}

uint32_t tracer_cpus(const struct tracer *tracer)
{
	return tracer->ncpus;
}

uint64_t tracer_lost(const struct tracer *tracer, uint32_t cpu, enum pfuse_trace_loss why)
{
	return __atomic_load_n(&tracer->cpus[cpu].lost[why], __ATOMIC_RELAXED);
}

uint64_t tracer_skipped(const struct tracer *tracer)
{
	struct bpf_program *program;
	uint64_t skipped = 0;

	bpf_object__for_each_program(program, tracer->object->obj)
	{
		struct bpf_prog_info info = { 0 };
		__u32 size = sizeof(info);

		if (bpf_program__autoload(program) &&
		    !bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size))
			skipped += info.recursion_misses;
	}
	return skipped;
}

uint64_t tracer_too_deep(const struct tracer *tracer)
{
	return tracer->object->bss->drops[PFUSE_DROP_DEEP_GROUP];
}
