/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the build makes from the table of commands: the manual page and the bash completion.
 */
#ifndef CLI_MANUAL_H
#define CLI_MANUAL_H

#include <stdio.h>

void manual_page(FILE *out);	   /* man(7) macros */
void manual_completion(FILE *out); /* a file for bash-completion */

#endif
