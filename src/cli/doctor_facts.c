/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The doctor's eyes: everything that is asked of the real machine. doctor.c judges. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/doctor.h"
#include "edge/damon.h"
#include "edge/keeper.h"
#include "edge/ledger.h"
#include "edge/lrugen.h"


static int gather(struct doctor_facts *facts, struct probe_hook hooks[PROBE_HOOKS_MAX])
{
	_cleanup_close_ int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(cgroup_tree_close) struct cgroup_tree tree = { 0 };
	struct err err = { "" };
	bool trees;
	int r;

	if (root < 0)
		return -errno;
	trees = cgroup_tree_open(NULL, &tree, &err) == 0;
	r = system_read(root, trees ? &tree : NULL, &facts->system);
	if (r < 0)
		return r;
	facts->generations = lrugen_probe(root, &err) == 0;
	facts->damon = damon_probe(root, &err) == 0;
	if (trees)
		facts->page_out = pages_find_how(tree.hierarchies[tree.anchor].fd);
	r = probe_hooks(hooks);
	facts->hooks = hooks;
	facts->nhooks = r < 0 ? 0 : (unsigned)r;
	facts->hooks_err = r < 0 ? r : 0;
	if (access(LEDGER_DEFAULT_PATH, F_OK) == 0)
		facts->ledger = LEDGER_DEFAULT_PATH;
	return 0;
}

enum exit_status cmd_doctor(const struct options *options, FILE *out)
{
	struct probe_hook hooks[PROBE_HOOKS_MAX];
	struct doctor_facts facts = { 0 };
	char keeper[PATH_MAX];
	int r = gather(&facts, hooks);

	if (r < 0) {
		fprintf(stderr, "pfuse-bpf doctor: cannot read /proc: %s; mount it\n",
			strerror(-r));
		return EXIT_FAILED;
	}
	facts.keeper = keeper_find(keeper, sizeof(keeper)) ? NULL : keeper;
	return doctor_report(&facts, options->json, out);
}
