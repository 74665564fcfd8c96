/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include "edge/kernel_types.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"

/* --- names ---------------------------------------------------------------------------------------- */

static uint32_t hash_of(const char *text, size_t length)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (uint8_t)text[i]) * 16777619u;
	return (hash ^ hash >> 16) % 1024;
}

int kernel_names_add(struct kernel_names *names, uint32_t kind, const char *text, size_t length)
{
	uint32_t hash = hash_of(text, length), index = names->count;

	if (index == KERNEL_NAMES_MAX)
		return -E2BIG;
	names->at[index].text = text;
	names->at[index].length = (uint32_t)length;
	names->at[index].kind = kind;
	names->at[index].next = names->first[hash];
	names->first[hash] = (uint16_t)(index + 1);
	names->count++;
	return 0;
}

static bool is_named(const struct kernel_names *names, uint32_t index, const char *text)
{
	return !strncmp(names->at[index].text, text, names->at[index].length) &&
	       !text[names->at[index].length];
}

void kernel_names_find(const struct kernel_names *names, const struct btf *kernel,
		       kernel_name_found *found, void *context)
{
	uint32_t kinds = 0, count = btf__type_cnt(kernel);

	for (uint32_t i = 0; i < names->count; i++)
		kinds |= 1u << names->at[i].kind;
	for (uint32_t id = 1; id < count; id++) {
		const struct btf_type *type = btf__type_by_id(kernel, id);
		uint32_t kind = btf_kind(type);

		if (!(kinds & 1u << kind) || !type->name_off)
			continue;
		const char *text = btf__name_by_offset(kernel, type->name_off);
		uint32_t at = names->first[hash_of(text, strlen(text))];

		for (; at; at = names->at[at - 1].next)
			if (names->at[at - 1].kind == kind && is_named(names, at - 1, text))
				found(context, at - 1, id);
	}
}

/* --- a part of the kernel's types ------------------------------------------------------------------- */

struct cut {
	const struct btf *kernel;
	uint32_t *new_ids; /* by the kernel's id; 0: left out */
	uint32_t *kept;	   /* the kernel's ids, in the order of the new ones */
	uint32_t count;
};

/* The types that a type is made of; nothing behind a pointer. */
static uint32_t parts_of(struct btf_type *type, uint32_t **ret_first, size_t *ret_stride)
{
	*ret_first = &type->type;
	*ret_stride = 0;
	switch (btf_kind(type)) {
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		*ret_first = &btf_members(type)->type;
		*ret_stride = sizeof(struct btf_member) / sizeof(uint32_t);
		return btf_vlen(type);
	case BTF_KIND_ARRAY:
		*ret_first = &btf_array(type)->type; /* and index_type, which follows it */
		*ret_stride = 1;
		return 2;
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPE_TAG:
		return 1;
	default:
		return 0;
	}
}

static size_t bytes_of(const struct btf_type *type)
{
	switch (btf_kind(type)) {
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return sizeof(*type) + btf_vlen(type) * sizeof(struct btf_member);
	case BTF_KIND_ARRAY:
		return sizeof(*type) + sizeof(struct btf_array);
	case BTF_KIND_INT:
		return sizeof(*type) + sizeof(uint32_t);
	case BTF_KIND_ENUM:
		return sizeof(*type) + btf_vlen(type) * sizeof(struct btf_enum);
	case BTF_KIND_ENUM64:
		return sizeof(*type) + btf_vlen(type) * sizeof(struct btf_enum64);
	case BTF_KIND_FUNC_PROTO: /* never kept: only pointers lead there */
		return sizeof(*type) + btf_vlen(type) * sizeof(struct btf_param);
	default:
		return sizeof(*type);
	}
}

static void keep(void *context, uint32_t index, uint32_t id)
{
	struct cut *cut = context;

	(void)index;
	if (!id || cut->new_ids[id])
		return;
	cut->kept[cut->count] = id;
	cut->new_ids[id] = ++cut->count;
}

/* What is kept grows while it is gone through. */
static void keep_parts(struct cut *cut)
{
	for (uint32_t i = 0; i < cut->count; i++) {
		struct btf_type *type =
			(struct btf_type *)btf__type_by_id(cut->kernel, cut->kept[i]);
		uint32_t *part;
		size_t stride;

		for (uint32_t n = parts_of(type, &part, &stride); n; n--, part += stride)
			keep(cut, 0, *part);
	}
}

static void rename_parts(const struct cut *cut, struct btf_type *type)
{
	uint32_t *part;
	size_t stride;

	if (btf_is_ptr(type))
		type->type = 0;
	for (uint32_t n = parts_of(type, &part, &stride); n; n--, part += stride)
		*part = cut->new_ids[*part];
}

/* The kernel's strings are taken as they are, so names need no change. */
static int write_types(const struct cut *cut, int fd)
{
	uint32_t size, at = 0;
	const struct btf_header *old = btf__raw_data(cut->kernel, &size);
	size_t bytes = 0;

	if (!old)
		return -ENOMEM;
	for (uint32_t i = 0; i < cut->count; i++)
		bytes += bytes_of(btf__type_by_id(cut->kernel, cut->kept[i]));
	_cleanup_free_ char *types = malloc(bytes + 1);

	if (!types)
		return -ENOMEM;
	for (uint32_t i = 0; i < cut->count; i++) {
		const struct btf_type *type = btf__type_by_id(cut->kernel, cut->kept[i]);

		memcpy(types + at, type, bytes_of(type));
		rename_parts(cut, (struct btf_type *)(types + at));
		at += (uint32_t)bytes_of(type);
	}
	struct btf_header header = *old;

	header.hdr_len = sizeof(header);
	header.type_off = 0;
	header.type_len = header.str_off = at;
	const struct iovec parts[] = {
		{ &header, sizeof(header) },
		{ types, at },
		{ (char *)old + old->hdr_len + old->str_off, old->str_len },
	};
	ssize_t wanted = (ssize_t)(sizeof(header) + at + old->str_len);
	ssize_t written = writev(fd, parts, 3);

	return written == wanted ? 0 : written < 0 ? -errno : -ENOSPC;
}

/* "task_struct___old" stands for task_struct. */
static size_t essential_length(const char *name)
{
	const char *flavour = strstr(name, "___");

	return flavour && flavour != name ? (size_t)(flavour - name) : strlen(name);
}

static int add_names_of(const struct btf *object, struct kernel_names *names)
{
	for (uint32_t id = 1; id < btf__type_cnt(object); id++) {
		const struct btf_type *type = btf__type_by_id(object, id);
		const char *name = btf__name_by_offset(object, type->name_off);
		size_t length = essential_length(name);
		int err = 0;

		if (!length)
			continue;
		switch (btf_kind(type)) {
		case BTF_KIND_ENUM: /* may be one or the other in the kernel */
		case BTF_KIND_ENUM64:
			err = kernel_names_add(names, BTF_KIND_ENUM, name, length);
			if (!err)
				err = kernel_names_add(names, BTF_KIND_ENUM64, name, length);
			break;
		case BTF_KIND_STRUCT:
		case BTF_KIND_UNION:
		case BTF_KIND_TYPEDEF:
		case BTF_KIND_INT:
			err = kernel_names_add(names, btf_kind(type), name, length);
			break;
		}
		if (err)
			return err;
	}
	return 0;
}

int kernel_types_cut(const struct btf *kernel, const struct btf *object, int fd)
{
	uint32_t count = btf__type_cnt(kernel);
	_cleanup_free_ struct kernel_names *names = calloc(1, sizeof(*names));
	_cleanup_free_ uint32_t *new_ids = calloc(count, sizeof(*new_ids));
	_cleanup_free_ uint32_t *kept = malloc(count * sizeof(*kept));
	struct cut cut = { .kernel = kernel, .new_ids = new_ids, .kept = kept };

	if (!names || !new_ids || !kept)
		return -ENOMEM;
	int err = add_names_of(object, names);

	if (err)
		return err;
	kernel_names_find(names, kernel, keep, &cut);
	keep_parts(&cut);
	return write_types(&cut, fd);
}
