/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "edge/probe.h"
#include "hierarchy.h"

#define EMPTY_MAX 4
#define RIVAL_STARTS_US 1000000 /* a libbpf tool opens, loads and attaches; measured at 0.3 s */

static struct probe *probe;
static int empty_fds[EMPTY_MAX * 2];
static size_t nempty;
static pid_t rival;
static bool in_group;
static __u32 last_before; /* id of the newest program when the setup began; ids only grow */
static char group[300], other_group[320];
static uint64_t group_id;
static struct {
	pid_t pid;
	int orders;
	int answers;
} carrier;

static int make_group(void)
{
	const char *why = NULL;
	const struct hierarchy *at = hierarchy(&why);
	struct stat st;

	if (group[0])
		return 0;
	if (!at) {
		fprintf(stderr, "bench: %s\n", why);
		return -ENOENT;
	}
	snprintf(group, sizeof(group), "%s/pfuse-bench-%d", at->mount, getpid());
	snprintf(other_group, sizeof(other_group), "%s-other", group);
	if (mkdir(group, 0755) < 0 || stat(group, &st) < 0 || mkdir(other_group, 0755) < 0)
		return -errno;
	group_id = st.st_ino;
	return 0;
}

static int attach_empty(const struct btf *btf, const char *tracepoint)
{
	static const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_RAW_TP);
	char name[80];

	snprintf(name, sizeof(name), "btf_trace_%s", tracepoint);
	int id = btf__find_by_name_kind(btf, name, BTF_KIND_TYPEDEF);

	if (id < 0)
		return -ENOENT;
	opts.attach_btf_id = (uint32_t)id;
	int fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, "empty", "GPL", nothing, 2, &opts);
	int link = fd < 0 ? -1 : bpf_raw_tracepoint_open(NULL, fd);

	if (fd >= 0)
		empty_fds[nempty++] = fd;
	if (link >= 0)
		empty_fds[nempty++] = link;
	return link < 0 ? -ENOENT : 0;
}

static int begin_empty(const char *const *hooks)
{
	struct btf *btf = btf__load_vmlinux_btf();
	int err = btf ? 0 : -ENOENT;

	for (; !err && *hooks && nempty < EMPTY_MAX * 2; hooks++)
		err = attach_empty(btf, *hooks);
	btf__free(btf);
	return err;
}

static int begin_ours(enum what what)
{
	const char *why;
	struct err why_not;
	struct probe_config config = {
		.parts = PROBE_ALL,
		.spans = what == OURS_SPANS,
		.slots = 20,
		.anchor = hierarchy(&why)->v2 ? PFUSE_ANCHOR_V2 : PFUSE_ANCHOR_V1_MEMORY,
		.hierarchy_id = hierarchy(&why)->id,
	};

	int err = probe_open(&config, &probe, &why_not);
	if (err) {
		fprintf(stderr, "bench: %s\n", why_not.text);
		return err;
	}
	in_group = what != OURS_UNMANAGED;
	err = probe_manage(probe, 1, group_id, 900);
	if (what == OURS_ARMED)
		probe_arm(probe, 1, PFUSE_ARM_HIGH_WATER | PFUSE_ARM_LIMIT_HIT);
	return err;
}

/* It prints its histogram to nowhere, once an hour. */
static int begin_rival(const char *tool)
{
	rival = fork();
	if (!rival) {
		int null = open("/dev/null", O_RDWR);

		for (int fd = 0; fd < 3; fd++)
			dup2(null, fd);
		setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
		execlp(tool, tool, "3600", "1", NULL);
		_exit(127);
	}
	usleep(RIVAL_STARTS_US);
	if (waitpid(rival, NULL, WNOHANG) == 0)
		return 0;
	rival = 0;
	return -ENOENT;
}

int setup_begin(const struct setup *setup)
{
	while (bpf_prog_get_next_id(last_before, &last_before) == 0)
		;
	switch (setup->what) {
	case NOTHING:
		return 0;
	case EMPTY:
		return begin_empty(setup->hooks);
	case RUNQLAT:
		return begin_rival("runqlat");
	case CPUDIST:
		return begin_rival("cpudist");
	default:
		return begin_ours(setup->what);
	}
}

void setup_end(void)
{
	while (nempty)
		close(empty_fds[--nempty]);
	probe_close(probe);
	probe = NULL;
	in_group = false;
	if (rival) {
		kill(rival, SIGINT);
		waitpid(rival, NULL, 0);
		rival = 0;
	}
	usleep(50000); /* the kernel unhooks programs after a grace period */
}

static void __attribute__((noreturn)) carry(const struct load *load, int orders, int answers)
{
	double ns = load_prepare(load) < 0 ? -1 : 0;
	char order;

	while (write(answers, &ns, sizeof(ns)) == sizeof(ns) && read(orders, &order, 1) == 1)
		ns = load_measure(load);
	_exit(0);
}

static double answer(void)
{
	double ns;

	return read(carrier.answers, &ns, sizeof(ns)) == sizeof(ns) ? ns : -1;
}

int setup_start_load(const struct load *load)
{
	int orders[2], answers[2];

	if (make_group() < 0 || pipe2(orders, O_CLOEXEC) < 0 || pipe2(answers, O_CLOEXEC) < 0)
		return -1;
	carrier.pid = fork();
	if (!carrier.pid) {
		close(orders[1]);
		carry(load, orders[0], answers[1]);
	}
	close(orders[0]);
	close(answers[1]);
	carrier.orders = orders[1];
	carrier.answers = answers[0];
	return answer() < 0 ? -1 : 0;
}

static int move(const char *dir)
{
	char path[340], pid[16];

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	snprintf(pid, sizeof(pid), "%d", carrier.pid);
	return hierarchy_write(path, pid);
}

/* Either way it is in a group of its own with one level above: only ours is managed. */
double setup_measure(void)
{
	if (move(in_group ? group : other_group) < 0 || write(carrier.orders, "", 1) != 1)
		return -1;
	return answer();
}

void setup_stop_load(void)
{
	if (carrier.pid) {
		kill(carrier.pid, SIGKILL);
		waitpid(carrier.pid, NULL, 0);
		close(carrier.orders);
		close(carrier.answers);
		carrier.pid = 0;
	}
	while (group[0] && rmdir(group) < 0 && errno == EBUSY)
		usleep(10000);
	rmdir(other_group);
	group[0] = 0;
}

/*
 * Of the programs of that name that came with this setup, the one that ran most: other copies of ours
 * may be there already, or try a hook meanwhile.
 */
double setup_run_ns(const char *name)
{
	struct bpf_prog_info found = { 0 };

	for (__u32 id = last_before; bpf_prog_get_next_id(id, &id) == 0;) {
		struct bpf_prog_info info = { 0 };
		__u32 size = sizeof(info);
		int fd = bpf_prog_get_fd_by_id(id);

		if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0 &&
		    !strncmp(info.name, name, sizeof(info.name) - 1) &&
		    info.run_cnt > found.run_cnt)
			found = info;
		if (fd >= 0)
			close(fd);
	}
	return found.run_cnt ? (double)found.run_time_ns / (double)found.run_cnt : -1;
}
