/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/throttle.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "edge/throttle_inside.h"

bool throttle_is_v2(const struct throttle *t, enum cgroup_controller controller)
{
	int hierarchy = t->tree->serves[controller];

	return hierarchy >= 0 && t->tree->hierarchies[hierarchy].v2;
}

int throttle_gone(int fd, int code)
{
	return (code == -ENOENT || code == -ENODEV) && faccessat(fd, "cgroup.procs", F_OK, 0) < 0
		       ? -ENODEV
		       : code;
}

int throttle_dir(struct throttle *t, enum cgroup_controller controller, int *ret_fd)
{
	return cgroup_open_known(t->tree, t->group, t->tree->serves[controller],
				 &t->inodes[controller], ret_fd);
}

int throttle_record(struct throttle *t, struct ledger *ledger, enum cgroup_controller controller,
		    const char *file, const char *old, uint32_t *record)
{
	const struct ledger_entry entry = {
		.kind = LEDGER_FILE,
		.mount = t->tree->hierarchies[t->tree->serves[controller]].path,
		.path = t->group->path,
		.group_id = t->inodes[controller],
		.file = file,
		.old = old,
	};

	return *record ? 0 : ledger_append(ledger, &entry, record);
}

int throttle_open(const struct cgroup_tree *tree, const struct cgroup *group, struct throttle **ret)
{
	static const enum cgroup_controller controllers[] = { CGROUP_CPU, CGROUP_CPUACCT,
							      CGROUP_CPUSET, CGROUP_IO };
	struct throttle *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->tree = tree;
	t->group = group;
	t->wanted[0] = t->wanted[1] = PFUSE_UNLIMITED;
	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
		_cleanup_close_ int fd = -1;

		throttle_dir(t, controllers[i], &fd); /* learns the identity, where there is one */
	}
	throttle_wake_io(tree);
	*ret = t;
	return 0;
}

void throttle_close(struct throttle *t)
{
	if (!t)
		return;
	free(t->devices);
	free(t);
}

int throttle_prepare(struct throttle *t, struct ledger *ledger, enum throttle_kind kind)
{
	int r = kind == THROTTLE_CPU ? throttle_prepare_cpu(t, ledger)
				     : throttle_prepare_io(t, ledger, kind == THROTTLE_IO_WRITE);

	t->prepared[kind] |= r == 0;
	return r;
}

int throttle_set(struct throttle *t, struct ledger *ledger, enum throttle_kind kind, uint64_t limit)
{
	if (!t->prepared[kind])
		return -EINVAL;
	if (limit >= UINT64_C(1) << 62)
		limit = PFUSE_UNLIMITED;
	return kind == THROTTLE_CPU ? throttle_set_cpu(t, ledger, limit)
				    : throttle_set_io(t, ledger, kind == THROTTLE_IO_WRITE, limit);
}

const char *throttle_why(const struct throttle *t, enum throttle_kind kind, int code)
{
	switch (code) {
	case -ENODEV:
		return "the group is gone";
	case -ESTALE:
		return "somebody else changed it; left alone";
	case -ENOENT:
		return kind == THROTTLE_CPU
			       ? "the group has no cpu controller; enable it for the group, or "
				 "make "
				 "a directory of its path in v1's cpu hierarchy"
			       : "the group has no I/O controller; enable \"io\" for the group, or "
				 "make a directory of its path in v1's blkio hierarchy";
	case -EINVAL:
		if (kind == THROTTLE_CPU && !throttle_is_v2(t, CGROUP_CPU))
			return "v1 wants a group's CPU share at or below that of each group above "
			       "it, and at or above that of each below; change those first";
		return "the kernel refuses the value";
	default:
		return strerror(-code);
	}
}
