/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Names in BTF, and the part of a made-up kernel's types that an object can relocate against. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "edge/kernel_types.h"

/*
 * struct inner { int a; int b; };
 * struct unrelated { int a; };
 * struct outer { struct unrelated *next; struct inner in; word numbers[4]; }; typedef int word;
 * enum state { IDLE = 7 };
 */
static struct btf *made_up_kernel(void)
{
	struct btf *btf = btf__new_empty();
	int number = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	int unrelated = btf__add_struct(btf, "unrelated", 4);

	btf__add_field(btf, "a", number, 0, 0);
	int pointer = btf__add_ptr(btf, unrelated);
	int inner = btf__add_struct(btf, "inner", 8);

	btf__add_field(btf, "a", number, 0, 0);
	btf__add_field(btf, "b", number, 32, 0);
	int word = btf__add_typedef(btf, "word", number);
	int array = btf__add_array(btf, number, word, 4);
	int outer = btf__add_struct(btf, "outer", 32);

	btf__add_field(btf, "next", pointer, 0, 0);
	btf__add_field(btf, "in", inner, 64, 0);
	btf__add_field(btf, "numbers", array, 128, 0);
	btf__add_enum(btf, "state", 4);
	btf__add_enum_value(btf, "IDLE", 7);
	cr_assert_gt(outer, 0);
	return btf;
}

static struct btf *cut_for(struct btf *kernel, struct btf *object)
{
	int fd = memfd_create("cut", MFD_CLOEXEC);
	char path[32];

	cr_assert_geq(fd, 0);
	cr_assert_eq(kernel_types_cut(kernel, object, fd), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	struct btf *cut = btf__parse(path, NULL);

	close(fd);
	cr_assert(cut, "libbpf does not take it: %s", strerror(errno));
	return cut;
}

Test(kernel_types, what_a_struct_is_made_of_comes_along)
{
	struct btf *kernel = made_up_kernel(), *object = btf__new_empty();

	btf__add_struct(object, "outer___old", 0); /* a flavour: stands for outer */
	struct btf *cut = cut_for(kernel, object);
	int id = btf__find_by_name_kind(cut, "outer", BTF_KIND_STRUCT);

	cr_assert_gt(id, 0);
	const struct btf_type *outer = btf__type_by_id(cut, (uint32_t)id);
	const struct btf_member *members = btf_members(outer);

	cr_assert_eq(btf_vlen(outer), 3);
	cr_expect_eq(outer->size, 32);
	cr_expect_eq(btf_member_bit_offset(outer, 1), 64);
	cr_expect_str_eq(btf__name_by_offset(cut, members[1].name_off), "in");
	const struct btf_type *inner = btf__type_by_id(cut, members[1].type);

	cr_expect_str_eq(btf__name_by_offset(cut, inner->name_off), "inner");
	cr_expect_eq(btf_member_bit_offset(inner, 1), 32);
	cr_expect_eq(btf__resolve_size(cut, members[2].type), 16);
	btf__free(cut);
	btf__free(object);
	btf__free(kernel);
}

Test(kernel_types, nothing_behind_a_pointer_does)
{
	struct btf *kernel = made_up_kernel(), *object = btf__new_empty();

	btf__add_struct(object, "outer", 0);
	struct btf *cut = cut_for(kernel, object);

	cr_expect_lt(btf__find_by_name_kind(cut, "unrelated", BTF_KIND_STRUCT), 0);
	cr_expect_lt(btf__find_by_name_kind(cut, "state", BTF_KIND_ENUM), 0);
	/* void, int, the pointer, inner, word, the array, outer */
	cr_expect_eq(btf__type_cnt(cut), 7);
	btf__free(cut);
	btf__free(object);
	btf__free(kernel);
}

Test(kernel_types, a_name_of_another_kind_is_another)
{
	struct btf *kernel = made_up_kernel(), *object = btf__new_empty();

	btf__add_union(object, "inner", 0);
	btf__add_enum64(object, "state", 8, false); /* an enum of either size is one */
	struct btf *cut = cut_for(kernel, object);

	cr_expect_lt(btf__find_by_name_kind(cut, "inner", BTF_KIND_STRUCT), 0);
	int state = btf__find_by_name_kind(cut, "state", BTF_KIND_ENUM);

	cr_assert_gt(state, 0);
	cr_expect_eq(btf_enum(btf__type_by_id(cut, (uint32_t)state))->val, 7);
	btf__free(cut);
	btf__free(object);
	btf__free(kernel);
}

static void note(void *context, uint32_t index, uint32_t id)
{
	((uint32_t *)context)[index] = id;
}

Test(kernel_types, names_are_found_by_kind_and_as_a_whole)
{
	struct btf *kernel = made_up_kernel();
	struct kernel_names names = { 0 };
	uint32_t ids[4] = { 0 };

	kernel_names_add(&names, BTF_KIND_STRUCT, "inner", 5);
	kernel_names_add(&names, BTF_KIND_STRUCT, "inn", 3);
	kernel_names_add(&names, BTF_KIND_TYPEDEF, "inner", 5);
	kernel_names_add(&names, BTF_KIND_TYPEDEF, "words", 4); /* four bytes of it */
	kernel_names_find(&names, kernel, note, ids);
	cr_expect_eq(ids[0], btf__find_by_name_kind(kernel, "inner", BTF_KIND_STRUCT));
	cr_expect_eq(ids[1], 0);
	cr_expect_eq(ids[2], 0);
	cr_expect_eq(ids[3], btf__find_by_name_kind(kernel, "word", BTF_KIND_TYPEDEF));
	btf__free(kernel);
}

Test(kernel_types, too_many_names_are_refused)
{
	static struct kernel_names names;

	for (int i = 0; i < KERNEL_NAMES_MAX; i++)
		cr_assert_eq(kernel_names_add(&names, BTF_KIND_INT, "x", 1), 0);
	cr_expect_eq(kernel_names_add(&names, BTF_KIND_INT, "x", 1), -E2BIG);
}
