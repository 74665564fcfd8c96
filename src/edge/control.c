/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/control.h"

#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/num.h"

#define MIB (UINT64_C(1) << 20)
#define GAP_MIN (16 * MIB) /* room above memory.high in which a burst is throttled, not killed */

/* Figures: which file of which hierarchy, and how it is read. */

enum place {
	IN_ANCHOR,
	IN_V2,	    /* the anchor itself or its twin */
	IN_CPUACCT, /* v1's hierarchy of that controller */
};

struct source {
	enum place place;
	const char *file;
	int (*parse)(const char *text, uint64_t *ret_value);
	bool is_long; /* memory.stat */
};

static int parse_size(const char *text, uint64_t *ret_value)
{
	uint64_t value = PFUSE_UNLIMITED;

	if (strcmp(text, "max\n") != 0 && strcmp(text, "max") != 0 &&
	    num_parse_all(text, &value) < 0)
		return -EBADMSG;
	*ret_value = value >= UINT64_C(1) << 62 ? PFUSE_UNLIMITED : value;
	return 0;
}

static int parse_count(const char *text, uint64_t *ret_value)
{
	return num_parse_all(text, ret_value) < 0 ? -EBADMSG : 0;
}

/* Since 5.9 anonymous pages count too; before, there was one figure for file pages. */
static int parse_refaults(const char *text, uint64_t *ret_value)
{
	uint64_t anon = 0, file;

	if (num_find_key(text, "workingset_refault_file", &file) < 0 &&
	    num_find_key(text, "workingset_refault", &file) < 0)
		return -ENOENT;
	num_find_key(text, "workingset_refault_anon", &anon);
	*ret_value = anon + file;
	return 0;
}

static int parse_oom_kills(const char *text, uint64_t *ret_value)
{
	return num_find_key(text, "oom_kill", ret_value);
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=1234" */
static int parse_stall(const char *text, uint64_t *ret_value)
{
	const char *total = strncmp(text, "some ", 5) == 0 ? strstr(text, "total=") : NULL;

	if (!total || num_parse(total + strlen("total="), NULL, ret_value) < 0)
		return -EBADMSG;
	return 0;
}

static int parse_cpu_stat(const char *text, uint64_t *ret_value)
{
	uint64_t us;
	int r = num_find_key(text, "usage_usec", &us);

	if (r < 0)
		return r;
	*ret_value = us * 1000;
	return 0;
}

static const struct source v2_sources[CONTROL_FIGURES] = {
	[CONTROL_USAGE] = { IN_ANCHOR, "memory.current", parse_count },
	[CONTROL_REFAULTS] = { IN_ANCHOR, "memory.stat", parse_refaults, true },
	[CONTROL_SWAP] = { IN_ANCHOR, "memory.swap.current", parse_count },
	[CONTROL_OOM_KILLS] = { IN_ANCHOR, "memory.events", parse_oom_kills },
	[CONTROL_STALL_US] = { IN_V2, "memory.pressure", parse_stall },
	[CONTROL_CPU_NS] = { IN_V2, "cpu.stat", parse_cpu_stat },
};

static const struct source v1_sources[CONTROL_FIGURES] = {
	[CONTROL_USAGE] = { IN_ANCHOR, "memory.usage_in_bytes", parse_count },
	[CONTROL_REFAULTS] = { IN_ANCHOR, "memory.stat", parse_refaults, true },
	[CONTROL_OOM_KILLS] = { IN_ANCHOR, "memory.oom_control", parse_oom_kills },
	[CONTROL_STALL_US] = { IN_V2, "memory.pressure", parse_stall },
	[CONTROL_CPU_NS] = { IN_CPUACCT, "cpuacct.usage", parse_count },
};

static const char *const figure_names[CONTROL_FIGURES] = {
	[CONTROL_USAGE] = "usage",	   [CONTROL_LIMIT] = "limit",
	[CONTROL_REFAULTS] = "refaults",   [CONTROL_SWAP] = "swap",
	[CONTROL_OOM_KILLS] = "OOM kills", [CONTROL_STALL_US] = "stall time",
	[CONTROL_CPU_NS] = "CPU time",
};

const char *control_figure_name(enum control_figure figure)
{
	return figure_names[figure];
}

static bool is_v1(const struct cgroup_tree *tree)
{
	return cgroup_tree_anchor(tree) == PFUSE_ANCHOR_V1_MEMORY;
}

static int read_parsed(int dirfd, const char *file,
		       int (*parse)(const char *text, uint64_t *ret_value), uint64_t *ret_value)
{
	char text[1024];
	int r = fd_read_one_at(dirfd, file, text, sizeof(text));

	return r < 0 ? r : parse(text, ret_value);
}

/* Apart from the others, which are read all the time: two pages less of stack that stay in use. */
static __attribute__((noinline)) int
read_stat(int dirfd, const char *file, int (*parse)(const char *text, uint64_t *ret_value),
	  uint64_t *ret_value)
{
	char text[8192]; /* about 2 KiB on v2, 4 KiB on v1 */
	int r = fd_read_one_at(dirfd, file, text, sizeof(text));

	return r < 0 ? r : parse(text, ret_value);
}

static int read_at(int dirfd, const struct source *source, uint64_t *ret_value)
{
	return source->is_long ? read_stat(dirfd, source->file, source->parse, ret_value)
			       : read_parsed(dirfd, source->file, source->parse, ret_value);
}

static int read_source(const struct cgroup_tree *tree, const struct cgroup *group,
		       const struct source *source, uint64_t *ret_value)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (!source->file)
		return -ENOENT;
	if (source->place == IN_ANCHOR || (source->place == IN_V2 && tree->v2 == tree->anchor))
		return read_at(group->fd, source, ret_value);
	r = cgroup_open_in(tree, group,
			   source->place == IN_V2 ? tree->v2 : tree->serves[CGROUP_CPUACCT], &fd);
	return r < 0 ? r : read_at(fd, source, ret_value);
}

static int read_limit(const struct cgroup_tree *tree, const struct cgroup *group,
		      uint64_t *ret_value)
{
	uint64_t high, max;
	int r;

	if (is_v1(tree))
		return read_parsed(group->fd, "memory.limit_in_bytes", parse_size, ret_value);
	r = read_parsed(group->fd, "memory.high", parse_size, &high);
	if (r == 0)
		r = read_parsed(group->fd, "memory.max", parse_size, &max);
	if (r == 0)
		*ret_value = high < max ? high : max;
	return r;
}

/* v1 counts memory and swap together; there may be no swap accounting at all. */
static int read_v1_swap(const struct cgroup *group, uint64_t *ret_value)
{
	uint64_t both, memory;
	int r = read_parsed(group->fd, "memory.memsw.usage_in_bytes", parse_count, &both);

	if (r == 0)
		r = read_parsed(group->fd, "memory.usage_in_bytes", parse_count, &memory);
	if (r == 0)
		*ret_value = both > memory ? both - memory : 0;
	return r;
}

int control_read(const struct cgroup_tree *tree, const struct cgroup *group,
		 enum control_figure figure, uint64_t *ret_value)
{
	const struct source *sources = is_v1(tree) ? v1_sources : v2_sources;
	int r;

	if (figure == CONTROL_LIMIT)
		r = read_limit(tree, group, ret_value);
	else if (figure == CONTROL_SWAP && is_v1(tree))
		r = read_v1_swap(group, ret_value);
	else
		r = read_source(tree, group, &sources[figure], ret_value);
	/* Where the group has no directory in v1's cpuacct, its v2 twin has the figure. */
	if (r == -ENOENT && figure == CONTROL_CPU_NS && is_v1(tree))
		r = read_source(tree, group, &v2_sources[CONTROL_CPU_NS], ret_value);
	return r == -ENOENT && cgroup_gone(group) ? -ENODEV : r;
}

/* The RAM limit */

/* In the order of recording. Restoring goes backwards: see ledger_restore.c. */
enum { V2_HIGH, V2_MAX };
enum { V1_NET, V1_MEMSW, V1_LIMIT };

static const char *const v2_files[CONTROL_RAM_FILES] = { "memory.high", "memory.max" };
static const char *const v1_files[CONTROL_RAM_FILES] = {
	"memory.oom_control",
	"memory.memsw.limit_in_bytes",
	"memory.limit_in_bytes",
};

/* One change of one group: everything that the writes below need. */
struct change {
	const struct cgroup *group;
	struct ledger *ledger;
	const struct control_ram *ram;
	const char *const *files;
	uint64_t present[CONTROL_RAM_FILES];
};

static int read_text(const struct cgroup *group, const char *file, char *buf, size_t size)
{
	uint64_t disabled;
	int r = fd_read_one_at(group->fd, file, buf, size);

	if (r < 0)
		return r;
	/* oom_control is read as three lines and written as one digit. */
	if (strcmp(file, "memory.oom_control") == 0) {
		r = num_find_key(buf, "oom_kill_disable", &disabled);
		snprintf(buf, size, "%u", (unsigned int)(disabled != 0));
	}
	buf[strcspn(buf, "\n")] = '\0';
	return r;
}

static int record_old(const struct cgroup_tree *tree, const struct cgroup *group,
		      struct ledger *ledger, const char *file, const char *old,
		      uint32_t *ret_record)
{
	const struct ledger_entry entry = {
		.kind = LEDGER_FILE,
		.mount = tree->hierarchies[tree->anchor].path,
		.path = group->path,
		.group_id = group->id,
		.file = file,
		.old = old,
	};

	return ledger_append(ledger, &entry, ret_record);
}

int control_ram_prepare(const struct cgroup_tree *tree, const struct cgroup *group,
			struct ledger *ledger, struct control_ram *ret_ram)
{
	const char *const *files = is_v1(tree) ? v1_files : v2_files;
	struct control_ram ram = { 0 };
	char old[256];

	for (size_t i = 0; i < CONTROL_RAM_FILES && files[i]; i++) {
		int r = read_text(group, files[i], old, sizeof(old));

		/* No memsw without swap accounting; the limits themselves must be there. */
		if (r == -ENOENT && is_v1(tree) && i != V1_LIMIT)
			continue;
		if (r == 0)
			r = record_old(tree, group, ledger, files[i], old, &ram.records[i]);
		if (r < 0)
			return r == -ENOENT && cgroup_gone(group) ? -ENODEV : r;
	}
	*ret_ram = ram;
	return 0;
}

/* The file holds what is neither the old value nor ours: a record of that, else none. */
static int record_foreign(const struct cgroup_tree *tree, const struct cgroup *group,
			  struct ledger *ledger, const char *file, uint32_t record,
			  uint32_t *ret_record)
{
	char text[256];
	int r = read_text(group, file, text, sizeof(text));

	if (r < 0)
		return r == -ENOENT && cgroup_gone(group) ? -ENODEV : r;
	uint64_t present = ledger_value(file, text);

	if (ledger_intend(ledger, record, present, present) != -ESTALE)
		return 0;
	return record_old(tree, group, ledger, file, text, ret_record);
}

/* The new records are binding before the old ones go: a crash in between restores theirs all the same. */
int control_ram_adopt(const struct cgroup_tree *tree, const struct cgroup *group,
		      struct ledger *ledger, struct control_ram *ram)
{
	const char *const *files = is_v1(tree) ? v1_files : v2_files;
	struct control_ram adopted = { 0 };
	int r = 0;

	for (size_t i = 0; i < CONTROL_RAM_FILES && r == 0; i++)
		if (ram->records[i])
			r = record_foreign(tree, group, ledger, files[i], ram->records[i],
					   &adopted.records[i]);
	if (r == 0)
		r = ledger_commit(ledger);
	if (r < 0)
		return r;
	for (size_t i = 0; i < CONTROL_RAM_FILES; i++) {
		if (!adopted.records[i])
			continue;
		(void)ledger_forget(ledger, ram->records[i]);
		ram->records[i] = adopted.records[i];
	}
	return 0;
}

static int read_present(struct change *change)
{
	char text[256];

	for (size_t i = 0; i < CONTROL_RAM_FILES; i++) {
		int r;

		if (!change->ram->records[i])
			continue;
		r = read_text(change->group, change->files[i], text, sizeof(text));
		if (r < 0)
			return r;
		change->present[i] = ledger_value(change->files[i], text);
	}
	return 0;
}

/* All files are checked before the first is written: a foreign value leaves everything alone. */
static int intend(struct change *change, int i, uint64_t next)
{
	if (!change->ram->records[i])
		return 0;
	return ledger_intend(change->ledger, change->ram->records[i], change->present[i], next);
}

static void print_value(const struct change *change, uint64_t value, char *buf, size_t size)
{
	if (value == PFUSE_UNLIMITED)
		snprintf(buf, size, "%s", change->files == v1_files ? "-1" : "max");
	else
		snprintf(buf, size, "%llu", (unsigned long long)value);
}

static int write_value(const struct change *change, int i, uint64_t value)
{
	char text[24];

	if (!change->ram->records[i] || change->present[i] == value)
		return 0;
	print_value(change, value, text, sizeof(text));
	return fd_write_at(change->group->fd, change->files[i], text);
}

static uint64_t add_gap(uint64_t bytes)
{
	uint64_t gap = bytes / 8 > GAP_MIN ? bytes / 8 : GAP_MIN;

	return bytes >= (UINT64_C(1) << 62) - gap ? PFUSE_UNLIMITED : bytes + gap;
}

/* Lowering memory.max below usage makes the kernel kill what it cannot reclaim: stay above it. */
static uint64_t safe_max(const struct change *change, uint64_t max)
{
	uint64_t usage, floor;

	if (read_parsed(change->group->fd, "memory.current", parse_count, &usage) < 0)
		return max;
	floor = add_gap(usage);
	if (max >= floor)
		return max;
	return floor < change->present[V2_MAX] ? floor : change->present[V2_MAX];
}

static uint64_t round_to_page(uint64_t bytes)
{
	return bytes == PFUSE_UNLIMITED ? bytes : bytes - bytes % (uint64_t)sysconf(_SC_PAGESIZE);
}

/*
 * Who writes a memory.high below what is used has to reclaim the difference before write(2) returns, in a
 * group that is hard to reclaim for seconds, and here wakes wait. So it never lies below: a group that has
 * outgrown its limit by the time it is written gets room, as the event that is under way would ask for.
 */
static uint64_t high_above_usage(const struct change *change, uint64_t high)
{
	uint64_t usage, above, present = change->present[V2_HIGH];

	if (read_parsed(change->group->fd, "memory.current", parse_count, &usage) < 0 ||
	    high > usage)
		return high;
	above = add_gap(usage);
	return high < present && present < above ? present : round_to_page(above);
}

static int write_v2(struct change *change, uint64_t high, uint64_t max, bool release)
{
	bool grows = max > change->present[V2_MAX];
	int r = intend(change, V2_HIGH, high);

	if (r == 0)
		r = intend(change, V2_MAX, max);
	if (r < 0)
		return r;
	if (grows) {
		r = write_value(change, V2_MAX, max);
		return r < 0 ? r : write_value(change, V2_HIGH, high);
	}
	r = write_value(change, V2_HIGH, high);
	if (r < 0)
		return r;
	if (!release)
		max = round_to_page(safe_max(change, max));
	r = intend(change, V2_MAX, max);
	return r < 0 ? r : write_value(change, V2_MAX, max);
}

static int set_v2(struct change *change, uint64_t limit, bool release)
{
	uint64_t high = release ? PFUSE_UNLIMITED : high_above_usage(change, limit);
	uint64_t max = release ? limit : round_to_page(add_gap(high));
	int r = write_v2(change, high, max, release);

	return r < 0 ? r : !release && high > limit;
}

/* The old state of the net, as a value: 1 if it was already taken out by the user. */
static int old_net(const struct change *change, uint64_t *ret_value)
{
	char text[8];
	int r;

	if (!change->ram->records[V1_NET])
		return 0;
	r = ledger_old(change->ledger, change->ram->records[V1_NET], text, sizeof(text));
	if (r == 0)
		*ret_value = ledger_value(v1_files[V1_NET], text);
	return r;
}

static int set_v1(struct change *change, uint64_t limit, bool release)
{
	bool raise_memsw = change->ram->records[V1_MEMSW] && limit > change->present[V1_MEMSW];
	uint64_t net = 1;
	int r = release ? old_net(change, &net) : 0;

	if (r == 0)
		r = intend(change, V1_NET, net);
	if (r == 0)
		r = intend(change, V1_MEMSW, raise_memsw ? limit : change->present[V1_MEMSW]);
	if (r == 0)
		r = intend(change, V1_LIMIT, limit);
	if (r == 0 && !release)
		r = write_value(change, V1_NET, net);
	if (r == 0 && raise_memsw)
		r = write_value(change, V1_MEMSW, limit);
	if (r == 0)
		r = write_value(change, V1_LIMIT, limit);
	if (r == 0 && release)
		r = write_value(change, V1_NET, net);
	return r;
}

int control_ram_set(const struct cgroup_tree *tree, const struct cgroup *group,
		    struct ledger *ledger, const struct control_ram *ram, uint64_t limit_bytes,
		    bool release)
{
	struct change change = {
		.group = group,
		.ledger = ledger,
		.ram = ram,
		.files = is_v1(tree) ? v1_files : v2_files,
	};
	uint64_t limit =
		limit_bytes >= UINT64_C(1) << 62 ? PFUSE_UNLIMITED : round_to_page(limit_bytes);
	int r = read_present(&change);

	if (r == 0)
		r = is_v1(tree) ? set_v1(&change, limit, release) : set_v2(&change, limit, release);
	return r == -ENOENT && cgroup_gone(group) ? -ENODEV : r;
}

static int name_dip(struct change *change, uint64_t bytes, struct control_dip *ret)
{
	uint64_t standing = change->present[V1_LIMIT];
	int r = intend(change, V1_LIMIT, bytes);

	memcpy(ret->standing, change->present, sizeof(ret->standing));
	print_value(change, bytes, ret->to, sizeof(ret->to));
	print_value(change, standing, ret->back, sizeof(ret->back));
	if (r == 0)
		r = intend(change, V1_NET, 1);
	return r < 0 ? r : write_value(change, V1_NET, 1);
}

int control_dip_begin(const struct cgroup_tree *tree, const struct cgroup *group,
		      struct ledger *ledger, const struct control_ram *ram, uint64_t bytes,
		      struct control_dip *ret)
{
	struct change change = { .group = group, .ledger = ledger, .ram = ram, .files = v1_files };
	struct control_dip dip;
	int r;

	if (!is_v1(tree) || !ram->records[V1_LIMIT])
		return -ENOENT;
	r = read_present(&change);
	bytes = round_to_page(bytes);
	if (r == 0)
		r = name_dip(&change, bytes < change.present[V1_LIMIT] ? bytes :
									 change.present[V1_LIMIT],
			     &dip);
	if (r == 0)
		*ret = dip;
	return r == -ENOENT && cgroup_gone(group) ? -ENODEV : r;
}

/* Each file for itself: a limit that is somebody else's by now does not keep the net from its old state. */
int control_dip_end(const struct cgroup *group, struct ledger *ledger,
		    const struct control_ram *ram, const struct control_dip *dip)
{
	static const int order[] = { V1_LIMIT, V1_NET };
	struct change change = { .group = group, .ledger = ledger, .ram = ram, .files = v1_files };
	int r = read_present(&change), result = r;

	for (size_t i = 0; r == 0 && i < sizeof(order) / sizeof(order[0]); i++) {
		int put = intend(&change, order[i], dip->standing[order[i]]);

		if (put == 0)
			put = write_value(&change, order[i], dip->standing[order[i]]);
		result = result ? result : put;
	}
	return result == -ENOENT && cgroup_gone(group) ? -ENODEV : result;
}

int control_ram_watch_oom(const struct cgroup_tree *tree, const struct cgroup *group, int eventfd)
{
	_cleanup_close_ int oom = -1;
	char text[32];

	if (!is_v1(tree))
		return -ENOENT;
	oom = openat(group->fd, "memory.oom_control", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (oom < 0)
		return -errno;
	snprintf(text, sizeof(text), "%d %d", eventfd, oom);
	return fd_write_at(group->fd, "cgroup.event_control", text);
}

static int parse_under_oom(const char *text, uint64_t *ret_value)
{
	return num_find_key(text, "under_oom", ret_value);
}

bool control_ram_waits(const struct cgroup *group)
{
	uint64_t waits;

	return read_parsed(group->fd, v1_files[V1_NET], parse_under_oom, &waits) == 0 && waits;
}
