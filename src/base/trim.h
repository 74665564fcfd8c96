/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Gives back what only start-up needed: freed heap, and pages of program and library files that were
 * read while relocating, parsing and loading. They stay in the page cache, so a page that is needed
 * after all costs a minor fault. For a daemon that starts once and then idles.
 */
#ifndef PFUSE_BASE_TRIM_H
#define PFUSE_BASE_TRIM_H

void trim_startup(void);

#endif
