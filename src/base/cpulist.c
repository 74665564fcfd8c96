/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "base/cpulist.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"

bool cpulist_has(const struct cpulist *list, unsigned int id)
{
	return id < CPULIST_IDS && list->bits[id / 8] >> id % 8 & 1;
}

void cpulist_add(struct cpulist *list, unsigned int id)
{
	if (id < CPULIST_IDS)
		list->bits[id / 8] |= (uint8_t)(1u << id % 8);
}

unsigned int cpulist_next(const struct cpulist *list, unsigned int from)
{
	while (from < CPULIST_IDS && !cpulist_has(list, from))
		from = from % 8 == 0 && !list->bits[from / 8] ? from + 8 : from + 1;
	return from < CPULIST_IDS ? from : CPULIST_IDS;
}

bool cpulist_exceeds(const struct cpulist *all, const struct cpulist *part)
{
	for (size_t i = 0; i < sizeof(all->bits); i++)
		if (all->bits[i] & ~part->bits[i])
			return true;
	return false;
}

/* One number or range; *text is moved behind it. */
static int parse_range(const char **text, struct cpulist *list)
{
	uint64_t first, last;
	int r = num_parse(*text, text, &first);

	last = first;
	if (r == 0 && **text == '-')
		r = num_parse(*text + 1, text, &last);
	if (r < 0 || last < first || last >= CPULIST_IDS)
		return -EINVAL;
	for (uint64_t id = first; id <= last; id++)
		cpulist_add(list, (unsigned int)id);
	return 0;
}

int cpulist_parse(const char *text, struct cpulist *ret)
{
	struct cpulist list = { { 0 } };

	text += strspn(text, " \n");
	while (*text) {
		if (parse_range(&text, &list) < 0)
			return -EINVAL;
		text += strspn(text, " \n");
		if (*text && *text++ != ',')
			return -EINVAL;
	}
	*ret = list;
	return 0;
}

int cpulist_print(const struct cpulist *list, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (unsigned int id = cpulist_next(list, 0); id < CPULIST_IDS;
	     id = cpulist_next(list, id + 1)) {
		unsigned int first = id;
		int n;

		while (cpulist_has(list, id + 1))
			id++;
		n = snprintf(buf + used, size - used, first == id ? "%s%u" : "%s%u-%u",
			     used ? "," : "", first, id);
		if (n < 0 || (size_t)n >= size - used)
			return -EFBIG;
		used += (size_t)n;
	}
	return 0;
}
