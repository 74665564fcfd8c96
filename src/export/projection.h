/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What would have been decided under another configuration: recorded samples and events, played to a core
 * with other policies, as far as that can be known.
 *
 * The world does not answer: what the groups used is as it was recorded, whatever is decided here. What is
 * decided is taken to be carried out at once, so limits in samples and events are those that hold in the
 * projection, and timers are its own. PROJECTION_CANNOT_KNOW says what that means.
 *
 * Order of calls: projection_init(); projection_play() for each record; projection_end() with the time of
 * the last one; projection_free(), which accepts a zeroed projection. Errors as those of export/player.h.
 */
#ifndef EXPORT_PROJECTION_H
#define EXPORT_PROJECTION_H

#include <stdint.h>

#include "config/config.h"
#include "export/player.h"

#define PROJECTION_CANNOT_KNOW                                                                     \
	"A replay cannot know how the groups would have reacted: usage is as it was recorded, "    \
	"also\n"                                                                                   \
	"where a group would have been held back, paged out, stopped or set free. A limit that "   \
	"is\n"                                                                                     \
	"lower here than it was would have been met earlier, by events that nobody recorded; a\n"  \
	"refusal by the kernel, and what others did about it, is not known either.\n"

struct projection_limits {
	uint64_t by_control[PFUSE_CONTROLS];
};

/* Told of each verdict, also those of timers, in the order in which they come. */
typedef void projection_verdict(void *arg, const struct pfuse_verdict *verdict);

struct projection {
	struct player player;
	const struct config *config;	  /* borrowed; NULL: the policies as recorded */
	struct projection_limits *limits; /* index = slot */
	uint64_t due_ns;		  /* no timer rings before */
	bool fusebox;			  /* the policy, also for groups that were under `adaptive` */
	projection_verdict *tell;
	void *arg;
};

void projection_init(struct projection *projection, const struct config *config,
		     projection_verdict *tell, void *arg);
int projection_play(struct projection *projection, const struct pftrace_record *record);
void projection_end(struct projection *projection, uint64_t now_ns);
void projection_free(struct projection *projection);

#endif
