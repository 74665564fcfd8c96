/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What we changed, and what was there before: the file from which everything is undone, by the
 * daemon as it leaves, by the keeper when the daemon was killed, or by `pfuse-bpf restore`.
 *
 * Promise: a control is changed only after its old value is in the file (ledger_append(),
 * ledger_commit()), and a value is written only after the file names it as ours (ledger_intend()).
 * So at any instant a reader can tell old, ours and foreign values apart. Only values that are ours
 * are undone; what somebody else wrote since is theirs.
 * The file is written by pwrite(2), not mapped: the page cache outlives a killed process just as
 * well, a full file system is an error instead of a SIGBUS, a small write inside one page cannot be
 * torn by SIGKILL, and a mapping would count as private memory. After a power cut the boot id
 * differs and so do the groups: such a ledger is stale, and is dropped.
 * Damage (a CRC, the length, the magic) is reported with record and offset, and never guessed at:
 * the whole ledger is refused, unless `intact` asks for the records that are sound (the file is
 * then set aside as PATH.damaged). No record is believed under a header that is not.
 * A record that could not be undone stays: the next daemon tries again, and may record the same
 * control once more; undoing goes from the newest to the oldest, so the true old value wins.
 * Order: open (takes the lock) → [restore what a killed daemon left] → append… commit → intend →
 * … → restore → close. Handles are small numbers above 0; they survive a restart and compaction,
 * until the record is forgotten.
 * Ownership: struct ledger is opaque; 4 bytes of memory per record.
 */
#ifndef PFUSE_EDGE_LEDGER_H
#define PFUSE_EDGE_LEDGER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define LEDGER_DEFAULT_PATH "/run/pfuse-bpf/ledger"
#define LEDGER_PARENT "pfuse" /* directories of ours lie in it; it goes when it is empty */

struct ledger;

enum ledger_kind {
	LEDGER_FILE =
		1, /* a control file: `old` is its text before, or one line, see ledger_line() */
	LEDGER_FROZEN,	/* cgroup.freeze of the group is 1 because of us */
	LEDGER_SIGSTOP, /* we stopped the process */
	LEDGER_MOVED,	/* we moved the process here; `old` is the path it came from */
	LEDGER_DIR,	/* we are about to make the directory, or made it */
	LEDGER_SLICE,	/* tasks get slices from us; `old` is ours, in ns: what has it loses it */
};

struct ledger_entry {
	enum ledger_kind kind;
	const char *mount; /* where the hierarchy is mounted */
	const char *path;  /* the group below it: also what restore selects by */
	uint64_t group_id; /* inode of the group there; 0: not checked (DIR) */
	const char *file;  /* LEDGER_FILE, else NULL */
	const char *old;   /* LEDGER_FILE, LEDGER_MOVED, LEDGER_SLICE, else NULL */
	pid_t pid;	   /* LEDGER_SIGSTOP, LEDGER_MOVED */
	uint64_t starttime;
};

struct ledger_options {
	const char *path;    /* NULL: LEDGER_DEFAULT_PATH. The directory is made, 0700 */
	const char *boot_id; /* NULL: this boot's */
	uint64_t wait_ns;    /* for the lock; the daemon gives a dead one's keeper 2 s to restore */
	bool existing;	     /* -ENOENT rather than a new ledger */
	bool intact;	     /* accept a damaged ledger, with the sound records only */
};

/*
 * *ret_note, if there is something to say that is no error (a stale ledger was dropped, damage was
 * accepted), is that sentence; else it is empty.
 * -EBUSY: another pfuse-bpf holds it · -EBADMSG: damaged · -EPERM: not owned by us alone.
 */
int ledger_open(const struct ledger_options *options, struct ledger **ret_ledger,
		struct err *ret_note, struct err *err);

/* Gives up the lock. The file is removed if no record is live, else it stays. NULL is allowed. */
void ledger_close(struct ledger *ledger);

/* Records that are to be undone. */
uint32_t ledger_live(const struct ledger *ledger);

int ledger_append(struct ledger *ledger, const struct ledger_entry *entry, uint32_t *ret_record);
/* All records appended so far are binding. Compacts the file when most of it is forgotten. */
int ledger_commit(struct ledger *ledger);

/*
 * The value of a control file in canonical form, so that what the kernel prints compares with what
 * was written: numbers rounded down to pages where the kernel does, "max" and -1 and 2^62 and more
 * as PFUSE_UNLIMITED, memory.oom_control as its oom_kill_disable, cpuset.cpus.partition as its first
 * word, other texts as a hash. Of a file with a line per device: the value in one line, as
 * ledger_line() gives it.
 */
uint64_t ledger_value(const char *file, const char *text);

/*
 * Files with a line per device (io.max, blkio.throttle.*_bps_device, net_prio.ifpriomap): a record is
 * about one key of one device, and its `old` is the text that is written to put that back:
 * "8:0 rbps=max", "8:0 1048576", "eth0 0". ledger_line() gives the same of what the file holds now,
 * also for a device that it does not list; of any other file, the first line. -EFBIG: does not fit.
 */
bool ledger_is_line(const char *file);
int ledger_line(const char *file, const char *old, const char *text, char *buf, size_t size);

/*
 * The control holds `present` and will be given `next`. -ESTALE: `present` is neither the old value
 * nor ours, and nothing is recorded.
 */
int ledger_intend(struct ledger *ledger, uint32_t record, uint64_t present, uint64_t next);

/* The text of the control before our first change. */
int ledger_old(struct ledger *ledger, uint32_t record, char *buf, size_t size);

/* SIGSTOP and MOVED: whom the record is about. */
int ledger_process(struct ledger *ledger, uint32_t record, pid_t *ret_pid, uint64_t *ret_starttime);

/* Undone by the caller (the record stays, for the next time) · live again · not needed any more. */
int ledger_done(struct ledger *ledger, uint32_t record);
int ledger_again(struct ledger *ledger, uint32_t record);
int ledger_forget(struct ledger *ledger, uint32_t record);

struct ledger_restore {
	const char *path; /* only this group's records; NULL: all */
	int proc_fd;	  /* a proc file system, to tell processes from their successors */
	void (*say)(void *arg, const char *sentence); /* what is left alone or failed; or NULL */
	void *arg;
};

struct ledger_counts {
	uint32_t restored;
	uint32_t already; /* held the old value, or was running */
	uint32_t foreign; /* changed by somebody else: left alone */
	uint32_t gone;	  /* the group or process is no more */
	uint32_t failed;  /* stays in the ledger */
	uint32_t damaged; /* a record that cannot be believed: left alone, stays in the ledger */
};

/*
 * Undoes the live records: thaws and continues first, then limits, then moves, then directories.
 * Goes on past errors; the records done with are forgotten, and their handles with them.
 * 0, or -EIO if something failed or is damaged.
 */
int ledger_restore(struct ledger *ledger, const struct ledger_restore *how,
		   struct ledger_counts *ret_counts);

#endif
