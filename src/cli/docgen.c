/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Run by the build: `docgen man FILE` or `docgen bash FILE`. Not installed. */
#include <stdio.h>
#include <string.h>

#include "cli/manual.h"

int main(int argc, char **argv)
{
	FILE *out;

	if (argc != 3 || (strcmp(argv[1], "man") != 0 && strcmp(argv[1], "bash") != 0)) {
		fputs("docgen: usage: docgen man|bash FILE\n", stderr);
		return 2;
	}
	out = fopen(argv[2], "we");
	if (!out) {
		perror(argv[2]);
		return 1;
	}
	if (argv[1][0] == 'm')
		manual_page(out);
	else
		manual_completion(out);
	if (ferror(out) | fclose(out)) {
		perror(argv[2]);
		return 1;
	}
	return 0;
}
