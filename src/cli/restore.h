/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * `pfuse-bpf restore`: undoes what a daemon that died together with its keeper has left behind, as
 * its ledger tells. Results go to `out`, one line each; errors to stderr.
 */
#ifndef CLI_RESTORE_H
#define CLI_RESTORE_H

#include <stdio.h>

#include "cli/options.h"

enum exit_status cmd_restore(const struct options *options, FILE *out);

#endif
