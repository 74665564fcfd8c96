/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "edge/probe.h"
#include "pfuse.skel.h"

#define MEMO_ENTRIES 256   /* per CPU, 4 KiB: cgroups that a CPU runs within a short time */
#define PORTS_PER_SLOT 64
#define PORTS_MIN 1024
#define RING_BYTES 65536   /* 1,000 events; grows with the slots */

struct probe {
	int links[PROBE_HOOKS_MAX];
	int nlinks;
	int seed_link; /* index of the iterator in links; -1: none */
	int managed_fd;
	int events_fd; /* what `ring` reads; it does not own it */
	struct ring_buffer *ring;
	struct pfuse_stats *stats;
	struct pfuse_group *groups;
	const struct pfuse_cpu *cpus;
	struct pfuse__bss *bss;
	uint32_t slots; /* slot 0 included */
	uint32_t ncpus;
	uint64_t memory_bytes;
	bool sees_talks;
	probe_handler *handle;
	void *context;
};

static const struct probe_hook hook_table[] = {
	{ "on_switch", "tp_btf/sched_switch", "CPU time, run-queue wait, switches, idleness", NULL,
	  "nothing can be observed", .required = true },
	{ "on_user_fault", "tp_btf/page_fault_user", "page faults, memory growth at the fault",
	  "on_reclaim", "growth is told when it meets the limit, not before" },
	{ "on_reclaim", "tp_btf/mm_vmscan_memcg_reclaim_begin", "growth that meets the limit",
	  "samples once per interval", "page cache growth is seen at the next sample" },
	{ "on_sent", "tp_btf/sock_send_length", "bytes sent, talks with outsiders", "on_sent_fexit",
	  "talks over UDP and UNIX sockets are not seen: no group is stopped" },
	{ "on_received", "tp_btf/sock_recv_length", "bytes received, talks with outsiders",
	  "on_received_fexit", "talks over UDP and UNIX sockets are not seen: no group is stopped" },
	{ "on_sent_fexit", "fexit/security_socket_sendmsg", "the same, on kernels before 6.3", NULL,
	  "see on_sent", .stands_in_for = "on_sent" },
	{ "on_received_fexit", "fexit/sock_recvmsg", "the same, on kernels before 6.3", NULL,
	  "see on_received", .stands_in_for = "on_received" },
	{ "on_sock_state", "tp_btf/inet_sock_set_state", "TCP connections made and taken",
	  "on_sent, on_received", "a connection is seen with its first data" },
	{ "seed_ports", "iter/task_file", "ports that a group used before we came", "on_received",
	  "an outsider is seen when the group answers it, not before" },
	{ "on_populated", "tp_btf/cgroup_notify_populated", "groups that empty and fill",
	  "samples once per interval", "emptiness is seen at the next sample" },
	{ "on_rmdir", "tp_btf/cgroup_rmdir", "groups that are removed", "errors of reads and writes",
	  "removal is seen at the next sample" },
	{ "on_exec", "tp_btf/sched_process_exec", "programs started", NULL, "no exec counts" },
	{ "on_exit", "tp_btf/sched_process_exit", "processes ended", NULL, "no exit counts" },
	{ "on_oom_victim", "tp_btf/mark_victim", "victims of the OOM killer", "on_oom_victim_pid",
	  "kills are counted from the group's own file only" },
	{ "on_oom_victim_pid", "tp_btf/mark_victim(pid)", "the same, on kernels before 6.8", NULL,
	  "see on_oom_victim", .stands_in_for = "on_oom_victim" },
};

#define HOOKS (sizeof(hook_table) / sizeof(hook_table[0]))
_Static_assert(HOOKS <= PROBE_HOOKS_MAX, "probe_hook arrays are too small");

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level, (void)format, (void)args;
	return 0;
}

/* The last warning of libbpf, for the one sentence that we print. */
static char last_warning[160];

static int keep_warning(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN && !last_warning[0])
		vsnprintf(last_warning, sizeof(last_warning), format, args);
	return 0;
}

/* How a hook is written in the table, what its BTF name begins with, and how it attaches. */
static const struct hook_kind {
	const char *attach;
	const char *btf_name;
	uint32_t btf_kind;
	enum bpf_attach_type type;
} hook_kinds[] = {
	{ "tp_btf/", "btf_trace_", BTF_KIND_TYPEDEF, BPF_TRACE_RAW_TP },
	{ "fexit/", "", BTF_KIND_FUNC, BPF_TRACE_FEXIT },
	{ "iter/", "bpf_iter_", BTF_KIND_FUNC, BPF_TRACE_ITER },
};

static const struct hook_kind *hook_kind(const char *attach)
{
	const struct hook_kind *kind = hook_kinds;

	while (strncmp(attach, kind->attach, strlen(kind->attach)) != 0)
		kind++;
	return kind;
}

/* BTF id of what a hook attaches to; -ENOENT when the kernel has no such thing. */
static int hook_btf_id(const struct btf *btf, const char *attach)
{
	const struct hook_kind *kind = hook_kind(attach);
	const char *target = attach + strlen(kind->attach);
	char name[80];

	snprintf(name, sizeof(name), "%s%.*s", kind->btf_name, (int)strcspn(target, "("), target);
	return btf__find_by_name_kind(btf, name, kind->btf_kind);
}

/*
 * mark_victim changed its argument from a pid to a task in 6.8: both variants load at the hook as far as
 * two instructions go, so the type of the argument decides.
 */
static bool variant_fits(const struct btf *btf, int id, const char *program)
{
	if (strncmp(program, "on_oom_victim", strlen("on_oom_victim")) != 0)
		return true;
	const struct btf_type *type = btf__type_by_id(btf, btf__type_by_id(btf, id)->type);
	const struct btf_type *proto = btf__type_by_id(btf, type->type);

	if (!btf_is_func_proto(proto) || btf_vlen(proto) < 2)
		return false;
	const struct btf_type *arg = btf__type_by_id(btf, btf_params(proto)[1].type);

	return btf_is_ptr(arg) == !strcmp(program, "on_oom_victim");
}

static int try_hook(const struct btf *btf, const struct probe_hook *hook)
{
	static const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts);
	int id = hook_btf_id(btf, hook->attach);

	if (id < 0 || !variant_fits(btf, id, hook->program))
		return -ENOENT;
	opts.attach_btf_id = (uint32_t)id;
	opts.expected_attach_type = hook_kind(hook->attach)->type;
	int fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, "try_hook", "GPL", nothing, 2, &opts);

	if (fd < 0 || opts.expected_attach_type == BPF_TRACE_ITER) {
		if (fd >= 0)
			close(fd);
		return fd < 0 ? fd : 0;
	}
	int link = bpf_raw_tracepoint_open(NULL, fd); /* attaching may be refused where loading is not */
	int err = link < 0 ? link : 0;

	close(fd);
	if (link >= 0)
		close(link);
	return err;
}

static const struct probe_hook *find_hook(const struct probe_hook *hooks, const char *program)
{
	for (size_t i = 0; i < HOOKS; i++)
		if (!strcmp(hooks[i].program, program))
			return &hooks[i];
	return NULL;
}

/* A stand-in is used only where the hook that it stands in for is not available. */
static void choose_hooks(struct probe_hook *hooks)
{
	for (size_t i = 0; i < HOOKS; i++) {
		const char *better = hooks[i].stands_in_for;

		hooks[i].used = hooks[i].available &&
				!(better && find_hook(hooks, better)->available);
	}
}

int probe_hooks(struct probe_hook hooks[PROBE_HOOKS_MAX])
{
	libbpf_print_fn_t print = libbpf_set_print(quiet);
	struct btf *btf = btf__load_vmlinux_btf();
	int err = btf ? 0 : -errno;

	memcpy(hooks, hook_table, sizeof(hook_table));
	for (size_t i = 0; i < HOOKS; i++) {
		hooks[i].err = btf ? try_hook(btf, &hooks[i]) : err;
		hooks[i].available = !hooks[i].err;
	}
	choose_hooks(hooks);
	btf__free(btf);
	libbpf_set_print(print);
	return err ? err : (int)HOOKS;
}

static int say(char *text, size_t cap, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(text, cap, format, args);
	va_end(args);
	return err;
}

static uint32_t next_power_of_two(uint32_t n)
{
	uint32_t power = 1;

	while (power < n)
		power *= 2;
	return power;
}

static void set_sizes(struct pfuse *skel, uint32_t slots, uint32_t ncpus)
{
	uint32_t ports = (slots - 1) * PORTS_PER_SLOT, ring = slots * 2 * sizeof(struct pfuse_event);

	bpf_map__set_max_entries(skel->maps.stats, slots * ncpus);
	bpf_map__set_max_entries(skel->maps.groups, slots);
	bpf_map__set_max_entries(skel->maps.cpus, ncpus);
	bpf_map__set_max_entries(skel->maps.memos, MEMO_ENTRIES * ncpus);
	bpf_map__set_max_entries(skel->maps.managed, slots);
	bpf_map__set_max_entries(skel->maps.ports, ports < PORTS_MIN ? PORTS_MIN : ports);
	bpf_map__set_max_entries(skel->maps.events,
				 ring < RING_BYTES ? RING_BYTES : next_power_of_two(ring));
}

static void set_knobs(struct pfuse *skel, const struct probe_config *config, uint32_t ncpus)
{
	skel->rodata->knobs = (struct pfuse_knobs){
		.ncpus = ncpus,
		.nslots = config->slots + 1,
		.anchor = config->anchor,
		.hierarchy_id = config->hierarchy_id,
		.page_bytes = (uint32_t)sysconf(_SC_PAGESIZE),
		.memo_entries = MEMO_ENTRIES,
	};
}

/* Leave out the programs whose hooks this kernel lacks. */
static int select_programs(struct pfuse *skel, const struct probe_hook *hooks, char *text, size_t cap)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, skel->obj) {
		const struct probe_hook *hook = find_hook(hooks, bpf_program__name(program));

		if (!hook)
			return say(text, cap, -EINVAL, "program %s has no row in the table of hooks",
				   bpf_program__name(program));
		if (hook->required && !hook->available)
			return say(text, cap, hook->err == -EPERM ? -EPERM : -EOPNOTSUPP,
				   "the kernel refuses %s (%s): %s; see `pfuse-bpf doctor`", hook->attach,
				   strerror(-hook->err), hook->lack);
		bpf_program__set_autoload(program, hook->used);
	}
	return 0;
}

static uint64_t map_memory(int fd)
{
	char path[48], line[128];
	unsigned long long bytes = 0;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	FILE *info = fopen(path, "re");

	while (info && fgets(line, sizeof(line), info))
		if (sscanf(line, "memlock: %llu", &bytes) == 1)
			break;
	if (info)
		fclose(info);
	return bytes;
}

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

/*
 * What the loader hands to the daemon: fds of maps and links, and figures. The loader is a child, because
 * reading the kernel's BTF and relocating takes tens of megabytes and leaves the heap in pieces.
 */
enum { FD_STATS, FD_GROUPS, FD_CPUS, FD_BSS, FD_MANAGED, FD_EVENTS, FD_LINKS };

struct loaded {
	int fds[FD_LINKS + PROBE_HOOKS_MAX];
	int nfds;
	int err;
	int seed_link; /* index of the iterator among the links; -1: none */
	bool sees_talks;
	uint64_t memory_bytes;
	char text[256];
};

static void collect_maps(struct pfuse *skel, struct loaded *loaded)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, skel->obj)
		loaded->memory_bytes += map_memory(bpf_map__fd(map));
	loaded->fds[FD_STATS] = bpf_map__fd(skel->maps.stats);
	loaded->fds[FD_GROUPS] = bpf_map__fd(skel->maps.groups);
	loaded->fds[FD_CPUS] = bpf_map__fd(skel->maps.cpus);
	loaded->fds[FD_BSS] = bpf_map__fd(skel->maps.bss);
	loaded->fds[FD_MANAGED] = bpf_map__fd(skel->maps.managed);
	loaded->fds[FD_EVENTS] = bpf_map__fd(skel->maps.events);
	loaded->nfds = FD_LINKS;
}

static int attach_programs(struct pfuse *skel, struct loaded *loaded)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, skel->obj) {
		if (!bpf_program__autoload(program))
			continue;
		struct bpf_link *link = bpf_program__attach(program);

		if (!link)
			return -errno;
		loaded->memory_bytes += map_memory(bpf_program__fd(program));
		if (program == skel->progs.seed_ports)
			loaded->seed_link = loaded->nfds - FD_LINKS;
		loaded->fds[loaded->nfds++] = bpf_link__fd(link); /* the child's exit closes it */
	}
	return 0;
}

static int load(struct pfuse *skel, const struct probe_hook *hooks, struct loaded *loaded)
{
	int err = select_programs(skel, hooks, loaded->text, sizeof(loaded->text));

	if (err)
		return err;
	err = pfuse__load(skel);
	if (err)
		return say(loaded->text, sizeof(loaded->text), err,
			   "the kernel refuses the BPF programs (%s): %.*s", strerror(-err),
			   (int)strcspn(last_warning, "\n"), last_warning);
	collect_maps(skel, loaded);
	err = attach_programs(skel, loaded);
	if (err)
		return say(loaded->text, sizeof(loaded->text), err,
			   "cannot attach the BPF programs: %s", strerror(-err));
	return 0;
}

static bool talks_are_seen(const struct probe_hook *hooks)
{
	return (find_hook(hooks, "on_sent")->used || find_hook(hooks, "on_sent_fexit")->used) &&
	       (find_hook(hooks, "on_received")->used || find_hook(hooks, "on_received_fexit")->used);
}

static int load_all(const struct probe_config *config, uint32_t ncpus, struct loaded *loaded)
{
	struct probe_hook hooks[PROBE_HOOKS_MAX];
	int err = probe_hooks(hooks);

	if (err < 0)
		return say(loaded->text, sizeof(loaded->text), err == -EPERM ? -EPERM : -EOPNOTSUPP,
			   "no kernel BTF at /sys/kernel/btf/vmlinux (%s): a kernel with "
			   "CONFIG_DEBUG_INFO_BTF is needed",
			   strerror(-err));
	libbpf_set_print(keep_warning);
	struct pfuse *skel = pfuse__open();

	if (!skel)
		return say(loaded->text, sizeof(loaded->text), -ENOMEM,
			   "cannot open the BPF object: out of memory");
	loaded->sees_talks = talks_are_seen(hooks);
	set_knobs(skel, config, ncpus);
	set_sizes(skel, config->slots + 1, ncpus);
	return load(skel, hooks, loaded);
}

/* One message: the struct as data, its fds as SCM_RIGHTS. */
union control_buffer {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(((struct loaded *)0)->fds))];
};

static int send_loaded(int socket, const struct loaded *loaded)
{
	struct iovec data = { (void *)loaded, sizeof(*loaded) };
	union control_buffer control = { 0 };
	size_t bytes = sizeof(int) * (size_t)loaded->nfds;
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };

	if (bytes) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(bytes);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(bytes);
		memcpy(CMSG_DATA(&control.header), loaded->fds, bytes);
	}
	return sendmsg(socket, &message, 0) < 0 ? -errno : 0;
}

static int receive_loaded(int socket, struct loaded *ret)
{
	struct iovec data = { ret, sizeof(*ret) };
	union control_buffer control = { 0 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	ssize_t got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);

	if (got != (ssize_t)sizeof(*ret))
		return got < 0 ? -errno : -ECHILD;
	if (ret->nfds)
		memcpy(ret->fds, CMSG_DATA(&control.header), sizeof(int) * (size_t)ret->nfds);
	return 0;
}

static int load_in_child(const struct probe_config *config, uint32_t ncpus, struct loaded *ret)
{
	int sockets[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return -errno;
	pid_t pid = fork();

	if (pid == 0) {
		struct loaded loaded = { .seed_link = -1 };

		loaded.err = load_all(config, ncpus, &loaded);
		if (loaded.err)
			loaded.nfds = 0;
		_exit(send_loaded(sockets[1], &loaded) ? 1 : 0);
	}
	int err = pid < 0 ? -errno : 0;

	close(sockets[1]);
	if (!err)
		err = receive_loaded(sockets[0], ret);
	close(sockets[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return err;
}

static int take_over(struct probe *probe, const struct loaded *loaded)
{
	const int *fds = loaded->fds;
	int rw = PROT_READ | PROT_WRITE;

	probe->nlinks = loaded->nfds - FD_LINKS;
	memcpy(probe->links, fds + FD_LINKS, sizeof(int) * (size_t)probe->nlinks);
	probe->sees_talks = loaded->sees_talks;
	probe->seed_link = loaded->seed_link;
	probe->memory_bytes = loaded->memory_bytes;
	probe->managed_fd = fds[FD_MANAGED];
	probe->stats = map_values(fds[FD_STATS], stats_bytes(probe), rw);
	probe->groups = map_values(fds[FD_GROUPS], groups_bytes(probe), rw);
	probe->cpus = map_values(fds[FD_CPUS], cpus_bytes(probe), PROT_READ);
	probe->bss = map_values(fds[FD_BSS], page_round(sizeof(*probe->bss)), rw);
	probe->ring = ring_buffer__new(fds[FD_EVENTS], on_record, probe, NULL);
	int err = probe->stats && probe->groups && probe->cpus && probe->bss && probe->ring ? 0 : -errno;

	for (int fd = FD_STATS; fd <= FD_BSS; fd++)
		close(fds[fd]);
	probe->events_fd = fds[FD_EVENTS];
	return err;
}

int probe_open(const struct probe_config *config, struct probe **ret, char *ret_text, size_t cap)
{
	struct loaded loaded = { 0 };
	int ncpus = libbpf_num_possible_cpus();

	if (ncpus < 0)
		return say(ret_text, cap, ncpus, "cannot count CPUs: %s", strerror(-ncpus));
	int err = load_in_child(config, (uint32_t)ncpus, &loaded);

	if (err)
		return say(ret_text, cap, err, "cannot load the BPF programs: %s", strerror(-err));
	if (loaded.err)
		return say(ret_text, cap, loaded.err, "%s", loaded.text);
	struct probe *probe = calloc(1, sizeof(*probe));

	if (!probe)
		return say(ret_text, cap, -ENOMEM, "out of memory");
	*probe = (struct probe){ .managed_fd = -1, .events_fd = -1, .slots = config->slots + 1,
				 .ncpus = (uint32_t)ncpus };
	err = take_over(probe, &loaded);
	if (err) {
		probe_close(probe);
		return say(ret_text, cap, err, "cannot map the BPF maps: %s", strerror(-err));
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
	unmap(probe->bss, page_round(sizeof(*probe->bss)));
	if (probe->managed_fd >= 0)
		close(probe->managed_fd);
	if (probe->events_fd >= 0)
		close(probe->events_fd);
	free(probe);
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

int probe_seed(struct probe *probe)
{
	char nothing[64];
	int fd = probe->seed_link < 0 ? -ENOENT : bpf_iter_create(probe->links[probe->seed_link]);
	ssize_t got = 0;

	if (fd < 0)
		return fd;
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
