/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Integer arithmetic that saturates instead of wrapping: sizes and times of the core are u64 and
 * may be PFUSE_UNLIMITED, so "limit + size" and "since + window" must stop at the end of the range.
 * Nothing here can fail; nothing needs a library.
 */
#ifndef PFUSE_CORE_ARITH_H
#define PFUSE_CORE_ARITH_H

#include <stdint.h>

static inline uint64_t arith_min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t arith_max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline uint64_t arith_add(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static inline uint64_t arith_sub(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* Truncates; below 0 and NaN give 0. The bound is 2^64, the first double that does not fit. */
static inline uint64_t arith_from_double(double d)
{
	if (!(d > 0))
		return 0;
	return d >= 18446744073709551616.0 ? UINT64_MAX : (uint64_t)d;
}

static inline uint64_t arith_page_down(uint64_t bytes, uint64_t page_bytes)
{
	return bytes - bytes % page_bytes;
}

/* What cannot be rounded up within u64 is rounded down. */
static inline uint64_t arith_page_up(uint64_t bytes, uint64_t page_bytes)
{
	return arith_page_down(arith_add(bytes, page_bytes - 1), page_bytes);
}

#endif
