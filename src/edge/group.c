/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/group.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "edge/procs.h"

#define BUSY_TRIES 50 /* of 1 ms: a killed process leaves its group a moment after its death */
#define MAX_ROUNDS 16 /* of looking for children that were forked while their parents moved */

/* What a group needs on v2 by name; the rest is part of every group. */
#define HANDED_DOWN                                                                                \
	(CGROUP_BIT(CGROUP_MEMORY) | CGROUP_BIT(CGROUP_CPU) | CGROUP_BIT(CGROUP_CPUSET) |          \
	 CGROUP_BIT(CGROUP_IO) | CGROUP_BIT(CGROUP_PIDS))

static bool lists_controller(const char *list, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = strstr(list, name); at; at = strstr(at + 1, name))
		if ((at == list || at[-1] == ' ') && strchr(" \n", at[length]))
			return true;
	return false;
}

/* Our own directory hands every wanted controller down; whether the root does is not our business. */
static int enable_controllers(const struct cgroup_tree *tree, int parent_fd, uint32_t controllers,
			      struct err *err)
{
	const struct cgroup_hierarchy *v2 = &tree->hierarchies[tree->v2];
	char offered[512], line[32];
	int r = fd_read_at(v2->fd, "cgroup.subtree_control", offered, sizeof(offered), NULL);

	for (unsigned int c = 0; r == 0 && c < CGROUP_CONTROLLERS; c++) {
		const char *name = cgroup_controller_name(c);

		if (!(controllers & HANDED_DOWN & CGROUP_BIT(c)) || tree->serves[c] != tree->v2)
			continue;
		if (!lists_controller(offered, name))
			return err_set(err, -ENOTSUP,
				       "%s does not hand the %s controller down; write \"+%s\" to "
				       "%s/cgroup.subtree_control and try again",
				       v2->path, name, name, v2->path);
		snprintf(line, sizeof(line), "+%s", name);
		r = fd_write_at(parent_fd, "cgroup.subtree_control", line);
	}
	if (r < 0)
		err_set(err, r, "cannot enable controllers in %s/" GROUP_PARENT ": %s", v2->path,
			strerror(-r));
	return r;
}

/* v1: a new cpuset has no CPUs and takes no process; it is given its parent's. */
static int inherit_cpuset(int parent_fd, int fd)
{
	static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };
	char text[1024];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		int r = fd_read_at(fd, files[i], text, sizeof(text), NULL);

		if (r == 0 && text[strspn(text, " \n")])
			continue;
		if (r == 0)
			r = fd_read_at(parent_fd, files[i], text, sizeof(text), NULL);
		if (r == 0)
			r = fd_write_at(fd, files[i], text);
		if (r < 0)
			return r;
	}
	return 0;
}

static int make_dir(const struct cgroup_tree *tree, int hierarchy, int parent_fd, const char *name,
		    int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (mkdirat(parent_fd, name, 0755) < 0 && errno != EEXIST)
		return -errno;
	r = fd_open_dir_beneath(parent_fd, name, &fd);
	if (r == 0 && hierarchy == tree->serves[CGROUP_CPUSET] && !tree->hierarchies[hierarchy].v2)
		r = inherit_cpuset(parent_fd, fd);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int make_in(const struct cgroup_tree *tree, int hierarchy, const char *name,
		   uint32_t controllers, struct err *err)
{
	const struct cgroup_hierarchy *h = &tree->hierarchies[hierarchy];
	_cleanup_close_ int parent = -1, fd = -1;
	int r = make_dir(tree, hierarchy, h->fd, GROUP_PARENT, &parent);

	if (r < 0)
		return err_set(err, r, "cannot make %s/" GROUP_PARENT ": %s", h->path,
			       strerror(-r));
	if (h->v2)
		r = enable_controllers(tree, parent, controllers, err);
	if (r < 0)
		return r;
	r = make_dir(tree, hierarchy, parent, name, &fd);
	if (r < 0)
		err_set(err, r, "cannot make %s/" GROUP_PARENT "/%s: %s", h->path, name,
			strerror(-r));
	return r;
}

static int refuse_populated(const struct cgroup_tree *tree, int hierarchy, const char *path,
			    struct err *err)
{
	_cleanup_(procs_list_free) struct procs_list list = { 0 };
	_cleanup_close_ int fd = -1;

	if (fd_open_dir_beneath(tree->hierarchies[hierarchy].fd, path, &fd) < 0 ||
	    procs_of_group(fd, true, &list) < 0 || list.count == 0)
		return 0;
	return err_set(err, -EEXIST,
		       "group %s in %s exists and holds %u processes; attach it, or end them", path,
		       tree->hierarchies[hierarchy].path, list.count);
}

/* One record per hierarchy, all binding before the first directory is made. */
static int record_dirs(const struct cgroup_tree *tree, struct ledger *ledger, uint32_t bits,
		       const char *path, uint32_t records[CGROUP_HIERARCHIES])
{
	for (unsigned int i = 0; i < tree->count; i++) {
		const struct ledger_entry entry = {
			.kind = LEDGER_DIR,
			.mount = tree->hierarchies[i].path,
			.path = path,
		};
		int r;

		if (!(bits & UINT32_C(1) << i))
			continue;
		r = ledger_append(ledger, &entry, &records[i]);
		if (r < 0)
			return r;
	}
	return ledger_commit(ledger);
}

static int make_all(const struct cgroup_tree *tree, uint32_t bits, const char *name,
		    uint32_t controllers, struct err *err)
{
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < tree->count; i++)
		if (bits & UINT32_C(1) << i)
			r = make_in(tree, (int)i, name, controllers, err);
	return r;
}

int group_create(const struct cgroup_tree *tree, struct ledger *ledger, const char *name,
		 uint32_t controllers, struct cgroup *ret_group, struct err *err)
{
	uint32_t records[CGROUP_HIERARCHIES] = { 0 };
	_cleanup_free_ char *path = NULL;
	uint32_t bits;
	int r = 0;

	if (!*name || strchr(name, '/') || name[0] == '.' || strlen(name) > NAME_MAX)
		return err_set(err, -EINVAL, "\"%.100s\" cannot be the name of a group", name);
	if (asprintf(&path, GROUP_PARENT "/%s", name) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	controllers |= CGROUP_BIT(CGROUP_MEMORY);
	bits = cgroup_tree_needed(tree, controllers);
	for (unsigned int i = 0; r == 0 && i < tree->count; i++)
		if (bits & UINT32_C(1) << i)
			r = refuse_populated(tree, (int)i, path, err);
	if (r < 0)
		return r;
	r = record_dirs(tree, ledger, bits, path, records);
	if (r < 0)
		return err_set(err, r, "cannot write the ledger: %s", strerror(-r));
	r = make_all(tree, bits, name, controllers, err);
	if (r == 0)
		r = cgroup_open(tree, path, ret_group, err);
	if (r < 0 && group_remove(tree, path) == 0)
		for (unsigned int i = 0; i < CGROUP_HIERARCHIES; i++)
			ledger_forget(ledger, records[i]);
	return r;
}

int group_move(const struct cgroup_tree *tree, const struct cgroup *group, pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", (int)pid);
	for (unsigned int i = 0; i < tree->count; i++) {
		_cleanup_close_ int fd = -1;
		int r = cgroup_open_in(tree, group, (int)i, &fd);

		if (r == -ENOENT && (int)i != tree->anchor)
			continue;
		if (r == 0)
			r = fd_write_at(fd, "cgroup.procs", text);
		if (r < 0)
			return r;
	}
	return 0;
}

static int remove_dir(int dirfd, const char *path)
{
	for (int i = 0;; i++) {
		if (unlinkat(dirfd, path, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return 0;
		if (errno != EBUSY || i == BUSY_TRIES)
			return -errno;
		clock_sleep_us(1000);
	}
}

int group_remove(const struct cgroup_tree *tree, const char *path)
{
	const char *name = path + strlen(GROUP_PARENT "/");
	int r = 0;

	if (strncmp(path, GROUP_PARENT "/", strlen(GROUP_PARENT "/")) != 0 || !*name ||
	    strchr(name, '/'))
		return -EINVAL;
	for (unsigned int i = 0; i < tree->count; i++) {
		_cleanup_close_ int parent = -1;
		int one = fd_open_dir_beneath(tree->hierarchies[i].fd, GROUP_PARENT, &parent);

		if (one == -ENOENT)
			continue;
		if (one == 0)
			one = remove_dir(parent, name);
		/* Not empty while there are other groups of ours: that is no error. */
		if (one == 0)
			unlinkat(tree->hierarchies[i].fd, GROUP_PARENT, AT_REMOVEDIR);
		r = r ?: one;
	}
	return r == -ENOTEMPTY ? -EBUSY : r;
}

/* pid:N */

static int refuse_pid(const struct cgroup_tree *tree, pid_t pid, struct err *err)
{
	_cleanup_(procs_list_free) struct procs_list ours = { 0 };
	struct procs_stat stat;
	int r = pid > 0 ? procs_read_stat(tree->proc_fd, pid, &stat) : -ESRCH;

	if (r < 0)
		return err_set(err, r, "pid:%d: %s", (int)pid,
			       r == -ESRCH ? "there is no such process" : strerror(-r));
	if (pid == 1)
		return err_set(err, -EPERM, "pid:1 is never managed");
	if (procs_is_kernel_thread(&stat))
		return err_set(err, -EPERM, "pid:%d is a kernel thread, which is never managed",
			       (int)pid);
	r = procs_ancestors(tree->proc_fd, getpid(), &ours);
	if (r < 0)
		return err_set(err, r, "cannot find the ancestors of pfuse-bpf: %s", strerror(-r));
	if (procs_list_has(&ours, pid))
		return err_set(err, -EPERM,
			       "pid:%d is pfuse-bpf or one of its ancestors, which are never "
			       "managed",
			       (int)pid);
	return 0;
}

/* The group in which the process is, if nobody else is in it. */
static int open_in_place(const struct cgroup_tree *tree, pid_t pid, const struct procs_list *family,
			 struct cgroup *ret_group)
{
	_cleanup_(procs_list_free) struct procs_list list = { 0 };
	_cleanup_(cgroup_close) struct cgroup group = { 0 };
	_cleanup_free_ char *path = NULL;
	int r = procs_cgroup(tree->proc_fd, pid, &tree->hierarchies[tree->anchor], &path);

	if (r == 0)
		r = *path ? cgroup_open(tree, path, &group, NULL) : -ENOENT;
	if (r == 0)
		r = procs_of_group(group.fd, true, &list);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < list.count; i++)
		if (!procs_list_has(family, list.pids[i]))
			return -ENOENT;
	*ret_group = group;
	group = (struct cgroup){ 0 };
	return 0;
}

static int record_move(const struct cgroup_tree *tree, const struct cgroup *group, int hierarchy,
		       struct ledger *ledger, const struct procs_stat *stat)
{
	const struct cgroup_hierarchy *h = &tree->hierarchies[hierarchy];
	_cleanup_free_ char *origin = NULL;
	_cleanup_close_ int fd = -1;
	struct ledger_entry entry = {
		.kind = LEDGER_MOVED,
		.mount = h->path,
		.path = group->path,
		.pid = stat->pid,
		.starttime = stat->starttime,
	};
	uint32_t record;
	struct stat st = { 0 };
	int r = cgroup_open_in(tree, group, hierarchy, &fd);

	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = procs_cgroup(tree->proc_fd, stat->pid, h, &origin);
	if (r == 0 && fstat(fd, &st) < 0)
		r = -errno;
	if (r < 0)
		return r;
	entry.group_id = st.st_ino;
	entry.old = origin;
	return ledger_append(ledger, &entry, &record);
}

/* A process that ends meanwhile is no error. */
int group_take_in(const struct cgroup_tree *tree, const struct cgroup *group, struct ledger *ledger,
		  pid_t pid)
{
	struct procs_stat stat;
	int r = procs_read_stat(tree->proc_fd, pid, &stat);

	if (r == 0 && procs_is_dead(&stat))
		return 0;
	for (unsigned int i = 0; r == 0 && i < tree->count; i++)
		r = record_move(tree, group, (int)i, ledger, &stat);
	if (r == 0)
		r = ledger_commit(ledger);
	if (r == 0)
		r = group_move(tree, group, pid);
	return r == -ESRCH ? 0 : r;
}

/* The process first, so that what it forks from then on is born in the group. */
static int move_family(const struct cgroup_tree *tree, const struct cgroup *group,
		       struct ledger *ledger, pid_t pid)
{
	int r = group_take_in(tree, group, ledger, pid);
	bool again = true;

	for (int round = 0; r == 0 && again; round++) {
		_cleanup_(procs_list_free) struct procs_list family = { 0 }, inside = { 0 };

		again = false;
		r = procs_tree(tree->proc_fd, pid, &family);
		if (r == 0)
			r = procs_of_group(group->fd, true, &inside);
		for (uint32_t i = 0; r == 0 && i < family.count; i++) {
			if (procs_list_has(&inside, family.pids[i]))
				continue;
			r = group_take_in(tree, group, ledger, family.pids[i]);
			again = true;
		}
		if (round == MAX_ROUNDS)
			break;
	}
	return r;
}

int group_from_pid(const struct cgroup_tree *tree, struct ledger *ledger, pid_t pid,
		   uint32_t controllers, struct cgroup *ret_group, struct err *err)
{
	_cleanup_(procs_list_free) struct procs_list family = { 0 };
	_cleanup_(cgroup_close) struct cgroup group = { 0 };
	struct ledger_restore undo = { .proc_fd = tree->proc_fd };
	char name[32];
	int r = refuse_pid(tree, pid, err);

	if (r < 0)
		return r;
	r = procs_tree(tree->proc_fd, pid, &family);
	if (r < 0)
		return err_set(err, r, "pid:%d: cannot find its children: %s", (int)pid,
			       strerror(-r));
	if (open_in_place(tree, pid, &family, ret_group) == 0)
		return 0;
	snprintf(name, sizeof(name), "pid-%d", (int)pid);
	r = group_create(tree, ledger, name, controllers, &group, err);
	if (r < 0)
		return r;
	r = move_family(tree, &group, ledger, pid);
	if (r < 0) {
		undo.path = group.path;
		ledger_restore(ledger, &undo, NULL);
		return err_set(err, r, "pid:%d: cannot move it into %s: %s", (int)pid, group.path,
			       strerror(-r));
	}
	*ret_group = group;
	group = (struct cgroup){ 0 };
	return 0;
}
