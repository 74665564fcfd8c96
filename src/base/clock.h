/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * CLOCK_MONOTONIC, for deadlines inside an edge, and what work costs. Decisions never read them: they are
 * given a time.
 */
#ifndef PFUSE_BASE_CLOCK_H
#define PFUSE_BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_now_ns(void);
uint64_t clock_thread_ns(void); /* CPU time of the calling thread */
void clock_sleep_us(uint64_t us);

#endif
