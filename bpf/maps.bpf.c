// SPDX-License-Identifier: GPL-2.0-only
/* The one definition of the maps, knobs and counters that pfuse.bpf.h declares. */
#define DECLARED
#include "pfuse.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Here alone: the linker of libbpf 1.1 takes a kernel function in one object only. */
extern void *bpf_rdonly_cast(const void *object, __u32 type) __ksym __weak;

__noinline void *plain_pointer(void *object, __u32 type)
{
	if (!knobs.has_rdonly_cast)
		return object;
	return bpf_rdonly_cast(object, type);
}
