/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "config/take.h"

#define ALLOWED "local, addresses and prefixes, at most 32, like \"local 10.0.0.0/8 2001:db8::1\""

/* "10.0.0.0/8" → the prefix of 104 bits of its mapped address. */
static bool parse_prefix(char *word, struct peers_prefix *ret)
{
	char *slash = strchr(word, '/');
	struct peers_prefix prefix = { .address = { [10] = 0xff, [11] = 0xff } };
	uint64_t bits = UINT64_MAX;
	unsigned mapped = 96;

	if (slash)
		*slash = '\0';
	if (slash && num_parse_all(slash + 1, &bits) < 0)
		return false;
	if (inet_pton(AF_INET, word, prefix.address + 12) != 1) {
		mapped = 0;
		if (inet_pton(AF_INET6, word, prefix.address) != 1)
			return false;
	}
	if (!slash)
		bits = 128 - mapped;
	if (bits > 128 - mapped)
		return false;
	prefix.bits = (uint8_t)(bits + mapped);
	*ret = prefix;
	return true;
}

static bool parse(char *text, struct peers *peers)
{
	char *save = NULL;

	for (char *word = strtok_r(text, " ,", &save); word; word = strtok_r(NULL, " ,", &save)) {
		if (strcmp(word, "local") == 0)
			peers->local = true;
		else if (peers->count == PEERS_MAX ||
			 !parse_prefix(word, &peers->prefixes[peers->count]))
			return false;
		else
			peers->count++;
	}
	return peers->local || peers->count;
}

int take_peers(const struct place *at, const char *key, const char *text, struct peers **field)
{
	_cleanup_free_ struct peers *peers = NULL;
	_cleanup_free_ char *copy = NULL;

	if (!text)
		return 0;
	peers = calloc(1, sizeof(*peers));
	copy = strdup(text);
	if (!peers || !copy)
		return err_set(at->err, -ENOMEM, "%s: no memory", at->doc->name);
	if (!parse(copy, peers))
		return bad_value(at, NULL, key, text, ALLOWED);
	free(*field);
	*field = TAKE_PTR(peers);
	return 0;
}
