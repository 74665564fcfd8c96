/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The kernel's BTF names some 150,000 types. libbpf looks through all of them for each type that an object
 * relocates and for each hook: half of the CPU time of a start. Here many names are found in one pass, and
 * what an object can relocate against is cut out of the kernel's BTF: about a thousand types.
 *
 * kernel_names_add() for each name, then kernel_names_find(). The texts stay the caller's. kernel_types_cut()
 * stands alone. Errors are negative errno.
 */
#ifndef EDGE_KERNEL_TYPES_H
#define EDGE_KERNEL_TYPES_H

#include <stdint.h>

#include <bpf/btf.h>

#define KERNEL_NAMES_MAX 1024

struct kernel_names {
	struct {
		const char *text;
		uint32_t length;
		uint32_t kind; /* BTF_KIND_* */
		uint16_t next; /* of the same hash; index + 1 */
	} at[KERNEL_NAMES_MAX];
	uint32_t count;
	uint16_t first[1024]; /* by hash; index + 1 */
};

/* The first `length` bytes of `text`; a zeroed struct has no names. -E2BIG: too many. */
int kernel_names_add(struct kernel_names *names, uint32_t kind, const char *text, size_t length);

/* `found` for each type that has one of the names and its kind, in the order of ids. */
typedef void kernel_name_found(void *context, uint32_t index, uint32_t id);
void kernel_names_find(const struct kernel_names *names, const struct btf *kernel,
		       kernel_name_found *found, void *context);

/*
 * Writes BTF to `fd`: of the kernel's types those whose name and kind some type of `object` has, and what
 * they are made of. Ids are other ones than the kernel's, so BPF_CORE_TYPE_ID_TARGET means nothing there, and
 * pointers point to void: enough for members, sizes and values, not for comparing what pointers point to.
 */
int kernel_types_cut(const struct btf *kernel, const struct btf *object, int fd);

#endif
