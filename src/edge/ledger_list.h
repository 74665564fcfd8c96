/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What is in a ledger, for people: the records that ledger_restore() would undo, by handle.
 */
#ifndef PFUSE_EDGE_LEDGER_LIST_H
#define PFUSE_EDGE_LEDGER_LIST_H

#include "edge/ledger.h"

/* The strings of `entry` are untrusted, and the callee's for the length of the call only. */
typedef void ledger_list_fn(void *arg, const struct ledger_entry *entry);

/* 0, or -errno; damaged records are passed over. */
int ledger_list(const struct ledger *ledger, ledger_list_fn *say, void *arg);

/* ledger_close() for somebody who only looked: the file stays where and as it is. */
void ledger_leave(struct ledger *ledger);

#endif
