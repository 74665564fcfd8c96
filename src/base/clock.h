/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * CLOCK_MONOTONIC, for deadlines inside an edge. Decisions never read it: they are given a time.
 */
#ifndef PFUSE_BASE_CLOCK_H
#define PFUSE_BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_now_ns(void);
void clock_sleep_us(uint64_t us);

#endif
