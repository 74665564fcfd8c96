/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/cgroup_tree.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/fd.h"

static const struct {
	const char *v2; /* also the name in messages */
	const char *v1;
} controllers[CGROUP_CONTROLLERS] = {
	[CGROUP_MEMORY] = { "memory", "memory" },
	[CGROUP_CPU] = { "cpu", "cpu" },
	[CGROUP_CPUACCT] = { "cpuacct", "cpuacct" },
	[CGROUP_CPUSET] = { "cpuset", "cpuset" },
	[CGROUP_IO] = { "io", "blkio" },
	[CGROUP_FREEZER] = { "freezer", "freezer" },
	[CGROUP_PIDS] = { "pids", "pids" },
	[CGROUP_NET_PRIO] = { "net_prio", "net_prio" },
};

/* v1 controllers that we do not use, but by which a hierarchy is found in /proc/PID/cgroup. */
static const char *const other_v1[] = {
	"devices", "net_cls", "perf_event", "hugetlb", "rdma", "misc", "debug",
};

/* One line of mountinfo, cut into its fields; all point into the line. */
struct mount {
	char *device;
	char *root;
	char *point;
	char *type;
	char *options; /* of the super block: v1 has its controllers here */
};

const char *cgroup_controller_name(enum cgroup_controller controller)
{
	return controllers[controller].v2;
}

static int ask_fstatfs(int fd, uint64_t *ret_magic)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return -errno;
	*ret_magic = (uint64_t)fs.f_type;
	return 0;
}

/* mountinfo writes space, tab, newline and backslash as \ooo. */
static void unescape(char *text)
{
	char *to = text;

	for (char *at = text; *at; to++) {
		if (at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] >= '0' && at[2] <= '7' &&
		    at[3] >= '0' && at[3] <= '7') {
			*to = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
			at += 4;
		} else {
			*to = *at++;
		}
	}
	*to = '\0';
}

/* "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue" */
static bool split_mount(char *line, struct mount *mount)
{
	char *save, *tail = strstr(line, " - ");
	char *source;

	if (!tail)
		return false;
	*tail = '\0';
	line[strcspn(line, "\n")] = '\0';
	if (!strtok_r(line, " ", &save) || !strtok_r(NULL, " ", &save))
		return false;
	mount->device = strtok_r(NULL, " ", &save);
	mount->root = strtok_r(NULL, " ", &save);
	mount->point = strtok_r(NULL, " ", &save);
	mount->type = strtok_r(tail + 3, " \n", &save);
	source = strtok_r(NULL, " \n", &save);
	mount->options = strtok_r(NULL, " \n", &save);
	if (!mount->device || !mount->root || !mount->point || !mount->type || !source ||
	    !mount->options)
		return false;
	unescape(mount->root);
	unescape(mount->point);
	return true;
}

static bool has_word(const char *list, const char *word, const char *separators)
{
	size_t length = strlen(word);

	while (*list) {
		size_t n = strcspn(list, separators);

		if (n == length && memcmp(list, word, n) == 0)
			return true;
		list += n;
		list += strspn(list, separators);
	}
	return false;
}

/* One name by which the hierarchy's line in /proc/PID/cgroup is known. NULL: none that we know. */
static char *v1_name(const char *options)
{
	const char *named = strstr(options, "name=");

	for (size_t i = 0; i < CGROUP_CONTROLLERS; i++)
		if (has_word(options, controllers[i].v1, ","))
			return strdup(controllers[i].v1);
	for (size_t i = 0; i < ARRAY_SIZE(other_v1); i++)
		if (has_word(options, other_v1[i], ","))
			return strdup(other_v1[i]);
	return named ? strndup(named, strcspn(named, ",")) : NULL;
}

static void close_hierarchy(struct cgroup_hierarchy *hierarchy)
{
	close_fd(&hierarchy->fd);
	free(TAKE_PTR(hierarchy->path));
	free(TAKE_PTR(hierarchy->base));
	free(TAKE_PTR(hierarchy->name));
	free(TAKE_PTR(hierarchy->device));
}

static uint32_t v2_controllers(int fd)
{
	char list[1024];
	uint32_t bits = CGROUP_BIT(CGROUP_FREEZER) | CGROUP_BIT(CGROUP_CPUACCT);

	if (fd_read_at(fd, "cgroup.controllers", list, sizeof(list), NULL) < 0)
		return bits;
	for (size_t i = 0; i < CGROUP_CONTROLLERS; i++)
		if (has_word(list, controllers[i].v2, " \n"))
			bits |= CGROUP_BIT(i);
	return bits;
}

static uint32_t v1_controllers(const char *options)
{
	uint32_t bits = 0;

	for (size_t i = 0; i < CGROUP_CONTROLLERS; i++)
		if (has_word(options, controllers[i].v1, ","))
			bits |= CGROUP_BIT(i);
	return bits;
}

/* -ENOENT: not reachable, or something else is mounted over it. */
static int open_hierarchy(const struct mount *mount, const struct cgroup_tree_options *options,
			  struct cgroup_hierarchy *ret)
{
	bool v2 = strcmp(mount->type, "cgroup2") == 0;
	struct cgroup_hierarchy h = { .v2 = v2 };
	uint64_t magic = 0;
	int r;

	h.fd = open(mount->point, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (h.fd < 0)
		return -ENOENT;
	r = (options->fs_magic ?: ask_fstatfs)(h.fd, &magic);
	if (r < 0 || magic != (v2 ? CGROUP2_SUPER_MAGIC : CGROUP_SUPER_MAGIC)) {
		close_fd(&h.fd);
		return -ENOENT;
	}
	h.controllers = v2 ? v2_controllers(h.fd) : v1_controllers(mount->options);
	h.path = strdup(mount->point);
	h.base = strdup(mount->root);
	h.device = strdup(mount->device);
	h.name = v2 ? strdup("") : v1_name(mount->options);
	if (!h.path || !h.base || !h.device) {
		close_hierarchy(&h);
		return -ENOMEM;
	}
	*ret = h;
	return 0;
}

static int find_device(const struct cgroup_tree *tree, const char *device)
{
	for (unsigned int i = 0; i < tree->count; i++)
		if (strcmp(tree->hierarchies[i].device, device) == 0)
			return (int)i;
	return -1;
}

static int add_mount(struct cgroup_tree *tree, const struct mount *mount,
		     const struct cgroup_tree_options *options)
{
	int old = find_device(tree, mount->device);
	struct cgroup_hierarchy h;
	int r;

	if (old >= 0 &&
	    (strcmp(mount->root, "/") != 0 || strcmp(tree->hierarchies[old].base, "/") == 0))
		return 0;
	if (old < 0 && tree->count == CGROUP_HIERARCHIES)
		return 0;
	r = open_hierarchy(mount, options, &h);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (old >= 0)
		close_hierarchy(&tree->hierarchies[old]);
	else
		old = (int)tree->count++;
	tree->hierarchies[old] = h;
	return 0;
}

static int read_mounts(struct cgroup_tree *tree, const struct cgroup_tree_options *options,
		       const char *mountinfo, struct err *err)
{
	_cleanup_fclose_ FILE *file = fopen(mountinfo, "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	if (!file)
		return err_set(err, -errno, "cannot read %s: %s", mountinfo, strerror(errno));
	while (getline(&line, &size, file) > 0) {
		struct mount mount;
		int r;

		if (!split_mount(line, &mount) || strncmp(mount.type, "cgroup", 6) != 0 ||
		    (mount.type[6] && strcmp(mount.type, "cgroup2") != 0))
			continue;
		r = add_mount(tree, &mount, options);
		if (r < 0)
			return err_set(err, r, "cannot read %s: %s", mountinfo, strerror(-r));
	}
	return 0;
}

/* A controller belongs to one hierarchy at a time; v2's own parts yield to a v1 mount of that name. */
static void assign_controllers(struct cgroup_tree *tree)
{
	for (unsigned int c = 0; c < CGROUP_CONTROLLERS; c++)
		tree->serves[c] = -1;
	for (unsigned int i = 0; i < tree->count; i++) {
		const struct cgroup_hierarchy *h = &tree->hierarchies[i];

		if (h->v2)
			tree->v2 = (int)i;
		for (unsigned int c = 0; c < CGROUP_CONTROLLERS; c++)
			if ((h->controllers & CGROUP_BIT(c)) && (!h->v2 || tree->serves[c] < 0))
				tree->serves[c] = (int)i;
	}
	tree->anchor = tree->serves[CGROUP_MEMORY];
}

int cgroup_tree_open(const struct cgroup_tree_options *options, struct cgroup_tree *ret_tree,
		     struct err *err)
{
	static const struct cgroup_tree_options none;
	_cleanup_(cgroup_tree_close) struct cgroup_tree tree = { .v2 = -1, .proc_fd = -1 };
	const char *mountinfo, *proc;
	int r;

	if (!options)
		options = &none;
	mountinfo = options->mountinfo ?: "/proc/self/mountinfo";
	proc = options->proc ?: "/proc";
	r = read_mounts(&tree, options, mountinfo, err);
	if (r < 0)
		return r;
	assign_controllers(&tree);
	if (tree.count == 0)
		return err_set(err, -ENOENT,
			       "no cgroup file system is mounted; mount one: mount -t cgroup2 "
			       "none /sys/fs/cgroup");
	if (tree.anchor < 0)
		return err_set(err, -ENOENT,
			       "no mounted cgroup hierarchy has the memory controller; boot with "
			       "cgroup_enable=memory, or mount the v1 one");
	tree.proc_fd = open(proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (tree.proc_fd < 0)
		return err_set(err, -errno, "cannot open %s: %s", proc, strerror(errno));
	*ret_tree = tree;
	tree = (struct cgroup_tree){ .proc_fd = -1 };
	return 0;
}

void cgroup_tree_close(struct cgroup_tree *tree)
{
	if (tree->count > 0 || tree->proc_fd > 0)
		close_fd(&tree->proc_fd);
	for (unsigned int i = 0; i < tree->count; i++)
		close_hierarchy(&tree->hierarchies[i]);
	*tree = (struct cgroup_tree){ .proc_fd = -1, .v2 = -1, .anchor = -1 };
}

enum pfuse_anchor cgroup_tree_anchor(const struct cgroup_tree *tree)
{
	return tree->hierarchies[tree->anchor].v2 ? PFUSE_ANCHOR_V2 : PFUSE_ANCHOR_V1_MEMORY;
}

uint32_t cgroup_tree_needed(const struct cgroup_tree *tree, uint32_t wanted)
{
	uint32_t bits = UINT32_C(1) << tree->anchor;

	if (tree->v2 >= 0)
		bits |= UINT32_C(1) << tree->v2;
	for (unsigned int c = 0; c < CGROUP_CONTROLLERS; c++)
		if ((wanted & CGROUP_BIT(c)) && tree->serves[c] >= 0)
			bits |= UINT32_C(1) << tree->serves[c];
	return bits;
}
