/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* `pfuse-bpf replay`: the decisions of a recorded run, made again; or those of another configuration. */
#ifndef CLI_REPLAY_H
#define CLI_REPLAY_H

#include <stdio.h>

#include "cli/options.h"

enum exit_status cmd_replay(const struct options *options, FILE *out);

#endif
