/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * pfuse-keeper LEDGER: started by pfuse-bpf, with its pipe as standard input. See keeper.h.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "edge/keeper.h"

int main(int argc, char **argv)
{
	struct stat st;

	/* By hand, the end of input would mean "the daemon died". */
	if (argc != 2 || argv[1][0] == '-' || fstat(0, &st) < 0 || !S_ISFIFO(st.st_mode)) {
		fprintf(stderr, "pfuse-keeper: started by pfuse-bpf only; to undo what a killed "
				"pfuse-bpf left, run: pfuse-bpf restore\n");
		return 2;
	}
	return keeper_watch(0, argv[1]);
}
