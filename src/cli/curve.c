/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "cli/curve.h"

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "cli/curve_size.h"
#include "daemon/measure.h"
#include "edge/cgroup.h"
#include "edge/procs.h"
#include "export/curve.h"

#define FOR_DEFAULT_NS 60000000000ull
#define PROGRESS_NS 200000000ull
#define PROGRESS_CELLS 30
#define COLUMNS_DEFAULT 80

struct session {
	const struct options *options;
	struct cgroup_tree tree;
	struct cgroup group;
	struct pagescan_target target;
	struct probe *probe;
	struct measure *measure; /* NULL: by size */
	struct curve_size size;
	struct cvhrc_curve curve;
	sigset_t signals; /* that end it */
	int output;	  /* -1: standard output */
	bool made_output; /* and not merely opened */
	bool progress;
};

static enum exit_status failed(int code)
{
	return code == -EPERM || code == -EOPNOTSUPP ? EXIT_LACKS : EXIT_FAILED;
}

/* Who is measured */

/* Measured where it is: nothing is moved, so any process will do. */
static int find_process(struct session *session, const char *number, struct err *err)
{
	char quoted[ERR_QUOTED];
	struct procs_stat stat;
	const char *end;
	uint64_t pid;

	if (num_parse(number, &end, &pid) < 0 || *end || pid == 0 || pid > INT_MAX)
		return err_set(err, -EINVAL, "pid:%s: not a process id", err_quote(number, quoted));
	int r = procs_read_stat(session->tree.proc_fd, (pid_t)pid, &stat);

	if (r < 0)
		return err_set(err, r, "pid:%d: %s", (int)pid,
			       r == -ESRCH ? "there is no such process" : strerror(-r));
	if (procs_is_kernel_thread(&stat))
		return err_set(err, -EINVAL,
			       "pid:%d is a kernel thread, which has no memory of its own",
			       (int)pid);
	session->target.pid = (pid_t)pid;
	return 0;
}

static int find_group(struct session *session, const char *name, struct err *err)
{
	char quoted[ERR_QUOTED];
	uint32_t count = 0;
	int r;

	session->target =
		(struct pagescan_target){ .proc_fd = session->tree.proc_fd, .group_fd = -1, .slot = 1 };
	if (strncmp(name, "pid:", 4) == 0)
		return find_process(session, name + 4, err);
	r = cgroup_open(&session->tree, name, &session->group, err);
	if (r < 0)
		return r;
	r = cgroup_count_procs(&session->group, &count);
	if (r == 0 && !count)
		r = err_set(err, -ESRCH, "%s: the group is empty; nothing can be measured",
			    err_quote(name, quoted));
	else if (r < 0)
		err_set(err, r, "%s: cannot list its processes: %s", err_quote(name, quoted),
			strerror(-r));
	session->target.group_fd = session->group.fd;
	if (session->options->source == CURVE_AUTO)
		session->target.path = session->group.path;
	return r;
}

/* Before the measuring and not after it: a minute would be lost. */
static int open_output(struct session *session, struct err *err)
{
	const char *path = session->options->output;
	char quoted[ERR_QUOTED];

	session->output = -1;
	if (!path)
		return 0;
	session->output = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	session->made_output = session->output >= 0;
	if (session->output < 0 && errno == EEXIST)
		session->output = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (session->output >= 0)
		return 0;
	return err_set(err, -errno, "%s: cannot write: %s%s", err_quote(path, quoted),
		       strerror(errno), errno == ENOENT ? "; create its directory first" : "");
}

static int open_probe(struct session *session, struct err *err)
{
	const struct cgroup_tree *tree = &session->tree;
	const struct probe_config config = {
		.parts = PROBE_PAGES | PROBE_READS | PROBE_ALONE,
		.slots = 1,
		.anchor = cgroup_tree_anchor(tree),
	};
	int r = probe_open(&config, &session->probe, err);

	if (r < 0 || session->target.group_fd < 0)
		return r;
	r = probe_manage(session->probe, 1, session->group.id, 0);
	return r < 0 ? err_set(err, r, "cannot follow the group: %s", strerror(-r)) : 0;
}

static int open_generations(struct session *session, struct err *err)
{
	struct pagescan_target target = session->target;

	target.path = session->group.path;
	return measure_open_lru(&target, &(struct cvhrc_setup){ 0 }, &session->measure, err);
}

static bool takes_size(const struct session *session)
{
	return session->options->format == CURVE_TEXT || session->options->format == CURVE_JSON;
}

static int open_size(struct session *session, struct err *err)
{
	if (!takes_size(session))
		return err_set(err, -EINVAL,
			       "DAMON gives a size, no curve; use --format text or json");
	return curve_size_open(&session->size, &session->target, clock_now_ns(), err);
}

/* A kernel that refuses BPF altogether may still have the others. */
static int open_measure(struct session *session, struct err *err)
{
	struct err none = { "" };

	if (session->options->source == CURVE_MGLRU)
		return open_generations(session, err);
	if (session->options->source == CURVE_DAMON)
		return open_size(session, err);
	int r = open_probe(session, err);

	if (r == 0)
		return measure_open(session->probe, &session->target, &(struct cvhrc_setup){ 0 },
				    &session->measure, err);
	if (session->options->source == CURVE_AUTO &&
	    (open_generations(session, &none) == 0 || open_size(session, &none) == 0))
		return 0;
	return r;
}

static enum exit_status open_session(struct session *session, struct err *err)
{
	if (geteuid() != 0) {
		err_set(err, -EPERM,
			"curve needs root: it loads BPF programs and reads the page "
			"tables of others");
		return EXIT_LACKS;
	}
	if (cgroup_tree_open(NULL, &session->tree, err))
		return EXIT_LACKS;
	int r = find_group(session, session->options->groups[0], err);

	if (r == 0)
		r = open_output(session, err);
	else
		return EXIT_FAILED;
	if (r < 0)
		return EXIT_FAILED;
	r = open_measure(session, err);
	return r < 0 ? failed(r) : EXIT_DONE;
}

static void close_session(struct session *session, enum exit_status status)
{
	measure_close(session->measure);
	curve_size_close(&session->size);
	probe_close(session->probe);
	cgroup_close(&session->group);
	cgroup_tree_close(&session->tree);
	if (session->output >= 0)
		close(session->output);
	if (status != EXIT_DONE && session->made_output)
		unlink(session->options->output);
}

/* The measuring */

static void put_progress(const struct session *session, uint64_t passed_ns, uint64_t for_ns)
{
	unsigned int cells = (unsigned int)(passed_ns * PROGRESS_CELLS / for_ns);
	char bar[PROGRESS_CELLS + 1], size[CURVE_SIZE_TEXT], knee[64] = "";
	struct cvhrc_curve curve;

	if (!session->progress)
		return;
	cells = cells < PROGRESS_CELLS ? cells : PROGRESS_CELLS;
	memset(bar, ' ', PROGRESS_CELLS);
	memset(bar, '=', cells);
	bar[PROGRESS_CELLS] = '\0';
	if (!session->measure)
		snprintf(knee, sizeof(knee), "  in use %s",
			 curve_size_text((double)curve_size_bytes(&session->size), size));
	else if (measure_curve(session->measure, &curve))
		snprintf(knee, sizeof(knee), "  knee %s%s",
			 curve.knee_below_resolution ? "<= " : "",
			 curve_size_text((double)curve.knee_bytes, size));
	fprintf(stderr, "\r[%s] %3.0f s of %.0f s%s\033[K", bar, (double)passed_ns / 1e9,
		(double)for_ns / 1e9, knee);
}

static void end_progress(const struct session *session)
{
	if (session->progress)
		fputs("\r\033[K", stderr);
}

/* True: a signal ends it. */
static bool wait_until(const struct session *session, uint64_t until_ns)
{
	uint64_t now_ns = clock_now_ns(), left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
	const struct timespec left = { .tv_sec = (time_t)(left_ns / 1000000000u),
				       .tv_nsec = (long)(left_ns % 1000000000u) };

	return sigtimedwait(&session->signals, NULL, &left) > 0;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t due_of(const struct session *session)
{
	return session->measure ? measure_due_ns(session->measure) : session->size.due_ns;
}

static int look(struct session *session, uint64_t now_ns, struct err *err)
{
	return session->measure ? measure_turn(session->measure, now_ns, err)
				: curve_size_look(&session->size, now_ns, err);
}

/* Until the time is over, a signal comes, or nobody is left. -errno: before anything was measured. */
static int measure_for(struct session *session, uint64_t for_ns, struct err *err)
{
	uint64_t start_ns = clock_now_ns(), now_ns = start_ns;
	int r = 0;

	while (now_ns < start_ns + for_ns) {
		if (now_ns >= due_of(session)) {
			r = look(session, now_ns, err);
			if (r < 0)
				break;
		}
		put_progress(session, now_ns - start_ns, for_ns);
		uint64_t until_ns = earlier(due_of(session), start_ns + for_ns);

		if (session->progress)
			until_ns = earlier(until_ns, now_ns + PROGRESS_NS);
		if (wait_until(session, until_ns))
			break;
		now_ns = clock_now_ns();
	}
	end_progress(session);
	uint32_t looks = session->measure ? session->measure->turns : session->size.looks;

	return r == -ESRCH && looks > 1 ? 0 : r;
}

/* The end */

static unsigned int columns_of(int fd)
{
	struct winsize size;

	return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : COLUMNS_DEFAULT;
}

static int print(const struct session *session, FILE *out)
{
	const struct measure *measure = session->measure;

	if (!measure)
		return session->options->format == CURVE_JSON
			       ? curve_size_json(&session->size, out)
			       : curve_size_text_out(&session->size, out);
	double seconds = (double)(measure->cleared_ns - measure->begun_ns) / 1e9;
	const struct curve_report report = {
		.group = session->options->groups[0],
		.source = measure_source(measure),
		.curve = &session->curve,
		.seconds = seconds,
		.cost = seconds > 0 ? (double)measure->spent_ns / 1e9 / seconds : 0,
		.processes = measure->last.processes,
		.left_out = { .hugetlb_bytes = measure->last.hugetlb_bytes,
			      .giant_bytes = measure->last.giant_bytes,
			      .reads = measure->files.dropped },
	};

	switch (session->options->format) {
	case CURVE_CSV:
		return curve_csv(&report, out);
	case CURVE_JSON:
		return curve_json(&report, out);
	case CURVE_SVG:
		return curve_svg(&report, out);
	default:
		return curve_text(&report, columns_of(fileno(out)),
				  !strcmp(nl_langinfo(CODESET), "UTF-8"), out);
	}
}

static int deliver(struct session *session, struct err *err)
{
	char quoted[ERR_QUOTED];
	FILE *out = stdout;
	int r = 0;

	if (session->output >= 0) {
		/* A device or a pipe has no length, and needs none. */
		if (ftruncate(session->output, 0) < 0 && errno != EINVAL)
			r = -errno;
		out = r < 0 ? NULL : fdopen(session->output, "w");
		if (out)
			session->output = -1;
		else
			r = r < 0 ? r : -errno;
	}
	if (r == 0)
		r = print(session, out);
	if (out && (out == stdout ? fflush(out) : fclose(out)) != 0 && r == 0)
		r = -errno;
	if (r < 0)
		err_set(err, r, "%s: cannot write the curve: %s",
			session->options->output ? err_quote(session->options->output, quoted)
						 : "standard output",
			strerror(-r));
	return r;
}

static enum exit_status measure_and_print(struct session *session, struct err *err)
{
	const struct options *options = session->options;
	char quoted[ERR_QUOTED];
	int r = measure_for(session, options->for_ns ? options->for_ns : FOR_DEFAULT_NS, err);

	if (r < 0)
		return failed(r);
	bool known = session->measure ? measure_curve(session->measure, &session->curve)
				      : session->size.looks > 0;

	if (!known) {
		err_set(err, -ENODATA,
			"%s: no curve: it touched no page, or the time was too short (two epochs "
			"of a quarter of a second are the least; DAMON takes a second)",
			err_quote(options->groups[0], quoted));
		return EXIT_FAILED;
	}
	return deliver(session, err) < 0 ? EXIT_FAILED : EXIT_DONE;
}

enum exit_status cmd_curve(const struct options *options)
{
	struct session session = { .options = options, .output = -1, .group = { .fd = -1 } };
	struct err err = { "" };

	setlocale(LC_CTYPE, "");
	session.progress = isatty(STDERR_FILENO);
	sigemptyset(&session.signals);
	sigaddset(&session.signals, SIGINT);
	sigaddset(&session.signals, SIGTERM);
	sigaddset(&session.signals, SIGHUP); /* what was set up (DAMON) goes with us */
	sigprocmask(SIG_BLOCK, &session.signals, NULL);
	enum exit_status status = open_session(&session, &err);

	if (status == EXIT_DONE)
		status = measure_and_print(&session, &err);
	if (err.text[0] && status != EXIT_DONE)
		fprintf(stderr, "pfuse-bpf: curve: %s\n", err.text);
	close_session(&session, status);
	return status;
}
