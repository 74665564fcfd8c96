/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "daemon/scarce.h"

#include <errno.h>
#include <stdlib.h>

#include "core/arith.h"
#include "core/shares.h"
#include "daemon/curves.h"
#include "daemon/say.h"
#include "daemon/tap.h"
#include "edge/reclaim.h"

#define LOOK_NS 2000000000ull
#define CHANGE_SHARE 16 /* a share that differs by less is the same */

struct scarce {
	struct share *shares; /* of those that take part */
	uint32_t *slots;      /* whose they are */
	uint64_t *given;      /* by slot: as the core knows it */
	uint32_t count;
	uint64_t looked_ns;
	bool is_short;
};

int scarce_open(struct daemon *daemon, struct err *err)
{
	uint32_t count = daemon->members.count;
	struct scarce *s;

	if (!daemon->squeeze)
		return 0;
	s = daemon->scarce = calloc(1, sizeof(*s));
	if (s) {
		s->shares = calloc(count, sizeof(*s->shares));
		s->slots = calloc(count, sizeof(*s->slots));
		s->given = calloc(count, sizeof(*s->given));
	}
	if (!s || !s->shares || !s->slots || !s->given)
		return err_set(err, -ENOMEM, "out of memory for %u groups", count - 1);
	return 0;
}

void scarce_close(struct daemon *daemon)
{
	struct scarce *s = daemon->scarce;

	if (!s)
		return;
	free(s->shares);
	free(s->slots);
	free(s->given);
	free(s);
	daemon->scarce = NULL;
}

uint64_t scarce_share(const struct daemon *daemon, uint32_t slot)
{
	return daemon->scarce ? daemon->scarce->given[slot] : 0;
}

/* Who takes part; what all of them use and would use. */
static void gather(const struct daemon *daemon, uint64_t *ret_usage, uint64_t *ret_most)
{
	struct scarce *s = daemon->scarce;

	s->count = 0;
	*ret_usage = *ret_most = 0;
	for (uint32_t slot = 1; slot < daemon->members.count; slot++) {
		const struct fcb *fcb = &daemon->members.fcbs[slot];
		uint64_t usage = fcb->res[FCB_RAM].usage;
		struct curves_facts facts;

		if (!daemon->core.adaptive[slot].chosen || fcb->removed)
			continue;
		(void)curves_facts(daemon, slot, &facts);
		struct share *share = &s->shares[s->count];

		*share = (struct share){
			.curve = facts.result ? &facts.result->curve : NULL,
			.least_bytes = arith_max(facts.least_bytes, fcb->policy.ram_floor_bytes),
			.most_bytes = usage,
		};
		if (share->curve)
			share->most_bytes = arith_max(usage, share->curve->extent_bytes);
		/* Nothing is kept for one that is smaller than its floor. */
		share->least_bytes = arith_min(share->least_bytes, share->most_bytes);
		s->slots[s->count++] = slot;
		*ret_usage = arith_add(*ret_usage, usage);
		*ret_most = arith_add(*ret_most, share->most_bytes);
	}
}

enum look { LOOK_ENOUGH, LOOK_SHORT, LOOK_AS_BEFORE };

static enum look look(const struct daemon *daemon, uint64_t usage, uint64_t most,
		      uint64_t *ret_total)
{
	const struct config *config = daemon_config(daemon);
	uint64_t ram = daemon->core.machine_ram_bytes;
	uint64_t low = ram / 1000 * config->memory_low_permille;
	uint64_t available = low ? reclaim_machine_available(&daemon->machine.tree) : 0;
	enum look found = LOOK_ENOUGH;

	*ret_total = UINT64_MAX;
	if (config->memory_total_bytes && most > config->memory_total_bytes) {
		*ret_total = config->memory_total_bytes;
		found = LOOK_SHORT;
	}
	if (!available || available >= low + low / 4)
		return found;
	if (available >= low)
		return found == LOOK_SHORT || !daemon->scarce->is_short ? found : LOOK_AS_BEFORE;
	*ret_total = arith_min(*ret_total, arith_sub(usage, low - available));
	return LOOK_SHORT;
}

/* A group that sleeps is woken for it: the core needs a sample to act. */
static void give(struct daemon *daemon, uint32_t slot, uint64_t bytes)
{
	uint64_t before = daemon->scarce->given[slot];
	uint64_t change = arith_max(bytes, before) - arith_min(bytes, before);

	if (change == 0 || (before && bytes && change <= before / CHANGE_SHARE))
		return;
	daemon->scarce->given[slot] = bytes;
	tap_share(daemon, slot, bytes);
	daemon->members.at[slot].awake = true;
}

static void say_short(struct daemon *daemon, uint64_t total, uint64_t usage)
{
	char a[24], b[24];

	if (total == UINT64_MAX)
		say_note(daemon->out, "pfuse-bpf", "memory is not short any more");
	else
		say_note(daemon->out, "pfuse-bpf",
			 "memory is short: %s for %u groups that use %s, shared by what their "
			 "curves "
			 "make of it",
			 say_bytes(total, a), daemon->scarce->count, say_bytes(usage, b));
}

void scarce_tick(struct daemon *daemon)
{
	struct scarce *s = daemon->scarce;
	uint64_t now_ns = daemon->loop.now_ns, usage, most, total;
	enum look found;

	if (!s || now_ns - s->looked_ns < LOOK_NS)
		return;
	s->looked_ns = now_ns;
	gather(daemon, &usage, &most);
	found = look(daemon, usage, most, &total);
	if (found == LOOK_AS_BEFORE || (found == LOOK_ENOUGH && !s->is_short))
		return;
	if (s->is_short != (found == LOOK_SHORT))
		say_short(daemon, total, usage);
	s->is_short = found == LOOK_SHORT;
	if (s->is_short)
		(void)shares_divide(s->shares, s->count, total);
	for (uint32_t i = 0; i < s->count; i++)
		give(daemon, s->slots[i], s->is_short ? arith_max(s->shares[i].ret_bytes, 1) : 0);
}
