/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "cli/curve_size.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>

#include "base/cleanup.h"
#include "export/curve.h"

#define LOOK_NS 1000000000ull /* as long as DAMON gathers what it tells */
#define FINDING_LOOKS 2
#define DOUBT "a size only: DAMON does not tell how far apart uses lie"

static int processes_of(const struct pagescan_target *target, struct procs_list *ret)
{
	if (target->group_fd >= 0)
		return procs_of_group(target->group_fd, true, ret);
	return procs_list_add(ret, target->pid);
}

int curve_size_open(struct curve_size *size, const struct pagescan_target *target, uint64_t now_ns,
		    struct err *err)
{
	_cleanup_close_ int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct procs_list processes = { 0 };
	int r = processes_of(target, &processes);

	if (r < 0)
		err_set(err, r, "cannot list the processes: %s", strerror(-r));
	else
		r = damon_open(root, &processes, &size->damon, err);
	size->processes = processes.count;
	size->due_ns = now_ns + LOOK_NS;
	procs_list_free(&processes);
	return r;
}

void curve_size_close(struct curve_size *size)
{
	damon_close(size->damon);
	size->damon = NULL;
}

int curve_size_look(struct curve_size *size, uint64_t now_ns, struct err *err)
{
	int r = damon_read(size->damon, &size->last_bytes, err);

	if (r < 0)
		return r;
	size->due_ns = now_ns + LOOK_NS;
	if (++size->looks > FINDING_LOOKS)
		size->sum_bytes += size->last_bytes;
	return 0;
}

uint64_t curve_size_bytes(const struct curve_size *size)
{
	return size->looks > FINDING_LOOKS ? size->sum_bytes / (size->looks - FINDING_LOOKS)
					   : size->last_bytes;
}

int curve_size_text_out(const struct curve_size *size, FILE *out)
{
	char text[CURVE_SIZE_TEXT];

	fprintf(out, "%-11s %9s  used within a second, by DAMON: a size, no curve\n", "working set",
		curve_size_text((double)curve_size_bytes(size), text));
	fprintf(out, "%-11s %9u s  %u process%s\n", "measured", size->looks, size->processes,
		size->processes == 1 ? "" : "es");
	return ferror(out) ? -EIO : 0;
}

int curve_size_json(const struct curve_size *size, FILE *out)
{
	json_t *root =
		json_pack("{s:s, s:I, s:I, s:b, s:s}", "source", "damon", "working_set_bytes",
			  (json_int_t)curve_size_bytes(size), "processes",
			  (json_int_t)size->processes, "confident", 0, "doubt", DOUBT);

	if (!root)
		return -ENOMEM;
	int r = json_dumpf(root, out, JSON_INDENT(1)) < 0 ? -EIO : 0;

	json_decref(root);
	fputc('\n', out);
	return r == 0 && ferror(out) ? -EIO : r;
}
