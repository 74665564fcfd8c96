/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The ledger's file, for ledger.c (records), ledger_open.c (takes it) and
 * ledger_restore.c (undoes it) only.
 *
 *     header   80 bytes: magic, version, boot id, its CRC
 *     commit   16 bytes: how many bytes of the file are binding, its CRC; rewritten in place
 *     record…  each a multiple of 16 bytes: a fixed part, two slots, a state, strings, padding
 *
 * Immutable bytes of a record are under its CRC, together with its offset. What changes later is
 * written in place by one pwrite(2) of at most 16 bytes that never crosses a page (records are
 * aligned to 16), which a SIGKILL cannot cut in half: so a CRC that fails is damage, never a crash.
 * Two slots hold the two newest values of ours, each with a number and a CRC: between ledger_intend()
 * and the write of the control, both the value that is there and the one that comes are named.
 * The state is one of three words that no flipped bit turns into another.
 */
#ifndef PFUSE_EDGE_LEDGER_FILE_H
#define PFUSE_EDGE_LEDGER_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "edge/ledger.h"

#define LEDGER_MAGIC "pfuseLG\n"
#define LEDGER_VERSION 2 /* 2: records may be about one line of a file */
#define LEDGER_ALIGN 16
#define LEDGER_RECORD_MAX 16384	  /* bytes: three paths of 4 KiB and a name */
#define LEDGER_HANDLES (1u << 22) /* records at one time: 10,000 groups need about 60,000 */

enum ledger_state {
	LEDGER_LIVE = 0x4556494c, /* "LIVE": to be undone */
	LEDGER_DONE = 0x454e4f44, /* "DONE": undone, kept for the next time */
	LEDGER_GONE = 0x656e6f67, /* "gone": forgotten, dropped when the file is compacted */
};

struct ledger_header {
	char magic[8];
	uint32_t version;
	uint32_t pid; /* of the daemon that made it; the lock says who holds it */
	char boot_id[56];
	uint32_t zero;
	uint32_t crc;
};

struct ledger_commit {
	uint64_t length;
	uint32_t records;
	uint32_t crc;
};

struct ledger_slot {
	uint64_t value;
	uint32_t number; /* 0: never written */
	uint32_t crc;
};

struct ledger_record {
	uint32_t crc; /* of the offset in the file, [bytes, slots) and [text, end) */
	uint32_t bytes;
	uint32_t id;
	uint16_t kind;
	uint16_t file_size; /* sizes of the strings with their 0; 0: none */
	uint64_t group_id;
	uint64_t starttime;
	int32_t pid;
	uint16_t mount_size;
	uint16_t path_size;
	uint16_t old_size;
	uint16_t zero[3];
	struct ledger_slot slots[2];
	uint32_t state;
	char text[]; /* mount, path, file, old */
};

#define LEDGER_RECORDS_AT (sizeof(struct ledger_header) + sizeof(struct ledger_commit))
#define LEDGER_FIXED offsetof(struct ledger_record, text)

_Static_assert(sizeof(struct ledger_header) == 80, "no padding");
_Static_assert(sizeof(struct ledger_commit) == 16, "written whole");
_Static_assert(offsetof(struct ledger_record, slots) == 48, "slots do not cross a page");
_Static_assert(LEDGER_FIXED == 84, "no padding");

struct ledger {
	int fd;
	int dir_fd;
	int lock_fd;
	char *path;
	char *name;   /* the last part of path: the file in dir_fd */
	uint64_t end; /* where the next record goes */
	uint64_t committed;
	uint32_t records; /* in the file */
	uint32_t live;
	uint64_t forgotten_bytes;
	uint32_t *offsets; /* by handle; 0: free */
	uint32_t room;
	bool damaged; /* opened with `intact`: for restoring only */
	uint32_t damaged_records;
};

/* A sound record, malloc'ed. -EBADMSG: damaged. */
int ledger_load(const struct ledger *ledger, uint64_t offset, struct ledger_record **ret_record);

int ledger_load_at(int fd, uint64_t offset, uint64_t end, struct ledger_record **ret_record);

/* Only the part before the strings, unchecked: to pass over records that do not matter. */
int ledger_peek(const struct ledger *ledger, uint64_t offset, struct ledger_record *ret_fixed);

/* 0: no such record. */
uint64_t ledger_offset(const struct ledger *ledger, uint32_t handle);
int ledger_set_offset(struct ledger *ledger, uint32_t handle, uint64_t offset);

/* ledger_value() of a line. -ENOENT: the file has no lines; -EBADMSG: not one of ledger_line()'s. */
int ledger_line_value(const char *file, const char *line, uint64_t *ret_value);

int ledger_write_commit(struct ledger *ledger, uint64_t length, uint32_t records);
int ledger_set_state(struct ledger *ledger, uint64_t offset, enum ledger_state state);

static inline const char *ledger_mount(const struct ledger_record *record)
{
	return record->text;
}

static inline const char *ledger_path(const struct ledger_record *record)
{
	return record->text + record->mount_size;
}

static inline const char *ledger_file(const struct ledger_record *record)
{
	return record->text + record->mount_size + record->path_size;
}

static inline const char *ledger_old_text(const struct ledger_record *record)
{
	return record->text + record->mount_size + record->path_size + record->file_size;
}

enum ledger_slot_state { LEDGER_SLOT_EMPTY, LEDGER_SLOT_OURS, LEDGER_SLOT_DAMAGED };

enum ledger_slot_state ledger_slot_state(const struct ledger_record *record, int slot);

#endif
