/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/stop.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/num.h"

#define WAIT_US 40	  /* before the first look at `frozen`: one task freezes in about 45 us */
#define WAIT_MOST_US 2000 /* we may be SCHED_FIFO on the only CPU: whom we wait for must run */
#define MAX_ROUNDS 64	  /* a process cannot fork once signalled: more rounds are a fork bomb */

/* Who is never stopped */

int stop_never(const struct cgroup_tree *tree, pid_t keeper, struct procs_list *ret_never)
{
	_cleanup_(procs_list_free) struct procs_list never = { 0 };
	int r = procs_ancestors(tree->proc_fd, getpid(), &never);

	if (r == 0)
		r = procs_list_add(&never, 1);
	if (r == 0 && keeper > 0)
		r = procs_list_add(&never, keeper);
	if (r < 0)
		return r;
	procs_list_sort(&never);
	*ret_never = never;
	never = (struct procs_list){ 0 };
	return 0;
}

/* 1: the process is in the group or in one below it. A process that is gone is not. */
static int holds(const struct cgroup_tree *tree, const struct cgroup *group, int hierarchy,
		 pid_t pid)
{
	_cleanup_free_ char *path = NULL;
	size_t length = strlen(group->path);
	int r = procs_cgroup(tree->proc_fd, pid, &tree->hierarchies[hierarchy], &path);

	if (r == -ESRCH || r == -EXDEV || r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	return strncmp(path, group->path, length) == 0 &&
	       (path[length] == '\0' || path[length] == '/');
}

static const char *who(pid_t pid)
{
	if (pid == 1)
		return "PID 1";
	return pid == getpid() ? "pfuse-bpf itself" : "an ancestor or helper of pfuse-bpf";
}

int stop_check(const struct cgroup_tree *tree, const struct cgroup *group,
	       const struct procs_list *never, struct err *err)
{
	char quoted[ERR_QUOTED];

	err_quote(group->path, quoted);
	for (uint32_t i = 0; i < never->count; i++) {
		int r = holds(tree, group, tree->anchor, never->pids[i]);

		if (r == 0 && cgroup_tree_is_hybrid(tree))
			r = holds(tree, group, tree->v2, never->pids[i]);
		if (r < 0)
			return err_set(err, r, "group %s: cannot tell where process %d is: %s",
				       quoted, (int)never->pids[i], strerror(-r));
		if (r > 0)
			return err_set(err, -EPERM,
				       "group %s holds %s (pid %d), so it is never stopped or "
				       "squeezed",
				       quoted, who(never->pids[i]), (int)never->pids[i]);
	}
	return 0;
}

/* cgroup.freeze */

static bool same_processes(const struct cgroup *group, int v2_fd)
{
	_cleanup_(procs_list_free) struct procs_list anchor = { 0 }, twin = { 0 };

	return procs_of_group(group->fd, true, &anchor) == 0 &&
	       procs_of_group(v2_fd, true, &twin) == 0 && anchor.count == twin.count &&
	       (anchor.count == 0 ||
		memcmp(anchor.pids, twin.pids, anchor.count * sizeof(*anchor.pids)) == 0);
}

static int record_freeze(const struct cgroup_tree *tree, const struct cgroup *group, uint64_t id,
			 struct ledger *ledger, struct stop *stop)
{
	const struct ledger_entry entry = {
		.kind = LEDGER_FROZEN,
		.mount = tree->hierarchies[tree->v2].path,
		.path = group->path,
		.group_id = id,
	};
	int r;

	if (stop->frozen && stop->frozen_id == id && ledger_again(ledger, stop->frozen) == 0)
		return 0;
	r = ledger_append(ledger, &entry, &stop->frozen);
	if (r < 0)
		return r;
	stop->frozen_id = id;
	return ledger_commit(ledger);
}

static int wait_frozen(int fd, uint64_t deadline_ns)
{
	const uint64_t until = clock_now_ns() + deadline_ns;
	char text[256];
	uint64_t frozen = 0, wait_us = WAIT_US;

	for (;;) {
		int r = fd_read_at(fd, "cgroup.events", text, sizeof(text), NULL);

		if (r == 0)
			r = num_find_key(text, "frozen", &frozen);
		if (r < 0 || frozen)
			return r;
		if (clock_now_ns() >= until)
			return -ETIMEDOUT;
		clock_sleep_us(wait_us);
		wait_us = wait_us * 2 < WAIT_MOST_US ? wait_us * 2 : WAIT_MOST_US;
	}
}

/* The old state is put back first: a record too many is harmless, a frozen group without one is not. */
static int thaw(int fd, struct ledger *ledger, const struct stop *stop)
{
	int r = fd_write_at(fd, "cgroup.freeze", "0");

	return r < 0 ? r : ledger_done(ledger, stop->frozen);
}

static int freeze(const struct cgroup_tree *tree, const struct cgroup *group, struct ledger *ledger,
		  uint64_t deadline_ns, struct stop *stop)
{
	_cleanup_close_ int fd = -1;
	char state[16] = "";
	struct stat st;
	int r = cgroup_open_v2(tree, group, &fd);

	if (r == 0)
		r = fd_read_at(fd, "cgroup.freeze", state, sizeof(state), NULL);
	if (r < 0)
		return r;
	if (state[0] == '1')
		return -EALREADY;
	if (cgroup_tree_is_hybrid(tree) && !same_processes(group, fd))
		return -EXDEV;
	if (fstat(fd, &st) < 0)
		return -errno;
	r = record_freeze(tree, group, st.st_ino, ledger, stop);
	if (r == 0)
		r = fd_write_at(fd, "cgroup.freeze", "1");
	if (r == 0)
		r = wait_frozen(fd, deadline_ns);
	if (r < 0) {
		thaw(fd, ledger, stop);
		return r;
	}
	stop->how = STOP_FREEZE;
	return 0;
}

/* `r`: what thawing said. */
static int thawed(int r, struct ledger *ledger, struct stop *stop)
{
	if (r == -ENOENT || r == -ENODEV) {
		ledger_forget(ledger, stop->frozen);
		stop->frozen = 0;
		r = 0;
	}
	if (r == 0)
		stop->how = STOP_AUTO;
	return r;
}

static int unfreeze(const struct cgroup_tree *tree, const struct cgroup *group,
		    struct ledger *ledger, struct stop *stop)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r = cgroup_open_v2(tree, group, &fd);

	if (r == 0 && fstat(fd, &st) < 0)
		r = -errno;
	if (r == 0)
		r = st.st_ino == stop->frozen_id ? thaw(fd, ledger, stop) : -ENOENT;
	return thawed(r, ledger, stop);
}

int stop_open_thaw(const struct cgroup_tree *tree, const struct cgroup *group,
		   const struct stop *stop, int *ret_fd)
{
	_cleanup_close_ int dir = -1;
	struct stat st;
	int fd, r;

	if (stop->how != STOP_FREEZE)
		return -EINVAL;
	r = cgroup_open_v2(tree, group, &dir);
	if (r < 0)
		return r;
	if (fstat(dir, &st) < 0)
		return -errno;
	if (st.st_ino != stop->frozen_id)
		return -ENOENT;
	fd = openat(dir, "cgroup.freeze", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int stop_thaw(int thaw_fd, struct ledger *ledger, struct stop *stop)
{
	int r = write(thaw_fd, "0", 1) < 0 ? -errno : 0;

	return thawed(r < 0 ? r : ledger_done(ledger, stop->frozen), ledger, stop);
}

/* SIGSTOP */

static struct stop_process *find_process(struct stop *stop, pid_t pid)
{
	for (uint32_t i = 0; i < stop->count; i++)
		if (stop->processes[i].pid == pid)
			return &stop->processes[i];
	return NULL;
}

static struct stop_process *add_process(struct stop *stop, pid_t pid)
{
	if (stop->count == stop->room) {
		uint32_t room = stop->room ? stop->room * 2 : 4;
		struct stop_process *grown =
			reallocarray(stop->processes, room, sizeof(*stop->processes));

		if (!grown)
			return NULL;
		stop->processes = grown;
		stop->room = room;
	}
	stop->processes[stop->count] = (struct stop_process){ .pid = pid };
	return &stop->processes[stop->count++];
}

/* The record of the last time, if it is about this very process. */
static bool record_again(struct ledger *ledger, const struct stop_process *process,
			 uint64_t starttime)
{
	uint64_t recorded;
	pid_t pid;

	if (!process->record || ledger_process(ledger, process->record, &pid, &recorded) < 0)
		return false;
	if (pid == process->pid && recorded == starttime)
		return ledger_again(ledger, process->record) == 0;
	ledger_forget(ledger, process->record);
	return false;
}

/* One round's view: 1 if the process is to be signalled now, 0 if it is not ours to stop. */
static int consider(const struct cgroup_tree *tree, const struct cgroup *group,
		    struct ledger *ledger, struct stop *stop, pid_t pid)
{
	struct stop_process *process = find_process(stop, pid);
	struct ledger_entry entry = {
		.kind = LEDGER_SIGSTOP,
		.mount = tree->hierarchies[tree->anchor].path,
		.path = group->path,
		.group_id = group->id,
		.pid = pid,
	};
	struct procs_stat stat;
	int r;

	if (process && process->state == STOP_PROCESS_STOPPED)
		return 0;
	r = procs_read_stat(tree->proc_fd, pid, &stat);
	if (r < 0 || procs_is_dead(&stat) || procs_is_stopped(&stat))
		return r == -ESRCH ? 0 : r;
	process = process ?: add_process(stop, pid);
	if (!process)
		return -ENOMEM;
	entry.starttime = stat.starttime;
	if (!record_again(ledger, process, stat.starttime)) {
		r = ledger_append(ledger, &entry, &process->record);
		if (r < 0)
			return r;
	}
	process->state = STOP_PROCESS_PENDING;
	return 1;
}

static int signal_process(const struct cgroup_tree *tree, struct ledger *ledger,
			  const struct stop_process *process, int signal)
{
	_cleanup_close_ int fd = -1;
	uint64_t starttime;
	pid_t pid;
	int r = ledger_process(ledger, process->record, &pid, &starttime);

	if (r == 0)
		r = procs_open_pidfd(tree->proc_fd, pid, starttime, &fd);
	if (r == 0 && syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0) < 0)
		r = -errno;
	return r;
}

static int signal_pending(const struct cgroup_tree *tree, struct ledger *ledger, struct stop *stop)
{
	for (uint32_t i = 0; i < stop->count; i++) {
		struct stop_process *process = &stop->processes[i];
		int r;

		if (process->state != STOP_PROCESS_PENDING)
			continue;
		r = signal_process(tree, ledger, process, SIGSTOP);
		if (r < 0 && r != -ESRCH)
			return r;
		process->state = STOP_PROCESS_STOPPED;
	}
	return 0;
}

/* 1: somebody new was signalled, so look again. */
static int signal_round(const struct cgroup_tree *tree, const struct cgroup *group,
			struct ledger *ledger, struct stop *stop)
{
	_cleanup_(procs_list_free) struct procs_list list = { 0 };
	int r = procs_of_group(group->fd, true, &list), some = 0;

	for (uint32_t i = 0; r == 0 && i < list.count; i++) {
		r = consider(tree, group, ledger, stop, list.pids[i]);
		if (r < 0)
			return r;
		some |= r;
		r = 0;
	}
	if (r == 0)
		r = ledger_commit(ledger);
	if (r == 0)
		r = signal_pending(tree, ledger, stop);
	return r < 0 ? r : some;
}

/*
 * Continues what we stopped. Records stay for the next time only of processes that were stopped this
 * time and still are there: a group that forks much would fill the ledger with its dead.
 */
static int continue_all(const struct cgroup_tree *tree, struct ledger *ledger, struct stop *stop)
{
	uint32_t kept = 0;
	int r = 0;

	for (uint32_t i = 0; i < stop->count; i++) {
		struct stop_process process = stop->processes[i];
		int one = -ESRCH;

		if (process.state == STOP_PROCESS_STOPPED)
			one = signal_process(tree, ledger, &process, SIGCONT);
		if (one == -ESRCH || one == -ENOENT) {
			ledger_forget(ledger, process.record);
			continue;
		}
		if (one == 0) {
			ledger_done(ledger, process.record);
			process.state = STOP_PROCESS_RUNS;
		}
		r = r ?: one;
		stop->processes[kept++] = process;
	}
	stop->count = kept;
	return r;
}

static int signal_all(const struct cgroup_tree *tree, const struct cgroup *group,
		      struct ledger *ledger, struct stop *stop)
{
	int r = 1;

	for (int i = 0; r == 1 && i < MAX_ROUNDS; i++)
		r = signal_round(tree, group, ledger, stop);
	if (r != 0) {
		continue_all(tree, ledger, stop);
		return r == 1 ? -EAGAIN : r;
	}
	stop->how = STOP_SIGNAL;
	return 0;
}

/* v1's freezer (docker pause): what it holds would never report `frozen 1`, nor end by signal. */
static bool is_frozen_v1(const struct cgroup_tree *tree, const struct cgroup *group)
{
	int hierarchy = tree->serves[CGROUP_FREEZER];
	_cleanup_close_ int fd = -1;
	char state[16] = "";

	if (hierarchy < 0 || tree->hierarchies[hierarchy].v2 ||
	    cgroup_open_in(tree, group, hierarchy, &fd) < 0 ||
	    fd_read_at(fd, "freezer.state", state, sizeof(state), NULL) < 0)
		return false;
	return strncmp(state, "FREEZING", 8) == 0 || strncmp(state, "FROZEN", 6) == 0;
}

int stop_group(const struct cgroup_tree *tree, const struct cgroup *group, struct ledger *ledger,
	       enum stop_mode mode, uint64_t deadline_ns, struct stop *stop)
{
	int r = -ENOENT;

	if (stop->how != STOP_AUTO || is_frozen_v1(tree, group))
		return -EALREADY;
	if (mode != STOP_SIGNAL)
		r = freeze(tree, group, ledger, deadline_ns, stop);
	if (mode == STOP_SIGNAL || (mode == STOP_AUTO && (r == -ENOENT || r == -EXDEV)))
		r = signal_all(tree, group, ledger, stop);
	return r == -ENOENT && cgroup_gone(group) ? -ENODEV : r;
}

int stop_continue(const struct cgroup_tree *tree, const struct cgroup *group, struct ledger *ledger,
		  struct stop *stop)
{
	int r;

	if (stop->how == STOP_FREEZE)
		return unfreeze(tree, group, ledger, stop);
	if (stop->how == STOP_AUTO)
		return 0;
	r = continue_all(tree, ledger, stop);
	if (r == 0)
		stop->how = STOP_AUTO;
	return r;
}

void stop_free(struct stop *stop)
{
	free(stop->processes);
	*stop = (struct stop){ 0 };
}
