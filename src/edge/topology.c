/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/topology.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/cpulist.h"
#include "base/fd.h"

#define CPU_DIR "sys/devices/system/cpu"
#define NODE_DIR "sys/devices/system/node"
#define CACHES_MAX 16

/* Not fd_open_dir_beneath(): sysfs is mounted below the root. */
static int open_dir(int root_fd, const char *path, int *ret_fd)
{
	int fd = openat(root_fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

/* The kernel prints a page at most. */
static int read_set(int dir, const char *path, struct cpulist *ret)
{
	char text[4097];
	int r = fd_read_at(dir, path, text, sizeof(text), NULL);

	return r < 0 ? r : cpulist_parse(text, ret);
}

/* `all` may hold any number, ours go up to TOPOLOGY_CPUS. */
static void take_online(const struct cpulist *all, struct topology *t)
{
	for (unsigned int id = cpulist_next(all, 0); id < CPULIST_IDS;
	     id = cpulist_next(all, id + 1)) {
		if (id >= TOPOLOGY_CPUS) {
			t->beyond++;
			continue;
		}
		t->online[id] = true;
		t->nonline++;
		t->ncpus = id + 1;
	}
}

/*
 * The lowest online CPU of a set that the file is to name `cpu` in; -EBADMSG: it does not, so nothing in
 * it is believed.
 */
static int lowest_of(int dir, const char *path, const struct topology *t, unsigned int cpu,
		     uint16_t *ret)
{
	struct cpulist set;
	int r = read_set(dir, path, &set);
	unsigned int lowest;

	if (r < 0)
		return r;
	if (!cpulist_has(&set, cpu))
		return -EBADMSG;
	lowest = cpulist_next(&set, 0);
	while (lowest < cpu && !t->online[lowest])
		lowest = cpulist_next(&set, lowest + 1);
	*ret = (uint16_t)lowest;
	return 0;
}

static void read_core(int dir, unsigned int cpu, struct topology *t)
{
	/* The first since 5.3; both mean the CPUs of one core. */
	static const char *const files[] = { "core_cpus_list", "thread_siblings_list" };
	char path[64];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "cpu%u/topology/%s", cpu, files[i]);
		if (lowest_of(dir, path, t, cpu, &t->core[cpu]) == 0)
			return;
	}
	t->core[cpu] = (uint16_t)cpu;
	t->missing |= TOPOLOGY_CORE;
}

/* The last index is the last level. */
static int read_llc(int dir, unsigned int cpu, struct topology *t)
{
	int r = -ENOENT;

	for (unsigned int i = 0; i < CACHES_MAX; i++) {
		char path[64];
		int one;

		snprintf(path, sizeof(path), "cpu%u/cache/index%u/shared_cpu_list", cpu, i);
		one = lowest_of(dir, path, t, cpu, &t->llc[cpu]);
		if (one == -ENOENT)
			break;
		r = one;
	}
	return r;
}

static void read_nodes(int root_fd, struct topology *t, bool known[TOPOLOGY_CPUS])
{
	_cleanup_close_ int dir = -1;
	struct cpulist nodes, cpus;

	if (open_dir(root_fd, NODE_DIR, &dir) < 0 || read_set(dir, "online", &nodes) < 0)
		return;
	for (unsigned int node = cpulist_next(&nodes, 0); node < CPULIST_IDS;
	     node = cpulist_next(&nodes, node + 1)) {
		char path[32];

		snprintf(path, sizeof(path), "node%u/cpulist", node);
		if (read_set(dir, path, &cpus) < 0)
			continue;
		for (unsigned int cpu = cpulist_next(&cpus, 0); cpu < t->ncpus;
		     cpu = cpulist_next(&cpus, cpu + 1)) {
			if (!t->online[cpu] || known[cpu])
				continue;
			t->node[cpu] = (uint16_t)node;
			known[cpu] = true;
		}
	}
}

/* The node stands for the cache: the lowest online CPU of it. */
static uint16_t first_of_node(const struct topology *t, unsigned int cpu)
{
	for (unsigned int i = 0; i < cpu; i++)
		if (t->online[i] && t->node[i] == t->node[cpu])
			return (uint16_t)i;
	return (uint16_t)cpu;
}

int topology_read(int root_fd, struct topology *ret)
{
	_cleanup_close_ int dir = -1;
	bool known[TOPOLOGY_CPUS] = { false };
	struct topology t = { 0 };
	struct cpulist online;
	int r = open_dir(root_fd, CPU_DIR, &dir);

	if (r == 0)
		r = read_set(dir, "online", &online);
	if (r < 0)
		return r == -EINVAL ? -EBADMSG : r;
	take_online(&online, &t);
	if (!t.nonline)
		return -EBADMSG;
	read_nodes(root_fd, &t, known);
	for (unsigned int cpu = 0; cpu < t.ncpus; cpu++) {
		if (!t.online[cpu])
			continue;
		if (!known[cpu])
			t.missing |= TOPOLOGY_NODE;
		read_core(dir, cpu, &t);
		if (read_llc(dir, cpu, &t) == 0)
			continue;
		t.llc[cpu] = first_of_node(&t, cpu);
		t.missing |= TOPOLOGY_LLC;
	}
	*ret = t;
	return 0;
}

int topology_changed(int root_fd, const struct topology *topology, bool *ret_changed)
{
	_cleanup_close_ int dir = -1;
	struct topology now = { 0 };
	struct cpulist online;
	int r = open_dir(root_fd, CPU_DIR, &dir);

	if (r == 0)
		r = read_set(dir, "online", &online);
	if (r < 0)
		return r == -EINVAL ? -EBADMSG : r;
	take_online(&online, &now);
	*ret_changed = now.beyond != topology->beyond ||
		       memcmp(now.online, topology->online, sizeof(now.online)) != 0;
	return 0;
}
