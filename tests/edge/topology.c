/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "edge/topology.h"
#include "made_up.h"

static struct made_up m;
static int root = -1;

static void set_up(void)
{
	made_up_new(&m, V2);
	root = open(m.dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(root, 0);
}

static void tear_down(void)
{
	close_fd(&root);
	made_up_free(&m);
}

TestSuite(topology, .init = set_up, .fini = tear_down);

/* With the directories above it. */
static void put(const char *path, const char *text)
{
	char part[128];

	snprintf(part, sizeof(part), "%s", path);
	for (char *at = strchr(part, '/'); at; at = strchr(at + 1, '/')) {
		*at = '\0';
		made_up_dir(&m, part);
		*at = '/';
	}
	made_up_write(&m, path, text);
}

static void online(const char *list)
{
	put("sys/devices/system/cpu/online", list);
}

static void cpu_file(unsigned int cpu, const char *file, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%u/%s", cpu, file);
	put(path, text);
}

/* NULL: no such file. */
static void cpu(unsigned int id, const char *core, const char *l1, const char *llc)
{
	if (core)
		cpu_file(id, "topology/core_cpus_list", core);
	if (l1)
		cpu_file(id, "cache/index0/shared_cpu_list", l1);
	if (llc)
		cpu_file(id, "cache/index1/shared_cpu_list", llc);
}

static void node(unsigned int id, const char *list)
{
	char path[128];

	snprintf(path, sizeof(path), "sys/devices/system/node/node%u/cpulist", id);
	put(path, list);
}

static struct topology read_it(void)
{
	struct topology t;

	cr_assert_eq(topology_read(root, &t), 0);
	return t;
}

static void expect_cpu(const struct topology *t, unsigned int id, unsigned int core,
		       unsigned int llc, unsigned int node)
{
	cr_expect(t->online[id], "cpu%u", id);
	cr_expect_eq(t->core[id], core, "cpu%u: core %u", id, t->core[id]);
	cr_expect_eq(t->llc[id], llc, "cpu%u: llc %u", id, t->llc[id]);
	cr_expect_eq(t->node[id], node, "cpu%u: node %u", id, t->node[id]);
}

Test(topology, one_cpu)
{
	online("0\n");
	cpu(0, "0\n", "0\n", "0\n");
	put("sys/devices/system/node/online", "0\n");
	node(0, "0\n");
	struct topology t = read_it();

	cr_expect_eq(t.ncpus, 1);
	cr_expect_eq(t.nonline, 1);
	cr_expect_eq(t.missing, 0);
	expect_cpu(&t, 0, 0, 0, 0);
	cr_expect_not(t.online[1]);
}

Test(topology, two_cpus_that_share_the_last_cache)
{
	online("0-1\n");
	cpu(0, "0\n", "0\n", "0-1\n");
	cpu(1, "1\n", "1\n", "0-1\n");
	put("sys/devices/system/node/online", "0\n");
	node(0, "0-1\n");
	struct topology t = read_it();

	cr_expect_eq(t.nonline, 2);
	cr_expect_eq(t.missing, 0);
	expect_cpu(&t, 0, 0, 0, 0);
	expect_cpu(&t, 1, 1, 0, 0);
}

/* Siblings as x86 numbers them: 0 and 4, 1 and 5; older kernels call the file otherwise. */
Test(topology, smt_of_eight)
{
	online("0-7\n");
	for (unsigned int id = 0; id < 8; id++) {
		char pair[16];

		snprintf(pair, sizeof(pair), "%u,%u\n", id % 4, id % 4 + 4);
		cpu(id, id % 2 ? NULL : pair, pair, "0-7\n");
		if (id % 2)
			cpu_file(id, "topology/thread_siblings_list", pair);
	}
	put("sys/devices/system/node/online", "0\n");
	node(0, "0-7\n");
	struct topology t = read_it();

	cr_expect_eq(t.missing, 0);
	for (unsigned int id = 0; id < 8; id++)
		expect_cpu(&t, id, id % 4, 0, 0);
}

/* CPUs of the nodes alternate; node 1 is not there. */
Test(topology, two_nodes)
{
	online("0-3\n");
	for (unsigned int id = 0; id < 4; id++) {
		char own[16];

		snprintf(own, sizeof(own), "%u\n", id);
		cpu(id, own, own, id % 2 ? "1,3\n" : "0,2\n");
	}
	put("sys/devices/system/node/online", "0,2\n");
	node(0, "0,2\n");
	node(2, "1,3\n");
	struct topology t = read_it();

	cr_expect_eq(t.missing, 0);
	for (unsigned int id = 0; id < 4; id++)
		expect_cpu(&t, id, id, id % 2, id % 2 ? 2 : 0);
}

/* The lowest CPU of a core may be offline while its sibling is not: domains are named by who is there. */
Test(topology, offline_cpus)
{
	online("1-2,5\n");
	cpu(1, "1,5\n", "1,5\n", "0-7\n");
	cpu(2, "0,2\n", "0,2\n", "0-7\n");
	cpu(5, "1,5\n", "1,5\n", "0-7\n");
	put("sys/devices/system/node/online", "0\n");
	node(0, "0-7\n");
	struct topology t = read_it();

	cr_expect_eq(t.ncpus, 6);
	cr_expect_eq(t.nonline, 3);
	expect_cpu(&t, 1, 1, 1, 0);
	expect_cpu(&t, 2, 2, 1, 0);
	expect_cpu(&t, 5, 1, 1, 0);
	cr_expect_not(t.online[0]);
	cr_expect_eq(t.core[0] + t.llc[0] + t.node[0], 0, "an offline CPU means nothing");
}

Test(topology, tells_when_cpus_come_and_go)
{
	struct topology t;
	bool changed = true;

	online("0-3\n");
	t = read_it();
	cr_expect_eq(topology_changed(root, &t, &changed), 0);
	cr_expect_not(changed);
	online("0-2\n");
	cr_expect_eq(topology_changed(root, &t, &changed), 0);
	cr_expect(changed);
	t = read_it();
	online("0,2-3\n");
	cr_expect_eq(topology_changed(root, &t, &changed), 0);
	cr_expect(changed, "as many as before, but others");
	made_up_remove(&m, "sys/devices/system/cpu/online");
	changed = false;
	cr_expect_eq(topology_changed(root, &t, &changed), -ENOENT);
	cr_expect_not(changed, "an output is written on success only");
}

Test(topology, what_is_not_told_is_filled_in)
{
	online("0-3\n");
	struct topology t = read_it();

	cr_expect_eq(t.missing, TOPOLOGY_CORE | TOPOLOGY_LLC | TOPOLOGY_NODE);
	for (unsigned int id = 0; id < 4; id++)
		expect_cpu(&t, id, id, 0, 0);
	/* The nodes are known: their CPUs stand for the caches. */
	put("sys/devices/system/node/online", "0-1\n");
	node(0, "0-1\n");
	node(1, "2-3\n");
	t = read_it();
	cr_expect_eq(t.missing, TOPOLOGY_CORE | TOPOLOGY_LLC);
	for (unsigned int id = 0; id < 4; id++)
		expect_cpu(&t, id, id, id / 2 * 2, id / 2);
}

Test(topology, what_is_absurd_is_not_believed)
{
	static const char *const absurd[] = {
		"", "\n", "1\n", "nonsense\n", "0-\n", "9000\n", "3-0\n", "-1\n",
	};
	struct topology t;

	online("0-1\n");
	for (size_t i = 0; i < ARRAY_SIZE(absurd); i++) {
		cpu(0, absurd[i], "0-1\n", absurd[i]);
		t = read_it();
		cr_expect(t.missing & TOPOLOGY_CORE, "%zu", i);
		cr_expect(t.missing & TOPOLOGY_LLC, "%zu", i);
		expect_cpu(&t, 0, 0, 0, 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(absurd); i++) {
		if (!strcmp(absurd[i], "1\n"))
			continue; /* absurd as the siblings of CPU 0 only */
		online(absurd[i]);
		cr_expect_eq(topology_read(root, &t), -EBADMSG, "%zu", i);
	}
}

/* A node that claims what another has, or that CPUs have gone from. */
Test(topology, nodes_that_overlap)
{
	struct topology t;

	online("0-2\n");
	put("sys/devices/system/node/online", "0-1,9\n");
	node(0, "0-1\n");
	node(1, "1-2,700\n");
	t = read_it();
	expect_cpu(&t, 0, 0, 0, 0);
	expect_cpu(&t, 1, 1, 0, 0);
	expect_cpu(&t, 2, 2, 2, 1);
	cr_expect_eq(t.ncpus, 3);
}

Test(topology, as_many_cpus_as_fit_and_more)
{
	struct topology t;

	online("0-1023\n");
	t = read_it();
	cr_expect_eq(t.nonline, TOPOLOGY_CPUS);
	cr_expect_eq(t.beyond, 0);
	expect_cpu(&t, 1023, 1023, 0, 0);
	online("0-1,1023-1030\n");
	t = read_it();
	cr_expect_eq(t.nonline, 3);
	cr_expect_eq(t.ncpus, TOPOLOGY_CPUS);
	cr_expect_eq(t.beyond, 7);
	online("1024-1030\n");
	cr_expect_eq(topology_read(root, &t), -EBADMSG, "none of them can be used");
}

Test(topology, this_machine)
{
	int slash = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct topology t;

	cr_assert_eq(topology_read(slash, &t), 0);
	close(slash);
	cr_expect_eq(t.nonline + t.beyond, (uint32_t)sysconf(_SC_NPROCESSORS_ONLN));
	for (unsigned int id = 0; id < t.ncpus; id++)
		if (t.online[id])
			cr_expect(t.core[id] <= id && t.llc[id] <= id, "cpu%u", id);
}
