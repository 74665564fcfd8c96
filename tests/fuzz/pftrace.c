/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* libFuzzer: any bytes are read as a trace, and what can be read is played and projected. */
#include <stdio.h>
#include <stdlib.h>

#include "config/config.h"
#include "export/pftrace_read.h"
#include "export/player.h"
#include "export/projection.h"
#include "export/transcript.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ignore(void *arg, const struct pfuse_verdict *verdict)
{
	char line[TRANSCRIPT_LINE];

	if (transcript_verdict(line, verdict, NULL, 0) >= TRANSCRIPT_LINE)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pfuse_verdict verdicts[PFUSE_CONTROLS];
	struct pftrace_record record;
	struct pftrace_reader *reader;
	struct projection projection;
	struct player player;

	if (pftrace_reader_open_memory(data, size, &reader))
		return 0;
	player_init(&player);
	projection_init(&projection, NULL, ignore, NULL);
	while (pftrace_reader_next(reader, &record) > 0) {
		/* Not the reader's matter: to set up a million slots is slow, and right. */
		if (record.kind == PFTRACE_MACHINE && record.machine.slots > 1000)
			break;
		if (player_play(&player, &record, verdicts) < 0 ||
		    projection_play(&projection, &record) < 0)
			break;
	}
	projection_free(&projection);
	player_free(&player);
	pftrace_reader_close(reader);
	return 0;
}
