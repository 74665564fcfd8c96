/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/cgroup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "edge/procs.h"

static int refuse_bytes(const char *path, struct err *err)
{
	char quoted[ERR_QUOTED];
	size_t length = strlen(path);

	if (length >= CGROUP_PATH_MAX)
		return err_set(err, -ENAMETOOLONG,
			       "group %s: the path is %zu bytes long, at most %d are accepted",
			       err_quote(path, quoted), length, CGROUP_PATH_MAX - 1);
	if (length == 0)
		return err_set(err, -EINVAL, "the name of a group is empty");
	for (const char *at = path; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			return err_set(err, -EINVAL,
				       "group %s: the name holds a control character, which no "
				       "cgroup has",
				       err_quote(path, quoted));
	return 0;
}

/* "/x//./y/" → "/x/y", in place and never longer. False: it has a "..". */
static bool squeeze(char *path)
{
	char *to = path, *at = path;

	while (*at) {
		size_t slashes = strspn(at, "/"), n = strcspn(at + slashes, "/");
		const char *name = at + slashes;

		at += slashes + n;
		if (n == 0 || (n == 1 && name[0] == '.'))
			continue;
		if (n == 2 && name[0] == '.' && name[1] == '.')
			return false;
		/* Relative paths get no slash in front: `to` never overtakes `name`. */
		if (slashes > 0)
			*to++ = '/';
		memmove(to, name, n);
		to += n;
	}
	*to = '\0';
	return true;
}

/* What follows the mount path in an absolute path: "" or "x/y". NULL: not below it. */
static const char *below(const char *path, const char *mount)
{
	size_t length = strlen(mount);

	if (strncmp(path, mount, length) != 0 || (path[length] && path[length] != '/'))
		return NULL;
	return path[length] ? path + length + 1 : path + length;
}

/* The hierarchy with the longest mount path above it: on v2, v1 mounts lie below v2's. */
static int find_mount(const struct cgroup_tree *tree, const char *path, const char **ret_rest)
{
	size_t best = 0;
	int found = -EXDEV;

	for (unsigned int i = 0; i < tree->count; i++) {
		const char *mount = tree->hierarchies[i].path;
		const char *rest = below(path, mount);

		if (rest && strlen(mount) >= best) {
			best = strlen(mount);
			found = (int)i;
			*ret_rest = rest;
		}
	}
	return found;
}

/* Also tells which hierarchy an absolute path named; the anchor for a relative one. */
static int resolve(const struct cgroup_tree *tree, const char *path, char **ret_path,
		   int *ret_hierarchy, struct err *err)
{
	_cleanup_free_ char *clean = NULL;
	char quoted[ERR_QUOTED];
	const char *rest;
	int r = refuse_bytes(path, err), hierarchy = tree->anchor;

	if (r < 0)
		return r;
	clean = strdup(path);
	if (!clean)
		return err_set(err, -ENOMEM, "out of memory");
	err_quote(path, quoted);
	if (!squeeze(clean))
		return err_set(err, -EINVAL, "group %s: \"..\" is not accepted in a group's path",
			       quoted);
	rest = clean + (clean[0] == '/' && path[0] != '/');
	if (path[0] == '/') {
		hierarchy = find_mount(tree, clean, &rest);
		if (hierarchy < 0)
			return err_set(err, -EXDEV,
				       "group %s lies outside the cgroup file systems; give a path "
				       "below %s, or one relative to it without a leading slash",
				       quoted, tree->hierarchies[tree->anchor].path);
	}
	if (!*rest)
		return err_set(err, -EOPNOTSUPP,
			       "group %s is the root group, which is never managed", quoted);
	*ret_path = strdup(rest);
	*ret_hierarchy = hierarchy;
	return *ret_path ? 0 : err_set(err, -ENOMEM, "out of memory");
}

int cgroup_normalize(const struct cgroup_tree *tree, const char *path, char **ret_path,
		     struct err *err)
{
	int hierarchy;

	return resolve(tree, path, ret_path, &hierarchy, err);
}

static const char *open_failure(int code)
{
	switch (code) {
	case -ENOENT:
		return "there is no such group";
	case -ELOOP:
		return "a symlink, which is not followed";
	case -ENOTDIR:
		return "not a directory, so not a group";
	case -EXDEV:
		return "another file system is mounted there";
	case -ENAMETOOLONG:
		return "the name is too long";
	default:
		return strerror(-code);
	}
}

static int open_below(const struct cgroup_hierarchy *hierarchy, const char *path, int *ret_fd,
		      struct err *err)
{
	char quoted[ERR_QUOTED];
	int r = fd_open_dir_beneath(hierarchy->fd, path, ret_fd);

	if (r < 0)
		err_set(err, r, "group %s in %s: %s", err_quote(path, quoted), hierarchy->path,
			open_failure(r));
	return r;
}

/* The anchor lacks the group: if another hierarchy has it, that is the thing to say. */
static void explain_elsewhere(const struct cgroup_tree *tree, const char *path, struct err *err)
{
	char quoted[ERR_QUOTED];

	for (unsigned int i = 0; i < tree->count; i++) {
		_cleanup_close_ int fd = -1;

		if ((int)i == tree->anchor ||
		    fd_open_dir_beneath(tree->hierarchies[i].fd, path, &fd) < 0)
			continue;
		err_set(err, 0,
			"group %s exists in %s only, not in %s, which has the memory controller; "
			"move its processes into a group of that name there",
			err_quote(path, quoted), tree->hierarchies[i].path,
			tree->hierarchies[tree->anchor].path);
		return;
	}
}

int cgroup_open(const struct cgroup_tree *tree, const char *path, struct cgroup *ret_group,
		struct err *err)
{
	_cleanup_free_ char *clean = NULL;
	_cleanup_close_ int named = -1, fd = -1;
	struct stat st;
	int hierarchy = tree->anchor, r;

	r = resolve(tree, path, &clean, &hierarchy, err);
	if (r < 0)
		return r;
	if (hierarchy != tree->anchor)
		r = open_below(&tree->hierarchies[hierarchy], clean, &named, err);
	if (r < 0)
		return r;
	r = open_below(&tree->hierarchies[tree->anchor], clean, &fd, err);
	if (r == -ENOENT)
		explain_elsewhere(tree, clean, err);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return err_set(err, -errno, "group %s: %s", clean, strerror(errno));
	*ret_group = (struct cgroup){
		.id = st.st_ino,
		.path = TAKE_PTR(clean),
		.fd = TAKE_FD(fd),
	};
	return 0;
}

void cgroup_close(struct cgroup *group)
{
	if (group->path)
		close_fd(&group->fd);
	free(group->path);
	*group = (struct cgroup){ .fd = -1 };
}

int cgroup_open_in(const struct cgroup_tree *tree, const struct cgroup *group, int hierarchy,
		   int *ret_fd)
{
	int fd;

	if (hierarchy < 0)
		return -ENOENT;
	if (hierarchy != tree->anchor)
		return fd_open_dir_beneath(tree->hierarchies[hierarchy].fd, group->path, ret_fd);
	/* Not by path: it may be another group's by now. */
	fd = fcntl(group->fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int cgroup_open_known(const struct cgroup_tree *tree, const struct cgroup *group, int hierarchy,
		      uint64_t *inode, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r = cgroup_open_in(tree, group, hierarchy, &fd);

	if (r == -ENOENT && (*inode || cgroup_gone(group)))
		return -ENODEV;
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (*inode && *inode != st.st_ino)
		return -ENODEV;
	*inode = st.st_ino;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int cgroup_open_v2(const struct cgroup_tree *tree, const struct cgroup *group, int *ret_fd)
{
	return cgroup_open_in(tree, group, tree->v2, ret_fd);
}

bool cgroup_gone(const struct cgroup *group)
{
	return faccessat(group->fd, "cgroup.procs", F_OK, 0) < 0 &&
	       (errno == ENOENT || errno == ENODEV);
}

static int count_one(void *arg, pid_t pid)
{
	(void)pid;
	++*(uint32_t *)arg;
	return 0;
}

int cgroup_count_procs(const struct cgroup *group, uint32_t *ret_count)
{
	uint32_t count = 0;
	int r = procs_each(group->fd, true, count_one, &count);

	if (r < 0)
		return r;
	*ret_count = count;
	return 0;
}
