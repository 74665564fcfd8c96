/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "cli/trace_groups.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "edge/procs.h"

static int open_group_of_pid(const struct cgroup_tree *tree, const char *name, struct cgroup *ret,
			     struct err *err)
{
	_cleanup_free_ char *path = NULL;
	char quoted[ERR_QUOTED];
	const char *end;
	uint64_t pid;

	if (num_parse(name + 4, &end, &pid) < 0 || *end || pid == 0 || pid > INT_MAX)
		return err_set(err, -EINVAL, "%s: not a process id", err_quote(name, quoted));
	int code = procs_cgroup(tree->proc_fd, (pid_t)pid, &tree->hierarchies[tree->anchor], &path);

	if (code)
		return err_set(err, code, "%s: cannot tell its group: %s", name, strerror(-code));
	if (!path[0])
		return err_set(err, -EOPNOTSUPP,
			       "%s is in the root group; trace everything (--all), or start it in "
			       "a group of its own",
			       name);
	return cgroup_open(tree, path, ret, err);
}

static int open_one(struct trace_groups *groups, uint32_t slot, const char *name, struct err *err)
{
	char a[ERR_QUOTED], b[ERR_QUOTED];
	int code = strncmp(name, "pid:", 4) == 0
			   ? open_group_of_pid(&groups->tree, name, &groups->at[slot], err)
			   : cgroup_open(&groups->tree, name, &groups->at[slot], err);

	if (code)
		return code;
	groups->names[slot] = name;
	groups->slots = slot + 1;
	for (uint32_t other = 1; other < slot; other++)
		if (groups->at[other].id == groups->at[slot].id)
			return err_set(err, -EEXIST, "%s and %s are the same group; name it once",
				       err_quote(groups->names[other], a), err_quote(name, b));
	return 0;
}

int trace_groups_open(char *const *names, size_t count, struct trace_groups *ret, struct err *err)
{
	struct trace_groups groups = { .slots = 1 };
	int code = cgroup_tree_open(NULL, &groups.tree, err);

	if (code)
		return code;
	groups.at = calloc(count + 1, sizeof(*groups.at));
	groups.names = calloc(count + 1, sizeof(*groups.names));
	if (!groups.at || !groups.names)
		code = err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; !code && i < count; i++)
		code = open_one(&groups, (uint32_t)i + 1, names[i], err);
	if (code)
		trace_groups_close(&groups);
	else
		*ret = groups;
	return code;
}

void trace_groups_close(struct trace_groups *groups)
{
	for (uint32_t slot = 1; groups->at && slot < groups->slots; slot++)
		cgroup_close(&groups->at[slot]);
	free(groups->at);
	free(groups->names);
	cgroup_tree_close(&groups->tree);
	*groups = (struct trace_groups){ 0 };
}
