/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What a group shares with an outsider: real pipes, eventfds and mappings between two processes. The test
 * makes an object and forks the processes, which keep or close their part; being the daemon, the test
 * itself does not count.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "edge/procs.h"
#include "edge/reach.h"
#include "rig.h"

#define SLOT 1
#define BYTES 8192

static struct group *group;
static struct reach reach;

static void reach_fini(void)
{
	reach_release(probe, &reach);
	rig_fini();
}

static void reach_init(void)
{
	rig_parts = PROBE_REACH;
	rig_init();
	group = group_make(NULL, "reach");
	watch(SLOT, group);
}

TestSuite(reach, .init = reach_init, .fini = reach_fini);

static uint64_t inode_of(int fd)
{
	struct stat st;

	cr_assert(fstat(fd, &st) == 0);
	return st.st_ino;
}

/* Process by process at first, then by turns: both ways see the same, and know each other's findings. */
static int take(void)
{
	static bool among_all;
	struct procs_list list = { 0 };
	int fd = open(group->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	cr_assert(fd >= 0 && procs_of_group(fd, true, &list) == 0);
	close(fd);
	struct reach_scope scope = { .pids = among_all ? NULL : list.pids,
				     .count = list.count,
				     .proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
	int err = reach_take(probe, SLOT, &scope, &reach);

	close(scope.proc_fd);
	among_all = !among_all;
	procs_list_free(&list);
	return err;
}

/* A snapshot, and its finding about the object; NULL: the object is not among them. */
static const struct pfuse_reach_finding *look(uint32_t kind, uint64_t object)
{
	int err = take();
	const struct pfuse_reach_finding *found = NULL;

	cr_assert(!err, "reach_take: %s", strerror(-err));
	for (uint32_t i = 0; i < reach.count; i++) {
		if (reach.findings[i].key.kind != kind || reach.findings[i].key.object != object)
			continue;
		cr_expect(!found, "found twice");
		found = &reach.findings[i];
	}
	return found;
}

static void expect_between(const struct pfuse_reach_finding *found, const struct worker *ours,
			   const struct worker *theirs)
{
	cr_assert(found, "not found");
	cr_expect_eq(found->ours, (uint32_t)ours->pid);
	cr_expect_eq(found->theirs, (uint32_t)theirs->pid);
	cr_expect_eq(found->their_slot, 0);
}

/* jobs of the processes */

static long job_close(long fd)
{
	return close((int)fd);
}

static long job_write(long fd)
{
	uint64_t one = 1; /* what an eventfd wants */

	return write((int)fd, &one, sizeof(one)) == sizeof(one) ? 0 : -errno;
}

static long job_read(long fd)
{
	uint64_t one;

	return read((int)fd, &one, sizeof(one)) == sizeof(one) ? 0 : -errno;
}

/* pipes */

struct channel {
	struct worker *ours, *theirs;
	int read_fd, write_fd;
	uint64_t object;
};

/* A pipe of which the group keeps one end and the outsider the other. */
static void channel_open(struct channel *channel, bool ours_reads)
{
	int ends[2];

	cr_assert(pipe(ends) == 0);
	channel->read_fd = ends[0];
	channel->write_fd = ends[1];
	channel->object = inode_of(ends[0]);
	channel->theirs = worker_start(NULL);
	channel->ours = worker_start(group);
	worker_do(channel->ours, job_close, ours_reads ? ends[1] : ends[0]);
	worker_do(channel->theirs, job_close, ours_reads ? ends[0] : ends[1]);
}

Test(reach, a_silent_pipe_has_not_moved)
{
	struct channel channel;

	channel_open(&channel, false);
	const struct pfuse_reach_finding *found = look(PFUSE_REACH_PIPE, channel.object);

	expect_between(found, channel.ours, channel.theirs);
	cr_expect_eq(found->access, PFUSE_REACH_WRITE);
	cr_expect_eq(found->their_access, PFUSE_REACH_READ);
	cr_expect(!found->compared && !found->moved && !found->waiting);
	for (int i = 0; i < 3; i++) {
		found = look(PFUSE_REACH_PIPE, channel.object);
		expect_between(found, channel.ours, channel.theirs);
		cr_expect(found->compared && !found->moved && !found->waiting);
	}
}

Test(reach, output_that_was_written_and_read_has_moved)
{
	struct channel channel;

	channel_open(&channel, false);
	look(PFUSE_REACH_PIPE, channel.object);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(worker_do(channel.ours, job_write, channel.write_fd), 0);
		cr_assert_eq(worker_do(channel.theirs, job_read, channel.read_fd), 0);
		const struct pfuse_reach_finding *found = look(PFUSE_REACH_PIPE, channel.object);

		expect_between(found, channel.ours, channel.theirs);
		cr_expect(found->compared && found->moved && !found->waiting, "round %d", i);
	}
}

/* Short writes join one buffer, and short reads leave it: head and tail stay where they are. */
Test(reach, bytes_that_join_a_buffer_have_moved)
{
	struct channel channel;

	channel_open(&channel, false);
	cr_assert_eq(worker_do(channel.ours, job_write, channel.write_fd), 0);
	look(PFUSE_REACH_PIPE, channel.object);
	cr_assert_eq(worker_do(channel.ours, job_write, channel.write_fd), 0);
	const struct pfuse_reach_finding *found = look(PFUSE_REACH_PIPE, channel.object);

	expect_between(found, channel.ours, channel.theirs);
	cr_expect(found->moved && found->waiting == 1, "%u wait", found->waiting);
	cr_expect(!look(PFUSE_REACH_PIPE, channel.object)->moved);
	cr_assert_eq(worker_do(channel.theirs, job_read, channel.read_fd), 0);
	found = look(PFUSE_REACH_PIPE, channel.object);
	cr_expect(found->moved && found->waiting == 1, "%u wait", found->waiting);
}

Test(reach, unread_input_waits)
{
	struct channel channel;

	channel_open(&channel, true);
	cr_assert_eq(worker_do(channel.theirs, job_write, channel.write_fd), 0);
	const struct pfuse_reach_finding *found = look(PFUSE_REACH_PIPE, channel.object);

	expect_between(found, channel.ours, channel.theirs);
	cr_expect_eq(found->access, PFUSE_REACH_READ);
	cr_expect_eq(found->waiting, 1);
}

Test(reach, a_pipe_within_the_group_is_nobody_elses)
{
	int ends[2];

	cr_assert(pipe(ends) == 0);
	struct worker *outside = worker_start(NULL), *one = worker_start(group);

	worker_start(group);
	worker_do(outside, job_close, ends[0]);
	worker_do(outside, job_close, ends[1]);
	worker_do(one, job_close, ends[0]);
	cr_expect(!look(PFUSE_REACH_PIPE, inode_of(ends[0])));
}

Test(reach, two_writers_of_a_pipe_do_not_talk_with_each_other)
{
	int ends[2];

	cr_assert(pipe(ends) == 0);
	struct worker *outside = worker_start(NULL), *inside = worker_start(group);

	worker_do(outside, job_close, ends[0]);
	worker_do(inside, job_close, ends[0]);
	cr_expect(!look(PFUSE_REACH_PIPE, inode_of(ends[0])));
	struct worker *reader = worker_start(NULL);

	worker_do(reader, job_close, ends[1]);
	expect_between(look(PFUSE_REACH_PIPE, inode_of(ends[0])), inside, reader);
}

/* The test stands for the daemon. */
Test(reach, the_daemon_is_no_outsider_but_what_it_writes_is_marked)
{
	struct channel channel;
	int ends[2];

	cr_assert(pipe(ends) == 0);
	channel_open(&channel, false);
	worker_do(channel.theirs, job_close, ends[0]);
	worker_do(channel.theirs, job_close, ends[1]);
	cr_expect(!look(PFUSE_REACH_PIPE, inode_of(ends[0])), "shared with the daemon alone");
	cr_expect_eq(look(PFUSE_REACH_PIPE, channel.object)->daemon_writes, 1);
	close(channel.write_fd);
	cr_expect_eq(look(PFUSE_REACH_PIPE, channel.object)->daemon_writes, 0);
}

Test(reach, another_managed_group_is_an_outsider)
{
	struct group *other = group_make(NULL, "other");
	int ends[2];

	cr_assert(pipe(ends) == 0);
	watch(2, other);
	struct worker *theirs = worker_start(other), *ours = worker_start(group);
	const struct pfuse_reach_finding *found = look(PFUSE_REACH_PIPE, inode_of(ends[0]));

	cr_assert(found);
	cr_expect_eq(found->their_slot, 2);
	cr_expect_eq(found->theirs, (uint32_t)theirs->pid);
	cr_expect_eq(found->ours, (uint32_t)ours->pid);
}

static char fifo_path[64];

static long job_open_fifo(long flags)
{
	return open(fifo_path, (int)flags | O_CLOEXEC);
}

Test(reach, a_fifo_is_a_pipe)
{
	struct stat st;

	snprintf(fifo_path, sizeof(fifo_path), "/tmp/pfuse-test-%d-fifo", getpid());
	cr_assert(mkfifo(fifo_path, 0600) == 0 && stat(fifo_path, &st) == 0);
	struct worker *theirs = worker_start(NULL), *ours = worker_start(group);
	long read_fd = worker_do(theirs, job_open_fifo, O_RDONLY | O_NONBLOCK);
	long write_fd = worker_do(ours, job_open_fifo, O_WRONLY);

	unlink(fifo_path);
	cr_assert(read_fd >= 0 && write_fd >= 0);
	const struct pfuse_reach_finding *found = look(PFUSE_REACH_PIPE, st.st_ino);

	expect_between(found, ours, theirs);
	cr_expect(strstr(fifo_path, found->name), "named %s", found->name);
	cr_assert_eq(worker_do(ours, job_write, write_fd), 0);
	cr_expect(look(PFUSE_REACH_PIPE, st.st_ino)->moved);
}

/* terminals */

static char terminal_path[64];

static long job_open_terminal(long arg)
{
	return open(terminal_path, O_RDWR | O_NOCTTY | O_CLOEXEC);
}

static bool terminal_moved(void *context)
{
	const struct pfuse_reach_finding *found = look(PFUSE_REACH_TTY, *(const uint64_t *)context);

	return found && found->moved;
}

static bool terminal_waits(void *context)
{
	const struct pfuse_reach_finding *found = look(PFUSE_REACH_TTY, *(const uint64_t *)context);

	return found && found->waiting;
}

static bool terminal_rests(void *context)
{
	const struct pfuse_reach_finding *found = look(PFUSE_REACH_TTY, *(const uint64_t *)context);

	return found && found->compared && !found->moved && !found->waiting;
}

static long job_type_line(long fd)
{
	return write((int)fd, "x\n", 2) == 2 ? 0 : -errno;
}

static long job_read_line(long fd)
{
	char line[16];

	return read((int)fd, line, sizeof(line)) > 0 ? 0 : -errno;
}

/* The kernel hands on what was typed or printed in a work queue: a moment later, so it is polled for. */
Test(reach, a_terminal_moves_when_somebody_types_or_prints)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	uint64_t number = 0;

	cr_assert(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
	snprintf(terminal_path, sizeof(terminal_path), "%s", ptsname(master));
	cr_assert(sscanf(terminal_path, "/dev/pts/%" SCNu64, &number) == 1);
	struct worker *theirs = worker_start(NULL), *ours = worker_start(group);

	worker_do(ours, job_close, master);
	cr_expect(!look(PFUSE_REACH_TTY, number), "the group does not have it");
	long slave = worker_do(ours, job_open_terminal, 0);

	cr_assert(slave >= 0);
	expect_between(look(PFUSE_REACH_TTY, number), ours, theirs);
	const struct pfuse_reach_finding *found = look(PFUSE_REACH_TTY, number);

	cr_expect(found->compared && !found->moved && !found->waiting);
	cr_assert_eq(worker_do(ours, job_type_line, slave), 0);
	cr_expect(poll_until(terminal_moved, &number), "printed");
	cr_assert_eq(worker_do(theirs, job_type_line, master), 0);
	cr_expect(poll_until(terminal_waits, &number), "typed");
	cr_assert_eq(worker_do(ours, job_read_line, slave), 0);
	cr_expect(poll_until(terminal_rests, &number), "read, and silent again after the echo");
}

/* eventfds */

static uint64_t eventfd_id(int fd)
{
	char path[48], line[128];
	uint64_t id = UINT64_MAX;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	FILE *info = fopen(path, "re");

	cr_assert(info);
	while (fgets(line, sizeof(line), info))
		if (sscanf(line, "eventfd-id: %" SCNu64, &id) == 1)
			break;
	fclose(info);
	return id;
}

Test(reach, an_eventfd_is_found_with_its_count)
{
	int fd = eventfd(0, 0), closed = eventfd(0, 0);
	struct worker *theirs = worker_start(NULL), *ours = worker_start(group);
	uint64_t id = eventfd_id(fd);

	worker_do(theirs, job_close, closed);
	expect_between(look(PFUSE_REACH_EVENTFD, id), ours, theirs);
	cr_expect(!look(PFUSE_REACH_EVENTFD, eventfd_id(closed)), "the outsider has it no more");
	cr_assert_eq(worker_do(theirs, job_write, fd), 0);
	const struct pfuse_reach_finding *found = look(PFUSE_REACH_EVENTFD, id);

	expect_between(found, ours, theirs);
	cr_expect(found->compared && found->moved && found->waiting == 1 && found->state == 1);
	cr_assert_eq(worker_do(ours, job_read, fd), 0);
	found = look(PFUSE_REACH_EVENTFD, id);
	cr_expect(found->compared && found->moved && !found->waiting);
}

/* shared memory */

/* The inode number of the mapping at an address, by the kernel's own list. */
static long inode_at(const void *address)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	unsigned long start, inode, found = 0;

	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%*x %*s %*x %*s %lu", &start, &inode) == 2 &&
		    start == (unsigned long)address)
			found = inode;
	if (maps)
		fclose(maps);
	return (long)found;
}

static int shared_fd = -1, read_only_fd = -1, segment = -1;
static void *inherited;

static long map(int fd, int protection, int flags)
{
	void *at = mmap(NULL, BYTES, protection, flags, fd, 0);

	return at == MAP_FAILED ? -errno : inode_at(at);
}

static long job_map(long arg)
{
	return map(shared_fd, PROT_READ | PROT_WRITE, MAP_SHARED);
}

static long job_map_private(long arg)
{
	return map(shared_fd, PROT_READ | PROT_WRITE, MAP_PRIVATE);
}

static long job_map_for_reading(long arg)
{
	return map(read_only_fd, PROT_READ, MAP_SHARED);
}

/* PROT_READ of a file opened for writing: mprotect(2) can make it writable at any time. */
static long job_map_not_yet_writable(long arg)
{
	return map(shared_fd, PROT_READ, MAP_SHARED);
}

static long job_attach(long flags)
{
	void *at = shmat(segment, NULL, (int)flags);

	return at == (void *)-1 ? -errno : inode_at(at);
}

static long job_inherited(long arg)
{
	return inode_at(inherited);
}

static long job_unmap_inherited(long arg)
{
	return munmap(inherited, BYTES);
}

enum memory { MEMFD, POSIX, FILE_ON_DISK, SYSV };

struct sharing {
	const char *name;
	enum memory memory;
	worker_job *ours, *theirs;
	long arg_ours, arg_theirs;
	bool found;
};

static const struct sharing sharings[] = {
	{ "memfd", MEMFD, job_map, job_map, .found = true },
	{ "POSIX shared memory", POSIX, job_map, job_map, .found = true },
	{ "a file", FILE_ON_DISK, job_map, job_map, .found = true },
	{ "writable later", MEMFD, job_map_not_yet_writable, job_map, .found = true },
	{ "the outsider only reads", POSIX, job_map, job_map_for_reading, .found = true },
	{ "the group only reads", POSIX, job_map_for_reading, job_map },
	{ "both only read", POSIX, job_map_for_reading, job_map_for_reading },
	{ "the group's is private", MEMFD, job_map_private, job_map },
	{ "the outsider's is private", MEMFD, job_map, job_map_private },
	{ "the outsider has it open, not mapped", MEMFD, job_map, job_nothing },
	{ "SysV", SYSV, job_attach, job_attach, .found = true },
	{ "SysV, the outsider only reads", SYSV, job_attach, job_attach, 0, SHM_RDONLY,
	  .found = true },
	{ "SysV, the group only reads", SYSV, job_attach, job_attach, SHM_RDONLY, 0 },
};

static void make_memory(enum memory memory)
{
	char name[64], path[80];

	snprintf(name, sizeof(name), "/pfuse-test-%d-memory", getpid());
	snprintf(path, sizeof(path), "/tmp%s", name);
	if (memory == SYSV)
		segment = shmget(IPC_PRIVATE, BYTES, 0600);
	else if (memory == MEMFD)
		shared_fd = memfd_create("reach", 0);
	else if (memory == POSIX)
		shared_fd = shm_open(name, O_RDWR | O_CREAT, 0600);
	else
		shared_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (memory == POSIX)
		read_only_fd = shm_open(name, O_RDONLY, 0);
	shm_unlink(name);
	unlink(path);
	cr_assert(memory == SYSV ? segment >= 0
				 : shared_fd >= 0 && ftruncate(shared_fd, BYTES) == 0);
}

static void free_memory(void)
{
	if (segment >= 0)
		shmctl(segment, IPC_RMID, NULL);
	close(shared_fd);
	close(read_only_fd);
	segment = shared_fd = read_only_fd = -1;
}

static void run_sharing(const struct sharing *row)
{
	make_memory(row->memory);
	struct worker *theirs = worker_start(NULL), *ours = worker_start(group);
	long inode = worker_do(ours, row->ours, row->arg_ours);
	long other = worker_do(theirs, row->theirs, row->arg_theirs);
	const struct pfuse_reach_finding *found = look(PFUSE_REACH_SHM, (uint64_t)inode);

	cr_assert(inode >= 0 && other >= 0, "%s: %ld %ld", row->name, inode, other);
	cr_expect_eq(found != NULL, row->found, "%s: %s", row->name, found ? "found" : "not found");
	if (found && row->found)
		expect_between(found, ours, theirs);
	worker_end(ours);
	worker_end(theirs);
	free_memory();
}

Test(reach, each_way_to_share_memory)
{
	for (size_t i = 0; i < sizeof(sharings) / sizeof(sharings[0]); i++)
		run_sharing(&sharings[i]);
}

Test(reach, memory_is_named)
{
	make_memory(MEMFD);
	struct worker *theirs = worker_start(NULL), *ours = worker_start(group);

	worker_do(theirs, job_map, 0);
	const struct pfuse_reach_finding *found =
		look(PFUSE_REACH_SHM, (uint64_t)worker_do(ours, job_map, 0));

	cr_assert(found);
	cr_expect_str_eq(found->name, "memfd:reach");
	free_memory();
}

Test(reach, memory_within_the_group_is_nobody_elses)
{
	make_memory(MEMFD);
	struct worker *one = worker_start(group), *two = worker_start(group);
	long inode = worker_do(one, job_map, 0);

	cr_assert_eq(worker_do(two, job_map, 0), inode);
	cr_expect(!look(PFUSE_REACH_SHM, (uint64_t)inode));
	free_memory();
}

/* Handed on by fork alone; that the outsider unmapped it must be seen as well as that it did not. */
Test(reach, anonymous_shared_memory_after_fork)
{
	inherited = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert(inherited != MAP_FAILED);
	struct worker *theirs = worker_start(NULL), *ours = worker_start(group);
	struct worker *brother = worker_start(group);
	long inode = worker_do(ours, job_inherited, 0);

	munmap(inherited, BYTES);
	cr_assert(inode > 0);
	const struct pfuse_reach_finding *found = look(PFUSE_REACH_SHM, (uint64_t)inode);

	expect_between(found, ours, theirs);
	cr_expect_str_eq(found->name, "dev/zero");
	cr_assert_eq(worker_do(theirs, job_unmap_inherited, 0), 0);
	cr_expect(!look(PFUSE_REACH_SHM, (uint64_t)inode), "the group alone has it");
	worker_end(brother);
	cr_expect(!look(PFUSE_REACH_SHM, (uint64_t)inode), "one process alone has it");
}

/* The leader of a process may end before its threads: they are the process then. */
static void *wait_for_ever(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static long job_leader_ends(long arg)
{
	(void)arg;
	pthread_t thread;

	return pthread_create(&thread, NULL, wait_for_ever, NULL) ? -EAGAIN : 0;
}

static long job_exit_thread(long arg)
{
	pthread_exit(NULL);
	return arg;
}

static bool leader_is_a_zombie(void *context)
{
	const struct worker *worker = context;
	char path[32], state = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", worker->pid);
	FILE *stat = fopen(path, "re");

	if (stat && fscanf(stat, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	if (stat)
		fclose(stat);
	return state == 'Z';
}

Test(reach, a_process_whose_leader_ended_still_has_what_it_has)
{
	int fd = eventfd(0, 0);

	make_memory(MEMFD);
	struct worker *theirs = worker_start(NULL), *ours = worker_start(group);
	long inode = worker_do(ours, job_map, 0);

	worker_do(theirs, job_map, 0);
	cr_assert_eq(worker_do(ours, job_leader_ends, 0), 0);
	worker_send(ours, job_exit_thread, 0);
	cr_assert(poll_until(leader_is_a_zombie, ours));
	expect_between(look(PFUSE_REACH_EVENTFD, eventfd_id(fd)), ours, theirs);
	expect_between(look(PFUSE_REACH_SHM, (uint64_t)inode), ours, theirs);
	free_memory();
}

/* bounds */

static long job_many_pipes(long count)
{
	int ends[2];

	for (long i = 0; i < count; i++)
		if (pipe(ends) < 0)
			return -errno;
	return 0;
}

Test(reach, many_objects_of_the_group_do_not_hide_the_shared_one)
{
	struct channel channel;

	channel_open(&channel, false);
	cr_assert_eq(worker_do(channel.ours, job_many_pipes, 400), 0);
	expect_between(look(PFUSE_REACH_PIPE, channel.object), channel.ours, channel.theirs);
	cr_expect(!reach.incomplete);
}

Test(reach, more_findings_than_fit_are_not_kept_quiet)
{
	int ends[2];

	for (int i = 0; i < REACH_FINDINGS_MAX + 1; i++)
		cr_assert(pipe(ends) == 0);
	worker_start(NULL);
	worker_start(group);
	cr_assert_eq(take(), 0);
	cr_expect_eq(reach.count, REACH_FINDINGS_MAX);
	cr_expect(reach.incomplete);
}

Test(reach, a_group_without_processes_shares_nothing)
{
	struct reach_scope all = { 0 };

	worker_start(NULL);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(take(), 0);
		cr_expect_eq(reach.count, 0);
		cr_expect(!reach.incomplete);
	}
	cr_expect_eq(reach_take(probe, 0, &all, &reach), -EINVAL, "slot 0 is no group");
}

Test(reach, a_process_that_is_gone_has_nothing)
{
	pid_t gone = fork();

	if (!gone)
		_exit(0);
	cr_assert_eq(waitpid(gone, NULL, 0), gone);
	struct reach_scope scope = { .pids = &gone, .count = 1, .proc_fd = -1 };

	cr_assert_eq(reach_take(probe, SLOT, &scope, &reach), 0);
	cr_expect_eq(reach.count, 0);
}

Test(reach, memory_alone_leaves_pipes_out)
{
	struct reach_scope scope = { .memory_only = true };
	struct channel channel;

	channel_open(&channel, false);
	cr_assert(look(PFUSE_REACH_PIPE, channel.object));
	cr_assert_eq(reach_take(probe, SLOT, &scope, &reach), 0);
	for (uint32_t i = 0; i < reach.count; i++)
		cr_expect_eq(reach.findings[i].key.kind, PFUSE_REACH_SHM);
}
