/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/pages.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/num.h"
#include "edge/pages_advise.h"

/* Moving 1 MiB to compressed memory took 0.3 to 1.2 ms, so a slice takes less than 5 ms. */
#define SLICE "4M"
#define WORTH_BYTES 262144 /* a slice that failed but freed this much is not the last */

static const char *usage_file(const struct pages *pages)
{
	return faccessat(pages->fd, "memory.current", F_OK, 0) == 0 ? "memory.current"
								    : "memory.usage_in_bytes";
}

static int read_usage(const struct pages *pages, uint64_t *ret_bytes)
{
	char text[32];
	int r = fd_read_at(pages->fd, usage_file(pages), text, sizeof(text), NULL);

	return r < 0 ? r : num_parse_all(text, ret_bytes);
}

/* /proc/swaps is a headline and one line for each swap. */
static bool has_swap(const struct cgroup_tree *tree)
{
	char text[512];
	const char *line;

	if (fd_read_head_at(tree->proc_fd, "swaps", text, sizeof(text), NULL) < 0)
		return false;
	line = strchr(text, '\n');
	return line && line[1];
}

#define GROUP_FD 0 /* of the child */
#define PROC_FD 1

static int do_work(enum pages_how how)
{
	uint64_t bytes;

	if (how == PAGES_ADVISE)
		return pages_advise(PROC_FD, GROUP_FD, &bytes);
	return fd_write_at(GROUP_FD, "memory.force_empty", "0");
}

/*
 * The caller may be SCHED_FIFO; this one is in no hurry, and must not outlive it. Nor must it hold the
 * caller's files: duplicates of connections, above all.
 */
static void __attribute__((noreturn))
run_child(const struct pages *pages, int proc_fd, enum pages_how how, pid_t parent)
{
	const struct sched_param normal = { 0 };

	/* The second may lie where the first goes to; above both there is room. */
	proc_fd = fcntl(proc_fd, F_DUPFD, PROC_FD + 1);
	if (proc_fd < 0 || dup2(pages->fd, GROUP_FD) < 0 || dup2(proc_fd, PROC_FD) < 0 ||
	    close_range(PROC_FD + 1, ~0u, 0) < 0)
		_exit(1);
	sched_setscheduler(0, SCHED_OTHER, &normal);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	_exit(getppid() == parent && do_work(how) == 0 ? 0 : 1);
}

static int start_child(struct pages *pages, int proc_fd, enum pages_how how)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0)
		run_child(pages, proc_fd, how, parent);
	if (pid < 0)
		return -errno;
	pages->child = pid;
	return 0;
}

enum pages_how pages_find_how(int dir)
{
	if (faccessat(dir, "memory.reclaim", F_OK, 0) == 0)
		return PAGES_RECLAIM;
	if (faccessat(dir, "memory.force_empty", F_OK, 0) == 0)
		return PAGES_FORCE_EMPTY;
	return pages_advise_available() ? PAGES_ADVISE : PAGES_NOT;
}

static int begin(const struct cgroup_tree *tree, const struct cgroup *group, enum pages_how how,
		 struct pages *pages)
{
	int r = read_usage(pages, &pages->before_bytes);

	if (r < 0)
		return r == -ENOENT && cgroup_gone(group) ? -ENODEV : r;
	pages->after_bytes = pages->before_bytes;
	if (how == PAGES_NOT)
		how = pages_find_how(pages->fd);
	if (how == PAGES_NOT)
		return -EOPNOTSUPP;
	return how == PAGES_RECLAIM ? 0 : start_child(pages, tree->proc_fd, how);
}

int pages_begin(const struct cgroup_tree *tree, const struct cgroup *group, struct pages *ret_pages,
		struct err *err)
{
	return pages_begin_by(PAGES_NOT, tree, group, ret_pages, err);
}

int pages_begin_by(enum pages_how how, const struct cgroup_tree *tree, const struct cgroup *group,
		   struct pages *ret_pages, struct err *err)
{
	struct pages pages = { .fd = -1, .to_swap = has_swap(tree) };
	char quoted[ERR_QUOTED];
	int r = cgroup_open_in(tree, group, tree->anchor, &pages.fd);

	if (r == 0)
		r = begin(tree, group, how, &pages);
	if (r < 0) {
		pages_end(&pages);
		return err_set(err, r, "group %s: its memory cannot be moved out: %s",
			       err_quote(group->path, quoted),
			       r == -EOPNOTSUPP ? "this kernel has neither memory.reclaim nor "
						  "memory.force_empty nor process_madvise()"
						: strerror(-r));
	}
	*ret_pages = pages;
	return 0;
}

static int reclaim_slice(struct pages *pages)
{
	const uint64_t before = pages->after_bytes;
	int r = fd_write_at(pages->fd, "memory.reclaim", SLICE);
	int usage = read_usage(pages, &pages->after_bytes);

	if (r < 0 && r != -EAGAIN && r != -EINTR)
		return r;
	if (usage < 0)
		return usage;
	if (r == -EINTR)
		return 1;
	/* -EAGAIN: less than the slice could be moved. */
	return before > pages->after_bytes && before - pages->after_bytes >= WORTH_BYTES;
}

static int look_at_child(struct pages *pages)
{
	int status = 0;
	pid_t pid = waitpid(pages->child, &status, WNOHANG);
	int r = read_usage(pages, &pages->after_bytes);

	if (pid == 0)
		return r < 0 ? r : 1;
	pages->child = -1;
	if (pid < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return -EIO;
	return r;
}

int pages_step(struct pages *pages)
{
	if (pages->fd < 0 || pages->child < 0)
		return 0;
	return pages->child ? look_at_child(pages) : reclaim_slice(pages);
}

void pages_end(struct pages *pages)
{
	if (pages->child > 0) {
		kill(pages->child, SIGKILL);
		waitpid(pages->child, NULL, 0);
	}
	pages->child = 0;
	close_fd(&pages->fd);
}
