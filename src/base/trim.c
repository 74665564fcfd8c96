/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "base/trim.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

/*
 * PAGEOUT, not DONTNEED: it leaves alone what was written to (relocated tables are mapped read-only
 * too). Without swap nothing else can go; where there is swap, writable maps are not asked for.
 */
void trim_startup(void)
{
	char line[512], permissions[5], path[2];
	unsigned long from, to;

	malloc_trim(0);
	_cleanup_fclose_ FILE *maps = fopen("/proc/self/maps", "re");

	while (maps && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %4s %*s %*s %*s %1s", &from, &to, permissions, path) != 4)
			continue;
		if (path[0] == '/' && permissions[1] != 'w')
			(void)madvise((void *)from, to - from, MADV_PAGEOUT);
	}
}
