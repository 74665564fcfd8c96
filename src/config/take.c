/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "config/take.h"

#include <errno.h>
#include <string.h>

#include "core/parse.h"

void take_word(int raw, uint8_t *field)
{
	if (raw)
		*field = (uint8_t)(raw - 1);
}

int bad_value(const struct place *at, const char *section, const char *key, const char *text,
		     const char *allowed)
{
	char q[ERR_QUOTED];

	return err_set(at->err, -EINVAL, "%s:%u: %s%s%s: \"%s\" is not allowed; allowed: %s",
		       at->doc->name, config_doc_line(at->doc, at->entry, section, key),
		       section ? section : "", section ? "." : "", key, err_quote(text, q),
		       allowed);
}

int take_duration(const struct place *at, const char *section, const char *key,
			 const char *text, uint64_t min, uint64_t max, const char *allowed,
			 uint64_t *field)
{
	uint64_t ns;

	if (!text)
		return 0;
	if (!parse_duration(text, strlen(text), &ns) || ns < min || ns > max)
		return bad_value(at, section, key, text, allowed);
	*field = ns;
	return 0;
}

int take_number(const struct place *at, const char *section, const char *key,
		       const char *text, int64_t min, int64_t max, const char *allowed,
		       int64_t *field)
{
	bool negative = text && text[0] == '-';
	uint64_t size;
	int64_t value;

	if (!text)
		return 0;
	if (!parse_u64(text + negative, strlen(text) - negative, &size) || size > INT32_MAX)
		return bad_value(at, section, key, text, allowed);
	value = negative ? -(int64_t)size : (int64_t)size;
	if (value < min || value > max)
		return bad_value(at, section, key, text, allowed);
	*field = value;
	return 0;
}

int take_permille(const struct place *at, const char *section, const char *key, const char *text,
		  uint32_t min, uint32_t max, const char *allowed, uint32_t *field)
{
	uint32_t permille;

	if (!text)
		return 0;
	if (!parse_permille(text, strlen(text), &permille) || permille < min || permille > max)
		return bad_value(at, section, key, text, allowed);
	*field = permille;
	return 0;
}
