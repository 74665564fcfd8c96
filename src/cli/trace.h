/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* `pfuse-bpf trace`: what the threads of groups do, live or into a file. Needs no daemon, disturbs none. */
#ifndef CLI_TRACE_H
#define CLI_TRACE_H

#include "cli/options.h"

enum exit_status cmd_trace(const struct options *options);

#endif
