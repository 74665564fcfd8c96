/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Taking the ledger: its directory, its lock, and the check of every byte that will be believed.
 */
#include "edge/ledger.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/crc32.h"
#include "base/fd.h"
#include "edge/ledger_file.h"

static int write_header(int fd, const char *boot_id)
{
	struct ledger_header header = {
		.magic = LEDGER_MAGIC,
		.version = LEDGER_VERSION,
		.pid = (uint32_t)getpid(),
	};

	memcpy(header.boot_id, boot_id, strnlen(boot_id, sizeof(header.boot_id) - 1));
	header.crc = crc32_of(0, &header, offsetof(struct ledger_header, crc));
	return fd_pwrite_all(fd, &header, sizeof(header), 0);
}

/* The file appears with its header and an empty commit, or not at all. */
static int create_file(struct ledger *ledger, const char *boot_id)
{
	_cleanup_free_ char *new = NULL;
	int r;

	if (asprintf(&new, "%s.new", ledger->name) < 0)
		return -ENOMEM;
	ledger->fd = openat(ledger->dir_fd, new,
			    O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (ledger->fd < 0)
		return -errno;
	r = write_header(ledger->fd, boot_id);
	if (r == 0)
		r = ledger_write_commit(ledger, LEDGER_RECORDS_AT, 0);
	if (r == 0 && (fsync(ledger->fd) < 0 ||
		       renameat(ledger->dir_fd, new, ledger->dir_fd, ledger->name) < 0))
		r = -errno;
	if (r < 0) {
		unlinkat(ledger->dir_fd, new, 0);
		return r;
	}
	fsync(ledger->dir_fd);
	ledger->end = ledger->committed = LEDGER_RECORDS_AT;
	return 0;
}

#define LOOK_BY_HAND                                                                               \
	"nothing was restored; look at its groups, or undo the sound records with "                \
	"\"pfuse-bpf restore --intact\", which then sets the file aside"

/* Adopts one sound record; counts what is wrong with its changeable part. */
static int adopt(struct ledger *ledger, const struct ledger_record *record, uint64_t offset,
		 bool *ret_sound)
{
	bool sound = record->state == LEDGER_LIVE || record->state == LEDGER_DONE ||
		     record->state == LEDGER_GONE;

	if (record->id >= LEDGER_HANDLES || ledger_offset(ledger, record->id))
		sound = false;
	else if (ledger_set_offset(ledger, record->id, offset) < 0)
		return -ENOMEM;
	for (int i = 0; i < 2; i++)
		sound = sound && ledger_slot_state(record, i) != LEDGER_SLOT_DAMAGED;
	ledger->records++;
	ledger->live += record->state == LEDGER_LIVE;
	ledger->forgotten_bytes += record->state == LEDGER_GONE ? record->bytes : 0;
	*ret_sound = sound;
	return 0;
}

/* Every record from the first to `end`. After damage: the next place at which a record is sound. */
static int scan(struct ledger *ledger, uint64_t end, bool intact, struct err *err)
{
	bool inside = false; /* a stretch of damage, which counts as one record */

	for (uint64_t at = LEDGER_RECORDS_AT; at < end;) {
		_cleanup_free_ struct ledger_record *record = NULL;
		int r = ledger_load_at(ledger->fd, at, end, &record);
		bool sound = false;

		if (r == 0)
			r = adopt(ledger, record, at, &sound);
		if (r < 0 && r != -EBADMSG)
			return err_set(err, r, "ledger %s: %s", ledger->path, strerror(-r));
		if (!sound && !intact)
			return err_set(
				err, -EBADMSG,
				"ledger %s: record %u at offset %llu is damaged (its checksum "
				"fails); " LOOK_BY_HAND,
				ledger->path, ledger->records, (unsigned long long)at);
		ledger->damaged_records += !sound && !inside;
		inside = !record;
		at += record ? record->bytes : LEDGER_ALIGN;
	}
	return 0;
}

static int read_header(const struct ledger *ledger, struct ledger_header *ret_header,
		       struct err *err)
{
	struct ledger_header header;
	int r = fd_pread_all(ledger->fd, &header, sizeof(header), 0);

	if (r < 0 && r != -ENODATA)
		return err_set(err, r, "cannot read ledger %s: %s", ledger->path, strerror(-r));
	if (r < 0)
		return err_set(err, -EBADMSG,
			       "ledger %s is cut off inside its header: its records cannot be "
			       "trusted; look for frozen groups and small limits, then remove it",
			       ledger->path);
	if (memcmp(header.magic, LEDGER_MAGIC, sizeof(header.magic)) != 0 ||
	    header.crc != crc32_of(0, &header, offsetof(struct ledger_header, crc)) ||
	    header.boot_id[sizeof(header.boot_id) - 1])
		return err_set(
			err, -EBADMSG,
			"the header of ledger %s is damaged, or it is no ledger: its records "
			"cannot be trusted; look for frozen groups and small limits, then "
			"remove it",
			ledger->path);
	if (header.version != LEDGER_VERSION)
		return err_set(err, -EBADMSG,
			       "ledger %s has version %u, this program reads %d; restore with the "
			       "program that wrote it",
			       ledger->path, header.version, LEDGER_VERSION);
	*ret_header = header;
	return 0;
}

/* How far the file is binding. With `intact`, a damaged commit or a cut file is read to its end. */
static int read_commit(struct ledger *ledger, uint64_t size, bool intact, uint64_t *ret_end,
		       struct err *err)
{
	struct ledger_commit commit;
	int r = fd_pread_all(ledger->fd, &commit, sizeof(commit), sizeof(struct ledger_header));

	if (r == 0 && commit.crc != crc32_of(0, &commit, offsetof(struct ledger_commit, crc)))
		r = -EBADMSG;
	if (r < 0 && !intact)
		return err_set(err, -EBADMSG,
			       "ledger %s: the length at offset %zu is damaged; " LOOK_BY_HAND,
			       ledger->path, sizeof(struct ledger_header));
	if (r == 0 && commit.length > size && !intact)
		return err_set(err, -EBADMSG,
			       "ledger %s is cut off: %llu of %llu bytes are there; " LOOK_BY_HAND,
			       ledger->path, (unsigned long long)size,
			       (unsigned long long)commit.length);
	ledger->damaged_records += r < 0 || commit.length > size;
	*ret_end = r < 0 || commit.length > size ? size : commit.length;
	return 0;
}

static int read_file(struct ledger *ledger, bool intact, struct err *err)
{
	struct stat st;
	uint64_t end = 0;
	int r;

	if (fstat(ledger->fd, &st) < 0)
		return err_set(err, -errno, "ledger %s: %s", ledger->path, strerror(errno));
	if ((uint64_t)st.st_size > UINT32_MAX)
		return err_set(err, -EBADMSG, "ledger %s is too long to be one", ledger->path);
	r = read_commit(ledger, (uint64_t)st.st_size, intact, &end, err);
	if (r < 0)
		return r;
	ledger->end = ledger->committed = end;
	r = scan(ledger, end, intact, err);
	ledger->damaged = ledger->damaged_records > 0;
	return r;
}

static int check_owner(int fd, const char *what, const char *name, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_set(err, -errno, "%s %s: %s", what, name, strerror(errno));
	if ((st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & 022))
		return err_set(err, -EPERM,
			       "%s %s can be written by others; make it belong to root, mode go-w",
			       what, name);
	return 0;
}

static int open_directory(struct ledger *ledger, const char *path, struct err *err)
{
	_cleanup_free_ char *dir = strdup(path);
	char *slash = dir ? strrchr(dir, '/') : NULL;

	if (!dir)
		return err_set(err, -ENOMEM, "out of memory");
	if (slash)
		*slash = '\0';
	ledger->path = strdup(path);
	if (!ledger->path)
		return err_set(err, -ENOMEM, "out of memory");
	ledger->name = strrchr(ledger->path, '/');
	ledger->name = ledger->name ? ledger->name + 1 : ledger->path;
	if (!*ledger->name)
		return err_set(err, -EISDIR, "ledger %s: not the name of a file", path);
	if (slash == dir)
		memcpy(dir, "/", sizeof("/"));
	else if (!slash)
		memcpy(dir, ".", sizeof("."));
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_set(err, -errno, "cannot make the ledger's directory %s: %s", dir,
			       strerror(errno));
	ledger->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ledger->dir_fd < 0)
		return err_set(err, -errno, "cannot open the ledger's directory %s: %s", dir,
			       strerror(errno));
	return check_owner(ledger->dir_fd, "directory", dir, err);
}

/* The lock may have been removed by its last holder between open and flock: then it is void. */
static bool lock_is_current(const struct ledger *ledger, const char *name)
{
	struct stat ours, theirs;

	return fstat(ledger->lock_fd, &ours) == 0 &&
	       fstatat(ledger->dir_fd, name, &theirs, AT_SYMLINK_NOFOLLOW) == 0 &&
	       ours.st_ino == theirs.st_ino;
}

static int try_lock(struct ledger *ledger, const char *name)
{
	char text[16];

	close_fd(&ledger->lock_fd);
	ledger->lock_fd =
		openat(ledger->dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (ledger->lock_fd < 0)
		return -errno;
	if (flock(ledger->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (!lock_is_current(ledger, name))
		return -EAGAIN;
	snprintf(text, sizeof(text), "%d\n", (int)getpid());
	return fd_write_at(ledger->dir_fd, name, text);
}

/* A lock of its own: the ledger itself is replaced by rename when it is compacted. */
static int take_lock(struct ledger *ledger, uint64_t wait_ns, struct err *err)
{
	_cleanup_free_ char *name = NULL;
	const uint64_t until = clock_now_ns() + wait_ns;
	char holder[16] = "?";
	int r;

	if (asprintf(&name, "%s.lock", ledger->name) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	for (;;) {
		r = try_lock(ledger, name);
		if (r == -EAGAIN)
			continue;
		if (r != -EBUSY || clock_now_ns() >= until)
			break;
		clock_sleep_us(1000);
	}
	if (r == -EBUSY) {
		fd_read_head_at(ledger->dir_fd, name, holder, sizeof(holder), NULL);
		holder[strcspn(holder, "\n")] = '\0';
		return err_set(
			err, r,
			"another pfuse-bpf runs (pid %s), or its keeper is at work, and holds the "
			"ledger %s; end it first",
			holder, ledger->path);
	}
	if (r < 0)
		return err_set(err, r, "cannot lock the ledger %s: %s", ledger->path, strerror(-r));
	return 0;
}

static int read_boot_id(const char *given, char *buf, size_t size)
{
	int r = 0;

	if (given)
		snprintf(buf, size, "%s", given);
	else
		r = fd_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", buf, size, NULL);
	buf[r == 0 ? strcspn(buf, "\n") : 0] = '\0';
	return r;
}

/* 1: it is of this boot, and read. 0: there is none, or it was stale and is gone. */
static int open_existing(struct ledger *ledger, const struct ledger_options *options,
			 const char *boot_id, struct err *note, struct err *err)
{
	struct ledger_header header;
	int r;

	ledger->fd = openat(ledger->dir_fd, ledger->name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (ledger->fd < 0 && errno == ENOENT)
		return 0;
	if (ledger->fd < 0)
		return err_set(err, -errno, "cannot open the ledger %s: %s", ledger->path,
			       strerror(errno));
	r = check_owner(ledger->fd, "ledger", ledger->path, err);
	if (r == 0)
		r = read_header(ledger, &header, err);
	if (r < 0)
		return r;
	if (strcmp(header.boot_id, boot_id) == 0) {
		r = read_file(ledger, options->intact, err);
		return r < 0 ? r : 1;
	}
	if (unlinkat(ledger->dir_fd, ledger->name, 0) < 0)
		return err_set(err, -errno, "cannot remove the stale ledger %s: %s", ledger->path,
			       strerror(errno));
	close_fd(&ledger->fd);
	err_set(note, 0, "dropped the ledger %s of an earlier boot: its groups are gone",
		ledger->path);
	return 0;
}

static void free_ledger(struct ledger **ledger)
{
	struct ledger *l = *ledger;

	if (!l)
		return;
	close_fd(&l->fd);
	close_fd(&l->lock_fd);
	close_fd(&l->dir_fd);
	free(l->offsets);
	free(l->path);
	free(l);
	*ledger = NULL;
}

static void remove_lock(struct ledger *ledger)
{
	_cleanup_free_ char *name = NULL;

	if (asprintf(&name, "%s.lock", ledger->name) >= 0)
		unlinkat(ledger->dir_fd, name, 0);
}

static int open_locked(struct ledger *ledger, const struct ledger_options *options,
		       struct err *note, struct err *err)
{
	char boot_id[sizeof(((struct ledger_header *)0)->boot_id)];
	int r = read_boot_id(options->boot_id, boot_id, sizeof(boot_id));

	if (r < 0)
		return err_set(err, r, "cannot read the boot id: %s", strerror(-r));
	r = open_existing(ledger, options, boot_id, note, err);
	if (r == 0 && options->existing)
		return err_set(err, -ENOENT, "there is no ledger %s: nothing is to be restored",
			       ledger->path);
	if (r == 0) {
		r = create_file(ledger, boot_id);
		if (r < 0)
			err_set(err, r, "cannot make the ledger %s: %s", ledger->path,
				strerror(-r));
	}
	if (r >= 0 && ledger->damaged)
		err_set(note, 0, "ledger %s is damaged: only its sound records are restored",
			ledger->path);
	return r < 0 ? r : 0;
}

int ledger_open(const struct ledger_options *options, struct ledger **ret_ledger,
		struct err *ret_note, struct err *err)
{
	_cleanup_(free_ledger) struct ledger *ledger = calloc(1, sizeof(*ledger));
	struct err note = { "" };
	int r;

	if (!ledger)
		return err_set(err, -ENOMEM, "out of memory");
	ledger->fd = ledger->dir_fd = ledger->lock_fd = -1;
	r = open_directory(ledger, options->path ?: LEDGER_DEFAULT_PATH, err);
	if (r == 0)
		r = take_lock(ledger, options->wait_ns, err);
	if (r < 0)
		return r;
	r = open_locked(ledger, options, &note, err);
	if (ret_note)
		*ret_note = note;
	if (r < 0) {
		remove_lock(ledger);
		return r;
	}
	*ret_ledger = TAKE_PTR(ledger);
	return 0;
}

void ledger_close(struct ledger *ledger)
{
	_cleanup_free_ char *aside = NULL;

	if (!ledger)
		return;
	if (ledger->damaged && asprintf(&aside, "%s.damaged", ledger->name) >= 0)
		renameat(ledger->dir_fd, ledger->name, ledger->dir_fd, aside);
	else if (ledger->live == 0)
		unlinkat(ledger->dir_fd, ledger->name, 0);
	remove_lock(ledger);
	free_ledger(&ledger);
}

uint32_t ledger_live(const struct ledger *ledger)
{
	return ledger->live;
}
