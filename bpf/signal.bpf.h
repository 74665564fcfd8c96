/* SPDX-License-Identifier: GPL-2.0-only */
/* Who sent a signal. */
#ifndef SIGNAL_BPF_H
#define SIGNAL_BPF_H

#include "pfuse.bpf.h"

#define SEND_SIG_PRIV 1
#define SI_USER 0
#define SI_QUEUE (-1)
#define SI_TKILL (-6)

/*
 * `info` may be a number in place of a pointer: 0 for the current process, 1 for the kernel. Read, not
 * dereferenced: for that reason some verifiers take it for no pointer at all.
 */
static __always_inline bool sent_by_process(const struct kernel_siginfo *info)
{
	if (!info)
		return true;
	if ((__u64)info == SEND_SIG_PRIV)
		return false;
	int code = BPF_CORE_READ(info, si_code);

	return code == SI_USER || code == SI_QUEUE || code == SI_TKILL;
}

#endif
