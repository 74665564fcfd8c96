/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "daemon/place.h"

#include <errno.h>
#include <string.h>

#include "base/cpulist.h"
#include "daemon/say.h"
#include "edge/throttle.h"

/* One of the two lists of a cpuset. */
struct place {
	const char *what;
	int (*read)(struct throttle *t, char *buf, size_t size);
	int (*set)(struct throttle *t, struct ledger *ledger, const char *list);
};

static const char *why(int code)
{
	switch (code) {
	case -ENOENT:
		return "it has no cpuset controller; enable it for the group, or make a directory of its "
		       "path in v1's cpuset hierarchy";
	case -EINVAL:
	case -ERANGE:
		return "this machine has no such CPU or memory node";
	case -EACCES:
		return "the group above it does not have all of it";
	case -EBUSY:
		return "a group below it has more";
	default:
		return strerror(-code);
	}
}

/* As after a SIGHUP that was about something else. */
static bool is_there(const struct place *place, struct throttle *throttle, const char *list)
{
	char text[4000];
	struct cpulist now, wanted;

	return !place->read(throttle, text, sizeof(text)) && !cpulist_parse(text, &now) &&
	       !cpulist_parse(list, &wanted) && !memcmp(&now, &wanted, sizeof(now));
}

static int place(struct daemon *daemon, struct member *member, const struct place *place,
		 const char *list, struct err *err)
{
	char name[ERR_QUOTED], quoted[ERR_QUOTED];
	const char *what = place->what;
	int code;

	if (!list || is_there(place, member->throttle, list))
		return 0;
	if (daemon->machine.dry_run) {
		say_note(daemon->out, member->name, "%s  %s, left out: dry run", what, list);
		return 0;
	}
	code = place->set(member->throttle, daemon->machine.ledger, list);
	if (code)
		return err_set(err, code, "%s: %s cannot be %s: %s",
			       err_quote(member->name, name), what, err_quote(list, quoted),
			       why(code));
	say_note(daemon->out, member->name, "%s  %s, as configured", what, list);
	return 0;
}

static int place_member(struct daemon *daemon, struct member *member, struct err *err)
{
	static const struct place mems = { "mems", throttle_read_mems, throttle_set_mems },
				  cpus = { "cpus", throttle_read_cpus, throttle_set_cpus };
	const struct config_group *entry =
		config_match(daemon_config(daemon), member->name, member->group.path);
	int code = 0;

	if (!entry->cpu_list && !entry->mem_list)
		return 0;
	if (!member->throttle)
		code = throttle_open(&daemon->machine.tree, &member->group, &member->throttle);
	if (code)
		return err_set(err, code, "%s", strerror(-code));
	code = place(daemon, member, &mems, entry->mem_list, err);
	return code ? code : place(daemon, member, &cpus, entry->cpu_list, err);
}

int place_members(struct daemon *daemon, struct err *err)
{
	int code = 0;

	for (uint32_t slot = 1; slot < daemon->members.count && !code; slot++)
		if (!cgroup_gone(&daemon->members.at[slot].group))
			code = place_member(daemon, &daemon->members.at[slot], err);
	return code;
}
