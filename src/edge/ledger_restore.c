/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Undoing what the ledger names, the newest record first, in passes: groups run again before their
 * limits are touched, limits are back before processes leave, and directories come last.
 *
 * Within a group the order of two limits follows from the order in which control.c records them:
 * memory.max after memory.high, the v1 limit after memsw and the net, so newest first raises the
 * outer one first and releases the net last. Where the kernel refuses that order (v1: limit <= memsw),
 * a second pass over what was refused succeeds.
 */
#include "edge/ledger.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/num.h"
#include "edge/ledger_file.h"
#include "edge/procs.h"
#include "edge/slice.h"
#include "pfuse/sample.h"

#define PATIENCE_NS UINT64_C(300000000) /* for directories that are busy: all of them together */

enum outcome { RESTORED, ALREADY, FOREIGN, GONE, FAILED, DAMAGED, LATER };

struct restore {
	struct ledger *ledger;
	const struct ledger_restore *how;
	struct ledger_counts counts;
	char *mount; /* the hierarchy of the last record, held open */
	int mount_fd;
	bool last_try;
	uint64_t patience_until;
};

/* "memory.max of docker/x in /sys/fs/cgroup: <reason>" */
static enum outcome say(struct restore *restore, const struct ledger_record *record,
			enum outcome outcome, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static enum outcome say(struct restore *restore, const struct ledger_record *record,
			enum outcome outcome, const char *format, ...)
{
	static const char *const what[] = {
		[LEDGER_FROZEN] = "the freeze",
		[LEDGER_SIGSTOP] = "the stop",
		[LEDGER_MOVED] = "the move of a process",
		[LEDGER_DIR] = "our directory",
		[LEDGER_SLICE] = "the slice",
	};
	const char *name = record->kind == LEDGER_FILE ? ledger_file(record) : what[record->kind];
	char quoted[ERR_QUOTED], reason[256];
	struct err sentence;
	va_list args;

	if (!restore->how->say)
		return outcome;
	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	err_set(&sentence, 0, "%s of %s in %s: %s", name, err_quote(ledger_path(record), quoted),
		ledger_mount(record), reason);
	restore->how->say(restore->how->arg, sentence.text);
	return outcome;
}

static int open_mount(struct restore *restore, const char *mount)
{
	if (restore->mount && strcmp(restore->mount, mount) == 0)
		return restore->mount_fd;
	close_fd(&restore->mount_fd);
	free(restore->mount);
	restore->mount = strdup(mount);
	if (!restore->mount)
		return -ENOMEM;
	restore->mount_fd = open(mount, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (restore->mount_fd < 0) {
		free(TAKE_PTR(restore->mount));
		return -errno;
	}
	return restore->mount_fd;
}

/* The record's group, if it is still the same one. -ENOENT: it is gone, or another has its name. */
static int open_group(struct restore *restore, const struct ledger_record *record, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int mount = open_mount(restore, ledger_mount(record));
	int r = mount < 0 ? mount : fd_open_dir_beneath(mount, ledger_path(record), &fd);

	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_ino != record->group_id)
		return -ENOENT;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static bool is_gone(int r)
{
	return r == -ENOENT || r == -ENODEV || r == -ESRCH;
}

static enum outcome failed(struct restore *restore, const struct ledger_record *record, int r)
{
	if (is_gone(r))
		return GONE;
	return say(restore, record, FAILED, "%s", strerror(-r));
}

/* Pass 1: run again */

static enum outcome undo_frozen(struct restore *restore, const struct ledger_record *record)
{
	_cleanup_close_ int fd = -1;
	char text[16];
	int r = open_group(restore, record, &fd);

	if (r == 0)
		r = fd_read_at(fd, "cgroup.freeze", text, sizeof(text), NULL);
	if (r == 0 && text[0] == '0')
		return ALREADY;
	if (r == 0)
		r = fd_write_at(fd, "cgroup.freeze", "0");
	return r < 0 ? failed(restore, record, r) : RESTORED;
}

static enum outcome undo_sigstop(struct restore *restore, const struct ledger_record *record)
{
	_cleanup_close_ int fd = -1;
	struct procs_stat stat;
	int r = procs_open_pidfd(restore->how->proc_fd, record->pid, record->starttime, &fd);

	if (r == 0)
		r = procs_read_stat(restore->how->proc_fd, record->pid, &stat);
	if (r == 0 && !procs_is_stopped(&stat))
		return ALREADY;
	if (r == 0 && syscall(SYS_pidfd_send_signal, fd, SIGCONT, NULL, 0) < 0)
		r = -errno;
	return r < 0 ? failed(restore, record, r) : RESTORED;
}

/* Pass 2: limits */

/* 1: ours, 0: not, -EBADMSG: not, but a damaged slot may have named it. */
static int is_ours(const struct ledger_record *record, uint64_t present)
{
	int r = 0;

	for (int i = 0; i < 2; i++) {
		enum ledger_slot_state state = ledger_slot_state(record, i);

		if (state == LEDGER_SLOT_OURS && record->slots[i].value == present)
			return 1;
		if (state == LEDGER_SLOT_DAMAGED)
			r = -EBADMSG;
	}
	return r;
}

static uint64_t usage_of(int fd)
{
	char text[32];
	uint64_t usage;

	return fd_read_at(fd, "memory.current", text, sizeof(text), NULL) == 0 &&
			       num_parse_all(text, &usage) == 0
		       ? usage
		       : 0;
}

/*
 * v2 kills when memory.max is lowered below what cannot be reclaimed; we never do that in leaving.
 * What can be reclaimed is reclaimed first.
 */
static bool would_kill(int fd, const struct ledger_record *record, uint64_t old)
{
	uint64_t usage;
	char text[32];

	if (strcmp(ledger_file(record), "memory.max") != 0 || old == PFUSE_UNLIMITED)
		return false;
	usage = usage_of(fd);
	if (usage <= old)
		return false;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)(usage - old));
	fd_write_at(fd, "memory.reclaim", text);
	return usage_of(fd) > old;
}

/*
 * An empty cpuset means its parent's, and v2 takes that back only while there are no processes: then the
 * parent's own list is written, which allows the same.
 */
static enum outcome write_parents(struct restore *restore, const struct ledger_record *record,
				  int fd)
{
	char path[64], list[4096];
	int r;

	snprintf(path, sizeof(path), "../%s.effective", ledger_file(record));
	r = fd_read_at(fd, path, list, sizeof(list), NULL);
	if (r == 0)
		r = fd_write_at(fd, ledger_file(record), list);
	if (r < 0)
		return failed(restore, record, r);
	list[strcspn(list, "\n")] = '\0';
	return say(restore, record, RESTORED,
		   "the kernel does not take \"as the parent\" back while there are processes; set "
		   "to the parent's %s",
		   list);
}

static enum outcome write_old(struct restore *restore, const struct ledger_record *record, int fd,
			      uint64_t old)
{
	const char *text = ledger_old_text(record);
	int r;

	if (would_kill(fd, record, old)) {
		if (!restore->last_try)
			return LATER;
		return say(
			restore, record, FAILED,
			"the group uses more than the %s of before, which would kill; left as it "
			"is, write it when the group is smaller",
			ledger_old_text(record));
	}
	/* A write(2) of nothing, which an empty cpuset would be, is not seen by the kernel. */
	r = fd_write_at(fd, ledger_file(record), *text ? text : "\n");
	if ((r == -EBUSY || r == -EINVAL) && !restore->last_try)
		return LATER;
	if (r == -ENOSPC && !*text)
		return write_parents(restore, record, fd);
	if (r == -EBUSY)
		return say(
			restore, record, FAILED,
			"the group uses more than the %s of before; left as it is, write it when "
			"the group is smaller",
			ledger_old_text(record));
	return r < 0 ? failed(restore, record, r) : RESTORED;
}

/* The part of the file that the record is about. */
static int read_present(int fd, const struct ledger_record *record, char *buf, size_t size)
{
	const char *file = ledger_file(record);
	_cleanup_free_ char *text = NULL;
	int r;

	if (!ledger_is_line(file))
		return fd_read_at(fd, file, buf, size, NULL);
	r = fd_load_at(fd, file, &text);
	return r < 0 ? r : ledger_line(file, ledger_old_text(record), text, buf, size);
}

static enum outcome undo_file(struct restore *restore, const struct ledger_record *record)
{
	const char *file = ledger_file(record);
	uint64_t old = ledger_value(file, ledger_old_text(record)), present;
	_cleanup_close_ int fd = -1;
	char text[4096], quoted[ERR_QUOTED];
	int r = open_group(restore, record, &fd);

	if (r == 0)
		r = read_present(fd, record, text, sizeof(text));
	if (r < 0)
		return failed(restore, record, r);
	present = ledger_value(file, text);
	if (present == old)
		return ALREADY;
	r = is_ours(record, present);
	text[strcspn(text, "\n")] = '\0';
	if (r < 0)
		return say(restore, record, DAMAGED,
			   "the record of what we wrote is damaged; left at %s, it was %s before",
			   err_quote(text, quoted), ledger_old_text(record));
	if (r == 0)
		return say(restore, record, FOREIGN,
			   "somebody else changed it to %s; left alone, it was %s before",
			   err_quote(text, quoted), ledger_old_text(record));
	return write_old(restore, record, fd, old);
}

/* Also what they handed on to children since. */
static enum outcome undo_slices(struct restore *restore, const struct ledger_record *record)
{
	_cleanup_close_ int fd = -1;
	uint64_t slice_ns;
	int r = open_group(restore, record, &fd);

	if (r == 0)
		r = num_parse_all(ledger_old_text(record), &slice_ns);
	if (r == 0)
		r = slice_undo(restore->how->proc_fd, fd, slice_ns);
	return r < 0 ? failed(restore, record, r) : r ? RESTORED : ALREADY;
}

/* Pass 3: processes go back */

static int move_to_origin(struct restore *restore, const struct ledger_record *record, pid_t pid)
{
	_cleanup_close_ int origin = -1;
	char text[16];
	int r = fd_open_dir_beneath(restore->mount_fd, ledger_old_text(record), &origin);

	if (r < 0)
		return r == -ENOENT ? -EHOSTUNREACH : r; /* the origin is gone, not the process */
	snprintf(text, sizeof(text), "%d", (int)pid);
	return fd_write_at(origin, "cgroup.procs", text);
}

static bool is_same_process(const struct restore *restore, const struct ledger_record *record)
{
	struct procs_stat stat;

	return procs_read_stat(restore->how->proc_fd, record->pid, &stat) == 0 &&
	       stat.starttime == record->starttime;
}

/* Each recorded process to where it came from. Failures are told by the pass that follows. */
static enum outcome undo_moved(struct restore *restore, const struct ledger_record *record)
{
	_cleanup_(procs_list_free) struct procs_list list = { 0 };
	_cleanup_close_ int fd = -1;
	int r = open_group(restore, record, &fd);

	if (r == 0)
		r = procs_of_group(fd, false, &list);
	if (r == 0 && procs_list_has(&list, record->pid) && is_same_process(restore, record))
		move_to_origin(restore, record, record->pid);
	return LATER;
}

/* Children born since then have no record: the oldest record, their ancestor's, takes them along. */
static enum outcome undo_strays(struct restore *restore, const struct ledger_record *record)
{
	_cleanup_(procs_list_free) struct procs_list list = { 0 };
	_cleanup_close_ int fd = -1;
	int r = open_group(restore, record, &fd);

	if (r == 0)
		r = procs_of_group(fd, false, &list);
	for (uint32_t i = 0; r == 0 && i < list.count; i++) {
		r = move_to_origin(restore, record, list.pids[i]);
		if (r == -ESRCH)
			r = 0;
	}
	if (r == -EHOSTUNREACH)
		return say(restore, record, FAILED,
			   "the group it came from is gone; %u processes stay here", list.count);
	return r < 0 ? failed(restore, record, r) : RESTORED;
}

/* Pass 4: directories */

static int remove_directory(struct restore *restore, const struct ledger_record *record)
{
	const char *path = ledger_path(record), *slash = strrchr(path, '/');
	_cleanup_free_ char *parent = strndup(path, slash ? (size_t)(slash - path) : 0);
	_cleanup_close_ int fd = -1;
	int mount = open_mount(restore, ledger_mount(record));
	int r = mount < 0 ? mount : parent ? fd_open_dir_beneath(mount, parent, &fd) : -ENOMEM;

	/* A killed process leaves its group a moment after its death is seen. */
	while (r == 0 && unlinkat(fd, slash ? slash + 1 : path, AT_REMOVEDIR) < 0) {
		r = -errno;
		if (r != -EBUSY || clock_now_ns() >= restore->patience_until)
			break;
		clock_sleep_us(1000);
		r = 0;
	}
	/* The parent is made with the first group of ours and goes with the last. */
	if (mount >= 0 && parent && strcmp(parent, LEDGER_PARENT) == 0)
		unlinkat(mount, parent, AT_REMOVEDIR);
	return r;
}

static enum outcome undo_dir(struct restore *restore, const struct ledger_record *record)
{
	int r = remove_directory(restore, record);

	if (r == -EBUSY || r == -ENOTEMPTY)
		return say(restore, record, FAILED,
			   "processes or groups are still in it; stop them, then run pfuse-bpf "
			   "restore");
	return r < 0 ? failed(restore, record, r) : RESTORED;
}

/* Passes */

static void settle(struct restore *restore, uint64_t offset, enum outcome outcome)
{
	uint32_t *const counters[] = {
		[RESTORED] = &restore->counts.restored,
		[ALREADY] = &restore->counts.already,
		[FOREIGN] = &restore->counts.foreign,
		[GONE] = &restore->counts.gone,
		[FAILED] = &restore->counts.failed,
		[DAMAGED] = NULL, /* counted at opening */
		[LATER] = NULL,
	};

	if (counters[outcome])
		++*counters[outcome];
	if (outcome <= GONE && ledger_set_state(restore->ledger, offset, LEDGER_GONE) < 0)
		restore->counts.failed++;
}

static bool is_selected(const struct restore *restore, const struct ledger_record *record)
{
	return !restore->how->path || strcmp(restore->how->path, ledger_path(record)) == 0;
}

static int compare_offsets(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* The sound records in the order of the file: the oldest first. */
static int list_offsets(const struct ledger *ledger, uint32_t **ret_offsets, uint32_t *ret_count)
{
	uint32_t *offsets = calloc(ledger->room + 1, sizeof(*offsets)), count = 0;

	if (!offsets)
		return -ENOMEM;
	for (uint32_t i = 0; i < ledger->room; i++)
		if (ledger->offsets[i] && ledger->offsets[i] < ledger->committed)
			offsets[count++] = ledger->offsets[i];
	qsort(offsets, count, sizeof(*offsets), compare_offsets);
	*ret_offsets = offsets;
	*ret_count = count;
	return 0;
}

static const struct pass {
	enum outcome (*undo)(struct restore *restore, const struct ledger_record *record);
	enum ledger_kind kind;
	bool oldest_first;
	bool last_try;
} passes[] = {
	{ undo_frozen, LEDGER_FROZEN, false, true },
	{ undo_sigstop, LEDGER_SIGSTOP, false, true },
	{ undo_file, LEDGER_FILE, false, false },
	{ undo_file, LEDGER_FILE, false, true }, /* what was refused the first time */
	{ undo_slices, LEDGER_SLICE, false, true },
	{ undo_moved, LEDGER_MOVED, false, true },
	{ undo_strays, LEDGER_MOVED, true, true },
	{ undo_dir, LEDGER_DIR, false, true },
};

static void undo_one(struct restore *restore, uint64_t offset, const struct pass *pass)
{
	_cleanup_free_ struct ledger_record *record = NULL;
	struct ledger_record fixed;

	if (ledger_peek(restore->ledger, offset, &fixed) < 0 || fixed.kind != pass->kind ||
	    fixed.state == LEDGER_GONE || ledger_load(restore->ledger, offset, &record) < 0 ||
	    !is_selected(restore, record))
		return;
	if (record->state == LEDGER_LIVE)
		settle(restore, offset, pass->undo(restore, record));
	else if (record->state == LEDGER_DONE)
		ledger_set_state(restore->ledger, offset, LEDGER_GONE);
	else
		say(restore, record, DAMAGED, "its record is damaged; left alone");
}

static void run_pass(struct restore *restore, const struct pass *pass, const uint32_t *offsets,
		     uint32_t count)
{
	restore->last_try = pass->last_try;
	for (uint32_t i = 0; i < count; i++)
		undo_one(restore, offsets[pass->oldest_first ? i : count - 1 - i], pass);
}

int ledger_restore(struct ledger *ledger, const struct ledger_restore *how,
		   struct ledger_counts *ret_counts)
{
	struct restore restore = {
		.ledger = ledger,
		.how = how,
		.mount_fd = -1,
		.patience_until = clock_now_ns() + PATIENCE_NS,
		.counts.damaged = ledger->damaged_records,
	};
	_cleanup_free_ uint32_t *offsets = NULL;
	uint32_t count;
	int r = list_offsets(ledger, &offsets, &count);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(passes); i++)
		run_pass(&restore, &passes[i], offsets, count);
	close_fd(&restore.mount_fd);
	free(restore.mount);
	if (ret_counts)
		*ret_counts = restore.counts;
	return restore.counts.failed || restore.counts.damaged ? -EIO : 0;
}
