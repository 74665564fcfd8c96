/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A process that works lightly: touches every page of MIB MiB once per second, for as long as it lives.
 *
 *	daemon_work [MIB]
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	size_t bytes = (argc > 1 ? strtoul(argv[1], NULL, 10) : 2) << 20;
	volatile char *at =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return 1;
	for (;; sleep(1))
		for (size_t i = 0; i < bytes; i += 4096)
			at[i]++;
}
