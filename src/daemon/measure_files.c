/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "daemon/measure_files.h"

#include <errno.h>
#include <stdlib.h>

/* A kernel that tells nothing of file reads still tells of page tables. */
int measure_files_open(struct measure_files *files, const struct probe *probe,
		       const struct pagescan_target *target, struct pagescan *scan, struct err *err)
{
	struct err none = { "" };

	*files = (struct measure_files){ .scan = scan, .group_fd = target->group_fd };
	if (!target->slot)
		return 0;
	int r = reads_open(probe, target->slot, target->proc_fd, &files->reads, &none);

	if (r == -EOPNOTSUPP)
		return 0;
	if (r < 0)
		return err_set(err, r, "%s", none.text);
	pagescan_note_mappings(scan, reads_note_mapping, files->reads);
	if (files->group_fd >= 0)
		filestat_read(files->group_fd, &files->before);
	files->stat = files->before;
	return 0;
}

void measure_files_close(struct measure_files *files)
{
	reads_close(files->reads);
	free(files->core);
	*files = (struct measure_files){ 0 };
}

void measure_files_rest(struct measure_files *files)
{
	if (files->reads)
		reads_rest(files->reads);
}

int measure_files_resume(struct measure_files *files)
{
	int r = files->reads ? reads_resume(files->reads) : 0;

	if (r < 0)
		measure_files_close(files);
	return r;
}

void measure_files_begin(struct measure_files *files)
{
	if (files->reads)
		reads_begin(files->reads);
}

/* Processes that begin meanwhile are followed from the next epoch on. */
static void follow(struct measure_files *files)
{
	pid_t *pids = NULL;
	uint32_t count = 0;

	if (files->group_fd >= 0 || pagescan_pids(files->scan, &pids, &count) < 0)
		return;
	reads_follow(files->reads, pids, count);
	free(pids);
}

/* Only who reads files pays for it. */
static bool open_core(struct measure_files *files)
{
	if (files->core || files->failed)
		return files->core;
	files->core = malloc(sizeof(*files->core));
	files->failed = !files->core;
	if (files->failed)
		return false;
	cvhrc_files_init(files->core);
	cvhrc_files_lower(files->core, files->to, reads_threshold(files->reads));
	cvhrc_files_expect(files->core, files->to, files->before.unmapped_pages);
	return true;
}

static void take_page(void *context, uint32_t hash, bool added)
{
	struct measure_files *files = context;

	if (open_core(files) && cvhrc_files_read(files->core, files->to, hash, added))
		files->refaulted += added;
}

/* Of the pages that came back, those whose place we do not know. */
static uint64_t unknown_refaults(struct measure_files *files)
{
	struct filestat now;
	uint64_t threshold = cvhrc_files_threshold(files->core), known;

	if (files->group_fd < 0 || filestat_read(files->group_fd, &now) < 0)
		return 0;
	uint64_t all = now.refaults - files->stat.refaults;

	known = threshold ? (files->refaulted << 32) / threshold : 0;
	files->stat = now;
	return all > known ? all - known : 0;
}

void measure_files_take(struct measure_files *files, struct cvhrc *core, bool renumbered,
			struct cvhrc_totals *totals)
{
	if (!files->reads)
		return;
	follow(files);
	files->to = core;
	files->refaulted = 0;
	if (files->core && renumbered)
		cvhrc_files_renumber(files->core, core);
	if (files->core)
		cvhrc_files_lower(files->core, core, reads_threshold(files->reads));
	reads_take(files->reads, take_page, files, &files->last);
	files->dropped += files->last.dropped;
	totals->spent_ns += files->last.cost_ns;
	if (!files->core)
		return;
	reads_lower(files->reads, cvhrc_files_threshold(files->core));
	totals->file_threshold = cvhrc_files_threshold(files->core);
	totals->refaults = unknown_refaults(files);
}

uint64_t measure_files_resident(const struct measure_files *files)
{
	return files->core ? files->stat.unmapped_pages : 0;
}
