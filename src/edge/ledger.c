/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/ledger.h"

#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/crc32.h"
#include "base/fd.h"
#include "base/num.h"
#include "edge/ledger_file.h"
#include "pfuse/sample.h"

/* Records are read and written here; ledger_open.c opens, ledger_restore.c undoes. */

#define USUAL_RECORD 320 /* bytes: of a limit, with a path of up to 180; read at once */
#define COMPACT_FROM                                                                               \
	(UINT64_C(64) * 1024) /* bytes of forgotten records: below that, not worth a rename */

/* Values */

static uint64_t hash_text(const char *text, size_t length)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
	return hash;
}

uint64_t ledger_value(const char *file, const char *text)
{
	uint64_t value, page = (uint64_t)sysconf(_SC_PAGESIZE);
	size_t length = strlen(text);

	while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == ' '))
		length--;
	if (ledger_line_value(file, text, &value) == 0)
		return value;
	if (strcmp(file, "memory.oom_control") == 0 &&
	    num_find_key(text, "oom_kill_disable", &value) == 0)
		return value;
	if (strcmp(file, "cpuset.cpus.partition") == 0) /* "root invalid (why)" is "root" */
		length = strcspn(text, " \n");
	if ((length == 3 && memcmp(text, "max", 3) == 0) ||
	    (length == 2 && memcmp(text, "-1", 2) == 0))
		return PFUSE_UNLIMITED;
	if (num_parse_all(text, &value) < 0)
		return hash_text(text, length);
	if (value >= UINT64_C(1) << 62)
		return PFUSE_UNLIMITED;
	if (strncmp(file, "memory.", 7) == 0 && value >= page)
		value -= value % page;
	return value;
}

/* Records */

static uint32_t record_crc(const struct ledger_record *record, uint64_t offset)
{
	const size_t from = offsetof(struct ledger_record, bytes);
	uint32_t crc = crc32_of(0, &offset, sizeof(offset));

	crc = crc32_of(crc, &record->bytes, offsetof(struct ledger_record, slots) - from);
	return crc32_of(crc, record->text, record->bytes - LEDGER_FIXED);
}

static uint32_t slot_crc(const struct ledger_record *record, const struct ledger_slot *slot)
{
	uint32_t crc = crc32_of(0, &record->id, sizeof(record->id));

	return crc32_of(crc, slot, offsetof(struct ledger_slot, crc));
}

enum ledger_slot_state ledger_slot_state(const struct ledger_record *record, int i)
{
	const struct ledger_slot *slot = &record->slots[i];

	if (slot->number == 0 && slot->value == 0 && slot->crc == 0)
		return LEDGER_SLOT_EMPTY;
	return slot->number > 0 && slot->crc == slot_crc(record, slot) ? LEDGER_SLOT_OURS
								       : LEDGER_SLOT_DAMAGED;
}

static bool text_is_sound(const struct ledger_record *record)
{
	const uint16_t sizes[] = { record->mount_size, record->path_size, record->file_size,
				   record->old_size };
	size_t at = 0, room = record->bytes - LEDGER_FIXED;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		if (sizes[i] > room - at || (sizes[i] > 0 && record->text[at + sizes[i] - 1]))
			return false;
		at += sizes[i];
	}
	return record->mount_size > 0 && record->path_size > 0 &&
	       (record->kind != LEDGER_FILE || (record->file_size > 0 && record->old_size > 0)) &&
	       ((record->kind != LEDGER_MOVED && record->kind != LEDGER_SLICE) ||
		record->old_size > 0);
}

static bool fixed_is_sound(const struct ledger_record *fixed, uint64_t offset, uint64_t end)
{
	return fixed->bytes >= LEDGER_FIXED && fixed->bytes <= LEDGER_RECORD_MAX &&
	       fixed->bytes % LEDGER_ALIGN == 0 && fixed->bytes <= end - offset &&
	       fixed->kind >= LEDGER_FILE && fixed->kind <= LEDGER_SLICE && fixed->id > 0;
}

int ledger_peek(const struct ledger *ledger, uint64_t offset, struct ledger_record *ret_fixed)
{
	return fd_pread_all(ledger->fd, ret_fixed, LEDGER_FIXED, (off_t)offset);
}

int ledger_load_at(int fd, uint64_t offset, uint64_t end, struct ledger_record **ret_record)
{
	_cleanup_free_ struct ledger_record *record = NULL;
	struct ledger_record fixed;
	char head[USUAL_RECORD];
	size_t have;
	int r;

	if (end < offset || end - offset < LEDGER_FIXED)
		return -EBADMSG;
	have = end - offset < sizeof(head) ? end - offset : sizeof(head);
	r = fd_pread_all(fd, head, have, (off_t)offset);
	if (r < 0)
		return r == -ENODATA ? -EBADMSG : r;
	memcpy(&fixed, head, LEDGER_FIXED);
	if (!fixed_is_sound(&fixed, offset, end))
		return -EBADMSG;
	record = malloc(fixed.bytes);
	if (!record)
		return -ENOMEM;
	memcpy(record, head, have < fixed.bytes ? have : fixed.bytes);
	if (fixed.bytes > have)
		r = fd_pread_all(fd, (char *)record + have, fixed.bytes - have,
				 (off_t)(offset + have));
	if (r < 0)
		return r == -ENODATA ? -EBADMSG : r;
	if (record->crc != record_crc(record, offset) || !text_is_sound(record))
		return -EBADMSG;
	*ret_record = TAKE_PTR(record);
	return 0;
}

int ledger_load(const struct ledger *ledger, uint64_t offset, struct ledger_record **ret_record)
{
	return ledger_load_at(ledger->fd, offset, ledger->end, ret_record);
}

uint64_t ledger_offset(const struct ledger *ledger, uint32_t handle)
{
	return handle < ledger->room ? ledger->offsets[handle] : 0;
}

int ledger_set_state(struct ledger *ledger, uint64_t offset, enum ledger_state state)
{
	const uint32_t word = state;
	struct ledger_record fixed;
	int r = offset ? ledger_peek(ledger, offset, &fixed) : -ENOENT;

	if (r < 0)
		return r;
	if (fixed.state == LEDGER_GONE || fixed.state == word)
		return fixed.state == word ? 0 : -ENOENT;
	r = fd_pwrite_all(ledger->fd, &word, sizeof(word),
			  (off_t)(offset + offsetof(struct ledger_record, state)));
	if (r < 0)
		return r;
	ledger->live -= fixed.state == LEDGER_LIVE;
	ledger->live += word == LEDGER_LIVE;
	ledger->forgotten_bytes += word == LEDGER_GONE ? fixed.bytes : 0;
	return 0;
}

int ledger_set_offset(struct ledger *ledger, uint32_t handle, uint64_t offset)
{
	if (handle >= ledger->room) {
		uint32_t room = ledger->room ? ledger->room * 2 : 64;
		uint32_t *offsets;

		while (room <= handle)
			room *= 2;
		offsets = reallocarray(ledger->offsets, room, sizeof(*offsets));
		if (!offsets)
			return -ENOMEM;
		memset(offsets + ledger->room, 0, (room - ledger->room) * sizeof(*offsets));
		ledger->offsets = offsets;
		ledger->room = room;
	}
	ledger->offsets[handle] = (uint32_t)offset;
	return 0;
}

/* Writing */

int ledger_write_commit(struct ledger *ledger, uint64_t length, uint32_t records)
{
	struct ledger_commit commit = { .length = length, .records = records };

	commit.crc = crc32_of(0, &commit, offsetof(struct ledger_commit, crc));
	return fd_pwrite_all(ledger->fd, &commit, sizeof(commit), sizeof(struct ledger_header));
}

static uint16_t size_of(const char *text)
{
	return text ? (uint16_t)(strlen(text) + 1) : 0;
}

static struct ledger_record *build_record(const struct ledger_entry *entry, uint32_t handle,
					  uint64_t offset)
{
	const char *texts[] = { entry->mount, entry->path, entry->file, entry->old };
	size_t length = 0, bytes;
	struct ledger_record *record;
	char *to;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		length += size_of(texts[i]);
	bytes = (LEDGER_FIXED + length + LEDGER_ALIGN - 1) / LEDGER_ALIGN * LEDGER_ALIGN;
	record = calloc(1, bytes);
	if (!record)
		return NULL;
	record->bytes = (uint32_t)bytes;
	record->id = handle;
	record->kind = (uint16_t)entry->kind;
	record->group_id = entry->group_id;
	record->starttime = entry->starttime;
	record->pid = entry->pid;
	record->mount_size = size_of(entry->mount);
	record->path_size = size_of(entry->path);
	record->file_size = size_of(entry->file);
	record->old_size = size_of(entry->old);
	record->state = LEDGER_LIVE;
	to = record->text;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		to = texts[i] ? stpcpy(to, texts[i]) + 1 : to;
	record->crc = record_crc(record, offset);
	return record;
}

static bool entry_fits(const struct ledger_entry *entry)
{
	const char *texts[] = { entry->mount, entry->path, entry->file, entry->old };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (texts[i] && strlen(texts[i]) >= 4000)
			return false;
	return entry->mount && entry->path && (entry->kind != LEDGER_FILE || entry->file) &&
	       (entry->old || (entry->kind != LEDGER_FILE && entry->kind != LEDGER_MOVED &&
			       entry->kind != LEDGER_SLICE));
}

static uint32_t free_handle(const struct ledger *ledger)
{
	/* At most one handle per record in the file is taken: one of the next is free. */
	for (uint32_t i = ledger->records + 1; i < ledger->room; i++)
		if (!ledger->offsets[i])
			return i;
	for (uint32_t i = 1; i <= ledger->records && i < ledger->room; i++)
		if (!ledger->offsets[i])
			return i;
	return ledger->room ? ledger->room : 1;
}

int ledger_append(struct ledger *ledger, const struct ledger_entry *entry, uint32_t *ret_record)
{
	_cleanup_free_ struct ledger_record *record = NULL;
	uint32_t handle = free_handle(ledger);
	int r;

	if (ledger->damaged)
		return -EROFS;
	if (!entry_fits(entry))
		return -EINVAL;
	if (ledger->end > UINT32_MAX - LEDGER_RECORD_MAX || handle >= LEDGER_HANDLES)
		return -EFBIG;
	record = build_record(entry, handle, ledger->end);
	if (!record)
		return -ENOMEM;
	r = fd_pwrite_all(ledger->fd, record, record->bytes, (off_t)ledger->end);
	if (r < 0)
		return r;
	r = ledger_set_offset(ledger, handle, ledger->end);
	if (r < 0)
		return r;
	ledger->end += record->bytes;
	ledger->records++;
	ledger->live++;
	*ret_record = handle;
	return 0;
}

/* Copies what is not forgotten into `to`, whose file is new and empty. */
static int copy_records(const struct ledger *from, struct ledger *to)
{
	struct ledger_record fixed;
	int r;

	for (uint64_t at = LEDGER_RECORDS_AT; at < from->end; at += fixed.bytes) {
		_cleanup_free_ struct ledger_record *record = NULL;

		r = ledger_load(from, at, &record);
		if (r < 0)
			return r;
		memcpy(&fixed, record, LEDGER_FIXED);
		if (record->state == LEDGER_GONE)
			continue;
		record->crc = record_crc(record, to->end);
		r = fd_pwrite_all(to->fd, record, record->bytes, (off_t)to->end);
		if (r == 0)
			r = ledger_set_offset(to, record->id, to->end);
		if (r < 0)
			return r;
		to->end += record->bytes;
		to->records++;
		to->live += record->state == LEDGER_LIVE;
	}
	return 0;
}

static int copy_file(const struct ledger *from, struct ledger *to, const char *name)
{
	struct ledger_header header;
	int r = fd_pread_all(from->fd, &header, sizeof(header), 0);

	to->fd = openat(from->dir_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
			0600);
	if (to->fd < 0)
		return -errno;
	to->end = LEDGER_RECORDS_AT;
	if (r == 0)
		r = fd_pwrite_all(to->fd, &header, sizeof(header), 0);
	if (r == 0)
		r = copy_records(from, to);
	if (r == 0)
		r = ledger_write_commit(to, to->end, to->records);
	if (r == 0 &&
	    (fsync(to->fd) < 0 || renameat(from->dir_fd, name, from->dir_fd, from->name) < 0))
		r = -errno;
	return r;
}

/* A failure is harmless: the old file stays as it is. */
static void compact(struct ledger *ledger)
{
	_cleanup_free_ char *name = NULL;
	struct ledger to = { .fd = -1 };

	if (asprintf(&name, "%s.new", ledger->name) < 0)
		return;
	if (copy_file(ledger, &to, name) < 0) {
		unlinkat(ledger->dir_fd, name, 0);
		close_fd(&to.fd);
		free(to.offsets);
		return;
	}
	fsync(ledger->dir_fd);
	close_fd(&ledger->fd);
	free(ledger->offsets);
	ledger->fd = to.fd;
	ledger->offsets = to.offsets;
	ledger->room = to.room;
	ledger->end = ledger->committed = to.end;
	ledger->records = to.records;
	ledger->live = to.live;
	ledger->forgotten_bytes = 0;
}

int ledger_commit(struct ledger *ledger)
{
	int r;

	if (ledger->end == ledger->committed)
		return 0;
	if (fdatasync(ledger->fd) < 0)
		return -errno;
	r = ledger_write_commit(ledger, ledger->end, ledger->records);
	if (r < 0)
		return r;
	if (fdatasync(ledger->fd) < 0)
		return -errno;
	ledger->committed = ledger->end;
	if (ledger->forgotten_bytes >= COMPACT_FROM &&
	    ledger->forgotten_bytes > ledger->end - ledger->forgotten_bytes)
		compact(ledger);
	return 0;
}

/* The slot that may be overwritten: never the one that names what the control holds now. */
static int spare_slot(const struct ledger_record *record, uint64_t present)
{
	const struct ledger_slot *s = record->slots;
	bool newest = s[1].number > s[0].number;

	for (int i = 0; i < 2; i++)
		if (s[i].number > 0 && s[i].value == present)
			return !i;
	return !newest;
}

static bool is_ours_or_old(const struct ledger_record *record, uint64_t present)
{
	if (present == ledger_value(ledger_file(record), ledger_old_text(record)))
		return true;
	for (int i = 0; i < 2; i++)
		if (ledger_slot_state(record, i) == LEDGER_SLOT_OURS &&
		    record->slots[i].value == present)
			return true;
	return false;
}

int ledger_intend(struct ledger *ledger, uint32_t handle, uint64_t present, uint64_t next)
{
	_cleanup_free_ struct ledger_record *record = NULL;
	uint64_t offset = ledger_offset(ledger, handle);
	struct ledger_slot slot = { .value = next };
	int r, spare;

	if (!offset || offset >= ledger->committed)
		return -ENOENT;
	r = ledger_load(ledger, offset, &record);
	if (r < 0)
		return r;
	if (record->state != LEDGER_LIVE || record->kind != LEDGER_FILE)
		return -ENOENT;
	if (!is_ours_or_old(record, present))
		return -ESTALE;
	if (next == present)
		return 0; /* named already, and nothing will be written */
	spare = spare_slot(record, present);
	slot.number = record->slots[!spare].number + 1;
	slot.crc = slot_crc(record, &slot);
	return fd_pwrite_all(ledger->fd, &slot, sizeof(slot),
			     (off_t)(offset + offsetof(struct ledger_record, slots) +
				     (size_t)spare * sizeof(slot)));
}

int ledger_old(struct ledger *ledger, uint32_t handle, char *buf, size_t size)
{
	_cleanup_free_ struct ledger_record *record = NULL;
	uint64_t offset = ledger_offset(ledger, handle);
	int r = offset ? ledger_load(ledger, offset, &record) : -ENOENT;

	if (r < 0)
		return r;
	if (record->old_size == 0 || record->old_size > size)
		return record->old_size ? -EFBIG : -ENOENT;
	memcpy(buf, ledger_old_text(record), record->old_size);
	return 0;
}

int ledger_process(struct ledger *ledger, uint32_t handle, pid_t *ret_pid, uint64_t *ret_starttime)
{
	struct ledger_record fixed;
	uint64_t offset = ledger_offset(ledger, handle);
	int r = offset ? ledger_peek(ledger, offset, &fixed) : -ENOENT;

	if (r < 0)
		return r;
	if (fixed.pid <= 0 || fixed.state == LEDGER_GONE)
		return -ENOENT;
	*ret_pid = fixed.pid;
	*ret_starttime = fixed.starttime;
	return 0;
}

int ledger_done(struct ledger *ledger, uint32_t handle)
{
	return ledger_set_state(ledger, ledger_offset(ledger, handle), LEDGER_DONE);
}

int ledger_again(struct ledger *ledger, uint32_t handle)
{
	return ledger_set_state(ledger, ledger_offset(ledger, handle), LEDGER_LIVE);
}

int ledger_forget(struct ledger *ledger, uint32_t handle)
{
	return ledger_set_state(ledger, ledger_offset(ledger, handle), LEDGER_GONE);
}
