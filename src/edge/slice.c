/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/slice.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "edge/cgroup.h"
#include "edge/ledger.h"
#include "edge/procs.h"

/* As of Linux 5.3; the C library of our oldest system has no name for it. */
struct attributes {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns; /* of the fair policies: the slice, since 6.12; 0: none of its own */
	uint64_t deadline_ns;
	uint64_t period_ns;
	uint32_t util_min;
	uint32_t util_max;
};

_Static_assert(sizeof(struct attributes) == 56, "struct sched_attr");

struct slice {
	int proc_fd;
	uint64_t base_ns;      /* what tasks have that have none of their own */
	uint64_t ours_ns;      /* 0: nothing is set */
	uint64_t before_ns;    /* some may still have it: the last pass did not get to its end */
	struct procs_list set; /* threads that we set once, sorted */
};

/* One pass over the group. */
struct pass {
	struct slice *slice;
	uint64_t next_ns;
	struct procs_list found;
	struct slice_counts counts;
};

static int get(pid_t tid, struct attributes *ret)
{
	struct attributes now = { .size = sizeof(now) };

	if (syscall(SYS_sched_getattr, tid, &now, sizeof(now), 0) < 0)
		return -errno;
	*ret = now;
	return 0;
}

/* Everything else stays: utilisation clamps are not touched without their flags. */
static int set(pid_t tid, const struct attributes *now, uint64_t runtime_ns)
{
	struct attributes next = {
		.size = sizeof(next),
		.policy = now->policy,
		.flags = now->flags & SCHED_FLAG_RESET_ON_FORK,
		.nice = now->nice,
		.runtime_ns = runtime_ns,
	};

	return syscall(SYS_sched_setattr, tid, &next, 0) < 0 ? -errno : 0;
}

/*
 * A kernel that has slices shows one for every task of the fair policies, others show 0. A daemon that
 * runs in real time has none to show: PID 1 stands for it.
 */
int slice_open(int proc_fd, struct slice **ret)
{
	struct attributes own = { 0 };
	struct slice *slice;
	int r = get(0, &own);

	if (r == 0 && own.policy != SCHED_OTHER)
		r = get(1, &own);
	if (r < 0)
		return r;
	if (own.policy != SCHED_OTHER || !own.runtime_ns)
		return -EOPNOTSUPP;
	slice = calloc(1, sizeof(*slice));
	if (!slice)
		return -ENOMEM;
	slice->proc_fd = proc_fd;
	slice->base_ns = own.runtime_ns;
	*ret = slice;
	return 0;
}

static bool is_fair(const struct attributes *task)
{
	return task->policy == SCHED_OTHER || task->policy == SCHED_BATCH;
}

/*
 * Nobody is fought: a task that we set once and that has another slice now is somebody else's, and stays
 * in the list so that it is not set again.
 */
static bool is_theirs(const struct pass *pass, pid_t tid, const struct attributes *now)
{
	const struct slice *slice = pass->slice;

	if (!is_fair(now))
		return true;
	if (now->runtime_ns == slice->ours_ns || now->runtime_ns == slice->before_ns ||
	    now->runtime_ns == pass->next_ns)
		return false;
	return now->runtime_ns != slice->base_ns || procs_list_has(&slice->set, tid);
}

static int visit_thread(struct pass *pass, pid_t tid)
{
	struct attributes now = { 0 };
	int r = get(tid, &now);

	if (r < 0)
		return r == -ESRCH ? 0 : r; /* it ended meanwhile */
	if (is_theirs(pass, tid, &now)) {
		pass->counts.others++;
		return procs_list_has(&pass->slice->set, tid) ? procs_list_add(&pass->found, tid)
							      : 0;
	}
	if (now.runtime_ns != pass->next_ns) {
		r = set(tid, &now, pass->next_ns);
		if (r < 0)
			return r == -ESRCH ? 0 : r;
		pass->counts.changed++;
	}
	pass->counts.set++;
	return procs_list_add(&pass->found, tid);
}

static int visit_process(void *arg, pid_t pid)
{
	struct pass *pass = arg;
	_cleanup_closedir_ DIR *dir = NULL;
	const struct dirent *entry;
	char path[32];
	int fd, r = 0;

	snprintf(path, sizeof(path), "%d/task", (int)pid);
	fd = openat(pass->slice->proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r == -ENOENT ? 0 : r;
	}
	while (r == 0 && (entry = readdir(dir))) {
		uint64_t tid;

		if (num_parse_all(entry->d_name, &tid) == 0)
			r = visit_thread(pass, (pid_t)tid);
	}
	return r;
}

int slice_apply(struct slice *slice, int group_fd, uint64_t slice_ns,
		struct slice_counts *ret_counts)
{
	struct pass pass = { .slice = slice, .next_ns = slice_ns };
	int r;

	if (slice_ns < SLICE_MIN_NS || slice_ns > SLICE_MAX_NS)
		return -ERANGE;
	r = procs_each(group_fd, true, visit_process, &pass);
	for (uint32_t i = 0; r < 0 && i < slice->set.count; i++)
		procs_list_add(&pass.found, slice->set.pids[i]);
	slice->before_ns = r < 0 ? slice->ours_ns : 0;
	procs_list_free(&slice->set);
	procs_list_sort(&pass.found);
	slice->set = pass.found;
	slice->ours_ns = slice_ns;
	if (r == 0)
		*ret_counts = pass.counts;
	return r;
}

int slice_undo(int proc_fd, int group_fd, uint64_t slice_ns)
{
	struct slice slice = { .proc_fd = proc_fd, .base_ns = slice_ns, .ours_ns = slice_ns };
	struct pass pass = { .slice = &slice };
	int r = procs_each(group_fd, true, visit_process, &pass);

	procs_list_free(&pass.found);
	return r < 0 ? r : (int)pass.counts.changed;
}

int slice_record(const struct cgroup_tree *tree, const struct cgroup *group, struct ledger *ledger,
		 uint64_t slice_ns, uint32_t *ret_record)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)slice_ns);
	return ledger_append(ledger,
			     &(struct ledger_entry){ .kind = LEDGER_SLICE,
						     .mount = tree->hierarchies[tree->anchor].path,
						     .path = group->path,
						     .group_id = group->id,
						     .old = text },
			     ret_record);
}

void slice_close(struct slice *slice)
{
	if (!slice)
		return;
	for (uint32_t i = 0; i < slice->set.count; i++) {
		struct attributes now = { 0 };

		if (get(slice->set.pids[i], &now) == 0 && is_fair(&now) &&
		    (now.runtime_ns == slice->ours_ns || now.runtime_ns == slice->before_ns))
			set(slice->set.pids[i], &now, 0);
	}
	procs_list_free(&slice->set);
	free(slice);
}

const char *slice_why(int code)
{
	switch (code) {
	case -EOPNOTSUPP:
		return "this kernel has no slice per task; Linux 6.12 and later have";
	case -ERANGE:
		return "a slice is from 0.1 to 100 ms";
	case -ENODEV:
		return "the group is gone";
	default:
		return strerror(-code);
	}
}
