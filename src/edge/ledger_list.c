/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/ledger_list.h"

#include <errno.h>

#include "base/cleanup.h"
#include "edge/ledger_file.h"

static void say_record(const struct ledger_record *record, ledger_list_fn *say, void *arg)
{
	const struct ledger_entry entry = {
		.kind = record->kind,
		.mount = ledger_mount(record),
		.path = ledger_path(record),
		.group_id = record->group_id,
		.file = record->file_size ? ledger_file(record) : NULL,
		.old = record->old_size ? ledger_old_text(record) : NULL,
		.pid = record->pid,
		.starttime = record->starttime,
	};

	say(arg, &entry);
}

int ledger_list(const struct ledger *ledger, ledger_list_fn *say, void *arg)
{
	/* By handle: what is not sound has none. */
	for (uint32_t handle = 1; handle < ledger->room; handle++) {
		_cleanup_free_ struct ledger_record *record = NULL;
		int r;

		if (!ledger->offsets[handle])
			continue;
		r = ledger_load(ledger, ledger->offsets[handle], &record);
		if (r == -EBADMSG)
			continue;
		if (r < 0)
			return r;
		if (record->state == LEDGER_LIVE)
			say_record(record, say, arg);
	}
	return 0;
}

void ledger_leave(struct ledger *ledger)
{
	if (!ledger)
		return;
	/* What makes ledger_close() remove the file or set it aside. */
	ledger->damaged = false;
	if (ledger->live == 0)
		ledger->live = 1;
	ledger_close(ledger);
}
