/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "base/trim.h"

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STACK_DEEPEST 65536 /* the start stays above that; what was never touched has no page */

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

/*
 * PAGEOUT, not DONTNEED: it leaves alone what was written to (relocated tables are mapped read-only
 * too). Without swap nothing else can go; where there is swap, writable maps are not asked for.
 */
static void trim_files(FILE *maps)
{
	char line[512], permissions[5], path[2];
	unsigned long from, to;

	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %4s %*s %*s %*s %1s", &from, &to, permissions, path) != 4)
			continue;
		if (path[0] == '/' && permissions[1] != 'w')
			(void)madvise((void *)from, to - from, MADV_PAGEOUT);
	}
}

/*
 * What lies well below this frame was the start's, which went deeper than the loop does. Those pages are
 * zeroed when they are next used. A page of distance: this function and madvise(2) use the stack too.
 */
static void trim_stack(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uintptr_t to = ((uintptr_t)__builtin_frame_address(0) & ~(page - 1)) - page;

	(void)madvise((void *)(to - STACK_DEEPEST), STACK_DEEPEST, MADV_DONTNEED);
}

void trim_startup(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");

	if (maps) {
		trim_files(maps);
		fclose(maps);
	}
	malloc_trim(0);
	trim_stack();
}
