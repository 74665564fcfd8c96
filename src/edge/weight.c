/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/weight.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/num.h"

#define SHARES_DEFAULT 1024

/* One look at the group's control. */
struct control {
	int fd;
	bool v2;
	char text[32]; /* without the newline */
	uint32_t weight;
};

static void close_control(struct control *control)
{
	close_fd(&control->fd);
}

static const char *file_of(const struct control *control)
{
	return control->v2 ? "cpu.weight" : "cpu.shares";
}

static uint32_t weight_of(uint64_t shares)
{
	uint64_t weight = (shares * WEIGHT_DEFAULT + SHARES_DEFAULT / 2) / SHARES_DEFAULT;

	return weight < WEIGHT_MIN   ? WEIGHT_MIN
	       : weight > WEIGHT_MAX ? WEIGHT_MAX
				     : (uint32_t)weight;
}

static uint32_t shares_of(uint32_t weight)
{
	return (weight * SHARES_DEFAULT + WEIGHT_DEFAULT / 2) / WEIGHT_DEFAULT;
}

/* What a file of a removed group answers is not what it means. */
static int gone(const struct control *control, int code)
{
	return (code == -ENOENT || code == -ENODEV) &&
			       faccessat(control->fd, "cgroup.procs", F_OK, 0) < 0
		       ? -ENODEV
		       : code;
}

static int open_control(struct weight *weight, struct control *ret)
{
	int hierarchy = weight->tree->serves[CGROUP_CPU];
	_cleanup_(close_control) struct control control = { .fd = -1 };
	uint64_t value;
	int r = cgroup_open_known(weight->tree, weight->group, hierarchy, &weight->inode,
				  &control.fd);

	if (r < 0)
		return r;
	control.v2 = weight->tree->hierarchies[hierarchy].v2;
	r = fd_read_one_at(control.fd, file_of(&control), control.text, sizeof(control.text));
	if (r < 0)
		return gone(&control, r);
	control.text[strcspn(control.text, "\n")] = '\0';
	if (num_parse_all(control.text, &value) < 0 || value > UINT32_MAX)
		return -EBADMSG;
	control.weight = control.v2 ? (uint32_t)value : weight_of(value);
	*ret = control;
	control.fd = -1;
	return 0;
}

/* Since 5.15; the kernel refuses a weight then, and shows one that is none. */
static bool is_idle(const struct control *control)
{
	char text[16];
	uint64_t idle = 0;

	return fd_read_one_at(control->fd, "cpu.idle", text, sizeof(text)) == 0 &&
	       num_parse_all(text, &idle) == 0 && idle != 0;
}

void weight_open(const struct cgroup_tree *tree, const struct cgroup *group, struct weight *ret)
{
	_cleanup_(close_control) struct control control = { .fd = -1 };

	*ret = (struct weight){ .tree = tree, .group = group };
	open_control(ret, &control); /* learns the identity, where there is one */
}

void weight_close(struct weight *weight)
{
	*weight = (struct weight){ 0 };
}

int weight_read(struct weight *weight, uint32_t *ret_weight)
{
	_cleanup_(close_control) struct control control = { .fd = -1 };
	int r = open_control(weight, &control);

	if (r == 0 && is_idle(&control))
		r = -EBUSY;
	if (r == 0)
		*ret_weight = control.weight;
	return r;
}

int weight_prepare(struct weight *weight, struct ledger *ledger)
{
	_cleanup_(close_control) struct control control = { .fd = -1 };
	int r = open_control(weight, &control);

	if (r == 0 && is_idle(&control))
		r = -EBUSY;
	if (r < 0 || weight->record)
		return r;
	return ledger_append(
		ledger,
		&(struct ledger_entry){
			.kind = LEDGER_FILE,
			.mount = weight->tree->hierarchies[weight->tree->serves[CGROUP_CPU]].path,
			.path = weight->group->path,
			.group_id = weight->inode,
			.file = file_of(&control),
			.old = control.text,
		},
		&weight->record);
}

static int text_for(const struct weight *weight, struct ledger *ledger,
		    const struct control *control, uint32_t value, char *buf, size_t size)
{
	if (value == WEIGHT_RELEASE)
		return ledger_old(ledger, weight->record, buf, size);
	if (value > WEIGHT_MAX)
		return -ERANGE;
	snprintf(buf, size, "%u", control->v2 ? value : shares_of(value));
	return 0;
}

int weight_set(struct weight *weight, struct ledger *ledger, uint32_t value)
{
	_cleanup_(close_control) struct control control = { .fd = -1 };
	char next[32];
	int r = weight->record ? open_control(weight, &control) : -EINVAL;

	if (r < 0)
		return r;
	if (is_idle(&control))
		return -EBUSY;
	r = text_for(weight, ledger, &control, value, next, sizeof(next));
	if (r == 0)
		r = ledger_intend(ledger, weight->record,
				  ledger_value(file_of(&control), control.text),
				  ledger_value(file_of(&control), next));
	if (r == 0 && strcmp(next, control.text) != 0)
		r = fd_write_at(control.fd, file_of(&control), next);
	return gone(&control, r);
}

const char *weight_why(int code)
{
	switch (code) {
	case -ENODEV:
		return "the group is gone";
	case -ESTALE:
		return "somebody else changed it; left alone";
	case -EBUSY:
		return "the group is idle, which leaves it no weight; write 0 to its cpu.idle "
		       "first";
	case -ERANGE:
		return "a weight is a number from 1 to 10000";
	case -ENOENT:
		return "the group has no cpu controller; enable it for the group, or make a "
		       "directory of its path in v1's cpu hierarchy";
	case -EINVAL:
		return "the kernel refuses the value";
	default:
		return strerror(-code);
	}
}

static bool begins(int root_fd, const char *path, const char *word)
{
	char text[32];

	return fd_read_one_at(root_fd, path, text, sizeof(text)) == 0 &&
	       strncmp(text, word, strlen(word)) == 0;
}

/* Without switch_all, sched_ext runs only the tasks that asked for it. */
const char *weight_inert(int root_fd)
{
	if (begins(root_fd, "sys/kernel/sched_ext/state", "enabled") &&
	    begins(root_fd, "sys/kernel/sched_ext/switch_all", "1"))
		return "a sched_ext scheduler runs all tasks, and need not heed weights of groups";
	return NULL;
}
