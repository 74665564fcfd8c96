/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A code that synchronises: a 5-point stencil over a square grid, one barrier per sweep.
 *
 *	stencil SIDE SWEEPS
 *
 * As many threads as OpenMP finds CPUs, or OMP_NUM_THREADS. Prints the sum of the grid, so that nothing
 * of the work can be left out.
 */
#include <stdio.h>
#include <stdlib.h>

static void sweep(const double *from, double *to, long side)
{
#pragma omp parallel for schedule(static)
	for (long row = 1; row < side - 1; row++)
		for (long at = row * side + 1; at < (row + 1) * side - 1; at++)
			to[at] = 0.2 * (from[at] + from[at - 1] + from[at + 1] + from[at - side] +
					from[at + side]);
}

int main(int argc, char **argv)
{
	long side = argc == 3 ? strtol(argv[1], NULL, 10) : 0;
	long sweeps = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
	double *grid, *next, sum = 0;

	if (side < 3 || side > 1 << 14 || sweeps < 1) {
		fprintf(stderr, "usage: stencil SIDE SWEEPS\n");
		return 2;
	}
	grid = calloc((size_t)(side * side), sizeof(*grid));
	next = calloc((size_t)(side * side), sizeof(*next));
	if (!grid || !next)
		return 1;
	for (long i = 0; i < side; i++)
		grid[i] = next[i] = 1;
	for (long i = 0; i < sweeps; i++) {
		double *swap = grid;

		sweep(grid, next, side);
		grid = next;
		next = swap;
	}
	for (long i = 0; i < side * side; i++)
		sum += grid[i];
	printf("%.6f\n", sum);
	free(grid);
	free(next);
	return 0;
}
