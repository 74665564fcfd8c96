/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/guard.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "edge/park.h"
#include "edge/procs.h"
#include "edge/proxy.h"

#define FIRST_PID_NAMESPACE 0xeffffffcu /* include/linux/proc_ns.h: PROC_PID_INIT_INO */

struct guard {
	int thaw_fd; /* -1: nothing is held */
	struct proxy_set set;
	uint64_t timeout_ns;
	bool runs;     /* continued, and what is held is to be closed */
	uint32_t next; /* slot that is to be closed after this one; 0: none */
};

struct guards {
	const struct cgroup_tree *tree;
	struct probe *probe;
	struct proxy proxy;
	struct park park; /* of the latest attempt */
	uint32_t slots;	  /* slot 0 included */
	uint32_t first;	  /* slot of those that are to be closed; 0: none */
	struct guard at[];
};

static int check_namespace(const struct cgroup_tree *tree, struct err *err)
{
	struct stat st;

	if (fstatat(tree->proc_fd, "self/ns/pid", &st, 0) < 0)
		return err_set(err, -errno, "cannot read /proc/self/ns/pid: %s", strerror(errno));
	if (st.st_ino != FIRST_PID_NAMESPACE)
		return err_set(
			err, -EOPNOTSUPP,
			"the guarded freezer needs the machine's own pid namespace; run pfuse-bpf "
			"outside of containers, or with --pid=host");
	return 0;
}

int guards_open(const struct cgroup_tree *tree, struct probe *probe, uint32_t slots,
		struct guards **ret_guards, struct err *err)
{
	struct guards *guards;
	int r = check_namespace(tree, err);

	if (r < 0)
		return r;
	guards = calloc(1, sizeof(*guards) + ((size_t)slots + 1) * sizeof(*guards->at));
	if (!guards)
		return err_set(err, -ENOMEM, "out of memory");
	guards->tree = tree;
	guards->probe = probe;
	guards->slots = slots + 1;
	for (uint32_t i = 0; i <= slots; i++)
		guards->at[i].thaw_fd = -1;
	r = proxy_open(probe_tells_signals(probe), &guards->proxy);
	if (r < 0) {
		free(guards);
		return err_set(err, r, "cannot make an epoll: %s", strerror(-r));
	}
	*ret_guards = guards;
	return 0;
}

void guard_forget(struct guards *guards, uint32_t slot)
{
	struct guard *guard = &guards->at[slot];

	proxy_disarm(&guards->proxy, &guard->set);
	close_fd(&guard->thaw_fd);
}

static void close_thawed(struct guards *guards)
{
	uint32_t next;

	for (uint32_t slot = guards->first; slot; slot = next) {
		next = guards->at[slot].next;
		guard_forget(guards, slot);
		guards->at[slot].runs = false;
		guards->at[slot].next = 0;
	}
	guards->first = 0;
}

static void close_soon(struct guards *guards, uint32_t slot)
{
	if (!guards->first)
		proxy_wake_soon(&guards->proxy);
	guards->at[slot].runs = true;
	guards->at[slot].next = guards->first;
	guards->first = slot;
}

void guards_close(struct guards *guards)
{
	if (!guards)
		return;
	for (uint32_t i = 0; i < guards->slots; i++)
		guard_forget(guards, i);
	proxy_close(&guards->proxy);
	park_free(&guards->park);
	free(guards);
}

int guards_fd(const struct guards *guards)
{
	return guards->proxy.epoll_fd;
}

struct wake {
	const struct guards *guards;
	guard_handler *handle;
	void *context;
	int count;
};

/* More than one file of a group may have something; the first wakes it. */
static void wake_once(uint32_t slot, void *context)
{
	struct wake *wake = context;

	if (wake->guards->at[slot].runs)
		return;
	wake->handle(slot, wake->context);
	wake->count++;
}

int guards_wakes(struct guards *guards, guard_handler *handle, void *context)
{
	struct wake wake = { guards, handle, context, 0 };
	int r;

	close_thawed(guards);
	r = proxy_wakes(&guards->proxy, wake_once, &wake);
	return r < 0 ? r : wake.count;
}

/* A process that was not walked may do anything: it came meanwhile, or BPF does not see it. */
static int check_all_walked(const struct guards *guards, const struct cgroup *group,
			    struct err *why)
{
	_cleanup_(procs_list_free) struct procs_list listed = { 0 };
	int r = procs_of_group(group->fd, true, &listed);

	if (r < 0)
		return err_set(why, r, "cannot read the processes of the group: %s", strerror(-r));
	for (uint32_t i = 0; i < listed.count; i++) {
		struct procs_stat stat;

		if (procs_list_has(&guards->park.pids, listed.pids[i]))
			continue;
		r = procs_read_stat(guards->tree->proc_fd, listed.pids[i], &stat);
		if (r == -ESRCH || (r == 0 && procs_is_dead(&stat)))
			continue;
		return err_set(why, -EAGAIN, "process %d came into the group meanwhile",
			       (int)listed.pids[i]);
	}
	return 0;
}

/* The group is frozen: does it wait, and is there nothing for it? */
static int watch(struct guards *guards, const struct cgroup *group, uint32_t slot, struct err *why)
{
	struct guard *guard = &guards->at[slot];
	int r = park_read(guards->probe, slot, &guards->park, why);

	if (r == 0)
		r = check_all_walked(guards, group, why);
	if (r == 0)
		r = proxy_arm(&guards->proxy, guards->tree->proc_fd, slot, &guards->park,
			      &guard->set, why);
	guard->timeout_ns = guards->park.timeout_ns;
	return r;
}

static const char *explain(int r)
{
	switch (r) {
	case -EALREADY:
		return "is frozen already";
	case -ENODEV:
		return "is gone";
	case -ENOENT:
		return "has no cgroup.freeze, which needs a cgroup v2 tree";
	case -EXDEV:
		return "has other processes in the v2 tree, which cannot be frozen for it";
	case -ETIMEDOUT:
		return "did not freeze in time: a process of it is busy in the kernel";
	default:
		return strerror(-r);
	}
}

int guard_freeze(struct guards *guards, const struct cgroup *group, uint32_t slot,
		 struct ledger *ledger, struct stop *stop, uint64_t deadline_ns, struct err *why)
{
	char quoted[ERR_QUOTED];
	struct guard *guard;
	int r;

	if (slot == 0 || slot >= guards->slots)
		return err_set(why, -EINVAL, "there is no slot %u", slot);
	guard = &guards->at[slot];
	close_thawed(guards);
	if (guard->thaw_fd >= 0)
		return err_set(why, -EALREADY, "it is frozen already");
	r = stop_group(guards->tree, group, ledger, STOP_FREEZE, deadline_ns, stop);
	if (r < 0)
		return err_set(why, r, "group %s %s", err_quote(group->path, quoted), explain(r));
	r = stop_open_thaw(guards->tree, group, stop, &guard->thaw_fd);
	if (r < 0) {
		stop_continue(guards->tree, group, ledger, stop);
		return err_set(why, r, "group %s cannot be kept ready to continue: %s",
			       err_quote(group->path, quoted), strerror(-r));
	}
	r = watch(guards, group, slot, why);
	if (r < 0) {
		stop_thaw(guard->thaw_fd, ledger, stop);
		guard_forget(guards, slot);
	}
	return r;
}

static bool is_held(const struct guard *guard)
{
	return guard->thaw_fd >= 0 && !guard->runs;
}

int guard_thaw(struct guards *guards, const struct cgroup *group, uint32_t slot,
	       struct ledger *ledger, struct stop *stop)
{
	struct guard *guard = &guards->at[slot];
	int r;

	if (!is_held(guard))
		return stop_continue(guards->tree, group, ledger, stop);
	r = stop_thaw(guard->thaw_fd, ledger, stop);
	close_soon(guards, slot);
	return r;
}

uint64_t guard_timeout_ns(const struct guards *guards, uint32_t slot)
{
	const struct guard *guard = &guards->at[slot];

	return is_held(guard) ? guard->timeout_ns : PARK_NEVER;
}

uint32_t guard_descriptors(const struct guards *guards, uint32_t slot)
{
	const struct guard *guard = &guards->at[slot];

	return guard->thaw_fd < 0 ? 0 : guard->set.count + 1;
}
