/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "base/trim.h"
#include "daemon/curves.h"
#include "daemon/daemon.h"
#include "daemon/paging.h"
#include "daemon/place.h"
#include "daemon/report.h"
#include "daemon/say.h"
#include "daemon/scarce.h"
#include "daemon/split.h"
#include "daemon/squeeze.h"
#include "daemon/step.h"
#include "daemon/tap.h"
#include "edge/group.h"

/* The keeper of a daemon that was just killed may be at work. */
#define KEEPER_WAIT_NS 3000000000ull
#define RT_PRIORITY 1 /* above all normal tasks: a wake-up must not wait behind CPU hogs */

static enum exit_status failed(int code)
{
	return code == -EPERM || code == -EOPNOTSUPP || code == -ENOTSUP ? EXIT_LACKS : EXIT_FAILED;
}

static void tell(void *out, const char *sentence)
{
	fprintf(out, "pfuse-bpf: %s\n", sentence);
}

/*
 * What a killed daemon left behind is undone before anything new is recorded. What cannot be undone now
 * stays in the ledger, for the end of this run or for `pfuse-bpf restore`.
 */
static void undo_leftovers(struct machine *machine)
{
	struct ledger_restore how = { .proc_fd = machine->tree.proc_fd,
				      .say = tell,
				      .arg = stderr };
	struct ledger_counts counts;

	if (!ledger_live(machine->ledger))
		return;
	tell(stderr, "an earlier run was killed; restoring what it changed");
	if (ledger_restore(machine->ledger, &how, &counts))
		tell(stderr, "something of that run could not be restored, see above; going on");
}

static int open_ledger(struct daemon *daemon, struct err *err)
{
	struct ledger_options options = { .path = daemon->options->ledger,
					  .wait_ns = KEEPER_WAIT_NS };
	struct err note = { "" };
	int code = ledger_open(&options, &daemon->machine.ledger, &note, err);

	if (note.text[0])
		tell(stderr, note.text);
	if (code)
		return code;
	undo_leftovers(&daemon->machine);
	code = keeper_spawn(daemon->keeper_exe, daemon->options->ledger, &daemon->keeper, err);
	daemon->keepers += !code;
	return code;
}

/* pid:N and COMMAND have to make groups: a dry run of them is refused rather than half dry. */
static bool needs_no_group(const struct options *options)
{
	for (size_t i = 0; i < options->ngroups; i++)
		if (!strncmp(options->groups[i], "pid:", 4))
			return false;
	return !options->argv;
}

static enum exit_status open_edges(struct daemon *daemon, struct err *err)
{
	struct machine *machine = &daemon->machine;

	if (geteuid() != 0) {
		err_set(err, -EPERM,
			"run needs root: it loads BPF programs and writes cgroup files");
		return EXIT_LACKS;
	}
	int code = cgroup_tree_open(NULL, &machine->tree, err);

	if (code)
		return EXIT_LACKS;
	(void)keeper_find(daemon->keeper_exe, sizeof(daemon->keeper_exe)); /* the spawn will say */
	machine->dry_run = daemon->options->dry_run;
	machine->stop_mode = daemon->options->stop >= 0 ? (enum stop_mode)daemon->options->stop
							: (enum stop_mode)daemon->config->stop;
	/* A ledger that we may not trust is -EPERM too, but no lack of privilege. */
	if ((!machine->dry_run || !needs_no_group(daemon->options)) && open_ledger(daemon, err))
		return EXIT_FAILED;
	code = stop_never(&machine->tree, daemon->keeper.pid, &machine->never);
	return code ? failed(code) : EXIT_DONE;
}

/* /proc/cgroups: "memory <hierarchy> ..."; 0 stands for v2. */
static uint32_t hierarchy_id(const struct machine *machine)
{
	char name[64], line[128];
	unsigned id;

	if (cgroup_tree_anchor(&machine->tree) == PFUSE_ANCHOR_V2)
		return 0;
	_cleanup_fclose_ FILE *file = fopen("/proc/cgroups", "re");

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "%63s %u", name, &id) == 2 && !strcmp(name, "memory"))
			return id;
	return 0;
}

static int open_probe(struct daemon *daemon, struct err *err)
{
	struct probe_config config = {
		/* A file may be read again, and ask for what it did not at first. */
		.parts = daemon->options->config ? PROBE_ALL & ~(PROBE_SPANS | PROBE_PAGES | PROBE_READS) :
						 PROBE_REACH,
		.slots = daemon->members.count - 1,
		.anchor = cgroup_tree_anchor(&daemon->machine.tree),
		.hierarchy_id = hierarchy_id(&daemon->machine),
		.daemon_pid = getpid(),
		.spans = daemon->split || daemon_records_spans(daemon),
	};
	if (curves_wanted(daemon))
		config.parts |= PROBE_PAGES | PROBE_READS;
	return probe_open(&config, &daemon->machine.probe, err);
}

static uint64_t machine_ram(void)
{
	return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

const struct config_group *daemon_entry(const struct daemon *daemon, const struct member *member)
{
	return config_match(daemon_config(daemon), member->name, member->group.path);
}

static void policy_of(const struct daemon *daemon, const struct member *member,
		      struct fcb_policy *ret)
{
	*ret = daemon_entry(daemon, member)->policy;
}

void daemon_apply_policies(struct daemon *daemon)
{
	for (uint32_t slot = 1; slot < daemon->members.count; slot++) {
		struct fcb_policy policy;

		policy_of(daemon, &daemon->members.at[slot], &policy);
		member_restrict(&daemon->members.at[slot], &policy);
		member_look(&daemon->machine, &daemon->members.at[slot], &policy);
		if (!probe_sees_talks(daemon->machine.probe) &&
		    policy.freeze == FCB_FREEZE_ISOLATED)
			policy.freeze = FCB_FREEZE_OFF;
		tap_policy(daemon, slot, &policy);
		daemon->members.at[slot].page_out =
			daemon_entry(daemon, &daemon->members.at[slot])->page_out;
		daemon->members.at[slot].reapply = policy.foreign == FCB_FOREIGN_REAPPLY;
	}
	split_policies(daemon);
}

/*
 * What a group of ours must have. CPU and I/O only where they are acted on: a v2 root that does not hand
 * them down is no reason to refuse the rest.
 */
static uint32_t controllers_for(const struct daemon *daemon, const char *name)
{
	const struct config_group *entry = config_match(daemon->config, name, NULL);
	const struct fcb_policy *policy = &entry->policy;
	uint32_t controllers = CGROUP_BIT(CGROUP_MEMORY);

	if (policy->mode[FCB_CPU] == FCB_ACT)
		controllers |= CGROUP_BIT(CGROUP_CPU);
	if (policy->mode[FCB_IO_READ] == FCB_ACT || policy->mode[FCB_IO_WRITE] == FCB_ACT)
		controllers |= CGROUP_BIT(CGROUP_IO);
	if (cpus_wanted(&entry->cpus))
		controllers |= CGROUP_BIT(CGROUP_CPU);
	if (entry->cpus.type != WORKLOAD_OFF)
		controllers |= CGROUP_BIT(CGROUP_CPUSET);
	return controllers;
}

static int open_group(struct daemon *daemon, const char *name, struct cgroup *ret, struct err *err)
{
	const struct cgroup_tree *tree = &daemon->machine.tree;
	char quoted[ERR_QUOTED];
	const char *end;
	uint64_t pid;

	if (strncmp(name, "pid:", 4) != 0)
		return cgroup_open(tree, name, ret, err);
	/* Strictly digits, and never cut down to an int: that would be somebody else's number. */
	if (num_parse(name + 4, &end, &pid) < 0 || *end || pid == 0 || pid > INT_MAX)
		return err_set(err, -EINVAL, "%s: not a process id", err_quote(name, quoted));
	return group_from_pid(tree, daemon->machine.ledger, (pid_t)pid,
			      controllers_for(daemon, name), ret, err);
}

static int make_command_group(struct daemon *daemon, struct err *err)
{
	char name[64];

	snprintf(name, sizeof(name), "run-%d", getpid());
	return group_create(&daemon->machine.tree, daemon->machine.ledger, name,
			    controllers_for(daemon, daemon->options->argv[0]),
			    &daemon->command_group, err);
}

/* The same group twice would have two masters. */
static int refuse_twice(const struct members *members, uint32_t slot, struct err *err)
{
	char a[ERR_QUOTED], b[ERR_QUOTED];

	for (uint32_t other = 1; other < slot; other++)
		if (members->at[other].group.id == members->at[slot].group.id)
			return err_set(err, -EEXIST, "%s and %s are the same group; name it once",
				       err_quote(members->at[other].name, a),
				       err_quote(members->at[slot].name, b));
	return 0;
}

static int add_member(struct daemon *daemon, uint32_t slot, const char *name, struct cgroup *group,
		      struct err *err)
{
	struct member *member = &daemon->members.at[slot];
	struct fcb_policy policy;
	int code = member_open(&daemon->machine, name, group, member, err);

	if (!code)
		code = refuse_twice(&daemon->members, slot, err);
	if (code)
		return code;
	policy_of(daemon, member, &policy);
	member_look(&daemon->machine, member, &policy);
	daemon->members.live++;
	return member_prepare(&daemon->machine, member, &policy, err);
}

static int open_members(struct daemon *daemon, struct err *err)
{
	const struct options *options = daemon->options;
	struct members *members = &daemon->members;
	uint32_t count = (uint32_t)options->ngroups + (options->argv != NULL) + 1, slot = 1;
	int code = 0;

	members->at = calloc(count, sizeof(*members->at));
	members->fcbs = calloc(count, sizeof(*members->fcbs));
	if (!members->at || !members->fcbs)
		return err_set(err, -ENOMEM, "out of memory for %u groups", count - 1);
	orchestrator_init(&daemon->core, members->fcbs, count, machine_ram(),
			  (uint32_t)sysconf(_SC_PAGESIZE));
	daemon->core.ncpus = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
	for (size_t i = 0; i < options->ngroups && !code; i++) {
		struct cgroup group = { .fd = -1 };

		code = open_group(daemon, options->groups[i], &group, err);
		members->count = slot + 1;
		if (!code)
			code = add_member(daemon, slot++, options->groups[i], &group, err);
		cgroup_close(&group);
	}
	if (!code && options->argv) {
		members->count = slot + 1;
		code = make_command_group(daemon, err);
		if (!code)
			code = add_member(daemon, slot++, options->argv[0], &daemon->command_group,
					  err);
	}
	if (!code && daemon->machine.ledger)
		code = ledger_commit(daemon->machine.ledger);
	return code;
}

/* Silence proves nothing where talks cannot be seen: then nobody is stopped, and that is said. */
static void forbid_blind_stops(struct daemon *daemon)
{
	if (probe_sees_talks(daemon->machine.probe))
		return;
	fprintf(stderr,
		"pfuse-bpf: this kernel does not show talks over UDP and UNIX sockets; no group "
		"is stopped unguarded, going on\n");
	daemon_apply_policies(daemon);
}

/* Best effort: without, growth that raised no fault is seen at the next sample. */
static int make_oom_fds(struct members *members)
{
	uint32_t count = members_oom_fds(members);

	members->oom_fds = malloc(count * sizeof(*members->oom_fds) + 1);
	if (!members->oom_fds)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		members->oom_fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return 0;
}

/* Observed from here on: not before, since silence that nobody listened to proves nothing. */
static int watch_member(struct daemon *daemon, uint32_t slot)
{
	struct machine *machine = &daemon->machine;
	struct member *member = &daemon->members.at[slot];
	struct pfuse_sample first;
	struct fcb_policy policy;

	policy_of(daemon, member, &policy);
	int code = probe_manage(machine->probe, slot, member->group.id, policy.high_water_permille);

	/* Who came or left while the programs were loaded raised no event. */
	if (!code)
		code = member_count(member);
	if (!code)
		code = member_sample(machine, member, slot, &first);
	if (code)
		return code;
	tap_attach(daemon, slot, &policy, &first, clock_now_ns());
	squeeze_choose(daemon, slot, &first, daemon_entry(daemon, member)->grace_ns);
	member->page_out = daemon_entry(daemon, member)->page_out;
	member->reapply = policy.foreign == FCB_FOREIGN_REAPPLY;
	probe_arm(machine->probe, slot,
		  PFUSE_ARM_HIGH_WATER | PFUSE_ARM_LIMIT_HIT | PFUSE_ARM_TALK);
	return member_spread_net(machine, member,
				 daemon->members.oom_fds[(slot - 1) / MEMBERS_PER_OOM_FD]);
}

/* After the other controls: this one needs the probe. */
static int prepare_net(struct daemon *daemon, struct err *err)
{
	int code = 0;

	for (uint32_t slot = 1; slot < daemon->members.count && !code; slot++) {
		struct member *member = &daemon->members.at[slot];
		struct fcb_policy policy;

		policy_of(daemon, member, &policy);
		code = member_prepare_net(&daemon->machine, member, slot, &policy, err);
	}
	if (!code && daemon->machine.ledger && ledger_commit(daemon->machine.ledger))
		code = err_set(err, -EIO, "the ledger cannot be written; is the disk full?");
	return code;
}

static int watch_members(struct daemon *daemon, struct err *err)
{
	char quoted[ERR_QUOTED];

	if (make_oom_fds(&daemon->members))
		return err_set(err, -ENOMEM, "out of memory");
	for (uint32_t slot = 1; slot < daemon->members.count; slot++) {
		int code = watch_member(daemon, slot);

		if (code)
			return err_set(err, code, "%s: cannot be watched: %s",
				       err_quote(daemon->members.at[slot].name, quoted),
				       strerror(-code));
	}
	probe_seed(daemon->machine.probe); /* ports that are listened on already; best effort */
	return 0;
}

int daemon_open_guards(struct daemon *daemon, struct err *err)
{
	struct machine *machine = &daemon->machine;
	bool wanted = false;

	for (uint32_t slot = 1; slot < daemon->members.count; slot++)
		wanted |= daemon->members.fcbs[slot].policy.freeze == FCB_FREEZE_GUARDED;
	if (!wanted || machine->guards || machine->dry_run)
		return 0;
	return guards_open(&machine->tree, machine->probe, daemon->members.count - 1,
			   &machine->guards, err);
}

/* Best effort: where it is not permitted, a wake-up may wait behind other tasks. */
static void raise_priority(void)
{
	struct sched_param param = { .sched_priority = RT_PRIORITY };

	(void)sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param);
}

/* A group needs a directory fd. */
static void raise_file_limit(struct rlimit *ret_before)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	*ret_before = limit;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* COMMAND's group is the last one. */
static int prepare_command(struct daemon *daemon, struct err *err)
{
	const struct cgroup *group = &daemon->members.at[daemon->members.count - 1].group;
	char quoted[ERR_QUOTED];
	int code = child_prepare(daemon->options->argv, &daemon->files, &daemon->child, err);

	if (code)
		return code;
	code = group_take_in(&daemon->machine.tree, group, daemon->machine.ledger,
			     daemon->child.pid);
	if (code)
		return err_set(err, code, "cannot move %s into its group: %s",
			       err_quote(daemon->options->argv[0], quoted), strerror(-code));
	return 0;
}

static int open_all(struct daemon *daemon, struct err *err)
{
	int code = open_members(daemon, err);

	if (!code)
		code = place_members(daemon, err);
	if (!code)
		code = split_open(daemon, err);
	if (!code)
		code = squeeze_open(daemon, err);
	if (!code)
		code = curves_open(daemon, err);
	if (!code)
		code = scarce_open(daemon, err);
	if (!code)
		code = tap_open(daemon, err);
	if (!code)
		code = open_probe(daemon, err);
	if (code)
		return code;
	code = prepare_net(daemon, err);
	if (!code)
		code = watch_members(daemon, err);
	if (code)
		return code;
	split_watch(daemon);
	forbid_blind_stops(daemon);
	code = daemon_open_guards(daemon, err);
	if (code)
		return code;
	return daemon->options->argv ? prepare_command(daemon, err) : 0;
}

/* Each line is flushed anyway: libc's own buffer would be a page of heap for nothing. */
static FILE *lines_for_user(void)
{
	static char buffer[512];

	setvbuf(stdout, buffer, _IOFBF,
		sizeof(buffer)); /* refused after the first output: harmless */
	return stdout;
}

enum exit_status daemon_open(struct daemon *daemon, const struct options *options,
			     const struct config *config, struct err *err)
{
	*daemon = (struct daemon){ .options = options,
				   .config = config,
				   .out = options->quiet ? NULL : lines_for_user(),
				   .command_group = { .fd = -1 } };
	if (options->summary && summary_check_writable(options->summary, err))
		return EXIT_FAILED;
	raise_file_limit(&daemon->files);
	enum exit_status status = open_edges(daemon, err);

	if (status != EXIT_DONE)
		return status;
	int code = open_all(daemon, err);

	if (code)
		return failed(code);
	raise_priority();
	trim_startup();
	return EXIT_DONE;
}

/* Continue first: a stopped process cannot even end. */
static void leave_members(struct daemon *daemon)
{
	struct pfuse_verdict verdicts[PFUSE_CONTROLS];
	uint64_t now_ns = clock_now_ns();

	for (uint32_t slot = 1; slot < daemon->members.count; slot++) {
		unsigned n = tap_exit(daemon, slot, now_ns, verdicts);

		step_carry_out(daemon, slot, verdicts, n, now_ns);
	}
}

static enum exit_status restore_all(struct daemon *daemon)
{
	struct ledger_restore how = { .proc_fd = daemon->machine.tree.proc_fd,
				      .say = tell,
				      .arg = stderr };
	struct ledger_counts counts;

	if (!daemon->machine.ledger)
		return EXIT_DONE;
	return ledger_restore(daemon->machine.ledger, &how, &counts) ? EXIT_FAILED : EXIT_DONE;
}

/* --for ended before COMMAND: it goes on where it came from, and we wait for its status. */
static void wait_for_command(struct daemon *daemon)
{
	siginfo_t info = { 0 };

	if (!daemon->loop.started_ns || !daemon->child.pid || daemon->command_ended)
		return;
	while (waitid(P_PID, (id_t)daemon->child.pid, &info, WEXITED) < 0 && errno == EINTR)
		;
	daemon->status = child_status(info.si_code, info.si_status);
}

static void close_members(struct members *members)
{
	for (uint32_t slot = 1; slot < members->count; slot++) {
		paging_end(&members->at[slot]);
		member_close(&members->at[slot]);
	}
	for (uint32_t i = 0; members->oom_fds && i < members_oom_fds(members); i++)
		if (members->oom_fds[i] >= 0)
			close(members->oom_fds[i]);
	free(members->oom_fds);
	free(members->at);
	free(members->fcbs);
}

static void close_edges(struct daemon *daemon)
{
	child_close(&daemon->child);
	cgroup_close(&daemon->command_group);
	guards_close(daemon->machine.guards);
	probe_close(daemon->machine.probe);
	keeper_bye(&daemon->keeper);
	ledger_close(daemon->machine.ledger);
	procs_list_free(&daemon->machine.never);
	cgroup_tree_close(&daemon->machine.tree);
}

enum exit_status daemon_close(struct daemon *daemon, enum exit_status status)
{
	enum exit_status restored;

	squeeze_halt(daemon);
	if (daemon->loop.started_ns) {
		sd_notify(0, "STOPPING=1");
		leave_members(daemon);
	}
	if (daemon->loop.started_ns && status == EXIT_DONE && report(daemon))
		status = EXIT_FAILED;
	tap_close(daemon);
	restored = restore_all(daemon);
	split_close(daemon->split);
	scarce_close(daemon);
	curves_close(daemon);
	squeeze_close(daemon);
	close_members(&daemon->members);
	close_edges(daemon);
	wait_for_command(daemon);
	config_free(&daemon->reread);
	if (status == EXIT_DONE)
		status = restored;
	if (status == EXIT_DONE && daemon->options->argv)
		status = (enum exit_status)daemon->status;
	return status;
}
