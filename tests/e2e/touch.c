/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A process whose hit-ratio curve is known: touches a hot fifth of its memory at random, and sweeps the
 * rest slowly.
 *
 *	touch MIB REFERENCES_PER_SECOND [DIRECTORY]
 *
 * With a directory, it is no memory but a file there, which it reads.
 * Says "ready" once all memory was touched. Goes on until it is ended.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../tools/bench/curve_load.h"

int main(int argc, char **argv)
{
	struct curve_load load = { .kind = REFERENCE_HOTCOLD, .processes = 1, .seed = 1 };

	if (argc < 3 || argc > 4) {
		fputs("touch MIB REFERENCES_PER_SECOND [DIRECTORY]\n", stderr);
		return 2;
	}
	load.mib = (uint32_t)strtoul(argv[1], NULL, 10);
	load.rate = strtod(argv[2], NULL);
	load.read = argc == 4;
	load.dir = argv[3];
	puts("ready");
	fflush(stdout);
	load_run(&load, NULL);
}
