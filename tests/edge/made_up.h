/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A made-up machine in a temporary directory: cgroup hierarchies, a mountinfo that shows them, and
 * whatever files a test writes into them. Everything is removed by made_up_free(). Paths are
 * relative to the directory; a failure to make something fails the test.
 */
#ifndef PFUSE_TESTS_EDGE_MADE_UP_H
#define PFUSE_TESTS_EDGE_MADE_UP_H

#include <limits.h>
#include <stdbool.h>

#include "edge/cgroup.h"
#include "edge/cgroup_tree.h"
#include "edge/ledger.h"

enum layout { V1, V2, HYBRID };

/* The anchor hierarchy: "v1/memory" or "v2"; the v2 one: "v2". */
struct made_up {
	char dir[64];
	char ledger_path[128];
	const char *anchor;
	struct cgroup_tree tree;
	struct ledger *ledger; /* opened by made_up_ledger() */
};

void made_up_new(struct made_up *m, enum layout layout);
void made_up_free(struct made_up *m);

/* The tree is opened by made_up_new(); this is for tests that change mountinfo before. */
int made_up_open_tree(struct made_up *m, struct cgroup_tree *ret_tree, struct err *err);

void made_up_dir(const struct made_up *m, const char *path);
void made_up_write(const struct made_up *m, const char *path, const char *text);
/* Static buffer, without the newline at the end; "-" if there is no such file. */
const char *made_up_read(const struct made_up *m, const char *path);
bool made_up_has(const struct made_up *m, const char *path);
void made_up_remove(const struct made_up *m, const char *path);

/* A group with the files that RAM control needs, unlimited, in the anchor (and on v2). */
void made_up_group(const struct made_up *m, const char *name, struct cgroup *ret_group);
const char *made_up_anchor_file(const struct made_up *m, const char *group, const char *file);

struct ledger *made_up_ledger(struct made_up *m);
/* As if the daemon had been killed: the ledger stays as it is. */
void made_up_kill_ledger(struct made_up *m);

/* ledger_restore() of everything; what it said is in made_up_said. */
extern char made_up_said[4096];
struct ledger_counts made_up_restore(struct made_up *m);

#endif
