/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* `pfuse-bpf run`: orchestrates groups until it is told to stop. */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include "cli/options.h"

enum exit_status cmd_run(const struct options *options);

#endif
