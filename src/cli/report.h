/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * `pfuse-bpf report FILE -o PAGE`: a trace as one page for a browser. Changes nothing but PAGE, which
 * appears whole or not at all. What is odd about the trace is said on stderr and on the page.
 */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <stdio.h>

#include "cli/options.h"

enum exit_status cmd_report(const struct options *options, FILE *out);

#endif
