/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, int code, const char *format, ...)
{
	va_list args;

	if (!err)
		return code;
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	return code;
}

static size_t quote_byte(unsigned char byte, char *out)
{
	if (byte >= 0x20 && byte < 0x7f) {
		*out = (char)byte;
		return 1;
	}
	return (size_t)sprintf(out, "\\x%02x", byte);
}

char *err_quote(const char *name, char out[ERR_QUOTED])
{
	/* Each byte takes at most 4; a name of more bytes than `whole` may not fit and is cut. */
	enum { room = ERR_QUOTED - 1, cut = 3, whole = room / 4, tail = whole / 2 };
	size_t length = strlen(name), used = 0, i = 0;
	size_t head = room - cut - 4 * tail;

	for (; i < length && used + 4 <= head; i++)
		used += quote_byte((unsigned char)name[i], out + used);
	if (length - i > tail) {
		memcpy(out + used, "...", cut);
		used += cut;
		i = length - tail;
	}
	for (; i < length; i++)
		used += quote_byte((unsigned char)name[i], out + used);
	out[used] = '\0';
	return out;
}
