// SPDX-License-Identifier: GPL-2.0-only
/* The one definition of the maps, knobs and counters that pfuse.bpf.h declares. */
#define DECLARED
#include "pfuse.bpf.h"

char LICENSE[] SEC("license") = "GPL";
