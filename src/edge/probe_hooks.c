/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Which hooks there are, and which of them this kernel takes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "base/cleanup.h"
#include "edge/kernel_types.h"
#include "edge/probe_load.h"

static const struct probe_hook hook_table[] = {
	{ "on_switch", "tp_btf/sched_switch", "CPU time, run-queue wait, switches, idleness", NULL,
	  "nothing can be observed", .required = true },
	{ "on_migrate", "tp_btf/sched_migrate_task", "tasks that change the CPU", NULL,
	  "migrations are not counted", .part = PROBE_SPANS },
	{ "on_user_fault", "tp_btf/page_fault_user", "page faults, memory growth at the fault",
	  "on_reclaim", "growth is told when it meets the limit, not before" },
	{ "on_reclaim", "tp_btf/mm_vmscan_memcg_reclaim_begin", "growth that meets the limit",
	  "samples once per interval", "page cache growth is seen at the next sample" },
	{ "on_sent", "tp_btf/sock_send_length", "bytes sent, talks with outsiders", "on_sent_fexit",
	  "talks over UDP and UNIX sockets are not seen: no group is stopped" },
	{ "on_received", "tp_btf/sock_recv_length", "bytes received, talks with outsiders",
	  "on_received_fexit",
	  "talks over UDP and UNIX sockets are not seen: no group is stopped" },
	{ "on_sent_fexit", "fexit/security_socket_sendmsg", "the same, on kernels before 6.3", NULL,
	  "see on_sent", .stands_in_for = "on_sent" },
	{ "on_received_fexit", "fexit/sock_recvmsg", "the same, on kernels before 6.3", NULL,
	  "see on_received", .stands_in_for = "on_received" },
	{ "on_sock_state", "tp_btf/inet_sock_set_state", "TCP connections made and taken",
	  "on_sent, on_received", "a connection is seen with its first data" },
	{ "seed_ports", "iter/task_file", "ports that a group used before we came", "on_received",
	  "an outsider is seen when the group answers it, not before" },
	{ "walk_parked", "iter/task", "what each thread of a frozen group waits for", NULL,
	  "no group is frozen with `freeze: guarded`", .part = PROBE_PARK },
	{ "reach_files", "iter/task_file", "pipes, terminals, eventfds shared with outsiders", NULL,
	  "they are not known, so silence is not proven: no group is stopped",
	  .part = PROBE_REACH },
	{ "reach_maps", "iter/task_vma", "memory shared with outsiders", NULL,
	  "it is not known, so silence is not proven: no group is stopped", .part = PROBE_REACH },
	{ "on_anon_write", "fentry/anon_pipe_write", "writes to pipes shared with outsiders",
	  "on_pipe_write", "they are seen when the group is about to be stopped, not before",
	  .part = PROBE_REACH },
	{ "on_pipe_write", "fentry/pipe_write", "the same, on kernels before 6.16", "reach_files",
	  "see on_anon_write", .stands_in_for = "on_anon_write", .part = PROBE_REACH },
	{ "on_event_write", "fentry/eventfd_write", "writes to eventfds shared with outsiders",
	  NULL, "a group that shares an eventfd with an outsider is not stopped",
	  .part = PROBE_REACH },
	{ "copy_entries", "iter/task", "which pages a group touches: its hit-ratio curve", NULL,
	  "no curve is measured", .part = PROBE_PAGES },
	{ "list_mappings", "iter/task_vma", "what its processes map", NULL, "no curve is measured",
	  .part = PROBE_PAGES },
	{ "find_direct_map", "iter/task", "where the kernel sees physical memory", NULL,
	  "no curve is measured", .part = PROBE_PAGES },
	{ "on_pages_read", "tp_btf/mm_filemap_get_pages",
	  "file pages that a group reads: their part of its curve", "on_file_read",
	  "a curve knows of mapped pages only", .part = PROBE_READS },
	{ "on_file_read", "fentry/filemap_read", "the same, on kernels before 6.10", NULL,
	  "see on_pages_read", .stands_in_for = "on_pages_read", .part = PROBE_READS },
	{ "on_page_added", "tp_btf/mm_filemap_add_to_page_cache",
	  "file pages that come into memory", NULL,
	  "a curve takes what is read first for what was in memory before",
	  .part = PROBE_READS },
	{ "on_populated", "tp_btf/cgroup_notify_populated", "groups that empty and fill",
	  "samples once per interval", "emptiness is seen at the next sample" },
	{ "on_rmdir", "tp_btf/cgroup_rmdir", "groups that are removed",
	  "errors of reads and writes", "removal is seen at the next sample" },
	{ "on_exec", "tp_btf/sched_process_exec", "programs started", NULL, "no exec counts" },
	{ "on_exit", "tp_btf/sched_process_exit", "processes ended", NULL, "no exit counts" },
	{ "on_signal", "tp_btf/signal_generate", "signals for a stopped group, and from whom",
	  "the deadline", "a stopped group gets its signals when it continues" },
	{ "on_moved", "tp_btf/cgroup_attach_task", "processes that are moved into a group",
	  "on_switch", "they are seen when they run" },
	{ "on_fork", "tp_btf/sched_process_fork", "processes that are born into a group",
	  "on_switch", "they are seen when they run" },
	{ "on_oom_victim", "tp_btf/mark_victim", "victims of the OOM killer", "on_oom_victim_pid",
	  "kills are counted from the group's own file only" },
	{ "on_oom_victim_pid", "tp_btf/mark_victim(pid)", "the same, on kernels before 6.8", NULL,
	  "see on_oom_victim", .stands_in_for = "on_oom_victim" },
	{ "on_sock_create", "cgroup/sock_create", "priority of a group's new sockets",
	  "net_prio, where v1 mounts it", "the priority of sockets is not controlled",
	  .part = PROBE_NET },
	{ "on_tcp", "sockops", "priority of connections that a group accepts",
	  "net_prio, where v1 mounts it", "the priority of sockets is not controlled",
	  .part = PROBE_NET },
	{ "on_setsockopt", "cgroup/setsockopt", "keeps that priority against the application",
	  "net_prio, where v1 mounts it", "the priority of sockets is not controlled",
	  .part = PROBE_NET },
};

#define HOOKS (sizeof(hook_table) / sizeof(hook_table[0]))
_Static_assert(HOOKS <= PROBE_HOOKS_MAX, "probe_hook arrays are too small");

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level, (void)format, (void)args;
	return 0;
}

/*
 * How a hook is written in the table, what its BTF name begins with, and how it attaches. cgroup hooks
 * attach to no function: their BTF name is that of the kernel's caller.
 */
static const struct hook_kind {
	const char *attach;
	const char *btf_name;
	uint32_t btf_kind;
	enum bpf_attach_type type;
	enum bpf_prog_type program;
} hook_kinds[] = {
	{ "tp_btf/", "btf_trace_", BTF_KIND_TYPEDEF, BPF_TRACE_RAW_TP, BPF_PROG_TYPE_TRACING },
	{ "fentry/", "", BTF_KIND_FUNC, BPF_TRACE_FENTRY, BPF_PROG_TYPE_TRACING },
	{ "fexit/", "", BTF_KIND_FUNC, BPF_TRACE_FEXIT, BPF_PROG_TYPE_TRACING },
	{ "iter/", "bpf_iter_", BTF_KIND_FUNC, BPF_TRACE_ITER, BPF_PROG_TYPE_TRACING },
	{ "cgroup/sock_create", "__cgroup_bpf_run_filter_sk", BTF_KIND_FUNC,
	  BPF_CGROUP_INET_SOCK_CREATE, BPF_PROG_TYPE_CGROUP_SOCK },
	{ "cgroup/setsockopt", "__cgroup_bpf_run_filter_setsockopt", BTF_KIND_FUNC,
	  BPF_CGROUP_SETSOCKOPT, BPF_PROG_TYPE_CGROUP_SOCKOPT },
	{ "sockops", "__cgroup_bpf_run_filter_sock_ops", BTF_KIND_FUNC, BPF_CGROUP_SOCK_OPS,
	  BPF_PROG_TYPE_SOCK_OPS },
};

static const struct hook_kind *hook_kind(const char *attach)
{
	const struct hook_kind *kind = hook_kinds;

	while (strncmp(attach, kind->attach, strlen(kind->attach)) != 0)
		kind++;
	return kind;
}

/* What the kernel's BTF is asked for: a name for each hook ("btf_trace_sched_switch"), and these. */
enum { HAS_CAST = HOOKS, CAST_TASK, CAST_SOCK, CAST_CGROUP, NAMES };

/*
 * BTF ids of them, 0 where the kernel has no such thing. One pass over all types: btf__find_by_name_kind()
 * is a pass for each name, and there are 150,000 types.
 */
struct found {
	struct kernel_names names;
	char text[HOOKS][60];
	uint32_t ids[NAMES];
};

static void name_hooks(struct found *found)
{
	static const struct {
		const char *text;
		uint32_t kind;
	} casts[] = { { "bpf_rdonly_cast", BTF_KIND_FUNC },
		      { "task_struct", BTF_KIND_STRUCT },
		      { "sock", BTF_KIND_STRUCT },
		      { "cgroup", BTF_KIND_STRUCT } };

	for (size_t i = 0; i < HOOKS; i++) {
		const struct hook_kind *kind = hook_kind(hook_table[i].attach);
		const char *target = hook_table[i].attach + strlen(kind->attach);
		char *text = found->text[i];

		snprintf(text, sizeof(found->text[i]), "%s%.*s", kind->btf_name,
			 (int)strcspn(target, "("), target);
		(void)kernel_names_add(&found->names, kind->btf_kind, text, strlen(text));
	}
	for (size_t i = 0; i < NAMES - HOOKS; i++)
		(void)kernel_names_add(&found->names, casts[i].kind, casts[i].text,
				       strlen(casts[i].text));
}

static void note_id(void *context, uint32_t index, uint32_t id)
{
	struct found *found = context;

	found->ids[index] = id;
}

/*
 * mark_victim changed its argument from a pid to a task in 6.8: both variants load at the hook as far as
 * two instructions go, so the type of the argument decides.
 */
static bool variant_fits(const struct btf *btf, uint32_t id, const char *program)
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

/* A program of two instructions for the hook, loaded: its fd, or -errno. */
static int load_nothing(const struct probe_hook *hook, uint32_t id)
{
	static const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts);

	const struct hook_kind *kind = hook_kind(hook->attach);

	opts.attach_btf_id = kind->program == BPF_PROG_TYPE_TRACING ? id : 0;
	opts.expected_attach_type = kind->type;
	return bpf_prog_load(kind->program, "try_hook", "GPL", nothing, 2, &opts);
}

static int try_hook(const struct probe_hook *hook, uint32_t id)
{
	const struct hook_kind *kind = hook_kind(hook->attach);
	int fd = load_nothing(hook, id);

	if (fd < 0 || kind->program != BPF_PROG_TYPE_TRACING || kind->type == BPF_TRACE_ITER) {
		if (fd >= 0)
			close(fd);
		return fd < 0 ? fd : 0;
	}
	int link = bpf_raw_tracepoint_open(NULL,
					   fd); /* attaching may be refused where loading is not */
	int err = link < 0 ? link : 0;

	close(fd);
	if (link >= 0)
		close(link);
	return err;
}

/*
 * Without attaching, so without waiting for a grace period: some kernels refuse programs at functions
 * altogether, and that need not be found out by a start that fails.
 */
static int try_function(const struct probe_hook *hook, uint32_t id)
{
	const struct hook_kind *kind = hook_kind(hook->attach);

	if (kind->type != BPF_TRACE_FENTRY && kind->type != BPF_TRACE_FEXIT)
		return 0;
	int fd = load_nothing(hook, id);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

const struct probe_hook *probe_find_hook(const struct probe_hook *hooks, const char *program)
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
				!(better && probe_find_hook(hooks, better)->available);
	}
}

int probe_find_hooks(const struct btf *kernel, struct probe_hook hooks[PROBE_HOOKS_MAX],
		     uint32_t parts, bool try, struct probe_casts *ret_casts)
{
	_cleanup_free_ struct found *found = calloc(1, sizeof(*found));

	if (!found)
		return -ENOMEM;
	libbpf_print_fn_t print = libbpf_set_print(quiet);

	memcpy(hooks, hook_table, sizeof(hook_table));
	name_hooks(found);
	kernel_names_find(&found->names, kernel, note_id, found);
	for (size_t i = 0; i < HOOKS; i++) {
		uint32_t id = hooks[i].btf_id = found->ids[i];

		if (hooks[i].part & ~parts || (!hooks[i].part && parts & PROBE_ALONE))
			hooks[i].err = -ECANCELED;
		else if (!id || !variant_fits(kernel, id, hooks[i].program))
			hooks[i].err = -ENOENT;
		else
			hooks[i].err = try ? try_hook(&hooks[i], id) : try_function(&hooks[i], id);
		hooks[i].available = !hooks[i].err;
	}
	choose_hooks(hooks);
	*ret_casts = (struct probe_casts){ 0 };
	if (found->ids[HAS_CAST])
		*ret_casts = (struct probe_casts){ found->ids[CAST_TASK], found->ids[CAST_SOCK],
						   found->ids[CAST_CGROUP] };
	libbpf_set_print(print);
	return (int)HOOKS;
}

struct btf *probe_kernel_btf(void)
{
	libbpf_print_fn_t print = libbpf_set_print(quiet);
	struct btf *kernel = btf__load_vmlinux_btf();
	int err = errno;

	libbpf_set_print(print);
	errno = err;
	return kernel;
}

int probe_hooks(struct probe_hook hooks[PROBE_HOOKS_MAX])
{
	struct btf *kernel = probe_kernel_btf();
	struct probe_casts casts;
	int count = kernel ? 0 : -errno;

	if (kernel) {
		count = probe_find_hooks(kernel, hooks, PROBE_ALL, true, &casts);
		btf__free(kernel);
		return count;
	}
	memcpy(hooks, hook_table, sizeof(hook_table));
	for (size_t i = 0; i < HOOKS; i++)
		hooks[i].err = count;
	return count;
}
