/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Brings the records of several CPUs into the order of time. The ring holds them nearly so: a record is
 * some microseconds late where its CPU was slower to get its room.
 *
 * Order of calls: trace_order_open(); trace_order_put() for each record as it comes; at the end of a turn
 * trace_order_take() gives, in order, what is older than now_ns by TRACE_ORDER_HOLD_NS: the time before the
 * turn began, or of the newest record if more of them wait; UINT64_MAX at the end of all. trace_order_close()
 * accepts NULL. When it is full, put gives the older half.
 * A record that comes later than that is given at once, out of order, and counted.
 */
#ifndef EXPORT_TRACE_ORDER_H
#define EXPORT_TRACE_ORDER_H

#include <stdint.h>

#include "pfuse/trace.h"

#define TRACE_ORDER_HOLD_NS 1000000ull

struct trace_order;

typedef void trace_order_give(const struct pfuse_trace *record, void *context);

int trace_order_open(trace_order_give *give, void *context, struct trace_order **ret);
void trace_order_close(struct trace_order *order);

void trace_order_put(struct trace_order *order, const struct pfuse_trace *record);
void trace_order_take(struct trace_order *order, uint64_t now_ns);
uint64_t trace_order_late(const struct trace_order *order);

#endif
