/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * `pfuse-bpf curve GROUP`: measures the hit-ratio curve of one group for a while, and prints it. Needs no
 * daemon, and changes nothing but accessed bits; SIGINT or SIGTERM ends it early, with what there is.
 */
#ifndef CLI_CURVE_H
#define CLI_CURVE_H

#include "cli/options.h"

enum exit_status cmd_curve(const struct options *options);

#endif
