/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "export/report_page.h"

#include <errno.h>

#include "export/report_json.h"

int report_page_write(const struct report_book *book, FILE *out)
{
	errno = 0;
	fwrite(report_page_head, 1, report_page_head_size, out);
	report_json(book, out);
	fwrite(report_page_tail, 1, report_page_tail_size, out);
	if (fflush(out) == 0 && !ferror(out))
		return 0;
	return errno ? -errno : -EIO;
}
