/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "base/cleanup.h"
#include "edge/kernel_types.h"
#include "edge/probe_load.h"
#include "pfuse.skel.h"

#define MEMO_ENTRIES 256 /* per CPU, 4 KiB: cgroups that a CPU runs within a short time */
#define PORTS_PER_SLOT 16
#define PORTS_MIN 1024
#define REACHED_PER_SLOT 8 /* shared pipes and eventfds: standard input, output, error and some */
#define RING_BYTES 65536   /* 1,000 events; grows with the slots */

/* The last warning of libbpf, for the one sentence that we print. */
static char last_warning[160];

static int keep_warning(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN && !last_warning[0])
		vsnprintf(last_warning, sizeof(last_warning), format, args);
	return 0;
}

void probe_keep_warning(void)
{
	last_warning[0] = '\0';
	libbpf_set_print(keep_warning);
}

const char *probe_last_warning(void)
{
	return last_warning;
}

static uint32_t next_power_of_two(uint32_t n)
{
	uint32_t power = 1;

	while (power < n)
		power *= 2;
	return power;
}

static void set_sizes(struct pfuse *skel, uint32_t slots, uint32_t ncpus, uint32_t parts)
{
	uint32_t ports = (slots - 1) * PORTS_PER_SLOT,
		 ring = slots * 2 * sizeof(struct pfuse_event);

	bpf_map__set_max_entries(skel->maps.stats, slots * ncpus);
	bpf_map__set_max_entries(skel->maps.groups, slots);
	bpf_map__set_max_entries(skel->maps.cpus, ncpus);
	if (skel->rodata->knobs.spans) {
		bpf_map__set_max_entries(skel->maps.spans, slots * ncpus);
		bpf_map__set_max_entries(skel->maps.bursts, PFUSE_SPAN_BURSTS);
	}
	bpf_map__set_max_entries(skel->maps.memos, MEMO_ENTRIES * ncpus);
	bpf_map__set_max_entries(skel->maps.talk_memos, PFUSE_TALK_MEMOS * ncpus);
	bpf_map__set_max_entries(skel->maps.managed, slots);
	bpf_map__set_max_entries(skel->maps.ports, ports < PORTS_MIN ? PORTS_MIN : ports);
	bpf_map__set_max_entries(skel->maps.events,
				 ring < RING_BYTES ? RING_BYTES : next_power_of_two(ring));
	if (parts & PROBE_PAGES) {
		bpf_map__set_max_entries(skel->maps.page_ranges, PFUSE_PAGES_RANGES);
		bpf_map__set_max_entries(skel->maps.page_records, PFUSE_PAGES_RECORDS);
	}
	if (parts & PROBE_READS) {
		bpf_map__set_max_entries(skel->maps.readers, slots);
		bpf_map__set_max_entries(skel->maps.read_buckets, PFUSE_READS_BUCKETS);
		bpf_map__set_max_entries(skel->maps.read_runs, ncpus);
		bpf_map__set_max_entries(skel->maps.reader_pids, PFUSE_READS_PIDS);
	}
}

static void set_knobs(struct pfuse *skel, const struct probe_config *config, uint32_t ncpus,
		      const struct probe_casts *casts)
{
	skel->rodata->knobs = (struct pfuse_knobs){
		.ncpus = ncpus,
		.nslots = config->slots + 1,
		.anchor = config->anchor,
		.hierarchy_id = config->hierarchy_id,
		.page_bytes = (uint32_t)sysconf(_SC_PAGESIZE),
		.memo_entries = MEMO_ENTRIES,
		.has_rdonly_cast = casts->task_struct != 0,
		.cast_task_struct = casts->task_struct,
		.cast_sock = casts->sock,
		.cast_cgroup = casts->cgroup,
		.daemon_pid = (uint32_t)config->daemon_pid,
		.spans = config->spans,
	};
}

/* Leave out the programs whose hooks this kernel lacks. */
static int select_programs(struct pfuse *skel, const struct probe_hook *hooks, struct err *err)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, skel->obj)
	{
		const struct probe_hook *hook = probe_find_hook(hooks, bpf_program__name(program));

		if (!hook)
			return err_set(err, -EINVAL, "program %s has no row in the table of hooks",
				       bpf_program__name(program));
		if (hook->required && !hook->available && hook->err != -ECANCELED)
			return err_set(err, hook->err == -EPERM ? -EPERM : -EOPNOTSUPP,
				       "the kernel refuses %s (%s): %s; see `pfuse-bpf doctor`",
				       hook->attach, strerror(-hook->err), hook->lack);
		bpf_program__set_autoload(program, hook->used);
	}
	return 0;
}

uint64_t probe_map_memory(int fd)
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

static void collect_maps(struct pfuse *skel, struct probe_loaded *loaded)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, skel->obj) loaded->memory_bytes +=
		probe_map_memory(bpf_map__fd(map));
	loaded->switch_bytes = probe_map_memory(bpf_map__fd(skel->maps.spans)) +
			       probe_map_memory(bpf_map__fd(skel->maps.bursts));
	loaded->fds[FD_STATS] = bpf_map__fd(skel->maps.stats);
	loaded->fds[FD_GROUPS] = bpf_map__fd(skel->maps.groups);
	loaded->fds[FD_CPUS] = bpf_map__fd(skel->maps.cpus);
	loaded->fds[FD_SPANS] = bpf_map__fd(skel->maps.spans);
	loaded->fds[FD_PAGE_RANGES] = bpf_map__fd(skel->maps.page_ranges);
	loaded->fds[FD_PAGE_RECORDS] = bpf_map__fd(skel->maps.page_records);
	loaded->fds[FD_READERS] = bpf_map__fd(skel->maps.readers);
	loaded->fds[FD_READ_BUCKETS] = bpf_map__fd(skel->maps.read_buckets);
	loaded->fds[FD_READER_PIDS] = bpf_map__fd(skel->maps.reader_pids);
	loaded->fds[FD_BSS] = bpf_map__fd(skel->maps.bss);
	loaded->fds[FD_MANAGED] = bpf_map__fd(skel->maps.managed);
	loaded->fds[FD_REACHED] = bpf_map__fd(skel->maps.reached);
	loaded->fds[FD_EVENTS] = bpf_map__fd(skel->maps.events);
	loaded->fds[FD_WISHES] = bpf_map__fd(skel->maps.wishes);
	loaded->nfds = FD_LINKS;
}

/* The link, which walks all tasks; and the program, for walks of one process. */
static void note_iterator(struct probe_loaded *loaded, const struct bpf_program *program, int link)
{
	static const char *const programs[PROBE_ITERATORS] = {
		[PROBE_ITER_PORTS] = "seed_ports",
		[PROBE_ITER_PARK] = "walk_parked",
		[PROBE_ITER_FILES] = "reach_files",
		[PROBE_ITER_MAPS] = "reach_maps",
	};

	for (int i = 0; i < PROBE_ITERATORS; i++) {
		if (strcmp(programs[i], bpf_program__name(program)))
			continue;
		loaded->iterators[i] = link;
		loaded->walkers[i] = loaded->nfds - FD_LINKS;
		loaded->fds[loaded->nfds++] = bpf_program__fd(program);
	}
}

/* Not attached: its own descriptor. The index among the links. */
static int hand_over(struct probe_loaded *loaded, const struct bpf_program *program)
{
	loaded->memory_bytes += probe_map_memory(bpf_program__fd(program));
	loaded->fds[loaded->nfds] = bpf_program__fd(program);
	return loaded->nfds++ - FD_LINKS;
}

/* Attached per group, later. */
static bool note_net_program(struct probe_loaded *loaded, const struct bpf_program *program)
{
	enum bpf_attach_type type = bpf_program__expected_attach_type(program);

	int which = type == BPF_CGROUP_INET_SOCK_CREATE ? 0
		    : type == BPF_CGROUP_SETSOCKOPT	? 1
		    : type == BPF_CGROUP_SOCK_OPS	? 2
							: -1;

	if (which < 0)
		return false;
	loaded->net_programs[which] = hand_over(loaded, program);
	return true;
}

/* Attached per process, or while somebody is measured: later. */
static bool note_page_program(struct probe_loaded *loaded, const struct bpf_program *program)
{
	static const char *const names[PROBE_LATER_PROGRAMS] = {
		[PROBE_COPY_ENTRIES] = "copy_entries",
		[PROBE_LIST_MAPPINGS] = "list_mappings",
		[PROBE_FIND_MAP] = "find_direct_map",
		[PROBE_PAGES_READ] = "on_pages_read",
		[PROBE_FILE_READ] = "on_file_read",
		[PROBE_PAGE_ADDED] = "on_page_added",
	};

	for (int i = 0; i < PROBE_LATER_PROGRAMS; i++) {
		if (strcmp(names[i], bpf_program__name(program)) != 0)
			continue;
		loaded->page_programs[i] = hand_over(loaded, program);
		return true;
	}
	return false;
}

static void note_switch(struct probe_loaded *loaded, const struct bpf_program *program, int link)
{
	const char *name = bpf_program__name(program);

	if (!strcmp(name, "on_switch"))
		loaded->switch_links[PROBE_ON_SWITCH] = link;
	else if (!strcmp(name, "on_migrate"))
		loaded->switch_links[PROBE_ON_MIGRATE] = link;
	else
		return;
	loaded->switch_bytes += probe_map_memory(bpf_program__fd(program));
}

static int attach_programs(struct pfuse *skel, struct probe_loaded *loaded)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, skel->obj)
	{
		if (!bpf_program__autoload(program) || note_net_program(loaded, program) ||
		    note_page_program(loaded, program))
			continue;
		struct bpf_link *link = bpf_program__attach(program);

		if (!link)
			return -errno;
		loaded->memory_bytes += probe_map_memory(bpf_program__fd(program));
		loaded->fds[loaded->nfds++] = bpf_link__fd(link); /* the child's exit closes it */
		note_switch(loaded, program, loaded->nfds - 1 - FD_LINKS);
		note_iterator(loaded, program, loaded->nfds - 1 - FD_LINKS);
	}
	return 0;
}

static bool talks_are_seen(const struct probe_hook *hooks)
{
	return (probe_find_hook(hooks, "on_sent")->used ||
		probe_find_hook(hooks, "on_sent_fexit")->used) &&
	       (probe_find_hook(hooks, "on_received")->used ||
		probe_find_hook(hooks, "on_received_fexit")->used);
}

static uint32_t heard_kinds(const struct probe_hook *hooks)
{
	bool pipes = probe_find_hook(hooks, "on_anon_write")->used ||
		     probe_find_hook(hooks, "on_pipe_write")->used;

	return (pipes ? 1u << PFUSE_REACH_PIPE : 0) |
	       (probe_find_hook(hooks, "on_event_write")->used ? 1u << PFUSE_REACH_EVENTFD : 0);
}

static int tell_attach_id(struct bpf_program *program, struct bpf_prog_load_opts *opts, long found)
{
	const struct probe_hook *hook =
		probe_find_hook(((const struct probe_found *)found)->hooks, bpf_program__name(program));

	if (!hook || !hook->btf_id)
		return -ESRCH;
	opts->attach_btf_id = hook->btf_id;
	return 0;
}

static int attach_traced(const struct bpf_program *program, long found, struct bpf_link **ret)
{
	(void)found;
	*ret = bpf_program__attach_trace(program);
	return libbpf_get_error(*ret);
}

static int attach_iterator(const struct bpf_program *program, long found, struct bpf_link **ret)
{
	(void)found;
	*ret = bpf_program__attach_iter(program, NULL);
	return libbpf_get_error(*ret);
}

/* Best effort: without a handler libbpf does it its own way. For the whole process, which is the loader. */
void probe_register_handlers(const struct probe_found *found)
{
	static const struct {
		const char *section;
		enum bpf_attach_type type;
		libbpf_prog_attach_fn_t attach;
	} kinds[] = {
		{ "tp_btf+", BPF_TRACE_RAW_TP, attach_traced },
		{ "fentry+", BPF_TRACE_FENTRY, attach_traced },
		{ "fexit+", BPF_TRACE_FEXIT, attach_traced },
		{ "iter+", BPF_TRACE_ITER, attach_iterator },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		LIBBPF_OPTS(libbpf_prog_handler_opts, opts, .cookie = (long)found,
			    .prog_prepare_load_fn = tell_attach_id,
			    .prog_attach_fn = kinds[i].attach);

		(void)libbpf_register_prog_handler(kinds[i].section, BPF_PROG_TYPE_TRACING,
						   kinds[i].type, &opts);
	}
}

/* libbpf reads the file when it loads; without one it takes all of the kernel's types. */
struct pfuse *probe_open_object(const struct btf *kernel)
{
	char path[32];
	LIBBPF_OPTS(bpf_object_open_opts, opts, .btf_custom_path = path);
	int fd = memfd_create("types", MFD_CLOEXEC);
	struct pfuse *skel;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	skel = fd < 0 ? pfuse__open() : pfuse__open_opts(&opts);
	if (!skel || fd < 0 || !kernel_types_cut(kernel, bpf_object__btf(skel->obj), fd))
		return skel;
	pfuse__destroy(skel);
	return pfuse__open();
}

/* Opens, loads and attaches; on failure, nothing stays loaded. */
static int load(const struct probe_config *config, uint32_t ncpus, const struct probe_found *found,
		struct probe_loaded *loaded)
{
	const struct probe_hook *hooks = found->hooks;
	struct pfuse *skel = probe_open_object(found->kernel);

	if (!skel)
		return err_set(&loaded->text, -ENOMEM, "cannot open the BPF object: out of memory");
	set_knobs(skel, config, ncpus, &found->casts);
	set_sizes(skel, config->slots + 1, ncpus, config->parts);
	loaded->heard = heard_kinds(hooks);
	if (loaded->heard)
		bpf_map__set_max_entries(skel->maps.reached,
					 (config->slots + 1) * REACHED_PER_SLOT);
	int err = select_programs(skel, hooks, &loaded->text);

	if (err)
		goto fail;
	err = pfuse__load(skel);
	if (err) {
		err_set(&loaded->text, err, "the kernel refuses the BPF programs (%s): %.*s",
			strerror(-err), (int)strcspn(last_warning, "\n"), last_warning);
		goto fail;
	}
	collect_maps(skel, loaded);
	err = attach_programs(skel, loaded);
	if (err) {
		err_set(&loaded->text, err, "cannot attach the BPF programs: %s", strerror(-err));
		goto fail;
	}
	loaded->sees_talks = talks_are_seen(hooks);
	loaded->tells_signals = probe_find_hook(hooks, "on_signal")->used;
	loaded->tells_populated = probe_find_hook(hooks, "on_populated")->used;
	return 0;

fail:
	pfuse__destroy(skel);
	return err;
}

/*
 * Trying each hook by itself waits for a grace period per hook, most of the time of a start: so first all
 * that the kernel knows by name at once, and only where it refuses that, what it accepts one by one.
 */
static int load_all(const struct probe_config *config, uint32_t ncpus, struct probe_loaded *loaded)
{
	const struct probe_loaded nothing = *loaded;
	uint32_t parts = (config->parts & ~PROBE_SPANS) | (config->spans ? PROBE_SPANS : 0);
	struct probe_found found = { .kernel = probe_kernel_btf() };
	int err = found.kernel ? probe_find_hooks(found.kernel, found.hooks, parts, false, &found.casts)
			       : -errno;

	if (err < 0)
		return err_set(&loaded->text, err == -EPERM ? -EPERM : -EOPNOTSUPP,
			       "no kernel BTF at /sys/kernel/btf/vmlinux (%s): a kernel with "
			       "CONFIG_DEBUG_INFO_BTF is needed",
			       strerror(-err));
	probe_keep_warning();
	probe_register_handlers(&found);
	err = load(config, ncpus, &found, loaded);
	if (!err)
		return 0;
	*loaded = nothing;
	last_warning[0] = '\0';
	err = probe_find_hooks(found.kernel, found.hooks, parts, true, &found.casts);
	return err < 0 ? err : load(config, ncpus, &found, loaded);
}

/* One message: the struct as data, its fds as SCM_RIGHTS. */
union control_buffer {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(((struct probe_loaded *)0)->fds))];
};

static int send_loaded(int socket, const struct probe_loaded *loaded)
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

static int receive_loaded(int socket, struct probe_loaded *ret)
{
	struct iovec data = { ret, sizeof(*ret) };
	union control_buffer control = { 0 };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	ssize_t got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);

	if (got != (ssize_t)sizeof(*ret))
		return got < 0 ? -errno : -ECHILD;
	if (ret->nfds)
		memcpy(ret->fds, CMSG_DATA(&control.header), sizeof(int) * (size_t)ret->nfds);
	return 0;
}

static void nothing_yet(struct probe_loaded *ret)
{
	*ret = (struct probe_loaded){ 0 };
	for (int i = 0; i < PROBE_ITERATORS; i++)
		ret->iterators[i] = ret->walkers[i] = -1;
	for (int i = 0; i < PROBE_NET_LINKS; i++)
		ret->net_programs[i] = -1;
	for (int i = 0; i < PROBE_LATER_PROGRAMS; i++)
		ret->page_programs[i] = -1;
	for (int i = 0; i < PROBE_SWITCH_PROGRAMS; i++)
		ret->switch_links[i] = -1;
}

int probe_in_child(probe_job *job, const void *arg, struct probe_loaded *ret)
{
	int sockets[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return -errno;
	pid_t pid = fork();

	if (pid == 0) {
		struct probe_loaded loaded;

		nothing_yet(&loaded);
		loaded.err = job(arg, &loaded);
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

struct load_job {
	const struct probe_config *config;
	uint32_t ncpus;
};

static int do_load(const void *arg, struct probe_loaded *ret)
{
	const struct load_job *job = arg;

	return load_all(job->config, job->ncpus, ret);
}

int probe_load(const struct probe_config *config, uint32_t ncpus, struct probe_loaded *ret)
{
	const struct load_job job = { config, ncpus };

	return probe_in_child(do_load, &job, ret);
}
