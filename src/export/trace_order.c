/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "export/trace_order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROOM 4096u

struct trace_order {
	trace_order_give *give;
	void *context;
	uint64_t given_ns; /* time of the last one given */
	uint64_t late;
	uint32_t count;
	struct pfuse_trace held[ROOM]; /* in order */
};

int trace_order_open(trace_order_give *give, void *context, struct trace_order **ret)
{
	struct trace_order *order = calloc(1, sizeof(*order));

	if (!order)
		return -ENOMEM;
	order->give = give;
	order->context = context;
	*ret = order;
	return 0;
}

void trace_order_close(struct trace_order *order)
{
	free(order);
}

static void give_first(struct trace_order *order, uint32_t count)
{
	if (!count)
		return;
	for (uint32_t i = 0; i < count; i++)
		order->give(&order->held[i], order->context);
	order->given_ns = order->held[count - 1].time_ns;
	order->count -= count;
	memmove(order->held, order->held + count, order->count * sizeof(order->held[0]));
}

void trace_order_put(struct trace_order *order, const struct pfuse_trace *record)
{
	if (order->count == ROOM)
		give_first(order, ROOM / 2);
	if (record->time_ns < order->given_ns) {
		order->late++;
		order->give(record, order->context);
		return;
	}
	uint32_t at = order->count++;

	/* Of equal times the first to come stays first: those of one CPU keep their order. */
	for (; at > 0 && order->held[at - 1].time_ns > record->time_ns; at--)
		order->held[at] = order->held[at - 1];
	order->held[at] = *record;
}

void trace_order_take(struct trace_order *order, uint64_t now_ns)
{
	uint32_t count = order->count;

	while (count > 0 && order->held[count - 1].time_ns + TRACE_ORDER_HOLD_NS > now_ns)
		count--;
	give_first(order, count);
}

uint64_t trace_order_late(const struct trace_order *order)
{
	return order->late;
}
